/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The KVM engine: options, life cycle, and the loop around KVM_RUN. See internal.h for its other
 * parts.
 *
 * Coming out without losing a wake-up: a kick first sets run->immediate_exit, then signals. The
 * loop clears immediate_exit and then looks at the events; so a kick that comes after the look
 * makes KVM_RUN return at once, or interrupts it.
 */
#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "monitor/vm/vm.h"
#include "monitor/interp/interp.h"
#include "internal.h"
#include "monitor/processor/processor.h"

/*
 * Where KVM may put three pages and one of its own on Intel's processors; nothing else is there
 * (SeaBIOS's place ends at 4 GiB).
 */
#define KVM_TSS_ADDRESS      0xfeffd000u
#define KVM_IDENTITY_ADDRESS 0xfeffc000u

/* ---- options ---- */

struct kvm_options {
	char *device;
	bool irqchip_in_kernel, no_assist, no_check;
};

static void set_irqchip(void *options, uint32_t in_kernel)
{
	((struct kvm_options *)options)->irqchip_in_kernel = in_kernel;
}

static void set_assist(void *options, uint32_t off)
{
	((struct kvm_options *)options)->no_assist = off;
}

static void set_check(void *options, uint32_t off)
{
	((struct kvm_options *)options)->no_check = off;
}

static bool set_device(void *options, const char *path)
{
	return engine_options_copy(&((struct kvm_options *)options)->device, path);
}

static const struct engine_option kvm_option[] = {
	{ .name = "irqchip", .choices = { "monitor", "kernel" }, .set = set_irqchip,
		.help = "whose the interrupt controllers are" },
	{ .name = "assist", .choices = { "on", "off" }, .set = set_assist,
		.help = "interpret what KVM cannot emulate, or stop" },
	{ .name = "check", .choices = { "on", "off" }, .set = set_check,
		.help = "find out first whether KVM runs 32-bit guests" },
	{ .name = "device", .set_text = set_device, .argument = "PATH",
		.help = "another device than /dev/kvm" },
};

static const struct engine_options kvm_table = { .engine = "kvm",
						 .option = kvm_option,
						 .n = RF_ARRAY_SIZE(kvm_option) };

static void kvm_list_options(FILE *out)
{
	engine_options_list(&kvm_table, out);
}

/* ---- coming out of KVM_RUN ---- */

static int kick_signal(void)
{
	return SIGRTMIN + 2;
}

/* That KVM_RUN was interrupted is all there is to it. */
static void kick_arrived(int sig)
{
}

static int install_kick(void)
{
	struct sigaction action = { .sa_handler = kick_arrived };

	return sigaction(kick_signal(), &action, NULL) ? -errno : 0;
}

static void kvm_kick(struct vcpu *vcpu)
{
	struct kvm_engine *kvm = kvm_of(vcpu);

	__atomic_fetch_add(&kvm->stats.kicks, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&kvm->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, kick_signal());
}

/* ---- life cycle ---- */

static void kvm_destroy(struct vcpu *vcpu)
{
	struct kvm_engine *kvm = kvm_of(vcpu);
	const int fds[] = { kvm->vcpu_fd, kvm->vm_fd, kvm->device_fd };

	vcpu->vm->gsi = (struct irq_line){ 0 };
	vcpu->vm->ram.flagged = NULL;
	kvm_irqchip_destroy(kvm);
	if (kvm->run)
		munmap(kvm->run, kvm->run_size);
	for (size_t i = 0; i < RF_ARRAY_SIZE(fds); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	interp_destroy(vcpu);
	free(kvm);
	vcpu->engine_data = NULL;
}

static int kvm_make_vm(struct kvm_engine *kvm)
{
	/*
	 * The argument, a machine type, is 0; the result is a descriptor. It may be interrupted by
	 * a signal.
	 */
	do
		kvm->vm_fd = ioctl(kvm->device_fd, KVM_CREATE_VM, 0UL);
	while (kvm->vm_fd < 0 && errno == EINTR);
	return kvm->vm_fd < 0 ? -errno : 0;
}

static int kvm_set_addresses(struct kvm_engine *kvm)
{
	uint64_t identity = KVM_IDENTITY_ADDRESS;
	int err = kvm_ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);

	return err ? err :
		     kvm_ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)KVM_TSS_ADDRESS);
}

