/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of a CD-ROM: packets of 12 bytes (ATA/ATAPI-6, 8.23; MMC-3; SPC-2). What a packet
 * asks for goes to the host in data requests of at most as many bytes as the host named, or by the
 * bus master. A command that fails leaves sense data to be asked for.
 */
#include <string.h>

#include "ide_internal.h"

#define PACKET_SIZE 12u
#define CD_SECTOR   2048u
#define CD_UNITS    (CD_SECTOR / BLOCK_SECTOR) /* sectors of the block device */

#define FEATURE_DMA 0x01u

#define START_LOAD  0x02u /* of START STOP UNIT: the tray is meant */
#define START_START 0x01u
#define PREVENT     0x01u

#define EVENT_EJECT_REQUEST 1u
#define EVENT_NEW_MEDIUM    2u
#define EVENT_REMOVAL       3u

#define PROFILE_CD_ROM 0x0008u
#define PROFILE_DVD_ROM 0x0010u
#define CD_SECTORS_MOST 405000u /* 90 minutes; more is a DVD */

static uint16_t get_big16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

static uint32_t get_big32(const uint8_t *p)
{
	return (uint32_t)get_big16(p) << 16 | get_big16(p + 2);
}

static void put_big16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void put_big32(uint8_t *p, uint32_t value)
{
	put_big16(p, value >> 16);
	put_big16(p + 2, value);
}

static bool disc_is_in(const struct ide_drive *d)
{
	return d->block && !d->s.tray_open;
}

static uint32_t disc_sectors(const struct ide_drive *d)
{
	return (uint32_t)(d->block->sectors / CD_UNITS);
}

/* ---- phases ---- */

void atapi_done(struct ide_channel *c)
{
	struct ide_drive *d = ide_selected(c);

	d->s.sense_key = d->s.sense_code = 0;
	d->s.count[0] = REASON_TO_HOST | REASON_COMMAND;
	ide_done(c);
}

void atapi_failed(struct ide_channel *c, uint8_t key, uint8_t code)
{
	struct ide_drive *d = ide_selected(c);

	d->s.sense_key = key;
	d->s.sense_code = code;
	d->s.count[0] = REASON_TO_HOST | REASON_COMMAND;
	ide_fail(c, (uint8_t)(key << 4 | (key == SENSE_ILLEGAL ? ATA_ABRT : 0)));
}

void atapi_offer(struct ide_channel *c)
{
	struct ide_drive *d = ide_selected(c);
	const uint32_t left = c->s.bytes - c->s.position,
		       n = left < c->s.chunk ? left : c->s.chunk;

	c->s.chunk_end = c->s.position + n;
	d->s.lba_mid[0] = (uint8_t)n;
	d->s.lba_high[0] = (uint8_t)(n >> 8);
	d->s.count[0] = REASON_TO_HOST;
	d->s.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
	c->s.phase = IDE_DATA_IN;
	ide_interrupt(c, true);
}

/* An answer of size bytes, of which the host wants at most room. */
static void answer(struct ide_channel *c, uint32_t size, uint32_t room)
{
	const uint32_t n = size < room ? size : room;

	if (n)
		ide_reply(c, n);
	else
		atapi_done(c);
}

static bool has_disc(struct ide_channel *c)
{
	if (disc_is_in(ide_selected(c)))
		return true;
	atapi_failed(c, SENSE_NOT_READY, CODE_NO_MEDIUM);
	return false;
}

/* ---- discs that come and go ---- */

void atapi_set_disc(struct ide_channel *c, struct ide_drive *d, struct block_device *block)
{
	const bool was_in = disc_is_in(d), busy = d == ide_selected(c) && c->s.phase != IDE_IDLE &&
						  c->s.phase != IDE_PACKET;

	if (busy) {
		ide_forget_request(c);
		c->s.left = 0;
		atapi_failed(c, SENSE_NOT_READY, CODE_NO_MEDIUM);
	}
	d->block = block;
	d->s.tray_open = !block;
	/* Software that has not seen the drive empty may take the disc for the one before. */
	d->s.attention = !block ? 0 : was_in ? 2 : 1;
	d->s.event = block ? EVENT_NEW_MEDIUM : EVENT_REMOVAL;
}

void atapi_ask_to_eject(struct ide_drive *d)
{
	d->s.event = EVENT_EJECT_REQUEST;
}

