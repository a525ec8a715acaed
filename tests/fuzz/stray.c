/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a case executed: data that it jumped to may be code that the generator would not have made,
 * since its outcome is another each time, or the host's processor or its system does otherwise with
 * it. The interpreter goes through a case that differs and looks at each instruction.
 */
#include <string.h>
#include "lane.h"
#include "tests/leeway.h"

#define GDT_INDEX_OF(s) ((s) & 4 ? 0u : (unsigned)(s) >> 3) /* in the GDT */

struct watch {
	const struct generator *generator;
	const struct fuzz_case *c;
	struct executor *x;
	/* the instruction before left some, which the interpreter computes by hand */
	bool undefined_flags;
	bool strayed;
};

static bool in_own_code(const struct watch *w, const struct cpu *cpu)
{
	return cpu->seg[X86_CS].selector == w->c->seg[X86_CS] && cpu->eip - w->c->eip < w->c->len;
}

/*
 * ENTER on a 16-bit stack whose SP wraps around: what EBP gets in its upper half (SDM vol. 2,
 * ENTER, has ESP's; some compute it anew).
 */
static bool enters_at_the_bottom(const struct cpu *cpu, const struct insn *i)
{
	return i->map == MAP_1BYTE && i->opcode == 0xc8 && !(cpu->seg[X86_SS].attr & SEG_DB) &&
	       (cpu->regs[X86_ESP] & 0xffff) < i->op_size;
}

/* IRET in a nested task: #GP in compatibility mode, which has none (SDM vol. 2, IRET). */
static bool returns_from_a_task(const struct cpu *cpu, const struct insn *i)
{
	return i->map == MAP_1BYTE && i->opcode == 0xcf && cpu->eflags & X86_NT;
}

/* The selector that LSL gets. */
static uint16_t selector_operand(struct executor *x, const struct cpu *cpu, const struct insn *i)
{
	const uint32_t linear = cpu->seg[i->seg].base + insn_offset(i, cpu->regs);
	uint16_t selector = 0;

	if (!i->mem)
		return cpu->regs[insn_rm(i)];
	for (unsigned n = 0; n < REGIONS; n++)
		if (linear - region_base(n) <= REGION_SIZE - 2)
			memcpy(&selector, x->ops->region(x, n) + (linear - region_base(n)), 2);
	return selector;
}

/* The segment whose limit is the number of the processor. */
static bool sees_the_processors_number(struct executor *x, const struct cpu *cpu,
				       const struct insn *i)
{
	if (i->mem && GDT_INDEX_OF(cpu->seg[i->seg].selector) == GDT_CPU_NUMBER)
		return true;
	return i->map == MAP_0F && i->opcode == 0x03 &&
	       GDT_INDEX_OF(selector_operand(x, cpu, i)) == GDT_CPU_NUMBER;
}

/* CMP AL, imm8, which the generator puts after instructions with undefined flags. */
static bool defines_the_flags(const struct insn *i)
{
	return i->map == MAP_1BYTE && i->opcode == 0x3c;
}

/* RDTSC and its kin: no two executions read the same. */
static bool reads_counters(const struct insn *i)
{
	return i->map == MAP_0F && i->opcode >= 0x30 && i->opcode <= 0x33;
}

/* Between the engines: the translator's code is the host's. */
static bool see_translated(void *opaque, const struct cpu *cpu, const struct insn *i,
			   enum decode_result result)
{
	struct watch *w = opaque;

	w->strayed = result == DECODE_OK && reads_counters(i);
	return !w->strayed;
}

static bool see(void *opaque, const struct cpu *cpu, const struct insn *i,
		enum decode_result result)
{
	struct watch *w = opaque;
	const bool own = in_own_code(w, cpu), single = own && w->c->single;

	/* What no model of ours has, the host may. */
	w->strayed = GDT_INDEX_OF(cpu->seg[X86_CS].selector) == GDT_CODE64 ||
		     (result == DECODE_UNDEFINED && !own);
	if (result != DECODE_OK || w->strayed)
		return !w->strayed;
	w->strayed = !gen_allowed(w->generator, i) || (leeway_shows_pointers(i) && !single) ||
		     (leeway_pushes_selector(i) && !own) || enters_at_the_bottom(cpu, i) ||
		     returns_from_a_task(cpu, i) || sees_the_processors_number(w->x, cpu, i) ||
		     (w->undefined_flags && !defines_the_flags(i));
	/*
	 * Those of a single instruction are the judge's. Of another processor's all that are
	 * undefined may differ.
	 */
	w->undefined_flags = !single &&
			     (w->generator->audience.others ? leeway_flags(i, cpu->regs) :
							      leeway_flags_by_hand(i));
	return !w->strayed;
}

bool stray(struct lane *lane, const struct fuzz_case *c)
{
	struct watch w = { .generator = &lane->generator, .c = c, .x = lane->engine };

	lane->engine->ops->load(lane->engine, &lane->before);
	machine_trace(lane->engine, c, lane->oracle->is_host ? see : see_translated, &w);
	return w.strayed || w.undefined_flags;
}
