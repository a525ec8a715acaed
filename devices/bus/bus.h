/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bus of one VM: who answers which port and which guest physical address that is not RAM.
 *
 * A device is described by a const struct device_desc (name, ranges, what of it is saved) and
 * attached with a pointer to its instance. Ranges never overlap: an overlap is -EEXIST with both
 * names in the error. Accesses are cut into naturally aligned pieces that lie in one range and
 * have a size that range implements, lowest address first; what nobody claims reads as ones and
 * swallows writes.
 *
 * The bus owns neither devices nor descriptors. Everything runs under the VM's device lock;
 * handlers may map and unmap ranges (BARs, the local APIC's page) while they are being called.
 */
#ifndef RF_DEVICES_BUS_BUS_H
#define RF_DEVICES_BUS_BUS_H

#include "state.h"
#include "x86/error.h"

enum bus_space { BUS_PIO, BUS_MMIO };

/* Handlers of one range. offset counts from the range's base, and is aligned to size. */
struct bus_ops {
	uint64_t (*read)(void *device, uint64_t offset, unsigned size);
	void (*write)(void *device, uint64_t offset, uint64_t value, unsigned size);
	/*
	 * Access sizes the handlers implement (1, 2, 4, 8). Wider accesses are split. A narrower
	 * read is cut out of an aligned read of min_size; a narrower write becomes an aligned write
	 * with the other bytes zero.
	 */
	uint8_t min_size, max_size;
};

struct bus_range {
	enum bus_space space;
	uint64_t base; /* relative to the base given to bus_attach() */
	uint64_t size; /* bytes */
	struct bus_ops ops;
};

struct device_desc {
	const char *name;
	const struct bus_range *ranges;
	unsigned nranges;
	/* To the state after power-on; may be NULL. */
	void (*reset)(void *device);
	/*
	 * What of the instance is saved (state.h), and the version of that layout. NULL: nothing.
	 */
	const struct state_field *state;
	uint32_t state_version;
	size_t size; /* of the instance, if anything of it is saved */
	/*
	 * Whether the fields of an instance, each valid by itself, go together: NULL, or the name
	 * of the one in fault. device is a copy of the instance whose state was just filled in.
	 * Looks at it and does nothing else. May be NULL.
	 */
	const char *(*state_check)(const void *device);
	/*
	 * A state is about to be loaded: nothing that the device began (a request to a disk) may
	 * reach it any more. What it holds will be overwritten. May be NULL.
	 */
	void (*before_load)(void *device);
	/*
	 * The states of all devices were loaded: sets timers, output lines, mappings. May be NULL.
	 */
	void (*loaded)(void *device);
};

struct bus;
struct bus_mapping;

int bus_create(struct bus **out) RF_MUST_CHECK;
void bus_destroy(struct bus *bus);

/*
 * Adds all ranges of desc, their bases moved up by base, and enters the device for reset and
 * saving. 0; -EEXIST on an overlap and -EINVAL for a malformed range, with error; -ENOMEM. On
 * failure nothing is attached.
 */
int bus_attach(struct bus *bus, const struct device_desc *desc, void *device, uint64_t base,
	       struct error *error) RF_MUST_CHECK;
/* Takes back bus_attach(). */
void bus_detach(struct bus *bus, void *device);

/*
 * One range at run time, for what software can move. name and ops must outlive the mapping. Errors
 * as bus_attach();
 * *out is to be given to bus_unmap().
 */
int bus_map(struct bus *bus, const char *name, const struct bus_range *range, void *device,
	    struct bus_mapping **out, struct error *error) RF_MUST_CHECK;
void bus_unmap(struct bus *bus, struct bus_mapping *mapping);

/* size: 1, 2 or 4; ports wrap at 64 KiB. */
uint32_t bus_pio_read(struct bus *bus, uint16_t port, unsigned size);
void bus_pio_write(struct bus *bus, uint16_t port, uint32_t value, unsigned size);
/* size: 1, 2, 4 or 8. */
uint64_t bus_mmio_read(struct bus *bus, gpa_t gpa, unsigned size);
void bus_mmio_write(struct bus *bus, gpa_t gpa, uint64_t value, unsigned size);
/* Whether any range claims the port, or gpa. */
bool bus_pio_claimed(const struct bus *bus, uint16_t port);
bool bus_mmio_claimed(const struct bus *bus, gpa_t gpa);

/* What is attached, for people to look at. */
struct bus_entry {
	const char *device; /* its name; the same for all of one device's ranges */
	const char *name;   /* of the range, which differs for what was mapped at run time */
	const struct bus_range *range; /* base absolute; NULL: a device without ranges */
};
/*
 * Devices in the order they were attached, each with its ranges in the order of their bases, ports
 * first; then what belongs to none that was attached.
 */
void bus_visit(const struct bus *bus, void (*visit)(void *opaque, const struct bus_entry *entry),
	       void *opaque);

/* Resets the devices in the order they were attached. */
void bus_reset_all(struct bus *bus);

/*
 * Saved state (bus_state.c): a header, then a section (state.h) for each attached device that has
 * state. now_ns: what the guest's clock reads, up to STATE_CLOCK_MOST. *data is malloc'd. 0 or
 * -ENOMEM.
 */
int bus_save(struct bus *bus, uint64_t now_ns, void **data, size_t *size) RF_MUST_CHECK;
#define STATE_CLOCK_MOST (1ull << 57) /* four years; dates far away then still fit into 64 bits */
/* What the clock read at bus_save(). 0, or -EINVAL: that is no saved state of devices. */
int bus_saved_clock(const void *data, size_t size, uint64_t *now_ns) RF_MUST_CHECK;
/*
 * Wants the same devices in the same order, and the guest's clock set to bus_saved_clock(). 0;
 * -ENOMEM; or -EINVAL, with an error that names the device and, if one is not valid, the field. On
 * failure no device has changed.
 */
int bus_load(struct bus *bus, const void *data, size_t size, struct error *error) RF_MUST_CHECK;

#endif
