/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exceptions, segment loads and far transfers against what SDM volumes 2 and 3 say, error codes
 * included. The machine is system_fixture.c's; tasks, control registers and the rest are in
 * test_system_state.c.
 */
#include <string.h>
#include "system_fixture.h"

TestSuite(exceptions, .init = fx_setup, .fini = fx_teardown);
TestSuite(segments, .init = fx_setup, .fini = fx_teardown);
TestSuite(far, .init = fx_setup, .fini = fx_teardown);

static enum x86_status deliver(uint8_t vector, int error)
{
	CPU.fault = (struct fault){ .vector = vector,
				    .has_error = error >= 0,
				    .error = error >= 0 ? error : 0 };
	return exception_deliver(VCPU);
}

static uint32_t stack32(unsigned index)
{
	return fx_read32(CPU.seg[X86_SS].base + CPU.regs[X86_ESP] + 4 * index);
}

static uint16_t stack16(unsigned index)
{
	return fx_read16(CPU.seg[X86_SS].base + (CPU.regs[X86_ESP] & 0xffff) + 2 * index);
}

/* ---- exceptions ---- */

Test(exceptions, fault_in_ring0_pushes_three_words_and_error)
{
	uint32_t esp = CPU.regs[X86_ESP];

	CPU.eflags |= X86_IF | X86_TF | X86_NT;
	ASSERT_OK(deliver(EXC_GP, 0x10));
	ASSERT_EQ(CPU.regs[X86_ESP], esp - 16);
	ASSERT_EQ(stack32(0), 0x10);
	ASSERT_EQ(stack32(1), FX_CODE);
	ASSERT_EQ(stack32(2), KCODE);
	ASSERT_EQ(stack32(3), X86_F1 | X86_IF | X86_TF | X86_NT | X86_RF);
	ASSERT_EQ(CPU.eip, 0xc01000d0);
	ASSERT_EQ(CPU.eflags, X86_F1);
	ASSERT_EQ(VCPU->exceptions[EXC_GP], 1);
}

Test(exceptions, trap_gate_keeps_interrupt_flag)
{
	CPU.eflags |= X86_IF;
	fx_set_gate(EXC_UD, KCODE, 0x1000, SYS_TRAP_GATE32, 0);
	ASSERT_OK(deliver(EXC_UD, -1));
	ASSERT_EQ(CPU.eflags, X86_F1 | X86_IF);
	ASSERT_EQ(CPU.eip, 0x1000);
}

Test(exceptions, ring3_fault_switches_stack)
{
	fx_enter_ring3();
	ASSERT_OK(deliver(EXC_PF, 6));
	ASSERT_EQ(CPU.cpl, 0);
	ASSERT_EQ(CPU.seg[X86_CS].selector, KCODE);
	ASSERT_EQ(CPU.seg[X86_SS].selector, KDATA);
	ASSERT_EQ(CPU.regs[X86_ESP], FX_KERNEL_STACK - 24);
	ASSERT_EQ(stack32(0), 6);
	ASSERT_EQ(stack32(1), 0x400000);
	ASSERT_EQ(stack32(2), UCODE);
	ASSERT_EQ(stack32(4), FX_USER_STACK);
	ASSERT_EQ(stack32(5), UDATA);
	ASSERT_EQ(CPU.seg[X86_DS].selector, UDATA);
}

Test(exceptions, gate_marks_code_segment_accessed)
{
	ASSERT_OK(deliver(EXC_UD, -1));
	cr_assert(fx_read64(FX_GDT + KCODE) >> 40 & SEG_ACCESSED);
	cr_assert(CPU.seg[X86_CS].attr & SEG_ACCESSED);
}

Test(exceptions, sixteen_bit_gate_pushes_words)
{
	fx_set_gate(EXC_UD, CODE16, 0xdead4321, SYS_INT_GATE16, 0);
	CPU.eip = 0x12345678;
	ASSERT_OK(deliver(EXC_UD, -1));
	ASSERT_EQ(CPU.eip, 0x4321);
	ASSERT_EQ(stack16(0), 0x5678);
	ASSERT_EQ(stack16(1), KCODE);
	ASSERT_EQ(stack16(2), X86_F1);
}

Test(exceptions, v86_fault_pushes_and_nulls_data_segments)
{
	fx_enter_v86(3);
	ASSERT_OK(deliver(EXC_GP, 0));
	ASSERT_EQ(CPU.regs[X86_ESP], FX_KERNEL_STACK - 40);
	const uint32_t frame[] = { 0,     0x10,
				   0x200, X86_F1 | X86_VM | X86_IF | X86_IOPL | X86_RF,
				   0x800, 0x300,
				   0x100, 0x400,
				   0x500, 0x600 };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(frame); i++)
		ASSERT_EQ(stack32(i), frame[i]);
	ASSERT_EQ(CPU.cpl, 0);
	ASSERT_EQ(CPU.eflags, X86_F1 | X86_IOPL);
	for (unsigned seg = X86_DS; seg <= X86_GS; seg++)
		ASSERT_EQ(CPU.seg[seg].attr, 0);
	ASSERT_EQ(CPU.seg[X86_ES].selector, 0);
}

