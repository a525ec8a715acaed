/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Saved device state: a layout that does not depend on the compiler, the host or struct members'
 * order.
 *
 * A device describes what is saved of it by a table of struct state_field, in the order in which
 * the values are stored: each little-endian, as wide as its member, with nothing in between. The
 * table also says which values are valid, for a file is not to be trusted. Changing a table changes
 * the layout: then the device's version is to go up.
 *
 * Times are readings of the guest's clock (clock.h), never the host's; 0 is free to mean "none".
 *
 * A section is one device's state: name (24 bytes, padded with zeros), instance, version and length
 * of what follows (32 bits each), then the fields.
 */
#ifndef RF_DEVICES_BUS_STATE_H
#define RF_DEVICES_BUS_STATE_H

#include "x86/error.h"
#include "x86/types.h"

enum state_kind {
	STATE_BITS_KIND,   /* limit: the bits that may be set */
	STATE_MOST_KIND,   /* limit: the highest value */
	STATE_SIGNED_KIND, /* limit: the highest absolute value */
	STATE_PAST_KIND,   /* a time that is not later than the state's */
	STATE_TIME_KIND,   /* a time that may be yet to come */
	STATE_STRUCT_KIND, /* structs described by fields */
};

struct state_field {
	const char *name;
	uint32_t offset; /* in the struct */
	uint16_t size;   /* of one element: 1, 2, 4 or 8 bytes; structs: any */
	uint16_t count;  /* 1, or how many elements an array has */
	enum state_kind kind;
	uint64_t limit;
	const struct state_field *fields; /* structs: ends at a field without a name */
};

#define STATE_FIELD_(type, member, n, kind, limit, fields) \
	{ #member, offsetof(type, member), sizeof(((type *)0)->member) / (n), n, kind, limit, \
	  fields }
#define STATE_COUNT_(type, member) \
	(sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0]))

#define STATE_BITS(type, member, mask) STATE_FIELD_(type, member, 1, STATE_BITS_KIND, mask, NULL)
#define STATE_ANY(type, member) STATE_BITS(type, member, UINT64_MAX)
#define STATE_FLAG(type, member) STATE_BITS(type, member, 1)
#define STATE_MOST(type, member, most) STATE_FIELD_(type, member, 1, STATE_MOST_KIND, most, NULL)
#define STATE_SIGNED(type, member, most) \
	STATE_FIELD_(type, member, 1, STATE_SIGNED_KIND, most, NULL)
#define STATE_PAST(type, member) STATE_FIELD_(type, member, 1, STATE_PAST_KIND, 0, NULL)
#define STATE_TIME(type, member) STATE_FIELD_(type, member, 1, STATE_TIME_KIND, 0, NULL)
#define STATE_STRUCT(type, member, fields) \
	STATE_FIELD_(type, member, 1, STATE_STRUCT_KIND, 0, fields)
/* Arrays. */
#define STATE_BITS_ARRAY(type, member, mask) \
	STATE_FIELD_(type, member, STATE_COUNT_(type, member), STATE_BITS_KIND, mask, NULL)
#define STATE_ANY_ARRAY(type, member) STATE_BITS_ARRAY(type, member, UINT64_MAX)
#define STATE_STRUCT_ARRAY(type, member, fields) \
	STATE_FIELD_(type, member, STATE_COUNT_(type, member), STATE_STRUCT_KIND, 0, fields)
#define STATE_END { 0 }

#define STATE_NAME_SIZE 24
#define STATE_HEADER_SIZE (STATE_NAME_SIZE + 12)

struct state_section {
	const char *name; /* shorter than STATE_NAME_SIZE */
	uint32_t instance; /* of several devices of that name */
	uint32_t version;
	const struct state_field *fields; /* NULL: no state */
};

/* Bytes of a section with its header. */
size_t state_section_size(const struct state_section *section);
/* Writes section, taken from the struct at device, to out, which has room for it. */
void state_put_section(const struct state_section *section, const void *device, uint8_t *out);

/* What is read. */
struct state_reader {
	const uint8_t *bytes; /* what is next */
	size_t left;
	uint64_t now_ns;      /* the guest's clock when the state was saved */
	struct error *error;  /* gets the device's name, and the field's if it is one's fault */
};

/*
 * Reads the section that must come next into the struct at device. 0, or -EINVAL for another device
 * or version, a section that is too short or too long, or a value that is not valid; the struct may
 * then be changed in part.
 */
int state_get_section(struct state_reader *reader, const struct state_section *section,
		      void *device) RF_MUST_CHECK;

void state_put32(uint8_t *out, uint32_t value);
void state_put64(uint8_t *out, uint64_t value);
uint32_t state_get32(const uint8_t *bytes);
uint64_t state_get64(const uint8_t *bytes);

#endif