/* Whether the command has to wait: the guest is to be told of another disc first. */
static bool tells_of_change(struct ide_channel *c, uint8_t command)
{
	struct ide_drive *d = ide_selected(c);

	/* REQUEST SENSE, INQUIRY, GET CONFIGURATION, GET EVENT STATUS NOTIFICATION */
	if (!d->s.attention || command == 0x03 || command == 0x12 || command == 0x46 ||
	    command == 0x4a)
		return false;
	if (--d->s.attention)
		atapi_failed(c, SENSE_NOT_READY, CODE_NO_MEDIUM);
	else
		atapi_failed(c, SENSE_ATTENTION, CODE_CHANGED);
	return true;
}

/* The tray, by the guest's wish. What is in it stays in it. */
static void start_stop(struct ide_channel *c, const uint8_t *p)
{
	struct ide_drive *d = ide_selected(c);
	const bool opens = !(p[4] & START_START);

	if (!(p[4] & START_LOAD)) {
		atapi_done(c);
		return;
	}
	if (opens && d->s.locked) {
		atapi_failed(c, SENSE_ILLEGAL, CODE_LOCKED);
		return;
	}
	if (d->s.tray_open != opens && d->block) {
		d->s.attention = !opens;
		d->s.event = opens ? EVENT_REMOVAL : EVENT_NEW_MEDIUM;
	}
	d->s.tray_open = opens;
	atapi_done(c);
}

static void prevent_allow(struct ide_channel *c, const uint8_t *p)
{
	ide_selected(c)->s.locked = p[4] & PREVENT;
	atapi_done(c);
}

/* ---- commands; p is a copy of the packet, the buffer is free for the answer ---- */

static void test_unit_ready(struct ide_channel *c, const uint8_t *p)
{
	if (has_disc(c))
		atapi_done(c);
}

static void request_sense(struct ide_channel *c, const uint8_t *p)
{
	const struct ide_drive *d = ide_selected(c);
	uint8_t *b = ide_bytes(c);

	memset(b, 0, 18);
	b[0] = 0xf0;
	b[2] = d->s.sense_key;
	b[7] = 10;
	b[12] = d->s.sense_code;
	if (d->s.sense_code == CODE_NO_MEDIUM)
		b[13] = d->s.tray_open ? 2 : 1;
	else if (d->s.sense_code == CODE_LOCKED)
		b[13] = 2;
	answer(c, 18, p[4]);
}

static void inquiry(struct ide_channel *c, const uint8_t *p)
{
	uint8_t *b = ide_bytes(c);

	memset(b, 0, 36);
	b[0] = 0x05; /* a CD-ROM */
	b[1] = 0x80; /* whose medium can be taken out */
	b[3] = 0x21; /* ATAPI-2 */
	b[4] = 31;
	memcpy(b + 8, "RNGFENCE", 8);
	memcpy(b + 16, "CD-ROM          ", 16);
	memcpy(b + 32, "1.0 ", 4);
	answer(c, 36, p[4]);
}

static void read_capacity(struct ide_channel *c, const uint8_t *p)
{
	if (!has_disc(c))
		return;
	put_big32(ide_bytes(c), disc_sectors(ide_selected(c)) - 1);
	put_big32(ide_bytes(c) + 4, CD_SECTOR);
	answer(c, 8, 8);
}

static void read_sectors(struct ide_channel *c, uint32_t first, uint32_t count)
{
	const struct ide_drive *d = ide_selected(c);
	const bool dma = c->s.goal == IDE_DMA_REPLY;

	if (!has_disc(c))
		return;
	if (first > disc_sectors(d) || count > disc_sectors(d) - first)
		atapi_failed(c, SENSE_ILLEGAL, CODE_OUT_OF_RANGE);
	else if (!count)
		atapi_done(c);
	else
		ide_transfer(c, dma ? IDE_DMA_READ : IDE_PIO_READ, (uint64_t)first * CD_UNITS,
			     count * CD_UNITS, IDE_BUFFER / BLOCK_SECTOR);
}

static void read_10(struct ide_channel *c, const uint8_t *p)
{
	read_sectors(c, get_big32(p + 2), get_big16(p + 7));
}

static void read_12(struct ide_channel *c, const uint8_t *p)
{
	read_sectors(c, get_big32(p + 2), get_big32(p + 6));
}

