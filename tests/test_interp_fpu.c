/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter's x87 and SSE beyond arithmetic (which test_interp_host.c compares):
 * availability, exceptions, images in memory.
 */
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>
#include "interp_fixture.h"
#include "monitor/interp/fpu_proxy.h"
#include "random_state.h"

TestSuite(interp_fpu, .init = ix_setup, .fini = ix_teardown, .timeout = 120);

static void expect_vector(int vector, const char *what)
{
	cr_expect_eq(ix_vector(), vector, "%s: vector %d", what, ix_vector());
	CPU.eip = FX_CODE;
}

#define EXPECT(vector, ...) \
	({ \
		CPU.eip = FX_CODE; \
		RUN(1, __VA_ARGS__); \
		expect_vector(vector, #__VA_ARGS__); \
	})

Test(interp_fpu, task_switched)
{
	CPU.cr0 |= CR0_TS;
	EXPECT(EXC_NM, 0xd9, 0xe8);
	EXPECT(EXC_NM, 0x0f, 0x58, 0xc0);
	EXPECT(EXC_NM, 0x0f, 0xfc, 0xc0);
	EXPECT(EXC_NM, 0x9b);
	EXPECT(EXC_NM, 0x0f, 0xae, 0x05, 0, 0x50, 0, 0);
	CPU.cr0 &= ~CR0_MP;
	EXPECT(-1, 0x9b);
	EXPECT(-1, 0x0f, 0xc3, 0x05, 0, 0x50, 0, 0); /* MOVNTI uses no FPU */
}

Test(interp_fpu, emulation)
{
	CPU.cr0 |= CR0_EM;
	EXPECT(EXC_NM, 0xd9, 0xe8);
	EXPECT(EXC_UD, 0x0f, 0xfc, 0xc0);
	EXPECT(EXC_UD, 0x0f, 0x58, 0xc0);
	EXPECT(-1, 0x9b);
}

Test(interp_fpu, sse_without_osfxsr)
{
	CPU.cr4 &= ~CR4_OSFXSR;
	EXPECT(EXC_UD, 0x0f, 0x58, 0xc0);
	EXPECT(EXC_UD, 0x0f, 0xae, 0x1d, 0, 0x50, 0, 0); /* stmxcsr */
	EXPECT(-1, 0x0f, 0xfc, 0xc0);                    /* MMX */
	EXPECT(-1, 0x0f, 0xae, 0xf8);                    /* sfence */
}

/* FLDZ, FLD1, FDIV ST0, ST1 with zero divide unmasked. */
static void raise_zero_divide(void)
{
	CPU.fpu.fcw = 0x37b;
	CPU.eip = FX_CODE;
	cr_expect_eq(RUN(3, 0xd9, 0xee, 0xd9, 0xe8, 0xd8, 0xf1), INTERP_OK);
	cr_expect_eq(CPU.fpu.fsw & 0x8084, 0x8084, "ES, B and ZE");
	CPU.eip = FX_CODE;
}

Test(interp_fpu, unmasked_exception_waits_for_the_next_instruction)
{
	raise_zero_divide();
	EXPECT(-1, 0xdf, 0xe0);         /* fnstsw ax */
	cr_expect_eq(CPU.regs[X86_EAX] & 4, 4);
	EXPECT(EXC_MF, 0xd9, 0xe8);
	cr_expect_eq(fx_read32(CPU.regs[X86_ESP]), FX_CODE);
	EXPECT(EXC_MF, 0x9b);
	EXPECT(EXC_MF, 0x0f, 0xfc, 0xc0); /* MMX waits too */
	EXPECT(-1, 0x0f, 0x58, 0xc0);     /* SSE does not */
	EXPECT(-1, 0xdb, 0xe2);           /* fnclex */
	EXPECT(-1, 0xd9, 0xe8);
}

Test(interp_fpu, without_ne_the_board_is_asked)
{
	raise_zero_divide();
	CPU.cr0 &= ~CR0_NE;
	cr_expect_eq(RUN(1, 0x9b), INTERP_DEAD);
	cr_expect_eq(fx_vm->end, VM_KILLED);
}

static unsigned ferrs;

static void on_ferr(void *opaque, unsigned n, uint32_t value)
{
	ferrs++;
}

#define EXPECT_STOPPED(...) \
	({ \
		CPU.eip = FX_CODE; \
		CPU.halted = false; \
		cr_expect_eq(RUN(1, __VA_ARGS__), INTERP_HALT, #__VA_ARGS__); \
		cr_expect(CPU.halted && CPU.eip == FX_CODE, #__VA_ARGS__); \
	})

Test(interp_fpu, without_ne_errors_go_to_the_board)
{
	fx_vm->ferr.raise = on_ferr;
	raise_zero_divide();
	CPU.cr0 &= ~CR0_NE;
	EXPECT_STOPPED(0x9b);
	EXPECT_STOPPED(0xd9, 0xe8);
	EXPECT_STOPPED(0x0f, 0xfc, 0xc0);
	CPU.eflags |= X86_TF;
	EXPECT_STOPPED(0x9b); /* no single step: nothing was done */
	CPU.eflags &= ~X86_TF;
	cr_expect_eq(ferrs, 4);
	CPU.halted = false;
	EXPECT(-1, 0xdf, 0xe0); /* fnstsw does not wait */
	cr_expect_eq(ferrs, 4);
}

Test(interp_fpu, ignne_lasts_until_the_error_is_cleared)
{
	fx_vm->ferr.raise = on_ferr;
	fpu_ignore_error(&CPU);
	cr_expect_not(CPU.ignne, "nothing to ignore");
	raise_zero_divide();
	fpu_ignore_error(&CPU);
	cr_expect_not(CPU.ignne, "with CR0.NE it has no effect");
	CPU.cr0 &= ~CR0_NE;
	fpu_ignore_error(&CPU);
	EXPECT(-1, 0x9b);
	EXPECT(-1, 0xd9, 0xe8);
	EXPECT(-1, 0x0f, 0xfc, 0xc0);
	cr_expect_eq(CPU.fpu.fsw & 0x8084, 0x8084, "the error stays");
	CPU.cr0 |= CR0_NE;
	EXPECT(EXC_MF, 0x9b);
	CPU.cr0 &= ~CR0_NE;
	EXPECT(-1, 0xdb, 0xe2); /* fnclex */
	cr_expect_not(CPU.ignne);
	EXPECT(-1, 0xdb, 0xe3); /* fninit: the stack is full */
	raise_zero_divide();
	EXPECT_STOPPED(0x9b);
	cr_expect_eq(ferrs, 1);
}

Test(interp_fpu, ignne_ends_with_a_new_state)
{
	raise_zero_divide();
	CPU.cr0 &= ~CR0_NE;
	fpu_ignore_error(&CPU);
	memset(fx_vm->ram.flat + 0x5000, 0, 28);
	fx_write32(0x5000, 0x37f);
	fx_write32(0x5008, 0xffff);
	CPU.regs[X86_EBX] = 0x5000;
	EXPECT(-1, 0xd9, 0x23); /* fldenv */
	cr_expect_not(CPU.ignne);
	cr_expect_eq(CPU.fpu.fsw, 0);
	raise_zero_divide();
	fpu_ignore_error(&CPU);
	memset(fx_vm->ram.flat + 0x5000, 0, 512);
	fx_write32(0x5000, 0x37f);
	EXPECT(-1, 0x0f, 0xae, 0x0b); /* fxrstor */
	cr_expect_not(CPU.ignne);
}

Test(interp_fpu, pointers_name_the_guest)
{
	CPU.regs[X86_EBX] = 0x5000;
	RUN(1, 0xd9, 0x43, 0x10); /* fld dword [ebx+16] */
	cr_expect_eq(CPU.fpu.fip, FX_CODE);
	cr_expect_eq(CPU.fpu.fcs, KCODE);
	cr_expect_eq(CPU.fpu.fdp, 0x5010);
	cr_expect_eq(CPU.fpu.fds, KDATA);
	cr_expect_eq(CPU.fpu.fop, 0x143);
	RUN(1, 0xdf, 0xe0);
	cr_expect_eq(CPU.fpu.fip, FX_CODE, "control instructions leave them");
}

Test(interp_fpu, fnstenv_in_protected_mode)
{
	CPU.regs[X86_EBX] = 0x5000;
	RUN(3, 0xd9, 0xee, 0xd9, 0xe8, 0xd9, 0x33); /* fldz, fld1, fnstenv [ebx] */
	cr_expect_eq(fx_read32(0x5000), 0xffff037f);
	cr_expect_eq(fx_read32(0x5004), 0xffff0000 | 6 << 11);
	cr_expect_eq(fx_read32(0x5008), 0xffff4fff, "R7 zero, R6 valid, others empty: %x",
		     fx_read32(0x5008));
	cr_expect_eq(fx_read32(0x500c), FX_CODE + 2);
	cr_expect_eq(fx_read32(0x5010), KCODE | 0x1e8 << 16);
	cr_expect_eq(CPU.fpu.fcw, 0x37f);
}

/* Linear addresses, split over two fields (SDM vol. 1, 8.1.10). */
Test(interp_fpu, fnstenv_in_real_mode)
{
	uint32_t at;

	fx_enter_real();
	at = CPU.seg[X86_DS].base + 0x5000;
	CPU.regs[X86_EBX] = 0x5000;
	CPU.fpu.fip = 0x1234;
	CPU.fpu.fcs = 0xa000;
	CPU.fpu.fop = 0x5d1;
	CPU.fpu.fdp = 0x5678;
	CPU.fpu.fds = 0xb000;
	RUN(1, 0x66, 0xd9, 0x37); /* fnstenv [bx] of 32 bits */
	cr_expect_eq(fx_read32(at + 0x0c), 0xffff1234);
	cr_expect_eq(fx_read32(at + 0x10), 0xa << 12 | 0x5d1);
	cr_expect_eq(fx_read32(at + 0x14), 0xffff5678);
	cr_expect_eq(fx_read32(at + 0x18), 0xb << 12);
}

Test(interp_fpu, fnsave_and_frstor)
{
	struct fxsave_image before;

	CPU.regs[X86_EBX] = 0x5000;
	RUN(3, 0xd9, 0xeb, 0xd9, 0xe8, 0xd9, 0xea); /* fldpi, fld1, fldl2e */
	before = CPU.fpu;
	RUN(1, 0xdd, 0x33);
	cr_expect_eq(CPU.fpu.ftw, 0);
	cr_expect_eq(CPU.fpu.fsw, 0);
	cr_expect_arr_eq(fx_vm->ram.flat + 0x5000 + 28, before.st[0], 10);
	RUN(1, 0xdd, 0x23);
	cr_expect_eq(CPU.fpu.ftw, before.ftw);
	cr_expect_eq(CPU.fpu.fsw, before.fsw);
	cr_expect_eq(CPU.fpu.fip, before.fip);
	cr_expect_eq(CPU.fpu.fop, before.fop);
	for (unsigned n = 0; n < 3; n++)
		cr_expect_arr_eq(CPU.fpu.st[n], before.st[n], 10, "%u", n);
	RUN(2, 0x66, 0xdd, 0x33, 0x66, 0xdd, 0x23);
	cr_expect_arr_eq(CPU.fpu.st[2], before.st[2], 10);
}

Test(interp_fpu, fxsave_and_fxrstor)
{
	CPU.regs[X86_EBX] = 0x5000;
	memset(CPU.fpu.xmm[3], 0x33, 16);
	memset(fx_vm->ram.flat + 0x5000, 0xee, 512);
	RUN(2, 0xd9, 0xe8, 0x0f, 0xae, 0x03);
	cr_expect_eq(fx_read32(0x5018), 0x1f80);
	cr_expect_eq(fx_read32(0x501c), 0xffff);
	cr_expect_eq(fx_read32(0x5000 + 288), 0xeeeeeeee, "nothing beyond XMM7");
	memset(CPU.fpu.xmm, 0, sizeof(CPU.fpu.xmm));
	CPU.fpu.ftw = 0;
	RUN(1, 0x0f, 0xae, 0x0b);
	cr_expect_eq(CPU.fpu.xmm[3][5], 0x33);
	cr_expect_eq(CPU.fpu.ftw, 0x80);
	fx_write32(0x5018, 0x10000);
	EXPECT(EXC_GP, 0x0f, 0xae, 0x0b);
	CPU.regs[X86_EBX] = 0x5008;
	EXPECT(EXC_GP, 0x0f, 0xae, 0x03);
}

Test(interp_fpu, misaligned_sse)
{
	CPU.regs[X86_EBX] = 0x5008;
	EXPECT(EXC_GP, 0x0f, 0x28, 0x03); /* movaps */
	EXPECT(-1, 0x0f, 0x10, 0x03);     /* movups */
	EXPECT(-1, 0xf3, 0x0f, 0x6f, 0x03);
	EXPECT(EXC_GP, 0x66, 0x0f, 0xef, 0x03);
	EXPECT(-1, 0x66, 0x0f, 0x3a, 0x63, 0x03, 0); /* pcmpistri */
}

static const float one[4] = { 1, 1, 1, 1 };

Test(interp_fpu, unmasked_simd_exception_changes_nothing_but_flags)
{
	memcpy(CPU.fpu.xmm[0], one, 16);
	CPU.fpu.mxcsr = 0x1f80 & ~0x200; /* zero divide unmasked */
	EXPECT(EXC_XM, 0x0f, 0x5e, 0xc1); /* divps xmm0, xmm1 (zero) */
	cr_expect_eq(CPU.fpu.mxcsr, (0x1f80 & ~0x200) | 4);
	cr_expect_arr_eq(CPU.fpu.xmm[0], one, 16);
	CPU.cr4 &= ~CR4_OSXMMEXCPT;
	EXPECT(EXC_UD, 0x0f, 0x5e, 0xc1);
	memcpy(CPU.fpu.xmm[1], one, 16);
	EXPECT(-1, 0x0f, 0x5e, 0xc1);
}

/* --- SIMD exceptions against the host's --- */

static sigjmp_buf escape;
static volatile uint32_t host_mxcsr;

static void on_sigfpe(int number, siginfo_t *info, void *context)
{
	host_mxcsr = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
	siglongjmp(escape, 1);
}

/*
 * Executes the instruction on *fpu as it is. True: it raised an exception, and *fpu is unchanged
 * but for the flags.
 */
static bool host_raises(struct fpu_proxy *proxy, const struct insn *insn, struct fxsave_image *fpu)
{
	static const uint32_t for_c = 0x1f80;
	struct fpu_operands operands = { 0 };

	if (sigsetjmp(escape, 1)) {
		asm volatile("fninit; ldmxcsr %0" : : "m" (for_c));
		fpu->mxcsr = host_mxcsr;
		return true;
	}
	fpu_proxy_run(proxy, insn, FPU_GPR_NONE, fpu, &operands);
	return false;
}

/*
 * Numbers whose sums and products are often near an end of the range of exponents, and often exact.
 */
static void numbers_at_the_ends(struct random_source *r, uint8_t *xmm, bool is_double)
{
	const bool tiny = random_next(r) & 1;

	for (unsigned n = 0; n < 16; n += is_double ? 8 : 4) {
		const unsigned near = random_next(r) % 4, half = is_double ? 510 : 62,
			       top = is_double ? 2046 : 254;
		const uint64_t exponent = random_next(r) % 3 ? (tiny ? near : top - near) :
					  tiny               ? half + near :
							       top - half - near;
		const uint64_t mantissa = random_next(r) % 4 ? random_next(r) & 7 : random_next(r),
			       sign = random_next(r) & 1;
		const uint64_t value =
			is_double ? sign << 63 | exponent << 52 | mantissa << 49 >> 12 :
				    sign << 31 | exponent << 23 | (mantissa << 20 & 0x7fffff);

		memcpy(xmm + n, &value, is_double ? 8 : 4);
	}
}

/* Doubles about which a conversion to single may not be sure. */
static void doubles_at_the_ends_of_single(struct random_source *r, uint8_t *xmm)
{
	for (unsigned n = 0; n < 16; n += 8) {
		const uint64_t exponent = random_next(r) & 1 ? 1023 - 152 + random_next(r) % 30 :
							       1023 + 126 + random_next(r) % 4;
		const uint64_t mantissa = random_next(r) % 4 ?
						  (uint64_t)random_next(r) >>
							  (9 + random_next(r) % 23) << 29 :
						  (uint64_t)random_next(r) << 20;
		const uint64_t value = (uint64_t)random_next(r) << 63 | exponent << 52 | mantissa;

		memcpy(xmm + n, &value, 8);
	}
}

#define SINGLE(OPCODE) { 3, { 0x0f, OPCODE, 0xc1 } }, { 4, { 0xf3, 0x0f, OPCODE, 0xc1 } }
#define DOUBLE(OPCODE) { 4, { 0x66, 0x0f, OPCODE, 0xc1 } }, { 4, { 0xf2, 0x0f, OPCODE, 0xc1 } }
#define ALL_FOUR(OPCODE) SINGLE(OPCODE), DOUBLE(OPCODE)

/* Every instruction that can raise SIMD exceptions, with its operands in XMM0 and XMM1. */
static const struct simd_insn { uint8_t len, bytes[6]; } simd_insns[] = {
	ALL_FOUR(0x58), ALL_FOUR(0x59), ALL_FOUR(0x5c), ALL_FOUR(0x5e), ALL_FOUR(0x51),
	ALL_FOUR(0x5d), ALL_FOUR(0x5f), ALL_FOUR(0x5a),
	{ 3, { 0x0f, 0x5b, 0xc1 } }, { 4, { 0x66, 0x0f, 0x5b, 0xc1 } },
	{ 4, { 0xf3, 0x0f, 0x5b, 0xc1 } }, { 4, { 0x66, 0x0f, 0xe6, 0xc1 } },
	{ 4, { 0xf2, 0x0f, 0xe6, 0xc1 } }, { 4, { 0xf3, 0x0f, 0xe6, 0xc1 } },
	{ 4, { 0xf3, 0x0f, 0x2d, 0xc1 } }, { 4, { 0xf2, 0x0f, 0x2c, 0xc1 } },
	{ 3, { 0x0f, 0x2e, 0xc1 } }, { 4, { 0x66, 0x0f, 0x2f, 0xc1 } },
	{ 4, { 0x0f, 0xc2, 0xc1, 0x01 } }, { 5, { 0x66, 0x0f, 0xc2, 0xc1, 0x04 } },
	{ 5, { 0xf3, 0x0f, 0xc2, 0xc1, 0x06 } },
	DOUBLE(0x7c), DOUBLE(0x7d), DOUBLE(0xd0), /* F2: singles */
	{ 6, { 0x66, 0x0f, 0x3a, 0x08, 0xc1, 0x04 } },
	{ 6, { 0x66, 0x0f, 0x3a, 0x09, 0xc1, 0x00 } },
	{ 6, { 0x66, 0x0f, 0x3a, 0x0b, 0xc1, 0x03 } },
	{ 6, { 0x66, 0x0f, 0x3a, 0x40, 0xc1, 0xff } },
	{ 6, { 0x66, 0x0f, 0x3a, 0x40, 0xc1, 0x51 } },
	{ 6, { 0x66, 0x0f, 0x3a, 0x41, 0xc1, 0x33 } },
};

static void simd_operands(struct random_source *r, const struct insn *insn,
			  struct fxsave_image *fpu)
{
	const bool wide = insn->sse_prefix == 0x66 ||
			  (insn->sse_prefix == 0xf2 && insn->opcode < 0x70) || insn->opcode == 0x41;
	const unsigned kind = random_next(r) % 4;

	if (insn->opcode == 0x5a && wide && kind)
		doubles_at_the_ends_of_single(r, fpu->xmm[1]);
	else if (kind)
		for (unsigned n = 0; n < 2; n++)
			numbers_at_the_ends(r, fpu->xmm[n], wide);
}

struct simd_counts {
	unsigned raised, exact_underflows, exact_overflows, rounded;
};

static void count_simd(struct simd_counts *counts, uint32_t mxcsr)
{
	const uint32_t unmasked = mxcsr & ~(mxcsr >> 7);

	counts->raised++;
	counts->exact_underflows += (unmasked & 0x10) && !(mxcsr & 0x28);
	counts->exact_overflows += (unmasked & 0x08) && !(mxcsr & 0x30);
	counts->rounded += (unmasked & 0x18) && (mxcsr & 0x20);
}

/* Flags are the host's to the last one: also PE beside an unmasked overflow or underflow. */
Test(interp_fpu, simd_exceptions_like_the_host)
{
	struct sigaction action = { .sa_sigaction = on_sigfpe,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct simd_counts counts = { 0 };
	struct random_source r = { 1 };
	struct fpu_proxy *proxy;

	sigaction(SIGFPE, &action, NULL);
	cr_assert_eq(fpu_proxy_create(&proxy), 0);
	for (unsigned n = 0; n < 2000 * RF_ARRAY_SIZE(simd_insns); n++) {
		const struct simd_insn *code = &simd_insns[n % RF_ARRAY_SIZE(simd_insns)];
		struct fxsave_image host;
		enum interp_result result;
		struct insn insn;
		bool fault;

		cr_assert_eq(insn_decode(code->bytes, code->len, true, &insn), DECODE_OK);
		random_fpu(&r, &host, false, true);
		simd_operands(&r, &insn, &host);
		CPU.fpu = host;
		CPU.eip = FX_CODE;
		CPU.regs[X86_ESP] = FX_KERNEL_STACK;
		fault = host_raises(proxy, &insn, &host);
		result = ix_run(code->bytes, code->len, 1);
		cr_assert_eq(result, fault ? INTERP_EXCEPTION : INTERP_OK,
			     "%u, opcode %02x prefix %02x: result %d, the host %s (mxcsr %x)", n,
			     insn.opcode, insn.sse_prefix, result, fault ? "raised" : "did not",
			     host.mxcsr);
		cr_assert_eq(CPU.fpu.mxcsr, host.mxcsr,
			     "%u, opcode %02x prefix %02x: mxcsr %x, host %x", n, insn.opcode,
			     insn.sse_prefix, CPU.fpu.mxcsr, host.mxcsr);
		cr_assert_arr_eq(CPU.fpu.xmm[0], host.xmm[0], 16, "%u: xmm0", n);
		if (fault)
			count_simd(&counts, host.mxcsr);
	}
	cr_expect_gt(counts.raised, 10000);
	cr_expect_gt(counts.exact_underflows, 500, "%u", counts.exact_underflows);
	cr_expect_gt(counts.exact_overflows, 500, "%u", counts.exact_overflows);
	cr_expect_gt(counts.rounded, 500, "%u", counts.rounded);
	fpu_proxy_destroy(proxy);
}

/*
 * Conversions from MMX registers wait for a pending x87 exception, and enter MMX state; from memory
 * they do neither.
 */
Test(interp_fpu, conversions_from_memory_leave_x87_alone)
{
	static const struct { uint8_t len, bytes[4]; bool from_memory; } conversions[] = {
		{ 3, { 0x0f, 0x2a, 0x03 }, true },       /* cvtpi2ps xmm0, [ebx] */
		{ 4, { 0x66, 0x0f, 0x2a, 0x03 }, true }, /* cvtpi2pd xmm0, [ebx] */
		{ 3, { 0x0f, 0x2a, 0xc3 }, false },
		{ 4, { 0x66, 0x0f, 0x2a, 0xc3 }, false },
	};
	struct sigaction action = { .sa_sigaction = on_sigfpe,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct fpu_proxy *proxy;
	struct insn insn;

	sigaction(SIGFPE, &action, NULL);
	cr_assert_eq(fpu_proxy_create(&proxy), 0);
	CPU.regs[X86_EBX] = 0x5000;
	for (unsigned n = 0; n < 2 * RF_ARRAY_SIZE(conversions); n++) {
		const unsigned k = n / 2;
		struct fxsave_image host;
		enum interp_result result;
		bool fault;

		CPU.eip = FX_CODE;
		RUN(3, 0xdb, 0xe3, 0xd9, 0xe8, 0xd9, 0xe8); /* fninit, fld1, fld1 */
		cr_assert_eq(CPU.fpu.fsw, 6 << 11);
		if (n & 1)
			raise_zero_divide();
		host = CPU.fpu;
		cr_assert_eq(insn_decode(conversions[k].bytes, conversions[k].len, true, &insn),
			     DECODE_OK);
		fault = host_raises(proxy, &insn, &host);
		CPU.eip = FX_CODE;
		CPU.regs[X86_ESP] = FX_KERNEL_STACK;
		result = ix_run(conversions[k].bytes, conversions[k].len, 1);
		cr_expect_eq(fault, (n & 1) && !conversions[k].from_memory, "%u: the host", n);
		cr_expect_eq(result, fault ? INTERP_EXCEPTION : INTERP_OK, "%u", n);
		cr_expect_eq(CPU.fpu.fsw, host.fsw, "%u: fsw %x, host %x", n, CPU.fpu.fsw,
			     host.fsw);
		cr_expect_eq(CPU.fpu.ftw, host.ftw, "%u: ftw %x, host %x", n, CPU.fpu.ftw,
			     host.ftw);
	}
	fpu_proxy_destroy(proxy);
}

Test(interp_fpu, ldmxcsr_checks_reserved_bits)
{
	fx_write32(0x5000, 0x1f80 | 0x10000);
	EXPECT(EXC_GP, 0x0f, 0xae, 0x15, 0, 0x50, 0, 0);
	fx_write32(0x5000, 0x9fc0);
	EXPECT(-1, 0x0f, 0xae, 0x15, 0, 0x50, 0, 0);
	cr_expect_eq(CPU.fpu.mxcsr, 0x9fc0);
}

Test(interp_fpu, a_store_that_faults_pops_nothing)
{
	fx_enable_paging();
	fx_write32(FX_PAGE_TABLE + 4 * 5, 0x5000 | PTE_P);
	soft_tlb_flush(VCPU, true);
	cr_expect_eq(RUN(1, 0xd9, 0xe8), INTERP_OK);
	EXPECT(EXC_PF, 0xd9, 0x1d, 0, 0x50, 0, 0);
	cr_expect_eq(CPU.fpu.fsw >> 11 & 7, 7);
	cr_expect_eq(CPU.fpu.ftw, 0x80);
}

/*
 * Nothing on the stack, and that exception unmasked: nothing is stored, so the address does not
 * matter.
 */
Test(interp_fpu, a_store_that_stores_nothing_does_not_fault)
{
	fx_enable_paging();
	fx_write32(FX_PAGE_TABLE + 4 * 5, 0x5000 | PTE_P);
	soft_tlb_flush(VCPU, true);
	CPU.fpu.fcw = 0x37e;
	EXPECT(-1, 0xd9, 0x1d, 0, 0x50, 0, 0);
	cr_expect_eq(CPU.fpu.fsw, 0x80c1);
	EXPECT(EXC_MF, 0xd9, 0x1d, 0, 0x50, 0, 0);
}

/* The host's own FPU modes survive whatever the guest sets. */
Test(interp_fpu, host_modes_are_kept)
{
	uint32_t before, after;
	uint16_t cw_before, cw_after;

	CPU.fpu.fcw = 0x40;
	CPU.fpu.mxcsr = 0xffc0;
	asm volatile("stmxcsr %0; fnstcw %1" : "=m" (before), "=m" (cw_before));
	RUN(2, 0xd9, 0xe8, 0x0f, 0x57, 0xc0);
	asm volatile("stmxcsr %0; fnstcw %1" : "=m" (after), "=m" (cw_after));
	cr_expect_eq(before, after);
	cr_expect_eq(cw_before, cw_after);
}
