/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Windows in a plain process: pieces of the guest-RAM memfd mapped MAP_SHARED | MAP_FIXED into
 * holes of the address space.
 *
 * Each window lies in a slot of its own with its guards, which are mapped PROT_NONE; that also
 * claims the place, so that two VMs in one process never choose the same one. Nothing is ever
 * mapped executable.
 */
#include "host_mapping.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* 16 TiB: above the program, far below what mmap chooses by itself */
#define SLOT_FIRST  0x100000000000ull
#define SLOT_STRIDE (HOST_WINDOW_GUARD_BELOW + HOST_WINDOW_SIZE + HOST_WINDOW_GUARD_ABOVE)
#define SLOTS       1024u

#define MAP_COUNT_DEFAULT 65530u
#define MAP_COUNT_LEAST   8192u

struct process_mapping {
	struct host_mapping hm;
	uint32_t map_count_limit;
	uint32_t next; /* where to look for a free place first */
	uint8_t used[SLOTS];
};

static struct process_mapping *process(struct host_mapping *hm)
{
	return rf_container_of(hm, struct process_mapping, hm);
}

static hva_t slot_start(uint32_t slot)
{
	return HVA(SLOT_FIRST + slot * SLOT_STRIDE);
}

static hva_t slot_window(uint32_t slot)
{
	return hva_add(slot_start(slot), HOST_WINDOW_GUARD_BELOW);
}

/* SLOTS or more: the window at base is none of ours. */
static uint64_t slot_of(hva_t base)
{
	return hva_distance(HVA(SLOT_FIRST), base) / SLOT_STRIDE;
}

/* The whole slot, of which the window is given back: a hole. */
static int claim(hva_t start)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	void *slot = mmap(hva_ptr(start), SLOT_STRIDE, PROT_NONE, flags, -1, 0);

	if (slot == MAP_FAILED)
		return -errno;
	/* A kernel that does not know MAP_FIXED_NOREPLACE takes the address as a hint. */
	if (slot != hva_ptr(start)) {
		munmap(slot, SLOT_STRIDE);
		return -EEXIST;
	}
	if (munmap(hva_ptr(hva_add(start, HOST_WINDOW_GUARD_BELOW)), HOST_WINDOW_SIZE)) {
		const int err = -errno;

		munmap(slot, SLOT_STRIDE);
		return err;
	}
	return 0;
}

static int process_window_create(struct host_mapping *hm, hva_t *base)
{
	struct process_mapping *p = process(hm);
	int err = -ENOMEM;
	uint32_t n, i;

	for (n = 0; n < SLOTS; n++) {
		i = (p->next + n) % SLOTS;
		if (p->used[i])
			continue;
		err = claim(slot_start(i));
		if (err == -EEXIST)
			continue;
		if (err)
			return err;
		p->used[i] = 1;
		p->next = i + 1;
		*base = slot_window(i);
		return 0;
	}
	return err == -EEXIST ? -ENOMEM : err;
}

static void process_window_destroy(struct host_mapping *hm, hva_t base)
{
	struct process_mapping *p = process(hm);
	const uint64_t i = slot_of(base);

	assert(i < SLOTS && p->used[i] && hva_equal(base, slot_window(i)));
	munmap(hva_ptr(slot_start(i)), SLOT_STRIDE);
	p->used[i] = 0;
	if (i < p->next)
		p->next = i;
}

/* Whether [gva, gva + len) is a piece of a window of ours, in pages. */
static __attribute__((unused)) bool in_window(struct host_mapping *hm, hva_t base, gva_t gva,
					       uint64_t len)
{
	const uint64_t i = slot_of(base);

	return i < SLOTS && process(hm)->used[i] && !((gva | len) % GUEST_PAGE_SIZE) && len &&
	       gva + len <= HOST_WINDOW_SIZE;
}

static int protection(enum access access)
{
	return PROT_READ | (access & ACCESS_WRITE ? PROT_WRITE : 0);
}

/* How many of the len bytes at gpa lie in one piece of the memfd, and where. */
static uint64_t piece_of(const struct guest_ram *ram, gpa_t gpa, uint64_t len, uint64_t *offset)
{
	uint64_t n = guest_ram_has_range(ram, gpa, len) ? len : GUEST_PAGE_SIZE;

	*offset = guest_ram_file_offset(ram, gpa);
	while (n < len && guest_ram_file_offset(ram, gpa_add(gpa, n)) == *offset + n)
		n += GUEST_PAGE_SIZE;
	return n;
}