/* READ CD of whole sectors of data, as READ (10) has them. */
static void read_cd(struct ide_channel *c, const uint8_t *p)
{
	const uint32_t count = (uint32_t)p[6] << 16 | get_big16(p + 7);

	if ((p[9] & 0xf8) == 0x10 || !p[9])
		read_sectors(c, get_big32(p + 2), p[9] ? count : 0);
	else
		atapi_failed(c, SENSE_ILLEGAL, CODE_INVALID);
}

static void seek(struct ide_channel *c, const uint8_t *p)
{
	if (!has_disc(c))
		return;
	if (get_big32(p + 2) >= disc_sectors(ide_selected(c)))
		atapi_failed(c, SENSE_ILLEGAL, CODE_OUT_OF_RANGE);
	else
		atapi_done(c);
}

/* An address in a table of contents: by sector, or by minute, second and frame. */
static void put_address(uint8_t *at, uint32_t sector, bool msf)
{
	const uint32_t frames = sector + 150;

	put_big32(at, msf ? frames / 75 / 60 << 16 | frames / 75 % 60 << 8 | frames % 75 : sector);
}

/* One track of data, and the lead-out after it. */
static void toc_tracks(struct ide_channel *c, bool msf, uint8_t first, uint32_t room)
{
	const uint32_t end = disc_sectors(ide_selected(c));
	uint8_t *b = ide_bytes(c), *at = b + 4;

	if (first > 1 && first != 0xaa) {
		atapi_failed(c, SENSE_ILLEGAL, CODE_INVALID);
		return;
	}
	memset(b, 0, 20);
	b[2] = b[3] = 1;
	if (first <= 1) {
		at[1] = 0x14;
		at[2] = 1;
		put_address(at + 4, 0, msf);
		at += 8;
	}
	at[1] = 0x16;
	at[2] = 0xaa;
	put_address(at + 4, end, msf);
	at += 8;
	put_big16(b, (uint32_t)(at - b) - 2);
	answer(c, (uint32_t)(at - b), room);
}

/* The sessions: one. */
static void toc_sessions(struct ide_channel *c, bool msf, uint32_t room)
{
	uint8_t *b = ide_bytes(c);

	memset(b, 0, 12);
	b[1] = 10;
	b[2] = b[3] = 1;
	b[5] = 0x14;
	b[6] = 1;
	put_address(b + 8, 0, msf);
	answer(c, 12, room);
}

static void toc_put_raw(uint8_t **at, uint8_t point, uint32_t pmin, uint32_t psec, uint32_t pframe)
{
	const uint8_t entry[11] = { 1, 0x14, 0, point, 0, 0, 0, 0, (uint8_t)pmin, (uint8_t)psec,
				    (uint8_t)pframe };

	memcpy(*at, entry, sizeof(entry));
	*at += sizeof(entry);
}

/* As it is in the lead-in. */
static void toc_raw(struct ide_channel *c, uint32_t room)
{
	const uint32_t end = disc_sectors(ide_selected(c)) + 150;
	uint8_t *b = ide_bytes(c), *at = b + 4;

	b[2] = b[3] = 1;
	toc_put_raw(&at, 0xa0, 1, 0, 0);
	toc_put_raw(&at, 0xa1, 1, 0, 0);
	toc_put_raw(&at, 0xa2, end / 75 / 60, end / 75 % 60, end % 75);
	toc_put_raw(&at, 1, 0, 2, 0);
	put_big16(b, (uint32_t)(at - b) - 2);
	answer(c, (uint32_t)(at - b), room);
}

static void read_toc(struct ide_channel *c, const uint8_t *p)
{
	const unsigned format = p[2] & 15 ? p[2] & 15 : p[9] >> 6;
	const bool msf = p[1] & 2;
	const uint32_t room = get_big16(p + 7);

	if (!has_disc(c))
		return;
	if (format == 0)
		toc_tracks(c, msf, p[6], room);
	else if (format == 1)
		toc_sessions(c, msf, room);
	else if (format == 2)
		toc_raw(c, room);
	else
		atapi_failed(c, SENSE_ILLEGAL, CODE_INVALID);
}

