/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must hold when a hostile guest has ended:
 *
 * - It saw nothing of the host: no 64-bit value that it stored or has in its FPU is an address of
 *   one of the process' mappings. (Its general registers are 32 bits wide; there a host address
 *   cannot be told from any other number.)
 * - Nothing was touched outside the windows: pages that translated code would hit if it forgot the
 *   window, or computed it wrongly, are mapped, and stay untouched.
 * - The processor's state is one that a processor can have, and the shadow page tables are
 *   consistent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hostile.h"
#include "monitor/bt/internal.h"
#include "shadowmmu/host_mapping.h"
#include "shadowmmu/shadow.h"
#include "translator/translator.h"

/* As shadowmmu/host_mapping_process.c lays windows out: in slots, each between its guards. */
#define SLOT_FIRST    0x100000000000ull
#define SLOT_STRIDE   (HOST_WINDOW_GUARD_BELOW + HOST_WINDOW_SIZE + HOST_WINDOW_GUARD_ABOVE)
#define SLOTS         1024u
#define SLOTS_END     (SLOT_FIRST + SLOTS * SLOT_STRIDE)

#define TRAP_CHUNK    (64ull << 20)
#define LOW_REACH     (TRANSLATOR_REACH_ABOVE / HOST_WINDOW_SIZE)
#define WINDOW_TRAPS  24u
#define MARGIN        200u  /* slots before and after those that windows are moved among */
#define PLACES        400u  /* slots in a row, of which every other one is left free for a window */
#define DECOYS        256u
#define MAX_RANGES    8192

struct range {
	uint64_t start, end;
};

struct hostile_watch {
	struct random_source *r;
	struct range traps[64 + LOW_REACH + 3 * WINDOW_TRAPS];
	unsigned ntraps;
	unsigned first_slot;     /* where windows begin: the slots that are not for them are held */
	void *held[SLOTS];
	unsigned nheld;
	uint8_t *before;         /* RAM as it was */
	uint64_t before_size;
	struct fxsave_image fpu_before;
	struct range ranges[MAX_RANGES];
	unsigned nranges;
	uint8_t *resident;
	char text[256];
};

/* --- traps --- */

static void trap(struct hostile_watch *w, uint64_t start, uint64_t size)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	void *p;

	if (w->ntraps == RF_ARRAY_SIZE(w->traps))
		return;
	p = mmap((void *)start, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (p == MAP_FAILED)
		/*
		 * something lies there already: no trap is needed where an access would be noticed
		 * anyway
		 */
		return;
	if (p != (void *)start) {
		munmap(p, size);
		return;
	}
	madvise(p, size, MADV_NOHUGEPAGE);
	w->traps[w->ntraps++] = (struct range){ start, start + size };
}

bool hostile_watch_traps(const struct hostile_watch *w, uint64_t address)
{
	for (unsigned i = 0; i < w->ntraps; i++) {
		if (address >= w->traps[i].start && address < w->traps[i].end)
			return true;
	}
	return false;
}

static void forget_traps(struct hostile_watch *w, unsigned from)
{
	while (w->ntraps > from) {
		const struct range *t = &w->traps[--w->ntraps];

		munmap((void *)t->start, t->end - t->start);
	}
}

static const char *check_traps(struct hostile_watch *w)
{
	const uint64_t page = 4096;

	for (unsigned i = 0; i < w->ntraps; i++) {
		const struct range *t = &w->traps[i];

		if (mincore((void *)t->start, t->end - t->start, w->resident))
			continue;
		for (uint64_t n = 0; n < (t->end - t->start) / page; n++) {
			if (!(w->resident[n] & 1))
				continue;
			madvise((void *)(t->start + n * page), page, MADV_DONTNEED);
			snprintf(w->text, sizeof(w->text),
				 "host page %#llx, which is nobody's, was touched",
				 (unsigned long long)(t->start + n * page));
			return w->text;
		}
	}
	return NULL;
}

/*
 * Without the window's base, guest addresses lie in the lowest 4 GiB, and sums that run over lie in
 * the first parts of those above, as far as translated code reaches.
 */
static void trap_low(struct hostile_watch *w)
{
	for (uint64_t at = HX_TRAPPED_LOW; at < HOST_WINDOW_SIZE; at += TRAP_CHUNK)
		trap(w, at, TRAP_CHUNK);
	for (uint64_t n = 1; n <= LOW_REACH; n++)
		trap(w, n * HOST_WINDOW_SIZE, TRAP_CHUNK);
}

static uint64_t slot_start(unsigned slot)
{
	return SLOT_FIRST + slot * SLOT_STRIDE;
}

/*
 * Nothing can be mapped in a slot that has a window, guards and all. The slots between have traps
 * right after the guards of one and before those of the next. With its base twice (a window's
 * register as a scaled index) an access goes to another slot, which is not for windows.
 */
