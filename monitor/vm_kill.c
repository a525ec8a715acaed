/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report of a processor's state, and ending a VM whose guest is beyond what is supported. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include "translator/disasm.h"
#include "vm.h"
#include "x86/fpu_spill.h"

#define REPORT_CODE_BYTES 24

static void print_segment(FILE *out, const char *name, const struct segment *s)
{
	fprintf(out, "%-3s %04x %08" PRIx32 " %08" PRIx32 " %04x\n", name, s->selector, s->base,
		s->limit, s->attr);
}

static void print_code(struct vcpu *vcpu, FILE *out)
{
	const struct cpu *cpu = &vcpu->cpu;
	const struct segment *cs = &cpu->seg[X86_CS];
	uint8_t bytes[REPORT_CODE_BYTES];
	uint32_t len = mem_peek(vcpu, cs->base + cpu->eip, bytes, sizeof(bytes));
	struct disasm *disasm;
	char text[96];

	fprintf(out, "code");
	for (uint32_t i = 0; i < len; i++)
		fprintf(out, " %02x", bytes[i]);
	fprintf(out, "%s\n", len ? "" : " (not mapped)");
	if (!len || disasm_create(&disasm))
		return;
	disasm_format(disasm, cs->attr & SEG_DB ? DISASM_32 : DISASM_16, bytes, len, cpu->eip, text,
		      sizeof(text));
	fprintf(out, "     %s\n", text);
	disasm_destroy(disasm);
}

void vcpu_print_state(struct vcpu *vcpu, FILE *out)
{
	static const char *const seg_names[X86_NSEG] = { "ES", "CS", "SS", "DS", "FS", "GS" };
	const struct cpu *c = &vcpu->cpu;

	fprintf(out, "EAX=%08" PRIx32 " EBX=%08" PRIx32 " ECX=%08" PRIx32 " EDX=%08" PRIx32 "\n",
		c->regs[X86_EAX], c->regs[X86_EBX], c->regs[X86_ECX], c->regs[X86_EDX]);
	fprintf(out, "ESI=%08" PRIx32 " EDI=%08" PRIx32 " EBP=%08" PRIx32 " ESP=%08" PRIx32 "\n",
		c->regs[X86_ESI], c->regs[X86_EDI], c->regs[X86_EBP], c->regs[X86_ESP]);
	fprintf(out, "EIP=%08" PRIx32 " EFL=%08" PRIx32 " CPL=%u%s A20=%d\n", c->eip, c->eflags,
		c->cpl, c->halted ? " HLT" : "", c->a20_mask == 0xffffffff);
	for (int i = 0; i < X86_NSEG; i++)
		print_segment(out, seg_names[i], &c->seg[i]);
	print_segment(out, "LDT", &c->ldtr);
	print_segment(out, "TR", &c->tr);
	fprintf(out, "GDT %08" PRIx32 " %04x  IDT %08" PRIx32 " %04x\n", c->gdtr.base,
		c->gdtr.limit, c->idtr.base, c->idtr.limit);
	fprintf(out,
		"CR0=%08" PRIx32 " CR2=%08" PRIx32 " CR3=%08" PRIx32 " CR4=%08" PRIx32
		" EFER=%" PRIx64 "\n",
		c->cr0, c->cr2, c->cr3, c->cr4, c->efer);
	fprintf(out,
		"DR0=%08" PRIx32 " DR1=%08" PRIx32 " DR2=%08" PRIx32 " DR3=%08" PRIx32
		" DR6=%08" PRIx32 " DR7=%08" PRIx32 "\n",
		c->dr[0], c->dr[1], c->dr[2], c->dr[3], c->dr[6], c->dr[7]);
	print_code(vcpu, out);
}

enum x86_status vm_kill(struct vcpu *vcpu, const char *fmt, ...)
{
	struct vm *vm = vcpu->vm;
	int running = VM_RUNNING;
	va_list args;

	fpu_spill(&vcpu->cpu);
	if (!atomic_compare_exchange_strong(&vm->end, &running, VM_KILLED))
		return X86_DEAD;
	va_start(args, fmt);
	vsnprintf(vm->kill_reason, sizeof(vm->kill_reason), fmt, args);
	va_end(args);
	vm->exit_code = 3;
	fprintf(stderr, "ringfence: %s was stopped: %s\n", vm->name ? vm->name : "the guest",
		vm->kill_reason);
	vcpu_print_state(vcpu, stderr);
	vcpu_raise_event(vcpu, EVENT_STOP);
	if (vm->ended)
		vm->ended(vm);
	return X86_DEAD;
}
