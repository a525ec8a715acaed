/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What translated 16-bit code finds in tcw.limit_probe: for each segment and kind of access an
 * address from which on a byte can be read for each offset that the segment allows.
 *
 * Mostly that is a place in an area of ours, as far before the area's guard as the segment's limit
 * says. What an access probes beyond the limit meets the guard: SIGSEGV, and the interpreter raises
 * what is due.
 *
 *    | can be read, PROBE_ROOM bytes   | guard: all offsets of 32 bits       |
 *                    ^ limit_probe     ^ limit_probe + limit + 1
 *
 * A segment of 4 GiB has no limit to be checked: there the very memory is probed that the access
 * is going to touch. A segment that lacks the right, one that expands down, and null segments allow
 * nothing here; one that is larger than PROBE_ROOM only so much. The interpreter does the rest.
 *
 * Light callouts come here: general registers only.
 */
#include <errno.h>
#include <sys/mman.h>
#include "internal.h"
#include "monitor/vm/vm.h"
#include "x86/descriptor.h"

#define PROBE_ROOM  0x11000u
#define PROBE_GUARD (4ull << 30)
#define PROBE_AREA  (PROBE_ROOM + PROBE_GUARD + GUEST_PAGE_SIZE)

int bt_limits_create(struct bt *bt)
{
	void *area = mmap(NULL, PROBE_AREA, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		return -errno;
	bt->limits.area = hva_of(area);
	return mprotect(area, PROBE_ROOM, PROT_READ) ? -errno : 0;
}

void bt_limits_destroy(struct bt *bt)
{
	if (bt->limits.area.v)
		munmap(hva_ptr(bt->limits.area), PROBE_AREA);
}

bool bt_is_limit_fault(const struct bt *bt, hva_t address)
{
	return hva_within(address, bt->limits.area, PROBE_AREA);
}

static bool allows(const struct cpu *cpu, const struct segment *s, bool write)
{
	if ((s->attr & (SEG_CODE | SEG_EXPAND_DOWN)) == SEG_EXPAND_DOWN)
		return false;
	if (!cpu_uses_descriptors(cpu))
		return true;
	if (!(s->attr & SEG_P))
		return false;
	return write ? attr_is_writable_data(s->attr) : attr_is_readable(s->attr);
}

/* The address for a segment that allows offsets up to limit. */
static uint64_t probe_up_to(const struct bt *bt, uint64_t size)
{
	return bt->limits.area.v + PROBE_ROOM - (size < PROBE_ROOM ? size : PROBE_ROOM);
}

static uint64_t probe(const struct bt *bt, const struct segment *s, bool write)
{
	const struct cpu *cpu = &bt->vcpu->cpu;

	if (!allows(cpu, s, write))
		return probe_up_to(bt, 0);
	if (s->limit == 0xffffffff)
		return tcw((struct cpu *)cpu)->window + s->base;
	return probe_up_to(bt, (uint64_t)s->limit + 1);
}

bool bt_segment_is_64k(const struct cpu *cpu, const struct segment *s)
{
	return s->limit >= 0xffff && allows(cpu, s, true) && allows(cpu, s, false);
}

static bool same(const struct segment *a, const struct segment *b)
{
	return a->base == b->base && a->limit == b->limit && a->attr == b->attr &&
	       a->selector == b->selector;
}

/* No segment has such a selector and attributes. */
static void forget(struct bt *bt)
{
	for (unsigned i = 0; i < X86_NSEG; i++)
		bt->limits.seg[i] = (struct segment){ .selector = 1, .attr = 0xffff,
						      .base = 1, .limit = 1 };
}

void bt_refresh_limits(struct bt *bt)
{
	struct cpu *cpu = &bt->vcpu->cpu;
	struct tc_words *w = tcw(cpu);
	const bool descriptors = cpu_uses_descriptors(cpu);
	const uint32_t code = cpu->seg[X86_CS].limit;

	if (bt->limits.window != w->window || bt->limits.descriptors != descriptors)
		forget(bt);
	bt->limits.window = w->window;
	bt->limits.descriptors = descriptors;
	for (unsigned i = 0; i < X86_NSEG; i++) {
		if (same(&bt->limits.seg[i], &cpu->seg[i]))
			continue;
		bt->limits.seg[i] = cpu->seg[i];
		w->limit_probe[ACCESS_READ][i] = probe(bt, &cpu->seg[i], false);
		w->limit_probe[ACCESS_WRITE][i] = probe(bt, &cpu->seg[i], true);
	}
	w->wrap_probe = probe_up_to(bt, 0x10000);
	w->code_probe = probe_up_to(bt, (uint64_t)(code < 0xffff ? code : 0xffff) + 1);
}
