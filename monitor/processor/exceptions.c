/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Delivery of exceptions, interrupts and INT n (SDM vol. 3, chapter 6; vol. 2, "INT n"): the
 * real-mode vector table, interrupt, trap and task gates of both sizes, stack switches,
 * virtual-8086 mode, and what happens when delivery itself faults.
 *
 * Invariant: a delivery that fails changes nothing of the guest but accessed bits (a task gate
 * excepted, whose failures belong to the new task), so that the failure is reported at the same EIP
 * as the event.
 */
#include <assert.h>
#include <string.h>
#include "monitor/vm/vm.h"
#include "stack_frame.h"
#include "x86/fpu_spill.h"

/* One event on its way through the IDT. */
struct event {
	uint8_t vector;
	/* INT n, INT3, INTO: the gate's DPL counts, and failures do not have the EXT bit */
	bool software;
	bool has_error;
	uint32_t error;
	uint32_t eip;    /* saved EIP */
	uint32_t eflags; /* saved EFLAGS */
};

/* ---- real mode ---- */

enum x86_status enter_by_vector_table(struct vcpu *vcpu, gva_t entry, uint32_t eflags, uint32_t eip,
				      uint32_t cleared)
{
	struct cpu *cpu = &vcpu->cpu;
	struct stack_frame stack = stack_current(cpu);
	const uint32_t frame[] = { eflags, cpu->seg[X86_CS].selector, eip };
	uint16_t target[2];
	enum x86_status status = mem_load(vcpu, entry, target, sizeof(target), 0);

	if (!status)
		status = stack_push_frame(vcpu, &stack, frame, RF_ARRAY_SIZE(frame), 2);
	if (status)
		return status;
	stack_commit_esp(cpu, &cpu->seg[X86_SS], stack.esp);
	segment_set_real(cpu, X86_CS, target[1]);
	cpu->eip = target[0];
	cpu->eflags &= ~cleared;
	return X86_OK;
}

static enum x86_status deliver_real(struct vcpu *vcpu, const struct event *event)
{
	struct cpu *cpu = &vcpu->cpu;

	if (event->vector * 4u + 3 > cpu->idtr.limit)
		return fault_raise_error(cpu, EXC_GP, event->vector * 8u + ERROR_IDT);
	return enter_by_vector_table(vcpu, cpu->idtr.base + event->vector * 4u, event->eflags,
				     event->eip, X86_IF | X86_TF | X86_AC | X86_RF);
}

/* ---- gates ---- */

static enum x86_status gate_fetch(struct vcpu *vcpu, const struct event *event, uint64_t *gate)
{
	struct cpu *cpu = &vcpu->cpu;
	const uint32_t types = 1u << SYS_TASK_GATE | 1u << SYS_INT_GATE16 | 1u << SYS_TRAP_GATE16 |
			       1u << SYS_INT_GATE32 | 1u << SYS_TRAP_GATE32;
	uint32_t error = event->vector * 8u + ERROR_IDT;
	enum x86_status status;
	uint16_t attr;

	if (event->vector * 8u + 7 > cpu->idtr.limit)
		return fault_raise_error(cpu, EXC_GP, error);
	status = mem_load(vcpu, cpu->idtr.base + event->vector * 8u, gate, sizeof(*gate), 0);
	if (status)
		return status;
	attr = descriptor_attr(*gate);
	if ((attr & SEG_S) || !(types >> (attr & SEG_TYPE) & 1))
		return fault_raise_error(cpu, EXC_GP, error);
	if (event->software && attr_dpl(attr) < cpu->cpl)
		return fault_raise_error(cpu, EXC_GP, error);
	if (!(attr & SEG_P))
		return fault_raise_error(cpu, EXC_NP, error);
	return X86_OK;
}

/* The handler's code segment and the privilege level it will run at. */
static enum x86_status handler_code_segment(struct vcpu *vcpu, uint16_t selector,
					    uint64_t *descriptor, unsigned *new_cpl)
{
	struct cpu *cpu = &vcpu->cpu;
	enum x86_status status = descriptor_fetch(vcpu, selector, EXC_GP, descriptor);
	uint16_t attr;

	if (status)
		return status;
	attr = descriptor_attr(*descriptor);
	if (!attr_is_code(attr) || attr_dpl(attr) > cpu->cpl)
		return fault_raise_error(cpu, EXC_GP, selector_error(selector));
	if (!(attr & SEG_P))
		return fault_raise_error(cpu, EXC_NP, selector_error(selector));
	*new_cpl = attr_is_conforming(attr) ? cpu->cpl : attr_dpl(attr);
	if (cpu_is_v86(cpu) && *new_cpl)
		return fault_raise_error(cpu, EXC_GP, selector_error(selector));
	return X86_OK;
}

/*
 * The stack of the handler: the current one, or the TSS's for a more privileged handler (its
 * segment goes to *ss).
 */
