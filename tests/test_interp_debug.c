/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter's debug exceptions (SDM vol. 3, 17.3): single step, instruction, data and I/O
 * breakpoints, RF, MOV SS.
 */
#include <string.h>
#include "interp_fixture.h"

#define BS 0x4000u

TestSuite(interp_debug, .init = ix_setup, .fini = ix_teardown, .timeout = 120);

static uint32_t saved_eip(void)
{
	return fx_read32(CPU.regs[X86_ESP]);
}

Test(interp_debug, single_step_traps_behind_the_instruction)
{
	CPU.eflags |= X86_TF;
	cr_expect_eq(RUN(1, 0x40), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_DB);
	cr_expect_eq(saved_eip(), FX_CODE + 1);
	cr_expect_eq(CPU.dr[6] & BS, BS);
	cr_expect_eq(CPU.regs[X86_EAX], 1);
	cr_expect_not(CPU.eflags & X86_TF);
}

Test(interp_debug, popf_that_sets_tf_traps_after_the_next)
{
	fx_write32(CPU.regs[X86_ESP], X86_TF | X86_F1);
	cr_expect_eq(RUN(1, 0x9d, 0x40), INTERP_OK);
	cr_expect_eq(interp_run(VCPU, &(uint64_t){ 0 }), INTERP_EXCEPTION);
	cr_expect_eq(saved_eip(), FX_CODE + 2);
}

Test(interp_debug, mov_ss_holds_the_trap_back)
{
	CPU.eflags |= X86_TF;
	CPU.regs[X86_EAX] = KDATA;
	cr_expect_eq(RUN(1, 0x8e, 0xd0, 0x43), INTERP_OK);
	cr_expect_eq(interp_step(VCPU), INTERP_EXCEPTION);
	cr_expect_eq(saved_eip(), FX_CODE + 3);
	cr_expect_eq(CPU.regs[X86_EBX], 1);
}

Test(interp_debug, each_iteration_of_rep_traps)
{
	CPU.eflags |= X86_TF;
	CPU.regs[X86_EDI] = 0x5000;
	CPU.regs[X86_ECX] = 3;
	cr_expect_eq(RUN(1, 0xf3, 0xaa), INTERP_EXCEPTION);
	cr_expect_eq(CPU.regs[X86_ECX], 2);
	cr_expect_eq(saved_eip(), FX_CODE);
}

Test(interp_debug, int_n_does_not_trap_in_its_handler)
{
	CPU.eflags |= X86_TF;
	cr_expect_eq(RUN(1, 0xcd, 0x30), INTERP_OK);
	cr_expect_eq(ix_vector(), 0x30);
	cr_expect_eq(CPU.dr[6] & BS, 0);
}

Test(interp_debug, into_that_falls_through_traps)
{
	CPU.eflags |= X86_TF;
	cr_expect_eq(RUN(1, 0xce), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_DB);
	cr_expect_eq(saved_eip(), FX_CODE + 1);
	cr_expect_eq(CPU.dr[6] & BS, BS);
	CPU.eip = FX_CODE;
	CPU.dr[6] = 0;
	CPU.eflags |= X86_TF | X86_OF;
	cr_expect_eq(RUN(1, 0xce), INTERP_OK);
	cr_expect_eq(ix_vector(), EXC_OF);
	cr_expect_eq(CPU.dr[6] & BS, 0);
}

Test(interp_debug, a_faulting_instruction_does_not_trap)
{
	CPU.eflags |= X86_TF;
	cr_expect_eq(RUN(1, 0x0f, 0x0b), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_UD);
	cr_expect_eq(CPU.dr[6] & BS, 0);
}

Test(interp_debug, instruction_breakpoint_and_rf)
{
	CPU.dr[1] = FX_CODE;
	CPU.dr[7] = 0x4; /* L1, execute */
	cr_expect_eq(RUN(1, 0x40), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_DB);
	cr_expect_eq(saved_eip(), FX_CODE, "a fault");
	cr_expect_eq(CPU.dr[6] & 0xf, 2);
	cr_expect_eq(CPU.regs[X86_EAX], 0);
	CPU.eip = FX_CODE;
	CPU.eflags |= X86_RF;
	cr_expect_eq(interp_step(VCPU), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_EAX], 1);
	cr_expect_not(CPU.eflags & X86_RF);
}

Test(interp_debug, data_breakpoint_on_writes)
{
	CPU.dr[0] = 0x5000;
	CPU.dr[7] = 0x1 | 1 << 16 | 3 << 18; /* L0, write, four bytes */
	CPU.regs[X86_EBX] = 0x5002;
	cr_expect_eq(RUN(1, 0x8a, 0x03), INTERP_OK, "a read is no write");
	cr_expect_eq(RUN(1, 0x88, 0x03), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_DB);
	cr_expect_eq(saved_eip(), FX_CODE + 4, "a trap");
	cr_expect_eq(CPU.dr[6] & 0xf, 1);
	CPU.eip = FX_CODE;
	CPU.dr[6] = 0;
	CPU.regs[X86_EBX] = 0x5004;
	cr_expect_eq(RUN(1, 0x88, 0x03), INTERP_OK);
	CPU.regs[X86_EBX] = 0x4fff;
	cr_expect_eq(RUN(1, 0x66, 0x89, 0x03), INTERP_EXCEPTION, "overlaps by a byte");
}

Test(interp_debug, data_breakpoint_on_reads_and_strings)
{
	CPU.dr[3] = 0x5010;
	CPU.dr[7] = 0x40 | 3u << 28; /* L3, read or write, one byte */
	CPU.regs[X86_ESI] = 0x5000;
	CPU.regs[X86_EDI] = 0x6000;
	CPU.regs[X86_ECX] = 0x20;
	enum interp_result result = INTERP_OK;
	for (unsigned n = 0; n < 0x40 && result == INTERP_OK; n++) {
		result = RUN(1, 0xf3, 0xa4);
	}
	cr_expect_eq(result, INTERP_EXCEPTION);
	cr_expect_eq(CPU.regs[X86_ESI], 0x5011);
	cr_expect_eq(CPU.dr[6] & 0xf, 8);
}

Test(interp_debug, data_breakpoint_of_mov_ss_comes_one_later)
{
	CPU.dr[0] = 0x5000;
	CPU.dr[7] = 0x1 | 3 << 16 | 1 << 18;
	CPU.regs[X86_EBX] = 0x5000;
	fx_write16(0x5000, KDATA);
	cr_expect_eq(RUN(1, 0x8e, 0x13, 0x40), INTERP_OK);
	cr_expect_eq(interp_step(VCPU), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_DB);
	cr_expect_eq(saved_eip(), FX_CODE + 3);
	cr_expect_eq(CPU.dr[6] & 0xf, 1);
}

Test(interp_debug, io_breakpoint)
{
	CPU.dr[2] = 0x60;
	CPU.dr[7] = 0x10 | 2u << 24;
	cr_expect_eq(RUN(1, 0xe4, 0x60), INTERP_OK, "without CR4.DE there are none");
	CPU.cr4 |= CR4_DE;
	cr_expect_eq(RUN(1, 0xe4, 0x60), INTERP_EXCEPTION);
	cr_expect_eq(CPU.dr[6] & 0xf, 4);
	cr_expect_eq(fx_record.pio_reads, 2);
}

Test(interp_debug, int1)
{
	cr_expect_eq(RUN(1, 0xf1), INTERP_OK);
	cr_expect_eq(ix_vector(), EXC_DB);
	cr_expect_eq(saved_eip(), FX_CODE + 1);
}
