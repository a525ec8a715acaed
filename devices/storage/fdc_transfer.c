/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that move data, sector by sector. Of each sector the ID is looked for first. What is
 * read goes from the block device into data[], and from there to the host; what is written goes
 * the other way. Before a command that has written ends, what it wrote is flushed: a floppy has no
 * cache, so what it calls written is on the disk.
 *
 * A command ends by terminal count of the DMA controller, after the last sector of the track, or
 * with an error. Without DMA there is no terminal count; then all but VERIFY and SCAN end with
 * "end of cylinder", as on the chip.
 */
#include <errno.h>
#include <string.h>

#include "fdc_internal.h"

#define ERROR_NS    1000000ull    /* what cannot be read takes that long to be found out */
#define ID_NS       200000ull     /* a sector passes the head */
#define PATIENCE_NS 1000000000ull /* before DMA that does not come is an overrun */

#define SIZE_512 2 /* the code of a sector's size */
#define ID_BYTES 4
#define VERIFY_COUNT 0x80u /* in its second byte: the last one is a number of sectors */

#define OPERATION    0x1fu
#define READ_DELETED 0x0cu
#define SCAN_LOW     0x19u
#define SCAN_HIGH    0x1du

static struct fdc_drive *drive_of(struct fdc *f)
{
	return &f->drive[f->s.unit];
}

static unsigned operation(const struct fdc *f)
{
	return f->s.command[0] & OPERATION;
}

/* Sectors that were written as deleted are wanted, of which there are none. */
static bool wants_deleted(const struct fdc *f)
{
	return operation(f) == READ_DELETED;
}

bool fdc_is_to_host(const struct fdc *f)
{
	return f->s.goal == FDC_READ || f->s.goal == FDC_READ_TRACK;
}

/* ---- ends ---- */

static uint8_t size_code(const struct fdc *f)
{
	switch (f->s.goal) {
	case FDC_READ_ID: return SIZE_512;
	case FDC_FORMAT: return f->s.command[2];
	default: return f->s.command[5];
	}
}

static void finish(struct fdc *f)
{
	const uint8_t result[] = {
		f->s.st0 | (f->s.side ? ST0_HEAD : 0) | f->s.unit, f->s.st1, f->s.st2,
		f->s.c, f->s.h, f->s.r, size_code(f),
	};

	memcpy(f->s.result, result, sizeof(result));
	fdc_result(f, sizeof(result));
	fdc_interrupt(f, FDC_INT_DATA, true);
}

static void start_request(struct fdc *f, enum block_kind kind);

static void conclude(struct fdc *f)
{
	if (f->s.written && drive_of(f)->block)
		start_request(f, BLOCK_FLUSH);
	else
		finish(f);
}

static void wait_for(struct fdc *f, uint64_t ns)
{
	f->s.phase = FDC_WAIT;
	f->s.wait_end_ns = fdc_in(f, ns);
	fdc_arm(f);
}

static void note_error(struct fdc *f, uint8_t st1, uint8_t st2)
{
	f->s.st0 |= ST0_ABNORMAL;
	f->s.st1 |= st1;
	f->s.st2 |= st2;
}

/* The command ends with these bits, a little later. */
static void fail(struct fdc *f, uint8_t st1, uint8_t st2)
{
	note_error(f, st1, st2);
	wait_for(f, ERROR_NS);
}

void fdc_disk_lost(struct fdc *f)
{
	fdc_forget_request(f);
	dma_request(&f->dma, false);
	fdc_interrupt(f, FDC_INT_DATA, false);
	f->s.written = false;
	fail(f, ST1_NO_MARK, 0);
}

/* ---- where a sector is ---- */

/* Whether anything can be read that way at all. */
static bool is_readable(struct fdc *f)
{
	const struct fdc_drive *d = drive_of(f);

	return d->block && fdc_motor_runs(f, f->s.unit) && f->s.command[0] & COMMAND_MFM &&
	       d->format->rates >> f->s.rate & 1 && fdc_cylinder(d) >= 0 &&
	       f->s.side < d->format->heads;
}

/* Of a sector of the track under the head. */
static void set_sector(struct fdc *f, unsigned r)
{
	struct fdc_drive *d = drive_of(f);
	const struct floppy_format *format = d->format;
	const uint32_t track = (uint32_t)fdc_cylinder(d) * format->heads + f->s.side;

	f->s.sector = track * format->sectors + r - 1;
	d->s.passing = (uint8_t)(r % format->sectors);
}

