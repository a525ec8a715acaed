/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: x87 (SDM vol. 1, chapter 8). The host's FPU computes, under the guest's own control
 * word (fpu_proxy.h). An unmasked exception leaves ES set in the status word, and only the guest's
 * next waiting instruction takes it.
 */
#include "fpu_proxy.h"
#include "internal.h"
#include "x86/fpu_spill.h"

#define FSW_ES 0x0080u
#define FSW_B  0x8000u
#define FPU_EXCEPTIONS 0x3fu

bool fpu_exception_pending(const struct fxsave_image *fpu)
{
	return fpu->fsw & ~fpu->fcw & FPU_EXCEPTIONS;
}

void fpu_update_summary(struct fxsave_image *fpu)
{
	fpu->fsw &= ~(FSW_ES | FSW_B);
	if (fpu_exception_pending(fpu))
		fpu->fsw |= FSW_ES | FSW_B;
}

void fpu_init(struct fxsave_image *fpu)
{
	fpu->fcw = 0x37f;
	fpu->fsw = 0;
	fpu->ftw = 0;
	fpu->fop = fpu->fcs = fpu->fds = 0;
	fpu->fip = fpu->fdp = 0;
}

/*
 * With CR0.NE clear the processor asserts FERR#, which the board reports as IRQ 13, and stops
 * before the instruction until an interrupt comes (SDM vol. 1, D.2.1). That is much like HLT, but
 * that the instruction is begun again afterwards.
 */
static enum x86_status report_by_interrupt(struct vcpu *vcpu, const struct insn *i)
{
	struct vm *vm = vcpu->vm;

	if (!vm->ferr.raise)
		return vm_kill(vcpu,
			       "an x87 error with CR0.NE clear, and nothing is wired to FERR#");
	pthread_mutex_lock(&vm->device_lock);
	signal_raise(&vm->ferr, 0);
	pthread_mutex_unlock(&vm->device_lock);
	vcpu->cpu.eip -= i->len;
	vcpu_halt(vcpu);
	return STATUS_HALT;
}

enum x86_status fpu_wait_begin(struct vcpu *vcpu, const struct insn *i, uint16_t *hidden)
{
	struct cpu *cpu = &vcpu->cpu;
	const uint16_t pending = cpu->fpu.fsw & ~cpu->fpu.fcw & FPU_EXCEPTIONS;

	*hidden = 0;
	if (rf_likely(!pending))
		return X86_OK;
	if (cpu->cr0 & CR0_NE)
		return fault_raise(cpu, EXC_MF);
	if (!cpu->ignne)
		return report_by_interrupt(vcpu, i);
	*hidden = pending;
	cpu->fpu.fsw &= ~(pending | FSW_ES | FSW_B);
	return X86_OK;
}

void fpu_wait_end(struct cpu *cpu, uint16_t hidden)
{
	if (rf_likely(!hidden))
		return;
	cpu->fpu.fsw |= hidden;
	fpu_update_summary(&cpu->fpu);
}

/*
 * A write to a port is no business of the FPU's, whose state may still be in the host's registers
 * meanwhile (x86/fpu_spill.h).
 */
void fpu_ignore_error(struct cpu *cpu)
{
	uint16_t fsw = cpu->fpu.fsw, fcw = cpu->fpu.fcw;

	if (tcw(cpu)->fpu_live == FPU_LIVE_X87)
		__asm__ volatile("fnstsw %0\n\tfnstcw %1" : "=m"(fsw), "=m"(fcw));
	cpu->ignne = !(cpu->cr0 & CR0_NE) && fsw & ~fcw & FPU_EXCEPTIONS;
}

void fpu_release_ignne(struct cpu *cpu)
{
	cpu->ignne = cpu->ignne && fpu_exception_pending(&cpu->fpu);
}

/* 9B */
enum x86_status op_wait(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint16_t hidden;

	if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
		return fault_raise(cpu, EXC_NM);
	RETURN_IF_FAULT(fpu_wait_begin(vcpu, i, &hidden));
	fpu_wait_end(cpu, hidden);
	return X86_OK;
}

/*
 * The FN forms do not wait for pending exceptions: FNSTENV, FNSTCW, FNSAVE, FNSTSW, FNCLEX, FNINIT
 * and the 8087's left-overs.
 */
