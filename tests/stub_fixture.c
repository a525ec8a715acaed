/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "stub_fixture.h"

/* Callouts run while the guest's FPU state is in the host's registers. */
#define LIGHT __attribute__((target("general-regs-only")))

struct stub_seen seen;
struct stub_todo todo;

static LIGHT int on_callout(struct cpu *from, enum callout which, uint32_t argument, uint32_t next)
{
	__asm__ volatile("pushf; pop %0; stmxcsr %1" : "=r"(seen.host_flags), "=m"(seen.mxcsr));
	seen.times++;
	seen.which = which;
	seen.argument = argument;
	seen.next_eip = next;
	seen.eip = from->eip;
	seen.eflags = from->eflags;
	seen.linear = tcw(from)->linear;
	for (unsigned i = 0; i < 8; i++) {
		seen.regs[i] = from->regs[i];
		from->regs[i] = todo.regs[i];
	}
	if (todo.spill) {
		fpu_spill(from);
		fpu_spill_x87(from);
	}
	from->eflags = todo.eflags;
	from->eip = todo.result == CALLOUT_JUMP ? TARGET : next;
	tcw(from)->jump_target = TARGET;
	atomic_store(&from->events, todo.events);
	return todo.result;
}

#define CALLOUT(name) \
	static LIGHT int on_##name(struct cpu *from, uint32_t argument, uint32_t next) \
	{ \
		return on_callout(from, CALLOUT_##name, argument, next); \
	}
CALLOUT(INTERPRET)
CALLOUT(INTEGER)
CALLOUT(LOAD_CR3)
CALLOUT(INT)
CALLOUT(IRET)
CALLOUT(SYSENTER)
CALLOUT(SYSEXIT)
CALLOUT(LOAD_SEGMENT)
CALLOUT(INVLPG)
CALLOUT(FAR_JUMP)
CALLOUT(FAR_CALL)
CALLOUT(FAR_RETURN)
CALLOUT(SOFT)
CALLOUT(STORE)
CALLOUT(STORE_WORD)
CALLOUT(STORE_BYTE)
CALLOUT(PUSH_WORD)
CALLOUT(PUSH_LONG)

/* --- The translator and its processor --- */

uint8_t guest_page[GUEST_PAGE_SIZE];
struct translator *tr;
struct tc_space *space;
struct tc_cpu *tc;
struct cpu *cpu;
struct soft_lookup soft[4][SOFT_LOOKUP_ENTRIES];
struct segment_memo memos[SEGMENT_MEMOS];

static bool fetch(void *opaque, gva_t gva, gpa_t *gpa, bool *global)
{
	*gpa = GPA(gva);
	*global = false;
	return true;
}

static const uint8_t *page(void *opaque, gpa_t gpa)
{
	return guest_page;
}

static void protect(void *opaque, gpa_t gpa)
{
}

static void setup(uint32_t host)
{
	const struct translator_callbacks callbacks = {
		.fetch = fetch, .page = page, .protect = protect, .unprotect = protect,
		.callout = {
			[CALLOUT_INTERPRET] = on_INTERPRET, [CALLOUT_INTEGER] = on_INTEGER,
			[CALLOUT_LOAD_CR3] = on_LOAD_CR3, [CALLOUT_INT] = on_INT,
			[CALLOUT_IRET] = on_IRET, [CALLOUT_SYSENTER] = on_SYSENTER,
			[CALLOUT_SYSEXIT] = on_SYSEXIT, [CALLOUT_LOAD_SEGMENT] = on_LOAD_SEGMENT,
			[CALLOUT_INVLPG] = on_INVLPG, [CALLOUT_FAR_JUMP] = on_FAR_JUMP,
			[CALLOUT_FAR_CALL] = on_FAR_CALL, [CALLOUT_FAR_RETURN] = on_FAR_RETURN,
			[CALLOUT_SOFT] = on_SOFT, [CALLOUT_STORE] = on_STORE,
			[CALLOUT_STORE_WORD] = on_STORE_WORD, [CALLOUT_STORE_BYTE] = on_STORE_BYTE,
			[CALLOUT_PUSH_WORD] = on_PUSH_WORD, [CALLOUT_PUSH_LONG] = on_PUSH_LONG,
		},
	};
	const struct translator_options options = {
		.features = ~(feature_set)0, .cache_size = 1 << 20, .host = host,
	};

	cr_assert_eq(translator_create(&callbacks, &options, &tr), 0);
	space = tc_space_create(tr);
	tc = aligned_alloc(64, (sizeof(*tc) + 63) & ~63ul);
	cr_assert(space && tc);
	memset(tc, 0, sizeof(*tc));
	cpu = &tc->cpu;
}

static void teardown(void)
{
	tc_space_destroy(tr, space);
	translator_destroy(tr);
	free(tc);
}

void on_each_host(void (*test)(void))
{
	for (unsigned i = 0; i < 2; i++) {
		if (i && !__builtin_cpu_supports("bmi2"))
			continue;
		setup(i ? HOST_BMI2 : 0);
		test();
		teardown();
	}
}

static void fill_fpu(struct fxsave_image *fpu)
{
	memset(fpu, 0, sizeof(*fpu));
	fpu->fcw = 0x0a7f;
	fpu->fsw = 0x2800;
	fpu->ftw = 0x5a;
	fpu->mxcsr = 0x7fa1;
	fpu->mxcsr_mask = 0xffff;
	for (unsigned i = 0; i < 8; i++) {
		memset(fpu->st[i], 0x11 * i + 3, 10);
		memset(fpu->xmm[i], 0x10 * i + 7, 16);
	}
}

const uint32_t initial[8] = {
	0x81020304, 0x91223344, 0xa1426384, 0xb16293c4, 0xc182b304, 0xd1a2d344, 0xe1c2f384,
	0xf1e313c4,
};

const uint32_t some_flags[] = {
	0, X86_CF, X86_PF, X86_AF, X86_ZF, X86_SF, X86_OF, X86_DF, X86_IF, X86_DF | X86_OF | X86_ZF,
	X86_ARITH_FLAGS | X86_DF | X86_IF, X86_ARITH_FLAGS | X86_AC | X86_IOPL | X86_ID,
};
const unsigned some_nflags = RF_ARRAY_SIZE(some_flags);

#define NO_WINDOW (1ull << 40)

void prepare(uint32_t eflags)
{
	struct tc_words *w = &tc->tcw;

	memset(tc, 0, sizeof(*tc));
	memset(&seen, 0, sizeof(seen));
	for (unsigned i = 0; i < 8; i++) {
		cpu->regs[i] = initial[i];
		todo.regs[i] = 0xf0a0b0c0 - 0x01030507 * i;
	}
	cpu->eflags = eflags | X86_F1;
	cpu->eip = CODE;
	fill_fpu(&cpu->fpu);
	w->window = NO_WINDOW;
	w->event_mask = ~0u;
	w->segment_memos = (uintptr_t)memos;
	for (unsigned i = 0; i < 2; i++)
		w->soft_table[i] = (uintptr_t)soft[i];
	translator_reset_returns(tr, cpu, false);
}

struct tu *translate_code(const uint8_t *code, unsigned len, uint32_t mode, uint32_t adapt)
{
	const uint32_t to = FAR_AWAY - (CODE + len + 5);

	memset(guest_page, 0x90, sizeof(guest_page));
	if (len)
		memcpy(guest_page + (CODE - PAGE), code, len);
	guest_page[CODE - PAGE + len] = 0xe9;
	memcpy(guest_page + (CODE - PAGE + len + 1), &to, 4);
	translator_flush(tr);
	translator_unadapt(tr, GPA(CODE), ADAPT_ALL);
	if (adapt)
		translator_adapt(tr, GPA(CODE), adapt);
	translator_use_space(tr, cpu, space, mode);
	return translator_find(tr, space, CODE, mode);
}

enum tc_leave run(const uint8_t *code, unsigned len, uint32_t mode, uint32_t adapt)
{
	struct tu *tu = translate_code(code, len, mode, adapt);
	const uint64_t rsp = tc->tcw.tc_rsp;
	const struct fxsave_image fpu = cpu->fpu;
	enum tc_leave why;
	uint64_t flags;

	cr_assert_not_null(tu);
	why = translator_enter(tr, cpu, tu);
	__asm__ volatile("pushf; pop %0" : "=r"(flags));
	cr_expect(!(flags & X86_DF), "C goes on with DF set");
	cr_expect_eq(__builtin_ia32_stmxcsr(), MXCSR_FOR_C);
	cr_expect_eq(tc->tcw.tc_rsp, rsp, "something stays on the return stack");
	cr_expect(cpu->fpu.fcw == fpu.fcw && cpu->fpu.fsw == fpu.fsw && cpu->fpu.ftw == fpu.ftw &&
			  cpu->fpu.mxcsr == fpu.mxcsr,
		  "FPU control words changed");
	cr_expect(!memcmp(cpu->fpu.st, fpu.st, sizeof(fpu.st)), "x87 registers changed");
	cr_expect(!memcmp(cpu->fpu.xmm, fpu.xmm, 8 * 16), "XMM registers changed");
	return why;
}

void expect_registers(const char *what, const volatile uint32_t *are,
		      const volatile uint32_t *expected)
{
	for (unsigned i = 0; i < 8; i++)
		cr_expect_eq(are[i], expected[i], "%s: register %u is %x, not %x", what, i, are[i],
			     expected[i]);
}

void expect_far_away(const char *what, enum tc_leave why)
{
	cr_assert_eq(why, TC_LEAVE_LINK, "%s: left for %u", what, why);
	cr_expect_eq(translator_exit_target(tr, translator_exit_taken(cpu)), FAR_AWAY, "%s", what);
}
