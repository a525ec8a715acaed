/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What to do about each reason for which KVM_RUN returns. Port accesses, MMIO and MSR accesses are
 * finished by KVM when it is next entered, with what we left in struct kvm_run.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "monitor/interp/interp.h"
#include "internal.h"
#include "monitor/processor/processor.h"
#include "monitor/vm/vm.h"

bool kvm_kill(struct kvm_engine *kvm, const char *fmt, ...)
{
	char reason[256];
	va_list args;
	int err = kvm_get_state(kvm);

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	vm_kill(kvm->vcpu, "%s%s", reason,
		err ? " (and its registers cannot be read: those below are old)" : "");
	return false;
}

/* ---- devices ---- */

static bool exit_io(struct kvm_engine *kvm)
{
	struct kvm_run *run = kvm->run;
	struct vm *vm = kvm->vcpu->vm;
	const unsigned size = run->io.size;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		uint32_t value = 0;

		if (run->io.direction == KVM_EXIT_IO_IN) {
			value = vm_pio_read(vm, run->io.port, size);
			memcpy(data, &value, size);
		} else {
			memcpy(&value, data, size);
			vm_pio_write(vm, run->io.port, value, size);
		}
	}
	return true;
}

static bool exit_mmio(struct kvm_engine *kvm)
{
	struct kvm_run *run = kvm->run;
	struct vm *vm = kvm->vcpu->vm;
	gpa_t gpa = gpa_a20(GPA(run->mmio.phys_addr), kvm->vcpu->cpu.a20_mask);
	uint8_t *data = run->mmio.data;

	kvm->vcpu->mmio_accesses++;
	/* A write to ROM: dropped. */
	if (run->mmio.is_write && guest_ram_backs(&vm->ram, gpa))
		return true;
	for (uint32_t left = run->mmio.len, piece; left;
	     left -= piece, gpa = gpa_add(gpa, piece), data += piece) {
		uint64_t value = 0;

		piece = vm_mmio_piece(left);
		if (run->mmio.is_write) {
			memcpy(&value, data, piece);
			vm_mmio_write(vm, gpa, value, piece);
		} else {
			value = vm_mmio_read(vm, gpa, piece);
			memcpy(data, &value, piece);
		}
	}
	return true;
}

/* ---- MSRs ---- */

/* KVM has checked the privilege; the fault that a bad access raises is left to it as well. */
static void msr_prepare(struct kvm_engine *kvm)
{
	struct cpu *cpu = &kvm->vcpu->cpu;
	struct kvm_regs regs;

	cpu->cpl = 0;
	if (!kvm_ioctl(kvm->vcpu_fd, KVM_GET_REGS, &regs))
		cpu->eip = regs.rip; /* for the log */
}

static bool exit_rdmsr(struct kvm_engine *kvm)
{
	uint64_t value = 0;

	msr_prepare(kvm);
	kvm->run->msr.error = msr_read(kvm->vcpu, kvm->run->msr.index, &value) != X86_OK;
	kvm->run->msr.data = value;
	return true;
}

static bool exit_wrmsr(struct kvm_engine *kvm)
{
	const uint32_t index = kvm->run->msr.index;
	const struct cpu *cpu = &kvm->vcpu->cpu;
	int err = 0;

	msr_prepare(kvm);
	kvm->run->msr.error = msr_write(kvm->vcpu, index, kvm->run->msr.data) != X86_OK;
	if (kvm->run->msr.error)
		return true;
	if (index == MSR_EFER)
		err = kvm_put_msr(kvm, MSR_EFER, cpu->efer);
	else if (index == MSR_APIC_BASE)
		err = kvm_put_msr(kvm, MSR_APIC_BASE, cpu->apic_base);
	return !err || kvm_kill(kvm, "KVM refused %#llx for MSR %#x: %s",
				(unsigned long long)kvm->run->msr.data, index, error_reason(-err));
}

/* ---- HLT and the end ---- */

static bool exit_hlt(struct kvm_engine *kvm)
{
	struct cpu *cpu = &kvm->vcpu->cpu;

	vcpu_halt(kvm->vcpu);
	cpu->eflags = (cpu->eflags & ~X86_IF) | (kvm->run->if_flag ? X86_IF : 0);
	return true;
}

static bool exit_nothing(struct kvm_engine *kvm)
{
	return true;
}

static bool exit_shutdown(struct kvm_engine *kvm)
{
	int err = kvm_get_state(kvm);

	if (err)
		return kvm_kill(kvm, "KVM does not tell the registers after a triple fault: %s",
				error_reason(-err));
	processor_shutdown(kvm->vcpu);
	return false;
}

static bool exit_fail_entry(struct kvm_engine *kvm)
{
	return kvm_kill(kvm, "the processor refused to enter guest mode, reason %#llx",
			(unsigned long long)kvm->run->fail_entry.hardware_entry_failure_reason);
}

/* ---- instructions KVM cannot emulate ---- */

/* struct guest_ram.written */
static void ram_written(void *opaque, gpa_t gpa, uint32_t len)
{
	((struct kvm_engine *)opaque)->stored = true;
}

/*
 * While on, every page of RAM counts as one that may hold a page table, so that stores of C code
 * are noticed.
 */
