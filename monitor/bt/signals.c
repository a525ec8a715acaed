/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals that hit translated code.
 *
 * A host fault at a guest memory access is either hidden (the shadow tables fill the page and the
 * access is repeated), or the guest state at the instruction is saved into struct cpu and
 * translated code is left with a reason. Host exceptions other than page faults (#DE, #GP of an
 * unaligned SSE operand, #MF, #XM, #UD) have the interpreter run the instruction, which raises what
 * is due.
 *
 * A kick arrives when an event waits. At the first host instruction of a guest instruction the
 * state is precise: leave there. Elsewhere single-step the host until such a place, or until C code
 * runs, which looks at events itself.
 *
 * A fault outside translated code is a bug of ours: it takes the course it would have taken without
 * us.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>
#include "internal.h"
#include "profile.h"
#include "monitor/vm/vm.h"
#include "x86/fault.h"

#define TRAP_DEBUG 1
#define TRAP_PAGE_FAULT 14
#define HOST_TF 0x100
#define HOST_DF 0x400
#define ERROR_WRITE 0x2
#define SIGNAL_STACK_BYTES (256 << 10)
#define HITS_BEFORE_ADAPTING 8

static __thread struct bt *thread_bt;

/* Handlers belong to the process, whatever the number of VMs. */
static struct sigaction previous_action[SIGSYS + 1];
static pthread_once_t install_once = PTHREAD_ONCE_INIT;
static int install_error;

static int kick_signal(void)
{
	return SIGRTMIN + 1;
}

/*
 * Lower than the kick's, so that of both it comes first, and sees translated code before the kick's
 * handler leaves it.
 */
int bt_profile_signal(void)
{
	return SIGRTMIN;
}

static greg_t *reg(ucontext_t *uc, int r)
{
	return &uc->uc_mcontext.gregs[r];
}

/* The pointers in the frame are the host's. */
static void signal_save_x87_pointers(struct bt *bt, ucontext_t *uc, const struct tc_position *at)
{
	static const int number[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
					REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
					REG_R12, REG_R13, REG_R14, REG_R15 };
	uint64_t host[16];

	for (int i = 0; i < 16; i++)
		host[i] = *reg(uc, number[i]);
	translator_x87_catch_up(bt->translator, &bt->vcpu->cpu, at, host);
}

static void signal_save_guest(struct bt *bt, ucontext_t *uc, const struct tc_position *at)
{
	static const int from[8] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX,
				     REG_R14, REG_RBP, REG_RSI, REG_RDI };
	struct cpu *cpu = &bt->vcpu->cpu;

	for (int i = 0; i < 8; i++)
		cpu->regs[i] = *reg(uc, from[i]);
	cpu->regs[X86_ESP] += at->esp_delta;
	cpu->eip = at->eip;
	cpu->eflags = (*reg(uc, REG_EFL) & LIVE_FLAGS) | tcw(cpu)->eflags_sys | tcw(cpu)->if_flag;
	tcw(cpu)->tc_rsp = *reg(uc, REG_RSP);
	memcpy(&cpu->fpu, uc->uc_mcontext.fpregs, sizeof(cpu->fpu));
	signal_save_x87_pointers(bt, uc, at);
}

/* Leaves translated code when the handler returns. */
static void signal_leave(struct bt *bt, ucontext_t *uc, const struct tc_position *at,
			 enum tc_leave why)
{
	assert(bt == thread_bt);
	signal_save_guest(bt, uc, at);
	/* An instruction after an STI is begun again, still before any interrupt. */
	if (at->shadow && why != TC_LEAVE_FAULT)
		bt->vcpu->cpu.inhibit |= INHIBIT_STI;
	*reg(uc, REG_RIP) = translator_leave_address(bt->translator);
	*reg(uc, REG_RAX) = why;
	*reg(uc, REG_EFL) &= ~(greg_t)(HOST_TF | HOST_DF);
}

/* The window host address lies in, and the guest address there. False: in a guard. */
static bool signal_find_window(struct bt *bt, hva_t address, enum shadow_view *view, uint64_t *gva)
{
	const struct space *space = bt->space;
	const enum shadow_view first = bt->vcpu->cpu.cpl == 3 ? SHADOW_USER : SHADOW_KERNEL;

	for (int i = 0; i < SHADOW_NVIEWS; i++) {
		enum shadow_view v = i ? !first : first;

		if (hva_within(address, space->window[v], HOST_WINDOW_SIZE)) {
			*view = v;
			*gva = hva_distance(space->window[v], address);
			return true;
		}
	}
	return false;
}

/*
 * Counts a fault that will come back; true when it is time to translate the instruction otherwise.
 */
