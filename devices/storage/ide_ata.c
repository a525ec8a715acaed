/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of a disk (ATA/ATAPI-6, chapter 8). */
#include <string.h>

#include "ide_internal.h"

#define MULTIPLE_MOST 16u
#define LBA28_SECTORS 0x10000000ull

enum {
	FEATURE_WRITE_CACHE_ON = 0x02, FEATURE_MODE = 0x03, FEATURE_NO_LOOK_AHEAD = 0x55,
	FEATURE_KEEP = 0x66, FEATURE_WRITE_CACHE_OFF = 0x82, FEATURE_LOOK_AHEAD = 0xaa,
	FEATURE_REVERT = 0xcc,
};

/* How a command's sectors are moved. */
struct ata_move {
	enum ide_goal goal;
	bool wide;     /* 48-bit addresses */
	bool multiple; /* in blocks */
};

/* ---- addresses ---- */

static uint32_t sector_count(const struct ide_drive *d, bool wide)
{
	uint32_t count = d->s.count[0];

	if (wide)
		count |= (uint32_t)d->s.count[1] << 8;
	return count ? count : wide ? 0x10000 : 0x100;
}

static uint64_t address48(const struct ide_drive *d)
{
	return d->s.lba_low[0] | d->s.lba_mid[0] << 8 | d->s.lba_high[0] << 16 |
	       (uint64_t)d->s.lba_low[1] << 24 | (uint64_t)d->s.lba_mid[1] << 32 |
	       (uint64_t)d->s.lba_high[1] << 40;
}

/* By cylinder, head and sector; UINT64_MAX where there is none. */
static uint64_t address_chs(const struct ide_drive *d)
{
	const uint32_t cylinder = d->s.lba_mid[0] | d->s.lba_high[0] << 8,
		       head = d->s.device & DEVICE_HEAD, sector = d->s.lba_low[0];

	if (!sector || sector > d->s.sectors || head >= d->s.heads)
		return UINT64_MAX;
	return ((uint64_t)cylinder * d->s.heads + head) * d->s.sectors + sector - 1;
}

static uint64_t address(const struct ide_drive *d, bool wide)
{
	if (wide)
		return address48(d);
	if (!(d->s.device & DEVICE_LBA))
		return address_chs(d);
	return d->s.lba_low[0] | d->s.lba_mid[0] << 8 | d->s.lba_high[0] << 16 |
	       (uint64_t)(d->s.device & DEVICE_HEAD) << 24;
}

/* ---- IDENTIFY DEVICE ---- */

/* Text is padded with spaces, and the first letter is a word's upper byte. */
void ata_identify_put(uint16_t *words, unsigned first, unsigned count, const char *text)
{
	const size_t len = strlen(text);

	for (unsigned i = 0; i < 2 * count; i++) {
		const uint16_t c = i < len ? (uint8_t)text[i] : ' ';

		if (i % 2)
			words[first + i / 2] |= c;
		else
			words[first + i / 2] = (uint16_t)(c << 8);
	}
}

static void identify_geometry(const struct ide_drive *d, uint16_t *w)
{
	const uint32_t current = d->s.heads * d->s.sectors;
	uint32_t cylinders = d->geometry.cylinders;

	w[1] = (uint16_t)cylinders;
	w[3] = (uint16_t)d->geometry.heads;
	w[6] = (uint16_t)d->geometry.sectors;
	if (current)
		cylinders = (uint32_t)(cylinders * d->geometry.heads * d->geometry.sectors /
				       current);
	w[53] = 0x0007; /* 54-58, 64-70 and 88 are valid */
	w[54] = (uint16_t)(cylinders > 0xffff ? 0xffff : cylinders);
	w[55] = d->s.heads;
	w[56] = d->s.sectors;
	w[57] = (uint16_t)(w[54] * current);
	w[58] = (uint16_t)((uint64_t)w[54] * current >> 16);
}

static void identify_capacity(const struct ide_drive *d, uint16_t *w)
{
	const uint64_t sectors = d->block->sectors,
		       narrow = sectors < LBA28_SECTORS ? sectors : LBA28_SECTORS - 1;

	w[60] = (uint16_t)narrow;
	w[61] = (uint16_t)(narrow >> 16);
	for (unsigned i = 0; i < 4; i++)
		w[100 + i] = (uint16_t)(sectors >> 16 * i);
}

