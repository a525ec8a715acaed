/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: MMX and SSE. The host executes the instruction itself (fpu_proxy.h); here are the
 * conditions under which it may (SDM vol. 2, 2.4 and vol. 3, 13.1), and its operands. SIMD
 * exceptions are in simd.c.
 */
#include "internal.h"
#include "simd.h"

static enum x86_status check_usable(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;

	if (cpu->cr0 & CR0_EM || (i->attr & OPA_SSE && !(cpu->cr4 & CR4_OSFXSR)))
		return fault_raise(cpu, EXC_UD);
	return cpu->cr0 & CR0_TS ? fault_raise(cpu, EXC_NM) : X86_OK;
}

/*
 * Whether it enters MMX state, which waits for x87 exceptions. CVTPI2PD from memory does not (SDM
 * vol. 2, CVTPI2PD), nor does CVTPI2PS, which the manual has do both: it is the processors that are
 * followed here.
 */
static bool uses_mmx(const struct insn *i)
{
	return i->attr & OPA_MMX && !(i->mem && i->opcode == 0x2a);
}

/* 16-byte operands must be aligned but for the instructions made to take them unaligned. */
static bool needs_alignment(const struct insn *i)
{
	if (i->mem_size != 16 || !i->mem)
		return false;
	if (i->map == MAP_0F3A)
		return i->opcode < 0x60;
	if (i->map != MAP_0F)
		return true;
	switch (i->opcode) {
	case 0x10: case 0x11: return false;                      /* MOVUPS, MOVUPD */
	case 0x6f: case 0x7f: return i->sse_prefix == 0x66;      /* F3: MOVDQU */
	case 0xf0:            return false;                      /* LDDQU */
	default:              return true;
	}
}

/* --- General register operands --- */

static bool has_scalar_prefix(const struct insn *i)
{
	return i->sse_prefix == 0xf3 || i->sse_prefix == 0xf2;
}

static enum fpu_gpr gpr_operand(const struct insn *i)
{
	if (i->map == MAP_0F3A)
		return (i->opcode >= 0x14 && i->opcode <= 0x17) || i->opcode == 0x20 ||
				       i->opcode == 0x22 ?
			       FPU_GPR_RM :
			       FPU_GPR_NONE;
	if (i->map != MAP_0F)
		return FPU_GPR_NONE;
	switch (i->opcode) {
	case 0x2a:                       return has_scalar_prefix(i) ? FPU_GPR_RM : FPU_GPR_NONE;
	case 0x2c: case 0x2d:            return has_scalar_prefix(i) ? FPU_GPR_REG : FPU_GPR_NONE;
	case 0x50: case 0xc5: case 0xd7: return FPU_GPR_REG;
	case 0x6e: case 0xc4:            return FPU_GPR_RM;
	case 0x7e:                       return has_scalar_prefix(i) ? FPU_GPR_NONE : FPU_GPR_RM;
	default:                         return FPU_GPR_NONE;
	}
}

/* PCMPESTRI, PCMPESTRM and their kin: lengths in EAX and EDX, an index in ECX. */
static bool is_string_compare(const struct insn *i)
{
	return i->map == MAP_0F3A && i->opcode >= 0x60 && i->opcode <= 0x63;
}

/* The register that stands after ECX in the thunk. */
static unsigned gpr_number(const struct insn *i, enum fpu_gpr gpr)
{
	return gpr == FPU_GPR_REG ? insn_reg(i) : gpr == FPU_GPR_RM ? insn_rm(i) : X86_ECX;
}

/* --- Execution --- */

static void store_results(struct cpu *cpu, const struct insn *i, enum fpu_gpr gpr,
			  const struct fpu_operands *operands)
{
	/* PCMPxSTRM leave ECX alone, and so does the thunk. */
	if (gpr != FPU_GPR_NONE || is_string_compare(i))
		if (gpr == FPU_GPR_REG || !i->mem || is_string_compare(i))
			cpu->regs[gpr_number(i, gpr)] = operands->ecx;
	if (i->flags_written)
		flags_from_ax(cpu, operands->flags);
}

static enum x86_status execute(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	enum fpu_gpr gpr = gpr_operand(i);
	struct fpu_operands operands = {
		.eax = cpu->regs[X86_EAX], .ecx = cpu->regs[gpr_number(i, gpr)],
		.edx = cpu->regs[X86_EDX], .flags = flags_to_ax(cpu),
	};
	uint32_t ea = i->mem ? insn_ea(cpu, i) : 0;
	bool store = i->mem && i->attr & OPA_MEM_WRITE;

	if (needs_alignment(i) && (cpu->seg[i->seg].base + ea) & 15)
		return raise_gp(vcpu);
	if (store)
		RETURN_IF_FAULT(interp_probe_block(vcpu, i->seg, ea, i->mem_size));
	else if (i->mem)
		RETURN_IF_FAULT(interp_read_block(vcpu, i->seg, ea, operands.mem, i->mem_size));
	RETURN_IF_FAULT(simd_run(vcpu, i, gpr, &operands));
	store_results(cpu, i, gpr, &operands);
	return store ? interp_write_block(vcpu, i->seg, ea, operands.mem, i->mem_size) : X86_OK;
}

/*
 * Makes the MMX registers what an MMX instruction leaves them: all valid, top of stack zero. The
 * image holds them in stack order.
 */
static void enter_mmx(struct fxsave_image *fpu)
{
	unsigned top = fpu->fsw >> 11 & 7;
	uint8_t st[8][16];

	memcpy(st, fpu->st, sizeof(st));
	for (unsigned n = 0; n < 8; n++)
		memcpy(fpu->st[n], st[(n - top) & 7], 16);
	fpu->fsw &= ~0x3800;
	fpu->ftw = 0xff;
}

/* 0F F7: bytes of a register go to DS:EDI where the mask's top bits are set. */
static enum x86_status masked_move(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	struct fxsave_image *fpu = &cpu->fpu;
	bool mmx = i->attr & OPA_MMX;
	const uint8_t *data = fpu->xmm[insn_reg(i)], *mask = fpu->xmm[insn_rm(i)];
	uint32_t edi = cpu->regs[X86_EDI], limit = i->addr_size == 4 ? 0xffffffffu : 0xffffu;
	unsigned top = mmx ? fpu->fsw >> 11 & 7 : 0;

	if (mmx) {
		data = fpu->st[(insn_reg(i) - top) & 7];
		mask = fpu->st[(insn_rm(i) - top) & 7];
	}
	for (unsigned n = 0; n < i->mem_size; n++)
		if (mask[n] & 0x80)
			RETURN_IF_FAULT(interp_probe_block(vcpu, i->seg, (edi + n) & limit, 1));
	for (unsigned n = 0; n < i->mem_size; n++)
		if (mask[n] & 0x80)
			RETURN_IF_FAULT(seg_write(vcpu, i->seg, (edi + n) & limit, 1, data[n]));
	if (mmx)
		enter_mmx(fpu);
	return X86_OK;
}

static enum x86_status op_sse(struct vcpu *vcpu, const struct insn *i)
{
	uint16_t hidden = 0;
	enum x86_status status;

	RETURN_IF_FAULT(check_usable(vcpu, i));
	if (uses_mmx(i))
		RETURN_IF_FAULT(fpu_wait_begin(vcpu, i, &hidden));
	status = i->map == MAP_0F && i->opcode == 0xf7 ? masked_move(vcpu, i) : execute(vcpu, i);
	fpu_wait_end(&vcpu->cpu, hidden);
	return status;
}

insn_handler pick_sse(const struct insn *i)
{
	return op_sse;
}
