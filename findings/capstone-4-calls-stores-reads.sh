#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Capstone 4: of many instructions that store, cs_detail says that they only read memory.
#
#   findings/capstone-4-calls-stores-reads.sh
#
# Version: Debian 12's libcapstone4 4.0.2-5 (Capstone 4.0.2), unpacked into a temporary folder;
# nothing is installed. Needs apt with Debian 12's sources, dpkg-deb, cc, and a 64-bit x86
# processor, which is the judge.
#
# With CS_OPT_DETAIL each operand has a field access, CS_AC_READ, CS_AC_WRITE or both. Whoever looks
# for an instruction's stores asks it: taint trackers, watchpoints, checkers of translated code.
# Each instruction below is run with its operand in a page that can only be read, and then in one
# that can be written to. If the first faults, and the page fault's error code says "write", while
# the second does not, it stores.
#
# Expected: CS_AC_WRITE is set for those that store, and for no others.
#
# What happens: the field comes from a table written by hand, one line for each form, in which
# stores are marked as reads here and there, with no rule to go by: MOVAPS is right and MOVUPS
# wrong; FSTP of 80 bits right, of 64 and 32 wrong; SHL right, ROL wrong; SETE right, SETB wrong; a
# locked CMPXCHG8B only reads. TEST with an immediate, which stores nothing, writes. FRSTOR, which
# loads the x87 state, writes, and does not read. That an instruction is marked rightly says nothing
# of its neighbour.
#
# Output seen (AMD EPYC "Zen 5"):
#
#                         processor  Capstone 4.0.2
#   movaps [rdi], xmm0    stores     stores
#   movups [rdi], xmm0    stores     reads  <--
#   movdqa [rdi], xmm0    stores     reads  <--
#   movntps [rdi], xmm0   stores     reads  <--
#   movnti [rdi], eax     stores     reads  <--
#   fstp tbyte [rdi]      stores     stores
#   fstp qword [rdi]      stores     reads  <--
#   fistp dword [rdi]     stores     reads  <--
#   fnstcw [rdi]          stores     reads  <--
#   stmxcsr [rdi]         stores     reads  <--
#   shl dword [rdi], 1    stores     reads and stores
#   rol dword [rdi], 3    stores     reads  <--
#   rcr dword [rdi], 3    stores     reads  <--
#   sete byte [rdi]       stores     stores
#   setb byte [rdi]       stores     reads  <--
#   cmpxchg [rdi], ecx    stores     reads  <--
#   lock cmpxchg8b [rdi]  stores     reads  <--
#   test byte [rdi], 1    reads      reads and stores  <--
#   frstor [rdi]          reads      stores  <--
#   15 of 19 are wrong
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
	unsigned char length, code[8];
	int said; /* by Capstone 4.0.2 */
};

#define READ CS_AC_READ
#define WRITE CS_AC_WRITE

static const struct example examples[] = {
	{ "movaps [rdi], xmm0", 3, { 0x0f, 0x29, 0x07 }, WRITE },
	{ "movups [rdi], xmm0", 3, { 0x0f, 0x11, 0x07 }, READ },
	{ "movdqa [rdi], xmm0", 4, { 0x66, 0x0f, 0x7f, 0x07 }, READ },
	{ "movntps [rdi], xmm0", 3, { 0x0f, 0x2b, 0x07 }, READ },
	{ "movnti [rdi], eax", 3, { 0x0f, 0xc3, 0x07 }, READ },
	{ "fstp tbyte [rdi]", 2, { 0xdb, 0x3f }, WRITE },
	{ "fstp qword [rdi]", 2, { 0xdd, 0x1f }, READ },
	{ "fistp dword [rdi]", 2, { 0xdb, 0x1f }, READ },
	{ "fnstcw [rdi]", 2, { 0xd9, 0x3f }, READ },
	{ "stmxcsr [rdi]", 3, { 0x0f, 0xae, 0x1f }, READ },
	{ "shl dword [rdi], 1", 2, { 0xd1, 0x27 }, READ | WRITE },
	{ "rol dword [rdi], 3", 3, { 0xc1, 0x07, 3 }, READ },
	{ "rcr dword [rdi], 3", 3, { 0xc1, 0x1f, 3 }, READ },
	{ "sete byte [rdi]", 3, { 0x0f, 0x94, 0x07 }, WRITE },
	{ "setb byte [rdi]", 3, { 0x0f, 0x92, 0x07 }, READ },
	{ "cmpxchg [rdi], ecx", 3, { 0x0f, 0xb1, 0x0f }, READ },
	{ "lock cmpxchg8b [rdi]", 4, { 0xf0, 0x0f, 0xc7, 0x0f }, READ },
	{ "test byte [rdi], 1", 3, { 0xf6, 0x07, 1 }, READ | WRITE },
	{ "frstor [rdi]", 2, { 0xdd, 0x27 }, WRITE },
};

static const char *access_name(int access)
{
	static const char *const names[] = { "nothing", "reads", "stores", "reads and stores" };

	return names[access & 3];
}

/* Whether the processor stores; -1: it cannot be told. */
static int stores(const struct example *e)
{
	int faults;

	stored = 0;
	mprotect(data, PAGE, PROT_READ);
	faults = !runs(e->code, e->length, data);
	mprotect(data, PAGE, PROT_READ | PROT_WRITE);
	memset(data, 0, PAGE);
	if ((faults && !stored) || !runs(e->code, e->length, data))
		return -1;
	return faults;
}

int main(void)
{
	int wrong = 0, as_ever = 1;
	csh handle;

	if (!set_up(&handle))
		return 2;
	printf("%-22s%-11s%s\n", "", "processor", "Capstone 4.0.2");
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
		const struct example *e = &examples[i];
		const int does = stores(e);
		cs_insn *insn;
		int says, right;

		if (does < 0 || !cs_disasm(handle, e->code, e->length, 0, 1, &insn))
			return 2;
		says = memory_operand(insn)->access;
		cs_free(insn, 1);
		right = does == !!(says & WRITE);
		printf("%-22s%-11s%s%s\n", e->text, does ? "stores" : "reads", access_name(says),
		       right ? "" : "  <--");
		wrong += !right;
		as_ever &= says == e->said;
	}
	printf("%d of %zu are wrong\n", wrong, sizeof(examples) / sizeof(*examples));
	if (!as_ever)
		puts("This is not what it was: some are said to do other things than before.");
	return !as_ever || !wrong;
}
END

unpack_capstone
build
status=0
LD_LIBRARY_PATH=$libraries "$folder/show" || status=$?
[ "$status" -le 1 ] || cannot "the program could not do it: status $status"
exit "$status"
