/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: instructions that touch system state. The rules are in processor/ (processor.h);
 * operands are fetched and stored here.
 */
#include "monitor/processor/processor.h"
#include "internal.h"

#define REQUIRE_CPL0(vcpu) do { if ((vcpu)->cpu.cpl != 0) return raise_gp(vcpu); } while (0)
/* Instructions on descriptors exist in protected mode only. */
#define REQUIRE_PROTECTED(vcpu) \
	do { \
		if (!cpu_uses_descriptors(&(vcpu)->cpu)) \
			return fault_raise(&(vcpu)->cpu, EXC_UD); \
	} while (0)

/* SGDT, SIDT, SLDT, STR and SMSW show a program the system's state, unless CR4.UMIP is set. */
#define REQUIRE_NO_UMIP(vcpu) \
	do { \
		if ((vcpu)->cpu.cr4 & CR4_UMIP) \
			REQUIRE_CPL0(vcpu); \
	} while (0)

/* Stores a 16-bit system value: memory takes 16 bits, a register the operand size. */
static enum x86_status store_word(struct vcpu *vcpu, const struct insn *i, uint32_t value)
{
	return rm_write(vcpu, i, i->mem ? 2 : i->op_size, value);
}

/* --- Segment registers --- */

/* 8C */
enum x86_status op_mov_from_seg(struct vcpu *vcpu, const struct insn *i)
{
	return store_word(vcpu, i, vcpu->cpu.seg[insn_reg(i)].selector);
}

/* 8E */
enum x86_status op_mov_to_seg(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t selector;

	RETURN_IF_FAULT(rm_read(vcpu, i, 2, &selector));
	RETURN_IF_FAULT(segment_load(vcpu, insn_reg(i), selector));
	if (insn_reg(i) == X86_SS)
		vcpu->cpu.inhibit |= INHIBIT_MOVSS;
	return X86_OK;
}

/* C4, C5, 0F B2, B4, B5 */
enum x86_status op_load_far(struct vcpu *vcpu, const struct insn *i)
{
	enum x86_seg seg = i->map == MAP_1BYTE ? (i->opcode == 0xc4 ? X86_ES : X86_DS) :
						 i->opcode & 7;
	uint32_t offset;
	uint16_t selector;

	RETURN_IF_FAULT(interp_read_pointer(vcpu, i->seg, insn_ea(&vcpu->cpu, i), i->op_size,
					    &offset, &selector));
	RETURN_IF_FAULT(segment_load(vcpu, seg, selector));
	reg_set(&vcpu->cpu, insn_reg(i), offset, i->op_size);
	return X86_OK;
}

/* 63 */
enum x86_status op_arpl(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t destination, rpl = cpu->regs[insn_reg(i)] & 3;

	REQUIRE_PROTECTED(vcpu);
	RETURN_IF_FAULT(rm_read(vcpu, i, 2, &destination));
	if ((destination & 3) >= rpl) {
		cpu->eflags &= ~X86_ZF;
		return X86_OK;
	}
	RETURN_IF_FAULT(rm_write(vcpu, i, 2, (destination & ~3u) | rpl));
	cpu->eflags |= X86_ZF;
	return X86_OK;
}

static void set_zf(struct cpu *cpu, bool zf)
{
	cpu->eflags = zf ? cpu->eflags | X86_ZF : cpu->eflags & ~X86_ZF;
}

/* 0F 02, 03 */
enum x86_status op_lar_lsl(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t selector, value = 0;
	bool zf = false;

	REQUIRE_PROTECTED(vcpu);
	RETURN_IF_FAULT(rm_read(vcpu, i, 2, &selector));
	RETURN_IF_FAULT(
		(i->opcode == 2 ? descriptor_lar : descriptor_lsl)(vcpu, selector, &zf, &value));
	if (zf)
		reg_set(&vcpu->cpu, insn_reg(i), value, i->op_size);
	set_zf(&vcpu->cpu, zf);
	return X86_OK;
}

