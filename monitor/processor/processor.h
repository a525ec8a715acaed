/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system architecture (SDM vol. 3): what every engine calls when an instruction or an event
 * reaches beyond plain computing. Each part has a file of its own:
 *
 *   exceptions.c     delivery of exceptions, interrupts and INT n through IDT gates; double and
 *                    triple fault
 *   segments.c       segment register loads and descriptor checks
 *   far_transfer.c   far CALL, JMP, RET, IRET, call gates, SYSENTER/SYSEXIT
 *   vme.c            virtual interrupt flags; INT n
 *   task_switch.c    TSS
 *   tss.c            stacks and I/O permissions of the current task
 *   control_regs.c   MOV CRn/DRn, LMSW, CLTS, INVLPG, paging-mode changes
 *   interrupts.c     taking interrupts
 *   reset.c, shutdown.c, msr.c, cpuid.c, cpu_models.c, cpu_lacks.c
 *
 * Convention: routines return an enum x86_status; on X86_FAULT the guest state is as before the
 * instruction and cpu->fault says what to deliver. (Task switches are the exception: a fault found
 * in the new task leaves the new task current, with cpu->eip at its start; so after any of these
 * routines a caller must not touch eip on X86_FAULT.) eip passed in and out is the offset within
 * CS. Routines that transfer control set cpu->eip.
 */
#ifndef RF_MONITOR_PROCESSOR_PROCESSOR_H
#define RF_MONITOR_PROCESSOR_PROCESSOR_H

#include "cpu_lacks.h"
#include "cpu_models.h"
#include "monitor/vm/vm.h"
#include "x86/descriptor.h"
#include "x86/fault.h"
#include "x86/features.h"

/* reset.c. The reset state; a vCPU without a model gets the default one. */
void processor_reset(struct vcpu *vcpu);

/* interrupts.c */
/*
 * Whether the CPU would take an interrupt right now: NMI, or INTR with EFLAGS.IF, and no
 * inhibition.
 */
bool vcpu_interruptible(const struct vcpu *vcpu);

/*
 * Delivers what is pending and takes priority at this instruction boundary (NMI, then INTR
 * acknowledged from the machine's interrupt controller). Returns an enum x86_status.
 */
enum x86_status vcpu_deliver_interrupts(struct vcpu *vcpu) RF_MUST_CHECK;

/* As interrupt_source.acknowledge: asks the machine's controller, under the device lock. */
int vcpu_acknowledge(struct vcpu *vcpu);

/*
 * shutdown.c: a processor shutdown (triple fault) resets the machine, or ends it under no_reboot.
 * Returns X86_DEAD.
 */
enum x86_status processor_shutdown(struct vcpu *vcpu);

/* exceptions.c */
/*
 * Delivers cpu->fault at cpu->eip (a fault: the saved EIP is cpu->eip), raising double and triple
 * fault by the rules of SDM vol. 3, 6.15. X86_OK or X86_DEAD.
 */
enum x86_status exception_deliver(struct vcpu *vcpu) RF_MUST_CHECK;
/* External interrupt or NMI at an instruction boundary. X86_OK or X86_DEAD. */
enum x86_status interrupt_deliver(struct vcpu *vcpu, uint8_t vector) RF_MUST_CHECK;
/*
 * INT n, INT3, INTO (software: gate DPL is checked; the saved EIP is next_eip), ICEBP with
 * check_dpl=false. In v86 mode INT n below IOPL 3 is refused here, but for vectors 3 and 4: INT3
 * and INTO pass, so the caller checks CD 03 and CD 04.
 */
enum x86_status software_interrupt(struct vcpu *vcpu, uint8_t vector, uint32_t next_eip,
				   bool check_dpl) RF_MUST_CHECK;

/* vme.c */
/* Whether CLI and STI act on VIF, since IOPL forbids them IF (CR4.VME, CR4.PVI). */
bool virtual_interrupt_flag(const struct cpu *cpu);
/* VIF; #GP(0) if it is to be set while VIP is. */
enum x86_status virtual_interrupt_flag_set(struct cpu *cpu, bool value) RF_MUST_CHECK;
/*
 * Whether PUSHF, POPF and IRET of 16 bits have VIF for IF: virtual-8086 mode under CR4.VME with an
 * IOPL below 3. virtual_flags() is what is pushed. What is popped must pass the check, which raises
 * #GP(0) for TF, and for IF while VIP is set.
 */
bool virtual_flags_in_v86(const struct cpu *cpu);
uint16_t virtual_flags(const struct cpu *cpu);
enum x86_status virtual_flags_check(struct cpu *cpu, uint16_t flags) RF_MUST_CHECK;
void virtual_flags_load(struct cpu *cpu, uint16_t flags);
/*
 * INT n (CD) in any mode, cpu->eip at the instruction: in virtual-8086 mode by the redirection
 * bitmap (CR4.VME) or by IOPL, else software_interrupt(). Not INT3 (CC), INTO or ICEBP.
 */
enum x86_status interrupt_n(struct vcpu *vcpu, uint8_t vector, uint32_t next_eip) RF_MUST_CHECK;

/* segments.c */
/* not CS; real and v86 mode too */
enum x86_status segment_load(struct vcpu *vcpu, enum x86_seg seg, uint16_t selector) RF_MUST_CHECK;
void segment_set_real(struct cpu *cpu, enum x86_seg seg, uint16_t selector);
enum x86_status ldt_load(struct vcpu *vcpu, uint16_t selector) RF_MUST_CHECK;
enum x86_status task_register_load(struct vcpu *vcpu, uint16_t selector) RF_MUST_CHECK;
/* LAR/LSL/VERR/VERW: result in *zf and, if *zf, in *value. Only memory faults are raised. */
enum x86_status descriptor_lar(struct vcpu *vcpu, uint16_t selector, bool *zf,
			       uint32_t *value) RF_MUST_CHECK;
