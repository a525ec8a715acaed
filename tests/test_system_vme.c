/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual interrupt flags: CR4.VME in virtual-8086 mode and CR4.PVI in ring 3 (SDM vol. 3, 20.3 and
 * 20.4; vol. 2, CLI, STI, PUSHF, POPF, INT n, IRET). The machine is system_fixture.c's.
 */
#include "system_fixture.h"

static void setup(void)
{
	fx_setup();
	CPU.cr4 |= CR4_VME | CR4_PVI;
}

TestSuite(vme, .init = setup, .fini = fx_teardown);

Test(vme, vif_stands_for_if_below_iopl_3)
{
	fx_enter_v86(2);
	cr_assert(virtual_interrupt_flag(&CPU));
	cr_assert(virtual_flags_in_v86(&CPU));
	fx_enter_v86(3);
	cr_assert_not(virtual_interrupt_flag(&CPU));
	cr_assert_not(virtual_flags_in_v86(&CPU));
	fx_enter_v86(0);
	CPU.cr4 = CR4_PVI;
	cr_assert_not(virtual_interrupt_flag(&CPU));
}

Test(vme, pvi_is_for_ring_3_alone)
{
	cr_assert_not(virtual_interrupt_flag(&CPU));
	fx_enter_ring3();
	cr_assert(virtual_interrupt_flag(&CPU));
	cr_assert_not(virtual_flags_in_v86(&CPU));
	CPU.eflags |= X86_IOPL;
	cr_assert_not(virtual_interrupt_flag(&CPU));
	CPU.eflags &= ~X86_IOPL;
	CPU.cr4 = CR4_VME;
	cr_assert_not(virtual_interrupt_flag(&CPU));
}

Test(vme, setting_vif_while_vip_is_set_faults)
{
	fx_enter_v86(0);
	ASSERT_OK(virtual_interrupt_flag_set(&CPU, true));
	cr_assert(CPU.eflags & X86_VIF);
	CPU.eflags |= X86_VIP;
	ASSERT_FAULT(virtual_interrupt_flag_set(&CPU, true), EXC_GP, 0);
	ASSERT_OK(virtual_interrupt_flag_set(&CPU, false));
	cr_assert_not(CPU.eflags & X86_VIF);
	ASSERT_FAULT(virtual_flags_check(&CPU, X86_IF), EXC_GP, 0);
	ASSERT_OK(virtual_flags_check(&CPU, X86_NT));
	CPU.eflags &= ~X86_VIP;
	ASSERT_OK(virtual_flags_check(&CPU, X86_IF));
	ASSERT_FAULT(virtual_flags_check(&CPU, X86_TF), EXC_GP, 0);
}

Test(vme, what_is_pushed_and_popped)
{
	fx_enter_v86(1);
	CPU.eflags |= X86_IF | X86_CF;
	ASSERT_EQ(virtual_flags(&CPU), X86_IOPL | X86_CF | X86_F1);
	CPU.eflags ^= X86_IF | X86_VIF;
	ASSERT_EQ(virtual_flags(&CPU), X86_IOPL | X86_CF | X86_IF | X86_F1);
	virtual_flags_load(&CPU, X86_IOPL | X86_NT | X86_ZF);
	ASSERT_EQ(CPU.eflags, X86_VM | 1 << 12 | X86_NT | X86_ZF | X86_F1);
	virtual_flags_load(&CPU, X86_IF);
	ASSERT_EQ(CPU.eflags, X86_VM | 1 << 12 | X86_VIF | X86_F1);
}

/* A vector of the program's own: 1000:0234; the bitmap ends where the I/O bitmap begins. */
static void prepare_int_21(uint16_t map, bool to_gate)
{
	fx_write32(4 * 0x21, 0x10000234);
	fx_write16(FX_TSS_A + 0x66, map);
	CPU.tr.limit = 0xff;
	fx_write8(FX_TSS_A + map - 32 + 0x21 / 8, to_gate << (0x21 & 7));
}

Test(vme, int_n_goes_to_the_programs_own_vector)
{
	uint32_t stack;

	fx_enter_v86(0);
	prepare_int_21(0x90, false);
	CPU.eflags |= X86_VIF | X86_IF;
	stack = CPU.seg[X86_SS].base + CPU.regs[X86_ESP] - 6;
	ASSERT_OK(interrupt_n(VCPU, 0x21, 0x102));
	ASSERT_EQ(CPU.eip, 0x234);
	ASSERT_EQ(CPU.seg[X86_CS].selector, 0x1000);
	cr_assert(cpu_is_v86(&CPU));
	cr_assert_not(CPU.eflags & X86_VIF);
	cr_assert(CPU.eflags & X86_IF);
	ASSERT_EQ(fx_read16(stack), 0x102);
	ASSERT_EQ(fx_read16(stack + 4), X86_IOPL | X86_IF | X86_F1);
}

Test(vme, int_n_with_iopl_3_has_if_itself)
{
	fx_enter_v86(3);
	prepare_int_21(0x90, false);
	CPU.eflags |= X86_VIF | X86_IF | X86_TF;
	ASSERT_OK(interrupt_n(VCPU, 0x21, 0x102));
	ASSERT_EQ(CPU.eip, 0x234);
	ASSERT_EQ(CPU.eflags, X86_VM | X86_IOPL | X86_VIF | X86_F1);
}

Test(vme, int_n_that_the_bitmap_keeps)
{
	fx_enter_v86(0);
	prepare_int_21(0x90, true);
	ASSERT_FAULT(interrupt_n(VCPU, 0x21, 0x102), EXC_GP, 0);
	CPU.cr4 = 0;
	prepare_int_21(0x90, false);
	ASSERT_FAULT(interrupt_n(VCPU, 0x21, 0x102), EXC_GP, 0);
}

Test(vme, the_bitmap_must_be_in_a_386_tss)
{
	fx_enter_v86(0);
	prepare_int_21(0x90, false);
	CPU.tr.limit = 0x90 - 32 + 0x21 / 8 - 1;
	ASSERT_FAULT(interrupt_n(VCPU, 0x21, 0x102), EXC_GP, 0);
	CPU.tr.limit++;
	ASSERT_OK(interrupt_n(VCPU, 0x21, 0x102));
	fx_enter_v86(0);
	CPU.tr.attr ^= SYS_TSS32_BUSY ^ SYS_TSS16_BUSY;
	ASSERT_FAULT(interrupt_n(VCPU, 0x21, 0x102), EXC_GP, 0);
}

Test(vme, iret_of_16_bits_loads_vif)
{
	fx_enter_v86(0);
	CPU.eflags &= ~X86_IF;
	CPU.regs[X86_ESP] = 0x100;
	CPU.seg[X86_SS].base = FX_USER_STACK;
	fx_write16(FX_USER_STACK + 0x100, 0x10);
	fx_write16(FX_USER_STACK + 0x102, 0x2000);
	fx_write16(FX_USER_STACK + 0x104, X86_IF | X86_IOPL);
	ASSERT_OK(iret(VCPU, 0, 2));
	ASSERT_EQ(CPU.eflags, X86_VM | X86_VIF | X86_F1);
	CPU.regs[X86_ESP] = 0x100;
	ASSERT_FAULT(iret(VCPU, 0, 4), EXC_GP, 0);
	CPU.eflags |= X86_VIP;
	ASSERT_FAULT(iret(VCPU, 0, 2), EXC_GP, 0);
}
