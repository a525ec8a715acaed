/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's processor as executor: a case runs in compatibility mode, at the very addresses it has
 * in the guest, with the world's LDT made by modify_ldt(). It is entered by IRETQ, and always left
 * by an exception: Linux's signal frame has the state. What ends the case without one is the timer
 * (code in a loop) or the system-call filter below.
 *
 * Random code could make system calls. The filter turns those of the 32-bit kind, and any made from
 * below 4 GiB, into SIGSYS.
 *
 * The 32-bit code may leave FS in any state, so the handlers use nothing of thread-local storage
 * before leave() has put it back; this file is compiled without stack protector and sanitizers for
 * that reason.
 */
#include <asm/ldt.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include "executor.h"

#define TICK_NS    20000000
#define TICKS      6 /* a case that sees so many hangs */
#define LONG_TICKS 100
#define LINUX_CS64 0x33
#define MAX_SIGNALS 7

/*
 * What the entry stub works on; its offsets are in the assembly below. What IRETQ pops is at a
 * constant address below 4 GiB: going to a 16-bit stack it leaves the upper half of ESP as it was.
 */
struct frame {
	uint64_t host_rsp, fs_base, gs_base; /* 0, 8, 16 */
	uint32_t regs[8];                    /* 24 */
	uint16_t ds, es, fs, gs;             /* 56 */
	uint64_t *iret;                      /* 64: RIP, CS, RFLAGS, RSP, SS */
	uint64_t pad;
	struct fxsave_image fpu;             /* 80 */
};
_Static_assert(offsetof(struct frame, iret) == 64 && offsetof(struct frame, fpu) == 80,
	       "the stub's offsets");

void fuzz_host_enter(struct frame *frame);
_Noreturn void fuzz_host_leave(struct frame *frame);
asm(".text\n"
    ".globl fuzz_host_enter\n"
    "fuzz_host_enter:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	mov %rsp, 0(%rdi)\n"
    "	rdfsbase %rax; mov %rax, 8(%rdi)\n"
    "	rdgsbase %rax; mov %rax, 16(%rdi)\n"
    "	mov 56(%rdi), %ds; mov 58(%rdi), %es; mov 60(%rdi), %fs; mov 62(%rdi), %gs\n"
    "	fxrstor 80(%rdi)\n"
    "	mov 64(%rdi), %rsp\n"
    "	mov 24(%rdi), %eax; mov 28(%rdi), %ecx; mov 32(%rdi), %edx; mov 36(%rdi), %ebx\n"
    "	mov 44(%rdi), %ebp; mov 48(%rdi), %esi; mov 52(%rdi), %edi\n"
    "	iretq\n"
    ".globl fuzz_host_leave\n"
    "fuzz_host_leave:\n"
    "	mov 0(%rdi), %rsp\n"
    "	xor %eax, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %fs; mov %eax, %gs\n"
    "	mov 8(%rdi), %rax; wrfsbase %rax\n"
    "	mov 16(%rdi), %rax; wrgsbase %rax\n"
    "	push $2; popfq\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n");

struct host {
	struct executor x;
	int fd;
	uint8_t *alias[REGIONS]; /* writable, wherever */
	timer_t timer;
	struct sigaction before[MAX_SIGNALS];
	sigset_t mask_before;
	stack_t stack_before;
	uint8_t *signal_stack;
};

#define SIGNAL_STACK (256u << 10)
static const int signals[MAX_SIGNALS] = { SIGILL, SIGSEGV, SIGFPE,   SIGTRAP,
					  SIGBUS, SIGSYS,  SIGVTALRM };

/* The thread has one set of signal handlers: the case that is being run. */
static struct running {
	struct frame frame;
	struct outcome out;
	volatile unsigned serial, ticks, max_ticks, ticked_serial;
} the_case, *const running = &the_case;

static struct host *of(struct executor *x)
{
	return (struct host *)x;
}

/* --- signals --- */

static enum outcome_kind kind_of(int signal, const greg_t *g)
{
	if (signal == SIGSYS || (g[REG_CSGSFS] & 0xffff) == LINUX_CS64)
		return OUTCOME_UNJUDGED;
	return signal == SIGVTALRM ? OUTCOME_HUNG : OUTCOME_EXCEPTION;
}

static void leave(int signal, const ucontext_t *context)
{
	static const uint8_t order[8] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX,
					  REG_RSP, REG_RBP, REG_RSI, REG_RDI };
	const greg_t *g = context->uc_mcontext.gregs;
	struct outcome *out = &running->out;

	asm volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
		     : "=m"(out->seg[X86_DS]), "=m"(out->seg[X86_ES]), "=m"(out->seg[X86_FS]),
		       "=m"(out->seg[X86_GS]));
	asm volatile("wrfsbase %0" : : "r" (running->frame.fs_base));
	out->seg[X86_CS] = g[REG_CSGSFS];
	out->seg[X86_SS] = g[REG_CSGSFS] >> 48;
	out->kind = kind_of(signal, g);
	for (unsigned n = 0; n < 8; n++)
		out->regs[n] = g[order[n]];
	out->eip = g[REG_RIP];
	out->eflags = g[REG_EFL];
	out->vector = g[REG_TRAPNO];
	out->error = g[REG_ERR];
	out->cr2 = out->vector == EXC_PF ? g[REG_CR2] : 0;
	__builtin_memcpy(&out->fpu, context->uc_mcontext.fpregs, sizeof(out->fpu));
	fuzz_host_leave(&running->frame);
}

