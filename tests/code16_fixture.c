/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include "code16_fixture.h"

void code16_reset(struct bf *bf)
{
	struct cpu *cpu = bf->cpu;

	bf_reset(bf, 0, false);
	cpu->cr0 &= ~CR0_PE;
	cpu->idtr = (struct table_register){ 0, 0x3ff };
	for (unsigned s = 0; s < X86_NSEG; s++) {
		const uint16_t selector = s == X86_CS || s == X86_SS ? 0 : DATA_SEGMENT;

		cpu->seg[s] = (struct segment){ selector, 0x93, selector << 4, 0xffff };
	}
	for (unsigned v = 0; v < 64; v++) {
		bf_write32(bf, 4 * v, HANDLERS + 16 * v);
		BF_CODE_AT(bf, HANDLERS + 16 * v, BF_STOP, 0xeb, 0xfe);
	}
	cpu->eip = CODE;
	cpu->regs[X86_ESP] = 0x7000;
}

void code16_reset_v86(struct bf *bf, unsigned iopl)
{
	struct cpu *cpu = bf->cpu;

	bf_reset(bf, 3, true);
	for (unsigned s = 0; s < X86_NSEG; s++) {
		const uint16_t selector = s == X86_CS || s == X86_SS ? 0 : DATA_SEGMENT;

		cpu->seg[s] = (struct segment){ selector, 0xf3, selector << 4, 0xffff };
	}
	cpu->eflags |= X86_VM | iopl << 12;
	cpu->eip = CODE;
	cpu->regs[X86_ESP] = 0x7000;
}

void code16_in_both(void (*program)(struct bf *bf))
{
	static const char *const engines[] = { "interp", "bt" };

	for (unsigned n = 0; n < RF_ARRAY_SIZE(engines); n++) {
		struct bf *bf = bf_create(engines[n], NULL);

		snprintf(bf->name, sizeof(bf->name), "%s", engines[n]);
		code16_reset(bf);
		program(bf);
		bf_destroy(bf);
	}
}

void code16_run(struct bf *bf)
{
	int vector;

	cr_assert_eq(bf_run(bf, &vector), BF_STOPPED, "[%s]", bf->name);
}

int code16_interrupt(struct bf *bf)
{
	const uint32_t offset = bf->cpu->eip - 2 - HANDLERS;

	return offset < 64 * 16 && !(offset % 16) ? (int)offset / 16 : -1;
}

uint16_t code16_pushed(struct bf *bf, unsigned word)
{
	return bf_read32(bf, bf->cpu->regs[X86_ESP] + 2 * word);
}
