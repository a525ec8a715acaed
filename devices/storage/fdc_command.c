/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands (82077AA, "Command Set/Descriptions"): which there are, how many bytes each has, and
 * those that move no data. A command that is none is answered by 80h.
 */
#include <string.h>

#include "fdc_internal.h"

#define SEEK_NS 100000ull /* a drive could not be faster; software has time to begin to wait */

#define RECALIBRATE_STEPS 79
#define VERSION_82077 0x90u
#define PERPENDICULAR_OVERWRITE 0x80u
#define RELATIVE_INWARDS 0x40u
#define LOCK 0x80u

static unsigned unit_of(const struct fdc *f)
{
	return f->s.command[1] & DOR_UNIT;
}

static uint8_t head_bit(const struct fdc *f)
{
	return f->s.command[1] & ST0_HEAD;
}

static void invalid(struct fdc *f)
{
	f->s.result[0] = ST0_INVALID;
	fdc_result(f, 1);
}

/* ---- settings ---- */

static void specify(struct fdc *f)
{
	memcpy(f->s.specify, &f->s.command[1], sizeof(f->s.specify));
	fdc_idle(f);
}

static void configure(struct fdc *f)
{
	f->s.configure = f->s.command[2];
	f->s.pretrack = f->s.command[3];
	fdc_idle(f);
}

/* The drives' bits are changed only along with bit 7. */
static void perpendicular(struct fdc *f)
{
	const uint8_t value = f->s.command[1],
		      kept = value & PERPENDICULAR_OVERWRITE ? value & 0x3c :
							       f->s.perpendicular & 0x3c;

	f->s.perpendicular = kept | (value & 0x03);
	fdc_idle(f);
}

static void lock(struct fdc *f)
{
	f->s.locked = f->s.command[0] & LOCK;
	f->s.result[0] = f->s.locked ? 0x10 : 0;
	fdc_result(f, 1);
}

static void version(struct fdc *f)
{
	f->s.result[0] = VERSION_82077;
	fdc_result(f, 1);
}

static void dump_registers(struct fdc *f)
{
	uint8_t *r = f->s.result;

	for (unsigned i = 0; i < FDC_UNITS; i++)
		r[i] = f->drive[i].s.pcn;
	r[4] = f->s.specify[0];
	r[5] = f->s.specify[1];
	r[6] = f->s.eot;
	r[7] = f->s.perpendicular | (f->s.locked ? 0x80 : 0);
	r[8] = f->s.configure;
	r[9] = f->s.pretrack;
	fdc_result(f, 10);
}

/* ---- drives ---- */

static void sense_drive(struct fdc *f)
{
	const struct fdc_drive *d = &f->drive[unit_of(f)];
	uint8_t st3 = ST3_ALWAYS | head_bit(f) | (uint8_t)unit_of(f);

	if (d->type != FLOPPY_NONE && !d->s.track)
		st3 |= ST3_TRACK0;
	if (d->block && d->block->read_only)
		st3 |= ST3_PROTECTED;
	f->s.result[0] = st3;
	fdc_result(f, 1);
}

/* The head is there at once; that it is comes to be known a little later. */
static void seek_begins(struct fdc *f, uint8_t st0)
{
	struct fdc_drive *d = &f->drive[unit_of(f)];

	d->s.seek_done = false;
	d->s.seek_st0 = st0 | head_bit(f) | (uint8_t)unit_of(f);
	d->s.seek_end_ns = fdc_in(f, SEEK_NS);
	fdc_arm(f);
	fdc_idle(f);
}

void fdc_seek_ends(struct fdc *f, unsigned unit)
{
	struct fdc_drive *d = &f->drive[unit];

	d->s.seek_end_ns = 0;
	d->s.seek_done = true;
	fdc_interrupt(f, FDC_INT_SEEK, true);
}

static void seek(struct fdc *f)
{
	struct fdc_drive *d = &f->drive[unit_of(f)];
	const uint8_t to = f->s.command[2];

	fdc_step(d, (int)to - d->s.pcn);
	d->s.pcn = to;
	seek_begins(f, ST0_SEEK_END);
}

/* The register counts on, whether or not the head can be moved so far. */
static void relative_seek(struct fdc *f)
{
	struct fdc_drive *d = &f->drive[unit_of(f)];
	const int by = f->s.command[0] & RELATIVE_INWARDS ? f->s.command[2] : -f->s.command[2];

	fdc_step(d, by);
	d->s.pcn = (uint8_t)(d->s.pcn + by);
	seek_begins(f, ST0_SEEK_END);
}