Test(exceptions, v86_handler_must_be_ring0)
{
	fx_enter_v86(3);
	fx_set_gate(0x80, UCODE, 0, SYS_INT_GATE32, 3);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0x12, true), EXC_GP, UCODE & ~3);
	fx_set_gate(0x80, CONFORMING, 0, SYS_INT_GATE32, 3);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0x12, true), EXC_GP, CONFORMING);
}

Test(exceptions, v86_int_needs_iopl3_but_int3_does_not)
{
	fx_enter_v86(0);
	fx_set_gate(0x21, KCODE, 0, SYS_INT_GATE32, 3);
	fx_set_gate(EXC_BP, KCODE, 0x777, SYS_INT_GATE32, 3);
	ASSERT_FAULT(software_interrupt(VCPU, 0x21, 0x12, true), EXC_GP, 0);
	ASSERT_OK(software_interrupt(VCPU, EXC_BP, 0x11, true));
	ASSERT_EQ(CPU.eip, 0x777);
	ASSERT_EQ(stack32(0), 0x11);
}

Test(exceptions, software_interrupt_checks_gate_dpl)
{
	fx_enter_ring3();
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0x400002, true), EXC_GP, 0x80 * 8 + 2);
	ASSERT_EQ(CPU.eip, 0x400000);
	ASSERT_EQ(CPU.regs[X86_ESP], FX_USER_STACK);
	fx_set_gate(0x80, KCODE, 0x5000, SYS_TRAP_GATE32, 3);
	CPU.eflags |= X86_RF;
	ASSERT_OK(software_interrupt(VCPU, 0x80, 0x400002, true));
	ASSERT_EQ(stack32(0), 0x400002);
	ASSERT_EQ(stack32(2), X86_F1 | X86_IF);
}

Test(exceptions, icebp_ignores_gate_dpl)
{
	fx_enter_ring3();
	ASSERT_OK(software_interrupt(VCPU, EXC_DB, 0x400001, false));
	ASSERT_EQ(stack32(0), 0x400001);
}

Test(exceptions, absent_gate_is_not_present_fault)
{
	fx_write64(FX_IDT + 0x80 * 8, fx_gate(KCODE, 0, SYS_INT_GATE32, 3, 0) & ~(0x80ull << 40));
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_NP, 0x80 * 8 + 2);
	/* INT1 is not a software interrupt: its failures have EXT. */
	fx_write64(FX_IDT + 8, fx_gate(KCODE, 0, SYS_INT_GATE32, 3, 0) & ~(0x80ull << 40));
	ASSERT_FAULT(software_interrupt(VCPU, 1, 0, false), EXC_NP, 1 * 8 + 3);
}

Test(exceptions, bad_gate_type_and_limit)
{
	fx_set_gate(0x80, KCODE, 0, SYS_CALL_GATE32, 3);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_GP, 0x80 * 8 + 2);
	CPU.idtr.limit = 0x80 * 8 + 6;
	fx_set_gate(0x80, KCODE, 0, SYS_INT_GATE32, 3);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_GP, 0x80 * 8 + 2);
	CPU.idtr.limit++;
	ASSERT_OK(software_interrupt(VCPU, 0x80, 0, true));
}

Test(exceptions, handler_selector_errors)
{
	fx_set_gate(0x80, 0, 0, SYS_INT_GATE32, 3);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_GP, 0);
	fx_set_gate(0x80, 0x1000, 0, SYS_INT_GATE32, 3);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_GP, 0x1000);
	fx_set_gate(0x80, KDATA, 0, SYS_INT_GATE32, 3);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_GP, KDATA);
	fx_set_gate(0x80, ABSENT_CODE, 0, SYS_INT_GATE32, 3);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_NP, ABSENT_CODE);
	fx_set_gate(0x80, UCODE, 0, SYS_INT_GATE32, 3); /* less privileged than ring 0 */
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_GP, UCODE & ~3);
	fx_set_gate(0x80, SMALL_CODE, 0x1000, SYS_INT_GATE32, 3);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_GP, 0);
}

Test(exceptions, conforming_handler_keeps_cpl)
{
	fx_enter_ring3();
	fx_set_gate(0x80, CONFORMING, 0x5000, SYS_INT_GATE32, 3);
	ASSERT_OK(software_interrupt(VCPU, 0x80, 0x400002, true));
	ASSERT_EQ(CPU.cpl, 3);
	ASSERT_EQ(CPU.seg[X86_CS].selector, CONFORMING | 3);
	ASSERT_EQ(CPU.regs[X86_ESP], FX_USER_STACK - 12);
}

Test(exceptions, inner_stack_errors)
{
	fx_enter_ring3();
	fx_set_gate(0x80, KCODE, 0, SYS_INT_GATE32, 3);
	fx_write16(FX_TSS_A + 8, 0);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_TS, 0);
	fx_write16(FX_TSS_A + 8, UDATA);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_TS, UDATA & ~3);
	fx_write16(FX_TSS_A + 8, ABSENT_DATA);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_SS, ABSENT_DATA);
	fx_write16(FX_TSS_A + 8, READONLY_DATA);
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_TS, READONLY_DATA);
	fx_write16(FX_TSS_A + 8, DATA16);
	fx_write32(FX_TSS_A + 4, 0x10002);
	/* SP 2: the second word would straddle the top */
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_SS, DATA16);
	CPU.tr.limit = 8;
	ASSERT_FAULT(software_interrupt(VCPU, 0x80, 0, true), EXC_TS, TSS_A);
	ASSERT_EQ(CPU.cpl, 3);
	ASSERT_EQ(CPU.regs[X86_ESP], FX_USER_STACK);
}

