/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bus: ports are looked up in a table with one slot per port, MMIO ranges in a short sorted
 * array.
 *
 * Invariants: ranges of one space are disjoint and lie within it; ports[] names, for every port, 1
 * + the index in slots[] of the mapping that claims it, or 0; mmio[] is sorted by base.
 */
#include "bus_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int bus_create(struct bus **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void bus_destroy(struct bus *bus)
{
	if (!bus)
		return;
	for (unsigned i = 0; i < bus->nslots; i++)
		free(bus->slots[i]);
	for (unsigned i = 0; i < bus->nmmio; i++)
		free(bus->mmio[i]);
	free(bus->slots);
	free(bus->mmio);
	free(bus->devices);
	free(bus);
}

/* Ranges. */

static const char *space_name(enum bus_space space)
{
	return space == BUS_PIO ? "ports" : "memory";
}

/* "serial (ports 0x3f8-0x3ff): malformed range" */
static int range_malformed(const char *name, const struct bus_range *r, struct error *error)
{
	error_set(error, -EINVAL, "malformed range");
	return error_prefix(error, -EINVAL, "%s (%s 0x%llx-0x%llx)", name, space_name(r->space),
			    (unsigned long long)r->base,
			    (unsigned long long)(r->base + r->size - 1));
}

/* "serial (ports 0x3f8-0x3ff) overlaps debugcon (0x3f8-0x3f8)" */
static int range_overlaps(const char *name, const struct bus_range *r,
			  const struct bus_mapping *other, struct error *error)
{
	return error_set(error, -EEXIST, "%s (%s 0x%llx-0x%llx) overlaps %s (0x%llx-0x%llx)", name,
			 space_name(r->space), (unsigned long long)r->base,
			 (unsigned long long)(r->base + r->size - 1), other->name,
			 (unsigned long long)other->range.base,
			 (unsigned long long)(other->range.base + other->range.size - 1));
}