static bool is_waiting(const struct insn *i)
{
	return !insn_is_x87_control(i) || (i->mem && insn_reg(i) < 6);
}

/*
 * Without a memory operand the data pointer is undefined (SDM vol. 1, 8.1.8): as processors do, it
 * stays what it was. Its selector is zero then, as it always is where the selectors are deprecated
 * (CPUID.7.EBX[13]): translated code does not know which segment it was (translator/x87_notes.c).
 */
static void record_pointers(struct cpu *cpu, const struct insn *i)
{
	struct fxsave_image *fpu = &cpu->fpu;

	fpu->fip = cpu->eip - i->len;
	fpu->fcs = cpu->seg[X86_CS].selector;
	fpu->fop = insn_x87_opcode(i);
	fpu->fds = 0;
	if (i->mem) {
		fpu->fdp = insn_ea(cpu, i);
		fpu->fds = cpu->seg[i->seg].selector;
	}
}

/*
 * A store that raised an unmasked exception stores nothing; the bounce buffer is then as it was
 * filled.
 */
static bool was_stored(const struct fpu_operands *operands, unsigned size, uint8_t filler)
{
	for (unsigned n = 0; n < size; n++)
		if (operands->mem[n] != filler)
			return true;
	return false;
}

/*
 * A store with unmasked exceptions may turn out not to store; then its operand is not touched, and
 * raises nothing (the manual leaves that open; Intel's processors do it so). So the operand is
 * probed when the outcome is known.
 */
static enum x86_status x87_store(struct vcpu *vcpu, const struct insn *i, uint32_t ea,
				 struct fpu_operands *operands)
{
	const uint8_t filler = 0xa5;
	struct cpu *cpu = &vcpu->cpu;
	struct fxsave_image before = cpu->fpu;
	enum x86_status status;

	memset(operands->mem, filler, sizeof(operands->mem));
	fpu_proxy_run(vcpu_interp(vcpu)->proxy, i, FPU_GPR_NONE, &cpu->fpu, operands);
	if (fpu_exception_pending(&cpu->fpu) && !was_stored(operands, i->mem_size, filler))
		return X86_OK;
	status = interp_write_block(vcpu, i->seg, ea, operands->mem, i->mem_size);
	if (status)
		cpu->fpu = before;
	return status;
}

static enum x86_status x87_execute(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	struct fpu_operands operands = { .eax = cpu->regs[X86_EAX], .flags = flags_to_ax(cpu) };
	uint32_t ea = i->mem ? insn_ea(cpu, i) : 0;

	if (i->mem && i->attr & OPA_MEM_WRITE) {
		RETURN_IF_FAULT(x87_store(vcpu, i, ea, &operands));
	} else {
		if (i->mem)
			RETURN_IF_FAULT(
				interp_read_block(vcpu, i->seg, ea, operands.mem, i->mem_size));
		fpu_proxy_run(vcpu_interp(vcpu)->proxy, i, FPU_GPR_NONE, &cpu->fpu, &operands);
	}
	if (!insn_is_x87_control(i))
		record_pointers(cpu, i);
	if (i->flags_written)
		flags_from_ax(cpu, operands.flags);
	if (i->opcode == 0xdf && i->modrm == 0xe0)
		*reg16(cpu, X86_EAX) = operands.eax;
	if (i->opcode == 0xdb && i->modrm == 0xe3)
		fpu_init(&cpu->fpu);
	return X86_OK;
}

static enum x86_status op_x87(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	insn_handler environment = pick_fpu_env(i);
	enum x86_status status;
	uint16_t hidden = 0;

	if (cpu->cr0 & (CR0_EM | CR0_TS))
		return fault_raise(cpu, EXC_NM);
	if (is_waiting(i))
		RETURN_IF_FAULT(fpu_wait_begin(vcpu, i, &hidden));
	status = (environment ? environment : x87_execute)(vcpu, i);
	/* FLDENV and FRSTOR have replaced the status word, unless they faulted. */
	if (status || !environment)
		fpu_wait_end(cpu, hidden);
	fpu_release_ignne(cpu);
	return status;
}

insn_handler pick_fpu(const struct insn *i)
{
	return op_x87;
}
