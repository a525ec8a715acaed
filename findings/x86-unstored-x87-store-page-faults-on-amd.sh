#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# x86: does an x87 store that an unmasked exception keeps from storing fault on its operand's page?
# On AMD's processors it does, on Intel's it does not.
#
#   findings/x86-unstored-x87-store-page-faults-on-amd.sh
#
# Version: AMD Zen 5 (family 1Ah, model 2), 64-bit Linux. Needs an x86-64 processor and cc; fetches
# and installs nothing.
#
# FSTP m64 has to convert to 64 bits. If that overflows, underflows or is invalid (here: the stack
# is empty), and the exception is unmasked, nothing is stored, and the register stays on the stack
# (Intel manual, vol. 1, 8.5); the exception is raised by the next x87 instruction that waits. Each
# store is done twice: to a page that can be written to, which shows that nothing is stored; and to
# one that nothing may be done with.
#
# Expected: one behaviour for all x86 processors; if any, that nothing is accessed when nothing is
# stored.
#
# What happens: the AMD processor raises the page fault first, for a write, and leaves the x87 state
# as it was. Intel's (Sapphire Rapids, as reported; not seen by who wrote this) raises none: the
# exception is pending. So a program sees SIGSEGV on one and SIGFPE on the other. The Intel
# manual leaves it open. What emulates, migrates or records and replays has to take a side.
#
# Output seen:
#
#   AuthenticAMD
#   AMD EPYC
#   stack empty  not stored, pending; without access: page fault (write), nothing pending
#   overflow     not stored, pending; without access: page fault (write), nothing pending
#   underflow    not stored, pending; without access: page fault (write), nothing pending
#
# Exit status: 0 this processor does what is said of its vendor's, 1 it does the other thing, 2 it
# could not be tried, or the vendor is another.
set -eu

cannot() {
	echo "$*" >&2
	exit 2
}

[ "$(uname -m)" = x86_64 ] || cannot "this needs a 64-bit x86 processor"
command -v cc >/dev/null || cannot "there is no cc"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/show.c" <<'END'
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { PAGE = 4096, BYTES = 8 };
enum { MASKED = 0x37f, INVALID = 1, OVERFLOW = 8, UNDERFLOW = 16, PENDING = 0x80 };

static sigjmp_buf faulted;
static void *volatile address;
static volatile int is_write;

static void handler(int signal, siginfo_t *info, void *context)
{
	address = info->si_addr;
	is_write = ((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] >> 1 & 1;
	siglongjmp(faulted, signal);
}

/* Whether the store faulted; the status word that it left. */
static int store(const long double *value, int unmasked, void *to, unsigned short *status)
{
	const unsigned short control = MASKED & ~unmasked;
	int faults = sigsetjmp(faulted, 1);

	if (!faults) {
		__asm__ volatile("fninit" ::: "memory");
		if (value)
			__asm__ volatile("fldt %0" ::"m"(*value) : "memory");
		__asm__ volatile("fldcw %0; fstpl (%1)" ::"m"(control), "r"(to) : "memory");
	}
	__asm__ volatile("fnstsw %0; fninit" : "=m"(*status)::"memory");
	return !!faults;
}

static int judge(const char *vendor, int as_amd, int as_intel)
{
	if (!strcmp(vendor, "AuthenticAMD"))
		return !as_amd;
	if (!strcmp(vendor, "GenuineIntel"))
		return !as_intel;
	puts("Of this vendor's processors nothing is said.");
	return 2;
}

int main(int argc, char **argv)
{
	static const long double huge = 0x1p16000L, tiny = 0x1p-16000L;
	static const struct {
		const char *name;
		const long double *value;
		int unmasked;
	} cases[] = {
		{ "stack empty", NULL, INVALID }, { "overflow", &huge, OVERFLOW },
		{ "underflow", &tiny, UNDERFLOW },
	};
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	unsigned char *good = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);
	unsigned char *bad = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int as_amd = 1, as_intel = 1;

	if (argc < 2 || good == MAP_FAILED || bad == MAP_FAILED ||
	    sigaction(SIGSEGV, &action, NULL))
		return 2;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned char before[BYTES];
		unsigned short status;

		memset(good, 0x5a, BYTES);
		memcpy(before, good, BYTES);
		if (store(cases[i].value, cases[i].unmasked, good, &status) ||
		    memcmp(before, good, BYTES) || !(status & PENDING)) {
			printf("%s: not held back, status word %04x\n", cases[i].name, status);
			return 1;
		}
		printf("%-12s not stored, pending; without access: ", cases[i].name);
		if (store(cases[i].value, cases[i].unmasked, bad, &status)) {
			printf("page fault (%s), ", is_write && address == bad ? "write" : "other");
			as_intel = 0;
			as_amd &= is_write && address == bad && !(status & PENDING);
		} else {
			printf("no fault, ");
			as_amd = 0;
			as_intel &= !!(status & PENDING);
		}
		puts(status & PENDING ? "pending" : "nothing pending");
	}
	return judge(argv[1], as_amd, as_intel);
}
END
cc -std=gnu11 -O1 -o "$folder/show" "$folder/show.c" 2>"$folder/log" ||
	cannot "the program does not build: $(tail -n 3 "$folder/log")"
sed -n 's/^vendor_id[[:space:]]*: //p;s/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 2
status=0
"$folder/show" "$(sed -n 's/^vendor_id[[:space:]]*: //p' /proc/cpuinfo | head -n 1)" || status=$?
[ "$status" -le 2 ] || cannot "the program came to no end: status $status"
exit "$status"