static enum x86_status handler_stack(struct vcpu *vcpu, unsigned new_cpl, struct segment *ss,
				     struct stack_frame *stack)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t descriptor;
	uint32_t esp;
	uint16_t selector;
	enum x86_status status;

	*stack = stack_current(cpu);
	*ss = cpu->seg[X86_SS];
	if (new_cpl == cpu->cpl) {
		stack->ss = ss;
		return X86_OK;
	}
	status = tss_stack(vcpu, new_cpl, &selector, &esp);
	if (!status)
		status = stack_segment_check(vcpu, selector, new_cpl, EXC_TS, &descriptor);
	if (status)
		return status;
	*ss = segment_from_descriptor(selector, descriptor);
	*stack = (struct stack_frame){ .ss = ss,
				       .esp = esp,
				       .access = stack_inner_access(cpu),
				       .ss_error = selector_error(selector) };
	return X86_OK;
}

/* Collects the frame in push order; returns the number of items. */
static unsigned handler_frame(const struct cpu *cpu, const struct event *event, bool inner,
			      uint32_t frame[10])
{
	unsigned n = 0;

	assert(inner || !cpu_is_v86(cpu));
	if (cpu_is_v86(cpu)) {
		frame[n++] = cpu->seg[X86_GS].selector;
		frame[n++] = cpu->seg[X86_FS].selector;
		frame[n++] = cpu->seg[X86_DS].selector;
		frame[n++] = cpu->seg[X86_ES].selector;
	}
	if (inner) {
		frame[n++] = cpu->seg[X86_SS].selector;
		frame[n++] = cpu->regs[X86_ESP];
	}
	frame[n++] = event->eflags;
	frame[n++] = cpu->seg[X86_CS].selector;
	frame[n++] = event->eip;
	if (event->has_error)
		frame[n++] = event->error;
	return n;
}

static void handler_enter(struct cpu *cpu, uint64_t gate, uint64_t cs, unsigned new_cpl,
			  const struct segment *ss, uint32_t esp)
{
	uint16_t type = descriptor_attr(gate) & SEG_TYPE;

	if (cpu_is_v86(cpu)) {
		static const enum x86_seg data[] = { X86_GS, X86_FS, X86_DS, X86_ES };

		for (unsigned i = 0; i < RF_ARRAY_SIZE(data); i++)
			segment_set_null(cpu, data[i], 0);
	}
	cpu->seg[X86_SS] = *ss;
	stack_commit_esp(cpu, ss, esp);
	cs_commit(cpu, gate_selector(gate), cs, new_cpl);
	cpu->eip = gate_offset(gate, type >= SYS_INT_GATE32);
	cpu->eflags &= ~(X86_TF | X86_NT | X86_RF | X86_VM);
	if (type == SYS_INT_GATE16 || type == SYS_INT_GATE32)
		cpu->eflags &= ~X86_IF;
}

static enum x86_status deliver_through_gate(struct vcpu *vcpu, const struct event *event,
					    uint64_t gate)
{
	struct cpu *cpu = &vcpu->cpu;
	bool gate32 = (descriptor_attr(gate) & SEG_TYPE) >= SYS_INT_GATE32;
	unsigned size = gate32 ? 4 : 2, new_cpl = 0, count;
	struct stack_frame stack;
	struct segment ss;
	uint32_t frame[10];
	uint64_t cs;
	enum x86_status status;

	status = handler_code_segment(vcpu, gate_selector(gate), &cs, &new_cpl);
	if (!status)
		status = handler_stack(vcpu, new_cpl, &ss, &stack);
	if (status)
		return status;
	count = handler_frame(cpu, event, new_cpl != cpu->cpl, frame);
	status = stack_check_push(cpu, &stack, count, size);
	if (!status && gate_offset(gate, gate32) > descriptor_limit(cs))
		status = fault_raise_error(cpu, EXC_GP, 0);
	if (!status)
		status = descriptor_set_accessed(vcpu, gate_selector(gate), &cs);
	if (!status)
		status = stack_push_frame(vcpu, &stack, frame, count, size);
	if (!status)
		handler_enter(cpu, gate, cs, new_cpl, &ss, stack.esp);
	return status;
}

static enum x86_status deliver_protected(struct vcpu *vcpu, const struct event *event)
{
	uint64_t gate;
	enum x86_status status = gate_fetch(vcpu, event, &gate);

	if (status)
		return status;
	if (attr_is_system(descriptor_attr(gate), SYS_TASK_GATE))
		return task_switch_saving(vcpu, gate_selector(gate), TASK_SWITCH_GATE, event->eip,
					  event->eflags, event->has_error ? &event->error : NULL);
	return deliver_through_gate(vcpu, event, gate);
}

static enum x86_status event_deliver(struct vcpu *vcpu, const struct event *event)
{
	struct cpu *cpu = &vcpu->cpu;
	const uint32_t selector_faults = 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS | 1u << EXC_GP;
	enum x86_status status = cpu_is_protected(cpu) ? deliver_protected(vcpu, event) :
							 deliver_real(vcpu, event);

	if (status == X86_FAULT && !event->software && cpu->fault.vector < 32 &&
	    (selector_faults >> cpu->fault.vector & 1))
		cpu->fault.error |= ERROR_EXT;
	if (status == X86_OK) {
		cpu->inhibit = 0;
		cpu->halted = false;
	}
	return status;
}