static bool in_case(const ucontext_t *context)
{
	const greg_t *g = context->uc_mcontext.gregs;

	return (g[REG_CSGSFS] & 0xffff) != LINUX_CS64 || (uint64_t)g[REG_RIP] < 1ull << 32;
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	static const char lost[] = "fuzz: a fault of its own\n";

	/* AC and NT may be set still. What sigreturn does not restore must stay. */
	asm volatile(
		"lea -128(%%rsp), %%rsp; pushfq; andl %0, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
		:
		: "i"(~(X86_AC | X86_NT))
		: "cc", "memory");
	if (signal == SIGVTALRM) {
		if (running->serial != running->ticked_serial) {
			running->ticked_serial = running->serial;
			running->ticks = 0;
		}
		if (!in_case(context) || ++running->ticks < running->max_ticks)
			return;
	} else if (!in_case(context)) {
		asm volatile("wrfsbase %0" : : "r" (running->frame.fs_base));
		if (write(2, lost, sizeof(lost) - 1))
			_exit(99);
		_exit(99);
	}
	leave(signal, context);
}

static void host_begin(struct executor *x)
{
	struct host *h = of(x);
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_NODEFER | SA_ONSTACK | SA_SIGINFO };
	const stack_t stack = { .ss_sp = h->signal_stack, .ss_size = SIGNAL_STACK };
	const struct itimerspec every = { { 0, TICK_NS }, { 0, TICK_NS } };
	sigset_t others;

	/*
	 * A kick that comes late to the machine before must not meet 32-bit code: its handler uses
	 * thread-local storage.
	 */
	sigfillset(&others);
	for (unsigned n = 0; n < MAX_SIGNALS; n++)
		sigdelset(&others, signals[n]);
	pthread_sigmask(SIG_SETMASK, &others, &h->mask_before);
	sigaltstack(&stack, &h->stack_before);
	for (unsigned n = 0; n < MAX_SIGNALS; n++)
		sigaction(signals[n], &action, &h->before[n]);
	timer_settime(h->timer, 0, &every, NULL);
}

static void host_end(struct executor *x)
{
	struct host *h = of(x);
	const struct itimerspec never = { { 0, 0 }, { 0, 0 } };

	timer_settime(h->timer, 0, &never, NULL);
	/* Not the timer's: one may be under way. */
	for (unsigned n = 0; n < MAX_SIGNALS - 1; n++)
		sigaction(signals[n], &h->before[n], NULL);
	sigaltstack(&h->stack_before, NULL);
	pthread_sigmask(SIG_SETMASK, &h->mask_before, NULL);
}

/* --- a run --- */

static void host_store(struct executor *x, uint32_t at, const void *data, uint32_t len)
{
	for (unsigned n = 0; n < REGIONS; n++)
		if (at - region_base(n) < REGION_SIZE)
			memcpy(of(x)->alias[n] + (at - region_base(n)), data, len);
}

static void host_run(struct executor *x, const struct fuzz_case *c, struct outcome *out)
{
	const uint8_t stop[CASE_STOP_BYTES] = { BF_STOP };
	const uint32_t at = world_base(c->seg[X86_CS]) + c->eip;
	struct frame *f = &running->frame;

	host_store(x, at, c->bytes, c->len);
	if (at + c->len + sizeof(stop) <= BF_CODE + BF_CODE_SIZE)
		host_store(x, at + c->len, stop, sizeof(stop));
	memcpy(f->regs, c->regs, sizeof(f->regs));
	f->ds = c->seg[X86_DS];
	f->es = c->seg[X86_ES];
	f->fs = c->seg[X86_FS];
	f->gs = c->seg[X86_GS];
	f->iret[0] = c->eip;
	f->iret[1] = c->seg[X86_CS];
	f->iret[2] = c->eflags;
	f->iret[3] = c->regs[X86_ESP];
	f->iret[4] = c->seg[X86_SS];
	f->fpu = c->fpu;
	running->max_ticks = x->patient ? LONG_TICKS : TICKS;
	running->serial++;
	fuzz_host_enter(f);
	*out = running->out;
	if (out->kind == OUTCOME_EXCEPTION && out->vector == EXC_GP &&
	    out->eip == c->eip + c->len && !out->error)
		out->kind = OUTCOME_STOP;
}

static void host_load(struct executor *x, const struct memory *memory)
{
	for (unsigned n = 0; n < REGIONS; n++)
		memcpy(of(x)->alias[n], memory->region[n], REGION_SIZE);
}

static const uint8_t *host_region(struct executor *x, enum region region)
{
	return of(x)->alias[region];
}

/* --- life --- */

/*
 * Random code reaches all of it, and would find what no guest has: a sanitizer's shadow memory, a
 * program that is not position independent.
 */
