/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: SIMD floating-point exceptions (SDM vol. 1, 11.5). The host executes the instruction
 * with all of them masked. Its flags tell what would be raised unmasked, with two exceptions:
 *
 * - an exact denormal result is no underflow while that is masked;
 * - a result that overflows or underflows is inexact if it does not fit its format. While the
 *   exception is unmasked, it is inexact only if its significand was rounded (4.9.1.4 and 4.9.1.5),
 *   whatever its exponent.
 *
 * The second is computed by element, once it is known that there is something to raise: by the
 * host's x87, which rounds to a chosen precision in a wider range of exponents.
 */
#include "internal.h"
#include "simd.h"

#define MXCSR_FLAGS 0x3fu
#define MXCSR_MASKS 0x1f80u
#define MXCSR_MASK_SHIFT 7
#define MXCSR_OVERFLOW 0x08u
#define MXCSR_UNDERFLOW 0x10u
#define MXCSR_PRECISION 0x20u
#define MXCSR_DENORMALS_ARE_ZEROS 0x40u
#define MXCSR_UNDERFLOW_MASK 0x800u
#define MXCSR_ROUNDING(mxcsr) ((mxcsr) >> 13 & 3)
#define MXCSR_FLUSH_TO_ZERO 0x8000u
/* Invalid, denormal, divide by zero: found before anything is computed. */
#define PRE_COMPUTATION 0x07u
/* Those whose results do not fit. */
#define OUT_OF_RANGE (MXCSR_OVERFLOW | MXCSR_UNDERFLOW)

#define FCW_MASKS 0x3fu
#define FCW_DOUBLE 0x200u /* else single */
#define FCW_ROUNDING_SHIFT 10
#define FSW_PRECISION 0x20u

enum {
	ADD = 0x58, MUL = 0x59, CVT = 0x5a, SUB = 0x5c, DIV = 0x5e, HADD = 0x7c, HSUB = 0x7d, ADDSUB
	= 0xd0, DPPS = 0x40, DPPD = 0x41
};

static bool is_double(const struct insn *i)
{
	return i->sse_prefix == 0x66 || i->sse_prefix == 0xf2;
}

/* ---- elements ---- */

/* What one element of a result is computed from. */
struct computation {
	uint8_t opcode; /* ADD, SUB, MUL, DIV, or CVT of a alone */
	bool is_double; /* the operands */
	uint64_t a, b;
};

static uint64_t element(const uint8_t *xmm, unsigned n, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, xmm + n * size, size);
	return value;
}

/* The computations of an instruction whose results may be out of range; how many. */
static unsigned computations(const struct insn *i, const uint8_t *to, const uint8_t *from,
			     struct computation c[4])
{
	const bool horizontal = i->opcode == HADD || i->opcode == HSUB,
		   scalar = i->sse_prefix == 0xf3 || i->sse_prefix == 0xf2;
	bool wide = is_double(i);
	unsigned size, count;

	if (i->map != MAP_0F)
		return 0;
	switch (i->opcode) {
	case ADD: case SUB: case MUL: case DIV:
		count = scalar ? 1 : wide ? 2 : 4;
		break;
	case CVT:
		count = !wide ? 0 : scalar ? 1 : 2;
		break;
	case HADD: case HSUB: case ADDSUB: /* F2 is the form with four singles */
		wide = i->sse_prefix == 0x66;
		count = wide ? 2 : 4;
		break;
	default:
		return 0;
	}
	size = wide ? 8 : 4;
	for (unsigned n = 0; n < count; n++) {
		const uint8_t *pair = n < count / 2 ? to : from;
		const unsigned first = 2 * n % count;

		c[n].is_double = wide;
		c[n].opcode = i->opcode == HADD   ? ADD :
			      i->opcode == HSUB   ? SUB :
			      i->opcode == ADDSUB ? (n & 1 ? ADD : SUB) :
						    i->opcode;
		c[n].a = horizontal ? element(pair, first, size) :
				      element(i->opcode == CVT ? from : to, n, size);
		c[n].b = horizontal ? element(pair, first + 1, size) : element(from, n, size);
	}
	return count;
}

static bool is_denormal(uint64_t value, bool wide)
{
	value <<= wide ? 1 : 33; /* the sign goes */
	return value && !(wide ? value >> 53 : value >> 56);
}