static void identify(struct ide_channel *c)
{
	const struct ide_drive *d = ide_selected(c);
	uint16_t *w = (uint16_t *)c->s.buffer;

	memset(w, 0, BLOCK_SECTOR);
	w[0] = 0x0040; /* fixed */
	identify_geometry(d, w);
	identify_capacity(d, w);
	ata_identify_put(w, 10, 10, d->serial);
	ata_identify_put(w, 23, 4, "1.0");
	ata_identify_put(w, 27, 20, "RINGFENCE HARDDISK");
	w[47] = 0x8000 | MULTIPLE_MOST;
	w[49] = 0x0b00; /* IORDY, LBA, DMA */
	w[59] = d->s.multiple ? 0x100 | d->s.multiple : 0;
	w[63] = 0x07 | (d->s.transfer_mode >> 3 == 4 ? 0x100u << (d->s.transfer_mode & 7) : 0);
	w[64] = 0x03; /* PIO modes 3 and 4 */
	w[65] = w[66] = w[67] = w[68] = 120; /* ns */
	w[80] = 0x00f0; /* ATA-4 to ATA-7 */
	w[82] = 0x4020; /* NOP; write cache */
	w[83] = 0x7400; /* FLUSH CACHE, FLUSH CACHE EXT, 48-bit addresses */
	w[84] = 0x4000;
	w[85] = 0x4020;
	w[86] = 0x3400;
	w[87] = 0x4000;
	w[88] = 0x3f | (d->s.transfer_mode >> 3 == 8 ? 0x100u << (d->s.transfer_mode & 7) : 0);
	w[93] = 0x6001 | (c->drive[1].kind != IDE_NONE ? 0x2000 : 0);
	c->s.goal = IDE_PIO_READ;
	ide_reply(c, BLOCK_SECTOR);
}

/* ---- commands ---- */

static void move(struct ide_channel *c, const struct ata_move *how)
{
	struct ide_drive *d = ide_selected(c);
	const uint32_t count = sector_count(d, how->wide);
	const uint64_t first = address(d, how->wide);

	if (how->multiple && !d->s.multiple)
		ide_fail(c, ATA_ABRT);
	else if (first >= d->block->sectors || count > d->block->sectors - first)
		ide_fail(c, ATA_IDNF);
	else
		ide_transfer(c, how->goal, first, count,
			     how->goal == IDE_VERIFY ? IDE_BUFFER / BLOCK_SECTOR :
			     how->multiple ? d->s.multiple : 1);
}

static bool move_of(uint8_t command, struct ata_move *how)
{
	static const struct {
		uint8_t first, last;
		struct ata_move how;
	} moves[] = {
		{ 0x20, 0x21, { IDE_PIO_READ, false, false } },
		{ 0x24, 0x24, { IDE_PIO_READ, true, false } },
		{ 0x25, 0x25, { IDE_DMA_READ, true, false } },
		{ 0x29, 0x29, { IDE_PIO_READ, true, true } },
		{ 0x30, 0x31, { IDE_PIO_WRITE, false, false } },
		{ 0x34, 0x34, { IDE_PIO_WRITE, true, false } },
		{ 0x35, 0x35, { IDE_DMA_WRITE, true, false } },
		{ 0x39, 0x39, { IDE_PIO_WRITE, true, true } },
		{ 0x3c, 0x3c, { IDE_PIO_WRITE, false, false } }, /* WRITE VERIFY */
		{ 0x40, 0x41, { IDE_VERIFY, false, false } },
		{ 0x42, 0x42, { IDE_VERIFY, true, false } },
		{ 0xc4, 0xc4, { IDE_PIO_READ, false, true } },
		{ 0xc5, 0xc5, { IDE_PIO_WRITE, false, true } },
		{ 0xc8, 0xc9, { IDE_DMA_READ, false, false } },
		{ 0xca, 0xcb, { IDE_DMA_WRITE, false, false } },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(moves); i++) {
		if (command < moves[i].first || command > moves[i].last)
			continue;
		*how = moves[i].how;
		return true;
	}
	return false;
}

static void nothing(struct ide_channel *c)
{
	ide_done(c);
}

