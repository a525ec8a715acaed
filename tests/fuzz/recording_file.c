/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recordings as files: the header, and the body's compression; see recording.h. */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "recording.h"

#define MAGIC       "RFANSWER"
#define START       16u        /* of what the checksum is of */
#define IDENTITY    80u
#define HEADER      (START + IDENTITY + 8 + 4 + 4 + 4)
#define LARGEST     (512u << 20)
#define REMEDY      "restore the file, or record it anew (docs/testing.md)"

_Static_assert(sizeof(struct recording_identity) == IDENTITY, "no padding in the file");

#define SAY(...) (snprintf(text, size, __VA_ARGS__), false)

/* --- who --- */

void recording_identify(struct recording_identity *identity, enum recording_judge judge)
{
	uint32_t a, b, c, d, *brand = (uint32_t *)identity->brand;

	memset(identity, 0, sizeof(*identity));
	identity->judge = judge;
	__cpuid(0, a, b, c, d);
	memcpy(identity->vendor, (const uint32_t[]){ b, d, c }, sizeof(identity->vendor));
	__cpuid(1, identity->signature, b, identity->features[0], identity->features[1]);
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
		identity->features[2] = b;
	for (unsigned n = 0; n < 3; n++, brand += 4)
		__get_cpuid(0x80000002 + n, &brand[0], &brand[1], &brand[2], &brand[3]);
}

void recording_describe(const struct recording_identity *identity, char *text, size_t size)
{
	const uint32_t s = identity->signature, family = s >> 8 & 15, model = s >> 4 & 15;
	char processor[120];
	size_t end = strnlen(identity->brand, sizeof(identity->brand));

	while (end && identity->brand[end - 1] == ' ')
		end--;
	snprintf(processor, sizeof(processor), "%.12s family %u, model %u, stepping %u (%.*s)",
		 identity->vendor, family + (family == 15 ? s >> 20 & 0xff : 0),
		 model | (family == 6 || family == 15 ? s >> 12 & 0xf0 : 0), s & 15, (int)end,
		 identity->brand);
	if (identity->judge == JUDGE_PROCESSOR)
		snprintf(text, size, "answered by the processor %s", processor);
	else
		snprintf(text, size,
			 "answered by ringfence's interpreter and NOT BY A PROCESSOR, on %s",
			 processor);
}

/* --- writing --- */

static void put(uint8_t **to, const void *from, size_t size)
{
	memcpy(*to, from, size);
	*to += size;
}

#define PUT(to, x) put(to, &(x), sizeof(x))

static void fill_header(uint8_t *file, const struct recording *r, uint32_t length, uint32_t packed)
{
	const uint32_t version = RECORDING_VERSION;
	uint8_t *to = file;
	uint32_t sum;

	put(&to, MAGIC, 8);
	PUT(&to, version);
	to += sizeof(sum);
	PUT(&to, r->identity);
	PUT(&to, r->seed);
	PUT(&to, r->batches);
	PUT(&to, length);
	PUT(&to, packed);
	sum = crc32(0, file + START, HEADER - START + packed);
	memcpy(file + 12, &sum, sizeof(sum));
}

static bool write_file(const char *path, const uint8_t *file, size_t size)
{
	FILE *f = fopen(path, "wb");
	bool good;

	if (!f)
		return false;
	good = fwrite(file, 1, size, f) == size;
	return !fclose(f) && good;
}

bool recording_write(const struct recording *r, const char *path, char *text, size_t size)
{
	uLongf packed = compressBound(r->body.at);
	uint8_t *file = malloc(HEADER + packed);
	bool good = file && r->body.at <= LARGEST &&
		    compress2(file + HEADER, &packed, r->body.data, r->body.at,
			      Z_BEST_COMPRESSION) == Z_OK;

	if (!good) {
		free(file);
		return SAY("%s: too many cases to be put into one file: fewer, by --cases", path);
	}
	fill_header(file, r, r->body.at, packed);
	good = write_file(path, file, HEADER + packed);
	free(file);
	return good || SAY("%s: cannot be written: %s", path, strerror(errno));
}

/* --- reading --- */

static void get(const uint8_t **from, void *to, size_t size)
{
	memcpy(to, *from, size);
	*from += size;
}

#define GET(from, x) get(from, &(x), sizeof(x))

static uint8_t *slurp(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *file = NULL;
	long length = 0;

	if (!f)
		return NULL;
	if (!fseek(f, 0, SEEK_END) && (length = ftell(f)) >= 0 && !fseek(f, 0, SEEK_SET))
		file = malloc(length + 1);
	if (file && fread(file, 1, length, f) != (size_t)length) {
		free(file);
		file = NULL;
	}
	fclose(f);
	*size = length;
	return file;
}

static bool unpack(struct recording *r, const uint8_t *from, uint32_t length, uint32_t packed)
{
	uLongf got = length;

	r->body = (struct recording_bytes){ .data = malloc(length + 1), .size = length };
	if (r->body.data && uncompress(r->body.data, &got, from, packed) == Z_OK && got == length)
		return true;
	recording_free(r);
	return false;
}

static bool parse(struct recording *r, const char *path, const uint8_t *file, size_t there,
		  char *text, size_t size)
{
	const uint8_t *from = file + 8;
	uint32_t version, sum, length, packed;

	if (there < START || memcmp(file, MAGIC, 8))
		return SAY("%s: is no recording of the fuzzer's: " REMEDY, path);
	GET(&from, version);
	GET(&from, sum);
	if (version != RECORDING_VERSION)
		return SAY("%s: is of version %u, and this fuzzer reads version %u: "
			   "record it anew with this one (docs/testing.md)",
			   path, version, RECORDING_VERSION);
	if (there < HEADER)
		return SAY("%s: is truncated in its header: " REMEDY, path);
	GET(&from, r->identity);
	GET(&from, r->seed);
	GET(&from, r->batches);
	GET(&from, length);
	GET(&from, packed);
	if (there - HEADER < packed)
		return SAY("%s: is truncated: it has %zu bytes of %zu; " REMEDY, path, there,
			   HEADER + (size_t)packed);
	if (there - HEADER > packed || sum != crc32(0, file + START, there - START) ||
	    length > LARGEST || !unpack(r, from, length, packed))
		return SAY("%s: is damaged (its checksum is wrong): " REMEDY, path);
	return true;
}

bool recording_read(struct recording *r, const char *path, char *text, size_t size)
{
	size_t there;
	uint8_t *file = slurp(path, &there);
	bool good;

	*r = (struct recording){ .batches = 0 };
	if (!file)
		return SAY("%s: cannot be read: %s", path, strerror(errno));
	good = parse(r, path, file, there, text, size);
	free(file);
	return good;
}

void recording_free(struct recording *r)
{
	free(r->body.data);
	r->body = (struct recording_bytes){ .data = NULL };
}