Test(exceptions, external_interrupt_pushes_rf_as_it_is)
{
	CPU.eflags |= X86_IF;
	CPU.inhibit = INHIBIT_STI;
	CPU.halted = true;
	ASSERT_OK(interrupt_deliver(VCPU, 0x30));
	ASSERT_EQ(stack32(2), X86_F1 | X86_IF);
	ASSERT_EQ(CPU.eflags, X86_F1);
	ASSERT_EQ(CPU.inhibit, 0);
	cr_assert_not(CPU.halted);
}

Test(exceptions, interrupt_without_gate_becomes_gp_with_ext)
{
	CPU.idtr.limit = 0x20 * 8 - 1;
	ASSERT_OK(interrupt_deliver(VCPU, 0x30));
	ASSERT_EQ(CPU.eip, 0xc0100000 + EXC_GP * 16);
	ASSERT_EQ(stack32(0), 0x30 * 8 + 3);
	ASSERT_EQ(stack32(1), FX_CODE);
}

Test(exceptions, nmi_blocks_until_iret)
{
	ASSERT_OK(interrupt_deliver(VCPU, EXC_NMI));
	cr_assert(CPU.nmi_blocked);
	ASSERT_OK(iret(VCPU, 0, 4));
	cr_assert_not(CPU.nmi_blocked);
	ASSERT_EQ(CPU.eip, FX_CODE);
}

Test(exceptions, gp_without_gate_is_double_fault)
{
	fx_write64(FX_IDT + EXC_GP * 8, 0);
	ASSERT_OK(deliver(EXC_GP, 0x18));
	ASSERT_EQ(CPU.eip, 0xc0100000 + EXC_DF * 16);
	ASSERT_EQ(stack32(0), 0);
	ASSERT_EQ(stack32(1), FX_CODE);
	ASSERT_EQ(VCPU->exceptions[EXC_DF], 1);
	ASSERT_EQ(VCPU->exceptions[EXC_GP], 0);
}

Test(exceptions, benign_then_contributory_is_serial)
{
	fx_write64(FX_IDT + EXC_UD * 8, 0);
	ASSERT_OK(deliver(EXC_UD, -1));
	ASSERT_EQ(CPU.eip, 0xc0100000 + EXC_GP * 16);
	ASSERT_EQ(stack32(0), EXC_UD * 8 + 3);
}

Test(exceptions, handlers_out_of_reach_are_shutdown)
{
	fx_enable_paging();
	/*
	 * No handler's descriptor can be read: #PF in #GP is serial, #PF in #PF is a double fault,
	 * #PF in that a shutdown.
	 */
	CPU.gdtr.base = 0x300000 - KCODE;
	fx_write32(FX_PAGE_TABLE + 4 * 0x300, 0);
	ASSERT_EQ(deliver(EXC_GP, 0), X86_DEAD);
	cr_assert(fx_shut_down());
	ASSERT_EQ(CPU.cr2, 0x300000);
	ASSERT_EQ(CPU.eip, FX_CODE);
}

Test(exceptions, page_fault_on_gp_push_is_delivered_as_page_fault)
{
	fx_enable_paging();
	fx_enter_ring3();
	fx_set_gate(EXC_GP, CONFORMING, 0x111, SYS_INT_GATE32, 0);
	CPU.regs[X86_ESP] = 0x100008;
	fx_write32(FX_PAGE_TABLE + 4 * 0xff, 0);
	ASSERT_OK(deliver(EXC_GP, 0));
	ASSERT_EQ(CPU.eip, 0xc0100000 + EXC_PF * 16);
	ASSERT_EQ(stack32(0), PFE_W | PFE_U);
	ASSERT_EQ(stack32(4), 0x100008);
	ASSERT_EQ(CPU.cr2, 0xffff8);
	ASSERT_EQ(fx_read32(0x100000), 0);
}

Test(exceptions, page_fault_twice_is_double_fault)
{
	fx_enable_paging();
	fx_enter_ring3();
	fx_set_gate(EXC_PF, CONFORMING, 0x111, SYS_INT_GATE32, 0);
	CPU.regs[X86_ESP] = 0x300008;
	fx_write32(FX_PAGE_TABLE + 4 * 0x2ff, 0);
	CPU.fault =
		(struct fault){ .vector = EXC_PF, .has_error = true, .error = 4, .cr2 = 0x12345 };
	ASSERT_OK(exception_deliver(VCPU));
	ASSERT_EQ(CPU.eip, 0xc0100000 + EXC_DF * 16);
	ASSERT_EQ(CPU.cr2, 0x2ffff8);
}

Test(exceptions, no_double_fault_gate_is_triple_fault)
{
	CPU.idtr.limit = 0;
	ASSERT_EQ(deliver(EXC_UD, -1), X86_DEAD);
	cr_assert(fx_shut_down());
}