static void trap_around_windows(struct hostile_watch *w)
{
	for (unsigned n = 0; n < WINDOW_TRAPS; n++) {
		const unsigned slot = w->first_slot + 2 * n;

		trap(w, slot_start(slot) - TRAP_CHUNK, TRAP_CHUNK);
		trap(w, slot_start(slot + 1), TRAP_CHUNK);
		trap(w, 2 * (slot_start(slot) + HOST_WINDOW_GUARD_BELOW), TRAP_CHUNK);
	}
}

/* --- where windows lie --- */

static bool is_for_windows(const struct hostile_watch *w, unsigned slot)
{
	return slot >= w->first_slot && slot < w->first_slot + PLACES &&
		!((slot - w->first_slot) & 1);
}

/* In the middle, where no trap is. */
static void hold_slot(struct hostile_watch *w, unsigned slot)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	void *at = (void *)(slot_start(slot) + SLOT_STRIDE / 2), *p = mmap(at, 4096, PROT_NONE,
		flags, -1, 0);

	if (p == at)
		w->held[w->nheld++] = p;
	else if (p != MAP_FAILED)
		munmap(p, 4096);
}

void hostile_watch_move_windows(struct hostile_watch *w)
{
	while (w->nheld)
		munmap(w->held[--w->nheld], 4096);
	for (unsigned i = 0; i < w->ntraps; i++) {
		if (w->traps[i].start >= SLOT_FIRST) {
			forget_traps(w, i);
			break;
		}
	}
	w->first_slot = MARGIN + random_next(w->r) % (SLOTS - PLACES - 2 * MARGIN);
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		if (!is_for_windows(w, slot))
			hold_slot(w, slot);
	}
	trap_around_windows(w);
}

struct hostile_watch *hostile_watch_create(struct random_source *r)
{
	struct hostile_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->r = r;
	w->resident = malloc(TRAP_CHUNK / 4096);
	if (!w->resident) {
		free(w);
		return NULL;
	}
	trap_low(w);
	hostile_watch_move_windows(w);
	return w;
}

void hostile_watch_destroy(struct hostile_watch *w)
{
	forget_traps(w, 0);
	while (w->nheld)
		munmap(w->held[--w->nheld], 4096);
	if (w->before)
		munmap(w->before, w->before_size);
	free(w->resident);
	free(w);
}

/* --- host addresses --- */

#ifdef __SANITIZE_ADDRESS__
/* What was freed and waits to be used again would look like growth. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=16";
}
#endif

/*
 * The address sanitizer's heap, mapped as a whole: 4 TiB, in which all too many made-up values lie.
 */
static bool is_sanitizer_heap(uint64_t start)
{
#ifdef __SANITIZE_ADDRESS__
	return start >= 0x600000000000ull && start < 0x641000000000ull;
#else
	return false;
#endif
}

static void add_range(struct hostile_watch *w, uint64_t start, uint64_t end, bool window)
{
	struct range *last = w->nranges ? &w->ranges[w->nranges - 1] : NULL;

	if (window) {
		start &= ~(HOST_WINDOW_SIZE - 1);
		end = start + HOST_WINDOW_SIZE;
	}
	if (last && start <= last->end)
		last->end = end > last->end ? end : last->end;
	else if (w->nranges < MAX_RANGES)
		w->ranges[w->nranges++] = (struct range){ start, end };
}

/* Traps are no ranges: values that a guest made up lie there. */
static void read_ranges(struct hostile_watch *w)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long long start, end;
	char line[512];

	w->nranges = 0;
	while (f && fgets(line, sizeof(line), f)) {
		const bool window = strstr(line, "guest-ram");

		if (sscanf(line, "%llx-%llx", &start, &end) == 2 && !is_sanitizer_heap(start) &&
		    (window || start >= SLOTS_END))
			add_range(w, start, end, window && start < SLOTS_END);
	}
	if (f)
		fclose(f);
}

static bool is_host_address(const struct hostile_watch *w, uint64_t value)
{
	unsigned low = 0, high = w->nranges;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (value >= w->ranges[middle].end)
			low = middle + 1;
		else
			high = middle;
	}
	return low < w->nranges && value >= w->ranges[low].start;
}

static bool in_windows(uint64_t value)
{
	return value >= SLOT_FIRST && value < SLOTS_END;
}

/*
 * Whether the guest has as good a number where no window is as where one is: then it counts, or is
 * noise, and has not learned it from the host.
 */
static bool makes_such_numbers(const struct hostile_watch *w, const uint8_t *now,
			       const uint8_t *before, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at + 8 <= to; at += 4) {
		uint64_t value;

		memcpy(&value, now + at, 8);
		if (!in_windows(value) || !memcmp(now + at, before + at, 8) ||
		    is_host_address(w, value))
			continue;
		for (uint64_t n = 1; n <= DECOYS; n++) {
			if (is_host_address(w, value + n * HOST_WINDOW_SIZE) ||
			    is_host_address(w, value - n * HOST_WINDOW_SIZE))
				return true;
		}
	}
	return false;
}

