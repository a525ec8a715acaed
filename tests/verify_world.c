/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Translations run on the host, and what is watched of them (verify_world.h). */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "shadowmmu/host_mapping.h"
#include "translator/decode.h"
#include "verify_world.h"

/* The window between its guards. */
#define SLOT_BYTES (HOST_WINDOW_GUARD_BELOW + HOST_WINDOW_SIZE + HOST_WINDOW_GUARD_ABOVE)
#define HOST_TF 0x100u
#define HOST_IF 0x200u
#define HOST_RF 0x10000u
#define MAX_STEPS 300u
#define RUNS 3u

struct world w;

static uint32_t rnd(void)
{
	return random_next(&w.rng);
}

static uint32_t rnd_register(void)
{
	static const uint32_t edges[] = { 0, 1, 4, 0x7ffffff0, 0x80000000, 0xfffffff0, 0xfffffffc,
		0xffffffff };

	return rnd() % 3 ? rnd() : edges[rnd() % RF_ARRAY_SIZE(edges)];
}

#define STACK_WORDS 512u
#define STACK_TOP (STACK_WORDS / 2)

static greg_t *reg(ucontext_t *uc, int r)
{
	return &uc->uc_mcontext.gregs[r];
}

/* Back to where the run was started. */
static void end_run(ucontext_t *uc)
{
	memcpy(uc->uc_mcontext.gregs, w.saved, sizeof(w.saved));
	memcpy(uc->uc_mcontext.fpregs, &w.saved_fpu, sizeof(w.saved_fpu));
}

static void see(ucontext_t *uc, const char *what, uint64_t value)
{
	if (!w.wrong[0])
		snprintf(w.wrong, sizeof(w.wrong), "%s (%llx) at offset %lld, after %u steps", what,
			 (unsigned long long)value,
			 (long long)(*reg(uc, REG_RIP) - (greg_t)w.tu->entry), w.steps);
	end_run(uc);
}

static const int guest_registers[] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RBP, REG_RSI, REG_RDI
};

static bool upper_halves_zero(ucontext_t *uc)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(guest_registers); i++) {
		if ((uint64_t)*reg(uc, guest_registers[i]) >> 32)
			return false;
	}
	return true;
}

/* False: something is wrong, and the run has ended. */
static bool watch_registers(ucontext_t *uc)
{
	const int64_t depth = (int64_t)(w.stack + STACK_TOP) - *reg(uc, REG_RSP);
	const uint64_t flags = *reg(uc, REG_EFL);

	if (*reg(uc, REG_R12) != (greg_t)tcw(w.cpu)->link_table || *reg(uc,
		REG_R15) != (greg_t)(uintptr_t)w.cpu)
		return see(uc, "a table's register changed", 0), false;
	if (*reg(uc, REG_R13) != (greg_t)w.window)
		return see(uc, "the window's register changed", *reg(uc, REG_R13)), false;
	if (depth < -8 || depth > 8 || depth % 8)
		return see(uc, "the stack pointer moved", depth), false;
	if (flags & ~(uint64_t)(LIVE_FLAGS | HOST_TF | HOST_IF | HOST_RF | X86_F1))
		return see(uc, "flags that are not the guest's changed", flags), false;
	if ((uint64_t)*reg(uc, REG_R14) >> 32)
		return see(uc, "the upper half of r14 is not zero", *reg(uc, REG_R14)), false;
	return true;
}

/* --- where memory operands lie --- */

static bool within(uint64_t address, uint64_t start, uint64_t size)
{
	return address - start < size;
}

static bool in_slot(uint64_t address)
{
	return within(address, w.window - HOST_WINDOW_GUARD_BELOW, SLOT_BYTES);
}

static bool in_tables(uint64_t address)
{
	const uint64_t links = tcw(w.cpu)->link_table, start = (uint64_t)w.vf->space->tables;

	return within(address, start, links - start + EXIT_MAX * sizeof(uint64_t));
}

/* False: something is wrong, and the run has ended. */
static bool watch_reach(ucontext_t *uc, const struct host_reach *reach)
{
	for (unsigned i = 0; i < reach->n; i++) {
		const struct host_reach_operand *o = &reach->operand[i];
		uint64_t address = o->disp;

		if (o->base >= 0)
			address += *reg(uc, o->base);
		if (o->index >= 0)
			address += *reg(uc, o->index) * o->scale;
		if (o->segment || o->cut)
			return see(uc, "an operand in a segment, or cut", address), false;
		if (!in_slot(address) && !within(address, (uint64_t)w.tc, sizeof(*w.tc)) &&
		    (o->written || !in_tables(address)))
			return see(uc, "an operand beside the window", address), false;
	}
	return true;
}

