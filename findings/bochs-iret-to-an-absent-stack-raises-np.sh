#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bochs 2.7: IRET to an outer ring whose stack segment is not present raises #NP.
#
#   findings/bochs-iret-to-an-absent-stack-raises-np.sh
#
# Version: Debian 12's bochs 2.7+dfsg-4+deb12u1 with its term display, BIOS and VGA BIOS, unpacked
# into a temporary folder; nothing is installed. Needs apt with Debian 12's sources, dpkg-deb, and
# script (bsdutils), since Bochs wants a terminal.
#
# A boot sector enters 32-bit protected mode and returns by IRETD to ring 3. The descriptor of the
# new SS is that of a writable data segment of DPL 3 whose P bit is clear. Handlers of #NP, #SS and
# #GP say by the serial port which of them was entered, and the error code.
#
# Expected: #SS with the selector. By the Intel manual (vol. 2, IRET, "return to outer privilege
# level") a stack segment that is not present is a stack fault; far RET has the same rule, and Bochs
# follows it there.
#
# What happens: #NP with the selector. An operating system that reloads absent stack segments in its
# #SS handler meets another vector here than on a processor.
#
# Output seen:
#
#   Bochs 2.7: RETF to an absent stack: #SS(0020); IRETD to an absent stack: #NP(0020)
#
# Exit status: 0 it still happens, 1 it does not, 2 it could not be tried.
set -eu

version=2.7+dfsg-4+deb12u1

cannot() {
	echo "$*" >&2
	exit 2
}

for program in apt-get dpkg-deb script; do
	command -v "$program" >/dev/null || cannot "there is no $program"
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
root=$folder/root

# What is installed here does not count: everything the packages need is fetched into the folder.
private_apt() {
	apt-get -q -y -o APT::Sandbox::User= -o Dir::State="$folder/state" \
		-o Dir::State::status="$folder/state/status" -o Dir::Cache="$folder/cache" \
		-o Acquire::Retries=3 -o Acquire::Languages=none "$@"
}

unpack_programs() {
	mkdir -p "$root" "$folder/state/lists/partial" "$folder/cache/archives/partial"
	: >"$folder/state/status"
	private_apt update >"$folder/log" 2>&1 || true
	private_apt install --download-only --no-install-recommends "bochs=$version" \
		"bochs-term=$version" "bochsbios=$version" vgabios nasm >>"$folder/log" 2>&1 ||
		cannot "cannot fetch the packages: $(tail -n 3 "$folder/log")"
	# Into one tree, as on a system where /bin and /lib are links into /usr.
	mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64"
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "$root/$name"
	done
	for package in "$folder"/cache/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink
	done
}

# program NAME ARGUMENT...: one of those unpacked, with the libraries there.
program() {
	name=$1
	shift
	"$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \
		"$root/usr/bin/$name" "$@"
}

write_sector() {
	cat >"$folder/sector.asm" <<'END'
bits 16
org 0x7c00
	cli
	mov dx, 0x3fb			; 8 bits
	mov al, 3
	out dx, al
	xor ax, ax
	mov ds, ax
	lgdt [gdt_pointer]
	lidt [idt_pointer]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	jmp 0x08:start
bits 32
start:	mov ax, 0x10
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov edi, 0x1000 + 11 * 8	; gates of #NP, #SS, #GP
	mov esi, handlers
	mov ecx, 3
gates:	lodsd
	stosw
	mov dword [edi], 0x8e000008
	mov word [edi + 4], 0
	add edi, 6
	loop gates
	mov dword [next], by_iret
	mov esp, 0x7000
	push dword 0x23			; a stack that is not present
	push dword 0x1000
	push dword 0x1b
	push dword target
	retf
by_iret:
	mov dword [next], done
	mov esp, 0x7000
	push dword 0x23
	push dword 0x1000
	push dword 2
	push dword 0x1b
	push dword target
	iretd
target:	jmp target
np:	mov al, 'N'
	jmp tell
ss_:	mov al, 'S'
	jmp tell
gp:	mov al, 'G'
tell:	call send
	pop eax				; the error code: its index in one letter, 4 is E
	shr eax, 3
	add al, 'A'
	call send
	jmp [next]
send:	mov dx, 0x3f8
	out dx, al
	mov dx, 0x3fd			; until it has left
.wait:	in al, dx
	test al, 0x40
	jz .wait
	ret
done:	mov dx, 0x8900			; Bochs ends
	mov esi, bye
	mov ecx, 8
	rep outsb
	hlt
align 4
next:	dd 0
handlers: dd np, ss_, gp
bye:	db "Shutdown"
gdt:	dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff
	dq 0x00cf72000000ffff		; P clear
gdt_pointer:
	dw gdt_pointer - gdt - 1
	dd gdt
idt_pointer:
	dw 0x7ff
	dd 0x1000
	times 510 - ($ - $$) db 0
	dw 0xaa55
END
	program nasm -f bin -o "$folder/disk" "$folder/sector.asm" || cannot "nasm failed"
	truncate -s 516096 "$folder/disk"
}

run_bochs() {
	cat >"$folder/rc" <<END
display_library: term
romimage: file=$root/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=$root/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=p3_katmai, count=1, ips=1000000
megs: 16
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path=$folder/disk, mode=flat, cylinders=1, heads=16, spt=63
boot: disk
com1: enabled=1, mode=file, dev=$folder/serial
log: $folder/bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
END
	echo c >"$folder/go"
	libraries=$root/usr/lib/x86_64-linux-gnu
	plugins=$(dirname "$(find "$libraries/bochs" -name 'libbx_term*.so' | head -n 1)")
	binary=$root/usr/bin/bochs-bin
	[ -e "$binary" ] || binary=$root/usr/bin/bochs
	TERM=xterm TERMINFO="$root/usr/lib/terminfo" LTDL_LIBRARY_PATH="$plugins" timeout 120 \
		script -qec "$root/lib64/ld-linux-x86-64.so.2 --library-path $libraries $binary \
			-q -f $folder/rc -rc $folder/go" /dev/null \
		</dev/null >"$folder/screen" 2>&1 || true
}

say() {
	case $1 in
	NE) echo '#NP(0020)' ;;
	SE) echo '#SS(0020)' ;;
	GE) echo '#GP(0020)' ;;
	*) echo "\"$1\"" ;;
	esac
}

unpack_programs
write_sector
run_bochs
seen=$(tr -cd 'A-Z' <"$folder/serial" 2>/dev/null) || seen=
[ ${#seen} -eq 4 ] || cannot "the guest did not come that far: \"$seen\" $(tail -n 3 "$folder/log")"
retf=$(say "$(echo "$seen" | cut -c 1-2)")
iretd=$(say "$(echo "$seen" | cut -c 3-4)")
echo "Bochs 2.7: RETF to an absent stack: $retf; IRETD to an absent stack: $iretd"
if [ "$retf" != '#SS(0020)' ] || [ "$iretd" != '#NP(0020)' ]; then
	echo "This is not what it was: RETF raised #SS, and IRETD #NP."
	exit 1
fi