static void abort_command(struct ide_channel *c)
{
	ide_fail(c, ATA_ABRT);
}

static void flush(struct ide_channel *c)
{
	ide_transfer(c, IDE_FLUSH, 0, 0, 1);
}

static void set_features(struct ide_channel *c)
{
	struct ide_drive *d = ide_selected(c);

	switch (d->s.feature[0]) {
	case FEATURE_MODE:
		d->s.transfer_mode = d->s.count[0];
		ide_done(c);
		break;
	case FEATURE_WRITE_CACHE_OFF: /* what was cached is written; later writes cannot be lost */
		flush(c);
		break;
	case FEATURE_WRITE_CACHE_ON: case FEATURE_NO_LOOK_AHEAD: case FEATURE_KEEP:
	case FEATURE_LOOK_AHEAD: case FEATURE_REVERT:
		ide_done(c);
		break;
	default:
		ide_fail(c, ATA_ABRT);
	}
}

static void set_multiple(struct ide_channel *c)
{
	struct ide_drive *d = ide_selected(c);
	const uint8_t n = d->s.count[0];

	if (n > MULTIPLE_MOST || n & (n - 1)) {
		d->s.multiple = 0;
		ide_fail(c, ATA_ABRT);
		return;
	}
	d->s.multiple = n;
	ide_done(c);
}

static void initialize_parameters(struct ide_channel *c)
{
	struct ide_drive *d = ide_selected(c);

	if (!d->s.count[0]) {
		ide_fail(c, ATA_ABRT);
		return;
	}
	d->s.sectors = d->s.count[0];
	d->s.heads = (d->s.device & DEVICE_HEAD) + 1;
	ide_done(c);
}

static void check_power(struct ide_channel *c)
{
	ide_selected(c)->s.count[0] = 0xff; /* active */
	ide_done(c);
}

/* The last sector's address. */
static void native_max(struct ide_channel *c, bool wide)
{
	struct ide_drive *d = ide_selected(c);
	uint64_t last = d->block->sectors - 1;

	if (!wide && last >= LBA28_SECTORS)
		last = LBA28_SECTORS - 1;
	d->s.lba_low[0] = (uint8_t)last;
	d->s.lba_mid[0] = (uint8_t)(last >> 8);
	d->s.lba_high[0] = (uint8_t)(last >> 16);
	if (wide) {
		d->s.lba_low[1] = (uint8_t)(last >> 24);
		d->s.lba_mid[1] = (uint8_t)(last >> 32);
		d->s.lba_high[1] = (uint8_t)(last >> 40);
	} else {
		d->s.device = (uint8_t)((d->s.device & ~DEVICE_HEAD) | last >> 24);
	}
	ide_done(c);
}

static void native_max_28(struct ide_channel *c) { native_max(c, false); }
static void native_max_48(struct ide_channel *c) { native_max(c, true); }

void ata_command(struct ide_channel *c, uint8_t command)
{
	static const struct {
		uint8_t first, last;
		void (*execute)(struct ide_channel *c);
	} commands[] = {
		{ 0x10, 0x1f, nothing }, /* RECALIBRATE */
		{ 0x27, 0x27, native_max_48 },
		{ 0x70, 0x7f, nothing }, /* SEEK */
		{ 0x91, 0x91, initialize_parameters },
		{ 0x94, 0x97, nothing }, /* power modes */
		{ 0x98, 0x98, check_power },
		{ 0x99, 0x99, nothing },
		{ 0xc6, 0xc6, set_multiple },
		{ 0xe0, 0xe3, nothing },
		{ 0xe5, 0xe5, check_power },
		{ 0xe6, 0xe6, nothing },
		{ 0xe7, 0xe7, flush },
		{ 0xea, 0xea, flush },
		{ 0xec, 0xec, identify },
		{ 0xef, 0xef, set_features },
		{ 0xf8, 0xf8, native_max_28 },
	};
	void (*execute)(struct ide_channel *c) = abort_command;
	struct ata_move how;

	if (move_of(command, &how)) {
		move(c, &how);
		return;
	}
	for (unsigned i = 0; i < RF_ARRAY_SIZE(commands); i++)
		if (command >= commands[i].first && command <= commands[i].last)
			execute = commands[i].execute;
	execute(c);
}
