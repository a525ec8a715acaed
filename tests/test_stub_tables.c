/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stubs that look things up in tables, run on the host: the software TLB, memos of segment
 * loads, and what CLAC and STAC choose. Judge: the conventions (translator/conventions.h).
 */
#include <criterion/criterion.h>
#include <string.h>
#include "stub_fixture.h"

/* --- The software TLB --- */

static uint8_t host_page[GUEST_PAGE_SIZE];

static void soft_set(enum access access, gva_t linear)
{
	struct soft_lookup *entry = &soft[access][linear >> GUEST_PAGE_SHIFT &
						  (SOFT_LOOKUP_ENTRIES - 1)];

	memset(soft, 0, sizeof(soft));
	entry->inverted_page = ~(linear >> GUEST_PAGE_SHIFT);
	entry->addend = (uintptr_t)host_page - (linear & GUEST_PAGE_MASK);
}

static void soft_access(gva_t linear, bool write, uint32_t eflags)
{
	/* mov eax, [ebx]; mov [ebx], ecx */
	static const uint8_t load[] = { 0x8b, 0x03 }, store[] = { 0x89, 0x0b };
	uint32_t value = 0xdeadbeef;

	memcpy(host_page + (linear & ~GUEST_PAGE_MASK), &value, 4);
	prepare(eflags);
	cpu->regs[X86_EBX] = linear;
	soft_set(write, linear);
	expect_far_away("a hit", run(write ? store : load, 2, RING3, ADAPT_SOFT));
	memcpy(&value, host_page + (linear & ~GUEST_PAGE_MASK), 4);
	cr_expect_eq(value, write ? initial[X86_ECX] : 0xdeadbeef, "%x", value);
	cr_expect_eq(cpu->regs[X86_EAX], write ? initial[X86_EAX] : 0xdeadbeef);
	cr_expect_eq(cpu->regs[X86_EBX], linear);
	cpu->regs[X86_EAX] = initial[X86_EAX];
	cpu->regs[X86_EBX] = initial[X86_EBX];
	expect_registers("soft", cpu->regs, initial);
	cr_expect_eq(cpu->eflags, eflags | X86_F1, "flags %x", cpu->eflags);
	cr_expect_eq(seen.times, 0, "a hit called out");
}

static void soft_hits(void)
{
	static const gva_t addresses[] = { 0, 0x5000, 0x5ffc, 0x12345678, 0x7fffffc, 0x800ff123,
					   0xfffffffc };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(addresses); i++)
	for (unsigned f = 0; f < some_nflags; f++)
	for (unsigned write = 0; write < 2; write++)
		soft_access(addresses[i], write, some_flags[f]);
}

Test(stubs, soft_lookups_that_hit)
{
	on_each_host(soft_hits);
}

/* Another page in the entry, the table of the other access, and an access that crosses pages. */
static void soft_miss(gva_t linear, gva_t present, bool write, bool other)
{
	/* lock cmpxchg8b [ebx]; mov cx, [ebx] */
	static const uint8_t store[] = { 0xf0, 0x0f, 0xc7, 0x0b }, load[] = { 0x66, 0x8b, 0x0b };
	const uint32_t argument = write ? CALLOUT_WRITE | 7 : 1;

	prepare(X86_CF | X86_OF);
	cpu->regs[X86_EBX] = linear;
	soft_set(write ^ other, present);
	todo.result = CALLOUT_LEAVE(TC_LEAVE_FAULT);
	todo.eflags = X86_F1;
	cr_expect_eq(run(write ? store : load, write ? 4 : 3, RING3, ADAPT_SOFT), TC_LEAVE_FAULT,
		     "%x: no miss", linear);
	cr_expect_eq(seen.times, 1);
	cr_expect_eq(seen.which, CALLOUT_SOFT);
	cr_expect_eq(seen.argument, argument, "argument %x", seen.argument);
	cr_expect_eq(seen.next_eip, linear, "linear address %x", seen.next_eip);
	cr_expect(seen.linear == linear && seen.eip == CODE);
	cr_expect_eq(seen.eflags, X86_CF | X86_OF | X86_F1);
	cr_expect_eq(seen.regs[X86_ECX], initial[X86_ECX]);
	expect_registers("soft", cpu->regs, todo.regs);
}

static void soft_misses(void)
{
	for (unsigned write = 0; write < 2; write++) {
		soft_miss(0x12345678, 0x12346678, write, false);
		soft_miss(0x12345678, 0x12245678, write, false);
		soft_miss(0x12345678, 0x92345678, write, false);
		soft_miss(0x12345678, 0x12345678, write, true);
		soft_miss(0x12345fff, 0x12345000, write, false);
		soft_miss(0x12345fff, 0x12346000, write, false);
	}
}

Test(stubs, soft_lookups_that_miss)
{
	on_each_host(soft_misses);
}

/* --- CLAC and STAC --- */

