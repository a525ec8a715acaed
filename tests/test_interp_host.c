/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter against the host CPU: random unprivileged instructions, one at a time, executed
 * by both from the same registers, flags, FPU state and memory. The host runs them as they are, in
 * compatibility mode (a far jump to the 32-bit user code segment that Linux provides), so that x87
 * results count as well, and flags the manual leaves undefined, but for those the interpreter has
 * no instruction of the host's for (leeway.h).
 *
 * A host that runs no 32-bit code judges in 64-bit mode what means the same there (long_mode.h):
 * all but the stack, segments, decimal adjustment and a few others.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "host_features.h"
#include "interp_fixture.h"
#include "leeway.h"
#include "long_mode.h"
#include "random_state.h"
#include "translator/opcode_map.h"

/* Mapped at the same addresses on both sides; the middle page is where operands go. */
#define DATA      0x100000u
#define DATA_SIZE 0x4000u
#define HOST_CODE 0x120000u
#define HOST_STATE 0x121000u

#define LINUX_CS32 0x23
#define LINUX_CS64 0x33
#define LINUX_DS   0x2b

struct host_state {
	struct fxsave_image fpu;
	uint32_t in[8], out[8], eflags_in, eflags_out;
	uint64_t rsp;
	uint32_t stack[16];
};
#define STATE(field) (HOST_STATE + (uint32_t)offsetof(struct host_state, field))
static struct host_state *const state = (struct host_state *)(uintptr_t)HOST_STATE;

/* --- The host side --- */

struct code {
	uint8_t *at;
};

static void emit(struct code *c, unsigned len, const void *bytes)
{
	memcpy(c->at, bytes, len);
	c->at += len;
}
#define EMIT(c, ...) ({ const uint8_t b_[] = { __VA_ARGS__ }; emit(c, sizeof(b_), b_); })
#define EMIT32(c, v) ({ uint32_t v_ = (v); emit(c, 4, &v_); })

static void patch(uint8_t *field, const uint8_t *target)
{
	uint32_t address = (uintptr_t)target;

	memcpy(field, &address, 4);
}

/*
 * A function that switches to 32-bit code, loads state->in, executes insn, saves state->out, and
 * switches back.
 */
static void (*build(const uint8_t *insn, unsigned len))(void)
{
	struct code c = { (uint8_t *)(uintptr_t)HOST_CODE };
	uint8_t *target;

	/* push rbx, rbp, r12..r15 */
	EMIT(&c, 0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57);
	EMIT(&c, 0x48, 0x89, 0x24, 0x25); EMIT32(&c, STATE(rsp));             /* mov [rsp_], rsp */
	EMIT(&c, 0x6a, LINUX_CS32, 0x68);
	target = c.at;
	EMIT32(&c, 0);
	EMIT(&c, 0x48, 0xcb);                                                 /* lretq */
	patch(target, c.at);
	EMIT(&c, 0xb8, LINUX_DS, 0, 0, 0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0); /* mov ds, es, ss */
	EMIT(&c, 0x0f, 0xae, 0x0d); EMIT32(&c, STATE(fpu));                   /* fxrstor */
	EMIT(&c, 0xbc); EMIT32(&c, STATE(stack[8]));                          /* mov esp */
	EMIT(&c, 0xff, 0x35); EMIT32(&c, STATE(eflags_in));                   /* push; popf */
	EMIT(&c, 0x9d);
	for (unsigned r = 0; r < 8; r++) {
		EMIT(&c, 0x8b, 0x05 | r << 3); EMIT32(&c, STATE(in[r]));
	}
	emit(&c, len, insn);
	for (unsigned r = 0; r < 8; r++) {
		EMIT(&c, 0x89, 0x05 | r << 3); EMIT32(&c, STATE(out[r]));
	}
	EMIT(&c, 0xbc); EMIT32(&c, STATE(stack[8]));
	EMIT(&c, 0x9c, 0x8f, 0x05); EMIT32(&c, STATE(eflags_out));            /* pushf; pop */
	EMIT(&c, 0xfc);                                                       /* cld */
	EMIT(&c, 0x0f, 0xae, 0x05); EMIT32(&c, STATE(fpu));                   /* fxsave */
	EMIT(&c, 0xdb, 0xe3);                                                 /* fninit */
	EMIT(&c, 0xea);
	target = c.at;
	EMIT32(&c, 0);
	EMIT(&c, LINUX_CS64, 0);
	patch(target, c.at);
	EMIT(&c, 0x48, 0x8b, 0x24, 0x25); EMIT32(&c, STATE(rsp));
	EMIT(&c, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3);
	return (void (*)(void))(uintptr_t)HOST_CODE;
}