Test(exceptions, cr2_and_dr6_are_set_at_delivery)
{
	CPU.fault = (struct fault){
		.vector = EXC_PF, .has_error = true, .error = 2, .cr2 = 0xdeadbeef
	};
	ASSERT_OK(exception_deliver(VCPU));
	ASSERT_EQ(CPU.cr2, 0xdeadbeef);
	CPU.dr[7] = 0x2400;
	CPU.fault = (struct fault){ .vector = EXC_DB, .dr6 = 0x4000 };
	ASSERT_OK(exception_deliver(VCPU));
	ASSERT_EQ(CPU.dr[6] & 0xe00f, 0x4000);
	ASSERT_EQ(CPU.dr[7], 0x400);
	cr_assert_not(stack32(2) & X86_RF); /* a trap */
	CPU.fault = (struct fault){ .vector = EXC_DB, .dr6 = 0x2000 };
	ASSERT_OK(exception_deliver(VCPU));
	cr_assert(stack32(2) & X86_RF); /* general detect is a fault */
}

Test(exceptions, real_mode_uses_vector_table)
{
	fx_enter_real();
	fx_write16(0x10 * 4, 0x1234);
	fx_write16(0x10 * 4 + 2, 0xf000);
	CPU.eflags |= X86_TF | X86_AC;
	ASSERT_OK(software_interrupt(VCPU, 0x10, 0x12, true));
	ASSERT_EQ(CPU.eip, 0x1234);
	ASSERT_EQ(CPU.seg[X86_CS].selector, 0xf000);
	ASSERT_EQ(CPU.seg[X86_CS].base, 0xf0000);
	ASSERT_EQ(CPU.regs[X86_ESP], 0xabcd07fa);
	ASSERT_EQ(stack16(0), 0x12);
	ASSERT_EQ(stack16(1), 0x200);
	ASSERT_EQ(stack16(2), X86_F1 | X86_IF | X86_TF);
	ASSERT_EQ(CPU.eflags, X86_F1);
	ASSERT_OK(iret(VCPU, 0, 2));
	ASSERT_EQ(CPU.eip, 0x12);
	ASSERT_EQ(CPU.seg[X86_CS].selector, 0x200);
	ASSERT_EQ(CPU.regs[X86_ESP], 0xabcd0800);
	ASSERT_EQ(CPU.eflags, X86_F1 | X86_IF | X86_TF);
}

Test(exceptions, real_mode_exception_has_no_error_code)
{
	fx_enter_real();
	fx_write32(13 * 4, 0x20001111);
	ASSERT_OK(deliver(EXC_GP, 0));
	ASSERT_EQ(CPU.eip, 0x1111);
	ASSERT_EQ(CPU.regs[X86_ESP], 0xabcd07fa);
	ASSERT_EQ(stack16(0), 0x10);
}

Test(exceptions, real_mode_frame_wraps_at_64k)
{
	fx_enter_real();
	CPU.regs[X86_ESP] = 4;
	ASSERT_OK(software_interrupt(VCPU, 0x10, 0x12, true));
	ASSERT_EQ(CPU.regs[X86_ESP], 0xfffe);
	ASSERT_EQ(fx_read16(0x3000 + 0xfffe), 0x12);
	ASSERT_EQ(fx_read16(0x3000), 0x200);
	ASSERT_EQ(fx_read16(0x3002), X86_F1 | X86_IF);
	/* An item must not itself straddle the end: #SS upon #SS, and so on to shutdown. */
	CPU.regs[X86_ESP] = 1;
	ASSERT_FAULT(software_interrupt(VCPU, 0x10, 0x12, true), EXC_SS, 0);
	ASSERT_EQ(exception_deliver(VCPU), X86_DEAD);
}

/* ---- segment loads ---- */

Test(segments, data_load_sets_hidden_part_and_accessed)
{
	cr_assert_not(fx_read64(FX_GDT + 0x20) >> 40 & SEG_ACCESSED);
	ASSERT_OK(segment_load(VCPU, X86_ES, UDATA));
	ASSERT_EQ(CPU.seg[X86_ES].limit, 0xffffffff);
	ASSERT_EQ(CPU.seg[X86_ES].attr, 0xc0f3);
	cr_assert(fx_read64(FX_GDT + 0x20) >> 40 & SEG_ACCESSED);
}

Test(segments, data_load_errors)
{
	ASSERT_FAULT(segment_load(VCPU, X86_DS, KDATA | 3), EXC_GP, KDATA);
	ASSERT_FAULT(segment_load(VCPU, X86_DS, FX_GDT_LIMIT + 1), EXC_GP, FX_GDT_LIMIT + 1);
	ASSERT_FAULT(segment_load(VCPU, X86_DS, TSS_A), EXC_GP, TSS_A);
	ASSERT_FAULT(segment_load(VCPU, X86_DS, EXECUTE_ONLY), EXC_GP, EXECUTE_ONLY);
	ASSERT_FAULT(segment_load(VCPU, X86_DS, ABSENT_DATA), EXC_NP, ABSENT_DATA);
	ASSERT_FAULT(segment_load(VCPU, X86_DS, 0x0c), EXC_GP, 0x0c); /* no LDT */
	ASSERT_EQ(CPU.seg[X86_DS].selector, KDATA);
	fx_enter_ring3();
	ASSERT_FAULT(segment_load(VCPU, X86_DS, KDATA), EXC_GP, KDATA);
	ASSERT_OK(segment_load(VCPU, X86_DS, CONFORMING | 3));
}