/* Steps outwards until the drive says that this is track 0, or too often. */
static void recalibrate(struct fdc *f)
{
	struct fdc_drive *d = &f->drive[unit_of(f)];
	const int steps = d->s.track < RECALIBRATE_STEPS ? d->s.track : RECALIBRATE_STEPS;

	fdc_step(d, -steps);
	d->s.pcn = 0;
	f->s.command[1] &= (uint8_t)~ST0_HEAD;
	seek_begins(f, d->type != FLOPPY_NONE && !d->s.track ?
			       ST0_SEEK_END :
			       ST0_ABNORMAL | ST0_SEEK_END | ST0_EQUIPMENT);
}

/* The drive that a finished seek is told of next; -1: none. */
static int sought(const struct fdc *f)
{
	for (unsigned i = 0; i < FDC_UNITS; i++)
		if (f->drive[i].s.seek_done)
			return (int)i;
	return -1;
}

/* After a reset each of four drives is to be asked for; then come seeks that are over. */
static void sense_interrupt(struct fdc *f)
{
	unsigned unit;

	if (f->s.reset_senses) {
		unit = FDC_UNITS - f->s.reset_senses--;
		f->s.result[0] = (uint8_t)(ST0_POLLED | unit);
	} else if (sought(f) >= 0) {
		unit = (unsigned)sought(f);
		f->s.result[0] = f->drive[unit].s.seek_st0;
		f->drive[unit].s.seek_done = false;
	} else {
		invalid(f);
		return;
	}
	f->s.result[1] = f->drive[unit].s.pcn;
	fdc_interrupt(f, FDC_INT_SEEK, !f->s.reset_senses && sought(f) >= 0);
	fdc_result(f, 2);
}

/* ---- data ---- */

static void read_data(struct fdc *f) { fdc_transfer(f, FDC_READ); }
static void read_track(struct fdc *f) { fdc_transfer(f, FDC_READ_TRACK); }
static void read_id(struct fdc *f) { fdc_transfer(f, FDC_READ_ID); }
static void write_data(struct fdc *f) { fdc_transfer(f, FDC_WRITE); }
static void format(struct fdc *f) { fdc_transfer(f, FDC_FORMAT); }
static void verify(struct fdc *f) { fdc_transfer(f, FDC_VERIFY); }
static void scan(struct fdc *f) { fdc_transfer(f, FDC_SCAN); }

struct fdc_operation {
	uint8_t code, mask; /* bits of the first byte that tell the command */
	uint8_t parameters;
	void (*execute)(struct fdc *f);
};

static const struct fdc_operation *find(uint8_t command)
{
	static const struct fdc_operation operations[] = {
		{ 0x02, 0x9f, 8, read_track }, { 0x03, 0xff, 2, specify },
		{ 0x04, 0xff, 1, sense_drive }, { 0x05, 0x1f, 8, write_data },
		{ 0x06, 0x1f, 8, read_data }, { 0x07, 0xff, 1, recalibrate },
		{ 0x08, 0xff, 0, sense_interrupt }, { 0x09, 0x1f, 8, write_data },
		{ 0x0a, 0xbf, 1, read_id }, { 0x0c, 0x1f, 8, read_data },
		{ 0x0d, 0xbf, 5, format }, { 0x0e, 0xff, 0, dump_registers },
		{ 0x0f, 0xff, 2, seek }, { 0x8f, 0xbf, 2, relative_seek },
		{ 0x10, 0xff, 0, version }, { 0x11, 0x1f, 8, scan },
		{ 0x12, 0xff, 1, perpendicular }, { 0x13, 0xff, 3, configure },
		{ 0x14, 0x7f, 0, lock }, { 0x16, 0x1f, 8, verify },
		{ 0x19, 0x1f, 8, scan }, { 0x1d, 0x1f, 8, scan },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(operations); i++)
		if ((command & operations[i].mask) == operations[i].code)
			return &operations[i];
	return NULL;
}

unsigned fdc_parameters(uint8_t command)
{
	const struct fdc_operation *o = find(command);

	return o ? o->parameters : 0;
}

void fdc_execute(struct fdc *f)
{
	const struct fdc_operation *o = find(f->s.command[0]);

	if (o)
		o->execute(f);
	else
		invalid(f);
}
