/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: MMX and SSE. The host executes the instruction itself (fpu_proxy.h); here are the conditions under which it may
 * (SDM vol. 2, 2.4 and vol. 3, 13.1), its operands, and SIMD exceptions.
 */
#include "fpu_proxy.h"
#include "interp_internal.h"

#define MXCSR_FLAGS 0x3fu
#define MXCSR_MASKS 0x1f80u
#define MXCSR_MASK_SHIFT 7
#define MXCSR_UNDERFLOW 0x10u
#define MXCSR_UNDERFLOW_MASK 0x800u
#define MXCSR_FLUSH_TO_ZERO 0x8000u
/* Invalid, denormal, divide by zero: found before anything is computed. */
#define PRE_COMPUTATION 0x07u

static enum x86_status check_usable(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;

	if (cpu->cr0 & CR0_EM || (i->attr & OPA_SSE && !(cpu->cr4 & CR4_OSFXSR)))
		return fault_raise(cpu, EXC_UD);
	return cpu->cr0 & CR0_TS ? fault_raise(cpu, EXC_NM) : X86_OK;
}

/* Whether it enters MMX state, which waits for x87 exceptions. CVTPI2PD from memory does not (SDM vol. 2, CVTPI2PD). */
static bool uses_mmx(const struct insn *i)
{
	return i->attr & OPA_MMX && !(i->mem && i->opcode == 0x2a && i->sse_prefix == 0x66);
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

static bool is_scalar(const struct insn *i)
{
	return i->sse_prefix == 0xf3 || i->sse_prefix == 0xf2;
}

static enum fpu_gpr gpr_operand(const struct insn *i)
{
	if (i->map == MAP_0F3A)
		return (i->opcode >= 0x14 && i->opcode <= 0x17) || i->opcode == 0x20 || i->opcode == 0x22 ? FPU_GPR_RM : FPU_GPR_NONE;
	if (i->map != MAP_0F)
		return FPU_GPR_NONE;
	switch (i->opcode) {
	case 0x2a:                       return is_scalar(i) ? FPU_GPR_RM : FPU_GPR_NONE;
	case 0x2c: case 0x2d:            return is_scalar(i) ? FPU_GPR_REG : FPU_GPR_NONE;
	case 0x50: case 0xc5: case 0xd7: return FPU_GPR_REG;
	case 0x6e: case 0xc4:            return FPU_GPR_RM;
	case 0x7e:                       return is_scalar(i) ? FPU_GPR_NONE : FPU_GPR_RM;
	default:                         return FPU_GPR_NONE;
	}
}

/* PCMPESTRI, PCMPESTRM and their kin: lengths in EAX and EDX, an index in ECX. */
static bool is_string_compare(const struct insn *i)
{
	return i->map == MAP_0F3A && i->opcode >= 0x60 && i->opcode <= 0x63;
}

/* The register that stands behind ECX in the thunk. */
static unsigned gpr_number(const struct insn *i, enum fpu_gpr gpr)
{
	return gpr == FPU_GPR_REG ? insn_reg(i) : gpr == FPU_GPR_RM ? insn_rm(i) : X86_ECX;
}

/* --- Execution --- */

static enum x86_status simd_exception(struct vcpu *vcpu, uint32_t raised, uint32_t unmasked)
{
	struct cpu *cpu = &vcpu->cpu;

	cpu->fpu.mxcsr |= unmasked & PRE_COMPUTATION ? raised & PRE_COMPUTATION : raised;
	return fault_raise(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}

/*
 * Results that may be denormal, as number and size of the elements. Underflow is the one exception that comes up for fewer results
 * when it is masked: an exact denormal then counts for none (SDM vol. 1, 11.5.2.5), so it has to be looked for in the result.
 */
struct elements {
	unsigned count, size;
};

static struct elements tiny_results(const struct insn *i)
{
	const bool is_double = i->sse_prefix == 0x66 || i->sse_prefix == 0xf2;

	if (i->map != MAP_0F)
		return (struct elements){ 0, 0 };
	switch (i->opcode) {
	case 0x58: case 0x59: case 0x5c: case 0x5e: /* ADD, MUL, SUB, DIV */
		return (struct elements){ is_scalar(i) ? 1 : is_double ? 2 : 4, is_double ? 8 : 4 };
	case 0x5a:                                  /* CVTPD2PS, CVTSD2SS */
		return (struct elements){ i->sse_prefix == 0x66 ? 2 : i->sse_prefix == 0xf2 ? 1 : 0, 4 };
	case 0x7c: case 0x7d: case 0xd0:            /* HADD, HSUB, ADDSUB: F2 is the form with four singles */
		return i->sse_prefix == 0x66 ? (struct elements){ 2, 8 } : (struct elements){ 4, 4 };
	default:
		return (struct elements){ 0, 0 };
	}
}

static bool has_denormal(const uint8_t *xmm, struct elements e)
{
	for (unsigned n = 0; n < e.count; n++) {
		uint64_t value = 0;

		memcpy(&value, xmm + n * e.size, e.size);
		value <<= e.size == 4 ? 33 : 1; /* the sign goes */
		if (value && !(e.size == 4 ? value >> 56 : value >> 53))
			return true;
	}
	return false;
}

/*
 * Executes i on *fpu with all exceptions masked: the flags tell what it would raise unmasked. Results are not flushed to zero while
 * underflow is unmasked (SDM vol. 1, 10.2.3.3).
 */
static uint32_t try_masked(struct vcpu *vcpu, const struct insn *i, enum fpu_gpr gpr, struct fxsave_image *fpu, struct fpu_operands *operands)
{
	const uint32_t mxcsr = vcpu->cpu.fpu.mxcsr, flush = mxcsr & MXCSR_UNDERFLOW_MASK ? 0 : MXCSR_FLUSH_TO_ZERO;
	uint32_t raised;

	fpu->mxcsr = (mxcsr | MXCSR_MASKS) & ~(MXCSR_FLAGS | flush);
	fpu_proxy_run(vcpu_interp(vcpu)->proxy, i, gpr, fpu, operands);
	raised = fpu->mxcsr & MXCSR_FLAGS;
	if (flush && has_denormal(fpu->xmm[insn_reg(i)], tiny_results(i)))
		raised |= MXCSR_UNDERFLOW;
	return raised;
}

/* Sets the flags of what was tried, and raises the exception if one of them is unmasked. */
static enum x86_status take_flags(struct vcpu *vcpu, uint32_t raised)
{
	const uint32_t unmasked = raised & ~(vcpu->cpu.fpu.mxcsr >> MXCSR_MASK_SHIFT);

	if (unmasked)
		return simd_exception(vcpu, raised, unmasked);
	vcpu->cpu.fpu.mxcsr |= raised;
	return X86_OK;
}

static bool is_dot_product(const struct insn *i)
{
	return i->map == MAP_0F3A && (i->opcode == 0x40 || i->opcode == 0x41);
}

/* DPPS and DPPD raise exceptions by steps: that of the products, then those of the sums. */
static enum x86_status dot_product_steps(struct vcpu *vcpu, const struct insn *i, struct fpu_operands operands)
{
	const struct elements e = i->opcode == 0x40 ? (struct elements){ 4, 4 } : (struct elements){ 2, 8 };
	struct fxsave_image fpu = vcpu->cpu.fpu;
	uint8_t *to = fpu.xmm[insn_reg(i)], *from = i->mem ? operands.mem : fpu.xmm[insn_rm(i)];
	struct insn step = *i;

	for (unsigned n = 0; n < e.count; n++) {
		if (i->imm >> (4 + n) & 1)
			continue;
		memset(to + n * e.size, 0, e.size);
		memset(from + n * e.size, 0, e.size);
	}
	step.map = MAP_0F;
	step.imm_size = 0;
	step.opcode = 0x59; /* MULPS, MULPD */
	step.sse_prefix = e.size == 8 ? 0x66 : 0;
	for (unsigned round = 0; round < 1 + e.count / 2; round++) {
		RETURN_IF_FAULT(take_flags(vcpu, try_masked(vcpu, &step, FPU_GPR_NONE, &fpu, &operands)));
		step.opcode = 0x7c; /* HADDPS, HADDPD */
		step.sse_prefix = e.size == 8 ? 0x66 : 0xf2;
		step.mem = false;
		step.modrm = 0xc0 | insn_reg(i) << 3 | insn_reg(i);
	}
	return X86_OK;
}

/* With some exceptions unmasked the instruction is first tried on a copy. */
static enum x86_status run_unmasked(struct vcpu *vcpu, const struct insn *i, enum fpu_gpr gpr, struct fpu_operands *operands)
{
	struct cpu *cpu = &vcpu->cpu;
	struct fxsave_image trial = cpu->fpu;
	uint32_t mxcsr;

	if (is_dot_product(i))
		RETURN_IF_FAULT(dot_product_steps(vcpu, i, *operands));
	RETURN_IF_FAULT(take_flags(vcpu, try_masked(vcpu, i, gpr, &trial, operands)));
	mxcsr = cpu->fpu.mxcsr;
	cpu->fpu = trial;
	cpu->fpu.mxcsr = mxcsr;
	return X86_OK;
}

static enum x86_status run(struct vcpu *vcpu, const struct insn *i, enum fpu_gpr gpr, struct fpu_operands *operands)
{
	if (i->attr & OPA_SSE && (vcpu->cpu.fpu.mxcsr & MXCSR_MASKS) != MXCSR_MASKS)
		return run_unmasked(vcpu, i, gpr, operands);
	fpu_proxy_run(vcpu_interp(vcpu)->proxy, i, gpr, &vcpu->cpu.fpu, operands);
	return X86_OK;
}

static void store_results(struct cpu *cpu, const struct insn *i, enum fpu_gpr gpr, const struct fpu_operands *operands)
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
		.eax = cpu->regs[X86_EAX], .ecx = cpu->regs[gpr_number(i, gpr)], .edx = cpu->regs[X86_EDX], .flags = flags_to_ax(cpu),
	};
	uint32_t ea = i->mem ? insn_ea(cpu, i) : 0;
	bool store = i->mem && i->attr & OPA_MEM_WRITE;

	if (needs_alignment(i) && (cpu->seg[i->seg].base + ea) & 15)
		return raise_gp(vcpu);
	if (store)
		RETURN_IF_FAULT(interp_probe_block(vcpu, i->seg, ea, i->mem_size));
	else if (i->mem)
		RETURN_IF_FAULT(interp_read_block(vcpu, i->seg, ea, operands.mem, i->mem_size));
	RETURN_IF_FAULT(run(vcpu, i, gpr, &operands));
	store_results(cpu, i, gpr, &operands);
	return store ? interp_write_block(vcpu, i->seg, ea, operands.mem, i->mem_size) : X86_OK;
}

/*
 * Makes the MMX registers what an MMX instruction leaves them: all valid, top of stack zero. The image holds them in stack order.
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
