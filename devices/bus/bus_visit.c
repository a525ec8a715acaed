/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is on a bus, in an order for people (bus.h). */
#include "bus_internal.h"

typedef void (*visit_fn)(void *opaque, const struct bus_entry *entry);

/* The range with the lowest base from `from` on that belongs to device, or to none attached. */
static const struct bus_mapping *next_mapping(struct bus_mapping *const *list, unsigned n,
					      bool (*wanted)(const void *which, const void *device),
					      const void *which, uint64_t from)
{
	const struct bus_mapping *best = NULL;

	for (unsigned i = 0; i < n; i++) {
		const struct bus_mapping *m = list[i];

		if (m && m->range.base >= from && wanted(which, m->device) &&
		    (!best || m->range.base < best->range.base))
			best = m;
	}
	return best;
}

static bool is_device(const void *which, const void *device)
{
	return which == device;
}

static bool is_unattached(const void *which, const void *device)
{
	const struct bus *bus = which;

	for (unsigned i = 0; i < bus->ndevices; i++) {
		if (bus->devices[i].device == device)
			return false;
	}
	return true;
}

/* All of wanted's ranges; name NULL: each goes by its own. Returns how many there were. */
static unsigned visit_ranges(const struct bus *bus, const char *name,
			     bool (*wanted)(const void *which, const void *device),
			     const void *which, visit_fn visit, void *opaque)
{
	struct bus_mapping *const *list[2] = { bus->slots, bus->mmio };
	const unsigned count[2] = { bus->nslots, bus->nmmio };
	unsigned visited = 0;

	for (int space = 0; space < 2; space++) {
		const struct bus_mapping *m;

		for (uint64_t from = 0;
		     (m = next_mapping(list[space], count[space], wanted, which, from));
		     from = m->range.base + 1, visited++)
			visit(opaque, &(struct bus_entry){ name ? name : m->name, m->name,
							   &m->range });
	}
	return visited;
}

void bus_visit(const struct bus *bus, visit_fn visit, void *opaque)
{
	for (unsigned i = 0; i < bus->ndevices; i++) {
		const char *name = bus->devices[i].desc->name;

		if (!visit_ranges(bus, name, is_device, bus->devices[i].device, visit, opaque))
			visit(opaque, &(struct bus_entry){ name, name, NULL });
	}
	visit_ranges(bus, NULL, is_unattached, bus, visit, opaque);
}