static void mode_sense(struct ide_channel *c, const uint8_t *p)
{
	static const uint8_t recovery[8] = { 0x01, 6, 0, 5 };
	static const uint8_t capabilities[20] = {
		0x2a, 18, 0x3b, 0, 0x70, 0x60, 0x29, 0, 0x02, 0xc2, 0, 2, 0x02, 0, 0x02, 0xc2,
	};
	const struct ide_drive *d = ide_selected(c);
	const unsigned page = p[2] & 0x3f;
	uint8_t *b = ide_bytes(c);
	uint32_t size = 8;

	memset(b, 0, 8);
	b[2] = disc_is_in(d) ? 0x12 : d->s.tray_open ? 0x71 : 0x70; /* data; or, no disc */
	if (page == 0x01 || page == 0x3f) {
		memcpy(b + size, recovery, sizeof(recovery));
		size += sizeof(recovery);
	}
	if (page == 0x2a || page == 0x3f) {
		memcpy(b + size, capabilities, sizeof(capabilities));
		b[size + 6] |= d->s.locked ? 0x02 : 0;
		size += sizeof(capabilities);
	}
	put_big16(b, size - 2);
	if (size == 8 || p[2] >> 6 == 3) /* nothing can be saved */
		atapi_failed(c, SENSE_ILLEGAL, CODE_INVALID);
	else
		answer(c, size, get_big16(p + 7));
}

static bool is_dvd(const struct ide_drive *d)
{
	return disc_is_in(d) && disc_sectors(d) > CD_SECTORS_MOST;
}

/* The list of profiles is the only feature told of. */
static void get_configuration(struct ide_channel *c, const uint8_t *p)
{
	const struct ide_drive *d = ide_selected(c);
	uint8_t *b = ide_bytes(c);

	memset(b, 0, 40);
	b[3] = 36;
	put_big16(b + 6, !disc_is_in(d) ? 0 : is_dvd(d) ? PROFILE_DVD_ROM : PROFILE_CD_ROM);
	b[10] = 0x03; /* persistent, current */
	b[11] = 8;
	put_big16(b + 12, PROFILE_DVD_ROM);
	b[14] = is_dvd(d);
	put_big16(b + 16, PROFILE_CD_ROM);
	b[18] = disc_is_in(d) && !is_dvd(d);
	put_big16(b + 20, 0x0001); /* core */
	b[22] = 0x0b;
	b[23] = 8;
	put_big32(b + 24, 2); /* ATAPI */
	put_big16(b + 32, 0x0003); /* removable medium */
	b[34] = 0x03;
	b[35] = 4;
	b[36] = 0x29; /* tray, which can be ejected and locked */
	answer(c, 40, get_big16(p + 7));
}

/* The state of the medium, when it is asked for, and what has happened to it since. */
static void get_event_status(struct ide_channel *c, const uint8_t *p)
{
	struct ide_drive *d = ide_selected(c);
	uint8_t *b = ide_bytes(c);

	if (!(p[1] & 1)) { /* events are not told later */
		atapi_failed(c, SENSE_ILLEGAL, CODE_INVALID);
		return;
	}
	memset(b, 0, 8);
	b[3] = 0x10; /* what can be asked for: the medium */
	if (p[4] & 0x10) {
		put_big16(b, 6);
		b[2] = 4;
		b[4] = d->s.event;
		b[5] = disc_is_in(d) ? 0x02 : d->s.tray_open ? 0x01 : 0;
		d->s.event = 0;
		answer(c, 8, get_big16(p + 7));
		return;
	}
	put_big16(b, 2);
	b[2] = 0x80;
	answer(c, 4, get_big16(p + 7));
}

static void read_disc_information(struct ide_channel *c, const uint8_t *p)
{
	uint8_t *b = ide_bytes(c);

	if (!has_disc(c))
		return;
	memset(b, 0, 34);
	b[1] = 32;
	b[2] = 0x0e; /* complete */
	b[3] = b[4] = b[5] = b[6] = 1;
	b[7] = 0x20;
	answer(c, 34, get_big16(p + 7));
}

static void mechanism_status(struct ide_channel *c, const uint8_t *p)
{
	uint8_t *b = ide_bytes(c);

	memset(b, 0, 8);
	b[1] = ide_selected(c)->s.tray_open ? 0x10 : 0;
	b[5] = 1;
	answer(c, 8, get_big16(p + 8));
}