/* Else KVM raises #UD in guest code of ring 3 that it cannot emulate. */
static int kvm_enable_emulation_exits(struct kvm_engine *kvm)
{
	struct kvm_enable_cap emulation = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE,
					    .args[0] = 1 };

	return kvm_ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &emulation);
}

static int kvm_make_vcpu(struct kvm_engine *kvm)
{
	kvm->vcpu_fd = ioctl(kvm->vm_fd, KVM_CREATE_VCPU, 0UL);
	return kvm->vcpu_fd < 0 ? -errno : 0;
}

static int kvm_map_run(struct kvm_engine *kvm)
{
	int size = ioctl(kvm->device_fd, KVM_GET_VCPU_MMAP_SIZE, 0UL);
	void *run = size < 0 ?
			    MAP_FAILED :
			    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, kvm->vcpu_fd, 0);

	if (run == MAP_FAILED)
		return -errno;
	kvm->run = run;
	kvm->run_size = size;
	return 0;
}

/* struct guest_ram.flagged: a page may have become ROM. */
static void kvm_flagged(void *opaque, gpa_t gpa)
{
	struct kvm_engine *kvm = opaque;

	kvm->slots_stale = true;
}

/* In this order. What fails is named. */
static const struct {
	const char *what;
	int (*build)(struct kvm_engine *kvm);
} build_steps[] = {
	{ "a virtual machine", kvm_make_vm },
	{ "addresses for its own use", kvm_set_addresses },
	{ "exits for what it cannot emulate", kvm_enable_emulation_exits },
	{ "interrupt controllers", kvm_irqchip_create },
	{ "the filter of MSRs", kvm_msr_filter_set },
	{ "a processor", kvm_make_vcpu },
	{ "the processor's control page", kvm_map_run },
	{ "the processor model", kvm_cpuid_set },
	{ "the state of interrupt controllers", kvm_irqchip_remember },
	{ "the memory layout", kvm_memory_build },
};

static int kvm_build(struct kvm_engine *kvm, struct error *error)
{
	struct vm *vm = kvm->vcpu->vm;
	int err = interp_create(kvm->vcpu);

	if (!err)
		err = install_kick();
	for (size_t i = 0; !err && i < RF_ARRAY_SIZE(build_steps); i++) {
		err = build_steps[i].build(kvm);
		if (err)
			error_set(error, err, "the host's KVM refuses %s: %s; use -accel bt",
				  build_steps[i].what, error_reason(-err));
	}
	if (err)
		return err;
	vm->ram.flagged_opaque = kvm;
	vm->ram.flagged = kvm_flagged;
	if (kvm->irqchip_in_kernel)
		vm->gsi = (struct irq_line){ kvm_irqchip_set_gsi, kvm, 0 };
	return 0;
}

static int kvm_create_with(struct vcpu *vcpu, const struct kvm_options *options,
			   struct error *error)
{
	struct kvm_host_facts facts;
	struct kvm_engine *kvm;
	int fd, err = kvm_host_open(options->device ? options->device : KVM_DEVICE,
				    !options->no_check, &fd, error);

	if (err)
		return err;
	kvm = calloc(1, sizeof(*kvm));
	if (!kvm) {
		close(fd);
		return -ENOMEM;
	}
	kvm_host_look(&facts);
	kvm->host = kvm_host_judge(&facts);
	kvm->vcpu = vcpu;
	kvm->device_fd = fd;
	kvm->vm_fd = kvm->vcpu_fd = -1;
	kvm->irqchip_in_kernel = options->irqchip_in_kernel;
	/* The interpreter cannot reach an APIC in the kernel. */
	kvm->assist = !options->no_assist && !options->irqchip_in_kernel;
	vcpu->engine_data = kvm;
	err = kvm_build(kvm, error);
	if (err)
		kvm_destroy(vcpu);
	/* -EINVAL is for options. */
	return err == -EINVAL ? -EIO : err;
}

static int kvm_create(struct vcpu *vcpu, const char *text, struct error *error)
{
	struct kvm_options options = { 0 };
	int err = engine_options_parse(&kvm_table, &options, text, error);

	if (!err)
		err = kvm_create_with(vcpu, &options, error);
	free(options.device);
	return err;
}

