/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A processor's state, as data and as text. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include "translator/disasm.h"
#include "vm.h"

void vcpu_report_take(struct vcpu *vcpu, struct vcpu_report *report)
{
	const struct cpu *cpu = &vcpu->cpu;

	assert(vcpu_is_mine(vcpu));
	report->cpu = *cpu;
	report->code_len = mem_peek(vcpu, cpu->seg[X86_CS].base + cpu->eip, report->code,
				    sizeof(report->code));
}

static void print_segment(FILE *out, const char *name, const struct segment *s)
{
	fprintf(out, "%-3s %04x %08" PRIx32 " %08" PRIx32 " %04x\n", name, s->selector, s->base,
		s->limit, s->attr);
}

static void print_code(const struct vcpu_report *report, FILE *out)
{
	const struct cpu *cpu = &report->cpu;
	struct disasm *disasm;
	char text[96];

	fprintf(out, "code");
	for (uint32_t i = 0; i < report->code_len; i++)
		fprintf(out, " %02x", report->code[i]);
	fprintf(out, "%s\n", report->code_len ? "" : " (not mapped)");
	if (!report->code_len || disasm_create(&disasm))
		return;
	disasm_format(disasm, cpu->seg[X86_CS].attr & SEG_DB ? DISASM_32 : DISASM_16, report->code,
		      report->code_len, cpu->eip, text, sizeof(text));
	fprintf(out, "     %s\n", text);
	disasm_destroy(disasm);
}

void vcpu_report_print(const struct vcpu_report *report, FILE *out)
{
	static const char *const seg_names[X86_NSEG] = { "ES", "CS", "SS", "DS", "FS", "GS" };
	const struct cpu *c = &report->cpu;

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
	print_code(report, out);
}

void vcpu_print_state(struct vcpu *vcpu, FILE *out)
{
	struct vcpu_report report;

	vcpu_report_take(vcpu, &report);
	vcpu_report_print(&report, out);
}
