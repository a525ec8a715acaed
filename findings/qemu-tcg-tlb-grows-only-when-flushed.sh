#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# QEMU's TCG: a guest that touches more pages than its software TLB has entries stays slow until
# it flushes the TLB.
#
#   findings/qemu-tcg-tlb-grows-only-when-flushed.sh
#
# Version: Debian 12's qemu-system-x86 1:7.2+dfsg-7+deb12u18+b3 (QEMU 7.2.22), with all it depends
# on, unpacked into a temporary folder; nothing is installed. Needs apt with Debian 12's sources,
# dpkg-deb, as and ld.
#
# The guest is a multiboot kernel of some 100 lines (below), valid on any processor since the
# Pentium: flat segments, paging on, 4-MiB pages, interrupts off. It reads one word of each of 320
# pages, 20,000 times over, and takes the time by RDTSC. Then it reads the pages once more, loads
# CR3 with the value that is there, which flushes the TLB, and measures again; seven times in all.
#
# Expected: the seven times are alike. A flush only takes something away; the reads are the same.
#
# What happens: with each flush the reads become faster, down to a tenth and less. The software
# TLB is direct-mapped and has a size that adapts, but the size is only looked at while it is
# flushed (tlb_mmu_resize_locked() in accel/tcg/cputlb.c, called by a flush and nothing else). It
# starts, or has been shrunk to, some 64 to 256 entries; a loop over more pages misses in it, at
# the price of a page walk each time, and it stays so for as long as nothing flushes. A process
# that computes alone in a Linux guest may so take ten times as long as the same process with a
# second one beside it that does nothing but sleep.
#
# Output seen (AMD EPYC "Zen 5", two processors):
#
#   flushes before  ticks per read
#                0             109
#                1             114
#                2              47
#                3               8
#                4               9
#                5               8
#                6               8
#   13.6 times as fast after six flushes as before any
#
# Exit status: 0 it still happens, 1 it does not, 2 it could not be tried.
set -eu

version='1:7.2+dfsg-7+deb12u18+b3'
least_ratio=4

cannot() {
	echo "$*" >&2
	exit 2
}

for program in apt-get dpkg-deb as ld; do
	command -v "$program" >/dev/null || cannot "there is no $program"
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
root=$folder/root

# What is installed here does not count: everything the package needs is fetched into the folder.
private_apt() {
	program=$1
	shift
	"$program" -q -y -o APT::Sandbox::User= -o Dir::State="$folder/state" \
		-o Dir::State::status="$folder/state/status" -o Dir::Cache="$folder/cache" \
		-o Acquire::Retries=3 -o Acquire::Languages=none "$@"
}

unpack_qemu() {
	mkdir -p "$root" "$folder/state/lists/partial" "$folder/cache/archives/partial"
	: >"$folder/state/status"
	private_apt apt-get update >"$folder/log" 2>&1 || true
	private_apt apt-get install --download-only --no-install-recommends \
		"qemu-system-x86=$version" >>"$folder/log" 2>&1 ||
		cannot "cannot fetch qemu-system-x86 $version: $(tail -n 3 "$folder/log")"
	# Into one tree, as on a system where /bin and /lib are links into /usr.
	mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64"
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "$root/$name"
	done
	for package in "$folder"/cache/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink
	done
}

qemu() {
	libraries=$root/usr/lib/x86_64-linux-gnu
	QEMU_MODULE_DIR=$libraries/qemu "$root/lib64/ld-linux-x86-64.so.2" \
		--library-path "$libraries:$libraries/pulseaudio" \
		"$root/usr/libexec/qemu-system-i386" \
		-L "$root/usr/share/seabios" -L "$root/usr/share/qemu" "$@"
}

build_kernel() {
	cat >"$folder/kernel.s" <<'END'
	.set PAGES, 320
	.set ROUNDS, 20000
	.set READS, PAGES * ROUNDS
	.set MEASUREMENTS, 7
	.set AREA, 0x1000000

	.section .multiboot, "ax"
	.balign 4
	.long 0x1badb002, 0, -0x1badb002

	.text
	.globl start
start:	cli
	movl $stack_end, %esp
	# 64 MiB where they are, in 4-MiB pages: present, writable, large
	movl $0x83, %eax
	xorl %ecx, %ecx
1:	movl %eax, directory(, %ecx, 4)
	addl $0x400000, %eax
	incl %ecx
	cmpl $16, %ecx
	jb 1b
	movl %cr4, %eax
	orl $0x10, %eax
	movl %eax, %cr4
	movl $directory, %eax
	movl %eax, %cr3
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0

	# What ran before may have left a large TLB: half a second with little in it, and flushes
	movl $3000000, %ecx
1:	movl %cr3, %eax
	movl %eax, %cr3
	loop 1b

	xorl %ebp, %ebp
measure:
	movl $ROUNDS, %edi
	rdtsc
	movl %eax, %ebx
	movl %edx, began
1:	call read_pages
	decl %edi
	jnz 1b
	rdtsc
	subl %ebx, %eax
	sbbl began, %edx
	movl $READS, %ecx
	divl %ecx
	call print_number
	call read_pages
	movl %cr3, %eax
	movl %eax, %cr3
	incl %ebp
	cmpl $MEASUREMENTS, %ebp
	jb measure
	movb $0, %al
	outb %al, $0xf4
	hlt

read_pages:
	movl $AREA, %esi
	movl $PAGES, %ecx
1:	movl (%esi), %eax
	addl $4096, %esi
	decl %ecx
	jnz 1b
	ret

# %eax in decimal, and a newline, on the debug console
print_number:
	movl $10, %ecx
	pushl $10
1:	xorl %edx, %edx
	divl %ecx
	addl $48, %edx
	pushl %edx
	testl %eax, %eax
	jnz 1b
2:	popl %eax
	outb %al, $0xe9
	cmpl $10, %eax
	jne 2b
	ret

	.bss
	.balign 4096
directory: .skip 4096
began:	.skip 4
	.balign 16
	.skip 4096
stack_end:
END
	as --32 -o "$folder/kernel.o" "$folder/kernel.s"
	ld -m elf_i386 -Ttext=0x100000 --section-start=.multiboot=0x0ff000 -z noexecstack -e start \
		-o "$folder/kernel" "$folder/kernel.o" 2>/dev/null
}

unpack_qemu
build_kernel
qemu --version | head -n 1
status=0
qemu -accel tcg -m 64 -nodefaults -display none -no-reboot -debugcon "file:$folder/ticks" \
	-device isa-debug-exit,iobase=0xf4,iosize=4 -kernel "$folder/kernel" </dev/null || status=$?
[ "$status" -eq 1 ] && [ "$(wc -l <"$folder/ticks")" -eq 7 ] ||
	cannot "the guest did not come to its end: status $status"

awk -v least="$least_ratio" '
	BEGIN { print "flushes before  ticks per read" }
	{ printf "%14d  %14d\n", NR - 1, $1 }
	NR == 1 { first = $1 }
	{ last = $1 }
	END {
		times = first / (last ? last : 1)
		printf "%.1f times as fast after six flushes as before any\n", times
		if (first < least * last) {
			print "This is not what it was: the reads are to take " least \
				" times as long before any flush."
			exit 1
		}
	}' "$folder/ticks"
