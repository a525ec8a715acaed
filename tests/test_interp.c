/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter in its own right: segments, faults and what they leave, modes, strings,
 * self-modifying code, system instructions.
 */
#include <string.h>
#include "interp_fixture.h"
#include "monitor/processor/cpu_models.h"

TestSuite(interp, .init = ix_setup, .fini = ix_teardown, .timeout = 120);

static uint32_t *reg(enum x86_reg r)
{
	return &CPU.regs[r];
}

/* Error code that delivery pushed. */
static uint32_t pushed_error(void)
{
	return fx_read32(*reg(X86_ESP));
}

static void load_seg(enum x86_seg seg, uint16_t selector)
{
	CPU.seg[seg] =
		segment_from_descriptor(selector, fx_read64(FX_GDT + (selector & ~7)) | 1ull << 40);
}

/* --- Segments --- */

Test(interp, limit_violation_of_a_data_segment)
{
	CPU.seg[X86_DS].limit = 0x1002;
	/* mov eax, [0x1000]: one byte too far */
	cr_expect_eq(RUN(1, 0xa1, 0x00, 0x10, 0, 0), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
	cr_expect_eq(pushed_error(), 0);
	cr_expect_eq(fx_read32(*reg(X86_ESP) + 4), FX_CODE, "the faulting instruction's address");
}

Test(interp, last_bytes_of_a_segment)
{
	CPU.seg[X86_DS].limit = 0x1003;
	cr_expect_eq(RUN(1, 0xa1, 0x00, 0x10, 0, 0), INTERP_OK);
}

Test(interp, limit_violation_of_the_stack)
{
	CPU.regs[X86_EBP] = 0x2000;
	/* The handler needs a stack that works: come from ring 3. */
	fx_enter_ring3();
	CPU.seg[X86_SS].limit = 0x1000;
	CPU.eip = FX_CODE;
	cr_expect_eq(RUN(1, 0x8b, 0x45, 0x00), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_SS);
	cr_expect_eq(pushed_error(), 0);
}

Test(interp, offset_near_four_gib_does_not_wrap)
{
	CPU.regs[X86_EBX] = 0xfffffffe;
	cr_expect_eq(RUN(1, 0x8b, 0x03), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
}

Test(interp, null_segment)
{
	CPU.seg[X86_ES] = (struct segment){ 0 };
	cr_expect_eq(RUN(1, 0x26, 0x8b, 0x03), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
}

Test(interp, read_only_data)
{
	load_seg(X86_DS, READONLY_DATA);
	CPU.regs[X86_EBX] = 0x5000;
	cr_expect_eq(RUN(1, 0x8b, 0x03), INTERP_OK);
	cr_expect_eq(RUN(1, 0x89, 0x03), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
}

Test(interp, code_segments_as_data)
{
	CPU.regs[X86_EBX] = 0x5000;
	fx_write32(0x5000, 0x1234);
	cr_expect_eq(RUN(1, 0x2e, 0x8b, 0x03), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_EAX], 0x1234);
	cr_expect_eq(RUN(1, 0x2e, 0x89, 0x03), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
}

Test(interp, expand_down)
{
	load_seg(X86_DS, EXPAND_DOWN); /* limit 0xfff, big: 0x1000..0xffffffff */
	CPU.regs[X86_EBX] = 0x1000;
	cr_expect_eq(RUN(1, 0x8b, 0x03), INTERP_OK);
	CPU.regs[X86_EBX] = 0xffc;
	cr_expect_eq(RUN(1, 0x8b, 0x03), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
}

Test(interp, alignment_check)
{
	fx_enter_ring3();
	CPU.eip = FX_CODE;
	CPU.cr0 |= CR0_AM;
	CPU.eflags |= X86_AC;
	CPU.regs[X86_EBX] = 0x5002;
	cr_expect_eq(RUN(1, 0x66, 0x8b, 0x03), INTERP_OK);
	cr_expect_eq(RUN(1, 0x8b, 0x03), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_AC);
	cr_expect_eq(pushed_error(), 0);
}

/* --- Page faults --- */

static void unmap(uint32_t page, uint32_t flags)
{
	fx_enable_paging();
	fx_write32(FX_PAGE_TABLE + 4 * (page >> 12), page | flags);
	soft_tlb_flush(VCPU, true);
}

Test(interp, read_modify_write_faults_as_a_write)
{
	unmap(0x5000, PTE_P);
	CPU.regs[X86_EBX] = 0x5000;
	fx_write32(0x5000, 7);
	CPU.eflags |= X86_CF;
	cr_expect_eq(RUN(1, 0x11, 0x03), INTERP_EXCEPTION); /* adc [ebx], eax */
	cr_expect_eq(ix_vector(), EXC_PF);
	cr_expect_eq(pushed_error(), PFE_P | PFE_W);
	cr_expect_eq(CPU.cr2, 0x5000);
	cr_expect_eq(fx_read32(0x5000), 7);
	cr_expect(fx_read32(*reg(X86_ESP) + 12) & X86_CF, "flags as before");
}

Test(interp, a_store_across_pages_stores_all_or_nothing)
{
	unmap(0x6000, 0);
	CPU.regs[X86_EBX] = 0x5ffe;
	fx_write16(0x5ffe, 0x1111);
	CPU.regs[X86_EAX] = 0xaaaaaaaa;
	cr_expect_eq(RUN(1, 0x89, 0x03), INTERP_EXCEPTION);
	cr_expect_eq(CPU.cr2, 0x6000);
	cr_expect_eq(fx_read16(0x5ffe), 0x1111);
}

Test(interp, an_instruction_across_pages_faults_at_the_second)
{
	unmap(0x22000, 0);
	CPU.eip = 0x21ffe;
	cr_expect_eq(RUN(1, 0xb8, 0x11), INTERP_EXCEPTION); /* mov eax, imm32 */
	cr_expect_eq(ix_vector(), EXC_PF);
	cr_expect_eq(CPU.cr2, 0x22000);
	cr_expect_eq(fx_read32(*reg(X86_ESP) + 4), 0x21ffe);
}

Test(interp, an_instruction_across_pages)
{
	fx_enable_paging();
	CPU.eip = 0x21ffe;
	cr_expect_eq(RUN(1, 0xb8, 0x11, 0x22, 0x33, 0x44), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_EAX], 0x44332211);
	cr_expect_eq(CPU.eip, 0x22003);
}

Test(interp, pop_to_memory_that_faults_keeps_esp)
{
	uint32_t esp = CPU.regs[X86_ESP];

	unmap(0x5000, 0);
	CPU.regs[X86_EBX] = 0x5000;
	cr_expect_eq(RUN(1, 0x8f, 0x03), INTERP_EXCEPTION);
	cr_expect_eq(CPU.regs[X86_ESP], esp - 16,
		     "an exception frame with an error code below the old top");
}

Test(interp, ring3_access_to_a_supervisor_page)
{
	unmap(0x5000, PTE_P | PTE_W);
	fx_enter_ring3();
	CPU.eip = FX_CODE;
	CPU.regs[X86_EBX] = 0x5004;
	cr_expect_eq(RUN(1, 0x8b, 0x03), INTERP_EXCEPTION);
	cr_expect_eq(pushed_error(), PFE_P | PFE_U);
}

/* --- Fetch --- */

Test(interp, too_long)
{
	cr_expect_eq(RUN(1, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
			 0x66, 0x66, 0x66, 0x90),
		     INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
}

Test(interp, code_ends_at_the_limit)
{
	CPU.seg[X86_CS].limit = FX_CODE + 1;
	cr_expect_eq(RUN(1, 0xb8, 1, 2, 3, 4), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
}

Test(interp, undefined_opcodes)
{
	cr_expect_eq(RUN(1, 0x0f, 0x0b), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_UD);
	CPU.eip = FX_CODE;
	cr_expect_eq(RUN(1, 0xf0, 0x8b, 0x03), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_UD);
}

Test(interp, what_the_model_lacks_is_undefined)
{
	VCPU->model = cpu_model_find("486");
	cr_assert_not_null(VCPU->model);
	cr_expect_eq(RUN(1, 0x0f, 0x44, 0xc0), INTERP_EXCEPTION); /* cmove */
	cr_expect_eq(ix_vector(), EXC_UD);
}

/* What ring 0 lacked is noted with its place; what it has, and what ring 3 lacks, is not. */
Test(interp, what_the_model_lacks_is_noted)
{
	const uint16_t cs = CPU.seg[X86_CS].selector;

	VCPU->model = cpu_model_find("486");
	cr_expect_eq(RUN(1, 0x90), INTERP_OK);
	cr_expect_eq(VCPU->lack.features, 0);
	cr_expect_eq(RUN(1, 0x0f, 0x44, 0xc0), INTERP_EXCEPTION);
	cr_expect_eq(VCPU->lack.features, FEATURE_CMOV);
	cr_expect(VCPU->lack.eip == FX_CODE + 1 && VCPU->lack.cs == cs);
	VCPU->lack = (struct cpu_lack){ 0 };
	fx_enter_ring3();
	CPU.eip = FX_CODE;
	cr_expect_eq(RUN(1, 0x0f, 0x44, 0xc0), INTERP_EXCEPTION);
	cr_expect_eq(VCPU->lack.features, 0);
}

/* CRC32 of every size against the check value of CRC-32C; MOVBE both ways (SDM vol. 2). */
Test(interp, crc32_and_movbe)
{
	CPU.regs[X86_EBX] = 0x5000;
	fx_write32(0x5000, 0x34333231);
	fx_write32(0x5004, 0x38373635);
	fx_write32(0x5008, 0x39);
	*reg(X86_EAX) = ~0u;
	/* crc32 eax, dword [ebx]; word [ebx + 4], [ebx + 6]; byte [ebx + 8] */
	cr_expect_eq(RUN(4, 0xf2, 0x0f, 0x38, 0xf1, 0x03, 0x66, 0xf2, 0x0f, 0x38, 0xf1, 0x43, 4,
			 0x66, 0xf2, 0x0f, 0x38, 0xf1, 0x43, 6, 0xf2, 0x0f, 0x38, 0xf0, 0x43, 8),
		     INTERP_OK);
	cr_expect_eq(*reg(X86_EAX), ~0xe3069283, "%x", *reg(X86_EAX));
	/* movbe ecx, [ebx]; movbe [ebx], ax */
	*reg(X86_EAX) = 0x12345678;
	cr_expect_eq(RUN(2, 0x0f, 0x38, 0xf0, 0x0b, 0x66, 0x0f, 0x38, 0xf1, 0x03), INTERP_OK);
	cr_expect_eq(*reg(X86_ECX), 0x31323334, "%x", *reg(X86_ECX));
	cr_expect_eq(fx_read32(0x5000), 0x34337856, "%x", fx_read32(0x5000));
}

/* A far transfer that does not exist faults at itself like anything else. */
Test(interp, undefined_far_transfer_faults_at_itself)
{
	VCPU->model = cpu_model_find("pentium");
	cr_assert_not_null(VCPU->model);
	cr_expect_eq(RUN(1, 0x0f, 0x34), INTERP_EXCEPTION); /* sysenter */
	cr_expect_eq(ix_vector(), EXC_UD);
	cr_expect_eq(fx_read32(CPU.regs[X86_ESP]), FX_CODE);
	CPU.eip = FX_CODE;
	cr_expect_eq(RUN(1, 0xf0, 0xcd, 0x80), INTERP_EXCEPTION); /* lock int */
	cr_expect_eq(ix_vector(), EXC_UD);
	cr_expect_eq(fx_read32(CPU.regs[X86_ESP]), FX_CODE);
}

Test(interp, jump_beyond_the_limit)
{
	CPU.seg[X86_CS].limit = FX_CODE + 0xff;
	cr_expect_eq(RUN(1, 0xe9, 0x00, 0x10, 0, 0), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
	cr_expect_eq(fx_read32(*reg(X86_ESP) + 4), FX_CODE);
}

Test(interp, code_that_modifies_the_next_instruction)
{
	static const uint8_t code[] = {
		/* mov byte [FX_CODE + 7], 0x43: inc ebx */
		0xc6, 0x05, 0x07, 0x00, 0x02, 0x00, 0x43,
		0x40,                                     /* inc eax, until then */
		0xeb, 0xfe,
	};

	for (unsigned fast = 0; fast < 2; fast++) {
		CPU.eip = FX_CODE;
		CPU.regs[X86_EAX] = CPU.regs[X86_EBX] = 0;
		memcpy(fx_vm->ram.flat + FX_CODE, code, sizeof(code));
		if (fast) {
			/* Let it be decoded as it was, then run from the start. */
			CPU.eip = FX_CODE + 7;
			interp_run(VCPU, &(uint64_t){ 0 });
			CPU.eip = FX_CODE;
			CPU.regs[X86_EAX] = 0;
		}
		for (unsigned n = 0; n < 4; n++)
			fast ? interp_run(VCPU, &(uint64_t){ 0 }) : interp_step(VCPU);
		cr_expect_eq(CPU.regs[X86_EAX], 0, "fast %u", fast);
		cr_expect_eq(CPU.regs[X86_EBX], 1, "fast %u", fast);
	}
}

Test(interp, run_stops_at_a_taken_branch_and_goes_on_after_one_not_taken)
{
	static const uint8_t code[] = { 0x31, 0xc0, 0x75, 0x10, 0x40, 0x75,
					0x01, 0x43, 0x43, 0xeb, 0xfe };

	memcpy(fx_vm->ram.flat + FX_CODE, code, sizeof(code));
	CPU.regs[X86_EBX] = 0;
	/* The first time the page is not in the software TLB, and one instruction is done. */
	cr_expect_eq(interp_run(VCPU, &(uint64_t){ 0 }), INTERP_OK);
	cr_expect_eq(CPU.eip, FX_CODE + 2);
	cr_expect_eq(interp_run(VCPU, &(uint64_t){ 0 }), INTERP_OK);
	cr_expect_eq(CPU.eip, FX_CODE + 8);
	cr_expect_eq(CPU.regs[X86_EAX], 1);
	cr_expect_eq(CPU.regs[X86_EBX], 0);
}

/* --- Stack --- */

Test(interp, push_and_pop_of_esp)
{
	uint32_t esp = CPU.regs[X86_ESP];

	cr_expect_eq(RUN(1, 0x54), INTERP_OK);
	cr_expect_eq(fx_read32(esp - 4), esp);
	fx_write32(esp - 4, 0x7000);
	cr_expect_eq(RUN(1, 0x5c), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_ESP], 0x7000);
}

Test(interp, pop_to_esp_based_memory_uses_the_raised_esp)
{
	uint32_t esp = CPU.regs[X86_ESP];

	fx_write32(esp, 0x1234);
	cr_expect_eq(RUN(1, 0x8f, 0x04, 0x24), INTERP_OK);
	cr_expect_eq(fx_read32(esp + 4), 0x1234);
}

Test(interp, sixteen_bit_stack_wraps_and_keeps_the_upper_half)
{
	load_seg(X86_SS, DATA16);
	CPU.regs[X86_ESP] = 0x12340000;
	CPU.regs[X86_EAX] = 0xcafe;
	cr_expect_eq(RUN(1, 0x66, 0x50), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_ESP], 0x1234fffe);
	cr_expect_eq(fx_read16(0xfffe), 0xcafe);
	cr_expect_eq(RUN(1, 0x66, 0x5b), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_ESP], 0x12340000);
	cr_expect_eq((uint16_t)CPU.regs[X86_EBX], 0xcafe);
}

Test(interp, enter_copies_the_display)
{
	CPU.regs[X86_ESP] = 0x7000;
	CPU.regs[X86_EBP] = 0x6000;
	fx_write32(0x5ffc, 0x111);
	fx_write32(0x5ff8, 0x222);
	cr_expect_eq(RUN(1, 0xc8, 0x10, 0, 3), INTERP_OK);
	cr_expect_eq(fx_read32(0x6ffc), 0x6000);
	cr_expect_eq(fx_read32(0x6ff8), 0x111);
	cr_expect_eq(fx_read32(0x6ff4), 0x222);
	cr_expect_eq(fx_read32(0x6ff0), 0x6ffc);
	cr_expect_eq(CPU.regs[X86_EBP], 0x6ffc);
	cr_expect_eq(CPU.regs[X86_ESP], 0x6fe0);
	cr_expect_eq(RUN(1, 0xc9), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_EBP], 0x6000);
	cr_expect_eq(CPU.regs[X86_ESP], 0x7000);
}

Test(interp, pushf_hides_rf_and_vm)
{
	CPU.eflags |= X86_RF | X86_CF;
	cr_expect_eq(RUN(1, 0x9c), INTERP_OK);
	cr_expect_eq(fx_read32(CPU.regs[X86_ESP]) & (X86_RF | X86_VM | X86_CF | X86_F1),
		     X86_CF | X86_F1);
	cr_expect_not(CPU.eflags & X86_RF, "RF is cleared by a completed instruction");
}

Test(interp, ret_releases)
{
	CPU.regs[X86_ESP] = 0x7000;
	fx_write32(0x7000, 0x20100);
	cr_expect_eq(RUN(1, 0xc2, 8, 0), INTERP_OK);
	cr_expect_eq(CPU.eip, 0x20100);
	cr_expect_eq(CPU.regs[X86_ESP], 0x700c);
}

/* --- Strings --- */

Test(interp, rep_movs_keeps_its_progress_when_it_faults)
{
	unmap(0x6000, 0);
	CPU.regs[X86_ESI] = 0x4ff0;
	CPU.regs[X86_EDI] = 0x5ff0;
	CPU.regs[X86_ECX] = 16;
	fx_write32(0x4ffc, 0xdddddddd);
	enum interp_result result = INTERP_OK;
	for (unsigned n = 0; n < 4 && result == INTERP_OK; n++) {
		result = RUN(1, 0xf3, 0xa5);
	}
	cr_expect_eq(result, INTERP_EXCEPTION);
	cr_expect_eq(CPU.cr2, 0x6000);
	cr_expect_eq(CPU.regs[X86_ECX], 12);
	cr_expect_eq(CPU.regs[X86_ESI], 0x5000);
	cr_expect_eq(CPU.regs[X86_EDI], 0x6000);
	cr_expect_eq(fx_read32(0x5ffc), 0xdddddddd);
	cr_expect_eq(fx_read32(*reg(X86_ESP) + 4), FX_CODE);
}

Test(interp, rep_stos_in_batches)
{
	unsigned steps = 0;

	CPU.regs[X86_EAX] = 0x5a;
	CPU.regs[X86_EDI] = 0x100000;
	CPU.regs[X86_ECX] = 20000;
	do {
		cr_assert_eq(RUN(1, 0xf3, 0xaa), INTERP_OK);
		steps++;
	} while (CPU.eip == FX_CODE);
	cr_expect_gt(steps, 1);
	cr_expect_eq(CPU.regs[X86_ECX], 0);
	cr_expect_eq(CPU.regs[X86_EDI], 0x100000 + 20000);
	for (unsigned n = 0; n < 20000; n++)
		cr_assert_eq(fx_vm->ram.flat[0x100000 + n], 0x5a, "%u", n);
	cr_expect_eq(fx_vm->ram.flat[0x100000 + 20000], 0);
}

Test(interp, overlapping_rep_movs_propagates)
{
	fx_write32(0x5000, 0x04030201);
	CPU.regs[X86_ESI] = 0x5000;
	CPU.regs[X86_EDI] = 0x5001;
	CPU.regs[X86_ECX] = 8;
	cr_expect_eq(RUN(1, 0xf3, 0xa4), INTERP_OK);
	cr_expect_eq(fx_read64(0x5000), 0x0101010101010101);
}

Test(interp, rep_with_sixteen_bit_addresses)
{
	CPU.regs[X86_ECX] = 0x10002;
	CPU.regs[X86_EDI] = 0xabcdfffe;
	CPU.regs[X86_EAX] = 0x77;
	cr_expect_eq(RUN(1, 0x67, 0xf3, 0xaa), INTERP_OK);
	while (CPU.eip == FX_CODE)
		cr_assert_eq(interp_step(VCPU), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_ECX], 0x10000);
	cr_expect_eq(CPU.regs[X86_EDI], 0xabcd0000);
	cr_expect_eq(fx_read16(0xfffe), 0x7777);
}

Test(interp, repne_scas_stops_behind_the_match)
{
	memcpy(fx_vm->ram.flat + 0x5000, "hello", 6);
	CPU.regs[X86_EDI] = 0x5000;
	CPU.regs[X86_ECX] = 0xffffffff;
	CPU.regs[X86_EAX] = 0;
	cr_expect_eq(RUN(1, 0xf2, 0xae), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_EDI], 0x5006);
	cr_expect_eq(CPU.regs[X86_ECX], 0xfffffff9);
	cr_expect(CPU.eflags & X86_ZF);
}

/* SDM vol. 2, REP: the flags are restored, the progress is not. */
Test(interp, repne_scas_that_faults_has_its_progress_but_not_its_flags)
{
	unmap(0x6000, 0);
	memset(fx_vm->ram.flat + 0x5ff8, 0x80, 8);
	CPU.regs[X86_EAX] = 0;
	CPU.regs[X86_EDI] = 0x5ff8;
	CPU.regs[X86_ECX] = 20;
	CPU.eflags |= X86_ZF | X86_AF;
	cr_expect_eq(RUN(1, 0xf2, 0xae), INTERP_EXCEPTION);
	cr_expect_eq(CPU.cr2, 0x6000);
	cr_expect_eq(CPU.regs[X86_EDI], 0x6000);
	cr_expect_eq(CPU.regs[X86_ECX], 12);
	cr_expect_eq(CPU.eflags & X86_ARITH_FLAGS, X86_ZF | X86_AF);
}

Test(interp, rep_with_a_count_of_zero_does_nothing)
{
	uint32_t eflags = CPU.eflags |= X86_CF;

	CPU.regs[X86_ECX] = 0;
	CPU.regs[X86_ESI] = CPU.regs[X86_EDI] = 0xfffffff0;
	cr_expect_eq(RUN(1, 0xf3, 0xa6), INTERP_OK);
	cr_expect_eq(CPU.eflags, eflags);
	cr_expect_eq(CPU.eip, FX_CODE + 2);
}

/* --- Faults of computing --- */

Test(interp, divide_errors)
{
	CPU.regs[X86_ECX] = 0;
	cr_expect_eq(RUN(1, 0xf7, 0xf1), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_DE);
	CPU.eip = FX_CODE;
	CPU.regs[X86_EAX] = 0x80000000;
	CPU.regs[X86_EDX] = 0xffffffff;
	CPU.regs[X86_ECX] = 0xffffffff;
	cr_expect_eq(RUN(1, 0xf7, 0xf9), INTERP_EXCEPTION); /* INT_MIN / -1 */
	cr_expect_eq(ix_vector(), EXC_DE);
	CPU.eip = FX_CODE;
	cr_expect_eq(RUN(1, 0xd4, 0), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_DE);
	cr_expect_eq(CPU.regs[X86_EAX], 0x80000000);
}

Test(interp, bound_and_into)
{
	fx_write32(0x5000, -5);
	fx_write32(0x5004, 5);
	CPU.regs[X86_EBX] = 0x5000;
	CPU.regs[X86_EAX] = 5;
	cr_expect_eq(RUN(1, 0x62, 0x03), INTERP_OK);
	CPU.regs[X86_EAX] = -6;
	cr_expect_eq(RUN(1, 0x62, 0x03), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_BR);
	CPU.eip = FX_CODE;
	cr_expect_eq(RUN(1, 0xce), INTERP_OK);
	CPU.eflags |= X86_OF;
	RUN(1, 0xce);
	cr_expect_eq(ix_vector(), EXC_OF);
	cr_expect_eq(fx_read32(CPU.regs[X86_ESP]), FX_CODE + 2, "a trap: behind the instruction");
}

Test(interp, int_n)
{
	RUN(1, 0xcd, 0x80);
	cr_expect_eq(ix_vector(), 0x80);
	cr_expect_eq(fx_read32(CPU.regs[X86_ESP]), FX_CODE + 2);
}

Test(interp, int_n_from_ring3_through_a_kernel_gate)
{
	fx_enter_ring3();
	CPU.eip = FX_CODE;
	cr_expect_eq(RUN(1, 0xcd, 0x40), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
	cr_expect_eq(pushed_error(), 0x40 * 8 + 2);
	cr_expect_eq(fx_read32(CPU.regs[X86_ESP] + 4), FX_CODE);
}

Test(interp, cmpxchg8b)
{
	fx_write64(0x5000, 0x1111111122222222);
	CPU.regs[X86_ESI] = 0x5000;
	CPU.regs[X86_EAX] = 1;
	CPU.regs[X86_EDX] = 2;
	RUN(1, 0x0f, 0xc7, 0x0e);
	cr_expect_eq(CPU.regs[X86_EAX], 0x22222222);
	cr_expect_eq(CPU.regs[X86_EDX], 0x11111111);
	cr_expect_not(CPU.eflags & X86_ZF);
	CPU.regs[X86_EBX] = 3;
	CPU.regs[X86_ECX] = 4;
	RUN(1, 0xf0, 0x0f, 0xc7, 0x0e);
	cr_expect(CPU.eflags & X86_ZF);
	cr_expect_eq(fx_read64(0x5000), 0x0000000400000003);
}

/* --- Real and virtual-8086 mode, 16-bit code --- */

static void real_vector(unsigned vector, uint16_t segment, uint16_t offset)
{
	fx_write16(vector * 4, offset);
	fx_write16(vector * 4 + 2, segment);
}

Test(interp, real_mode_addresses)
{
	fx_enter_real();
	CPU.regs[X86_EBX] = 0xffff0010;
	CPU.regs[X86_ESI] = 0x20;
	fx_write16((CPU.seg[X86_DS].selector << 4) + 0x33, 0xbeef);
	cr_expect_eq(RUN(1, 0x8b, 0x40, 0x03), INTERP_OK); /* mov ax, [bx+si+3] */
	cr_expect_eq((uint16_t)CPU.regs[X86_EAX], 0xbeef);
}

Test(interp, real_mode_word_at_ffff)
{
	fx_enter_real();
	real_vector(EXC_GP, 0x0800, 0x0040);
	CPU.regs[X86_EBX] = 0xffff;
	cr_expect_eq(RUN(1, 0x8b, 0x07), INTERP_EXCEPTION);
	cr_expect_eq(CPU.seg[X86_CS].selector, 0x0800);
	cr_expect_eq(CPU.eip, 0x40);
	cr_expect_eq((uint16_t)CPU.regs[X86_ESP], 0x800 - 6, "no error code in real mode");
}

Test(interp, real_mode_segments_are_writable_code_too)
{
	fx_enter_real();
	CPU.regs[X86_EBX] = 0x100;
	CPU.regs[X86_EAX] = 0x1234;
	cr_expect_eq(RUN(1, 0x2e, 0x89, 0x07), INTERP_OK);
	cr_expect_eq(fx_read16((CPU.seg[X86_CS].selector << 4) + 0x100), 0x1234);
}

Test(interp, real_mode_has_no_arpl)
{
	fx_enter_real();
	real_vector(EXC_UD, 0x0800, 0x0060);
	cr_expect_eq(RUN(1, 0x63, 0xc0), INTERP_EXCEPTION);
	cr_expect_eq(CPU.eip, 0x60);
}

Test(interp, real_mode_far_jump_and_segment_load)
{
	fx_enter_real();
	cr_expect_eq(RUN(1, 0xea, 0x34, 0x12, 0x00, 0x10), INTERP_OK);
	cr_expect_eq(CPU.seg[X86_CS].base, 0x10000);
	cr_expect_eq(CPU.eip, 0x1234);
	CPU.regs[X86_EAX] = 0x2000;
	cr_expect_eq(RUN(1, 0x8e, 0xc0), INTERP_OK);
	cr_expect_eq(CPU.seg[X86_ES].base, 0x20000);
}

Test(interp, sixteen_bit_branches_cut_the_target)
{
	fx_enter_real();
	CPU.eip = 0xfff0;
	cr_expect_eq(RUN(1, 0xeb, 0x10), INTERP_OK);
	cr_expect_eq(CPU.eip, 2);
}

Test(interp, v86_flag_instructions_obey_iopl)
{
	fx_enter_v86(3);
	cr_expect_eq(RUN(1, 0xfa), INTERP_OK);
	cr_expect_not(CPU.eflags & X86_IF);
	fx_enter_v86(0);
	cr_expect_eq(RUN(1, 0xfa), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
	fx_enter_v86(0);
	cr_expect_eq(RUN(1, 0x9c), INTERP_EXCEPTION);
	fx_enter_v86(3);
	cr_expect_eq(RUN(1, 0x9c), INTERP_OK);
}

/*
 * What a software interrupt in v86 mode with IOPL 0 comes to: vector, and the EIP its handler sees.
 */
static void expect_v86_interrupt(const uint8_t *code, unsigned len, int vector,
				 unsigned error_bytes, uint32_t eip)
{
	fx_enter_v86(0);
	CPU.eflags |= X86_OF;
	for (int v = 0; v < 0x30; v++)
		fx_set_gate(v, KCODE, 0xc0100000 + 16 * v, SYS_INT_GATE32, 3);
	ix_run(code, len, 1);
	cr_expect_eq(ix_vector(), vector, "%02x %02x: vector %d", code[0], code[1], ix_vector());
	cr_expect_eq(fx_read32(CPU.regs[X86_ESP] + error_bytes) - eip, 0, "%02x %02x: eip %x",
		     code[0], code[1], fx_read32(CPU.regs[X86_ESP]));
}

Test(interp, v86_int_n_obeys_iopl_whatever_n_is)
{
	uint32_t start;

	fx_enter_v86(0);
	start = CPU.eip;
	for (uint8_t n = 3; n <= 4; n++)
		expect_v86_interrupt((const uint8_t[]){ 0xcd, n }, 2, EXC_GP, 4, start);
	expect_v86_interrupt((const uint8_t[]){ 0xcd, 0x21 }, 2, EXC_GP, 4, start);
	expect_v86_interrupt((const uint8_t[]){ 0xcc, 0x90 }, 2, EXC_BP, 0, start + 1);
	expect_v86_interrupt((const uint8_t[]){ 0xce, 0x90 }, 2, EXC_OF, 0, start + 1);
	fx_enter_v86(3);
	RUN(1, 0xcd, 0x03);
	cr_expect_eq(ix_vector(), EXC_BP);
}

/* --- System instructions --- */

Test(interp, selectors_in_registers_and_memory)
{
	CPU.regs[X86_EAX] = 0xffffffff;
	RUN(1, 0x8c, 0xd8);
	cr_expect_eq(CPU.regs[X86_EAX], KDATA);
	CPU.regs[X86_EAX] = 0xffffffff;
	RUN(1, 0x66, 0x8c, 0xd8);
	cr_expect_eq(CPU.regs[X86_EAX], 0xffff0000 | KDATA);
	fx_write32(0x5000, 0xffffffff);
	CPU.regs[X86_EBX] = 0x5000;
	RUN(1, 0x8c, 0x1b);
	cr_expect_eq(fx_read32(0x5000), 0xffff0000 | KDATA);
}

Test(interp, lgdt_with_sixteen_bits_loads_24_bits_of_base)
{
	fx_write16(0x5000, 0xb7);
	fx_write32(0x5002, 0xff001000);
	CPU.regs[X86_EBX] = 0x5000;
	RUN(1, 0x66, 0x0f, 0x01, 0x13);
	cr_expect_eq(CPU.gdtr.base, 0x001000);
	RUN(1, 0x0f, 0x01, 0x13);
	cr_expect_eq(CPU.gdtr.base, 0xff001000);
	RUN(1, 0x66, 0x0f, 0x01, 0x43, 0x10);
	cr_expect_eq(fx_read32(0x5012), 0xff001000, "SGDT stores all 32 bits");
}

Test(interp, privileged_instructions_in_ring3)
{
	static const uint8_t code[][4] = {
		{ 0xf4 }, { 0x0f, 0x06 }, { 0x0f, 0x20, 0xc0 }, { 0x0f, 0x22, 0xc0 },
		{ 0x0f, 0x21, 0xc0 }, { 0x0f, 0x30 }, { 0x0f, 0x32 }, { 0x0f, 0x08 },
		{ 0x0f, 0x09 }, { 0x0f, 0x01, 0x13 }, { 0x0f, 0x01, 0x3b }, { 0x0f, 0x00, 0xd0 },
		{ 0x0f, 0x00, 0xd8 }, { 0x0f, 0x01, 0xf0 }, { 0xfa }, { 0xfb }, { 0x0f, 0x35 },
	};

	for (unsigned n = 0; n < RF_ARRAY_SIZE(code); n++) {
		fx_enter_ring3();
		CPU.eip = FX_CODE;
		CPU.regs[X86_EBX] = 0x5000;
		cr_expect_eq(ix_run(code[n], 4, 1), INTERP_EXCEPTION, "%u", n);
		cr_expect_eq(ix_vector(), EXC_GP, "%u: vector %d", n, ix_vector());
	}
}

Test(interp, hlt)
{
	cr_expect_eq(RUN(1, 0xf4), INTERP_HALT);
	cr_expect(CPU.halted);
	cr_expect_eq(CPU.eip, FX_CODE + 1);
}

Test(interp, rdtsc_under_tsd)
{
	cr_expect_eq(RUN(1, 0x0f, 0x31), INTERP_OK);
	fx_enter_ring3();
	CPU.eip = FX_CODE;
	CPU.cr4 |= CR4_TSD;
	cr_expect_eq(RUN(1, 0x0f, 0x31), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
}

static const uint8_t rdtscp[] = { 0x0f, 0x01, 0xf9 }, rdpid_ebx[] = { 0xf3, 0x0f, 0xc7, 0xfb };

Test(interp, rdtscp_and_rdpid)
{
	CPU.tsc_aux = 0x89abcdef;
	cr_expect_eq(ix_run(rdtscp, sizeof(rdtscp), 1), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_ECX], 0x89abcdef);
	cr_expect_eq(CPU.eip, FX_CODE + 3);
	CPU.eip = FX_CODE;
	cr_expect_eq(ix_run(rdpid_ebx, sizeof(rdpid_ebx), 1), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_EBX], 0x89abcdef);
	/* CR4.TSD is about the time only. */
	fx_enter_ring3();
	CPU.cr4 |= CR4_TSD;
	CPU.eip = FX_CODE;
	CPU.regs[X86_EBX] = 0;
	cr_expect_eq(ix_run(rdpid_ebx, sizeof(rdpid_ebx), 1), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_EBX], 0x89abcdef);
	CPU.eip = FX_CODE;
	cr_expect_eq(ix_run(rdtscp, sizeof(rdtscp), 1), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_GP);
}

Test(interp, rdtscp_and_rdpid_are_of_max)
{
	VCPU->model = cpu_model_find("pentium3");
	cr_expect_eq(ix_run(rdtscp, sizeof(rdtscp), 1), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_UD);
	CPU.eip = FX_CODE + 16;
	cr_expect_eq(RUN(1, 0xf3, 0x0f, 0xc7, 0xfb), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_UD);
}

static const struct { uint32_t source, result, result16, flags, flags16; } lzcnts[] = {
	{ 0x00010001, 15, 15, 0, 0 }, { 0x80008000, 0, 0, X86_ZF, X86_ZF },
	{ 0, 32, 16, X86_CF, X86_CF }, { 1, 31, 15, 0, 0 }, { 0xffff0000, 0, 16, X86_ZF, X86_CF },
};

/* F3 with BSR; a model without it runs BSR. */
Test(interp, lzcnt)
{
	static const uint8_t code[] = { 0xf3, 0x0f, 0xbd, 0xd9 },
			     code16[] = { 0x66, 0xf3, 0x0f, 0xbd, 0xd9 };

	for (unsigned n = 0; n < RF_ARRAY_SIZE(lzcnts); n++) {
		CPU.regs[X86_ECX] = lzcnts[n].source;
		CPU.regs[X86_EBX] = 0xaaaaaaaa;
		CPU.eip = FX_CODE;
		cr_expect_eq(ix_run(code, sizeof(code), 1), INTERP_OK, "%u", n);
		cr_expect_eq(CPU.regs[X86_EBX], lzcnts[n].result, "%u", n);
		cr_expect_eq(CPU.eflags & (X86_CF | X86_ZF), lzcnts[n].flags, "%u", n);
		CPU.regs[X86_EBX] = 0xaaaaaaaa;
		CPU.eip = FX_CODE;
		cr_expect_eq(ix_run(code16, sizeof(code16), 1), INTERP_OK, "%u", n);
		cr_expect_eq(CPU.regs[X86_EBX], 0xaaaa0000 | lzcnts[n].result16, "%u", n);
		cr_expect_eq(CPU.eflags & (X86_CF | X86_ZF), lzcnts[n].flags16, "%u", n);
	}
	VCPU->model = cpu_model_find("pentium3");
	CPU.regs[X86_ECX] = 0x00010001;
	CPU.eip = FX_CODE;
	cr_expect_eq(ix_run(code, sizeof(code), 1), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_EBX], 16);
}

