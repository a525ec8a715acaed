/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest gone mad: random bytes as code, random registers, flags and modes. Whatever it does, the
 * interpreter comes back, and what must always hold of the processor's state does.
 */
#include <string.h>
#include "interp_fixture.h"

static uint64_t rng_state = 0x9e3779b97f4a7c15ull;

static uint32_t rnd(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state >> 16;
}

static void random_mode(void)
{
	switch (rnd() % 5) {
	case 0: fx_enter_real(); break;
	case 1: fx_enter_v86(rnd() & 3); break;
	case 2: fx_enter_ring3(); break;
	case 3: fx_enable_paging(); break;
	}
	CPU.eip = CPU.seg[X86_CS].base ? 0x100 : FX_CODE;
	CPU.eflags |= rnd() & (X86_ARITH_FLAGS | X86_DF | X86_IOPL | X86_AC | X86_ID |
			       (rnd() % 8 ? 0 : X86_TF | X86_RF));
	if (rnd() % 8 == 0)
		CPU.dr[7] = rnd();
	if (rnd() % 4 == 0)
		CPU.cr0 |= rnd() & (CR0_TS | CR0_EM | CR0_AM);
	for (unsigned n = 0; n < 8; n++)
		CPU.regs[n] = rnd() % 2 ? rnd() & 0xffff : rnd();
	for (unsigned n = 0; n < 4; n++)
		CPU.dr[n] = rnd() & 0xffff;
}

static void check_invariants(unsigned round)
{
	cr_assert(CPU.eflags & X86_F1, "round %u", round);
	cr_assert_lt(CPU.cpl, 4, "round %u", round);
	cr_assert(!(CPU.eflags & X86_VM) || CPU.cpl == 3,
		  "round %u: virtual-8086 mode runs at CPL 3", round);
	cr_assert_eq(CPU.fpu.mxcsr & ~0xffffu, 0, "round %u", round);
	cr_assert(CPU.cr0 & CR0_PE || !(CPU.cr0 & CR0_PG), "round %u: paging without protection",
		  round);
}

Test(interp_random, comes_back, .init = ix_setup, .fini = ix_teardown, .timeout = 300)
{
	unsigned delivered = 0, completed = 0;
	struct cpu pristine;

	for (unsigned round = 0; round < 6000; round++) {
		uint8_t *code;

		/* What it did to memory and tables stays for a while. */
		if (round % 20 == 19) {
			ix_teardown();
			ix_setup();
		}
		if (round == 0)
			memcpy(&pristine, &CPU, sizeof(pristine));
		memcpy(&CPU, &pristine, sizeof(pristine));
		soft_tlb_flush(VCPU, true);
		random_mode();
		code = fx_vm->ram.flat + ((CPU.seg[X86_CS].base + CPU.eip) & (FX_RAM_SIZE / 2 - 1));
		for (unsigned n = 0; n < 256; n++)
			code[n] = rnd() >> 5;
		for (unsigned n = 0; n < 100; n++) {
			uint64_t count = 0;
			enum interp_result result = rnd() % 2 ? interp_run(VCPU, &count) :
								interp_step(VCPU);

			check_invariants(round);
			delivered += result == INTERP_EXCEPTION;
			completed += result == INTERP_OK;
			if (result == INTERP_DEAD || result == INTERP_HALT)
				break;
		}
	}
	cr_expect_gt(delivered, 1000);
	cr_expect_gt(completed, 10000);
}