static void accepted(struct ide_channel *c, const uint8_t *p)
{
	atapi_done(c);
}

static void execute(struct ide_channel *c, const uint8_t *p)
{
	static const struct {
		uint8_t code;
		void (*execute)(struct ide_channel *c, const uint8_t *p);
	} commands[] = {
		{ 0x00, test_unit_ready }, { 0x03, request_sense }, { 0x12, inquiry },
		{ 0x1b, start_stop }, { 0x1e, prevent_allow },
		{ 0x25, read_capacity }, { 0x28, read_10 }, { 0x2b, seek }, { 0x43, read_toc },
		{ 0x46, get_configuration }, { 0x4a, get_event_status },
		{ 0x51, read_disc_information }, { 0x5a, mode_sense }, { 0xa8, read_12 },
		{ 0xbb, accepted }, { 0xbd, mechanism_status }, { 0xbe, read_cd },
	};

	if (tells_of_change(c, p[0]))
		return;
	for (unsigned i = 0; i < RF_ARRAY_SIZE(commands); i++) {
		if (commands[i].code != p[0])
			continue;
		commands[i].execute(c, p);
		return;
	}
	atapi_failed(c, SENSE_ILLEGAL, CODE_NO_OPERATION);
}

/* An odd number of bytes, or none, would not fit the port. */
static uint16_t chunk_size(const struct ide_drive *d)
{
	const uint16_t n = d->s.lba_mid[0] | (uint16_t)(d->s.lba_high[0] << 8);

	return n == 0xffff || n < 2 ? 0xfffe : n & ~1u;
}

void atapi_packet(struct ide_channel *c)
{
	const struct ide_drive *d = ide_selected(c);
	uint8_t packet[PACKET_SIZE];
	const bool dma = d->s.feature[0] & FEATURE_DMA;

	memcpy(packet, ide_bytes(c), sizeof(packet));
	c->s.chunk = dma ? 0 : chunk_size(d);
	c->s.goal = dma ? IDE_DMA_REPLY : IDE_REPLY;
	execute(c, packet);
}

/* ---- commands that are no packets ---- */

static void want_packet(struct ide_channel *c)
{
	struct ide_drive *d = ide_selected(c);

	c->s.bytes = PACKET_SIZE;
	c->s.position = 0;
	c->s.phase = IDE_PACKET;
	d->s.count[0] = REASON_COMMAND;
	d->s.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
}

static void identify_packet(struct ide_channel *c)
{
	const struct ide_drive *d = ide_selected(c);
	uint16_t *w = (uint16_t *)c->s.buffer;

	memset(w, 0, BLOCK_SECTOR);
	w[0] = 0x85c0; /* ATAPI, CD-ROM, removable, packets of 12 bytes, DRQ within 50 us */
	ata_identify_put(w, 10, 10, d->serial);
	ata_identify_put(w, 23, 4, "1.0");
	ata_identify_put(w, 27, 20, "RINGFENCE CD-ROM");
	w[49] = 0x0b00;
	w[53] = 0x0006;
	w[63] = 0x07 | (d->s.transfer_mode >> 3 == 4 ? 0x100u << (d->s.transfer_mode & 7) : 0);
	w[64] = 0x03;
	w[65] = w[66] = w[67] = w[68] = 120;
	w[80] = 0x001e;
	w[88] = 0x3f | (d->s.transfer_mode >> 3 == 8 ? 0x100u << (d->s.transfer_mode & 7) : 0);
	c->s.goal = IDE_PIO_READ;
	ide_reply(c, BLOCK_SECTOR);
}

void atapi_command(struct ide_channel *c, uint8_t command)
{
	struct ide_drive *d = ide_selected(c);

	switch (command) {
	case 0xa0:
		want_packet(c);
		break;
	case 0xa1:
		identify_packet(c);
		break;
	case 0xef: /* SET FEATURES: the transfer mode */
		if (d->s.feature[0] == 0x03)
			d->s.transfer_mode = d->s.count[0];
		ide_done(c);
		break;
	case 0xe0: case 0xe1: case 0xe5: case 0xe6:
		ide_done(c);
		break;
	case 0x20: case 0xec: /* who asks a disk finds out */
		ide_set_signature(d);
		ide_fail(c, ATA_ABRT);
		break;
	default:
		ide_fail(c, ATA_ABRT);
	}
}