/* --- 0F 00: SLDT, STR, LLDT, LTR, VERR, VERW --- */

static enum x86_status op_sldt_str(struct vcpu *vcpu, const struct insn *i)
{
	REQUIRE_PROTECTED(vcpu);
	REQUIRE_NO_UMIP(vcpu);
	return store_word(vcpu, i,
			  insn_reg(i) == 0 ? vcpu->cpu.ldtr.selector : vcpu->cpu.tr.selector);
}

static enum x86_status op_lldt_ltr(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t selector;

	REQUIRE_PROTECTED(vcpu);
	REQUIRE_CPL0(vcpu);
	RETURN_IF_FAULT(rm_read(vcpu, i, 2, &selector));
	return (insn_reg(i) == 2 ? ldt_load : task_register_load)(vcpu, selector);
}

static enum x86_status op_verr_verw(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t selector;
	bool zf = false;

	REQUIRE_PROTECTED(vcpu);
	RETURN_IF_FAULT(rm_read(vcpu, i, 2, &selector));
	RETURN_IF_FAULT(descriptor_verify(vcpu, selector, insn_reg(i) == 5, &zf));
	set_zf(&vcpu->cpu, zf);
	return X86_OK;
}

insn_handler pick_group_0f00(const struct insn *i)
{
	return insn_reg(i) < 2 ? op_sldt_str : insn_reg(i) < 4 ? op_lldt_ltr : op_verr_verw;
}

/* --- 0F 01: SGDT, SIDT, LGDT, LIDT, SMSW, LMSW, INVLPG, CLAC, STAC, RDTSCP --- */

/* 32 bits of base are stored whatever the operand size (SDM vol. 2, SGDT). */
static enum x86_status op_store_table(struct vcpu *vcpu, const struct insn *i)
{
	const struct table_register *table = insn_reg(i) == 0 ? &vcpu->cpu.gdtr : &vcpu->cpu.idtr;
	uint8_t image[6];

	REQUIRE_NO_UMIP(vcpu);
	memcpy(image, &table->limit, 2);
	memcpy(image + 2, &table->base, 4);
	return interp_write_block(vcpu, i->seg, insn_ea(&vcpu->cpu, i), image, sizeof(image));
}

/* A 16-bit operand size loads 24 bits of base. */
static enum x86_status op_load_table(struct vcpu *vcpu, const struct insn *i)
{
	struct table_register *table = insn_reg(i) == 2 ? &vcpu->cpu.gdtr : &vcpu->cpu.idtr;
	uint8_t image[6];
	uint32_t base;

	REQUIRE_CPL0(vcpu);
	RETURN_IF_FAULT(
		interp_read_block(vcpu, i->seg, insn_ea(&vcpu->cpu, i), image, sizeof(image)));
	memcpy(&base, image + 2, 4);
	memcpy(&table->limit, image, 2);
	table->base = i->op_size == 4 ? base : base & 0xffffff;
	soft_tlb_check_gdt(vcpu);
	return X86_OK;
}

static enum x86_status op_smsw(struct vcpu *vcpu, const struct insn *i)
{
	REQUIRE_NO_UMIP(vcpu);
	return store_word(vcpu, i, vcpu->cpu.cr0);
}

static enum x86_status op_lmsw(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t value;

	REQUIRE_CPL0(vcpu);
	RETURN_IF_FAULT(rm_read(vcpu, i, 2, &value));
	return lmsw(vcpu, value);
}

/* The address needs no access right: only its linear value matters. */
static enum x86_status op_invlpg(struct vcpu *vcpu, const struct insn *i)
{
	REQUIRE_CPL0(vcpu);
	return invlpg(vcpu, vcpu->cpu.seg[i->seg].base + insn_ea(&vcpu->cpu, i));
}

static enum x86_status op_clac_stac(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;

	if (cpu->cpl)
		return fault_raise(cpu, EXC_UD);
	cpu->eflags = i->modrm == 0xcb ? cpu->eflags | X86_AC : cpu->eflags & ~X86_AC;
	return X86_OK;
}

