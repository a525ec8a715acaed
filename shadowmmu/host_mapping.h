/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the shadow tables ask of the host: windows, and pieces of guest RAM mapped into them. A
 * plain process gives it by mmap() (host_mapping_process.c); something else could, a kernel module
 * say.
 *
 * A window is a 4-GiB-aligned 4-GiB stretch of host address space, left a hole where nothing is
 * mapped, between guards in which nothing is ever mapped: addresses in translated code are sums of
 * which only the parts are known to fit.
 */
#ifndef RF_SHADOWMMU_HOST_MAPPING_H
#define RF_SHADOWMMU_HOST_MAPPING_H

#include "guest_ram.h"
#include "x86/access.h"
#include "x86/error.h"

struct host_mapping;

#define HOST_WINDOW_SIZE         0x100000000ull
#define HOST_WINDOW_GUARD_BELOW  HOST_WINDOW_SIZE
#define HOST_WINDOW_GUARD_ABOVE  (14 * HOST_WINDOW_SIZE)

struct host_mapping_ops {
	const char *name;
	/*
	 * All return 0 or a negative errno. Lengths are whole pages. access: ACCESS_READ or
	 * ACCESS_WRITE; map() also takes ACCESS_SOON.
	 */
	int (*window_create)(struct host_mapping *hm, hva_t *base);
	void (*window_destroy)(struct host_mapping *hm, hva_t base);
	int (*map)(struct host_mapping *hm, hva_t base, gva_t gva, gpa_t gpa, uint64_t len,
		   enum access access);
	int (*protect)(struct host_mapping *hm, hva_t base, gva_t gva, uint64_t len,
		       enum access access);
	int (*unmap)(struct host_mapping *hm, hva_t base, gva_t gva, uint64_t len);
	/* How many mappings (VMAs) may exist at once; 0: no limit. */
	uint32_t (*mapping_limit)(struct host_mapping *hm);
	void (*destroy)(struct host_mapping *hm);
};

struct host_mapping {
	const struct host_mapping_ops *ops;
	struct guest_ram *ram;
};

/* Where the window at base shows the guest's linear address. */
static inline hva_t window_at(hva_t base, gva_t gva)
{
	return hva_add(base, gva);
}

/* What the host allows a process. */
struct host_limits {
	uint32_t map_count;     /* vm.max_map_count */
	uint64_t address_space; /* RLIMIT_AS; UINT64_MAX: none */
};

void host_limits_probe(struct host_limits *limits);

/*
 * The plain-process implementation, within limits (NULL: as probed). Returns 0 or a negative errno;
 * with error if the host cannot hold windows at all.
 */
int host_mapping_process_create(struct guest_ram *ram, const struct host_limits *limits,
				struct host_mapping **hm, struct error *error) RF_MUST_CHECK;

#endif