#define ABSOLUTE 0x04, 0x25 /* ModRM and SIB in 64-bit mode; ModRM.reg is to be added */

/* The same in 64-bit mode; the state and this code lie below 4 GiB. */
static void (*build_long(const uint8_t *insn, unsigned len))(void)
{
	struct code c = { (uint8_t *)(uintptr_t)HOST_CODE };

	/* push rbx, rbp, r12..r15 */
	EMIT(&c, 0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57);
	EMIT(&c, 0x48, 0x89, 0x24, 0x25); EMIT32(&c, STATE(rsp));             /* mov [rsp_], rsp */
	EMIT(&c, 0x0f, 0xae, 0x0c, 0x25); EMIT32(&c, STATE(fpu));             /* fxrstor */
	EMIT(&c, 0x8b, ABSOLUTE); EMIT32(&c, STATE(eflags_in));
	EMIT(&c, 0xbc); EMIT32(&c, STATE(stack[8]));                          /* mov esp */
	EMIT(&c, 0x50, 0x9d);                                                 /* push rax; popfq */
	for (unsigned r = 0; r < 8; r++) {
		EMIT(&c, 0x8b, 0x04 | r << 3, 0x25); EMIT32(&c, STATE(in[r]));
	}
	emit(&c, len, insn);
	for (unsigned r = 0; r < 8; r++) {
		EMIT(&c, 0x89, 0x04 | r << 3, 0x25); EMIT32(&c, STATE(out[r]));
	}
	EMIT(&c, 0xbc); EMIT32(&c, STATE(stack[8]));
	/* pushfq; pop rax; mov */
	EMIT(&c, 0x9c, 0x58, 0x89, ABSOLUTE); EMIT32(&c, STATE(eflags_out));
	EMIT(&c, 0xfc);                                                       /* cld */
	EMIT(&c, 0x0f, 0xae, ABSOLUTE); EMIT32(&c, STATE(fpu));               /* fxsave */
	EMIT(&c, 0xdb, 0xe3);                                                 /* fninit */
	EMIT(&c, 0x48, 0x8b, 0x24, 0x25); EMIT32(&c, STATE(rsp));
	EMIT(&c, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3);
	return (void (*)(void))(uintptr_t)HOST_CODE;
}

static sigjmp_buf escape;
static bool long_mode; /* the host runs no 32-bit code */

static void on_signal(int number)
{
	siglongjmp(escape, number);
}

/* The signal that run() raised, or 0. */
static int host_call(void (*volatile run)(void))
{
	static const uint32_t mxcsr = 0x1f80;
	int number = sigsetjmp(escape, 1);

	if (number) {
		asm volatile("fninit; cld; ldmxcsr %0" : : "m" (mxcsr));
		return number;
	}
	run();
	asm volatile("ldmxcsr %0" : : "m" (mxcsr));
	return 0;
}

/* The signal the instruction raised, or 0. */
static int host_run(const uint8_t *bytes, const struct insn *i)
{
	uint8_t encoded[16];

	if (!long_mode)
		return host_call(build(bytes, i->len));
	return host_call(build_long(encoded, long_mode_encode(i, bytes, encoded)));
}

static bool host_runs_32_bit_code(void)
{
	return !host_call(build((const uint8_t[]){ 0x90 }, 1));
}