/* All of a track is read from its beginning, whatever the IDs. */
static bool find_on_track(struct fdc *f)
{
	const struct fdc_drive *d = drive_of(f);

	if (f->s.c != fdc_cylinder(d) || f->s.h != f->s.side || size_code(f) != SIZE_512)
		f->s.st1 |= ST1_NO_DATA;
	set_sector(f, (f->s.r - 1u) % d->format->sectors + 1);
	return true;
}

/* The sector whose ID is wanted. False: there is none, and the command has failed. */
static bool find_sector(struct fdc *f)
{
	const struct fdc_drive *d = drive_of(f);

	if (!is_readable(f)) {
		fail(f, ST1_NO_MARK, 0);
		return false;
	}
	if (f->s.goal == FDC_READ_TRACK)
		return find_on_track(f);
	if (f->s.c != fdc_cylinder(d)) {
		fail(f, ST1_NO_DATA, ST2_CYLINDER);
		return false;
	}
	if (f->s.h != f->s.side || size_code(f) != SIZE_512 || !f->s.r ||
	    f->s.r > d->format->sectors) {
		fail(f, ST1_NO_DATA, 0);
		return false;
	}
	set_sector(f, f->s.r);
	return true;
}

/* ---- requests to the block device ---- */

static void sector_done(struct fdc *f);
static void next_sector(struct fdc *f);
static void host_begins(struct fdc *f, unsigned bytes);

static void request_failed(struct fdc *f, int err)
{
	const bool reading = f->request.kind == BLOCK_READ,
		   flushing = f->s.request_kind == BLOCK_FLUSH;

	note_error(f, err == -EROFS ? ST1_PROTECTED : ST1_DATA, reading ? ST2_DATA : 0);
	if (flushing) {
		f->s.written = false;
		finish(f);
	} else {
		conclude(f); /* what was written before is flushed */
	}
}

static void formatted(struct fdc *f)
{
	f->s.left--;
	if (f->s.left && !f->s.end)
		host_begins(f, ID_BYTES);
	else
		conclude(f);
}

static void piece_done(struct fdc *f)
{
	if (f->request.kind == BLOCK_FLUSH) {
		f->s.written = false;
		finish(f);
	} else if (f->request.kind == BLOCK_READ && f->s.goal != FDC_VERIFY) {
		host_begins(f, BLOCK_SECTOR);
	} else if (f->s.goal == FDC_FORMAT) {
		formatted(f);
	} else {
		sector_done(f);
	}
}

/* The image ends before the sector (floppy_format_find()). */
static bool is_missing(struct fdc *f)
{
	return f->s.request_kind != BLOCK_FLUSH && f->s.sector >= drive_of(f)->block->sectors;
}

static void request_done(void *opaque, struct block_request *request, int err)
{
	struct fdc *f = opaque;

	f->requested = NULL;
	if (is_missing(f)) {
		memset(f->s.data, 0, BLOCK_SECTOR);
		err = f->s.request_kind == BLOCK_READ ? 0 : -ENOSPC;
	}
	if (err)
		request_failed(f, err);
	else
		piece_done(f);
}

static void start_request(struct fdc *f, enum block_kind kind)
{
	struct block_device *block = drive_of(f)->block;

	f->s.phase = FDC_DISK;
	f->s.request_kind = (uint8_t)kind;
	f->s.written |= kind == BLOCK_WRITE;
	f->request = (struct block_request){
		.kind = kind, .sector = f->s.sector, .count = 1, .buffer = f->s.data,
		.done = request_done, .opaque = f,
	};
	if (is_missing(f)) { /* all that matters is that it ends later */
		f->request.kind = kind == BLOCK_WRITE ? BLOCK_FLUSH : kind;
		f->request.sector = 0;
	}
	f->requested = block;
	block_submit(block, &f->request);
}

void fdc_repeat_request(struct fdc *f)
{
	start_request(f, (enum block_kind)f->s.request_kind);
}

void fdc_forget_request(struct fdc *f)
{
	if (f->requested)
		block_cancel(f->requested, &f->request);
	f->requested = NULL;
}

/* ---- the host's turn ---- */

/* A sector that does not fit what SCAN looks for; *equal: all of it is the same. */
static bool scan_fits(const struct fdc *f, bool *equal)
{
	*equal = true;
	for (unsigned i = 0; i < f->s.position; i++) {
		const uint8_t disk = f->s.data[i], host = f->s.compared[i];

		if (disk == host || disk == 0xff || host == 0xff)
			continue;
		*equal = false;
		if (operation(f) != (disk < host ? SCAN_LOW : SCAN_HIGH))
			return false;
	}
	return true;
}