/* As a host without LZCNT computes it. */
Test(interp, lzcnt_by_hand)
{
	for (unsigned n = 0; n < RF_ARRAY_SIZE(lzcnts); n++) {
		const uint32_t other = (X86_SF | X86_PF | X86_AF) << 8 | 1;
		uint32_t ax = n & 1 ? 0xff01 : 0x9401;

		cr_expect_eq(interp_lzcnt(lzcnts[n].source, 4, &ax), lzcnts[n].result, "%u", n);
		cr_expect_eq(ax >> 8 & (X86_CF | X86_ZF), lzcnts[n].flags, "%u", n);
		cr_expect_eq(ax & other, other, "%u", n);
		cr_expect_eq(interp_lzcnt(lzcnts[n].source & 0xffff, 2, &ax), lzcnts[n].result16,
			     "%u", n);
		cr_expect_eq(ax >> 8 & (X86_CF | X86_ZF), lzcnts[n].flags16, "%u", n);
	}
}

/* There are two counters; which model has the instruction no bit of CPUID says. */
Test(interp, rdpmc)
{
	static const struct { bool ring3, pce; uint32_t counter; int vector; } cases[] = {
		{ false, false, 0, -1 }, { false, false, 1, -1 }, { false, true, 2, EXC_GP },
		{ false, false, 0x80000000, EXC_GP }, { true, false, 0, EXC_GP },
		{ true, true, 1, -1 }, { true, true, 2, EXC_GP },
	};

	for (unsigned n = 0; n < RF_ARRAY_SIZE(cases); n++) {
		if (cases[n].ring3)
			fx_enter_ring3();
		CPU.eip = FX_CODE;
		CPU.cr4 = cases[n].pce ? CPU.cr4 | CR4_PCE : CPU.cr4 & ~CR4_PCE;
		CPU.perf_counter[0] = 0xa000000001;
		CPU.perf_counter[1] = 0xa000000002;
		CPU.regs[X86_EAX] = CPU.regs[X86_EDX] = 0x1234;
		CPU.regs[X86_ECX] = cases[n].counter;
		cr_expect_eq(RUN(1, 0x0f, 0x33),
			     cases[n].vector < 0 ? INTERP_OK : INTERP_EXCEPTION, "%u", n);
		if (cases[n].vector < 0)
			cr_expect(CPU.regs[X86_EAX] == 1 + cases[n].counter &&
					  CPU.regs[X86_EDX] == 0xa0, "%u", n);
		else
			cr_expect_eq(ix_vector(), cases[n].vector, "%u", n);
	}
}

