/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Floppy drives: which disks they take, and where their heads are. */
#include "fdc_internal.h"

#define TRACKS 84 /* as far as the head can be moved */

/* Codes of the rate select register. A 5.25-inch drive turns DD disks at 300 or at 360 rpm. */
#define RATE_500K 0x01u
#define RATE_300K 0x02u
#define RATE_250K 0x04u
#define RATE_1M   0x08u

const struct floppy_format *floppy_format_find(uint64_t sectors)
{
	enum { HD = 8 };
	static const struct floppy_format formats[] = {
		{ 40, 1, 8, RATE_250K | RATE_300K, FLOPPY_360K },
		{ 40, 1, 9, RATE_250K | RATE_300K, FLOPPY_360K },
		{ 40, 2, 8, RATE_250K | RATE_300K, FLOPPY_360K },
		{ 40, 2, 9, RATE_250K | RATE_300K, FLOPPY_360K },
		{ 80, 2, 9, RATE_250K, FLOPPY_1440K },
		{ 80, 2, 15, RATE_500K, FLOPPY_1200K },
		{ 80, 2, 21, RATE_500K, FLOPPY_1440K },
		{ 80, 2, 36, RATE_1M, FLOPPY_2880K },
		[HD] = { 80, 2, 18, RATE_500K, FLOPPY_1440K },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(formats); i++) {
		const struct floppy_format *f = &formats[i];

		if (sectors == (uint64_t)f->cylinders * f->heads * f->sectors)
			return f;
	}
	return sectors && sectors < 2880 ? &formats[HD] : NULL;
}

/* Drives of 3.5 inches are in the order of what they take, and so are those of 5.25. */
bool floppy_drive_takes(enum floppy_drive_type type, const struct floppy_format *format)
{
	static const uint8_t takes[FLOPPY_TYPES] = {
		[FLOPPY_360K] = 1u << FLOPPY_360K,
		[FLOPPY_1200K] = 1u << FLOPPY_360K | 1u << FLOPPY_1200K,
		[FLOPPY_720K] = 1u << FLOPPY_720K,
		[FLOPPY_1440K] = 1u << FLOPPY_720K | 1u << FLOPPY_1440K,
		[FLOPPY_2880K] = 1u << FLOPPY_720K | 1u << FLOPPY_1440K | 1u << FLOPPY_2880K,
	};
	const bool low = format->cylinders == 80 && format->sectors == 9;

	return takes[type] >> (low ? FLOPPY_720K : format->type) & 1;
}

const char *floppy_drive_name(enum floppy_drive_type type)
{
	static const char *const names[FLOPPY_TYPES] = { "no", "360K", "1.2M", "720K", "1.44M",
							 "2.88M" };

	return names[type];
}

void fdc_step(struct fdc_drive *d, int steps)
{
	int track = d->s.track + steps;

	track = track < 0 ? 0 : track >= TRACKS ? TRACKS - 1 : track;
	/* A step tells the drive that the change of disks was noticed. */
	if (steps && d->block)
		d->s.changed = false;
	d->s.track = (uint8_t)track;
}

int fdc_cylinder(const struct fdc_drive *d)
{
	int track = d->s.track;

	if (!d->block)
		return -1;
	/* The tracks of a 40-track disk are twice as far apart. */
	if (d->type == FLOPPY_1200K && d->format->cylinders == 40) {
		if (track & 1)
			return -1;
		track /= 2;
	}
	return track < d->format->cylinders ? track : -1;
}

bool fdc_motor_runs(const struct fdc *f, unsigned unit)
{
	return f->s.dor & DOR_MOTOR << unit;
}

void fdc_set_disk(struct fdc *f, unsigned n, struct block_device *block)
{
	struct fdc_drive *d = &f->drive[n];
	const bool busy = f->s.unit == n && (f->s.phase == FDC_DISK || f->s.phase == FDC_HOST);

	if (busy)
		fdc_disk_lost(f);
	d->block = block;
	d->format = block ? floppy_format_find(block->sectors) : NULL;
	d->s.changed = true;
}