static bool signal_count_hit(struct bt *bt, gpa_t gpa, uint32_t limit)
{
	struct bt_hit *hit = &bt->hits[gpa.v & (BT_HITS - 1)];

	if (hit->key != gpa.v)
		*hit = (struct bt_hit){ .key = gpa.v };
	return ++hit->count >= limit;
}

static enum tc_leave signal_adapt(struct bt *bt, const struct tc_position *at, uint32_t adapt)
{
	bt->returns_stale = true;
	translator_adapt(bt->translator, at->gpa, adapt);
	return TC_LEAVE_RETRANSLATE;
}

/*
 * Of an adapted store of 16-bit code the limit's probe may be what cannot be done in place: then
 * the store is interpreted (translate_16_choose()).
 */
static enum tc_leave signal_adapt_further(struct bt *bt, const struct tc_position *at)
{
	return signal_adapt(bt, at, at->adapt & ADAPT_INTERPRET ? ADAPT_EXACT : ADAPT_INTERPRET);
}

static enum tc_leave signal_user_view(struct bt *bt, const struct tc_position *at, gva_t gva)
{
	const uint8_t bit = 1 << (gva >> 30);

	if (!(bt->user_gibs & bit)) {
		bt->user_gibs |= bit;
		if (at->adapt & ADAPT_DUAL)
			return TC_LEAVE_RESUME;
	} else if (at->adapt & ADAPT_DUAL) {
		/*
		 * It chose the window by its first byte and runs over, or is a form without a
		 * choice.
		 */
		return TC_LEAVE_INTERPRET;
	}
	return signal_adapt(bt, at, ADAPT_DUAL);
}

static void signal_true_fault(struct bt *bt, const struct tc_position *at, gva_t gva,
			      enum access access, uint32_t error)
{
	struct cpu *cpu = &bt->vcpu->cpu;

	fault_raise_pf(cpu, gva, error);
	bt->prefill = true;
	bt->prefill_eip = at->eip;
	bt->prefill_cpl = cpu->cpl;
	bt->prefill_gva = gva;
	bt->prefill_access = access;
	if (bt_soft_count(bt, at, false)) {
		bt->prefill = false;
		signal_adapt(bt, at, ADAPT_SOFT);
	}
}

/*
 * An address in a guard: a sum that wraps at 4 GiB, which the exact form computes as the guest's
 * processor does. In that form only an access that begins in the window and runs over its end comes
 * here.
 */
static enum tc_leave signal_guard(struct bt *bt, const struct tc_position *at)
{
	if (at->adapt & ADAPT_EXACT)
		return TC_LEAVE_INTERPRET;
	bt->stats.guard_faults++;
	return signal_adapt(bt, at, ADAPT_EXACT);
}

/*
 * A page fault of the host at a guest access. Returns false when the access can simply be repeated.
 */
static bool signal_page_fault(struct bt *bt, ucontext_t *uc, const struct tc_position *at,
			      enum tc_leave *why)
{
	struct cpu *cpu = &bt->vcpu->cpu;
	enum access access = (*reg(uc, REG_ERR) & ERROR_WRITE ? ACCESS_WRITE : ACCESS_READ) |
			     access_explicit(cpu->cpl, tcw(cpu)->eflags_sys);
	const hva_t window = HVA(tcw(cpu)->window);
	const bool code16 = tcw(cpu)->mode & MODE_CODE16;
	struct shadow_fill_info info;
	enum shadow_view view;
	uint64_t gva;

	*why = TC_LEAVE_INTERPRET;
	if (!signal_find_window(bt, HVA(*reg(uc, REG_CR2)), &view, &gva)) {
		if (!bt_is_limit_fault(bt, HVA(*reg(uc, REG_CR2))))
			*why = signal_guard(bt, at);
		return true;
	}
	if (bt->unsettled) {
		/* Perhaps the access met the kernel window only because of that: again. */
		bt_settle(bt);
		*why = TC_LEAVE_RESUME;
		return true;
	}
	switch (shadow_fill(bt->shadow, view, gva, access, &info)) {
	case SHADOW_FILL_OK:
		bt->space = shadow_current(bt->shadow);
		*why = TC_LEAVE_RESUME;
		if (view == SHADOW_USER && bt_young_faulted(bt))
			return true;
		if (view == SHADOW_KERNEL && bt->young.on && !code16 &&
		    bt_soft_count(bt, at, true)) {
			*why = signal_adapt(bt, at, ADAPT_SOFT);
			return true;
		}
		/* Filling may have evicted or remapped what translated code relies on. */
		if (!bt->returns_stale &&
		    hva_equal(bt->space->window[cpu->cpl == 3 ? SHADOW_USER : SHADOW_KERNEL],
			      window))
			return false;
		*why = TC_LEAVE_RESUME;
		return true;
	case SHADOW_FILL_FAULT:
		/* In 16-bit code it may have been a limit's probe, and not the access itself. */
		if (code16 ||
		    bt_fault_is_open(bt, at->gpa,
				     (const struct fxsave_image *)uc->uc_mcontext.fpregs))
			return true;
		signal_true_fault(bt, at, gva, access, info.error);
		if (view == SHADOW_USER)
			bt_young_faulted(bt);
		*why = TC_LEAVE_FAULT;
		return true;
	case SHADOW_FILL_UNBACKED:
		*why = signal_adapt_further(bt, at);
		return true;
	case SHADOW_FILL_PROTECTED:
	case SHADOW_FILL_EMULATE:
		if (signal_count_hit(bt, at->gpa, HITS_BEFORE_ADAPTING))
			*why = signal_adapt_further(bt, at);
		return true;
	case SHADOW_FILL_USER_VIEW:
		*why = signal_user_view(bt, at, gva);
		return true;
	case SHADOW_FILL_HOST_ERROR:
		signal_save_guest(bt, uc, at); /* what the report shows */
		vm_kill(bt->vcpu,
			"the host cannot map guest memory at linear address 0x%08x: %s (free "
			"memory of the host, or raise vm.max_map_count)",
			(uint32_t)gva,
			strerror(info.host_errno < 0 ? -info.host_errno : info.host_errno));
		*why = TC_LEAVE_DEAD;
		return true;
	}
	return true;
}