static void host_setup(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	static uint8_t stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_NODEFER | SA_ONSTACK };
	static const int signals[] = { SIGILL, SIGSEGV, SIGFPE, SIGTRAP, SIGBUS };

	cr_assert_eq(mmap((void *)(uintptr_t)DATA, DATA_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0),
		(void *)(uintptr_t)DATA);
	cr_assert_eq(mmap((void *)(uintptr_t)HOST_CODE, 0x2000, PROT_READ | PROT_WRITE | PROT_EXEC,
		flags, -1, 0),
		     (void *)(uintptr_t)HOST_CODE);
	sigaltstack(&alternate, NULL);
	for (unsigned n = 0; n < RF_ARRAY_SIZE(signals); n++)
		sigaction(signals[n], &action, NULL);
	state->fpu = (struct fxsave_image){ .fcw = 0x37f, .mxcsr = 0x1f80 };
	state->eflags_in = X86_F1;
	long_mode = !host_runs_32_bit_code();
	if (long_mode)
		cr_log_info("this host runs no 32-bit code: it judges in 64-bit mode, where most "
			    "means the same");
}

/* --- Random cases --- */

static struct random_source rng = { 88172645463325252ull };

static uint32_t rnd(void)
{
	return random_next(&rng);
}

struct test_case {
	uint8_t bytes[16];
	struct insn insn;
};

/*
 * Left out: transfers and system state; images that hold addresses; 16-bit addressing, whose 64 KiB
 * the host does not map.
 */
static bool usable(const struct insn *i, uint32_t wanted)
{
	if (i->attr & (OPA_SYSTEM | OPA_PRIV | OPA_BRANCH | OPA_JUMP | OPA_CALL | OPA_RET |
		       OPA_INT | OPA_FAR))
		return false;
	if (i->addr_size == 2)
		return false;
	if (i->attr & OPA_FPU && i->mem && i->mem_size > 10)
		return false;
	/* LDMXCSR: AMD accepts a bit more than MXCSR_MASK offers. */
	if (i->map == MAP_0F && i->opcode == 0xae && i->mem && insn_reg(i) == 2)
		return false;
	/* FS and GS have bases of the host's own. */
	if (i->prefixes & PFX_SEG)
		return false;
	/*
	 * The host may have TZCNT, which is not offered, or lack LZCNT; AMD's PREFETCHW takes no
	 * register.
	 */
	if (i->map == MAP_0F &&
	    ((i->opcode == 0xbc && i->prefixes & PFX_REP) || i->opcode == 0x0d))
		return false;
	if (insn_is_lzcnt(i, FEATURE_LZCNT) && !__builtin_cpu_supports("lzcnt"))
		return false;
	return !wanted || i->attr & wanted;
}

/*
 * Makes the memory operand point into the data pages: base, index and scale stay random, the
 * displacement pays.
 */
static void aim(struct test_case *t, uint32_t *regs)
{
	struct insn *i = &t->insn;
	uint32_t target = DATA + DATA_SIZE / 2 + (rnd() & 0xff0) + (rnd() % 4 ? 0 : rnd() & 15);
	unsigned at = i->opcode_offset + 2;
	uint8_t modrm = (t->bytes[i->opcode_offset + 1] & 0x3f) | 0x80;

	if (i->map == MAP_0F && (i->opcode & 0xe7) == 0xa3)
		regs[insn_reg(i)] &= 0x3ff; /* bit offsets */
	t->bytes[i->opcode_offset + 1] = modrm;
	if ((modrm & 7) == X86_ESP) {
		uint8_t sib = t->bytes[at++];

		target -= regs[sib & 7];
		if ((sib >> 3 & 7) != X86_ESP)
			target -= regs[sib >> 3 & 7] << (sib >> 6);
	} else {
		target -= regs[modrm & 7];
	}
	memcpy(t->bytes + at, &target, 4);
}

/* Whether the host can judge it. */
static bool judged(const struct test_case *t)
{
	uint8_t encoded[16];

	return !long_mode || long_mode_encode(&t->insn, t->bytes, encoded);
}

