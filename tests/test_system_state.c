/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Task switches, control and debug registers, MSRs, CPUID and CPU models, I/O permissions and the
 * software TLB, against what SDM volumes 2 to 4 say. The machine is system_fixture.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "monitor/processor/cpu_models.h"
#include "system_fixture.h"

TestSuite(tasks, .init = fx_setup, .fini = fx_teardown);
TestSuite(control, .init = fx_setup, .fini = fx_teardown);
TestSuite(msrs, .init = fx_setup, .fini = fx_teardown);
TestSuite(tlb, .init = fx_setup, .fini = fx_teardown);

static unsigned gdt_type(uint16_t selector)
{
	return fx_read64(FX_GDT + (selector & ~7)) >> 40 & 0xf;
}

/* ---- tasks ---- */

/* Fills TSS B for a task in ring 0; returns nothing that a test does not set. */
static void prepare_task_b(void)
{
	fx_write32(FX_TSS_B + 0x1c, FX_PAGE_DIR);
	fx_write32(FX_TSS_B + 0x20, 0x5000);
	fx_write32(FX_TSS_B + 0x24, X86_F1 | X86_CF);
	for (unsigned i = 0; i < 8; i++)
		fx_write32(FX_TSS_B + 0x28 + 4 * i, 0x1000 * (i + 1));
	for (unsigned i = 0; i < 6; i++)
		fx_write32(FX_TSS_B + 0x48 + 4 * i, i == X86_CS ? KCODE : KDATA);
	fx_write16(FX_TSS_B + 0x60, 0);
	fx_write16(FX_TSS_B + 0x64, 0);
}

Test(tasks, jump_saves_and_loads_everything)
{
	prepare_task_b();
	CPU.regs[X86_EBX] = 0xb0b0;
	CPU.dr[7] = 0x455;
	ASSERT_OK(far_jump(VCPU, TSS_B, 0, 0x20007, 4));
	ASSERT_EQ(CPU.tr.selector, TSS_B);
	ASSERT_EQ(CPU.eip, 0x5000);
	ASSERT_EQ(CPU.eflags, X86_F1 | X86_CF);
	ASSERT_EQ(CPU.regs[X86_EDI], 0x8000);
	cr_assert(CPU.cr0 & CR0_TS);
	ASSERT_EQ(CPU.dr[7], 0x400);
	ASSERT_EQ(gdt_type(TSS_A), SYS_TSS32_AVAIL);
	ASSERT_EQ(gdt_type(TSS_B), SYS_TSS32_BUSY);
	ASSERT_EQ(fx_read32(FX_TSS_A + 0x20), 0x20007);
	ASSERT_EQ(fx_read32(FX_TSS_A + 0x34), 0xb0b0);
	ASSERT_EQ(fx_read16(FX_TSS_A + 0x4c), KCODE);
	ASSERT_EQ(fx_read16(FX_TSS_B), 0);
}

Test(tasks, call_links_and_iret_returns)
{
	prepare_task_b();
	ASSERT_OK(far_call(VCPU, TASK_GATE, 0, 0x20007, 4));
	ASSERT_EQ(CPU.tr.selector, TSS_B);
	ASSERT_EQ(fx_read16(FX_TSS_B), TSS_A);
	ASSERT_EQ(CPU.eflags, X86_F1 | X86_CF | X86_NT);
	ASSERT_EQ(gdt_type(TSS_A), SYS_TSS32_BUSY);
	ASSERT_OK(iret(VCPU, 0x5002, 4));
	ASSERT_EQ(CPU.tr.selector, TSS_A);
	ASSERT_EQ(CPU.eip, 0x20007);
	ASSERT_EQ(gdt_type(TSS_B), SYS_TSS32_AVAIL);
	ASSERT_EQ(fx_read32(FX_TSS_B + 0x20), 0x5002);
	cr_assert_not(fx_read32(FX_TSS_B + 0x24) & X86_NT);
}

Test(tasks, selector_errors)
{
	prepare_task_b();
	ASSERT_FAULT(far_jump(VCPU, TSS_A, 0, 0, 4), EXC_GP, TSS_A); /* busy */
	ASSERT_FAULT(far_jump(VCPU, SHORT_TSS, 0, 0, 4), EXC_TS, SHORT_TSS);
	ASSERT_FAULT(far_jump(VCPU, TSS_B | 3, 0, 0, 4), EXC_GP, TSS_B); /* RPL over DPL */
	fx_write64(FX_GDT + TASK_GATE, fx_gate(TSS_B | 4, 0, SYS_TASK_GATE, 3, 0));
	ASSERT_FAULT(far_jump(VCPU, TASK_GATE, 0, 0, 4), EXC_GP, TSS_B | 4);
	fx_write64(FX_GDT + TSS_B, fx_descriptor(FX_TSS_B, 0x67, 0x0009));
	ASSERT_FAULT(far_jump(VCPU, TSS_B, 0, 0, 4), EXC_NP, TSS_B);
	CPU.eflags |= X86_NT;
	fx_write16(FX_TSS_A, TSS_16);
	ASSERT_FAULT(iret(VCPU, 0, 4), EXC_TS, TSS_16); /* not busy */
	ASSERT_EQ(CPU.tr.selector, TSS_A);
	ASSERT_EQ(CPU.eip, FX_CODE);
}