/* The registers are at their start values, RAM holds the boot image. */
static void kvm_reset(struct vcpu *vcpu)
{
	struct kvm_engine *kvm = kvm_of(vcpu);
	int err = kvm->irqchip ? kvm_irqchip_reset(kvm) : 0;

	kvm->in_kvm = false;
	memset(&kvm->events, 0, sizeof(kvm->events));
	if (err)
		vm_kill(vcpu, "KVM's interrupt controllers cannot be reset: %s",
			error_reason(-err));
}

static void kvm_memory_changed(struct vcpu *vcpu)
{
	kvm_of(vcpu)->slots_stale = true;
}

static void kvm_display_changed(struct vcpu *vcpu, gpa_t gpa, uint32_t size, bool watched)
{
	if (!watched)
		kvm_of(vcpu)->video_stale = true;
}

/* KVM sees to its TLB itself; but it does not know the A20 gate. */
static void kvm_flush(struct vcpu *vcpu, enum tlb_flush kind)
{
	struct kvm_engine *kvm = kvm_of(vcpu);

	if (kvm->slots_a20_mask != vcpu->cpu.a20_mask)
		kvm->slots_stale = true;
}

/* ---- interrupts ---- */

static int kvm_inject_nmi(struct kvm_engine *kvm)
{
	vcpu_clear_event(kvm->vcpu, EVENT_NMI);
	kvm->vcpu->cpu.halted = false;
	return kvm_ioctl(kvm->vcpu_fd, KVM_NMI, NULL);
}

/*
 * Hands the interrupt to KVM if it can take it, else asks to be told when it can. It is
 * acknowledged only when KVM will deliver it: an acknowledged vector cannot be given back.
 */
static int kvm_inject_interrupt(struct kvm_engine *kvm)
{
	struct vcpu *vcpu = kvm->vcpu;
	struct cpu *cpu = &vcpu->cpu;
	struct kvm_run *run = kvm->run;
	struct kvm_interrupt interrupt;
	int vector;

	run->request_interrupt_window = 1;
	if (!run->ready_for_interrupt_injection) {
		/*
		 * KVM will say when; HLT is over if IF lets it be, for KVM comes back before
		 * another instruction.
		 */
		if (cpu->eflags & X86_IF)
			cpu->halted = false;
		return 0;
	}
	vector = vcpu_acknowledge(vcpu);
	run->request_interrupt_window = !!(atomic_load(&cpu->events) & EVENT_INTR);
	if (vector < 0)
		return 0;
	interrupt.irq = vector;
	cpu->halted = false;
	vcpu->interrupts++;
	run->ready_for_interrupt_injection = 0;
	log_item(vcpu->vm->log, LOG_INT, "interrupt %02x\n", vector);
	return kvm_ioctl(kvm->vcpu_fd, KVM_INTERRUPT, &interrupt);
}

static int kvm_inject(struct kvm_engine *kvm, uint32_t events)
{
	int err = events & EVENT_NMI ? kvm_inject_nmi(kvm) : 0;

	if (!err && events & EVENT_INTR && !kvm->irqchip_in_kernel)
		err = kvm_inject_interrupt(kvm);
	return err;
}

/* ---- the loop ---- */

/* One KVM_RUN: 0 with an exit to handle, 1 with none, or a negative errno. */
static int kvm_enter(struct kvm_engine *kvm)
{
	const uint64_t since = host_clock_ns(CLOCK_MONOTONIC);
	int err;

	assert(kvm->in_kvm);
	err = kvm_ioctl(kvm->vcpu_fd, KVM_RUN, NULL);
	kvm->stats.run_ns += host_clock_ns(CLOCK_MONOTONIC) - since;
	kvm->stats.exits++;
	if (err == -EINTR || err == -EAGAIN) {
		kvm->stats.interrupted++;
		return 1;
	}
	return err;
}