static int process_map(struct host_mapping *hm, hva_t base, gva_t gva, gpa_t gpa, uint64_t len,
		       enum access access)
{
	const int how = MAP_SHARED | MAP_FIXED | MAP_NORESERVE |
			(access & ACCESS_SOON ? MAP_POPULATE : 0);

	assert(in_window(hm, base, gva, len));
	assert(!gpa_offset(gpa) && gpa.v + len <= guest_ram_frames_end(hm->ram));
	for (uint64_t done = 0, n, offset; done < len; done += n) {
		n = piece_of(hm->ram, gpa_add(gpa, done), len - done, &offset);
		if (mmap(hva_ptr(window_at(base, gva + (gva_t)done)), n, protection(access), how,
			 hm->ram->fd, (off_t)offset) == MAP_FAILED)
			return -errno;
	}
	return 0;
}

static int process_protect(struct host_mapping *hm, hva_t base, gva_t gva, uint64_t len,
			   enum access access)
{
	assert(in_window(hm, base, gva, len));
	return mprotect(hva_ptr(window_at(base, gva)), len, protection(access)) < 0 ? -errno : 0;
}

static int process_unmap(struct host_mapping *hm, hva_t base, gva_t gva, uint64_t len)
{
	assert(in_window(hm, base, gva, len));
	return munmap(hva_ptr(window_at(base, gva)), len) < 0 ? -errno : 0;
}

static uint32_t process_mapping_limit(struct host_mapping *hm)
{
	return process(hm)->map_count_limit;
}

static void process_destroy(struct host_mapping *hm)
{
	struct process_mapping *p = process(hm);
	uint32_t i;

	for (i = 0; i < SLOTS; i++)
		if (p->used[i])
			process_window_destroy(hm, slot_window(i));
	free(p);
}

static const struct host_mapping_ops process_ops = {
	.name = "process",
	.window_create = process_window_create,
	.window_destroy = process_window_destroy,
	.map = process_map,
	.protect = process_protect,
	.unmap = process_unmap,
	.mapping_limit = process_mapping_limit,
	.destroy = process_destroy,
};

static uint32_t read_map_count_limit(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned limit = MAP_COUNT_DEFAULT;

	if (!f)
		return limit;
	if (fscanf(f, "%u", &limit) != 1)
		limit = MAP_COUNT_DEFAULT;
	fclose(f);
	return limit;
}

void host_limits_probe(struct host_limits *limits)
{
	struct rlimit as;

	limits->map_count = read_map_count_limit();
	limits->address_space = getrlimit(RLIMIT_AS, &as) < 0 || as.rlim_cur == RLIM_INFINITY ?
					UINT64_MAX :
					as.rlim_cur;
}

/* What is too little and what to do: 0, or -ENOMEM and error. */
static int check_limits(const struct guest_ram *ram, const struct host_limits *limits,
			struct error *error)
{
	if (limits->map_count < MAP_COUNT_LEAST)
		return error_set(error, -ENOMEM,
				 "vm.max_map_count is %u on this host, and %u are needed: raise it "
				 "(sysctl vm.max_map_count=%u) or use "
				 "-accel interp",
				 limits->map_count, MAP_COUNT_LEAST, MAP_COUNT_DEFAULT);
	/*
	 * Every window may come to map the whole of guest RAM; its slot counts whole for a moment,
	 * its guards always.
	 */
	if (limits->address_space < 4 * SLOT_STRIDE ||
	    limits->address_space / 16 < guest_ram_end(ram))
		return error_set(
			error, -ENOMEM,
			"the address-space limit is too low: lift it (ulimit -v unlimited) "
			"or use -accel interp");
	return 0;
}

int host_mapping_process_create(struct guest_ram *ram, const struct host_limits *limits,
				struct host_mapping **hm, struct error *error)
{
	struct process_mapping *p;
	struct host_limits probed;
	hva_t base;
	int err;

	if (!limits) {
		host_limits_probe(&probed);
		limits = &probed;
	}
	err = check_limits(ram, limits, error);
	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->hm.ops = &process_ops;
	p->hm.ram = ram;
	p->map_count_limit = limits->map_count;
	/* Learn now rather than at the guest's first page whether windows work here. */
	err = process_window_create(&p->hm, &base);
	if (err) {
		free(p);
		return error_set(error, err, "no free 4-GiB stretch of host address space");
	}
	process_window_destroy(&p->hm, base);
	*hm = &p->hm;
	return 0;
}