static bool is_size(unsigned size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static bool range_valid(const struct bus_range *r)
{
	if (!r->size || !r->ops.read || !r->ops.write)
		return false;
	if (!is_size(r->ops.min_size) || !is_size(r->ops.max_size) ||
	    r->ops.min_size > r->ops.max_size)
		return false;
	if (r->space == BUS_PIO)
		return r->base < NPORTS && r->size <= NPORTS - r->base;
	return r->base + r->size - 1 >= r->base;
}

static bool ranges_meet(const struct bus_range *a, const struct bus_range *b)
{
	return a->space == b->space && a->base <= b->base + b->size - 1 &&
	       b->base <= a->base + a->size - 1;
}

static const struct bus_mapping *find_overlap(const struct bus *bus, const struct bus_range *r)
{
	struct bus_mapping *const *list = r->space == BUS_PIO ? bus->slots : bus->mmio;
	unsigned n = r->space == BUS_PIO ? bus->nslots : bus->nmmio;

	for (unsigned i = 0; i < n; i++)
		if (list[i] && ranges_meet(&list[i]->range, r))
			return list[i];
	return NULL;
}

static int enter_ports(struct bus *bus, struct bus_mapping *m)
{
	unsigned slot;

	for (slot = 0; slot < bus->nslots; slot++)
		if (!bus->slots[slot])
			break;
	if (slot == bus->nslots) {
		struct bus_mapping **grown =
			realloc(bus->slots, (bus->nslots + 1) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		bus->slots = grown;
		bus->nslots++;
	}
	assert(slot < UINT16_MAX);
	bus->slots[slot] = m;
	m->slot = slot;
	for (uint64_t p = 0; p < m->range.size; p++) {
		assert(!bus->ports[m->range.base + p]);
		bus->ports[m->range.base + p] = (uint16_t)(slot + 1);
	}
	return 0;
}

static int enter_mmio(struct bus *bus, struct bus_mapping *m)
{
	struct bus_mapping **grown = realloc(bus->mmio, (bus->nmmio + 1) * sizeof(*grown));
	unsigned i;

	if (!grown)
		return -ENOMEM;
	bus->mmio = grown;
	for (i = bus->nmmio; i > 0 && bus->mmio[i - 1]->range.base > m->range.base; i--)
		bus->mmio[i] = bus->mmio[i - 1];
	bus->mmio[i] = m;
	bus->nmmio++;
	assert(i == 0 || !ranges_meet(&bus->mmio[i - 1]->range, &m->range));
	assert(i + 1 == bus->nmmio || bus->mmio[i + 1]->range.base > m->range.base);
	return 0;
}

static int map_range(struct bus *bus, const char *name, const struct bus_range *range,
		     uint64_t base, void *device, bool attached, struct bus_mapping **out,
		     struct error *error)
{
	const struct bus_mapping *other;
	struct bus_mapping *m;
	struct bus_range r = *range;
	int err;

	r.base += base;
	if (!range_valid(&r))
		return range_malformed(name, &r, error);
	other = find_overlap(bus, &r);
	if (other)
		return range_overlaps(name, &r, other, error);
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	*m = (struct bus_mapping){
		.name = name, .range = r, .device = device, .attached = attached
	};
	err = r.space == BUS_PIO ? enter_ports(bus, m) : enter_mmio(bus, m);
	if (err) {
		free(m);
		return err;
	}
	if (out)
		*out = m;
	return 0;
}

int bus_map(struct bus *bus, const char *name, const struct bus_range *range, void *device,
	    struct bus_mapping **out, struct error *error)
{
	return map_range(bus, name, range, 0, device, false, out, error);
}

void bus_unmap(struct bus *bus, struct bus_mapping *m)
{
	if (m->range.space == BUS_PIO) {
		assert(bus->slots[m->slot] == m && bus->ports[m->range.base] == m->slot + 1);
		memset(&bus->ports[m->range.base], 0, m->range.size * sizeof(bus->ports[0]));
		bus->slots[m->slot] = NULL;
	} else {
		unsigned i = 0;

		while (bus->mmio[i] != m) {
			i++;
			assert(i < bus->nmmio);
		}
		memmove(&bus->mmio[i], &bus->mmio[i + 1],
			(bus->nmmio - i - 1) * sizeof(bus->mmio[0]));
		bus->nmmio--;
	}
	free(m);
}

static void unmap_attached(struct bus *bus, void *device)
{
	for (unsigned i = 0; i < bus->nslots; i++)
		if (bus->slots[i] && bus->slots[i]->attached && bus->slots[i]->device == device)
			bus_unmap(bus, bus->slots[i]);
	for (unsigned i = bus->nmmio; i-- > 0;)
		if (bus->mmio[i]->attached && bus->mmio[i]->device == device)
			bus_unmap(bus, bus->mmio[i]);
}

/* For an assertion. */
__attribute__((unused)) static bool is_attached(const struct bus *bus, const void *device)
{
	for (unsigned i = 0; i < bus->ndevices; i++)
		if (bus->devices[i].device == device)
			return true;
	return false;
}

int bus_attach(struct bus *bus, const struct device_desc *desc, void *device, uint64_t base,
	       struct error *error)
{
	struct attached_device *grown;

	assert(!is_attached(bus, device) && (!desc->state || desc->size));
	grown = realloc(bus->devices, (bus->ndevices + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	bus->devices = grown;
	for (unsigned i = 0; i < desc->nranges; i++) {
		int err = map_range(bus, desc->name, &desc->ranges[i], base, device, true, NULL,
				    error);

		if (err) {
			unmap_attached(bus, device);
			return err;
		}
	}
	bus->devices[bus->ndevices++] = (struct attached_device){ desc, device };
	return 0;
}

void bus_detach(struct bus *bus, void *device)
{
	unmap_attached(bus, device);
	for (unsigned i = 0; i < bus->ndevices; i++) {
		if (bus->devices[i].device != device)
			continue;
		memmove(&bus->devices[i], &bus->devices[i + 1],
			(bus->ndevices - i - 1) * sizeof(bus->devices[0]));
		bus->ndevices--;
		return;
	}
}

void bus_reset_all(struct bus *bus)
{
	for (unsigned i = 0; i < bus->ndevices; i++)
		if (bus->devices[i].desc->reset)
			bus->devices[i].desc->reset(bus->devices[i].device);
}

/* Accesses. */

static const struct bus_mapping *lookup_port(const struct bus *bus, uint16_t port)
{
	unsigned slot = bus->ports[port];

	return slot ? bus->slots[slot - 1] : NULL;
}

static const struct bus_mapping *lookup_mmio(const struct bus *bus, uint64_t address)
{
	unsigned low = 0, high = bus->nmmio;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		const struct bus_range *r = &bus->mmio[middle]->range;

		if (address < r->base)
			high = middle;
		else if (address - r->base >= r->size)
			low = middle + 1;
		else
			return bus->mmio[middle];
	}
	return NULL;
}

bool bus_mmio_claimed(const struct bus *bus, gpa_t gpa)
{
	return lookup_mmio(bus, gpa.v) != NULL;
}

static const struct bus_mapping *lookup(const struct bus *bus, enum bus_space space,
					uint64_t address)
{
	return space == BUS_PIO ? lookup_port(bus, (uint16_t)address) : lookup_mmio(bus, address);
}

/*
 * The largest piece at offset of at most left bytes that is naturally aligned, implemented and
 * inside the range.
 */
static unsigned piece_size(const struct bus_range *r, uint64_t offset, unsigned left)
{
	unsigned size = r->ops.max_size;

	while (size > 1 && (size > left || (offset & (size - 1)) || size > r->size - offset))
		size >>= 1;
	return size;
}

static uint64_t size_mask(unsigned size)
{
	return size >= 8 ? ~0ull : (1ull << (8 * size)) - 1;
}

static uint64_t piece_read(const struct bus_mapping *m, uint64_t offset, unsigned size)
{
	unsigned min = m->range.ops.min_size;
	unsigned shift;

	assert(offset < m->range.size && size <= m->range.size - offset);
	if (rf_likely(size >= min))
		return m->range.ops.read(m->device, offset, size) & size_mask(size);
	shift = 8 * (unsigned)(offset & (min - 1));
	return (m->range.ops.read(m->device, offset & ~(uint64_t)(min - 1), min) >> shift) &
	       size_mask(size);
}

static void piece_write(const struct bus_mapping *m, uint64_t offset, uint64_t value, unsigned size)
{
	unsigned min = m->range.ops.min_size;

	assert(offset < m->range.size && size <= m->range.size - offset);
	value &= size_mask(size);
	if (rf_likely(size >= min))
		m->range.ops.write(m->device, offset, value, size);
	else
		m->range.ops.write(m->device, offset & ~(uint64_t)(min - 1),
				   value << (8 * (offset & (min - 1))), min);
}

static uint64_t bus_read(struct bus *bus, enum bus_space space, uint64_t address, unsigned size)
{
	uint64_t value = 0;

	assert(is_size(size) && (size < 8 || space == BUS_MMIO));
	for (unsigned done = 0; done < size;) {
		/* Looked up anew for every piece: a handler may have changed the map. */
		const struct bus_mapping *m = lookup(bus, space, address + done);
		uint64_t piece = 0xff;
		unsigned n = 1;

		if (m) {
			uint64_t offset =
				(space == BUS_PIO ? (uint16_t)(address + done) : address + done) -
				m->range.base;

			n = piece_size(&m->range, offset, size - done);
			piece = piece_read(m, offset, n);
		}
		value |= piece << (8 * done);
		done += n;
	}
	return value;
}

static void bus_write(struct bus *bus, enum bus_space space, uint64_t address, uint64_t value,
		      unsigned size)
{
	assert(is_size(size) && (size < 8 || space == BUS_MMIO));
	for (unsigned done = 0; done < size;) {
		const struct bus_mapping *m = lookup(bus, space, address + done);
		unsigned n = 1;

		if (m) {
			uint64_t offset =
				(space == BUS_PIO ? (uint16_t)(address + done) : address + done) -
				m->range.base;

			n = piece_size(&m->range, offset, size - done);
			piece_write(m, offset, value >> (8 * done), n);
		}
		done += n;
	}
}

bool bus_pio_claimed(const struct bus *bus, uint16_t port)
{
	return lookup_port(bus, port) != NULL;
}

uint32_t bus_pio_read(struct bus *bus, uint16_t port, unsigned size)
{
	return (uint32_t)bus_read(bus, BUS_PIO, port, size);
}

void bus_pio_write(struct bus *bus, uint16_t port, uint32_t value, unsigned size)
{
	bus_write(bus, BUS_PIO, port, value, size);
}

uint64_t bus_mmio_read(struct bus *bus, gpa_t gpa, unsigned size)
{
	return bus_read(bus, BUS_MMIO, gpa.v, size);
}

void bus_mmio_write(struct bus *bus, gpa_t gpa, uint64_t value, unsigned size)
{
	bus_write(bus, BUS_MMIO, gpa.v, value, size);
}
