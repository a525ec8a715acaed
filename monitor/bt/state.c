/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What translated code takes for granted, derived from the architectural state: the mode key,
 * segment bases, the window of the current view. Computed anew before each entry, so that no
 * routine which changes state has to think of it.
 */
#include <assert.h>
#include "internal.h"
#include "monitor/processor/processor.h"
#include "x86/fpu_spill.h"

static inline bool code_segment_is_flat(const struct segment *s)
{
	return (s->attr & (SEG_P | SEG_S | SEG_CODE | SEG_DB)) ==
		       (SEG_P | SEG_S | SEG_CODE | SEG_DB) &&
	       !s->base && s->limit == 0xffffffff;
}

static inline bool bt_is_watched(const struct cpu *cpu)
{
	return cpu->eflags & X86_TF || cpu->dr[7] & 0xff ||
	       (cpu->eflags & X86_AC && cpu->cr0 & CR0_AM && cpu->cpl == 3);
}

static inline bool bt_translatable(const struct cpu *cpu)
{
	if (!(cpu->cr0 & CR0_PE) || cpu->eflags & X86_VM || bt_is_watched(cpu))
		return false;
	return code_segment_is_flat(&cpu->seg[X86_CS]);
}

/* 16-bit code on a 16-bit stack, at an offset of 16 bits. */
static bool bt_is_code16(const struct cpu *cpu)
{
	const struct segment *cs = &cpu->seg[X86_CS];

	if (cs->attr & SEG_DB || cpu->seg[X86_SS].attr & SEG_DB || bt_is_watched(cpu))
		return false;
	if (cpu_uses_descriptors(cpu) && !attr_is_code(cs->attr))
		return false;
	return cpu->eip <= 0xffff && cpu->eip <= cs->limit;
}

static inline bool data_segment_is_flat(const struct segment *s)
{
	return !s->base && segment_is_whole(s);
}

/* The host knows no IGNNE#: the interpreter runs what would wait. */
static inline uint32_t features_of(const struct cpu *cpu)
{
	uint32_t mode = 0;

	if (!(cpu->cr0 & (CR0_TS | CR0_EM)) && !cpu->ignne)
		mode |= cpu->cr4 & CR4_OSFXSR ? MODE_FPU | MODE_SSE : MODE_FPU;
	if (!(cpu->cr4 & CR4_TSD) || !cpu->cpl)
		mode |= MODE_TSC;
	return mode;
}

/* Whether the segment, but for selector and base, is as a load leaves it: not in unreal mode. */
static inline bool segment_is_of_mode(const struct segment *s, bool v86)
{
	const uint16_t data = SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED;

	if (v86)
		return s->limit == 0xffff && s->attr == (data | SEG_DPL);
	return s->limit != 0xffffffff && (s->attr & ~(SEG_DB | SEG_G | SEG_AVL)) == data;
}

static bool loads_set_paragraphs(const struct cpu *cpu)
{
	const bool v86 = cpu->eflags & X86_VM;

	for (unsigned i = 0; i < X86_NSEG; i++) {
		if (i != X86_CS && !segment_is_of_mode(&cpu->seg[i], v86))
			return false;
	}
	return !cpu_uses_descriptors(cpu);
}

static uint32_t mode16_of(const struct cpu *cpu)
{
	uint32_t mode = cpu->cpl | MODE_CODE16;

	if (!bt_is_code16(cpu))
		return MODE_UNTRANSLATABLE;
	if (bt_segment_is_64k(cpu, &cpu->seg[X86_SS]))
		mode |= MODE_SS_FLAT;
	if (bt_segment_is_64k(cpu, &cpu->seg[X86_DS]))
		mode |= MODE_DS_FLAT;
	if (bt_segment_is_64k(cpu, &cpu->seg[X86_ES]))
		mode |= MODE_ES_FLAT;
	if (loads_set_paragraphs(cpu))
		mode |= MODE_PARAGRAPHS;
	return mode | features_of(cpu);
}

static inline uint32_t mode_of(const struct cpu *cpu)
{
	uint32_t mode = cpu->cpl;

	if (!bt_translatable(cpu))
		return mode16_of(cpu);
	if (data_segment_is_flat(&cpu->seg[X86_SS]) && cpu->seg[X86_SS].attr & SEG_DB)
		mode |= MODE_SS_FLAT;
	if (data_segment_is_flat(&cpu->seg[X86_DS]))
		mode |= MODE_DS_FLAT;
	if (data_segment_is_flat(&cpu->seg[X86_ES]))
		mode |= MODE_ES_FLAT;
	return mode | features_of(cpu);
}