static bool low_memory_is_free(void)
{
	unsigned long long start = ~0ull;
	FILE *maps = fopen("/proc/self/maps", "r");

	if (!maps)
		return false;
	if (fscanf(maps, "%llx", &start) != 1)
		start = 0;
	fclose(maps);
	return start >= 1ull << 32;
}

static int map_regions(struct host *h)
{
	const uint32_t absent = BF_ABSENT_PAGE * GUEST_PAGE_SIZE,
		       readonly = BF_READONLY_PAGE * GUEST_PAGE_SIZE;
	const uint32_t supervisor = BF_SUPERVISOR_PAGE * GUEST_PAGE_SIZE;
	uint8_t *data = (uint8_t *)(uintptr_t)BF_DATA;

	h->fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (h->fd < 0 || ftruncate(h->fd, REGIONS * REGION_SIZE))
		return -errno;
	for (unsigned n = 0; n < REGIONS; n++) {
		h->alias[n] = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_POPULATE, h->fd, n * REGION_SIZE);
		if (h->alias[n] == MAP_FAILED)
			return -errno;
		if (n == REGION_LOW)
			continue;
		if (mmap((void *)(uintptr_t)region_base(n), REGION_SIZE,
			 PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_SHARED | MAP_POPULATE | MAP_FIXED_NOREPLACE, h->fd,
			 n * REGION_SIZE) == MAP_FAILED)
			return -errno;
	}
	if (mprotect(data + absent, GUEST_PAGE_SIZE, PROT_NONE) ||
	    mprotect(data + supervisor, GUEST_PAGE_SIZE, PROT_NONE) ||
	    mprotect(data + readonly, GUEST_PAGE_SIZE, PROT_READ | PROT_EXEC))
		return -errno;
	running->frame.iret = (uint64_t *)(uintptr_t)HOST_PAGE;
	if (mmap(running->frame.iret, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED)
		return -errno;
	return 0;
}

static int make_ldt(void)
{
	for (unsigned n = 1; n < WORLD_SEGMENTS; n++) {
		const struct world_descriptor *d = &world_ldt[n];
		struct user_desc u = {
			.entry_number = n, .base_addr = d->base, .limit = d->limit,
			.seg_32bit = !!(d->attr & 0x4000), .contents = d->attr >> 2 & 3,
			.read_exec_only = !(d->attr & 2), .limit_in_pages = !!(d->attr & 0x8000),
			.seg_not_present = !(d->attr & 0x80),
		};

		if (syscall(SYS_modify_ldt, 0x11, &u, sizeof(u)))
			return -errno;
	}
	return 0;
}

/* Whether ring 3 finds in the GDT what world_gdt says. */
static bool gdt_is_linux(void)
{
	for (unsigned n = GDT_LINUX; n < GDT_LINUX_END; n++) {
		const struct world_descriptor *d = &world_gdt[n];
		uint32_t rights = 0;
		uint8_t found;

		asm("lar %2, %0; setz %1" : "+r" (rights),
			"=qm" (found) : "r" ((uint32_t)GDT_SELECTOR(n, 3)) : "cc");
		if (found != !!d->attr ||
		    (found && (rights & 0xf0ff00) != (d->attr & 0xf0ffu) << 8))
			return false;
	}
	return true;
}

static int filter_calls(void)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	};
	struct sock_fprog fprog = { sizeof(program) / sizeof(program[0]), program };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_TSYNC, &fprog))
		return -errno;
	return 0;
}

static int make_timer(struct host *h)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM };

	event._sigev_un._tid = syscall(SYS_gettid);
	return timer_create(CLOCK_MONOTONIC, &event, &h->timer) ? -errno : 0;
}

static void host_destroy(struct executor *x)
{
	struct host *h = of(x);

	timer_delete(h->timer);
	for (unsigned n = 0; n < REGIONS; n++) {
		munmap(h->alias[n], REGION_SIZE);
		if (n != REGION_LOW)
			munmap((void *)(uintptr_t)region_base(n), REGION_SIZE);
	}
	munmap(running->frame.iret, GUEST_PAGE_SIZE);
	close(h->fd);
	free(h->signal_stack);
	free(h);
}

static const struct executor_ops ops = {
	host_begin, host_end, host_load, host_region, host_store, host_run, host_destroy,
};

struct executor *host_create(const char **why)
{
	struct host *h = calloc(1, sizeof(*h));

	*why = NULL;
	if (!h)
		return NULL;
	h->x = (struct executor){ .name = "host", .ops = &ops, .is_host = true };
	h->signal_stack = malloc(SIGNAL_STACK);
	if (!low_memory_is_free() || map_regions(h))
		*why = "there is something of this process below 4 GiB";
	else if (make_ldt())
		*why = "this kernel has no modify_ldt()";
	else if (!gdt_is_linux())
		*why = "its system has other segments in the GDT than Linux";
	else if (filter_calls())
		*why = "this kernel has no system-call filters";
	else if (make_timer(h))
		*why = "no timer";
	if (!*why)
		return &h->x;
	free(h->signal_stack);
	free(h);
	return NULL;
}