/* ---- faults upon faults (SDM vol. 3, table 6-5) ---- */

enum fault_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT };

static enum fault_class fault_class(uint8_t vector)
{
	switch (vector) {
	case EXC_DE: case EXC_TS: case EXC_NP: case EXC_SS: case EXC_GP:
		return CLASS_CONTRIBUTORY;
	case EXC_PF:
		return CLASS_PAGE_FAULT;
	case EXC_DF:
		return CLASS_DOUBLE_FAULT;
	default:
		return CLASS_BENIGN;
	}
}

static bool becomes_double_fault(enum fault_class first, enum fault_class second)
{
	if (second == CLASS_BENIGN)
		return false;
	return first == CLASS_PAGE_FAULT ||
	       (first == CLASS_CONTRIBUTORY && second == CLASS_CONTRIBUTORY);
}

/*
 * The RF that is saved: faults set it so that an instruction breakpoint does not strike twice.
 * Debug exceptions save it as it is, but for general detect, which is a fault like others (SDM vol.
 * 3, 17.3.1.1).
 */
static uint32_t fault_saved_eflags(const struct cpu *cpu, const struct fault *fault)
{
	if (fault->vector == EXC_BP || fault->vector == EXC_OF || fault->vector == EXC_NMI)
		return cpu->eflags;
	if (fault->vector == EXC_DB && !(fault->dr6 & DR6_BD))
		return cpu->eflags;
	return cpu->eflags | X86_RF;
}

static void fault_log(struct vcpu *vcpu, const struct fault *fault)
{
	struct cpu *cpu = &vcpu->cpu;

	if (rf_likely(!log_on(vcpu->vm->log, LOG_INT)))
		return;
	fpu_spill(cpu);
	log_write(vcpu->vm->log, "exception %02x error %04x at %04x:%08x cr2 %08x\n",
		  fault->vector, fault->error, cpu->seg[X86_CS].selector, cpu->eip,
		  fault->vector == EXC_PF ? fault->cr2 : cpu->cr2);
}

/* What an exception leaves in CR2 and the debug registers, delivered or not. */
static void fault_record(struct vcpu *vcpu, const struct fault *fault)
{
	struct cpu *cpu = &vcpu->cpu;

	if (fault->vector == EXC_PF) {
		cpu->cr2 = fault->cr2;
		/* It ends what the TLB held for the address, too (SDM vol. 3, 4.10.4.1). */
		soft_tlb_flush_page(vcpu, fault->cr2);
		if (vcpu->engine && vcpu->engine->page_fault)
			vcpu->engine->page_fault(vcpu, fault->cr2);
	}
	if (fault->vector == EXC_DB) {
		cpu->dr[6] |= fault->dr6;
		cpu->dr[7] &= ~DR7_GD;
	}
}

enum x86_status exception_deliver(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;
	struct fault fault = cpu->fault;

	for (;;) {
		struct event event = {
			.vector = fault.vector, .has_error = fault.has_error, .error = fault.error,
			.eip = cpu->eip, .eflags = fault_saved_eflags(cpu, &fault),
		};
		enum fault_class first = fault_class(fault.vector);
		enum x86_status status;

		assert(fault.vector < RF_ARRAY_SIZE(vcpu->exceptions));
		fault_log(vcpu, &fault);
		fault_record(vcpu, &fault);
		status = event_deliver(vcpu, &event);
		if (status == X86_OK)
			vcpu->exceptions[fault.vector]++;
		if (status != X86_FAULT)
			return status;
		if (first == CLASS_DOUBLE_FAULT && fault_class(cpu->fault.vector) != CLASS_BENIGN)
			return processor_shutdown(vcpu);
		fault = cpu->fault;
		if (becomes_double_fault(first, fault_class(fault.vector))) {
			fault_record(vcpu, &fault);
			fault = (struct fault){ .vector = EXC_DF, .has_error = true };
		}
	}
}

enum x86_status interrupt_deliver(struct vcpu *vcpu, uint8_t vector)
{
	struct cpu *cpu = &vcpu->cpu;
	struct event event = { .vector = vector, .eip = cpu->eip, .eflags = cpu->eflags };
	enum x86_status status;

	status = event_deliver(vcpu, &event);
	if (vector == EXC_NMI && status == X86_OK)
		cpu->nmi_blocked = true;
	return status == X86_FAULT ? exception_deliver(vcpu) : status;
}

enum x86_status software_interrupt(struct vcpu *vcpu, uint8_t vector, uint32_t next_eip,
				   bool check_dpl)
{
	struct cpu *cpu = &vcpu->cpu;
	struct event event = {
		.vector = vector, .software = check_dpl, .eip = next_eip,
		.eflags = cpu->eflags & ~X86_RF,
	};

	/* INT3 and INTO go through whatever the IOPL is (SDM vol. 3, 20.3.3). */
	if (cpu_is_protected(cpu) && cpu_is_v86(cpu) && check_dpl && vector != EXC_BP &&
	    vector != EXC_OF && cpu_iopl(cpu) < 3)
		return fault_raise_error(cpu, EXC_GP, 0);
	return event_deliver(vcpu, &event);
}