Test(segments, null_selectors)
{
	ASSERT_OK(segment_load(VCPU, X86_FS, 3));
	ASSERT_EQ(CPU.seg[X86_FS].attr, 0);
	ASSERT_EQ(CPU.seg[X86_FS].selector, 3);
	ASSERT_FAULT(segment_load(VCPU, X86_SS, 0), EXC_GP, 0);
}

Test(segments, stack_load_errors)
{
	ASSERT_FAULT(segment_load(VCPU, X86_SS, UDATA), EXC_GP, UDATA & ~3);
	ASSERT_FAULT(segment_load(VCPU, X86_SS, KDATA | 1), EXC_GP, KDATA);
	ASSERT_FAULT(segment_load(VCPU, X86_SS, READONLY_DATA), EXC_GP, READONLY_DATA);
	ASSERT_FAULT(segment_load(VCPU, X86_SS, KCODE), EXC_GP, KCODE);
	ASSERT_FAULT(segment_load(VCPU, X86_SS, ABSENT_DATA), EXC_SS, ABSENT_DATA);
	ASSERT_OK(segment_load(VCPU, X86_SS, DATA16));
	ASSERT_EQ(CPU.seg[X86_SS].limit, 0xffff);
}

Test(segments, ldt)
{
	fx_write64(FX_LDT + 8, fx_descriptor(0x5000, 0xff, 0x4092));
	ASSERT_FAULT(ldt_load(VCPU, KDATA), EXC_GP, KDATA);
	ASSERT_FAULT(ldt_load(VCPU, LDT | 4), EXC_GP, LDT | 4);
	ASSERT_OK(ldt_load(VCPU, LDT));
	ASSERT_OK(segment_load(VCPU, X86_GS, 0x0c));
	ASSERT_EQ(CPU.seg[X86_GS].base, 0x5000);
	ASSERT_EQ(CPU.seg[X86_GS].limit, 0xff);
	ASSERT_FAULT(segment_load(VCPU, X86_GS, 0x14), EXC_GP, 0x14); /* beyond the LDT's limit */
	ASSERT_OK(ldt_load(VCPU, 0));
	ASSERT_FAULT(segment_load(VCPU, X86_GS, 0x0c), EXC_GP, 0x0c);
	fx_enter_ring3();
	ASSERT_FAULT(ldt_load(VCPU, LDT), EXC_GP, 0);
}

Test(segments, task_register)
{
	ASSERT_FAULT(task_register_load(VCPU, TSS_A), EXC_GP, TSS_A); /* busy */
	ASSERT_FAULT(task_register_load(VCPU, 0), EXC_GP, 0);
	ASSERT_OK(task_register_load(VCPU, TSS_B));
	ASSERT_EQ(fx_read64(FX_GDT + TSS_B) >> 40 & 0xf, SYS_TSS32_BUSY);
	ASSERT_EQ(CPU.tr.base, FX_TSS_B);
	fx_enter_v86(3);
	cr_assert_eq(task_register_load(VCPU, TSS_16), X86_FAULT);
	ASSERT_EQ(CPU.fault.vector, EXC_UD);
}

Test(segments, lar_lsl_verr_verw)
{
	bool zf;
	uint32_t value = 0;

	ASSERT_OK(descriptor_lar(VCPU, UCODE, &zf, &value));
	cr_assert(zf);
	ASSERT_EQ(value & 0xfff0ffff, 0x00c0fa00);
	ASSERT_OK(descriptor_lsl(VCPU, UCODE, &zf, &value));
	ASSERT_EQ(value, 0xffffffff);
	ASSERT_OK(descriptor_lsl(VCPU, CALL_GATE, &zf, &value));
	cr_assert_not(zf);
	ASSERT_OK(descriptor_lar(VCPU, CALL_GATE, &zf, &value));
	cr_assert(zf);
	ASSERT_OK(descriptor_lar(VCPU, 0, &zf, &value));
	cr_assert_not(zf);
	ASSERT_OK(descriptor_verify(VCPU, EXECUTE_ONLY, false, &zf));
	cr_assert_not(zf);
	ASSERT_OK(descriptor_verify(VCPU, READONLY_DATA, false, &zf));
	cr_assert(zf);
	ASSERT_OK(descriptor_verify(VCPU, READONLY_DATA, true, &zf));
	cr_assert_not(zf);
	fx_enter_ring3();
	ASSERT_OK(descriptor_lsl(VCPU, KDATA, &zf, &value));
	cr_assert_not(zf);
}

Test(segments, expand_down_limits)
{
	struct segment s = segment_from_descriptor(EXPAND_DOWN, fx_read64(FX_GDT + EXPAND_DOWN));

	cr_assert_not(segment_contains(&s, 0xfff, 1));
	cr_assert(segment_contains(&s, 0x1000, 4));
	cr_assert(segment_contains(&s, 0xfffffffc, 4));
	cr_assert_not(segment_contains(&s, 0xfffffffd, 4));
	s.attr &= ~SEG_DB;
	cr_assert_not(segment_contains(&s, 0x10000, 1));
}

