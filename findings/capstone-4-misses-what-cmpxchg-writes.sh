#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Capstone 4: by cs_regs_access() CMPXCHG with a memory operand writes no register and no flag.
#
#   findings/capstone-4-misses-what-cmpxchg-writes.sh
#
# Version: Debian 12's libcapstone4 4.0.2-5 (Capstone 4.0.2), unpacked into a temporary folder;
# nothing is installed. Needs apt with Debian 12's sources, dpkg-deb, cc, and a 64-bit x86
# processor, which is the judge.
#
# cs_regs_access() lists all registers that an instruction reads and writes, named or not, EFLAGS
# among them. CMPXCHG [mem], r compares EAX with memory; if they differ, it loads EAX from memory.
# It sets ZF by that, and the other arithmetic flags like CMP (Intel manual, vol. 2, CMPXCHG). XADD
# sets them like ADD. Each is run, and what changed is compared with what Capstone says.
#
# Expected: EAX and EFLAGS are among what CMPXCHG writes, EFLAGS among what XADD writes.
#
# What happens: they are not. It is so for all operand sizes; with a register operand, that register
# is all that is listed. CMPXCHG8B beside it lists EAX, EDX and EFLAGS. A pass that keeps a value in
# EAX over what "writes nothing" is wrong after each CMPXCHG that fails, as in any lock.
#
# Output seen (AMD EPYC "Zen 5"):
#
#   what changes        processor     Capstone 4.0.2
#   cmpxchg [rdi], ecx  eax, flags    neither  <--
#   xadd [rdi], ecx     flags         neither  <--
#   cmpxchg8b [rdi]     eax, flags    eax, flags
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
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { ARITHMETIC = 0x8d5 };

struct state { unsigned long rax, rcx, flags; };

static unsigned char *page;

/* With all arithmetic flags set, 5 in EAX, 6 in ECX and 7 in memory. */
static struct state run(const unsigned char *code, size_t length)
{
	struct state s = { .rax = 5, .rcx = 6, .flags = 0x202 | ARITHMETIC };
	unsigned long memory[2] = { 7 }, *at = memory;

	memcpy(page, code, length);
	page[length] = 0xc3;
	__asm__ volatile("subq $128, %%rsp; pushq %2; popfq; call *%4; pushfq; popq %2; "
			 "addq $128, %%rsp"
			 : "+a"(s.rax), "+c"(s.rcx), "+r"(s.flags), "+D"(at)
			 : "r"(page)
			 : "rdx", "memory", "cc");
	return s;
}

static const struct example {
	const char *text;
	unsigned char length, code[4];
	int lists_rax, lists_flags, rax, flags; /* what Capstone 4.0.2 says, and what is true */
} examples[] = {
	{ "cmpxchg [rdi], ecx", 3, { 0x0f, 0xb1, 0x0f }, 0, 0, 1, 1 },
	{ "xadd [rdi], ecx", 3, { 0x0f, 0xc1, 0x0f }, 0, 0, 0, 1 },
	{ "cmpxchg8b [rdi]", 3, { 0x0f, 0xc7, 0x0f }, 1, 1, 1, 1 },
};

static void asked(csh handle, const struct example *e, int *rax, int *flags)
{
	cs_regs read, written;
	uint8_t nread, nwritten;
	cs_insn *insn;

	*rax = *flags = 0;
	if (!cs_disasm(handle, e->code, e->length, 0, 1, &insn))
		return;
	if (cs_regs_access(handle, insn, read, &nread, written, &nwritten) == CS_ERR_OK) {
		for (int i = 0; i < nwritten; i++) {
			*rax |= written[i] == X86_REG_EAX || written[i] == X86_REG_RAX;
			*flags |= written[i] == X86_REG_EFLAGS;
		}
	}
	cs_free(insn, 1);
}

static const char *both(int rax, int flags)
{
	static const char *const names[] = { "neither", "flags", "eax", "eax, flags" };

	return names[2 * rax + flags];
}

int main(void)
{
	int as_ever = 1;
	csh handle;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || cs_open(CS_ARCH_X86, CS_MODE_64, &handle) ||
	    cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON))
		return 2;
	printf("%-20s%-14s%s\n", "what changes", "processor", "Capstone 4.0.2");
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
		const struct example *e = &examples[i];
		const struct state s = run(e->code, e->length);
		const int rax = s.rax != 5, flags = (s.flags & ARITHMETIC) != ARITHMETIC;
		int lists_rax, lists_flags;

		asked(handle, e, &lists_rax, &lists_flags);
		printf("%-20s%-14s%s%s\n", e->text, both(rax, flags), both(lists_rax, lists_flags),
		       rax == lists_rax && flags == lists_flags ? "" : "  <--");
		as_ever &= rax == e->rax && flags == e->flags && lists_rax == e->lists_rax &&
			   lists_flags == e->lists_flags;
	}
	if (!as_ever)
		puts("This is not what it was.");
	return !as_ever;
}
END

unpack_capstone
build
status=0
LD_LIBRARY_PATH=$libraries "$folder/show" || status=$?
[ "$status" -le 1 ] || cannot "the program could not do it: status $status"
exit "$status"