static void scanned(struct fdc *f)
{
	bool equal;

	if (!scan_fits(f, &equal)) {
		if (f->s.end)
			f->s.st2 |= ST2_SCAN_NOT;
		sector_done(f);
		return;
	}
	f->s.st2 |= equal ? ST2_SCAN_EQUAL : 0;
	conclude(f);
}

/* The four bytes of an ID are in data[]; it can only be what the image has room for. */
static void format_sector(struct fdc *f)
{
	const struct fdc_drive *d = drive_of(f);
	const uint8_t *id = f->s.data;

	f->s.c = id[0];
	f->s.h = id[1];
	f->s.r = id[2];
	if (f->s.position < ID_BYTES) { /* terminal count came too early */
		conclude(f);
		return;
	}
	if (!is_readable(f)) {
		fail(f, ST1_NO_MARK, 0);
		return;
	}
	if (f->s.c != fdc_cylinder(d) || f->s.h != f->s.side || id[3] != SIZE_512 || !f->s.r ||
	    f->s.r > d->format->sectors) {
		fail(f, ST1_DATA, 0);
		return;
	}
	set_sector(f, f->s.r);
	memset(f->s.data, f->s.command[5], BLOCK_SECTOR);
	start_request(f, BLOCK_WRITE);
}

static void host_done(struct fdc *f)
{
	f->s.wait_end_ns = 0;
	dma_request(&f->dma, false);
	fdc_interrupt(f, FDC_INT_DATA, false);
	switch (f->s.goal) {
	case FDC_WRITE: /* what terminal count cut off is zeros */
		memset(f->s.data + f->s.position, 0, BLOCK_SECTOR - f->s.position);
		if (drive_of(f)->block)
			start_request(f, BLOCK_WRITE);
		break;
	case FDC_FORMAT: format_sector(f); break;
	case FDC_SCAN: scanned(f); break;
	default: sector_done(f);
	}
}

static uint8_t *host_bytes(struct fdc *f)
{
	return (f->s.goal == FDC_SCAN ? f->s.compared : f->s.data) + f->s.position;
}

static void host_begins(struct fdc *f, unsigned bytes)
{
	f->s.phase = FDC_HOST;
	f->s.bytes = (uint16_t)bytes;
	f->s.position = 0;
	if (!fdc_has_dma(f)) {
		fdc_interrupt(f, FDC_INT_DATA, true);
		return;
	}
	f->s.wait_end_ns = fdc_in(f, PATIENCE_NS);
	fdc_arm(f);
	dma_request(&f->dma, f->s.dor & DOR_GATE);
}

void fdc_served(void *opaque, unsigned n, uint32_t value)
{
	struct fdc *f = opaque;
	uint32_t moved;
	bool end;

	if (f->s.phase != FDC_HOST || !fdc_has_dma(f)) {
		dma_request(&f->dma, false);
		return;
	}
	moved = dma_transfer(&f->dma, fdc_is_to_host(f) ? DMA_TO_MEMORY : DMA_FROM_MEMORY,
			     host_bytes(f), f->s.bytes - f->s.position, &end);
	f->s.position = (uint16_t)(f->s.position + moved);
	f->s.end |= end;
	if (end || f->s.position == f->s.bytes)
		host_done(f);
}

uint8_t fdc_data_read(struct fdc *f)
{
	const uint8_t value = *host_bytes(f);

	if (++f->s.position == f->s.bytes)
		host_done(f);
	return value;
}

void fdc_data_write(struct fdc *f, uint8_t value)
{
	*host_bytes(f) = value;
	if (++f->s.position == f->s.bytes)
		host_done(f);
}

/* ---- from sector to sector ---- */

/* On to the next sector, also of the other side (MT). False: it was the last. */
static bool step(struct fdc *f)
{
	const unsigned by = f->s.goal == FDC_SCAN && f->s.command[8] == 2 ? 2 : 1;
	const bool both = f->s.command[0] & COMMAND_MULTI_TRACK;

	if (f->s.goal == FDC_READ_TRACK ? f->s.r < f->s.eot : f->s.r != f->s.eot) {
		const bool beyond = f->s.r < f->s.eot && f->s.r + by > f->s.eot;

		f->s.r = (uint8_t)(f->s.r + by);
		if (!beyond)
			return true;
	}
	f->s.r = 1;
	if (both)
		f->s.h ^= 1;
	if (both && !f->s.side) {
		f->s.side = 1;
		return true;
	}
	f->s.c++;
	return false;
}

/* The last sector is done, and nobody said that it is enough. */
static void cylinder_ends(struct fdc *f)
{
	if (f->s.goal == FDC_SCAN)
		f->s.st2 |= ST2_SCAN_NOT;
	else if (f->s.goal != FDC_VERIFY || f->s.left)
		note_error(f, ST1_END, 0);
	conclude(f);
}