bool bt_is_translatable(const struct cpu *cpu)
{
	return bt_translatable(cpu) || bt_is_code16(cpu);
}

uint32_t bt_mode(const struct cpu *cpu)
{
	return mode_of(cpu);
}

struct tc_space *bt_tc_space(struct bt *bt)
{
	if (rf_unlikely(!bt->space->engine_data)) {
		fpu_spill(&bt->vcpu->cpu);
		bt->space->engine_data = tc_space_create(bt->translator);
	}
	return bt->space->engine_data;
}

/*
 * The return stack holds addresses that are good in one space and mode. Each ring has its own, so
 * that a program's survives a system call; ring 0 starts with an empty one.
 */
static void bt_check_returns(struct bt *bt, uint32_t mode)
{
	struct cpu *cpu = &bt->vcpu->cpu;
	const bool was_user = (bt->returns_mode & MODE_CPL) == 3, user = (mode & MODE_CPL) == 3;
	struct bt_returns *saved = &bt->user_returns;

	if (!bt->returns_stale && bt->returns_space == bt->space && bt->returns_mode == mode)
		return;
	if (was_user && !user && !bt->returns_stale)
		*saved = (struct bt_returns){ .space = bt->returns_space,
					      .mode = bt->returns_mode,
					      .rsp = tcw(cpu)->tc_rsp };
	if (bt->returns_stale)
		saved->space = NULL;
	if (user && !was_user && saved->space == bt->space && saved->mode == mode)
		tcw(cpu)->tc_rsp = saved->rsp;
	else
		translator_reset_returns(bt->translator, cpu, user);
	bt->returns_space = bt->space;
	bt->returns_mode = mode;
	bt->returns_stale = false;
}

static inline void refresh_segment(struct cpu *cpu, enum x86_seg seg)
{
	tcw(cpu)->seg_base[seg] = segment_is_whole(&cpu->seg[seg]) ? &cpu->seg[seg].base : NULL;
	tcw(cpu)->x87.selector[seg] = cpu->seg[seg].selector;
}

void bt_refresh_segment(struct cpu *cpu, enum x86_seg seg)
{
	refresh_segment(cpu, seg);
	if (tcw(cpu)->mode & MODE_CODE16)
		bt_refresh_limits(bt_of(rf_container_of(cpu, struct vcpu, cpu)));
}

static inline void refresh_segments(struct cpu *cpu)
{
#pragma GCC unroll 6
	for (int i = 0; i < X86_NSEG; i++)
		refresh_segment(cpu, i);
}

/* What 16-bit code finds beside bases. */
static void refresh_code16(struct cpu *cpu)
{
	tcw(cpu)->string_step = cpu->eflags & X86_DF ? -1 : 1;
	bt_refresh_limits(bt_of(rf_container_of(cpu, struct vcpu, cpu)));
}

void bt_refresh_state(struct cpu *cpu)
{
	refresh_segments(cpu);
	if (tcw(cpu)->mode & MODE_CODE16)
		refresh_code16(cpu);
}

/* The GiBs of gibs are shown by the user window, the others by the kernel's. */
static inline void set_views(uint64_t view[4], const hva_t *window, uint8_t gibs)
{
	view[0] = window[gibs & 1 ? SHADOW_USER : SHADOW_KERNEL].v;
	view[1] = window[gibs & 2 ? SHADOW_USER : SHADOW_KERNEL].v;
	view[2] = window[gibs & 4 ? SHADOW_USER : SHADOW_KERNEL].v;
	view[3] = window[gibs & 8 ? SHADOW_USER : SHADOW_KERNEL].v;
}

/*
 * Under SMAP, with AC clear, dual accesses go to the kernel window, which has no user pages then:
 * if one is met, the fault is the guest's own.
 */
