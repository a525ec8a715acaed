/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Saved state of all devices on a bus.
 *
 * Header, little-endian: magic (8 bytes), version (32 bits), number of sections (32 bits), reading
 * of the guest's clock (64 bits). Sections follow in the order in which devices were attached.
 *
 * Loading goes over the file twice. First each section is read into a copy of its device, and
 * checked there; so what is refused has changed nothing. Then the devices get it, all of them
 * before the first is told, since what a device does then reaches others.
 */
#include "bus_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC       "rfdevice"
#define MAGIC_SIZE  8
#define VERSION     1
#define HEADER_SIZE 24

/* The section of device n; its fields are NULL if it has none. */
static struct state_section section_of(const struct bus *bus, unsigned n)
{
	const struct device_desc *desc = bus->devices[n].desc;
	uint32_t instance = 0;

	for (unsigned i = 0; i < n; i++)
		instance += bus->devices[i].desc == desc;
	return (struct state_section){ desc->name, instance, desc->state_version, desc->state };
}

static uint32_t count_sections(const struct bus *bus, size_t *size)
{
	uint32_t count = 0;

	*size = HEADER_SIZE;
	for (unsigned i = 0; i < bus->ndevices; i++) {
		const struct state_section section = section_of(bus, i);

		if (!section.fields)
			continue;
		*size += state_section_size(&section);
		count++;
	}
	return count;
}

int bus_save(struct bus *bus, uint64_t now_ns, void **data, size_t *size)
{
	const uint32_t count = count_sections(bus, size);
	uint8_t *out = malloc(*size);

	assert(now_ns <= STATE_CLOCK_MOST);
	*data = out;
	if (!out)
		return -ENOMEM;
	memcpy(out, MAGIC, MAGIC_SIZE);
	state_put32(out + 8, VERSION);
	state_put32(out + 12, count);
	state_put64(out + 16, now_ns);
	out += HEADER_SIZE;
	for (unsigned i = 0; i < bus->ndevices; i++) {
		const struct state_section section = section_of(bus, i);

		if (!section.fields)
			continue;
		state_put_section(&section, bus->devices[i].device, out);
		out += state_section_size(&section);
	}
	assert(out == (uint8_t *)*data + *size);
	return 0;
}

int bus_saved_clock(const void *data, size_t size, uint64_t *now_ns)
{
	const uint8_t *bytes = data;

	if (size < HEADER_SIZE || memcmp(bytes, MAGIC, MAGIC_SIZE) ||
	    state_get32(bytes + 8) != VERSION)
		return -EINVAL;
	*now_ns = state_get64(bytes + 16);
	return *now_ns <= STATE_CLOCK_MOST ? 0 : -EINVAL;
}

static int begin(struct bus *bus, const void *data, size_t size, struct state_reader *reader,
		 struct error *error)
{
	size_t unused;

	*reader = (struct state_reader){ .bytes = data, .left = size, .error = error };
	if (bus_saved_clock(data, size, &reader->now_ns))
		return error_set(error, -EINVAL,
				 "this is no saved state of devices, or of another version");
	if (state_get32(reader->bytes + 12) != count_sections(bus, &unused))
		return error_set(error, -EINVAL, "saved state is of a machine with other devices");
	reader->bytes += HEADER_SIZE;
	reader->left -= HEADER_SIZE;
	return 0;
}

/* Reads the next section into copy, of size bytes at least, and checks what is there then. */
static int try_device(struct bus *bus, unsigned n, struct state_reader *reader, void *copy,
		      struct error *error)
{
	const struct device_desc *desc = bus->devices[n].desc;
	const struct state_section section = section_of(bus, n);
	const char *wrong;
	int err;

	memcpy(copy, bus->devices[n].device, desc->size);
	err = state_get_section(reader, &section, copy);
	if (err)
		return err;
	wrong = desc->state_check ? desc->state_check(copy) : NULL;
	if (!wrong)
		return 0;
	return error_set(error, -EINVAL, "saved state of %s %u: %s is not valid", section.name,
			 section.instance, wrong);
}

static int try_all(struct bus *bus, struct state_reader reader, struct error *error)
{
	for (unsigned i = 0; i < bus->ndevices; i++) {
		void *copy;
		int err;

		if (!bus->devices[i].desc->state)
			continue;
		copy = malloc(bus->devices[i].desc->size);
		if (!copy)
			return error_set(error, -ENOMEM, "no memory");
		err = try_device(bus, i, &reader, copy, error);
		free(copy);
		if (err)
			return err;
	}
	return reader.left ? error_set(error, -EINVAL,
				       "saved state goes on after the last device") :
			     0;
}

int bus_load(struct bus *bus, const void *data, size_t size, struct error *error)
{
	struct state_reader reader;
	int err = begin(bus, data, size, &reader, error);

	if (!err)
		err = try_all(bus, reader, error);
	for (unsigned i = 0; !err && i < bus->ndevices; i++)
		if (bus->devices[i].desc->before_load)
			bus->devices[i].desc->before_load(bus->devices[i].device);
	for (unsigned i = 0; !err && i < bus->ndevices; i++) {
		const struct state_section section = section_of(bus, i);

		if (section.fields)
			err = state_get_section(&reader, &section, bus->devices[i].device);
		assert(!err); /* it was read before */
	}
	for (unsigned i = 0; !err && i < bus->ndevices; i++)
		if (bus->devices[i].desc->loaded)
			bus->devices[i].desc->loaded(bus->devices[i].device);
	return err;
}