/* Whether some result among xmm is denormal. */
static bool has_denormal_result(const struct insn *i, const uint8_t *xmm)
{
	struct computation c[4];
	const unsigned count = computations(i, xmm, xmm, c);

	for (unsigned n = 0; n < count; n++) {
		const bool wide = c[n].is_double && c[n].opcode != CVT;

		if (is_denormal(element(xmm, n, wide ? 8 : 4), wide))
			return true;
	}
	return false;
}

static long double operand(uint64_t value, bool wide, uint32_t mxcsr)
{
	const uint32_t low = (uint32_t)value;
	double d;
	float f;

	if (mxcsr & MXCSR_DENORMALS_ARE_ZEROS && is_denormal(value, wide))
		return 0;
	memcpy(&d, &value, 8);
	memcpy(&f, &low, 4);
	return wide ? (long double)d : (long double)f;
}

#define X87(INSN) \
	__asm__ volatile("fnstcw %2\n\tfnclex\n\tfldcw %3\n\t" \
			 INSN \
			 "\n\tfnstsw %1\n\tfldcw %2\n\tfnclex" \
			 : "+t"(a), "=m"(fsw), "=m"(host) : "m"(fcw), "u"(b))

/* Whether the result's significand is rounded. */
static bool is_rounded(const struct computation *c, uint32_t mxcsr)
{
	const bool to_double = c->is_double && c->opcode != CVT;
	const uint16_t fcw = FCW_MASKS | (to_double ? FCW_DOUBLE : 0) |
			     MXCSR_ROUNDING(mxcsr) << FCW_ROUNDING_SHIFT;
	long double a = operand(c->a, c->is_double, mxcsr),
		    b = c->opcode == CVT ? 0 : operand(c->b, c->is_double, mxcsr);
	uint16_t fsw, host;

	if (c->opcode == SUB)
		b = -b;
	if (c->opcode == MUL)
		X87("fmul %%st(1), %%st");
	else if (c->opcode == DIV)
		X87("fdiv %%st(1), %%st");
	else
		X87("fadd %%st(1), %%st");
	return fsw & FSW_PRECISION;
}

/* ---- trials ---- */

/*
 * Executes i on *fpu with all exceptions masked. Results are not flushed to zero while underflow is
 * unmasked (SDM vol. 1, 10.2.3.3).
 */
static uint32_t try_masked(struct vcpu *vcpu, const struct insn *i, enum fpu_gpr gpr,
			   struct fxsave_image *fpu, struct fpu_operands *operands)
{
	const uint32_t mxcsr = vcpu->cpu.fpu.mxcsr,
		       flush = mxcsr & MXCSR_UNDERFLOW_MASK ? 0 : MXCSR_FLUSH_TO_ZERO;
	uint32_t raised;

	fpu->mxcsr = (mxcsr | MXCSR_MASKS) & ~(MXCSR_FLAGS | flush);
	fpu_proxy_run(vcpu_interp(vcpu)->proxy, i, gpr, fpu, operands);
	raised = fpu->mxcsr & MXCSR_FLAGS;
	if (flush && has_denormal_result(i, fpu->xmm[insn_reg(i)]))
		raised |= MXCSR_UNDERFLOW;
	return raised;
}

static uint32_t unmasked_among(uint32_t raised, uint32_t mxcsr)
{
	return raised & ~(mxcsr >> MXCSR_MASK_SHIFT);
}

/* The flags of one element: its scalar instruction, with the operands in XMM0 and XMM1. */
static uint32_t flags_of(struct vcpu *vcpu, const struct insn *i, const struct computation *c)
{
	struct fxsave_image fpu = vcpu->cpu.fpu;
	struct fpu_operands none = { 0 };
	struct insn scalar = *i;
	uint32_t raised;

	scalar.map = MAP_0F;
	scalar.opcode = c->opcode;
	scalar.sse_prefix = c->is_double ? 0xf2 : 0xf3;
	scalar.imm_size = 0;
	scalar.mem = false;
	scalar.modrm = 0xc1;
	memcpy(fpu.xmm[0], &c->a, 8);
	memcpy(fpu.xmm[1], c->opcode == CVT ? &c->a : &c->b, 8);
	raised = try_masked(vcpu, &scalar, FPU_GPR_NONE, &fpu, &none);
	if (unmasked_among(raised, vcpu->cpu.fpu.mxcsr) & OUT_OF_RANGE) {
		raised &= ~MXCSR_PRECISION;
		raised |= is_rounded(c, vcpu->cpu.fpu.mxcsr) ? MXCSR_PRECISION : 0;
	}
	return raised;
}