/* A random instruction having one of the wanted attributes. */
static void generate(struct test_case *t, uint32_t wanted, uint32_t *regs)
{
	static const uint8_t prefixes[] = { 0x66, 0xf3, 0xf2, 0xf0 };

	for (;;) {
		unsigned n = 0, map = wanted & (OPA_MMX | OPA_SSE) ? 1 + rnd() % 3 :
				      wanted                       ? 0 :
								     rnd() % 3 == 0;
		unsigned prefix = rnd() % 8, second = rnd() % 16;

		if (prefix < 4 - !wanted + !wanted * (rnd() % 2))
			t->bytes[n++] = prefixes[prefix];
		if (second == 0)
			t->bytes[n++] = 0x66;
		if (map)
			t->bytes[n++] = 0x0f;
		if (map > 1)
			t->bytes[n++] = map == 2 ? 0x38 : 0x3a;
		t->bytes[n++] = wanted == OPA_FPU ? 0xd8 + rnd() % 8 : rnd();
		while (n < sizeof(t->bytes))
			t->bytes[n++] = random_value(&rng);
		if (insn_decode(t->bytes, 15, true, &t->insn) != DECODE_OK ||
		    !usable(&t->insn, wanted) || !judged(t))
			continue;
		if (t->insn.mem)
			aim(t, regs);
		if (t->insn.opcode >= 0xa0 && t->insn.opcode <= 0xa3 && t->insn.map == MAP_1BYTE) {
			uint32_t target = DATA + DATA_SIZE / 2 + (rnd() & 0xff);

			memcpy(t->bytes + t->insn.opcode_offset + 1, &target, 4);
		}
		if (t->insn.map == MAP_1BYTE && t->insn.opcode == 0xc8)
			t->bytes[t->insn.opcode_offset + 2] &= 3; /* ENTER of under a KiB */
		if (insn_decode(t->bytes, 15, true, &t->insn) == DECODE_OK &&
		    usable(&t->insn, wanted) && judged(t))
			return;
	}
}

/* --- Comparison --- */

static int expected_vector(const struct insn *i, int number)
{
	if (i->map == MAP_1BYTE && i->opcode == 0x62)
		return -1; /* #BR is a SIGSEGV like others */
	switch (number) {
	case SIGILL:  return EXC_UD;
	case SIGSEGV: return EXC_GP;
	default:      return -1;
	}
}

static void describe(const struct test_case *t, char *text, size_t size)
{
	unsigned n = 0;

	for (unsigned k = 0; k < t->insn.len; k++)
		n += snprintf(text + n, size - n, "%02x ", t->bytes[k]);
}

static void compare_fpu(const char *text, const struct fxsave_image *host,
			const struct fxsave_image *ours)
{
	cr_expect_eq(ours->fcw, host->fcw, "%s fcw %x host %x", text, ours->fcw, host->fcw);
	cr_expect_eq(ours->fsw, host->fsw, "%s fsw %x host %x", text, ours->fsw, host->fsw);
	cr_expect_eq(ours->ftw, host->ftw, "%s ftw %x host %x", text, ours->ftw, host->ftw);
	cr_expect_eq(ours->mxcsr, host->mxcsr, "%s mxcsr %x host %x", text, ours->mxcsr,
		     host->mxcsr);
	for (unsigned n = 0; n < 8; n++) {
		cr_expect_arr_eq(ours->st[n], host->st[n], 10, "%s st%u", text, n);
		cr_expect_arr_eq(ours->xmm[n], host->xmm[n], 16, "%s xmm%u", text, n);
	}
}

struct tally {
	unsigned compared, faulted;
};