/* --- stubs, as the unit sees them --- */

static void spoil_scratch(ucontext_t *uc)
{
	static const int scratch[] = { REG_R8, REG_R9, REG_R10, REG_R11 };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(scratch); i++)
		*reg(uc, scratch[i]) = (uint64_t)rnd() << 32 | rnd();
}

/* The stub returns behind the call, if there was one. */
static void return_from_stub(ucontext_t *uc)
{
	const uint64_t *rsp = (const uint64_t *)*reg(uc, REG_RSP);

	if (rsp != w.stack + STACK_TOP - 1) {
		end_run(uc);
		return;
	}
	*reg(uc, REG_RIP) = *rsp;
	*reg(uc, REG_RSP) += 8;
}

static void at_callout(ucontext_t *uc, enum callout which)
{
	if (!upper_halves_zero(uc)) {
		see(uc, "a callout with upper halves", which);
		return;
	}
	if (which == CALLOUT_INT || which == CALLOUT_IRET || which == CALLOUT_SYSENTER ||
	    which == CALLOUT_SYSEXIT ||
	    (which >= CALLOUT_FAR_JUMP && which <= CALLOUT_FAR_RETURN)) {
		end_run(uc);
		return;
	}
	spoil_scratch(uc);
	return_from_stub(uc);
}

static void at_soft(ucontext_t *uc)
{
	const uint64_t address = *reg(uc, REG_R10);

	spoil_scratch(uc);
	*reg(uc, REG_R10) = address;
	*reg(uc, REG_R9) = w.window;
	return_from_stub(uc);
}

/*
 * An unlinked exit or a missed look-up: if that was a call, the callee returns, to here or to
 * somewhere else.
 */
static void at_exit(ucontext_t *uc)
{
	const unsigned i = rnd() % w.tu->ninsns;

	if (!upper_halves_zero(uc))
		return see(uc, "an exit with upper halves", 0);
	spoil_scratch(uc);
	*reg(uc, REG_R8) = rnd() & 1 ? w.tu->eip + w.tu->insn[i].guest_offset : rnd();
	return_from_stub(uc);
}

static void at_stub(ucontext_t *uc)
{
	const struct translator *tr = w.vf->tr;
	const cache_pc pc = *reg(uc, REG_RIP);

	for (unsigned i = 0; i < CALLOUT_COUNT; i++) {
		if (i != CALLOUT_SOFT && pc == tr->stub_callout[i]) {
			at_callout(uc, i);
			return;
		}
	}
	for (unsigned i = 0; i < X86_NSEG; i++) {
		if (tr->stub_segment[i] && pc == tr->stub_segment[i]) {
			at_callout(uc, CALLOUT_LOAD_SEGMENT);
			return;
		}
	}
	if (pc == tr->stub_soft[ACCESS_READ] || pc == tr->stub_soft[ACCESS_WRITE]) {
		at_soft(uc);
	} else if (pc == tr->stub_lookup_miss) {
		*reg(uc, REG_RCX) = *reg(uc, REG_R11);
		at_exit(uc);
	} else if (pc == tr->stub_link || pc == tr->stub_lookup) {
		at_exit(uc);
	} else if (pc == tr->stub_return_miss) {
		end_run(uc);
	} else if (pc == tr->stub_underflow) {
		if (upper_halves_zero(uc))
			end_run(uc);
		else
			see(uc, "a return with upper halves", 0);
	} else {
		see(uc, "control left the unit", pc);
	}
}

/* --- signals --- */

/* Looks at where the unit is before it goes on there. */
static void watch_place(ucontext_t *uc)
{
	const uint64_t offset = *reg(uc, REG_RIP) - w.tu->entry;

	if (offset >= w.tu->host_len)
		return see(uc, "control left the unit", offset);
	if (!w.starts[offset])
		return see(uc, "control came into the middle of an instruction", offset);
	if (w.boundaries[offset] && !upper_halves_zero(uc))
		return see(uc, "an upper half that is not zero", offset);
	if (!watch_reach(uc, &w.reach[offset]))
		return;
	/*
	 * over a cache line's end and stepped, hosts that detect split locks may repeat it for ever
	 */
	if (w.locked[offset])
		return end_run(uc);
	*reg(uc, REG_EFL) |= HOST_TF;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	if (!watch_registers(uc))
		return;
	if (++w.steps > MAX_STEPS)
		return end_run(uc);
	if (*reg(uc, REG_RIP) - w.tu->entry >= w.tu->host_len) {
		at_stub(uc);
		if (*reg(uc, REG_RIP) == w.saved[REG_RIP])
			return;
	}
	watch_place(uc);
}