/* False: leave the engine. */
static bool kvm_step(struct kvm_engine *kvm)
{
	struct vcpu *vcpu = kvm->vcpu;
	uint32_t events;
	int err = 0;

	__atomic_store_n(&kvm->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	kvm->run->request_interrupt_window = 0;
	events = atomic_load(&vcpu->cpu.events);
	if (events & (EVENT_STOP | EVENT_RESET))
		return false;
	if (events)
		err = kvm_inject(kvm, events);
	if (!err && vcpu->cpu.halted) {
		vcpu_wait_for_interrupt(vcpu);
		return true;
	}
	if (!err && rf_unlikely(kvm->slots_stale))
		err = kvm_memory_build(kvm);
	if (!err && rf_unlikely(kvm->video_stale))
		err = kvm_memory_show(kvm);
	if (!err)
		err = kvm_enter(kvm);
	if (err < 0)
		return kvm_kill(kvm, "the host's KVM cannot go on: %s", error_reason(-err));
	return err ? true : kvm_exit_handle(kvm);
}

/*
 * Accesses the guest has begun are finished by the next KVM_RUN only; before the state is read they
 * must be. That may bring another exit, of the same instruction.
 */
static bool kvm_finish_access(struct kvm_engine *kvm)
{
	int err;

	do {
		__atomic_store_n(&kvm->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		err = kvm_enter(kvm);
	} while (!err && kvm_exit_handle(kvm));
	if (err < 0)
		kvm_kill(kvm, "the host's KVM cannot go on: %s", error_reason(-err));
	return err == 1;
}

static void kvm_run(struct vcpu *vcpu)
{
	struct kvm_engine *kvm = kvm_of(vcpu);
	int err = kvm_put_state(kvm);

	/* A debugger may have stored to page tables, of which KVM keeps copies. */
	if (vcpu->debugger.stopped && kvm->host.shadow_paging)
		kvm->slots_stale = true;
	if (!err)
		err = kvm_debug_put(kvm);
	if (err) {
		vm_kill(vcpu, "KVM does not take the processor's state: %s", error_reason(-err));
		return;
	}
	while (vm_is_running(vcpu->vm) && kvm_step(kvm))
		;
	if (!kvm->in_kvm || !kvm_finish_access(kvm))
		return;
	err = kvm_get_state(kvm);
	if (err)
		vm_kill(vcpu, "cannot read the processor's state from KVM: %s", error_reason(-err));
}

/* ---- statistics ---- */

static void kvm_write_stats(struct vcpu *vcpu, void *object)
{
	const struct kvm_engine *kvm = kvm_of(vcpu);
	const struct kvm_stats *stats = &kvm->stats;
	json_t *root = object, *exits = json_object(), *host = json_object();

	json_object_set_new(host, "hardware", json_string(kvm_hardware_name(kvm->host.hardware)));
	json_object_set_new(host, "nested", json_boolean(kvm->host.nested));
	json_object_set_new(host, "shadow_paging", json_boolean(kvm->host.shadow_paging));
	json_object_set_new(host, "module", json_string(kvm->host.module));
	json_object_set_new(root, "host", host);
	json_object_set_new(root, "irqchip",
			    json_string(kvm->irqchip_in_kernel ? "kernel" : "monitor"));
#define KVM_EXIT_STAT(name, reason, text) \
	json_object_set_new(exits, #name, json_integer(stats->name));
#define KVM_STAT(name, text) json_object_set_new(root, #name, json_integer(stats->name));
#include "stats.def"
#undef KVM_EXIT_STAT
#undef KVM_STAT
	json_object_set_new(root, "exits_by_reason", exits);
}

static void kvm_describe(char *text, size_t size)
{
	struct kvm_host_facts facts;
	struct kvm_host host;
	struct error error = { 0 };
	char hardware[160];
	int fd;

	if (kvm_host_open(KVM_DEVICE, true, &fd, &error)) {
		snprintf(text, size, "not usable here: %s", error.text);
		return;
	}
	kvm_host_look(&facts);
	host = kvm_host_judge(&facts);
	kvm_host_describe(&host, hardware, sizeof(hardware));
	snprintf(text, size, "usable here; %s", hardware);
	close(fd);
}

const struct engine engine_kvm = {
	.name = "kvm",
	.create = kvm_create,
	.destroy = kvm_destroy,
	.run = kvm_run,
	.step = kvm_step_alone,
	.debug_check = kvm_debug_check,
	.reset = kvm_reset,
	.memory_changed = kvm_memory_changed,
	.display_changed = kvm_display_changed,
	.blind_to_watches = true,
	.flush = kvm_flush,
	.kick = kvm_kick,
	.stats = kvm_write_stats,
	.list_options = kvm_list_options,
	.describe = kvm_describe,
};