Test(interp, rdpmc_is_of_the_p6_and_later)
{
	static const struct { const char *model; bool known; } cases[] = {
		{ "486", false }, { "pentium", false }, { "pentium2", true },
		{ "pentium3", true }, { "max", true },
	};

	for (unsigned n = 0; n < RF_ARRAY_SIZE(cases); n++) {
		VCPU->model = cpu_model_find(cases[n].model);
		CPU.eip = FX_CODE + 16 * n; /* what was decoded is remembered */
		CPU.regs[X86_ECX] = 0;
		cr_expect_eq(RUN(1, 0x0f, 0x33), cases[n].known ? INTERP_OK : INTERP_EXCEPTION,
			     "%s", cases[n].model);
		if (!cases[n].known)
			cr_expect_eq(ix_vector(), EXC_UD, "%s", cases[n].model);
		cr_expect_eq(control_reg_write(VCPU, 4, CR4_PCE),
			     cases[n].known ? X86_OK : X86_FAULT, "%s", cases[n].model);
	}
}

Test(interp, ports)
{
	CPU.regs[X86_EAX] = 0xaabbccdd;
	CPU.regs[X86_EDX] = 0x3f8;
	RUN(1, 0xec);
	cr_expect_eq(CPU.regs[X86_EAX], 0xaabbcc11);
	cr_expect_eq(fx_record.port, 0x3f8);
	RUN(1, 0x66, 0xe5, 0x60);
	cr_expect_eq(CPU.regs[X86_EAX], 0xaabb2211);
	cr_expect_eq(fx_record.port, 0x60);
	cr_expect_eq(fx_record.pio_size, 2);
	RUN(1, 0xef);
	cr_expect_eq(fx_record.pio_value, 0xaabb2211);
	cr_expect_eq(fx_record.pio_size, 4);
}