Test(segments, real_mode_keeps_limit_and_v86_does_not)
{
	CPU.cr0 &= ~CR0_PE;
	ASSERT_OK(segment_load(VCPU, X86_DS, 0x1234));
	ASSERT_EQ(CPU.seg[X86_DS].base, 0x12340);
	ASSERT_EQ(CPU.seg[X86_DS].limit, 0xffffffff);
	CPU.cr0 |= CR0_PE;
	CPU.eflags |= X86_VM;
	ASSERT_OK(segment_load(VCPU, X86_DS, 0x2000));
	ASSERT_EQ(CPU.seg[X86_DS].limit, 0xffff);
	ASSERT_EQ(CPU.seg[X86_DS].attr, 0xf3);
}

/* ---- far transfers ---- */

Test(far, jump_to_code_segments)
{
	ASSERT_OK(far_jump(VCPU, CODE16, 0x12345678, 0, 2));
	ASSERT_EQ(CPU.eip, 0x5678);
	ASSERT_EQ(CPU.seg[X86_CS].selector, CODE16);
	cr_assert_not(CPU.seg[X86_CS].attr & SEG_DB);
	ASSERT_FAULT(far_jump(VCPU, CODE16, 0x12345678, 0, 4), EXC_GP, 0);
	ASSERT_FAULT(far_jump(VCPU, 0, 0, 0, 4), EXC_GP, 0);
	ASSERT_FAULT(far_jump(VCPU, KDATA, 0, 0, 4), EXC_GP, KDATA);
	ASSERT_FAULT(far_jump(VCPU, ABSENT_CODE, 0, 0, 4), EXC_NP, ABSENT_CODE);
	ASSERT_FAULT(far_jump(VCPU, UCODE, 0, 0, 4), EXC_GP, UCODE & ~3);
	ASSERT_FAULT(far_jump(VCPU, KCODE | 1, 0, 0, 4), EXC_GP, KCODE);
	fx_enter_ring3();
	ASSERT_FAULT(far_jump(VCPU, KCODE, 0, 0, 4), EXC_GP, KCODE);
	ASSERT_OK(far_jump(VCPU, CONFORMING, 0x100, 0, 4));
	ASSERT_EQ(CPU.seg[X86_CS].selector, CONFORMING | 3);
	ASSERT_EQ(CPU.cpl, 3);
}

Test(far, call_pushes_return_address)
{
	uint32_t esp = CPU.regs[X86_ESP];

	ASSERT_OK(far_call(VCPU, KCODE, 0x5000, 0x20007, 4));
	ASSERT_EQ(CPU.regs[X86_ESP], esp - 8);
	ASSERT_EQ(stack32(0), 0x20007);
	ASSERT_EQ(stack32(1), KCODE);
	ASSERT_OK(far_return(VCPU, 8, 4));
	ASSERT_EQ(CPU.eip, 0x20007);
	ASSERT_EQ(CPU.regs[X86_ESP], esp + 8);
}

Test(far, call_gate_to_inner_copies_parameters)
{
	fx_enter_ring3();
	CPU.regs[X86_ESP] -= 8;
	fx_write32(FX_USER_STACK - 8, 0xaaaa);
	fx_write32(FX_USER_STACK - 4, 0xbbbb);
	ASSERT_OK(far_call(VCPU, CALL_GATE | 3, 0, 0x400007, 4));
	ASSERT_EQ(CPU.cpl, 0);
	ASSERT_EQ(CPU.seg[X86_CS].selector, KCODE);
	ASSERT_EQ(CPU.eip, 0x12345678);
	ASSERT_EQ(CPU.regs[X86_ESP], FX_KERNEL_STACK - 24);
	const uint32_t frame[] = { 0x400007, UCODE, 0xaaaa, 0xbbbb, FX_USER_STACK - 8, UDATA };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(frame); i++)
		ASSERT_EQ(stack32(i), frame[i]);
	/* RET 8 releases the parameters on both stacks, and drops segments of ring 0. */
	ASSERT_OK(segment_load(VCPU, X86_FS, KDATA));
	ASSERT_OK(far_return(VCPU, 8, 4));
	ASSERT_EQ(CPU.cpl, 3);
	ASSERT_EQ(CPU.eip, 0x400007);
	ASSERT_EQ(CPU.regs[X86_ESP], FX_USER_STACK);
	ASSERT_EQ(CPU.seg[X86_SS].selector, UDATA);
	ASSERT_EQ(CPU.seg[X86_FS].attr, 0);
	ASSERT_EQ(CPU.seg[X86_FS].selector, 0);
	ASSERT_EQ(CPU.seg[X86_DS].selector, UDATA);
}

Test(far, sixteen_bit_call_gate)
{
	fx_enter_ring3();
	CPU.regs[X86_ESP] -= 2;
	fx_write16(FX_USER_STACK - 2, 0xaaaa);
	ASSERT_OK(far_call(VCPU, CALL_GATE16 | 3, 0, 0x400007, 4));
	ASSERT_EQ(CPU.eip, 0x4321);
	ASSERT_EQ(CPU.regs[X86_ESP], FX_KERNEL_STACK - 10);
	const uint16_t frame[] = { 7, UCODE, 0xaaaa, FX_USER_STACK - 2, UDATA };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(frame); i++)
		ASSERT_EQ(stack16(i), frame[i]);
}