/*
 * A page fault in the window or its guards, a #GP of an unaligned XMM operand, #UD of a LOCK, an
 * arithmetic exception.
 */
static void on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	const uint64_t address = *reg(uc, REG_CR2), offset = *reg(uc, REG_RIP) - w.tu->entry;
	const bool page_fault = *reg(uc, REG_TRAPNO) == 14;

	if (offset >= w.tu->host_len)
		return see(uc, "a fault outside the unit", address);
	if (sig == SIGSEGV && page_fault && !in_slot(address))
		return see(uc, "an access beside the window", address);
	for (unsigned i = 0; sig == SIGSEGV && !page_fault && i < w.ninsns; i++) {
		if (w.list[i].offset == offset && !strstr(w.list[i].text, "xmm"))
			return see(uc, "a general protection fault", offset);
	}
	end_run(uc);
}

/* Starts the run when it returns. */
static void on_start(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	memcpy(w.saved, uc->uc_mcontext.gregs, sizeof(w.saved));
	memcpy(&w.saved_fpu, uc->uc_mcontext.fpregs, sizeof(w.saved_fpu));
	for (unsigned i = 0; i < RF_ARRAY_SIZE(guest_registers); i++)
		*reg(uc, guest_registers[i]) = rnd_register();
	spoil_scratch(uc);
	*reg(uc, REG_R8) = rnd_register();
	*reg(uc, REG_R12) = tcw(w.cpu)->link_table;
	*reg(uc, REG_R13) = w.window;
	*reg(uc, REG_R14) = rnd_register();
	*reg(uc, REG_R15) = (greg_t)(uintptr_t)w.cpu;
	*reg(uc, REG_RSP) = (greg_t)(uintptr_t)(w.stack + STACK_TOP);
	*reg(uc, REG_RIP) = w.tu->entry;
	*reg(uc, REG_EFL) = (rnd() & LIVE_FLAGS) | HOST_IF | X86_F1 | HOST_TF;
	watch_reach(uc, &w.reach[0]);
}

static void take_signal(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigfillset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

/* --- building and running --- */

static void *map_at(void *at, size_t bytes, int protection)
{
	void *p = mmap(at, bytes, protection,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);

	cr_assert_neq(p, MAP_FAILED);
	return p;
}

void world_setup(void)
{
	uint8_t *area = map_at(NULL, SLOT_BYTES + HOST_WINDOW_SIZE, PROT_NONE);
	stack_t alternative = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16 };
	const uint64_t slot = ((uint64_t)area + HOST_WINDOW_SIZE - 1) & ~(HOST_WINDOW_SIZE - 1);

	random_seed(&w.rng, getenv("RF_SEED") ? strtoull(getenv("RF_SEED"), NULL, 0) : 20240117);
	w.window = slot + HOST_WINDOW_GUARD_BELOW;
	map_at((void *)w.window, HOST_WINDOW_SIZE, PROT_READ | PROT_WRITE);
	w.tc = map_at(NULL, (sizeof(*w.tc) + 4095) & ~4095ul, PROT_READ | PROT_WRITE);
	w.cpu = &w.tc->cpu;
	w.stack = map_at(NULL, STACK_WORDS * 8, PROT_READ | PROT_WRITE);
	w.branches_before = malloc(BRANCH_CACHE_BYTES);
	w.reader = host_reader_create();
	sigaltstack(&alternative, NULL);
	take_signal(SIGUSR1, on_start);
	take_signal(SIGTRAP, on_trap);
	take_signal(SIGSEGV, on_fault);
	take_signal(SIGBUS, on_fault);
	take_signal(SIGILL, on_fault);
	take_signal(SIGFPE, on_fault);
}

/* The forms that a host with BMI2 gets, and those of one without. */
void world_on_each_host(void (*test)(void))
{
	static const uint32_t hosts[] = { HOST_BMI2, 0 };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(hosts); i++) {
		w.vf = vf_create(false, hosts[i]);
		test();
		vf_destroy(w.vf);
	}
}