enum x86_status descriptor_lsl(struct vcpu *vcpu, uint16_t selector, bool *zf,
			       uint32_t *value) RF_MUST_CHECK;
enum x86_status descriptor_verify(struct vcpu *vcpu, uint16_t selector, bool write,
				  bool *zf) RF_MUST_CHECK;
/*
 * Reads the 8-byte descriptor of selector from GDT or LDT; X86_FAULT only for page faults;
 * *in_table false beyond the limit.
 */
enum x86_status descriptor_read(struct vcpu *vcpu, uint16_t selector, uint64_t *descriptor,
				bool *in_table) RF_MUST_CHECK;

/* far_transfer.c: opsize is 2 or 4 */
enum x86_status far_jump(struct vcpu *vcpu, uint16_t selector, uint32_t offset, uint32_t next_eip,
			 unsigned opsize) RF_MUST_CHECK;
enum x86_status far_call(struct vcpu *vcpu, uint16_t selector, uint32_t offset, uint32_t next_eip,
			 unsigned opsize) RF_MUST_CHECK;
enum x86_status far_return(struct vcpu *vcpu, uint16_t release_bytes,
			   unsigned opsize) RF_MUST_CHECK;
/* next_eip: for the task-return form */
enum x86_status iret(struct vcpu *vcpu, uint32_t next_eip, unsigned opsize) RF_MUST_CHECK;
enum x86_status sysenter(struct vcpu *vcpu) RF_MUST_CHECK;
enum x86_status sysexit(struct vcpu *vcpu) RF_MUST_CHECK;

/* The bits of ESP that a stack uses. */
static inline uint32_t stack_size_mask(const struct segment *ss)
{
	return ss->attr & SEG_DB ? 0xffffffff : 0xffff;
}

/* Sets ESP to esp the way the stack's size wants it: a 16-bit stack keeps the upper half. */
static inline void stack_commit_esp(struct cpu *cpu, const struct segment *ss, uint32_t esp)
{
	uint32_t mask = stack_size_mask(ss);

	cpu->regs[X86_ESP] = (cpu->regs[X86_ESP] & ~mask) | (esp & mask);
}

/* task_switch.c */
enum task_switch_kind { TASK_SWITCH_JMP, TASK_SWITCH_CALL, TASK_SWITCH_IRET, TASK_SWITCH_GATE };
enum x86_status task_switch(struct vcpu *vcpu, uint16_t tss_selector, enum task_switch_kind kind,
			    uint32_t next_eip, bool push_error, uint32_t error) RF_MUST_CHECK;
/* Reads SS:ESP for privilege level cpl from the current TSS. */
enum x86_status tss_stack(struct vcpu *vcpu, unsigned cpl, uint16_t *ss,
			  uint32_t *esp) RF_MUST_CHECK;
/*
 * Whether the I/O permission rules (IOPL, bitmap) let the current code access [port, port+size):
 * X86_OK or #GP.
 */
enum x86_status io_permission(struct vcpu *vcpu, uint16_t port, unsigned size) RF_MUST_CHECK;

/* control_regs.c: privilege is checked inside */
enum x86_status control_reg_read(struct vcpu *vcpu, unsigned crn, uint32_t *value) RF_MUST_CHECK;
enum x86_status control_reg_write(struct vcpu *vcpu, unsigned crn, uint32_t value) RF_MUST_CHECK;
/* what the model would need for value in CR4 not to #GP */
feature_set cr4_lacking_features(const struct cpu *cpu, uint32_t value);
enum x86_status debug_reg_read(struct vcpu *vcpu, unsigned drn, uint32_t *value) RF_MUST_CHECK;
enum x86_status debug_reg_write(struct vcpu *vcpu, unsigned drn, uint32_t value) RF_MUST_CHECK;
enum x86_status clts(struct vcpu *vcpu) RF_MUST_CHECK;
enum x86_status lmsw(struct vcpu *vcpu, uint16_t value) RF_MUST_CHECK;
enum x86_status invlpg(struct vcpu *vcpu, gva_t gva) RF_MUST_CHECK;
/* Without privilege checks, for loaders, task switches and reset: sets CR3 and flushes. */
enum x86_status paging_load_cr3(struct vcpu *vcpu, uint32_t cr3) RF_MUST_CHECK;
/*
 * POPF/IRET's rule: which bits of EFLAGS value may change at this CPL/IOPL (SDM vol. 2, POPF);
 * opsize 2 keeps the upper half.
 */
uint32_t eflags_merge(const struct cpu *cpu, uint32_t value, unsigned opsize);

/* msr.c */
enum x86_status msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value) RF_MUST_CHECK;
enum x86_status msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value) RF_MUST_CHECK;
uint64_t guest_tsc(const struct cpu *cpu);

/* cpuid.c / cpu_models.c */
struct cpuid_result { uint32_t eax, ebx, ecx, edx; };
struct cpuid_result cpuid_query(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf);
/* The answer for leaf depends on vcpu->tsc_ratio. */
bool cpuid_tells_tsc_rate(const struct cpu *cpu, uint32_t leaf);
/* NULL: unknown; for "model,+feature" see cpu_models.h */
const struct cpu_model *cpu_model_find(const char *name);
const char *cpu_model_name(const struct cpu_model *model);
/* Prints "name  description" lines for -cpu help. */
void cpu_model_list(void *file);

/* Instruction-set features of the model: FEATURE_* bits (x86/features.h). */
feature_set cpu_features(const struct cpu *cpu);

#endif