Test(far, call_gate_errors)
{
	fx_enter_ring3();
	/* a jump cannot raise privilege */
	ASSERT_FAULT(far_jump(VCPU, CALL_GATE | 3, 0, 0, 4), EXC_GP, KCODE);
	fx_write64(FX_GDT + CALL_GATE, fx_gate(KCODE, 0, SYS_CALL_GATE32, 2, 0));
	ASSERT_FAULT(far_call(VCPU, CALL_GATE, 0, 0, 4), EXC_GP, CALL_GATE);
	fx_write64(FX_GDT + CALL_GATE, fx_gate(KCODE, 0, SYS_CALL_GATE32, 3, 0) & ~(0x80ull << 40));
	ASSERT_FAULT(far_call(VCPU, CALL_GATE, 0, 0, 4), EXC_NP, CALL_GATE);
	fx_write64(FX_GDT + CALL_GATE, fx_gate(0, 0, SYS_CALL_GATE32, 3, 0));
	ASSERT_FAULT(far_call(VCPU, CALL_GATE, 0, 0, 4), EXC_GP, 0);
	fx_write64(FX_GDT + CALL_GATE, fx_gate(SMALL_CODE, 0x1000, SYS_CALL_GATE32, 3, 0));
	ASSERT_FAULT(far_call(VCPU, CALL_GATE, 0, 0, 4), EXC_GP, 0);
	ASSERT_EQ(CPU.cpl, 3);
}

static void push_frame(const uint32_t *items, unsigned count)
{
	CPU.regs[X86_ESP] -= 4 * count;
	for (unsigned i = 0; i < count; i++)
		fx_write32(CPU.regs[X86_ESP] + 4 * i, items[i]);
}

Test(far, iret_to_ring3)
{
	const uint32_t frame[] = { 0x400000, UCODE, X86_IF | X86_IOPL | X86_ID | X86_CF | X86_NT,
				   0x7000, UDATA };

	push_frame(frame, 5);
	ASSERT_OK(iret(VCPU, 0, 4));
	ASSERT_EQ(CPU.cpl, 3);
	ASSERT_EQ(CPU.eip, 0x400000);
	ASSERT_EQ(CPU.regs[X86_ESP], 0x7000);
	ASSERT_EQ(CPU.eflags, X86_F1 | X86_IF | X86_IOPL | X86_ID | X86_CF | X86_NT);
	for (unsigned seg = X86_DS; seg <= X86_GS; seg++)
		ASSERT_EQ(CPU.seg[seg].attr, 0); /* they held ring-0 segments */
}

Test(far, iret_to_16bit_stack_keeps_upper_esp)
{
	const uint32_t frame[] = { 0x400000, UCODE, X86_F1, 0x12347000, UDATA16 };
	uint32_t upper;

	push_frame(frame, 5);
	CPU.regs[X86_ESP] &= 0xffff;
	upper = CPU.regs[X86_ESP] & 0xffff0000;
	ASSERT_OK(iret(VCPU, 0, 4));
	ASSERT_EQ(CPU.regs[X86_ESP], upper | 0x7000);
}

Test(far, iret_at_ring3_cannot_touch_iopl_or_if)
{
	fx_enter_ring3();
	const uint32_t frame[] = { 0x400010, UCODE, X86_IOPL | X86_DF | X86_VM };

	push_frame(frame, 3);
	ASSERT_OK(iret(VCPU, 0, 4));
	ASSERT_EQ(CPU.eflags, X86_F1 | X86_IF | X86_DF);
	ASSERT_EQ(CPU.regs[X86_ESP], FX_USER_STACK);
}

Test(far, iret_errors_change_nothing)
{
	const struct { uint32_t frame[5]; uint8_t vector; uint32_t error; } cases[] = {
		{ { 0, 0, 2 }, EXC_GP, 0 },
		{ { 0, 0x1000, 2 }, EXC_GP, 0x1000 },
		{ { 0, KDATA, 2 }, EXC_GP, KDATA },
		{ { 0, ABSENT_CODE, 2 }, EXC_NP, ABSENT_CODE },
		{ { 0x1000, SMALL_CODE, 2 }, EXC_GP, 0 },
		{ { 0, UCODE, 2, 0, 0 }, EXC_GP, 0 },
		{ { 0, UCODE, 2, 0, KDATA }, EXC_GP, KDATA },
		{ { 0, UCODE, 2, 0, UCODE }, EXC_GP, UCODE & ~3 },
		{ { 0, (UCODE & ~3) | 2, 2, 0, UDATA }, EXC_GP, UCODE & ~3 },
	};
	uint32_t esp = CPU.regs[X86_ESP];

	for (unsigned i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		CPU.regs[X86_ESP] = esp;
		push_frame(cases[i].frame, 5);
		ASSERT_FAULT(iret(VCPU, 0, 4), cases[i].vector, cases[i].error);
		ASSERT_EQ(CPU.regs[X86_ESP], esp - 20);
		ASSERT_EQ(CPU.cpl, 0);
		ASSERT_EQ(CPU.eip, FX_CODE);
	}
	fx_enter_ring3();
	push_frame((uint32_t[]){ 0, KCODE, 2 }, 3);
	ASSERT_FAULT(iret(VCPU, 0, 4), EXC_GP, KCODE); /* never inwards */
}