/* How a page fault ended, for a profile; again: the access is simply repeated. */
static enum profile_site_kind signal_site_kind(bool again, enum tc_leave why)
{
	if (again)
		return PROFILE_SITE_FILLED;
	switch (why) {
	case TC_LEAVE_FAULT: return PROFILE_SITE_TRUE_FAULT;
	case TC_LEAVE_INTERPRET: return PROFILE_SITE_EMULATED;
	case TC_LEAVE_RETRANSLATE: return PROFILE_SITE_RETRANSLATED;
	default: return PROFILE_SITE_AGAIN;
	}
}

/*
 * Not ours: gives the signal back to who had it before. A fault recurs when we return; what was
 * sent, or a trap, does not and is sent again, to come once we have returned.
 */
static void signal_chain(int sig, const siginfo_t *info, ucontext_t *uc)
{
	const bool sent = info->si_code <= 0;
	char text[128];

	if (!sent) {
		int len = snprintf(
			text, sizeof(text),
			"ringfence: internal error: signal %d at %#llx for address %#llx\n", sig,
			(unsigned long long)*reg(uc, REG_RIP),
			(unsigned long long)*reg(uc, REG_CR2));
		ssize_t n = write(STDERR_FILENO, text, len);

		(void)n;
	}
	sigaction(sig, &previous_action[sig], NULL);
	if (sent || sig == SIGTRAP)
		raise(sig);
}

static void signal_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	struct bt *bt = thread_bt;
	const cache_pc pc = *reg(uc, REG_RIP);
	const int trap = *reg(uc, REG_TRAPNO), saved_errno = errno;
	struct tc_position at;
	enum profile_site_kind site = PROFILE_SITE_TRAP;
	enum tc_leave why = TC_LEAVE_INTERPRET;
	bool again = false;
	hva_t empty;

	if (info->si_code <= 0 || !bt || !translator_contains(bt->translator, pc)) {
		signal_chain(sig, info, uc);
		return;
	}
	if (trap == TRAP_PAGE_FAULT &&
	    translator_return_overflow(bt->translator, HVA(*reg(uc, REG_CR2)), &empty)) {
		*reg(uc, REG_RSP) = empty.v;
		bt->stats.return_overflows++;
		return;
	}
	if (!translator_locate(bt->translator, pc, &at)) {
		signal_chain(sig, info, uc);
		return;
	}
	if (bt->profile)
		profile_fault_begins(bt->profile, at.eip, *reg(uc, REG_RBP));
	if (trap == TRAP_PAGE_FAULT) {
		bt->stats.host_faults++;
		again = !signal_page_fault(bt, uc, &at, &why);
		site = signal_site_kind(again, why);
	} else {
		bt->stats.host_traps++;
	}
	if (!again) {
		/*
		 * Whether a string instruction has done a round cannot be seen: it does one before
		 * any interrupt, which then saves RF.
		 */
		at.shadow |= at.repeats;
		signal_leave(bt, uc, &at, why);
	}
	if (bt->profile)
		profile_fault_ends(bt->profile, site, at.eip);
	errno = saved_errno;
}

/*
 * Leaves at a boundary if an event is to be taken, steps on if this is none, or is done.
 *
 * What is taken between two rounds of a string instruction saves RF set, and before the first it
 * does not (SDM vol. 3, 17.3.1.1). Which it is cannot be seen, so a round is stepped: whoever then
 * is at the same place has done one.
 */
