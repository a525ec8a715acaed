/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Saved state: sections and fields; see state.h. */
#include "state.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void put(uint8_t *out, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *bytes, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

void state_put32(uint8_t *out, uint32_t value) { put(out, value, 4); }
void state_put64(uint8_t *out, uint64_t value) { put(out, value, 8); }
uint32_t state_get32(const uint8_t *bytes) { return (uint32_t)get(bytes, 4); }
uint64_t state_get64(const uint8_t *bytes) { return get(bytes, 8); }

/* Members, whose byte order is the host's. */

static uint64_t member_get(const void *member, unsigned size)
{
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (size) {
	case 1: memcpy(&u8, member, 1); return u8;
	case 2: memcpy(&u16, member, 2); return u16;
	case 4: memcpy(&u32, member, 4); return u32;
	default:
		assert(size == 8);
		memcpy(&u64, member, 8);
		return u64;
	}
}

static void member_set(void *member, uint64_t value, unsigned size)
{
	const uint8_t u8 = (uint8_t)value;
	const uint16_t u16 = (uint16_t)value;
	const uint32_t u32 = (uint32_t)value;

	switch (size) {
	case 1: memcpy(member, &u8, 1); break;
	case 2: memcpy(member, &u16, 2); break;
	case 4: memcpy(member, &u32, 4); break;
	default:
		assert(size == 8);
		memcpy(member, &value, 8);
		break;
	}
}

/* Saving. */

static size_t fields_size(const struct state_field *f)
{
	size_t size = 0;

	for (; f && f->name; f++)
		size += f->count * (f->kind == STATE_STRUCT_KIND ? fields_size(f->fields) :
								   f->size);
	return size;
}

size_t state_section_size(const struct state_section *section)
{
	return STATE_HEADER_SIZE + fields_size(section->fields);
}

static uint8_t *put_fields(const struct state_field *f, const uint8_t *from, uint8_t *out)
{
	for (; f && f->name; f++) {
		const uint8_t *member = from + f->offset;

		for (unsigned i = 0; i < f->count; i++, member += f->size) {
			if (f->kind == STATE_STRUCT_KIND) {
				out = put_fields(f->fields, member, out);
				continue;
			}
			put(out, member_get(member, f->size), f->size);
			out += f->size;
		}
	}
	return out;
}

static void put_header(const struct state_section *section, uint8_t *out)
{
	assert(strlen(section->name) < STATE_NAME_SIZE);
	memset(out, 0, STATE_NAME_SIZE);
	memcpy(out, section->name, strlen(section->name));
	state_put32(out + STATE_NAME_SIZE, section->instance);
	state_put32(out + STATE_NAME_SIZE + 4, section->version);
	state_put32(out + STATE_NAME_SIZE + 8, (uint32_t)fields_size(section->fields));
}

void state_put_section(const struct state_section *section, const void *device, uint8_t *out)
{
	const uint8_t *end __attribute__((unused));

	put_header(section, out);
	end = put_fields(section->fields, device, out + STATE_HEADER_SIZE);
	assert(end == out + state_section_size(section));
}

/* Loading. */

static int64_t sign_extend(uint64_t value, unsigned size)
{
	const unsigned shift = 64 - 8 * size;

	return (int64_t)(value << shift) >> shift;
}

static bool is_valid(const struct state_field *f, uint64_t value, uint64_t now_ns)
{
	switch (f->kind) {
	case STATE_BITS_KIND: return !(value & ~f->limit);
	case STATE_MOST_KIND: return value <= f->limit;
	case STATE_PAST_KIND: return value <= now_ns;
	case STATE_SIGNED_KIND:
		return sign_extend(value, f->size) <= (int64_t)f->limit &&
		       sign_extend(value, f->size) >= -(int64_t)f->limit;
	default: return true;
	}
}

/* The file has room for the value. The name of the field if it is not valid, else NULL. */
static const char *get_value(struct state_reader *reader, const struct state_field *f, void *member)
{
	const uint64_t value = get(reader->bytes, f->size);

	assert(reader->left >= f->size);
	if (!is_valid(f, value, reader->now_ns))
		return f->name;
	member_set(member, value, f->size);
	reader->bytes += f->size;
	reader->left -= f->size;
	return NULL;
}

/* Likewise, of the first field that is not valid. */
static const char *get_fields(struct state_reader *reader, const struct state_field *f, uint8_t *to)
{
	for (; f && f->name; f++) {
		uint8_t *member = to + f->offset;

		for (unsigned i = 0; i < f->count; i++, member += f->size) {
			const char *wrong = f->kind == STATE_STRUCT_KIND ?
						    get_fields(reader, f->fields, member) :
						    get_value(reader, f, member);

			if (wrong)
				return wrong;
		}
	}
	return NULL;
}

static bool is_named(const uint8_t *bytes, const char *name)
{
	uint8_t padded[STATE_NAME_SIZE] = { 0 };

	memcpy(padded, name, strlen(name));
	return !memcmp(bytes, padded, STATE_NAME_SIZE);
}

static int get_header(struct state_reader *reader, const struct state_section *section)
{
	const char *name = section->name;
	const uint8_t *numbers = reader->bytes + STATE_NAME_SIZE;
	const size_t want = fields_size(section->fields);
	uint32_t version, length;

	if (reader->left < STATE_HEADER_SIZE)
		return error_set(reader->error, -EINVAL, "saved state ends before %s", name);
	version = state_get32(numbers + 4);
	length = state_get32(numbers + 8);
	if (!is_named(reader->bytes, name) || state_get32(numbers) != section->instance)
		return error_set(reader->error, -EINVAL,
				 "saved state has another device where %s %u should be", name,
				 section->instance);
	if (version != section->version)
		return error_set(reader->error, -EINVAL, "saved state of %s has version %u, not %u",
				 name, version, section->version);
	if (length != want)
		return error_set(reader->error, -EINVAL, "saved state of %s has %u bytes, not %zu",
				 name, length, want);
	if (reader->left - STATE_HEADER_SIZE < want)
		return error_set(reader->error, -EINVAL, "saved state ends within %s", name);
	reader->bytes += STATE_HEADER_SIZE;
	reader->left -= STATE_HEADER_SIZE;
	return 0;
}

int state_get_section(struct state_reader *reader, const struct state_section *section,
		      void *device)
{
	const char *wrong;
	int err = get_header(reader, section);

	if (err)
		return err;
	wrong = get_fields(reader, section->fields, device);
	return wrong ? error_set(reader->error, -EINVAL, "saved state of %s %u: %s is not valid",
				 section->name, section->instance, wrong) :
		       0;
}