static void sector_done(struct fdc *f)
{
	bool more;

	if (wants_deleted(f)) { /* one of the other kind ends it */
		conclude(f);
		return;
	}
	more = step(f);
	if (f->s.left && !--f->s.left)
		f->s.end = true;
	if (f->s.end)
		conclude(f);
	else if (more)
		next_sector(f);
	else
		cylinder_ends(f);
}

static void next_sector(struct fdc *f)
{
	if (!find_sector(f))
		return;
	if (f->s.goal == FDC_WRITE)
		host_begins(f, BLOCK_SECTOR);
	else
		start_request(f, BLOCK_READ);
}

/* With SK: all sectors, which are of the other kind, are passed over. */
static void skip_all(struct fdc *f)
{
	while (find_sector(f)) {
		if (step(f))
			continue;
		fail(f, ST1_END, 0);
		return;
	}
}

static void begin(struct fdc *f)
{
	const struct block_device *block = drive_of(f)->block;
	const bool writes = f->s.goal == FDC_WRITE || f->s.goal == FDC_FORMAT;

	if (!is_readable(f)) {
		fail(f, ST1_NO_MARK, 0);
	} else if (writes && block->read_only) {
		fail(f, ST1_PROTECTED, 0);
	} else if (f->s.goal == FDC_READ_ID) {
		wait_for(f, ID_NS);
	} else if (f->s.goal == FDC_FORMAT && f->s.left) {
		host_begins(f, ID_BYTES);
	} else if (f->s.goal == FDC_FORMAT) {
		wait_for(f, ID_NS);
	} else {
		f->s.st2 |= wants_deleted(f) ? ST2_CONTROL : 0;
		if (wants_deleted(f) && f->s.command[0] & COMMAND_SKIP)
			skip_all(f);
		else
			next_sector(f);
	}
}

/* Where the command's bytes say what there is to do. */
static void take_parameters(struct fdc *f, enum fdc_goal goal)
{
	const uint8_t *p = f->s.command;

	f->s.left = 0;
	if (goal == FDC_FORMAT) {
		f->s.left = f->s.eot = p[3];
	} else if (goal != FDC_READ_ID) {
		f->s.c = p[2];
		f->s.h = p[3];
		f->s.r = p[4];
		f->s.eot = p[6];
	}
	if (goal == FDC_VERIFY && p[1] & VERIFY_COUNT)
		f->s.left = p[8] ? p[8] : 256;
	if (goal == FDC_READ_TRACK) {
		f->s.st1 = p[4] == 1 ? 0 : ST1_NO_DATA;
		f->s.r = 1;
	}
}

static void implied_seek(struct fdc *f)
{
	struct fdc_drive *d = drive_of(f);

	if (!(f->s.configure & CONFIGURE_IMPLIED_SEEK) || f->s.goal == FDC_FORMAT ||
	    f->s.goal == FDC_READ_ID)
		return;
	fdc_step(d, (int)f->s.c - d->s.pcn);
	d->s.pcn = f->s.c;
	f->s.st0 |= ST0_SEEK_END;
}

void fdc_transfer(struct fdc *f, enum fdc_goal goal)
{
	f->s.goal = (uint8_t)goal;
	f->s.unit = f->s.command[1] & DOR_UNIT;
	f->s.side = !!(f->s.command[1] & ST0_HEAD);
	f->s.st0 = f->s.st1 = f->s.st2 = 0;
	f->s.end = f->s.written = false;
	take_parameters(f, goal);
	implied_seek(f);
	begin(f);
}

/* The ID of the sector that passes the head. */
static void take_id(struct fdc *f)
{
	struct fdc_drive *d = drive_of(f);

	if (!is_readable(f)) {
		note_error(f, ST1_NO_MARK, 0);
		return;
	}
	f->s.c = (uint8_t)fdc_cylinder(d);
	f->s.h = f->s.side;
	f->s.r = (uint8_t)(d->s.passing % d->format->sectors + 1);
	d->s.passing = (uint8_t)(f->s.r % d->format->sectors);
}

void fdc_wait_ends(struct fdc *f)
{
	f->s.wait_end_ns = 0;
	if (f->s.phase == FDC_HOST) {
		dma_request(&f->dma, false);
		note_error(f, ST1_OVERRUN, 0);
		conclude(f);
	} else if (f->s.phase == FDC_WAIT) {
		if (f->s.goal == FDC_READ_ID && !(f->s.st0 & ST0_ABNORMAL))
			take_id(f);
		conclude(f);
	}
}