static void watch_stores(struct kvm_engine *kvm, bool on)
{
	struct guest_ram *ram = &kvm->vcpu->vm->ram;

	for (uint64_t page = 0; page < guest_ram_end(ram) >> GUEST_PAGE_SHIFT; page++)
		ram->page_flags[page] = on ? ram->page_flags[page] | RAM_PAGE_TABLE :
					     ram->page_flags[page] & ~RAM_PAGE_TABLE;
	ram->written_opaque = kvm;
	ram->written = on ? ram_written : NULL;
}

/*
 * What KVM had under way to the guest goes first, for the instruction that could not be emulated
 * comes after it (or not at all). If nothing was, the instruction.
 */
static enum x86_status deliver_or_step(struct kvm_engine *kvm)
{
	struct kvm_vcpu_events *e = &kvm->events;
	struct cpu *cpu = &kvm->vcpu->cpu;

	if (e->exception.injected) {
		cpu->fault = (struct fault){
			.vector = e->exception.nr, .has_error = e->exception.has_error_code,
			.error = e->exception.error_code, .cr2 = cpu->cr2,
		};
		e->exception.injected = 0;
		return exception_deliver(kvm->vcpu);
	}
	if (e->interrupt.injected && !e->interrupt.soft) {
		e->interrupt.injected = 0;
		return interrupt_deliver(kvm->vcpu, e->interrupt.nr);
	}
	kvm->stats.interpreted++;
	return interp_step(kvm->vcpu) == INTERP_DEAD ? X86_DEAD : X86_OK;
}

/*
 * Under shadow paging KVM keeps copies of guest page tables and learns of changes by write
 * protection, which stores of ours do not meet. Making the slots anew drops the copies. (Accessed
 * and dirty bits may be missing in copies: KVM then looks again.)
 */
static enum x86_status deliver_or_step_shadowed(struct kvm_engine *kvm)
{
	enum x86_status status;
	int err;

	kvm->stored = false;
	watch_stores(kvm, true);
	status = deliver_or_step(kvm);
	watch_stores(kvm, false);
	err = status == X86_OK && kvm->stored ? kvm_memory_build(kvm) : 0;
	return err ? vm_kill(kvm->vcpu, "KVM refuses the memory layout: %s", error_reason(-err)) :
		     status;
}

enum x86_status kvm_interpret_one(struct kvm_engine *kvm)
{
	return kvm->host.shadow_paging ? deliver_or_step_shadowed(kvm) : deliver_or_step(kvm);
}

static bool interpret(struct kvm_engine *kvm)
{
	int err = kvm_get_state(kvm);

	if (err)
		return kvm_kill(kvm, "cannot read the processor's state from KVM: %s",
				error_reason(-err));
	if (kvm_interpret_one(kvm) == X86_DEAD)
		return false;
	err = kvm_put_state(kvm);
	return !err ||
	       kvm_kill(kvm, "cannot give the processor's state back to KVM: %s",
			error_reason(-err));
}

static const char *internal_error_name(uint32_t suberror)
{
	switch (suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "it cannot emulate the instruction";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "exceptions at the same time";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "a fault while an event was delivered";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "an exit reason it does not know";
	default:
		return "unknown";
	}
}

static bool exit_internal_error(struct kvm_engine *kvm)
{
	const uint32_t suberror = kvm->run->internal.suberror;

	if (suberror == KVM_INTERNAL_ERROR_EMULATION && kvm->assist)
		return interpret(kvm);
	return kvm_kill(kvm, "KVM reports an internal error (%u: %s)", suberror,
			internal_error_name(suberror));
}

/* ---- the table ---- */

static const struct {
	bool (*handle)(struct kvm_engine *kvm);
	size_t counter; /* of struct kvm_stats */
} exits[] = {
#define HANDLED(reason, function, name) \
	[KVM_EXIT_##reason] = { function, offsetof(struct kvm_stats, name) }
	HANDLED(IO, exit_io, io),
	HANDLED(MMIO, exit_mmio, mmio),
	HANDLED(HLT, exit_hlt, hlt),
	HANDLED(IRQ_WINDOW_OPEN, exit_nothing, interrupt_window),
	HANDLED(INTR, exit_nothing, interrupted),
	HANDLED(X86_RDMSR, exit_rdmsr, rdmsr),
	HANDLED(X86_WRMSR, exit_wrmsr, wrmsr),
	HANDLED(SHUTDOWN, exit_shutdown, shutdown),
	HANDLED(FAIL_ENTRY, exit_fail_entry, exits_other),
	HANDLED(INTERNAL_ERROR, exit_internal_error, internal_error),
	HANDLED(DEBUG, kvm_exit_debug, debug),
#undef HANDLED
};

bool kvm_exit_handle(struct kvm_engine *kvm)
{
	const uint32_t reason = kvm->run->exit_reason;

	if (reason >= RF_ARRAY_SIZE(exits) || !exits[reason].handle) {
		kvm->stats.exits_other++;
		return kvm_kill(kvm,
				"KVM returned for reason %u, which is not supported (hardware "
				"reason %#llx)",
				reason, (unsigned long long)kvm->run->hw.hardware_exit_reason);
	}
	++*(uint64_t *)((char *)&kvm->stats + exits[reason].counter);
	return exits[reason].handle(kvm);
}