static enum x86_status op_rdtscp(struct vcpu *vcpu, const struct insn *i);

insn_handler pick_group_0f01(const struct insn *i)
{
	static const insn_handler handlers[8] = {
		op_store_table, op_store_table, op_load_table, op_load_table, op_smsw, op_undefined,
		op_lmsw, op_invlpg,
	};

	switch (i->modrm) {
	case 0xca: case 0xcb: return op_clac_stac;
	case 0xf9: return op_rdtscp;
	default: return handlers[insn_reg(i)];
	}
}

insn_handler pick_group_0fc7(const struct insn *i)
{
	return i->mem ? op_cmpxchg8b : op_rdpid;
}

/* --- Control, debug and model-specific registers --- */

enum x86_status op_clts(struct vcpu *vcpu, const struct insn *i)
{
	return clts(vcpu);
}

/* 0F 08, 09: INVD, WBINVD. Guest memory is coherent, so there is nothing to write back or lose. */
enum x86_status op_cache_flush(struct vcpu *vcpu, const struct insn *i)
{
	REQUIRE_CPL0(vcpu);
	return X86_OK;
}

static enum x86_status mov_to_cr(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	const uint32_t value = cpu->regs[insn_rm(i)];
	enum x86_status status = control_reg_write(vcpu, insn_reg(i), value);

	if (status == X86_FAULT && insn_reg(i) == 4)
		cpu_lacks_note(vcpu, cpu->eip - i->len, cr4_lacking_features(cpu, value));
	return status;
}

/* 0F 20, 22 */
enum x86_status op_mov_cr(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t value;

	if (i->opcode == 0x22)
		return mov_to_cr(vcpu, i);
	RETURN_IF_FAULT(control_reg_read(vcpu, insn_reg(i), &value));
	vcpu->cpu.regs[insn_rm(i)] = value;
	return X86_OK;
}

/* 0F 21, 23 */
enum x86_status op_mov_dr(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t value;

	if (i->opcode == 0x23)
		return debug_reg_write(vcpu, insn_reg(i), vcpu->cpu.regs[insn_rm(i)]);
	RETURN_IF_FAULT(debug_reg_read(vcpu, insn_reg(i), &value));
	vcpu->cpu.regs[insn_rm(i)] = value;
	return X86_OK;
}

/* 0F 30, 32 */
enum x86_status op_msr(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t value;

	REQUIRE_CPL0(vcpu);
	if (i->opcode == 0x30)
		return msr_write(vcpu, cpu->regs[X86_ECX],
				 (uint64_t)cpu->regs[X86_EDX] << 32 | cpu->regs[X86_EAX]);
	RETURN_IF_FAULT(msr_read(vcpu, cpu->regs[X86_ECX], &value));
	cpu->regs[X86_EAX] = value;
	cpu->regs[X86_EDX] = value >> 32;
	return X86_OK;
}

/* The board is to know of a guest that keeps interrupts off and waits by the clock. */
static void tsc_read(struct vcpu *vcpu)
{
	const struct cpu *cpu = &vcpu->cpu;

	if (cpu->eflags & X86_IF || !(atomic_load(&cpu->events) & EVENT_INTR))
		return;
	pthread_mutex_lock(&vcpu->vm->device_lock);
	signal_raise(&vcpu->vm->look, 0);
	pthread_mutex_unlock(&vcpu->vm->device_lock);
}

enum x86_status op_rdtsc(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t tsc;

	if (cpu->cr4 & CR4_TSD && cpu->cpl != 0)
		return raise_gp(vcpu);
	tsc_read(vcpu);
	tsc = guest_tsc(cpu);
	cpu->regs[X86_EAX] = tsc;
	cpu->regs[X86_EDX] = tsc >> 32;
	return X86_OK;
}