/*
 * Executes i on *fpu with all exceptions masked, then sets the flags it would have raised as they
 * are, and raises the exception if one of them is unmasked.
 */
static enum x86_status run_trial(struct vcpu *vcpu, const struct insn *i, enum fpu_gpr gpr,
				 struct fxsave_image *fpu, struct fpu_operands *operands)
{
	struct cpu *cpu = &vcpu->cpu;
	struct computation c[4];
	const unsigned count = computations(i, fpu->xmm[insn_reg(i)],
					    i->mem ? operands->mem : fpu->xmm[insn_rm(i)], c);
	uint32_t raised = try_masked(vcpu, i, gpr, fpu, operands);
	const uint32_t unmasked = unmasked_among(raised, cpu->fpu.mxcsr);

	if (unmasked & PRE_COMPUTATION) {
		raised &= PRE_COMPUTATION;
	} else if (count && unmasked & OUT_OF_RANGE) {
		raised = 0;
		for (unsigned n = 0; n < count; n++)
			raised |= flags_of(vcpu, i, &c[n]);
	}
	cpu->fpu.mxcsr |= raised;
	if (!unmasked)
		return X86_OK;
	return fault_raise(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}

/* ---- instructions ---- */

static bool is_dot_product(const struct insn *i)
{
	return i->map == MAP_0F3A && (i->opcode == DPPS || i->opcode == DPPD);
}

/* DPPS and DPPD raise exceptions by steps: that of the products, then those of the sums. */
static enum x86_status dot_product_steps(struct vcpu *vcpu, const struct insn *i,
					 struct fpu_operands operands)
{
	const unsigned size = i->opcode == DPPS ? 4 : 8, count = 16 / size;
	struct fxsave_image fpu = vcpu->cpu.fpu;
	uint8_t *to = fpu.xmm[insn_reg(i)], *from = i->mem ? operands.mem : fpu.xmm[insn_rm(i)];
	struct insn step = *i;

	for (unsigned n = 0; n < count; n++) {
		if (i->imm >> (4 + n) & 1)
			continue;
		memset(to + n * size, 0, size);
		memset(from + n * size, 0, size);
	}
	step.map = MAP_0F;
	step.imm_size = 0;
	step.opcode = MUL;
	step.sse_prefix = size == 8 ? 0x66 : 0;
	for (unsigned round = 0; round < 1 + count / 2; round++) {
		RETURN_IF_FAULT(run_trial(vcpu, &step, FPU_GPR_NONE, &fpu, &operands));
		step.opcode = HADD;
		step.sse_prefix = size == 8 ? 0x66 : 0xf2;
		step.mem = false;
		step.modrm = 0xc0 | insn_reg(i) << 3 | insn_reg(i);
	}
	return X86_OK;
}

/* With some exceptions unmasked the instruction is first tried on a copy. */
static enum x86_status run_unmasked(struct vcpu *vcpu, const struct insn *i, enum fpu_gpr gpr,
				    struct fpu_operands *operands)
{
	struct cpu *cpu = &vcpu->cpu;
	struct fxsave_image trial = cpu->fpu;
	uint32_t mxcsr;

	if (is_dot_product(i))
		RETURN_IF_FAULT(dot_product_steps(vcpu, i, *operands));
	RETURN_IF_FAULT(run_trial(vcpu, i, gpr, &trial, operands));
	mxcsr = cpu->fpu.mxcsr;
	cpu->fpu = trial;
	cpu->fpu.mxcsr = mxcsr;
	return X86_OK;
}

enum x86_status simd_run(struct vcpu *vcpu, const struct insn *i, enum fpu_gpr gpr,
			 struct fpu_operands *operands)
{
	if (i->attr & OPA_SSE && (vcpu->cpu.fpu.mxcsr & MXCSR_MASKS) != MXCSR_MASKS)
		return run_unmasked(vcpu, i, gpr, operands);
	fpu_proxy_run(vcpu_interp(vcpu)->proxy, i, gpr, &vcpu->cpu.fpu, operands);
	return X86_OK;
}
