/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every type of descriptor, to every instruction that takes a selector (SDM vol. 3, 3.4.5, 5.5 to
 * 5.7 and 5.10; vol. 2, LAR, LSL, VERR, VERW, MOV, LLDT, LTR); null selectors and the limits of
 * tables. The selector is in EAX.
 */
#include "modes.h"

extern const struct snippet look_cases[], edge_of_table_cases[];

#define LOOK(text) SNIPPET(".look_cases", 0, text)
LOOK("larl %eax, %ecx; setz %dl");
LOOK("lsll %eax, %ecx; setz %dl");
LOOK("verr %ax; setz %dl");
LOOK("verw %ax; setz %dl");
LOOK("movw %ax, %ds");
LOOK("movw %ax, %ss");
LOOK("lldt %ax");
LOOK("ltr %ax");
LOOK("pushl %eax; pushl $0x180; lret");

#define TABLE(text) SNIPPET(".edge_of_table_cases", 0, text)
TABLE("movw %ax, %ds");
TABLE("movw %ax, %ss");
TABLE("movw %ax, %gs; movb %gs:0, %cl");
TABLE("larl %eax, %ecx");
TABLE("larw %ax, %cx");
TABLE("lsll %eax, %ecx");
TABLE("lslw %ax, %cx");
TABLE("verr %ax");
TABLE("lldt %ax; sldt %ecx; larl %ecx, %edx");
TABLE("ltr %ax");
TABLE("pushl %eax; pushl $0x180; lret");
TABLE("pushw %ax; popw %fs");
TABLE("arpl %ax, %cx");
TABLE("movw $3, %cx; arpl %cx, %ax");

static const struct { const char *name; unsigned ring, rpl, dpl; bool absent; } views[] = {
	{ "ring0 rpl0 dpl0", 0, 0, 0, false }, { "ring0 rpl3 dpl0", 0, 3, 0, false },
	{ "ring0 rpl0 dpl3", 0, 0, 3, false }, { "ring3 rpl3 dpl0", 3, 3, 0, false },
	{ "ring3 rpl3 dpl3", 3, 3, 3, false }, { "ring3 rpl0 dpl3", 3, 0, 3, false },
	{ "ring0 rpl0 dpl0 absent", 0, 0, 0, true }, { "ring3 rpl3 dpl3 absent", 3, 3, 3, true },
};
enum { VIEWS = sizeof(views) / sizeof(views[0]), LIMIT = 0x12345 };

static bool start(const struct snippet *s, uint32_t selector, struct regs *r)
{
	place_code(s->start32, s->end32, CODE_AT);
	r->eax = selector;
	run(r);
	return outcome.vector == 3;
}

/* Ring 0 has the stack of the interrupt's frame for its own: a fault of MOV SS leaves it alone. */
static void look(const struct snippet *s, unsigned view, unsigned type)
{
	struct regs r;
	bool through;

	machine_reset();
	usual_segments(&r, views[view].ring, true);
	set_descriptor(CASE_X, STACK_BASE, LIMIT,
		       type | views[view].dpl << 5 | (views[view].absent ? 0 : 0x80) | 0x5000);
	r.edx = r.ecx = 0;
	through = start(s, CASE_X | views[view].rpl, &r);
	if (!through)
		print(" %b", outcome.vector);
	if (!through && outcome.has_error)
		print("(%w)", outcome.error);
	if (through && s < look_cases + 2)
		print(outcome.regs.edx ? " %x" : " -", outcome.regs.ecx);
	else if (through)
		print(s < look_cases + 4 && !outcome.regs.edx ? " -" : " yes");
	print("/%b", (uint32_t)(gdt[CASE_X / 8] >> 40 & 0xff));
}

static void run_types(void)
{
	for (unsigned view = 0; view < VIEWS; view++) {
		for (unsigned type = 0; type < 32; type++) {
			print("type %b: %s:", type, views[view].name);
			for (const struct snippet *s = look_cases; s->text; s++)
				look(s, view, type);
			print("\n");
		}
	}
}

/* ---- selectors at the ends of tables ---- */

/* The last descriptor of GDT and LDT is cut off, by a byte or whole, or it lies over two pages. */
static const struct {
	const char *name;
	uint16_t selector, gdt_limit, ldt_limit;
} ends[] = {
	{ "null", 0, 0xff, 0xff }, { "null rpl 3", 3, 0xff, 0xff },
	{ "null local", 4, 0xff, 0xff }, { "null local rpl 3", 7, 0xff, 0xff },
	{ "last", 0xf8, 0xff, 0xff }, { "last but a byte", 0xf8, 0xfe, 0xff },
	{ "beyond", 0x100, 0xff, 0xff }, { "far beyond", 0xfff8, 0xff, 0xff },
	{ "last rpl 3", 0xfb, 0xff, 0xff },
	{ "last local", 0xc, 0xff, 0xf }, { "last local but a byte", 0xc, 0xff, 0xe },
	{ "local beyond", 0x14, 0xff, 0xf }, { "local without one", 0xc, 0xff, 0 },
	{ "two pages", 0xf0, 0xff, 0xff },
};
enum { ENDS = sizeof(ends) / sizeof(ends[0]) };

static void load_gdt(uint32_t base, uint16_t limit)
{
	const struct { uint16_t limit; uint32_t base; } __attribute__((packed)) gdtr = {
		limit, base,
	};

	__asm__ volatile("lgdt %0" : : "m"(gdtr));
}

/* The copy that is used ends so that its descriptor F0h lies over 50000h, the end of a page. */
static void run_end(const struct snippet *s, unsigned end)
{
	uint8_t *copy = (uint8_t *)0x50000 - 0xf4;
	static uint64_t ldt[32];
	static char what[40];
	struct regs r;

	machine_reset();
	usual_segments(&r, 0, true);
	set_descriptor(0xf0, DATA_BASE, 0xff, ATTR_DATA0);
	set_descriptor(0xf8, DATA_BASE, 0xff, ATTR_DATA0);
	ldt[0] = gdt[0xf8 / 8];
	ldt[1] = gdt[0xf8 / 8];
	set_descriptor(KERNEL_LDT, (uint32_t)ldt, ends[end].ldt_limit, ATTR_LDT);
	if (ends[end].ldt_limit)
		__asm__ volatile("lldt %w0" : : "r"(KERNEL_LDT));
	__builtin_memcpy(copy, gdt, sizeof(gdt));
	memory_snapshot();
	load_gdt((uint32_t)copy, ends[end].gdt_limit);
	start(s, ends[end].selector, &r);
	load_gdt((uint32_t)gdt, sizeof(gdt) - 1);
	join(what, "selector", ends[end].name);
	report_start(what, s->text, &r);
	report_end();
}

void run_looks(void)
{
	run_types();
	for (unsigned end = 0; end < ENDS; end++) {
		for (const struct snippet *s = edge_of_table_cases; s->text; s++)
			run_end(s, end);
	}
}