static void change_ac(bool ac, uint32_t eflags)
{
	const uint8_t code[] = { 0x0f, 0x01, 0xca + ac };
	struct tc_words *w = &tc->tcw;
	uint64_t *words = (uint64_t *)w->ac_soft_table;

	prepare(eflags);
	for (unsigned i = 0; i < 4 + 8; i++)
		words[i] = (uint64_t)(i + 1) << 40;
	expect_far_away("clac, stac", run(code, 3, RING0, 0));
	expect_registers("clac, stac", cpu->regs, initial);
	cr_expect_eq(cpu->eflags, (eflags & ~X86_AC) | X86_F1 | (ac ? X86_AC : 0), "flags %x",
		     cpu->eflags);
	cr_expect(!memcmp(w->soft_table, w->ac_soft_table[ac], sizeof(w->soft_table)));
	cr_expect(!memcmp(w->view_by_gib, w->ac_view_by_gib[ac], sizeof(w->view_by_gib)));
	cr_expect_eq(seen.times, 0);
}

static void change_acs(void)
{
	_Static_assert(offsetof(struct tc_words, ac_view_by_gib) ==
			       offsetof(struct tc_words, ac_soft_table) + 4 * 8,
		       "filled as one");
	for (unsigned f = 0; f < some_nflags; f++) {
		change_ac(false, some_flags[f]);
		change_ac(true, some_flags[f]);
	}
}

Test(stubs, clac_and_stac_choose_tables)
{
	on_each_host(change_acs);
}

/* --- Segment loads from a memo --- */

static uint64_t descriptor;

static void remember(uint16_t selector)
{
	static const uint32_t base_of_fs, base_of_gs;
	struct segment_memo *m = &memos[selector >> 3 & (SEGMENT_MEMOS - 1)];

	descriptor = 0x00cf93123456ffffull;
	*m = (struct segment_memo){ .next_selector = selector + 1u,
				    .limit = 0xfffff123,
				    .descriptor = descriptor,
				    .descriptor_at = &descriptor,
				    .seg_base = { &base_of_fs, &base_of_gs } };
	m->image = (uint64_t)0x123456 << 32 | 0xcf93u << 16 | selector;
}

static void load_segment(enum x86_seg seg, bool known, uint32_t eflags)
{
	/* mov seg, ebp */
	const uint8_t code[] = { 0x8e, 0xc5 + 8 * seg };
	const struct segment loaded = { initial[X86_EBP], 0xcf93, 0x123456, 0xfffff123 };
	const struct segment_memo *m = &memos[(initial[X86_EBP] & 0xffff) >> 3 &
					      (SEGMENT_MEMOS - 1)];

	todo.result = CALLOUT_LEAVE(TC_LEAVE_RETRANSLATE);
	if (!known) {
		cr_expect_eq(run(code, 2, RING0, 0), TC_LEAVE_RETRANSLATE);
		cr_expect_eq(seen.which, CALLOUT_LOAD_SEGMENT);
		cr_expect_eq(seen.next_eip, CODE + 2);
		expect_registers("a segment", seen.regs, initial);
		return;
	}
	expect_far_away("a segment", run(code, 2, RING0, 0));
	expect_registers("a segment", cpu->regs, initial);
	cr_expect_eq(cpu->eflags, eflags | X86_F1, "flags %x", cpu->eflags);
	cr_expect_eq(seen.times, 0, "called out");
	cr_expect(!memcmp(&cpu->seg[seg], &loaded, sizeof(loaded)), "segment %u", seg);
	if (seg >= X86_FS) {
		cr_expect_eq(tc->tcw.seg_base[seg], m->seg_base[seg - X86_FS]);
		cr_expect_eq(tc->tcw.x87.selector[seg], loaded.selector);
	}
}

static void prepare_segment(uint32_t eflags)
{
	prepare(eflags);
	remember(initial[X86_EBP]);
	cpu->seg[X86_DS] = cpu->seg[X86_ES] = (struct segment){ initial[X86_EBP], 0xcf93, 0x123456,
								0xfffff123 };
}

static void load_segments(void)
{
	static const enum x86_seg segments[] = { X86_ES, X86_DS, X86_FS, X86_GS };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(segments); i++) {
		const enum x86_seg seg = segments[i];
		struct segment_memo *m = &memos[(initial[X86_EBP] & 0xffff) >> 3 &
						(SEGMENT_MEMOS - 1)];

		for (unsigned f = 0; f < some_nflags; f++) {
			prepare_segment(some_flags[f]);
			load_segment(seg, true, some_flags[f]);
		}
		prepare_segment(0);
		m->next_selector++;
		load_segment(seg, false, 0);
		prepare_segment(0);
		descriptor ^= 1ull << 40;
		load_segment(seg, false, 0);
		/* Where the mode key knows what is loaded, it has to be that already. */
		prepare_segment(0);
		cpu->seg[seg].limit--;
		load_segment(seg, seg >= X86_FS, 0);
		prepare_segment(0);
		cpu->seg[seg].base++;
		load_segment(seg, seg >= X86_FS, 0);
	}
}

Test(stubs, segments_are_loaded_from_memos)
{
	on_each_host(load_segments);
}

/* An x87 instruction may still want the selector that its operand had. */
static void load_segment_after_x87(void)
{
	/* fnop; mov fs, ebp */
	static const uint8_t code[] = { 0xd9, 0xd0, 0x8e, 0xe5 };

	prepare_segment(0);
	todo.result = CALLOUT_LEAVE(TC_LEAVE_RETRANSLATE);
	cr_expect_eq(run(code, 4, RING0, 0), TC_LEAVE_RETRANSLATE);
	cr_expect_eq(seen.which, CALLOUT_LOAD_SEGMENT);
}

Test(stubs, no_memo_after_an_x87_instruction)
{
	on_each_host(load_segment_after_x87);
}