static inline void bt_set_views(struct bt *bt)
{
	const struct cpu *cpu = &bt->vcpu->cpu;
	const uint8_t gibs = bt->unsettled ? 0 : bt->user_gibs;
	const bool smap = cpu->cr4 & CR4_SMAP;
	const hva_t *window = bt->space->window;
	struct tc_words *w = &bt->vcpu->tcw;

	if (cpu->cpl == 3) {
		set_views(w->view_by_gib, window, 0xf);
		return;
	}
	set_views(w->view_by_gib, window, smap && !(cpu->eflags & X86_AC) ? 0 : gibs);
	set_views(w->ac_view_by_gib[false], window, smap ? 0 : gibs);
	set_views(w->ac_view_by_gib[true], window, gibs);
}

void bt_set_ac_tables(struct vcpu *vcpu)
{
	const struct soft_tlb *tlb = &vcpu->soft_tlb;
	struct tc_words *w = &vcpu->tcw;

	for (int kind = 0; kind < SOFT_LOOKUP_KINDS; kind++) {
		w->ac_soft_table[false][kind] = (uintptr_t)tlb->lookup[0][kind];
		w->ac_soft_table[true][kind] =
			(uintptr_t)tlb->lookup[access_who(ACCESS_AC)][kind];
	}
}

void bt_settle(struct bt *bt)
{
	assert(bt->space == shadow_current(bt->shadow));
	fpu_spill(&bt->vcpu->cpu);
	shadow_settle(bt->shadow);
	bt->unsettled = false;
	bt_set_views(bt);
}

/* MODE_SOFT if ring 3 of a young space is about to run. Counts for how long it did before. */
static uint32_t young_mode(struct bt *bt, bool user)
{
	struct young *y = &bt->space->young;
	uint64_t now;

	bt->vcpu->tcw.soft_views = !user && y->is;
	if (rf_likely(!bt->young_running && !(user && y->is)))
		return 0;
	now = __builtin_ia32_rdtsc();
	if (bt->young_running &&
	    young_ran(&bt->young, bt->young_running, now - bt->young_since, now))
		bt->stats.young_grown++;
	bt->young_running = user && y->is ? y : NULL;
	bt->young_since = now;
	return bt->young_running ? MODE_SOFT : 0;
}

uint32_t bt_prepare(struct bt *bt)
{
	struct cpu *cpu = &bt->vcpu->cpu;
	struct tc_words *w = tcw(cpu);
	uint32_t mode = mode_of(cpu);
	const bool user = cpu->cpl == 3;
	const unsigned who = access_who(access_explicit(cpu->cpl, cpu->eflags));
	struct tc_space *tc_space;
	uint32_t code = 0;

	bt->space = shadow_current(bt->shadow);
	if (mode & MODE_UNTRANSLATABLE || !bt->space)
		return MODE_UNTRANSLATABLE;
	if (mode & MODE_CODE16)
		code = translator_code_segment(bt->translator, &cpu->seg[X86_CS]);
	if (mode & MODE_CODE16 && !code) /* the dispatcher knows what to do */
		return MODE_UNTRANSLATABLE;
	assert(cpu->cpl <= 3);
	tc_space = bt_tc_space(bt);
	if (!tc_space)
		return MODE_UNTRANSLATABLE;
	translator_x87_resolve(bt->translator, cpu);
	refresh_segments(cpu);
	w->window = bt->space->window[user ? SHADOW_USER : SHADOW_KERNEL].v;
	if (bt->unsettled && user)
		bt_settle(bt);
	else
		bt_set_views(bt);
	/*
	 * Where entry is refused for an event, RF is still to be saved: what is entered drops it.
	 */
	w->eflags_sys = cpu->eflags & ~(LIVE_FLAGS | X86_IF | X86_RF);
	w->if_flag = cpu->eflags & X86_IF;
	w->mode = mode;
	/* The soft mode is for 32-bit code. */
	mode |= young_mode(bt, user && !(mode & MODE_CODE16)) | code;
	w->lookup_base = mode_lookup_base(code);
	if (code)
		refresh_code16(cpu);
	for (int kind = 0; kind < SOFT_LOOKUP_KINDS; kind++)
		w->soft_table[kind] = (uintptr_t)bt->vcpu->soft_tlb.lookup[who][kind];
	w->segment_memos = (uintptr_t)bt->vcpu->soft_tlb.segment;
	soft_tlb_check_gdt(bt->vcpu);
	w->event_mask = cpu_event_mask(cpu, w->if_flag);
	translator_use_space(bt->translator, cpu, tc_space, mode);
	/* What of another code segment is in it does not match what returns look up. */
	bt_check_returns(bt, mode & (MODE_KEYS - 1));
	return mode;
}