static void run_case(const struct test_case *t, const uint32_t *regs,
		     const struct fxsave_image *fpu, struct tally *tally)
{
	const uint32_t observed = (X86_ARITH_FLAGS | X86_DF) & ~leeway_flags_by_hand(&t->insn);
	uint32_t eflags = (rnd() & X86_ARITH_FLAGS) | (rnd() % 4 == 0 ? X86_DF : 0) | X86_F1;
	uint8_t *guest_data = fx_vm->ram.flat + DATA, *host_data = (uint8_t *)(uintptr_t)DATA;
	enum interp_result result;
	char text[64];
	int number;

	describe(t, text, sizeof(text));
	random_fill(&rng, host_data, DATA_SIZE);
	memcpy(guest_data, host_data, DATA_SIZE);
	memcpy(state->in, regs, sizeof(state->in));
	memcpy(CPU.regs, regs, sizeof(CPU.regs));
	state->fpu = CPU.fpu = *fpu;
	state->eflags_in = eflags;
	CPU.eflags = eflags;
	CPU.eip = FX_CODE;
	number = host_run(t->bytes, &t->insn);
	do
		result = ix_run(t->bytes, t->insn.len, 1);
	while (result == INTERP_OK && CPU.eip == FX_CODE);

	if (number) {
		int vector = expected_vector(&t->insn, number);

		tally->faulted++;
		cr_expect_eq(result, INTERP_EXCEPTION, "%s: the host raised signal %d, we nothing",
			text, number);
		if (vector >= 0 && ix_vector() != EXC_SS)
			cr_expect_eq(ix_vector(), vector, "%s: signal %d, vector %d", text, number,
				ix_vector());
		return;
	}
	tally->compared++;
	cr_expect_eq(result, INTERP_OK, "%s: vector %d, but the host raised nothing", text,
		     ix_vector());
	if (result != INTERP_OK)
		return;
	cr_expect_eq(CPU.eip, FX_CODE + t->insn.len, "%s: eip", text);
	for (unsigned n = 0; n < 8; n++)
		cr_expect_eq(CPU.regs[n], state->out[n], "%s: r%u %08x host %08x, was %08x; ecx %x",
			     text, n, CPU.regs[n], state->out[n], regs[n], regs[1]);
	cr_expect_eq(CPU.eflags & observed, state->eflags_out & observed,
		     "%s: eflags %x host %x, were %x; eax %x ecx %x", text, CPU.eflags & observed,
		     state->eflags_out & observed, eflags, regs[0], regs[1]);
	cr_expect_arr_eq(guest_data, host_data, DATA_SIZE, "%s: memory", text);
	compare_fpu(text, &state->fpu, &CPU.fpu);
}

static void run_random(uint32_t wanted, unsigned rounds, bool unmasked)
{
	struct tally tally = { 0 };

	host_setup();
	for (unsigned round = 0; round < rounds; round++) {
		struct fxsave_image fpu;
		struct test_case t;
		uint32_t regs[8];

		for (unsigned n = 0; n < 8; n++)
			regs[n] = random_value(&rng);
		regs[X86_ESP] = DATA + DATA_SIZE / 2 + (rnd() & 0x3fc);
		random_fpu(&rng, &fpu, unmasked, false);
		generate(&t, wanted, regs);
		if (t.insn.attr & OPA_STRING || (t.insn.map == MAP_0F && t.insn.opcode == 0xf7)) {
			regs[X86_ESI] = DATA + DATA_SIZE / 2 + (rnd() & 0x3ff);
			regs[X86_EDI] = DATA + DATA_SIZE / 2 + (rnd() & 0x3ff);
			regs[X86_ECX] = rnd() & 0x7f;
		}
		if (t.insn.map == MAP_1BYTE && t.insn.opcode == 0xd7)
			regs[X86_EBX] = DATA + (rnd() & 0xfff);
		if (t.insn.map == MAP_1BYTE && (t.insn.opcode == 0xc9 || t.insn.opcode == 0xc8))
			regs[X86_EBP] = DATA + DATA_SIZE / 2 + (rnd() & 0x3fc);
		run_case(&t, regs, &fpu, &tally);
	}
	cr_log_info("%u compared, %u faulted", tally.compared, tally.faulted);
	cr_expect_gt(tally.compared, rounds / 2, "only %u of %u compared", tally.compared, rounds);
}

TestSuite(interp_host, .init = ix_setup, .fini = ix_teardown, .timeout = 300);

Test(interp_host, integer)
{
	run_random(0, 60000, false);
}

Test(interp_host, strings)
{
	run_random(OPA_STRING, 6000, false);
}

Test(interp_host, x87)
{
	run_random(OPA_FPU, 30000, false);
}

/*
 * An unmasked exception is pending afterwards and shows in the status word; stores must then have
 * been left out.
 */
Test(interp_host, x87_unmasked)
{
	run_random(OPA_FPU, 30000, true);
}

Test(interp_host, mmx_and_sse)
{
	run_random(OPA_MMX | OPA_SSE, 40000, false);
}