Test(interp, ins_touches_no_port_if_the_store_would_fault)
{
	unmap(0x5000, PTE_P);
	CPU.regs[X86_EDI] = 0x5000;
	cr_expect_eq(RUN(1, 0x6c), INTERP_EXCEPTION);
	cr_expect_eq(ix_vector(), EXC_PF);
	cr_expect_eq(fx_record.pio_reads, 0);
}

Test(interp, sti_holds_interrupts_for_one_instruction)
{
	RUN(1, 0xfb);
	cr_expect_eq(CPU.inhibit, INHIBIT_STI);
	RUN(1, 0x90);
	cr_expect_eq(CPU.inhibit, 0);
	RUN(1, 0xfb);
	cr_expect_eq(CPU.inhibit, 0, "IF was set already");
}

Test(interp, mov_ss_holds_interrupts_for_one_instruction)
{
	CPU.regs[X86_EAX] = KDATA;
	RUN(1, 0x8e, 0xd0);
	cr_expect_eq(CPU.inhibit, INHIBIT_MOVSS);
	cr_expect_eq(interp_run(VCPU, &(uint64_t){ 0 }), INTERP_OK);
	cr_expect_eq(CPU.inhibit, 0);
}

Test(interp, traced_pages_hear_of_stores)
{
	fx_vm->ram.page_flags[5] = RAM_PAGE_ROM;
	CPU.regs[X86_EBX] = 0x5000;
	fx_write32(0x5000, 1);
	CPU.regs[X86_EAX] = 2;
	cr_expect_eq(RUN(1, 0x89, 0x03), INTERP_OK);
	cr_expect_eq(fx_read32(0x5000), 1, "ROM drops writes");
	cr_expect_eq(RUN(1, 0x01, 0x03), INTERP_OK);
	CPU.regs[X86_EDI] = 0x5000;
	CPU.regs[X86_ECX] = 4;
	cr_expect_eq(RUN(1, 0xf3, 0xab), INTERP_OK);
	cr_expect_eq(fx_read32(0x5000), 1);
}

Test(interp, mmio)
{
	CPU.regs[X86_EBX] = 0xa0000;
	cr_expect_eq(RUN(1, 0x8b, 0x03), INTERP_OK);
	cr_expect_eq(CPU.regs[X86_EAX], 0x55667788);
	cr_expect_eq(RUN(1, 0x88, 0x03), INTERP_OK);
	cr_expect_eq(fx_record.mmio_writes, 1);
	cr_expect_eq(fx_record.mmio_size, 1);
	cr_expect_eq(fx_record.mmio_gpa, 0xa0000);
}