static void signal_try_events(struct bt *bt, ucontext_t *uc, cache_pc stepped_from)
{
	struct cpu *cpu = &bt->vcpu->cpu;
	const cache_pc pc = *reg(uc, REG_RIP);
	struct tc_position at = { 0 };
	bool located, round_done;

	*reg(uc, REG_EFL) &= ~(greg_t)HOST_TF;
	if (!translator_contains(bt->translator, pc))
		return;
	located = translator_locate(bt->translator, pc, &at);
	round_done = located && at.repeats && pc == stepped_from;
	/* An STI's shadow ends with the first round. */
	at.shadow &= !round_done;
	if (!located || !(round_done || (at.boundary && !at.repeats))) {
		bt->stats.steps++;
		bt->stepped_from = pc;
		*reg(uc, REG_EFL) |= HOST_TF;
		return;
	}
	if (!(atomic_load(&cpu->events) & cpu_event_mask(cpu, tcw(cpu)->if_flag)))
		return;
	signal_leave(bt, uc, &at, TC_LEAVE_RESUME);
	cpu->eflags |= at.repeats ? X86_RF : 0;
}

static void signal_kick(int sig, siginfo_t *info, void *context)
{
	if (!thread_bt)
		return;
	thread_bt->stats.kicks++;
	signal_try_events(thread_bt, context, 0);
}

static void signal_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	if (info->si_code <= 0 || !thread_bt || *reg(uc, REG_TRAPNO) != TRAP_DEBUG)
		signal_chain(sig, info, uc);
	else
		signal_try_events(thread_bt, uc, thread_bt->stepped_from);
}

/*
 * The profile's timer. It may come in the middle of a fault's handler, and does so at the first
 * instruction if it was due while the host's kernel made the fault's frame: that time belongs where
 * the fault was, to which the handler's third argument points.
 */
static void signal_profile(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	const bool in_fault = (uintptr_t)*reg(uc, REG_RIP) == (uintptr_t)signal_fault;

	if (thread_bt && thread_bt->profile && info->si_code == SI_TIMER)
		profile_sample(thread_bt, in_fault ? (ucontext_t *)*reg(uc, REG_RDX) : uc, in_fault,
			       1 + info->si_overrun);
}

static void signal_take(int sig, void (*handler)(int, siginfo_t *, void *),
			const struct sigaction *like)
{
	struct sigaction sa = *like, *previous = sig <= SIGSYS ? &previous_action[sig] : NULL;

	sa.sa_sigaction = handler;
	if (sigaction(sig, &sa, previous) && !install_error)
		install_error = -errno;
}

static void signal_install(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigfillset(&sa.sa_mask);
	for (size_t i = 0; i < RF_ARRAY_SIZE(faults); i++)
		sigdelset(&sa.sa_mask, faults[i]);
	sigdelset(&sa.sa_mask, bt_profile_signal());
	for (size_t i = 0; i < RF_ARRAY_SIZE(faults); i++)
		signal_take(faults[i], signal_fault, &sa);
	sigaddset(&sa.sa_mask, bt_profile_signal());
	signal_take(SIGTRAP, signal_trap, &sa);
	sa.sa_flags |= SA_RESTART;
	signal_take(kick_signal(), signal_kick, &sa);
}

int bt_signals_install(void)
{
	pthread_once(&install_once, signal_install);
	return install_error;
}

int bt_signals_install_profile(void)
{
	struct sigaction sa = { .sa_sigaction = signal_profile,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

	sigfillset(&sa.sa_mask);
	return sigaction(bt_profile_signal(), &sa, NULL) ? -errno : 0;
}

int bt_signals_enter_thread(struct bt *bt)
{
	stack_t stack = { .ss_size = SIGNAL_STACK_BYTES };

	if (!bt->signal_stack)
		bt->signal_stack = malloc(SIGNAL_STACK_BYTES);
	stack.ss_sp = bt->signal_stack;
	if (!stack.ss_sp)
		return -ENOMEM;
	assert(!thread_bt);
	if (sigaltstack(&stack, &bt->old_stack))
		return -errno;
	thread_bt = bt;
	return 0;
}

bool bt_on_signal_stack(const struct bt *bt, hva_t rsp)
{
	return hva_within(rsp, hva_of(bt->signal_stack), SIGNAL_STACK_BYTES);
}

void bt_signals_leave_thread(struct bt *bt)
{
	assert(thread_bt == bt);
	sigaltstack(&bt->old_stack, NULL);
	thread_bt = NULL;
}

void bt_kick_self(void)
{
	pthread_kill(pthread_self(), kick_signal());
}

void bt_kick(struct vcpu *vcpu)
{
	pthread_kill(vcpu->thread, kick_signal());
}
