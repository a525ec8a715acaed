#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# x86: CMPS whose two operands both fault: AMD's processors report the one at rSI, Intel's
# the one at rDI.
#
#   findings/x86-cmps-with-two-faults-depends-on-vendor.sh
#
# Version: AMD Zen 5 (family 1Ah, model 2), 64-bit Linux. Needs an x86-64 processor and cc; fetches
# and installs nothing.
#
# CMPS reads [rSI] and [rDI]. Both point into pages that may not be read. The page fault's address
# says which was looked at first. It is done with 1, 2, 4 and 8 bytes, and with REPE.
#
# Expected: one order for all x86 processors; if any, that in which the operands are written: rSI's
# first.
#
# What happens: the AMD processor reports rSI's operand. Intel's (Sapphire Rapids, as reported; not
# seen by who wrote this) reports rDI's. The Intel manual does not say (vol. 2,
# CMPS; vol. 3, 6.9). A handler gets other addresses in CR2, or si_addr, and pages come in by
# another order.
#
# Output seen:
#
#   AuthenticAMD
#   AMD EPYC
#   cmpsb       rSI in the lower page: the fault is at rSI
#   cmpsb       rSI in the upper page: the fault is at rSI
#   cmpsw       rSI in the lower page: the fault is at rSI
#   cmpsw       rSI in the upper page: the fault is at rSI
#   cmpsd       rSI in the lower page: the fault is at rSI
#   cmpsd       rSI in the upper page: the fault is at rSI
#   cmpsq       rSI in the lower page: the fault is at rSI
#   cmpsq       rSI in the upper page: the fault is at rSI
#   repe cmpsb  rSI in the lower page: the fault is at rSI
#   repe cmpsb  rSI in the upper page: the fault is at rSI
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

enum { PAGE = 4096 };

static sigjmp_buf faulted;
static void *volatile address;

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	address = info->si_addr;
	siglongjmp(faulted, signal);
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

/* The registers are copies, that the caller's survive the jump. */
#define CMPS(function, instruction) \
	static void function(void *rsi, void *rdi) \
	{ \
		unsigned long rcx = 3; \
\
		__asm__ volatile(instruction : "+S"(rsi), "+D"(rdi), "+c"(rcx)::"memory", "cc"); \
	}

CMPS(cmps1, "cmpsb")
CMPS(cmps2, "cmpsw")
CMPS(cmps4, "cmpsl")
CMPS(cmps8, "cmpsq")
CMPS(repe_cmps1, "repe cmpsb")

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void *rsi, void *rdi); } cases[] = {
		{ "cmpsb", cmps1 }, { "cmpsw", cmps2 }, { "cmpsd", cmps4 },
		{ "cmpsq", cmps8 }, { "repe cmpsb", repe_cmps1 },
	};
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	unsigned char *volatile lower =
		mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *volatile upper = lower + PAGE;
	volatile int as_amd = 1, as_intel = 1;

	if (argc < 2 || lower == MAP_FAILED || sigaction(SIGSEGV, &action, NULL))
		return 2;
	for (volatile size_t i = 0; i < 2 * sizeof(cases) / sizeof(*cases); i++) {
		/* The second time with the pages exchanged: it might be the order of addresses. */
		unsigned char *volatile rsi = i & 1 ? upper : lower;
		unsigned char *volatile rdi = i & 1 ? lower : upper;

		if (!sigsetjmp(faulted, 1)) {
			cases[i / 2].run(rsi, rdi);
			return 2;
		}
		as_amd &= address == rsi;
		as_intel &= address == rdi;
		printf("%-11s rSI in the %s page: the fault is at %s\n", cases[i / 2].name,
		       i & 1 ? "upper" : "lower",
		       address == rsi ? "rSI" : address == rdi ? "rDI" : "neither");
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