static void prepare_cpu(void)
{
	struct cpu *cpu = w.cpu;

	for (unsigned i = 0; i < X86_NSEG; i++) {
		cpu->seg[i] = (struct segment){ .selector = rnd(), .base = rnd_register(),
			.limit = ~0u };
		tcw(cpu)->seg_base[i] = &cpu->seg[i].base;
	}
	for (unsigned i = 0; i < 4; i++)
		tcw(cpu)->view_by_gib[i] = w.window;
	tcw(cpu)->window = w.window;
	tcw(cpu)->if_flag = 0;
	tcw(cpu)->eflags_sys = X86_F1;
	atomic_store(&cpu->events, rnd() & 1);
	translator_use_space(w.vf->tr, cpu, w.vf->space, w.tu->mode);
	w.branches = (struct branch_entry *)tcw(cpu)->branch_cache;
	w.before = *w.tc;
	memcpy(w.branches_before, w.branches, BRANCH_CACHE_BYTES);
}

/* The unit as it is now: its instructions, by Capstone. */
void world_take_unit(struct tu *tu)
{
	w.tu = tu;
	w.ninsns = vf_listing(w.vf, tu, w.list);
	memset(w.starts, 0, sizeof(w.starts));
	memset(w.boundaries, 0, sizeof(w.boundaries));
	for (unsigned i = 0; i < w.ninsns; i++) {
		const char *text = w.list[i].text;

		w.starts[w.list[i].offset] = true;
		host_reach(w.reader, vf_host(w.vf, tu) + w.list[i].offset, w.list[i].len,
			   tu->entry + w.list[i].offset, &w.reach[w.list[i].offset]);
		w.locked[w.list[i].offset] = !strncmp(text, "lock", 4) ||
					     (!strncmp(text, "xchg", 4) && strchr(text, '['));
	}
	for (unsigned i = 0; i < tu->ninsns; i++)
		w.boundaries[tu->insn[i].host_offset] = true;
	memcpy(w.code, vf_host(w.vf, tu), tu->host_len);
}

static void check_memory(void)
{
	struct tc_cpu after = *w.tc;
	const char *what = NULL;

	if (after.tcw.if_flag != 0 && after.tcw.if_flag != X86_IF)
		what = "the interrupt flag is something else";
	after.tcw.if_flag = w.before.tcw.if_flag;
	after.tcw.scratch = w.before.tcw.scratch;
	if (after.tcw.x87_site != w.before.tcw.x87_site &&
	    after.tcw.x87_site > w.vf->tr->nx87_sites)
		what = "an x87 site that does not exist";
	after.tcw.x87_site = w.before.tcw.x87_site;
	after.tcw.x87_fdp = w.before.tcw.x87_fdp;
	if (memcmp(&after, &w.before, sizeof(after)))
		what = "struct cpu changed";
	if (memcmp(w.branches, w.branches_before, BRANCH_CACHE_BYTES))
		what = "the branch cache changed";
	if (memcmp(w.code, vf_host(w.vf, w.tu), w.tu->host_len))
		what = "the code changed";
	for (uint32_t i = 0; i < w.vf->tr->nslots; i++) {
		if (w.vf->space->links[i] != w.vf->tr->link_template[i])
			what = "the link table changed";
	}
	if (what && !w.wrong[0])
		snprintf(w.wrong, sizeof(w.wrong), "%s", what);
}

/* Runs the unit; w.wrong says what was seen. */
void world_run_unit(void)
{
	w.wrong[0] = 0;
	for (unsigned i = 0; i < RUNS && !w.wrong[0]; i++) {
		prepare_cpu();
		for (unsigned k = 0; k < STACK_WORDS; k++)
			w.stack[k] = w.vf->tr->stub_underflow;
		w.steps = 0;
		raise(SIGUSR1);
		check_memory();
	}
}

bool world_leaves_process(void)
{
	static const char *const mnemonics[] = {
		"syscall", "sysenter", "sysexit", "sysret", "int", "in ", "out", "ins", "hlt",
		"cli", "sti", "mov gs", "mov fs", "wrmsr", "xrstor", "fxrstor", "rdgsbase",
		"rdfsbase", "wrgsbase", "wrfsbase", "xbegin", "vm", "enter",
			"iret", "retf", "ljmp", "lcall", "l",
	};
	static const char *const harmless[] = { "lea", "lock", "loop", "lods", "lahf", "lfence",
		"insertps", "lddqu" };

	for (unsigned i = 0; i < w.ninsns; i++) {
		bool fine = false;

		for (unsigned k = 0; k < RF_ARRAY_SIZE(harmless); k++)
			fine = fine || !strncmp(w.list[i].text, harmless[k], strlen(harmless[k]));
		for (unsigned k = 0; k < RF_ARRAY_SIZE(mnemonics) && !fine; k++) {
			if (!strncmp(w.list[i].text, mnemonics[k], strlen(mnemonics[k])))
				return true;
		}
	}
	return false;
}
