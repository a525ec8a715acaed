/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which instructions of 16-bit code in protected mode are left to C code, by which callout, and
 * which of them end their unit (docs/translation.md).
 */
#include <criterion/criterion.h>
#include "stub_fixture.h"

/* The interpreter, and the unit ends. */
#define ENDS (0x100 | CALLOUT_INTEGER)

static const struct { const char *name; uint8_t code[6]; unsigned len, which; } cases[] = {
	{ "daa", { 0x27 }, 1, CALLOUT_INTEGER }, { "das", { 0x2f }, 1, CALLOUT_INTEGER },
	{ "aaa", { 0x37 }, 1, CALLOUT_INTEGER }, { "aas", { 0x3f }, 1, CALLOUT_INTEGER },
	{ "aam", { 0xd4, 10 }, 2, CALLOUT_INTEGER }, { "aad", { 0xd5, 10 }, 2, CALLOUT_INTEGER },
	{ "salc", { 0xd6 }, 1, CALLOUT_INTEGER }, { "xlat", { 0xd7 }, 1, CALLOUT_INTEGER },
	{ "bound", { 0x62, 0x07 }, 2, CALLOUT_INTEGER },
	{ "arpl", { 0x63, 0xc0 }, 2, CALLOUT_INTEGER },
	{ "insb", { 0x6c }, 1, CALLOUT_INTEGER }, { "outsw", { 0x6f }, 1, CALLOUT_INTEGER },
	{ "in", { 0xe4, 0x60 }, 2, CALLOUT_INTEGER }, { "out", { 0xef }, 1, CALLOUT_INTEGER },
	{ "enter", { 0xc8, 4, 0, 0 }, 4,
	  CALLOUT_INTEGER },
	{ "into", { 0xce }, 1, CALLOUT_INTEGER },
	{ "mov ss", { 0x8e, 0xd0 }, 2, CALLOUT_INTEGER },
	{ "pop ss", { 0x17 }, 1, CALLOUT_INTEGER },
	{ "cpuid", { 0x0f, 0xa2 }, 2, CALLOUT_INTEGER },
	{ "smsw", { 0x0f, 0x01, 0xe0 }, 3, CALLOUT_INTEGER },
	{ "mov cr0", { 0x0f, 0x22, 0xc0 }, 3, CALLOUT_INTEGER },
	{ "bsr", { 0x0f, 0xbd, 0xc0 }, 3, CALLOUT_INTEGER },
	{ "cmpxchg8b", { 0x0f, 0xc7, 0x0f }, 3, CALLOUT_INTEGER },
	{ "maskmovq", { 0x0f, 0xf7, 0xc1 }, 3, CALLOUT_INTERPRET },
	{ "fxsave", { 0x0f, 0xae, 0x07 }, 3, CALLOUT_INTERPRET },
	{ "fld1", { 0xd9, 0xe8 }, 2, CALLOUT_INTERPRET },
	{ "fwait", { 0x9b }, 1, CALLOUT_INTERPRET },
	{ "mov es", { 0x8e, 0xc0 }, 2, CALLOUT_LOAD_SEGMENT },
	{ "mov ds", { 0x8e, 0xd8 }, 2, CALLOUT_LOAD_SEGMENT },
	{ "mov fs", { 0x8e, 0xe0 }, 2, CALLOUT_LOAD_SEGMENT },
	{ "mov gs", { 0x8e, 0xe8 }, 2, CALLOUT_LOAD_SEGMENT },
	{ "call far", { 0x9a, 0, 0, 0, 1 }, 5, 0x100 | CALLOUT_FAR_CALL },
	{ "jmp far", { 0xea, 0, 0, 0, 1 }, 5, 0x100 | CALLOUT_FAR_JUMP },
	{ "int1", { 0xf1 }, 1, ENDS },
	{ "hlt", { 0xf4 }, 1, ENDS }, { "ud2", { 0x0f, 0x0b }, 2, 0x100 | CALLOUT_INTERPRET },
	{ "sysenter", { 0x0f, 0x34 }, 2, ENDS }, { "sysexit", { 0x0f, 0x35 }, 2, ENDS },
};

static uint32_t mode_of_code16(void)
{
	const struct segment cs = { .attr = 0x9b, .limit = 0xffff };

	translator_learn_code_segment(tr, &cs);
	return RING0 | MODE_CODE16 | translator_code_segment(tr, &cs);
}

static void instructions(void)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		const struct tu *tu;
		enum tc_leave why;

		prepare(X86_CF | X86_ZF);
		todo.result = CALLOUT_LEAVE(TC_LEAVE_DEAD);
		todo.eflags = X86_F1;
		why = run(cases[i].code, cases[i].len, mode_of_code16(), 0);
		tu = translate_code(cases[i].code, cases[i].len, mode_of_code16(), 0);
		cr_expect_eq(tu->ninsns == 1, cases[i].which >> 8, "%s: %u instructions",
			     cases[i].name, tu->ninsns);
		cr_expect_eq(why, TC_LEAVE_DEAD, "%s: left for %u", cases[i].name, why);
		cr_expect_eq(seen.times, 1, "%s: %u callouts", cases[i].name, seen.times);
		cr_expect_eq(seen.which, cases[i].which & 0xff, "%s: callout %u", cases[i].name,
			     seen.which);
		cr_expect_eq(seen.eip, CODE, "%s: at %x", cases[i].name, seen.eip);
		expect_registers(cases[i].name, seen.regs, initial);
		cr_expect_eq(seen.eflags, X86_CF | X86_ZF | X86_F1, "%s: flags %x", cases[i].name,
			     seen.eflags);
	}
}

Test(stub_code16, what_leaves_and_what_calls_out)
{
	on_each_host(instructions);
}
