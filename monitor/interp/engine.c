/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine that interprets every instruction. Events are looked at between instructions: one load
 * and test each.
 */
#include <assert.h>
#include <errno.h>
#include "monitor/vm/vm.h"
#include "interp.h"
#include "monitor/processor/processor.h"
#include "translator/decode.h"
#include "translator/disasm.h"

static int engine_interp_create(struct vcpu *vcpu, const char *options, struct error *error)
{
	int err;

	if (options)
		return error_set(error, -EINVAL, "engine interp has no options but stats=FILE");
	err = interp_create(vcpu);
	return err ? error_set(error, err, "no memory for the interpreter") : 0;
}

static void engine_interp_destroy(struct vcpu *vcpu)
{
	interp_destroy(vcpu);
	if (vcpu->engine_data)
		disasm_destroy(vcpu->engine_data);
	vcpu->engine_data = NULL;
}

/* False: leave the engine. */
static bool engine_interp_events(struct vcpu *vcpu)
{
	if (atomic_load_explicit(&vcpu->cpu.events, memory_order_relaxed) &
	    (EVENT_STOP | EVENT_RESET))
		return false;
	if (vcpu_deliver_interrupts(vcpu) != X86_OK)
		return false;
	/* What was pushed may be watched. */
	return vcpu->debugger.why != DEBUGGER_WATCHPOINT;
}

/*
 *  -d exec: a line an instruction; -d cpu: the registers too. The disassembler lives as long as the
 *  engine does.
 */
static void engine_interp_log(struct vcpu *vcpu)
{
	struct log *log = vcpu->vm->log;
	const struct segment *cs = &vcpu->cpu.seg[X86_CS];
	struct disasm *disasm = vcpu->engine_data;
	uint8_t bytes[INSN_MAX_LEN];
	uint32_t len = mem_peek(vcpu, cs->base + vcpu->cpu.eip, bytes, sizeof(bytes));
	char text[96] = "";

	if (!disasm && !disasm_create(&disasm))
		vcpu->engine_data = disasm;
	if (disasm)
		disasm_format(disasm, cs->attr & SEG_DB ? DISASM_32 : DISASM_16, bytes, len,
			      vcpu->cpu.eip, text, sizeof(text));
	log_write(log, "%04x:%08x  %s\n", cs->selector, vcpu->cpu.eip, text);
	if (log_on(log, LOG_CPU))
		vcpu_print_state(vcpu, log->out);
}

static void engine_interp_run(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t count = 0;
	bool logging;

	assert(vcpu_is_mine(vcpu));
	while (vm_is_running(vcpu->vm)) {
		if (rf_unlikely(atomic_load_explicit(&cpu->events, memory_order_relaxed)) &&
		    !engine_interp_events(vcpu))
			return;
		if (rf_unlikely(cpu->halted)) {
			vcpu_wait_for_interrupt(vcpu);
			continue;
		}
		if (rf_unlikely(vcpu->debugger.nbreakpoints) && debugger_stops_here(vcpu))
			return;
		logging = log_on(vcpu->vm->log, LOG_EXEC | LOG_CPU | LOG_IN_ASM);
		if (rf_unlikely(logging))
			engine_interp_log(vcpu);
		if ((logging ? interp_step(vcpu) : interp_run(vcpu, &count)) == INTERP_DEAD)
			return;
	}
}

const struct engine engine_interp = {
	.name = "interp",
	.create = engine_interp_create,
	.destroy = engine_interp_destroy,
	.run = engine_interp_run,
	.step = interp_step_alone,
};