Test(far, iret_stack_limit)
{
	ASSERT_OK(segment_load(VCPU, X86_SS, DATA16));
	CPU.regs[X86_ESP] = 0xfff8;
	CPU.seg[X86_SS].limit = 0xfffa;
	ASSERT_FAULT(iret(VCPU, 0, 4), EXC_SS, 0);
}

Test(far, iret_into_v86_and_back)
{
	const uint32_t frame[] = { 0x1234, 0x2000, X86_VM | X86_IF | X86_F1,
				   0xfffe, 0x3000, 0x4000,
				   0x5000, 0x6000, 0x7000 };

	push_frame(frame, 9);
	ASSERT_OK(iret(VCPU, 0, 4));
	ASSERT_EQ(CPU.cpl, 3);
	ASSERT_EQ(CPU.eflags, X86_VM | X86_IF | X86_F1);
	ASSERT_EQ(CPU.seg[X86_CS].base, 0x20000);
	ASSERT_EQ(CPU.seg[X86_SS].selector, 0x3000);
	ASSERT_EQ(CPU.seg[X86_ES].selector, 0x4000);
	ASSERT_EQ(CPU.seg[X86_DS].selector, 0x5000);
	ASSERT_EQ(CPU.seg[X86_FS].selector, 0x6000);
	ASSERT_EQ(CPU.seg[X86_GS].selector, 0x7000);
	ASSERT_EQ(CPU.regs[X86_ESP], 0xfffe);
	ASSERT_FAULT(iret(VCPU, 0, 2), EXC_GP, 0); /* IOPL 0 */
}

Test(far, iret_in_v86_keeps_iopl)
{
	fx_enter_v86(3);
	fx_write16(0x3000 + 0x800, 0x77);
	fx_write16(0x3000 + 0x802, 0x2222);
	fx_write16(0x3000 + 0x804, X86_CF);
	ASSERT_OK(iret(VCPU, 0, 2));
	ASSERT_EQ(CPU.eip, 0x77);
	ASSERT_EQ(CPU.seg[X86_CS].base, 0x22220);
	ASSERT_EQ(CPU.eflags, X86_VM | X86_IOPL | X86_CF | X86_F1);
	ASSERT_EQ(CPU.regs[X86_ESP], 0x806);
}

Test(far, real_mode_call_and_return)
{
	fx_enter_real();
	ASSERT_OK(far_call(VCPU, 0xf000, 0x1234, 0x15, 2));
	ASSERT_EQ(CPU.seg[X86_CS].base, 0xf0000);
	ASSERT_EQ(CPU.regs[X86_ESP], 0xabcd07fc);
	ASSERT_EQ(stack16(0), 0x15);
	ASSERT_OK(far_return(VCPU, 2, 2));
	ASSERT_EQ(CPU.eip, 0x15);
	ASSERT_EQ(CPU.seg[X86_CS].selector, 0x200);
	ASSERT_EQ(CPU.regs[X86_ESP], 0xabcd0802);
	ASSERT_FAULT(far_jump(VCPU, 0, 0x10000, 0, 4), EXC_GP, 0);
}

Test(far, sysenter_and_sysexit)
{
	fx_enter_ring3();
	ASSERT_FAULT(sysenter(VCPU), EXC_GP, 0);
	CPU.sysenter_cs = KCODE;
	CPU.sysenter_esp = 0x8888;
	CPU.sysenter_eip = 0xc0de;
	ASSERT_OK(sysenter(VCPU));
	ASSERT_EQ(CPU.cpl, 0);
	ASSERT_EQ(CPU.eip, 0xc0de);
	ASSERT_EQ(CPU.regs[X86_ESP], 0x8888);
	ASSERT_EQ(CPU.eflags, X86_F1);
	ASSERT_EQ(CPU.seg[X86_CS].selector, KCODE);
	ASSERT_EQ(CPU.seg[X86_CS].attr, 0xc09b);
	ASSERT_EQ(CPU.seg[X86_SS].selector, KDATA);
	ASSERT_EQ(CPU.seg[X86_SS].attr, 0xc093);
	CPU.regs[X86_ECX] = 0x9999;
	CPU.regs[X86_EDX] = 0x400100;
	ASSERT_OK(sysexit(VCPU));
	ASSERT_EQ(CPU.cpl, 3);
	ASSERT_EQ(CPU.seg[X86_CS].selector, UCODE);
	ASSERT_EQ(CPU.seg[X86_CS].attr, 0xc0fb);
	ASSERT_EQ(CPU.seg[X86_SS].selector, UDATA);
	ASSERT_EQ(CPU.regs[X86_ESP], 0x9999);
	ASSERT_EQ(CPU.eip, 0x400100);
	ASSERT_FAULT(sysexit(VCPU), EXC_GP, 0);
}