static enum x86_status op_rdtscp(struct vcpu *vcpu, const struct insn *i)
{
	RETURN_IF_FAULT(op_rdtsc(vcpu, i));
	vcpu->cpu.regs[X86_ECX] = vcpu->cpu.tsc_aux;
	return X86_OK;
}

enum x86_status op_rdpid(struct vcpu *vcpu, const struct insn *i)
{
	vcpu->cpu.regs[insn_rm(i)] = vcpu->cpu.tsc_aux;
	return X86_OK;
}

/* There are two counters, which never count (processor/msr.c). */
enum x86_status op_rdpmc(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t counter;

	if ((!(cpu->cr4 & CR4_PCE) && cpu->cpl != 0) || cpu->regs[X86_ECX] > 1)
		return raise_gp(vcpu);
	counter = cpu->perf_counter[cpu->regs[X86_ECX]];
	cpu->regs[X86_EAX] = counter;
	cpu->regs[X86_EDX] = counter >> 32;
	return X86_OK;
}

/* Once: a processor does not change its mind. */
static void measure_tsc(struct vcpu *vcpu)
{
	if (!vcpu->tsc_measured)
		vcpu->tsc_ratio = tsc_ratio_since(&vcpu->begun);
	vcpu->tsc_measured = true;
}

enum x86_status op_cpuid(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	struct cpuid_result r;

	if (cpuid_tells_tsc_rate(cpu, cpu->regs[X86_EAX]))
		measure_tsc(vcpu);
	r = cpuid_query(cpu, cpu->regs[X86_EAX], cpu->regs[X86_ECX]);
	cpu->regs[X86_EAX] = r.eax;
	cpu->regs[X86_EBX] = r.ebx;
	cpu->regs[X86_ECX] = r.ecx;
	cpu->regs[X86_EDX] = r.edx;
	return X86_OK;
}

/* --- Interrupt flag, halt, ports --- */

enum x86_status op_hlt(struct vcpu *vcpu, const struct insn *i)
{
	REQUIRE_CPL0(vcpu);
	RETURN_IF_FAULT(cpu_lacks_halt(vcpu));
	vcpu_halt(vcpu);
	return STATUS_HALT;
}

/* FA, FB: virtual-8086 mode has CPL 3 and so obeys IOPL as well. */
enum x86_status op_cli_sti(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;

	if (rf_unlikely(cpu->cr4 & (CR4_VME | CR4_PVI)) && virtual_interrupt_flag(cpu))
		return virtual_interrupt_flag_set(cpu, i->opcode == 0xfb);
	if (cpu->cpl > (cpu->eflags & X86_IOPL) >> 12)
		return raise_gp(vcpu);
	if (i->opcode == 0xfa) {
		cpu->eflags &= ~X86_IF;
		return X86_OK;
	}
	if (!(cpu->eflags & X86_IF))
		cpu->inhibit |= INHIBIT_STI;
	cpu->eflags |= X86_IF;
	return X86_OK;
}

static uint16_t port_of(const struct vcpu *vcpu, const struct insn *i)
{
	return i->imm_size ? i->imm : vcpu->cpu.regs[X86_EDX];
}

enum x86_status op_in(struct vcpu *vcpu, const struct insn *i)
{
	unsigned size = insn_size(i);
	uint16_t port = port_of(vcpu, i);

	RETURN_IF_FAULT(io_permission(vcpu, port, size));
	interp_watch_io(vcpu, port, size);
	reg_set(&vcpu->cpu, X86_EAX, vm_pio_read(vcpu->vm, port, size), size);
	return X86_OK;
}

enum x86_status op_out(struct vcpu *vcpu, const struct insn *i)
{
	unsigned size = insn_size(i);
	uint16_t port = port_of(vcpu, i);

	RETURN_IF_FAULT(io_permission(vcpu, port, size));
	interp_watch_io(vcpu, port, size);
	vm_pio_write(vcpu->vm, port, reg_get(&vcpu->cpu, X86_EAX, size), size);
	return X86_OK;
}