Test(tasks, bad_segments_fault_in_the_new_task)
{
	const struct {
		unsigned seg;
		uint16_t selector;
		uint8_t vector;
		uint32_t error;
	} cases[] = {
		{ X86_CS, 0, EXC_TS, 0 },
		{ X86_CS, KDATA, EXC_TS, KDATA },
		{ X86_CS, ABSENT_CODE, EXC_NP, ABSENT_CODE },
		{ X86_CS, UCODE & ~3, EXC_TS, UCODE & ~3 },
		{ X86_SS, 0, EXC_TS, 0 },
		{ X86_SS, UDATA, EXC_TS, UDATA & ~3 },
		{ X86_SS, ABSENT_DATA, EXC_SS, ABSENT_DATA },
		{ X86_DS, EXECUTE_ONLY, EXC_TS, EXECUTE_ONLY },
		{ X86_GS, ABSENT_DATA, EXC_NP, ABSENT_DATA },
		{ X86_FS, 0x1000, EXC_TS, 0x1000 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		fx_teardown();
		fx_setup();
		prepare_task_b();
		fx_write32(FX_TSS_B + 0x48 + 4 * cases[i].seg, cases[i].selector);
		ASSERT_FAULT(far_jump(VCPU, TSS_B, 0, 0x20007, 4), cases[i].vector, cases[i].error);
		ASSERT_EQ(CPU.tr.selector, TSS_B);
		ASSERT_EQ(CPU.eip, 0x5000);
		ASSERT_EQ(fx_read32(FX_TSS_A + 0x20), 0x20007);
	}
}

Test(tasks, bad_ldt_faults_in_the_new_task)
{
	prepare_task_b();
	fx_write16(FX_TSS_B + 0x60, KDATA);
	ASSERT_FAULT(far_jump(VCPU, TSS_B, 0, 0, 4), EXC_TS, KDATA);
	ASSERT_EQ(CPU.ldtr.attr, 0);
}

Test(tasks, fault_through_task_gate_pushes_error_code)
{
	prepare_task_b();
	fx_set_gate(EXC_DF, TSS_B, 0, SYS_TASK_GATE, 0);
	CPU.fault = (struct fault){ .vector = EXC_DF, .has_error = true };
	ASSERT_OK(exception_deliver(VCPU));
	ASSERT_EQ(CPU.tr.selector, TSS_B);
	ASSERT_EQ(CPU.regs[X86_ESP], 0x5000 - 4);
	ASSERT_EQ(fx_read32(0x5000 - 4), 0);
	ASSERT_EQ(fx_read32(FX_TSS_A + 0x20), FX_CODE);
	cr_assert(fx_read32(FX_TSS_A + 0x24) & X86_RF);
	cr_assert(CPU.eflags & X86_NT);
}

Test(tasks, trap_flag_of_tss_raises_debug_exception)
{
	prepare_task_b();
	fx_write16(FX_TSS_B + 0x64, 1);
	cr_assert_eq(far_jump(VCPU, TSS_B, 0, 0, 4), X86_FAULT);
	ASSERT_EQ(CPU.fault.vector, EXC_DB);
	ASSERT_EQ(CPU.fault.dr6, 0x8000);
	ASSERT_EQ(CPU.eip, 0x5000);
}

Test(tasks, switch_loads_cr3_with_paging_only)
{
	prepare_task_b();
	fx_enable_paging();
	fx_write32(FX_TSS_B + 0x1c, 0x30000);
	memcpy(fx_vm->ram.flat + 0x30000, fx_vm->ram.flat + FX_PAGE_DIR, 4096);
	ASSERT_OK(far_jump(VCPU, TSS_B, 0, 0, 4));
	ASSERT_EQ(CPU.cr3, 0x30000);
}

Test(tasks, unwritable_old_tss_faults_before_the_switch)
{
	prepare_task_b();
	fx_enable_paging();
	fx_write32(FX_PAGE_TABLE + 4 * 0x40, FX_TSS_A | PTE_P);
	CPU.tr.base = 0x40000;
	ASSERT_FAULT(far_jump(VCPU, TSS_B, 0, 0, 4), EXC_PF, PFE_P | PFE_W);
	ASSERT_EQ(CPU.tr.selector, TSS_A);
	ASSERT_EQ(gdt_type(TSS_B), SYS_TSS32_AVAIL);
}

Test(tasks, sixteen_bit_tss)
{
	fx_write16(FX_TSS_16 + 0x0e, 0x5000);
	fx_write16(FX_TSS_16 + 0x10, X86_F1 | X86_ZF);
	fx_write16(FX_TSS_16 + 0x12, 0x1234);
	fx_write16(FX_TSS_16 + 0x22, KDATA);
	fx_write16(FX_TSS_16 + 0x24, CODE16);
	fx_write16(FX_TSS_16 + 0x26, DATA16);
	ASSERT_OK(far_call(VCPU, TSS_16, 0, 0x20007, 4));
	ASSERT_EQ(CPU.eip, 0x5000);
	ASSERT_EQ(CPU.regs[X86_EAX] & 0xffff, 0x1234);
	ASSERT_EQ(CPU.eflags, X86_F1 | X86_ZF | X86_NT);
	ASSERT_EQ(CPU.seg[X86_SS].selector, DATA16);
	ASSERT_EQ(CPU.seg[X86_DS].attr, 0);
	ASSERT_EQ(CPU.seg[X86_GS].attr, 0);
	ASSERT_EQ(fx_read16(FX_TSS_16), TSS_A);
	ASSERT_EQ(fx_read64(FX_GDT + TSS_16) >> 40 & 0xf, SYS_TSS16_BUSY);
	CPU.regs[X86_EAX] = 0x9999;
	ASSERT_OK(iret(VCPU, 0x5001, 2));
	ASSERT_EQ(CPU.eip, 0x20007);
	ASSERT_EQ(fx_read16(FX_TSS_16 + 0x12), 0x9999);
	ASSERT_EQ(fx_read16(FX_TSS_16 + 0x10), X86_F1 | X86_ZF);
}

Test(tasks, v86_task)
{
	prepare_task_b();
	fx_write32(FX_TSS_B + 0x24, X86_F1 | X86_VM);
	fx_write32(FX_TSS_B + 0x4c, 0x1111);
	ASSERT_OK(far_jump(VCPU, TSS_B, 0, 0, 4));
	ASSERT_EQ(CPU.cpl, 3);
	ASSERT_EQ(CPU.seg[X86_CS].base, 0x11110);
	ASSERT_EQ(CPU.seg[X86_CS].limit, 0xffff);
}

Test(tasks, io_permission_bitmap)
{
	ASSERT_OK(io_permission(VCPU, 0x70, 1)); /* ring 0 */
	fx_enter_ring3();
	fx_write8(FX_TSS_A + 0x68, 0x7f);  /* port 7 only */
	fx_write8(FX_TSS_A + 0x69, 0xfe);  /* port 8 */
	ASSERT_FAULT(io_permission(VCPU, 6, 1), EXC_GP, 0);
	ASSERT_OK(io_permission(VCPU, 7, 1));
	ASSERT_OK(io_permission(VCPU, 7, 2));
	ASSERT_FAULT(io_permission(VCPU, 7, 4), EXC_GP, 0);
	/* The TSS ends with byte 0x77: the bitmap covers ports below 0x78. */
	ASSERT_OK(io_permission(VCPU, 0x70, 1));
	ASSERT_FAULT(io_permission(VCPU, 0x78, 1), EXC_GP, 0);
	CPU.eflags |= X86_IOPL;
	ASSERT_OK(io_permission(VCPU, 0x3f8, 4));
	fx_enter_v86(3); /* in v86 mode the bitmap counts whatever the IOPL */
	ASSERT_FAULT(io_permission(VCPU, 6, 1), EXC_GP, 0);
	CPU.tr.attr = SEG_P | SYS_TSS16_BUSY;
	ASSERT_FAULT(io_permission(VCPU, 7, 1), EXC_GP, 0);
}

/* ---- control and debug registers ---- */

Test(control, cr0_rules)
{
	uint32_t value;

	CPU.cr0 = CR0_ET;
	ASSERT_FAULT(control_reg_write(VCPU, 0, CR0_PG), EXC_GP, 0);
	ASSERT_FAULT(control_reg_write(VCPU, 0, CR0_NW), EXC_GP, 0);
	ASSERT_OK(control_reg_write(VCPU, 0, 0x00008021));
	ASSERT_OK(control_reg_read(VCPU, 0, &value));
	ASSERT_EQ(value, CR0_PE | CR0_NE | CR0_ET);
	cr_assert_eq(control_reg_read(VCPU, 1, &value), X86_FAULT);
	ASSERT_EQ(CPU.fault.vector, EXC_UD);
	fx_enter_ring3();
	ASSERT_FAULT(control_reg_read(VCPU, 0, &value), EXC_GP, 0);
	ASSERT_FAULT(control_reg_write(VCPU, 3, 0), EXC_GP, 0);
	ASSERT_FAULT(clts(VCPU), EXC_GP, 0);
	ASSERT_FAULT(invlpg(VCPU, 0), EXC_GP, 0);
}

Test(control, lmsw_cannot_clear_pe)
{
	ASSERT_OK(lmsw(VCPU, CR0_TS | CR0_NE | CR0_MP));
	ASSERT_EQ(CPU.cr0, CR0_PE | CR0_ET | CR0_TS | CR0_MP);
	ASSERT_OK(clts(VCPU));
	ASSERT_OK(lmsw(VCPU, 0));
	ASSERT_EQ(CPU.cr0, CR0_PE | CR0_ET);
}

Test(control, cr4_reserved_bits_depend_on_model)
{
	ASSERT_OK(control_reg_write(VCPU, 4,
				    CR4_PAE | CR4_PGE | CR4_PSE | CR4_DE | CR4_TSD | CR4_OSFXSR |
					    CR4_OSXMMEXCPT));
	ASSERT_FAULT(control_reg_write(VCPU, 4, 1u << 13), EXC_GP, 0); /* VMXE */
	VCPU->model = cpu_model_find("486");
	ASSERT_FAULT(control_reg_write(VCPU, 4, CR4_VME), EXC_GP, 0);
	ASSERT_FAULT(control_reg_write(VCPU, 4, CR4_PVI), EXC_GP, 0);
	VCPU->model = cpu_model_find("pentium");
	ASSERT_OK(control_reg_write(VCPU, 4, CR4_VME | CR4_PVI));
	ASSERT_OK(control_reg_write(VCPU, 4, CR4_PSE | CR4_DE | CR4_TSD));
	ASSERT_FAULT(control_reg_write(VCPU, 4, CR4_PAE), EXC_GP, 0);
	ASSERT_FAULT(control_reg_write(VCPU, 4, CR4_UMIP), EXC_GP, 0);
	ASSERT_FAULT(control_reg_write(VCPU, 4, CR4_SMEP), EXC_GP, 0);
	ASSERT_FAULT(control_reg_write(VCPU, 4, CR4_SMAP), EXC_GP, 0);
	ASSERT_EQ(CPU.cr4, CR4_PSE | CR4_DE | CR4_TSD);
}

Test(control, bad_pdpte_refuses_cr3_and_cr0)
{
	fx_write64(0x20000, 0x30000 | PTE_P);
	fx_write64(0x20020, 0x30000 | PTE_P | PTE_W); /* R/W is reserved in a PDPTE */
	ASSERT_OK(control_reg_write(VCPU, 4, CR4_PAE));
	ASSERT_OK(control_reg_write(VCPU, 3, 0x20020));
	ASSERT_FAULT(control_reg_write(VCPU, 0, CPU.cr0 | CR0_PG), EXC_GP, 0);
	cr_assert_not(CPU.cr0 & CR0_PG);
	fx_write64(0x30000, PTE_P | PTE_W | PTE_PS);
	ASSERT_OK(control_reg_write(VCPU, 3, 0x20000));
	fx_write64(0x20008, 0);
	fx_write64(0x20020, 0);
	ASSERT_OK(control_reg_write(VCPU, 0, CPU.cr0 | CR0_PG));
	ASSERT_EQ(CPU.pdpte[0], 0x30000 | PTE_P);
	fx_write64(0x20020, 0x30000 | PTE_P | PTE_W);
	ASSERT_FAULT(control_reg_write(VCPU, 3, 0x20020), EXC_GP, 0);
	ASSERT_EQ(CPU.cr3, 0x20000);
}

Test(control, debug_registers)
{
	uint32_t value;

	ASSERT_OK(debug_reg_write(VCPU, 0, 0x12345678));
	ASSERT_OK(debug_reg_write(VCPU, 6, 0));
	ASSERT_OK(debug_reg_read(VCPU, 4, &value)); /* an alias */
	ASSERT_EQ(value, 0xffff0ff0);
	ASSERT_OK(debug_reg_write(VCPU, 7, 0xffffdfff));
	ASSERT_OK(debug_reg_read(VCPU, 7, &value));
	ASSERT_EQ(value, 0xffff0fff);
	CPU.cr4 |= CR4_DE;
	cr_assert_eq(debug_reg_read(VCPU, 5, &value), X86_FAULT);
	ASSERT_EQ(CPU.fault.vector, EXC_UD);
	CPU.dr[7] |= 0x2000;
	cr_assert_eq(debug_reg_read(VCPU, 0, &value), X86_FAULT);
	ASSERT_EQ(CPU.fault.vector, EXC_DB);
	ASSERT_EQ(CPU.fault.dr6, 0x2000);
	fx_enter_ring3();
	ASSERT_FAULT(debug_reg_read(VCPU, 0, &value), EXC_GP, 0);
}

Test(control, eflags_merge_follows_privilege)
{
	const uint32_t all = 0xffffffff, user = X86_ARITH_FLAGS | X86_TF | X86_DF | X86_NT;

	ASSERT_EQ(eflags_merge(&CPU, all, 4), user | X86_IF | X86_IOPL | X86_AC | X86_ID | X86_F1);
	ASSERT_EQ(eflags_merge(&CPU, all, 2), user | X86_IF | X86_IOPL | X86_F1);
	fx_enter_ring3();
	CPU.eflags = X86_F1 | X86_RF;
	ASSERT_EQ(eflags_merge(&CPU, all, 4), user | X86_AC | X86_ID | X86_F1);
	CPU.eflags |= X86_IOPL;
	ASSERT_EQ(eflags_merge(&CPU, X86_IF, 4), X86_IF | X86_IOPL | X86_F1);
}

/* ---- MSRs, CPUID, models ---- */

Test(msrs, known_and_unknown)
{
	uint64_t value;

	ASSERT_FAULT(msr_read(VCPU, 0x12345, &value), EXC_GP, 0);
	ASSERT_FAULT(msr_write(VCPU, 0x12345, 0), EXC_GP, 0);
	ASSERT_OK(msr_write(VCPU, MSR_SYSENTER_EIP, 0xc0001234));
	ASSERT_OK(msr_read(VCPU, MSR_SYSENTER_EIP, &value));
	ASSERT_EQ(value, 0xc0001234);
	ASSERT_FAULT(msr_write(VCPU, MSR_PAT, 0x0007040600070402), EXC_GP, 0);
	ASSERT_OK(msr_write(VCPU, MSR_PAT, 0x0007040600070406));
	ASSERT_FAULT(msr_write(VCPU, MSR_EFER, 0x100), EXC_GP, 0); /* LME */
	ASSERT_OK(msr_write(VCPU, MSR_EFER, EFER_NXE));
	ASSERT_FAULT(msr_write(VCPU, MSR_APIC_BASE, 0xfee00c00), EXC_GP, 0); /* x2APIC */
	ASSERT_OK(msr_write(VCPU, MSR_APIC_BASE, 0xfee00000));
	ASSERT_EQ(CPU.apic_base, 0xfee00100); /* BSP is read-only */
	cr_assert_not(cpuid_query(&CPU, 1, 0).edx & 1 << 9);
	ASSERT_OK(msr_read(VCPU, MSR_BIOS_SIGN, &value));
	ASSERT_EQ(value, 0x21900000000ull);
	VCPU->model = cpu_model_find("pentium2");
	ASSERT_FAULT(msr_read(VCPU, MSR_EFER, &value), EXC_GP, 0);
	fx_enter_ring3();
	ASSERT_FAULT(msr_read(VCPU, MSR_SYSENTER_EIP, &value), EXC_GP, 0);
}

/* What processors keep of MISC_ENABLE is read back; what they do not have is read-only. */
Test(msrs, misc_enable_keeps_its_bits)
{
	const uint64_t kept = 1 | 1 << 3 | 1 << 10 | 1 << 13 | 1 << 16 | 1 << 18 | 1 << 22 |
			      1 << 23 | 1ull << 34;
	uint64_t value;

	for (unsigned bit = 0; bit < 64; bit++) {
		const uint64_t written = 1ull << bit;

		if (bit == 20)
			continue;
		ASSERT_OK(msr_write(VCPU, MSR_MISC_ENABLE, written));
		ASSERT_OK(msr_read(VCPU, MSR_MISC_ENABLE, &value));
		ASSERT_EQ(value, (written & kept) | 3 << 11);
	}
	/* Bit 20 locks itself and 16. */
	ASSERT_OK(msr_write(VCPU, MSR_MISC_ENABLE, 1 << 16 | 1 << 20));
	ASSERT_OK(msr_write(VCPU, MSR_MISC_ENABLE, 1));
	ASSERT_OK(msr_read(VCPU, MSR_MISC_ENABLE, &value));
	ASSERT_EQ(value, 1 | 3 << 11 | 1 << 16 | 1 << 20);
	VCPU->model = cpu_model_find("pentium3");
	ASSERT_FAULT(msr_read(VCPU, MSR_MISC_ENABLE, &value), EXC_GP, 0);
}

Test(msrs, misc_enable_limits_cpuid_and_hides_xd)
{
	ASSERT_OK(msr_write(VCPU, MSR_MISC_ENABLE, MISC_LIMIT_CPUID));
	ASSERT_EQ(cpuid_query(&CPU, 0, 0).eax, 2);
	ASSERT_EQ(cpuid_query(&CPU, 4, 0).eax, cpuid_query(&CPU, 2, 0).eax);
	cr_assert_not(cpuid_tells_tsc_rate(&CPU, 0x15));
	ASSERT_EQ(cpuid_query(&CPU, 0x80000001, 0).edx & 1 << 20, 1 << 20);
	ASSERT_OK(msr_write(VCPU, MSR_MISC_ENABLE, MISC_XD_DISABLE));
	ASSERT_EQ(cpuid_query(&CPU, 0, 0).eax, 0x16);
	ASSERT_EQ(cpuid_query(&CPU, 0x80000001, 0).edx & 1 << 20, 0);
	ASSERT_FAULT(msr_write(VCPU, MSR_EFER, EFER_NXE), EXC_GP, 0);
	ASSERT_OK(msr_write(VCPU, MSR_EFER, 0));
	ASSERT_OK(msr_write(VCPU, MSR_MISC_ENABLE, 0));
	ASSERT_EQ(cpuid_query(&CPU, 0x80000001, 0).edx & 1 << 20, 1 << 20);
	ASSERT_OK(msr_write(VCPU, MSR_EFER, EFER_NXE));
}

/* The P6's counters keep what Linux writes to see whether they are there; nothing counts. */
Test(msrs, performance_counters_of_the_p6)
{
	static const struct { const char *model; bool has; } cases[] = {
		{ "486", false }, { "pentium", false }, { "pentium2", true },
		{ "pentium3", true }, { "max", true },
	};
	static const struct { uint32_t msr; uint64_t written, kept; } writes[] = {
		{ MSR_PERFCTR0, 0xabcd, 0xabcd }, { MSR_PERFCTR1, 0x80000000, 0xff80000000 },
		{ MSR_PERFCTR0, 0x1200000034, 0x34 }, { MSR_PERFCTR1, 7, 7 },
		{ MSR_EVNTSEL0, 0x530079, 0x530079 }, { MSR_EVNTSEL1, 0xc0, 0xc0 },
	};
	uint64_t value;

	for (unsigned m = 0; m < RF_ARRAY_SIZE(cases); m++) {
		VCPU->model = cpu_model_find(cases[m].model);
		for (unsigned i = 0; i < RF_ARRAY_SIZE(writes); i++) {
			if (!cases[m].has) {
				ASSERT_FAULT(msr_read(VCPU, writes[i].msr, &value), EXC_GP, 0);
				ASSERT_FAULT(msr_write(VCPU, writes[i].msr, 0), EXC_GP, 0);
				continue;
			}
			ASSERT_OK(msr_write(VCPU, writes[i].msr, writes[i].written));
			ASSERT_OK(msr_read(VCPU, writes[i].msr, &value));
			ASSERT_EQ(value, writes[i].kept);
		}
	}
	ASSERT_EQ(CPU.perf_counter[0], 0x34); /* each is its own */
	ASSERT_FAULT(msr_write(VCPU, MSR_EVNTSEL0, 1ull << 32), EXC_GP, 0);
	processor_reset(VCPU);
	ASSERT_OK(msr_read(VCPU, MSR_PERFCTR0, &value));
	ASSERT_EQ(value, 0);
}

/* Machine checks can be had from the P6 on, as an architecture without a bank. */
Test(msrs, machine_checks)
{
	static const struct { const char *model; bool has; } cases[] = {
		{ "486", false }, { "pentium", false }, { "pentium2", true },
		{ "pentium3", true }, { "max", true },
	};
	const uint32_t bits = 1 << 7 | 1 << 14;
	uint64_t value = 1;

	for (unsigned i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		VCPU->model = cpu_model_find(cases[i].model);
		ASSERT_EQ(cpuid_query(&CPU, 1, 0).edx & bits, cases[i].has ? bits : 0);
		if (cases[i].has)
			continue;
		ASSERT_FAULT(msr_read(VCPU, MSR_MCG_CAP, &value), EXC_GP, 0);
		ASSERT_FAULT(control_reg_write(VCPU, 4, CR4_MCE), EXC_GP, 0);
	}
	ASSERT_OK(control_reg_write(VCPU, 4, CR4_MCE));
	ASSERT_OK(msr_read(VCPU, MSR_MCG_CAP, &value));
	ASSERT_EQ(value, 0);
	ASSERT_FAULT(msr_write(VCPU, MSR_MCG_CAP, 0), EXC_GP, 0);
	ASSERT_OK(msr_write(VCPU, MSR_MCG_STATUS, 5));
	ASSERT_OK(msr_read(VCPU, MSR_MCG_STATUS, &value));
	ASSERT_EQ(value, 5);
	ASSERT_FAULT(msr_write(VCPU, MSR_MCG_STATUS, 8), EXC_GP, 0);
	ASSERT_FAULT(msr_read(VCPU, 0x17b, &value), EXC_GP, 0); /* MCG_CTL: CAP has no bit 8 */
	ASSERT_FAULT(msr_read(VCPU, 0x400, &value), EXC_GP, 0); /* MC0_CTL: no bank */
}

Test(msrs, tsc_counts_from_what_was_written)
{
	uint64_t value;

	ASSERT_OK(msr_write(VCPU, MSR_TSC, 1000));
	ASSERT_OK(msr_read(VCPU, MSR_TSC, &value));
	cr_assert(value >= 1000 && value < 1000 + 10000000000ull);
	ASSERT_OK(msr_write(VCPU, MSR_TSC_ADJUST, 0));
	ASSERT_EQ(CPU.tsc_offset, 0);
	ASSERT_OK(msr_write(VCPU, MSR_TSC_ADJUST, 5));
	ASSERT_OK(msr_read(VCPU, MSR_TSC_ADJUST, &value));
	ASSERT_EQ(value, 5);
	ASSERT_EQ(CPU.tsc_offset, 5);
}

Test(msrs, cpuid_of_max)
{
	struct cpuid_result r = cpuid_query(&CPU, 0, 0);

	cr_assert(!memcmp(&r.ebx, "Genu", 4) && !memcmp(&r.edx, "ineI", 4) &&
		  !memcmp(&r.ecx, "ntel", 4));
	ASSERT_EQ(cpuid_query(&CPU, 1, 0).eax, 0x106ca);
	r = cpuid_query(&CPU, 1, 0);
	cr_assert(r.edx & 1 << 26); /* SSE2 */
	/* hypervisor, XSAVE, MONITOR, x2APIC, AES, PCLMULQDQ */
	cr_assert_not(r.ecx & (1u << 31 | 1 << 26 | 1 << 3 | 1 << 21 | 1 << 25 | 1 << 1));
	ASSERT_EQ(cpuid_query(&CPU, 0x80000001, 0).edx, 1 << 20 | 1 << 27);
	ASSERT_EQ(cpuid_query(&CPU, 0x80000001, 0).ecx, 1 << 5);
	ASSERT_EQ(cpuid_query(&CPU, 0x80000008, 0).eax, 0x2024);
	ASSERT_EQ(cpuid_query(&CPU, 0x80000007, 0).edx, 1 << 8);
	/* Leaves beyond the last give the last basic leaf. */
	VCPU->tsc_ratio = (struct tsc_ratio){ 840, 10 };
	ASSERT_EQ(cpuid_query(&CPU, 0x12345678, 0).eax, 2100);
	ASSERT_EQ(cpuid_query(&CPU, 7, 0).ebx, 1 << 1 | 1 << 7 | 1 << 20);
	ASSERT_EQ(cpuid_query(&CPU, 7, 0).ecx, 1 << 2 | 1 << 22);
	ASSERT_EQ(cpuid_query(&CPU, 4, 3).eax, 0);
}

Test(msrs, cpuid_tells_the_rate_of_the_tsc_if_it_is_known)
{
	struct cpuid_result r;

	ASSERT_EQ(cpuid_query(&CPU, 0, 0).eax, 0x16);
	cr_assert(cpuid_tells_tsc_rate(&CPU, 0x15) && cpuid_tells_tsc_rate(&CPU, 0x16));
	cr_assert(cpuid_tells_tsc_rate(&CPU, 0x12345678));
	cr_assert_not(cpuid_tells_tsc_rate(&CPU, 7) || cpuid_tells_tsc_rate(&CPU, 0x80000000));
	r = cpuid_query(&CPU, 0x15, 0);
	cr_assert_not(r.eax || r.ebx || r.ecx || cpuid_query(&CPU, 0x16, 0).eax);
	VCPU->tsc_ratio = (struct tsc_ratio){ 1677, 20 }; /* 2096.25 MHz */
	r = cpuid_query(&CPU, 0x15, 0);
	cr_assert(r.eax == 20 && r.ebx == 1677 && r.ecx == 25000000);
	r = cpuid_query(&CPU, 0x16, 0);
	cr_assert(r.eax == 2096 && r.ebx == 2096 && r.ecx == 25);
	VCPU->model = cpu_model_find("pentium3");
	cr_assert_not(cpuid_tells_tsc_rate(&CPU, 0x15));
}

Test(msrs, cpuid_of_old_models)
{
	const struct { const char *name; uint32_t version, edx; } cases[] = {
		{ "486", 0x480, 0x00000001 }, { "pentium", 0x52c, 0x0000033f },
		{ "pentium2", 0x652, 0x0183ebff }, { "pentium3", 0x683, 0x0383ebff },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		VCPU->model = cpu_model_find(cases[i].name);
		ASSERT_EQ(cpuid_query(&CPU, 1, 0).eax, cases[i].version);
		ASSERT_EQ(cpuid_query(&CPU, 1, 0).edx, cases[i].edx);
		ASSERT_EQ(cpuid_query(&CPU, 1, 0).ecx, 0);
		/*
		 * The answer to the question for extended leaves must not look as if there were
		 * any.
		 */
		cr_assert_neq(cpuid_query(&CPU, 0x80000000, 0).eax >> 16, 0x8000);
	}
}

Test(msrs, model_specifications)
{
	struct cpu_model *model = NULL;
	struct error error = { 0 };

	cr_assert_eq(cpu_model_parse("max,-pae,+sep,sse4.1=off", &model, &error), 0);
	cr_assert_not(model->features &
		      (FEATURE_PAE | FEATURE_NX | FEATURE_SSE4_1 | FEATURE_SSE4_2));
	cr_assert(model->features & FEATURE_SSSE3 || cpu_host_missing_features() & FEATURE_SSSE3);
	free(model);
	cr_assert_eq(cpu_model_parse("pentium3,+sse2,+nx", &model, &error), 0);
	cr_assert(model->features & FEATURE_SSE2);
	cr_assert(model->features & FEATURE_NX);
	free(model);
	cr_assert_eq(cpu_model_parse("z80", &model, &error), -EINVAL);
	cr_assert_str_eq(error.text, "unknown CPU model 'z80' (see -cpu help)");
	cr_assert_eq(cpu_model_parse("max,+avx", &model, &error), -EINVAL);
	cr_assert_eq(cpu_model_parse("max,sse2", &model, &error), -EINVAL); /* neither on nor off */
	cr_assert_eq(cpu_model_parse("max,", &model, &error), -EINVAL);
}

/* ---- the software TLB ---- */

Test(tlb, page_fault_error_codes)
{
	uint32_t value = 0;

	fx_enable_paging();
	fx_write32(FX_PAGE_TABLE + 4 * 0x50, 0);
	fx_write32(FX_PAGE_TABLE + 4 * 0x51, 0x51000 | PTE_P | PTE_U);
	fx_write32(FX_PAGE_TABLE + 4 * 0x52, 0x52000 | PTE_P | PTE_W);
	ASSERT_FAULT(mem_read(VCPU, 0x50123, &value, 4, ACCESS_READ), EXC_PF, 0);
	ASSERT_EQ(CPU.fault.cr2, 0x50123);
	ASSERT_FAULT(mem_write(VCPU, 0x51000, &value, 4, ACCESS_WRITE | ACCESS_USER), EXC_PF,
		     PFE_P | PFE_W | PFE_U);
	/* CR0.WP */
	ASSERT_FAULT(mem_write(VCPU, 0x51000, &value, 4, ACCESS_WRITE), EXC_PF, PFE_P | PFE_W);
	ASSERT_FAULT(mem_read(VCPU, 0x52000, &value, 4, ACCESS_READ | ACCESS_USER), EXC_PF,
		     PFE_P | PFE_U);
	ASSERT_OK(mem_read(VCPU, 0x52000, &value, 4, ACCESS_READ));
	ASSERT_OK(control_reg_write(VCPU, 0, CPU.cr0 & ~CR0_WP));
	ASSERT_OK(mem_write(VCPU, 0x51000, &value, 4, ACCESS_WRITE));
	ASSERT_OK(control_reg_write(VCPU, 0, CPU.cr0 | CR0_WP));
	ASSERT_FAULT(mem_write(VCPU, 0x51000, &value, 4, ACCESS_WRITE), EXC_PF, PFE_P | PFE_W);
}

Test(tlb, accessed_and_dirty_bits)
{
	uint32_t value = 0, pte = FX_PAGE_TABLE + 4 * 0x60;

	fx_enable_paging();
	ASSERT_OK(mem_read(VCPU, 0x60000, &value, 4, ACCESS_READ));
	ASSERT_EQ(fx_read32(pte) & (PTE_A | PTE_D), PTE_A);
	ASSERT_OK(mem_write(VCPU, 0x60000, &value, 4, ACCESS_WRITE));
	ASSERT_EQ(fx_read32(pte) & (PTE_A | PTE_D), PTE_A | PTE_D);
	ASSERT_EQ(mem_peek(VCPU, 0x61000, &value, 4), 4);
	cr_assert_not(fx_read32(pte + 4) & PTE_A);
}

Test(tlb, stale_until_flushed)
{
	uint32_t value = 0, pte = FX_PAGE_TABLE + 4 * 0x60;

	fx_enable_paging();
	fx_write32(0x60000, 0x6060);
	fx_write32(0x70000, 0x7070);
	ASSERT_OK(mem_read(VCPU, 0x60000, &value, 4, ACCESS_READ));
	fx_write32(pte, 0x70000 | PTE_P | PTE_W);
	ASSERT_OK(mem_read(VCPU, 0x60000, &value, 4, ACCESS_READ));
	ASSERT_EQ(value, 0x6060);
	ASSERT_OK(invlpg(VCPU, 0x60fff));
	ASSERT_OK(mem_read(VCPU, 0x60000, &value, 4, ACCESS_READ));
	ASSERT_EQ(value, 0x7070);
	fx_write32(pte, 0x60000 | PTE_P | PTE_W);
	ASSERT_OK(control_reg_write(VCPU, 3, CPU.cr3));
	ASSERT_OK(mem_read(VCPU, 0x60000, &value, 4, ACCESS_READ));
	ASSERT_EQ(value, 0x6060);
}

Test(tlb, global_entries_survive_cr3_loads)
{
	uint32_t value = 0, pte = FX_PAGE_TABLE + 4 * 0x60;

	fx_enable_paging();
	fx_write32(0x60000, 0x6060);
	fx_write32(0x70000, 0x7070);
	fx_write32(pte, 0x60000 | PTE_P | PTE_W | PTE_G);
	ASSERT_OK(control_reg_write(VCPU, 4, CR4_PGE));
	ASSERT_OK(mem_read(VCPU, 0x60000, &value, 4, ACCESS_READ));
	fx_write32(pte, 0x70000 | PTE_P | PTE_W | PTE_G);
	ASSERT_OK(control_reg_write(VCPU, 3, CPU.cr3));
	ASSERT_OK(mem_read(VCPU, 0x60000, &value, 4, ACCESS_READ));
	ASSERT_EQ(value, 0x6060);
	ASSERT_OK(control_reg_write(VCPU, 4, 0));
	ASSERT_OK(mem_read(VCPU, 0x60000, &value, 4, ACCESS_READ));
	ASSERT_EQ(value, 0x7070);
	/* Without CR4.PGE the G bit means nothing. */
	fx_write32(pte, 0x60000 | PTE_P | PTE_W | PTE_G);
	ASSERT_OK(control_reg_write(VCPU, 3, CPU.cr3));
	ASSERT_OK(mem_read(VCPU, 0x60000, &value, 4, ACCESS_READ));
	ASSERT_EQ(value, 0x6060);
}

Test(tlb, invlpg_drops_all_of_a_large_page)
{
	uint32_t value = 0;

	fx_enable_paging();
	ASSERT_OK(control_reg_write(VCPU, 4, CR4_PSE));
	fx_write32(FX_PAGE_DIR + 4, 0 | PTE_P | PTE_W | PTE_PS);
	fx_write32(0x80000, 0x8080);
	ASSERT_OK(mem_read(VCPU, 0x480000, &value, 4, ACCESS_READ));
	ASSERT_EQ(value, 0x8080);
	fx_write32(FX_PAGE_DIR + 4, 0);
	ASSERT_OK(mem_read(VCPU, 0x480000, &value, 4, ACCESS_READ));
	ASSERT_OK(invlpg(VCPU, 0x400000));
	ASSERT_FAULT(mem_read(VCPU, 0x480000, &value, 4, ACCESS_READ), EXC_PF, 0);
}

Test(tlb, page_crossing_write_is_all_or_nothing)
{
	uint64_t value = 0x1122334455667788ull, back = 0;

	fx_enable_paging();
	fx_write32(FX_PAGE_TABLE + 4 * 0x61, 0x71000 | PTE_P);
	fx_write64(0x60ffc, 0);
	ASSERT_FAULT(mem_write(VCPU, 0x60ffc, &value, 8, ACCESS_WRITE), EXC_PF, PFE_P | PFE_W);
	ASSERT_EQ(CPU.fault.cr2, 0x61000);
	ASSERT_EQ(fx_read32(0x60ffc), 0);
	fx_write32(FX_PAGE_TABLE + 4 * 0x61, 0x71000 | PTE_P | PTE_W);
	ASSERT_OK(mem_write(VCPU, 0x60ffc, &value, 8, ACCESS_WRITE));
	ASSERT_EQ(fx_read32(0x60ffc), 0x55667788);
	ASSERT_EQ(fx_read32(0x71000), 0x11223344);
	ASSERT_OK(mem_read(VCPU, 0x60ffc, &back, 8, ACCESS_READ));
	ASSERT_EQ(back, value);
}

Test(tlb, rom_drops_writes_and_mmio_reaches_the_bus)
{
	uint32_t value = 0x12345678, twelve[3] = { 1, 2, 3 };
	void *host;

	fx_vm->ram.page_flags[0xc0] = RAM_PAGE_ROM;
	ASSERT_OK(mem_write(VCPU, 0xc0000, &value, 4, ACCESS_WRITE));
	ASSERT_EQ(fx_read32(0xc0000), 0);
	ASSERT_OK(mem_rmw_pointer(VCPU, 0xc0000, 4, ACCESS_WRITE, &host));
	cr_assert_null(host);
	ASSERT_OK(mem_write(VCPU, 0xfee00080, &value, 4, ACCESS_WRITE));
	ASSERT_EQ(fx_record.mmio_gpa, 0xfee00080);
	ASSERT_EQ(fx_record.mmio_value, 0x12345678);
	ASSERT_EQ(fx_record.mmio_size, 4);
	ASSERT_OK(mem_read(VCPU, 0xa0000, &value, 2, ACCESS_READ));
	ASSERT_EQ(value, 0x12347788);
	ASSERT_EQ(fx_record.mmio_size, 2);
	ASSERT_OK(mem_write(VCPU, 0xfee00080, twelve, sizeof(twelve), ACCESS_WRITE));
	ASSERT_EQ(fx_record.mmio_gpa, 0xfee00088); /* after eight bytes */
	ASSERT_EQ(fx_record.mmio_value, twelve[2]);
	ASSERT_EQ(fx_record.mmio_size, 4);
	ASSERT_OK(mem_read(VCPU, 0xfee00090, twelve, sizeof(twelve), ACCESS_READ));
	ASSERT_EQ(fx_record.mmio_gpa, 0xfee00098);
	ASSERT_OK(mem_rmw_pointer(VCPU, 0x50ffe, 4, ACCESS_WRITE, &host));
	cr_assert_null(host);
	ASSERT_OK(mem_rmw_pointer(VCPU, 0x50ff0, 4, ACCESS_WRITE, &host));
	ASSERT_EQ((uint8_t *)host - fx_vm->ram.flat, 0x50ff0);
}

static void count_written(void *opaque, gpa_t gpa, uint32_t len)
{
	*(uint64_t *)opaque += gpa.v * 0x100 + len;
}

Test(tlb, stores_to_traced_pages_are_told)
{
	uint64_t sum = 0;
	uint32_t value = 1;

	fx_vm->ram.written = count_written;
	fx_vm->ram.written_opaque = &sum;
	ASSERT_OK(mem_write(VCPU, 0x50010, &value, 4, ACCESS_WRITE));
	ASSERT_EQ(sum, 0);
	fx_vm->ram.page_flags[0x50] = RAM_PAGE_CODE;
	ASSERT_OK(mem_write(VCPU, 0x50010, &value, 4, ACCESS_WRITE));
	ASSERT_EQ(sum, 0x5001004);
	ASSERT_EQ(fx_read32(0x50010), 1);
	mem_written(VCPU, 0x50020, fx_vm->ram.flat + 0x50020, 2);
	ASSERT_EQ(sum, 0x5001004 + 0x5002002);
}

Test(tlb, hit_path)
{
	uint32_t value;

	cr_assert_null(soft_tlb_hit(&VCPU->soft_tlb, 0x50010, 4, ACCESS_READ));
	ASSERT_OK(mem_read(VCPU, 0x50010, &value, 4, ACCESS_READ));
	ASSERT_EQ(soft_tlb_hit(&VCPU->soft_tlb, 0x50ffc, 4, ACCESS_READ) - fx_vm->ram.flat,
		  0x50ffc);
	cr_assert_null(soft_tlb_hit(&VCPU->soft_tlb, 0x50ffd, 4, ACCESS_READ));
	cr_assert_null(soft_tlb_hit(&VCPU->soft_tlb, 0x50010, 4, ACCESS_READ | ACCESS_USER));
	cr_assert_null(soft_tlb_hit(&VCPU->soft_tlb, 0x50010, 4, ACCESS_WRITE));
	soft_tlb_flush(VCPU, false);
	cr_assert_null(soft_tlb_hit(&VCPU->soft_tlb, 0x50010, 4, ACCESS_READ));
}
