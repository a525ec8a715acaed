#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Capstone 4: cs_detail gives some memory operands a size that is not that of the access.
#
#   findings/capstone-4-gives-wrong-operand-sizes.sh
#
# Version: Debian 12's libcapstone4 4.0.2-5 (Capstone 4.0.2), unpacked into a temporary folder;
# nothing is installed. Needs apt with Debian 12's sources, dpkg-deb, cc, and a 64-bit x86
# processor, which is the judge.
#
# With CS_OPT_DETAIL each operand has a field size, in bytes; of a memory operand it should be how
# much the instruction reads or writes. Each instruction below is run with an operand that ends
# where a page ends that nothing may be reached behind. The smallest operand that does not fault is
# what the processor accesses, and is also what the Intel manual says (vol. 2, each page).
#
# Expected: the same size.
#
# What happens: COMISS and COMISD have 16 bytes, those of the register they compare with, and are
# printed with "xmmword ptr", while UCOMISS and UCOMISD are right. FNSTSW has 4 ("dword ptr") for a
# store of 2, and FNSTCW is right. LSL has 4, and LAR is right. FNSAVE and FRSTOR have 4 for 108,
# FXSAVE and FXRSTOR 8 for 512, while FNSTENV is right. The sizes that are too small hide most of a
# store; those that are too large let a check of bounds refuse what is valid.
#
# Output seen (AMD EPYC "Zen 5"):
#
#   bytes                 processor  Capstone 4.0.2
#   ucomiss xmm0, [rdi]           4  4
#   comiss xmm0, [rdi]            4  16  <--
#   ucomisd xmm0, [rdi]           8  8
#   comisd xmm0, [rdi]            8  16  <--
#   fnstcw [rdi]                  2  2
#   fnstsw [rdi]                  2  4  <--
#   lar eax, [rdi]                2  2
#   lsl eax, [rdi]                2  4  <--
#   fnstenv [rdi]                28  28
#   fnsave [rdi]                108  4  <--
#   frstor [rdi]                108  4  <--
#   fxsave [rdi]                512  8  <--
#   fxrstor [rdi]               512  8  <--
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
#define _GNU_SOURCE
#include <capstone/capstone.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { PAGE = 4096, LARGEST = 1024 };

static sigjmp_buf faulted;
static volatile int stored; /* bit 1 of the page fault's error code: it was a write */
static unsigned char *code_page, *data; /* behind the page of data is one that cannot be reached */

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)info;
	stored = ((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] >> 1 & 1;
	siglongjmp(faulted, signal);
}

/* False: it faulted. The operand is at [rdi]. */
static int runs(const unsigned char *code, size_t length, void *operand)
{
	memcpy(code_page, code, length);
	code_page[length] = 0xc3;
	if (sigsetjmp(faulted, 1))
		return 0;
	__asm__ volatile("fninit; call *%1; fninit"
			 : "+D"(operand)
			 : "r"(code_page)
			 : "rax", "rdx", "xmm0", "memory", "cc");
	return 1;
}

static int set_up(csh *handle)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	const int any = PROT_READ | PROT_WRITE | PROT_EXEC, private = MAP_PRIVATE | MAP_ANONYMOUS;

	code_page = mmap(NULL, PAGE, any, private, -1, 0);
	data = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, private, -1, 0);
	return code_page != MAP_FAILED && data != MAP_FAILED &&
	       !mprotect(data + PAGE, PAGE, PROT_NONE) &&
	       !sigaction(SIGSEGV, &action, NULL) && !cs_open(CS_ARCH_X86, CS_MODE_64, handle) &&
	       !cs_option(*handle, CS_OPT_DETAIL, CS_OPT_ON);
}

static const cs_x86_op *memory_operand(const cs_insn *insn)
{
	const cs_x86 *x = &insn->detail->x86;

	for (int i = 0; i < x->op_count; i++) {
		if (x->operands[i].type == X86_OP_MEM)
			return &x->operands[i];
	}
	return NULL;
}

struct example {
	const char *text;
	unsigned char length, code[4];
	int aligned, bytes, said; /* said by Capstone 4.0.2 */
};

static const struct example examples[] = {
	{ "ucomiss xmm0, [rdi]", 3, { 0x0f, 0x2e, 0x07 }, 1, 4, 4 },
	{ "comiss xmm0, [rdi]", 3, { 0x0f, 0x2f, 0x07 }, 1, 4, 16 },
	{ "ucomisd xmm0, [rdi]", 4, { 0x66, 0x0f, 0x2e, 0x07 }, 1, 8, 8 },
	{ "comisd xmm0, [rdi]", 4, { 0x66, 0x0f, 0x2f, 0x07 }, 1, 8, 16 },
	{ "fnstcw [rdi]", 2, { 0xd9, 0x3f }, 1, 2, 2 },
	{ "fnstsw [rdi]", 2, { 0xdd, 0x3f }, 1, 2, 4 },
	{ "lar eax, [rdi]", 3, { 0x0f, 0x02, 0x07 }, 1, 2, 2 },
	{ "lsl eax, [rdi]", 3, { 0x0f, 0x03, 0x07 }, 1, 2, 4 },
	{ "fnstenv [rdi]", 2, { 0xd9, 0x37 }, 4, 28, 28 },
	{ "fnsave [rdi]", 2, { 0xdd, 0x37 }, 4, 108, 4 },
	{ "frstor [rdi]", 2, { 0xdd, 0x27 }, 4, 108, 4 },
	{ "fxsave [rdi]", 3, { 0x0f, 0xae, 0x07 }, 16, 512, 8 },
	{ "fxrstor [rdi]", 3, { 0x0f, 0xae, 0x0f }, 16, 512, 8 },
};

static int accessed(const struct example *e)
{
	int bytes = e->aligned;

	memset(data, 0, PAGE);
	while (bytes <= LARGEST && !runs(e->code, e->length, data + PAGE - bytes))
		bytes += e->aligned;
	return bytes;
}

int main(void)
{
	int as_ever = 1;
	csh handle;

	if (!set_up(&handle))
		return 2;
	printf("%-22s%9s  %s\n", "bytes", "processor", "Capstone 4.0.2");
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
		const struct example *e = &examples[i];
		const int does = accessed(e);
		cs_insn *insn;
		int says;

		if (!cs_disasm(handle, e->code, e->length, 0, 1, &insn))
			return 2;
		says = memory_operand(insn)->size;
		cs_free(insn, 1);
		printf("%-22s%9d  %d%s\n", e->text, does, says, does == says ? "" : "  <--");
		as_ever &= does == e->bytes && says == e->said;
	}
	if (!as_ever)
		puts("This is not what it was: other sizes.");
	return !as_ever;
}
END

unpack_capstone
build
status=0
LD_LIBRARY_PATH=$libraries "$folder/show" || status=$?
[ "$status" -le 1 ] || cannot "the program could not do it: status $status"
exit "$status"
