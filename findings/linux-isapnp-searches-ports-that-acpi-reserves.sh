#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Linux searches for ISA Plug and Play cards at ports that ACPI says the board uses.
#
#   findings/linux-isapnp-searches-ports-that-acpi-reserves.sh
#
# Version: Debian 12's linux-image-6.1.0-50-686 6.1.176-1, under Debian 12's qemu-system-x86
# 1:7.2+dfsg-7+deb12u18+b3, with a table made by acpica-tools 20200925-8. All are unpacked into a
# temporary folder; nothing is installed. Needs apt with Debian 12's sources, dpkg-deb.
#
# The machine is QEMU's pc with one more ACPI table, which has a device PNP0C02 ("motherboard
# resources"): the board uses ports 279h, a79h and 203h to 3ffh in steps of 20h itself, which are
# all that ISA Plug and Play needs. There are no ISA cards.
#
# Expected: the driver finds its index port in use and gives up at once. It asks for the port with
# request_region() and has a message for that case.
#
# What happens: the ports are reported as reserved, and then the driver searches all read ports
# one after the other, waiting more than 30 ms at each. What ACPI reserves is entered in the
# kernel's list of ports but not marked busy (drivers/pnp/system.c), so that drivers may have it.
# A firmware or a virtual machine cannot spare its guests the search in this way. (The kernel's
# parameter noisapnp does.)
#
# Output seen:
#
#   QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)
#   reserved by ACPI: 0x279 0xa79
#   isapnp_init returned 0 after 645 ms
#
# Exit status: 0 it still happens, 1 it does not, 2 it could not be tried.
set -eu

qemu_version='1:7.2+dfsg-7+deb12u18+b3'
iasl_version=20200925-8
kernel=linux-image-6.1.0-50-686
kernel_version=6.1.176-1
least_ms=200

cannot() {
	echo "$*" >&2
	exit 2
}

for program in apt-get dpkg-deb; do
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

unpack_programs() {
	mkdir -p "$root" "$folder/state/lists/partial" "$folder/cache/archives/partial"
	: >"$folder/state/status"
	private_apt apt-get update >"$folder/log" 2>&1 || true
	private_apt apt-get install --download-only --no-install-recommends \
		"qemu-system-x86=$qemu_version" "acpica-tools=$iasl_version" >>"$folder/log" 2>&1 ||
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

qemu() {
	libraries=$root/usr/lib/x86_64-linux-gnu
	QEMU_MODULE_DIR=$libraries/qemu "$root/lib64/ld-linux-x86-64.so.2" \
		--library-path "$libraries:$libraries/pulseaudio" \
		"$root/usr/libexec/qemu-system-i386" \
		-L "$root/usr/share/seabios" -L "$root/usr/share/qemu" "$@"
}

fetch_kernel() {
	private_apt apt-get -o APT::Architectures::=amd64 -o APT::Architectures::=i386 update \
		>>"$folder/log" 2>&1 || true
	(cd "$folder" && private_apt apt-get -o APT::Architectures::=amd64 \
		-o APT::Architectures::=i386 download "$kernel:i386=$kernel_version" >>log 2>&1) ||
		cannot "cannot fetch $kernel: $(tail -n 3 "$folder/log")"
	dpkg-deb --fsys-tarfile "$folder/$kernel"_*.deb | tar -x -C "$folder" ./boot
}

make_table() {
	{
		echo 'DefinitionBlock ("", "SSDT", 1, "TEST", "RESERVE", 1) {'
		echo 'Scope (\_SB) { Device (RES0) {'
		echo 'Name (_HID, EisaId ("PNP0C02")) Name (_UID, 99)'
		echo 'Name (_CRS, ResourceTemplate () {'
		for port in 0x279 0xa79 0x203 0x223 0x243 0x263 0x283 0x2a3 0x2c3 0x2e3 \
			0x303 0x323 0x343 0x363 0x383 0x3a3 0x3c3 0x3e3; do
			echo "IO (Decode16, $port, $port, 1, 1)"
		done
		echo '}) } } }'
	} >"$folder/reserve.asl"
	"$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \
		"$root/usr/bin/iasl" -p "$folder/reserve" "$folder/reserve.asl" \
		>>"$folder/log" 2>&1 ||
		cannot "the table cannot be made: $(tail -n 5 "$folder/log")"
}

unpack_programs
fetch_kernel
make_table
qemu --version | head -n 1
qemu -accel tcg -m 128 -nodefaults -display none -no-reboot -serial "file:$folder/console" \
	-acpitable "file=$folder/reserve.aml" -kernel "$folder"/boot/vmlinuz-* \
	-append 'console=ttyS0 loglevel=8 initcall_debug panic=-1' </dev/null
tr -d '\r' <"$folder/console" >"$folder/lines"
reserved=$(sed -n 's/.*\[io  0x0*\(279\|a79\)\(-0x[0-9a-f]*\)\{0,1\}\] has been reserved.*/0x\1/p' \
	"$folder/lines" | tr '\n' ' ')
returned='returned \(-\{0,1\}[0-9]*\) after \([0-9]*\) usecs'
result=$(sed -n "s/.*initcall isapnp_init.* $returned.*/\1 \2/p" "$folder/lines")
[ -n "$reserved" ] && [ -n "$result" ] || cannot "the guest did not come that far"
echo "reserved by ACPI: $reserved"
echo "isapnp_init returned ${result% *} after $((${result#* } / 1000)) ms"
if [ $((${result#* } / 1000)) -lt "$least_ms" ]; then
	echo "This is not what it was: the search is to take $least_ms ms or more."
	exit 1
fi