/* 64-bit values at every dword that are not what was there before. */
static const char *scan(struct hostile_watch *w, const char *what, const uint8_t *now,
			const uint8_t *before, uint64_t from, uint64_t to)
{
	int made_up = -1; /* not known yet */

	for (uint64_t at = from; at + 8 <= to; at += 4) {
		uint64_t value;

		memcpy(&value, now + at, 8);
		if (value < SLOT_FIRST || value >> 47 || !memcmp(now + at, before + at, 8) ||
		    !is_host_address(w, value))
			continue;
		if (in_windows(value)) {
			if (made_up < 0)
				made_up = makes_such_numbers(w, now, before, from, to);
			if (made_up)
				continue;
		}
		snprintf(w->text, sizeof(w->text), "%s at %#llx: host address %#llx", what,
			 (unsigned long long)at, (unsigned long long)value);
		return w->text;
	}
	return NULL;
}

/* Calls each for the stretches of guest RAM that exist. */
static const char *each_extent(struct hostile_watch *w, const struct guest_ram *ram,
			       const char *(*each)(struct hostile_watch *w,
						   const struct guest_ram *ram, uint64_t from,
						   uint64_t to))
{
	off_t from = 0, to;
	const char *why = NULL;

	while (!why && (from = lseek(ram->fd, from, SEEK_DATA)) >= 0) {
		to = lseek(ram->fd, from, SEEK_HOLE);
		why = each(w, ram, from, to);
		from = to;
	}
	return why;
}

static const char *remember(struct hostile_watch *w, const struct guest_ram *ram, uint64_t from,
			    uint64_t to)
{
	memcpy(w->before + from, ram->flat + from, to - from);
	return NULL;
}

static const char *scan_ram(struct hostile_watch *w, const struct guest_ram *ram, uint64_t from,
			    uint64_t to)
{
	return scan(w, "guest RAM", ram->flat, w->before, from, to);
}

void hostile_watch_start(struct hostile_watch *w, struct machine *machine)
{
	const struct guest_ram *ram = &machine->vm.ram;

	if (w->before)
		munmap(w->before, w->before_size);
	w->before_size = ram->size;
	w->before = mmap(NULL, ram->size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (w->before == MAP_FAILED)
		abort(); /* the worker's end is seen */
	each_extent(w, ram, remember);
	w->fpu_before = machine->vm.vcpu.cpu.fpu;
}

/* --- the processor's state --- */

static const char *check_state(const struct cpu *cpu)
{
	if (!(cpu->eflags & X86_F1) || cpu->eflags & ~(0x3f7fd7u))
		return "reserved bits of EFLAGS";
	if (cpu->cpl > 3)
		return "a privilege level above 3";
	if (cpu->eflags & X86_VM && (cpu->cpl != 3 || !(cpu->cr0 & CR0_PE)))
		return "virtual-8086 mode outside ring 3 of protected mode";
	if (cpu->cr0 & CR0_PG && !(cpu->cr0 & CR0_PE))
		return "paging without protection";
	if (!(cpu->cr0 & CR0_PE) && cpu->cpl)
		return "real mode outside ring 0";
	if (cpu->fpu.mxcsr & ~0xffffu)
		return "reserved bits of MXCSR";
	if (cpu->cr0 & CR0_PE && !(cpu->eflags & X86_VM) && cpu->seg[X86_SS].attr & SEG_P &&
	    cpu->seg[X86_SS].attr & SEG_CODE)
		return "a stack in a code segment";
	return NULL;
}

static const char *check_shadow(struct machine *machine)
{
	struct bt *bt = machine->vm.vcpu.engine_data;

	if (strcmp(machine->vm.vcpu.engine->name, "bt") || !bt || !shadow_current(bt->shadow))
		return NULL;
	return shadow_check(bt->shadow);
}

const char *hostile_watch_check(struct hostile_watch *w, struct machine *machine, bool *maybe)
{
	const struct fxsave_image *fpu = &machine->vm.vcpu.cpu.fpu;
	const char *why = check_state(&machine->vm.vcpu.cpu);

	*maybe = false;
	if (!why)
		why = check_traps(w);
	if (!why)
		why = check_shadow(machine);
	if (why)
		return why;
	*maybe = true;
	read_ranges(w);
	why = scan(w, "FPU", (const uint8_t *)fpu, (const uint8_t *)&w->fpu_before, 0,
		   offsetof(struct fxsave_image, xmm[8]));
	return why ? why : each_extent(w, &machine->vm.ram, scan_ram);
}
