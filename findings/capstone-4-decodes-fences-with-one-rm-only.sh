#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Capstone 4: LFENCE, MFENCE and SFENCE are undecodable unless ModRM.rm is 0.
#
#   findings/capstone-4-decodes-fences-with-one-rm-only.sh
#
# Version: Debian 12's libcapstone4 4.0.2-5 (Capstone 4.0.2), unpacked into a temporary folder;
# nothing is installed. Needs apt with Debian 12's sources, dpkg-deb, cc, and a 64-bit x86
# processor, which is the judge.
#
# LFENCE is 0F AE /5, MFENCE /6, SFENCE /7, each with mod 3. By the Intel manual (vol. 2, LFENCE,
# MFENCE and SFENCE) the processor ignores the r/m field of ModRM; LFENCE is any opcode 0F AE Ex
# with x from 8 to F. So there are eight encodings of each.
#
# Expected: 24 fences are decoded.
#
# What happens: the three with rm 0 are. For the other 21 cs_disasm() returns nothing, as for an
# opcode that does not exist, and a sweep stops there. The processor runs all 24. (The objdump of
# Debian 12's binutils 2.40 calls the 21 "(bad)" too, and takes the ModRM byte for the next
# instruction.)
#
# Output seen (AMD EPYC "Zen 5"):
#
#              bytes            processor  Capstone 4.0
#   LFENCE  0f ae e8 to ef   runs 8 of 8  decodes 1
#   MFENCE  0f ae f0 to f7   runs 8 of 8  decodes 1
#   SFENCE  0f ae f8 to ff   runs 8 of 8  decodes 1
#
# Exit status: 0 it is still so, 1 it is not, 2 it could not be tried.
set -eu

version='4.0.2-5'

cannot() {
	echo "$*" >&2
	exit 2
}

[ "$(uname -m)" = x86_64 ] || cannot "this needs a 64-bit x86 processor"
for program in apt-get dpkg-deb cc; do
	command -v "$program" >/dev/null || cannot "there is no $program"
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
libraries=$folder/usr/lib/x86_64-linux-gnu

# What is installed here does not count: the library is fetched into the folder.
private_apt() {
	apt-get -q -y -o APT::Sandbox::User= -o Dir::State="$folder/state" \
		-o Dir::State::status="$folder/state/status" -o Dir::Cache="$folder/cache" \
		-o Acquire::Retries=3 -o Acquire::Languages=none "$@" >>"$folder/log" 2>&1
}

unpack_capstone() {
	mkdir -p "$folder/state/lists/partial" "$folder/cache/archives/partial"
	: >"$folder/state/status"
	private_apt update || true
	(cd "$folder" && private_apt download "libcapstone4=$version" "libcapstone-dev=$version") ||
		cannot "cannot fetch libcapstone4 $version: $(tail -n 3 "$folder/log")"
	for package in "$folder"/*.deb; do
		dpkg-deb -x "$package" "$folder"
	done
}

build() {
	cc -std=gnu11 -O1 -no-pie -I "$folder/usr/include" -o "$folder/show" "$folder/show.c" \
		"$libraries/libcapstone.so.4" 2>"$folder/log" ||
		cannot "the program does not build: $(tail -n 3 "$folder/log")"
}

cat >"$folder/show.c" <<'END'
#include <capstone/capstone.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static sigjmp_buf faulted;
static unsigned char *page;

static void handler(int signal)
{
	siglongjmp(faulted, signal);
}

static int processor_runs(const unsigned char *code)
{
	memcpy(page, code, 4);
	if (sigsetjmp(faulted, 1))
		return 0;
	((void (*)(void))page)();
	return 1;
}

static int capstone_decodes(csh handle, const unsigned char *code)
{
	cs_insn *insn;
	const size_t n = cs_disasm(handle, code, 3, 0, 1, &insn);
	const int length = n ? insn->size : 0;

	if (n)
		cs_free(insn, n);
	return length == 3;
}

int main(void)
{
	static const char *const names[] = { "LFENCE", "MFENCE", "SFENCE" };
	int as_ever = 1;
	csh handle;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || cs_open(CS_ARCH_X86, CS_MODE_64, &handle))
		return 2;
	signal(SIGILL, handler);
	printf("           bytes            processor  Capstone %d.%d\n", CS_API_MAJOR,
	       CS_API_MINOR);
	for (int fence = 0; fence < 3; fence++) {
		int run = 0, decoded = 0, first;

		for (int rm = 0; rm < 8; rm++) {
			const unsigned char code[] = { 0x0f, 0xae, 0xe8 + 8 * fence + rm, 0xc3 };

			run += processor_runs(code);
			decoded += capstone_decodes(handle, code);
			if (!rm)
				first = decoded;
		}
		printf("%s  0f ae %02x to %02x   runs %d of 8  decodes %d\n", names[fence],
		       0xe8 + 8 * fence, 0xef + 8 * fence, run, decoded);
		as_ever &= run == 8 && decoded == 1 && first;
	}
	if (!as_ever)
		puts("This is not what it was: all are to run, and the first of each eight is to "
		     "be decoded.");
	return !as_ever;
}
END

unpack_capstone
build
status=0
LD_LIBRARY_PATH=$libraries "$folder/show" || status=$?
[ "$status" -le 1 ] || cannot "the program could not do it: status $status"
exit "$status"
