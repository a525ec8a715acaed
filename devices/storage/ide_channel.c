/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A channel: the registers of its drives, and its data port. At most one command of a channel is
 * under way. Registers are written to both drives, and read from the selected one.
 */
#include "ide_internal.h"

#include <string.h>

#define CONTROL_NO_INTERRUPT 0x02u
#define CONTROL_RESET 0x04u
#define CONTROL_PREVIOUS 0x80u /* read what registers held before */

#define COMMAND_DIAGNOSE 0x90u
#define COMMAND_DEVICE_RESET 0x08u

enum { REG_DATA, REG_ERROR, REG_COUNT, REG_LOW, REG_MID, REG_HIGH, REG_DEVICE, REG_STATUS };

/* The line follows INTRQ, unless the host wants none. */
static void update_line(struct ide_channel *c)
{
	irq_set(&c->irq, c->s.interrupt && !(c->s.control & CONTROL_NO_INTERRUPT));
}

void ide_interrupt(struct ide_channel *c, bool level)
{
	if (level)
		c->s.bm_status |= 4;
	c->s.interrupt = level;
	update_line(c);
}

void ide_done(struct ide_channel *c)
{
	struct ide_drive *d = ide_selected(c);

	d->s.status = ATA_DRDY | ATA_DSC;
	d->s.error = 0;
	c->s.phase = IDE_IDLE;
	ide_interrupt(c, true);
}

void ide_fail(struct ide_channel *c, uint8_t error)
{
	struct ide_drive *d = ide_selected(c);

	d->s.status = ATA_DRDY | ATA_DSC | ATA_ERR;
	d->s.error = error;
	c->s.phase = IDE_IDLE;
	ide_interrupt(c, true);
}

void ide_set_signature(struct ide_drive *d)
{
	const bool cd = d->kind == IDE_CD;

	d->s.device &= DEVICE_SECOND;
	d->s.count[0] = d->s.lba_low[0] = 1;
	d->s.lba_mid[0] = cd ? 0x14 : 0;
	d->s.lba_high[0] = cd ? 0xeb : 0;
}

/* ---- the data port ---- */

static void host_has_read(struct ide_channel *c)
{
	if (ide_selected(c)->kind == IDE_CD && c->s.chunk) {
		if (c->s.position < c->s.bytes)
			atapi_offer(c);
		else
			ide_next_piece(c);
		return;
	}
	ide_next_piece(c);
}

static void host_has_written(struct ide_channel *c)
{
	if (c->s.phase == IDE_PACKET)
		atapi_packet(c);
	else
		ide_write_piece(c);
}

/* Where the host's turn ends. */
static uint32_t turn_end(const struct ide_channel *c)
{
	return c->s.phase == IDE_DATA_IN && c->s.chunk ? c->s.chunk_end : c->s.bytes;
}

static uint32_t data_read(struct ide_channel *c, unsigned size)
{
	uint32_t value = 0, left;

	if (c->s.phase != IDE_DATA_IN)
		return 0;
	left = turn_end(c) - c->s.position;
	size = size < left ? size : left;
	memcpy(&value, ide_bytes(c) + c->s.position, size);
	c->s.position += size;
	if (c->s.position == turn_end(c))
		host_has_read(c);
	return value;
}

static void data_write(struct ide_channel *c, uint32_t value, unsigned size)
{
	uint32_t left;

	if (c->s.phase != IDE_DATA_OUT && c->s.phase != IDE_PACKET)
		return;
	left = c->s.bytes - c->s.position;
	size = size < left ? size : left;
	memcpy(ide_bytes(c) + c->s.position, &value, size);
	c->s.position += size;
	if (c->s.position == c->s.bytes)
		host_has_written(c);
}

/* ---- registers ---- */

static void reset_drive(struct ide_drive *d)
{
	const struct ide_drive_state old = d->s;

	memset(&d->s, 0, sizeof(d->s));
	d->s.transfer_mode = old.transfer_mode;
	d->s.tray_open = old.tray_open;
	d->s.attention = old.attention;
	d->s.event = old.event;
	d->s.heads = (uint8_t)d->geometry.heads;
	d->s.sectors = (uint8_t)d->geometry.sectors;
	d->s.error = 1; /* the diagnostic code of a drive that is well */
	d->s.status = d->kind == IDE_DISK ? ATA_DRDY | ATA_DSC : 0;
	ide_set_signature(d);
}

static void reset_drives(struct ide_channel *c)
{
	ide_forget_request(c);
	c->s.phase = IDE_IDLE;
	c->s.selected = 0;
	for (unsigned i = 0; i < IDE_DRIVES; i++)
		reset_drive(&c->drive[i]);
	ide_interrupt(c, false);
}

static void diagnose(struct ide_channel *c)
{
	reset_drives(c);
	ide_interrupt(c, true);
}

/* Of a packet device: whatever it does, it stops. */
static void device_reset(struct ide_channel *c)
{
	struct ide_drive *d = ide_selected(c);

	ide_forget_request(c);
	c->s.phase = IDE_IDLE;
	d->s.status = 0;
	d->s.error = 1;
	ide_set_signature(d);
}

static void command_write(struct ide_channel *c, uint8_t command)
{
	struct ide_drive *d = ide_selected(c);

	if (d->kind == IDE_CD && command == COMMAND_DEVICE_RESET) {
		device_reset(c);
		return;
	}
	/* A second drive that is not there is silent; while one is busy it hears nothing else. */
	if (d->kind == IDE_NONE || d->s.status & (ATA_BSY | ATA_DRQ))
		return;
	ide_interrupt(c, false);
	d->s.error = 0;
	c->s.chunk = 0;
	if (command == COMMAND_DIAGNOSE)
		diagnose(c);
	else if (d->kind == IDE_CD)
		atapi_command(c, command);
	else
		ata_command(c, command);
}

static void push(uint8_t reg[2], uint8_t value)
{
	reg[1] = reg[0];
	reg[0] = value;
}

static void drive_register_write(struct ide_drive *d, unsigned reg, uint8_t value)
{
	switch (reg) {
	case REG_ERROR: push(d->s.feature, value); break;
	case REG_COUNT: push(d->s.count, value); break;
	case REG_LOW: push(d->s.lba_low, value); break;
	case REG_MID: push(d->s.lba_mid, value); break;
	case REG_HIGH: push(d->s.lba_high, value); break;
	default: d->s.device = value | 0xa0; break;
	}
}

static void register_write(struct ide_channel *c, unsigned reg, uint8_t value)
{
	c->s.control &= (uint8_t)~CONTROL_PREVIOUS;
	if (reg == REG_STATUS) {
		command_write(c, value);
		return;
	}
	if (c->s.phase != IDE_IDLE) /* they are the drive's while it is at work */
		return;
	for (unsigned i = 0; i < IDE_DRIVES; i++)
		drive_register_write(&c->drive[i], reg, value);
	if (reg == REG_DEVICE)
		c->s.selected = !!(value & DEVICE_SECOND);
}

static bool is_empty(const struct ide_channel *c)
{
	return c->drive[0].kind == IDE_NONE && c->drive[1].kind == IDE_NONE;
}

static uint8_t status_read(struct ide_channel *c)
{
	const struct ide_drive *d = ide_selected(c);

	return d->kind == IDE_NONE ? 0 : d->s.status;
}

static uint8_t register_read(struct ide_channel *c, unsigned reg)
{
	const struct ide_drive *d = ide_selected(c);
	const unsigned old = !!(c->s.control & CONTROL_PREVIOUS);

	if (is_empty(c))
		return 0;
	switch (reg) {
	case REG_ERROR: return old ? d->s.feature[1] : d->s.error;
	case REG_COUNT: return d->s.count[old];
	case REG_LOW: return d->s.lba_low[old];
	case REG_MID: return d->s.lba_mid[old];
	case REG_HIGH: return d->s.lba_high[old];
	case REG_DEVICE: return d->s.device;
	default:
		ide_interrupt(c, false);
		return status_read(c);
	}
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	if (offset == REG_DATA && size > 1)
		return data_read(opaque, size);
	if (offset == REG_DATA)
		return data_read(opaque, 1);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)register_read(opaque, (unsigned)offset + i) << (8 * i);
	return value;
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	if (offset == REG_DATA) {
		data_write(opaque, (uint32_t)value, size);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		register_write(opaque, (unsigned)offset + i, (uint8_t)(value >> (8 * i)));
}

static uint64_t control_read(void *opaque, uint64_t offset, unsigned size)
{
	return status_read(opaque);
}

static void control_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct ide_channel *c = opaque;
	const bool was_reset = c->s.control & CONTROL_RESET;

	c->s.control = (uint8_t)value;
	if (value & CONTROL_RESET && !was_reset) {
		reset_drives(c);
		for (unsigned i = 0; i < IDE_DRIVES; i++)
			c->drive[i].s.status = ATA_BSY;
	} else if (!(value & CONTROL_RESET) && was_reset) {
		reset_drives(c);
	}
	update_line(c);
}

/* ---- the device ---- */

static void channel_reset(void *opaque)
{
	struct ide_channel *c = opaque;

	c->s.control = 0;
	bus_master_reset(c);
	for (unsigned i = 0; i < IDE_DRIVES; i++)
		c->drive[i].s.transfer_mode = 0;
	reset_drives(c);
}

/* What goes with the phase and the drive that is there. */
static const char *state_check(const void *opaque)
{
	const struct ide_channel *c = opaque;
	const struct ide_drive *d = &c->drive[c->s.selected];
	const struct block_device *block = d->block;
	const uint64_t there = block ? block->sectors : 0;

	if (c->s.phase == IDE_IDLE)
		return NULL;
	if (d->kind == IDE_NONE || (c->s.phase == IDE_PACKET && d->kind != IDE_CD))
		return "s.phase";
	if (c->s.phase == IDE_DISK_BUSY && !block)
		return "s.phase";
	if (c->s.sector > there || c->s.left > there - c->s.sector)
		return "s.left";
	if (c->s.phase == IDE_DISK_BUSY && c->s.bytes / BLOCK_SECTOR > c->s.sector)
		return "s.sector";
	if (c->s.phase == IDE_DISK_BUSY && c->s.goal != IDE_FLUSH &&
	    (!c->s.bytes || c->s.bytes % BLOCK_SECTOR))
		return "s.bytes";
	/* What the host fills is written where it has room. */
	if (c->s.phase == IDE_DATA_OUT &&
	    (d->kind != IDE_DISK || !c->s.bytes || c->s.bytes % BLOCK_SECTOR ||
	     c->s.bytes / BLOCK_SECTOR > c->s.left))
		return "s.bytes";
	if (c->s.block > IDE_BUFFER / BLOCK_SECTOR || (c->s.left && !c->s.block))
		return "s.block";
	if (c->s.position > c->s.bytes || c->s.chunk_end > c->s.bytes)
		return "s.position";
	if ((c->s.phase == IDE_DATA_IN || c->s.phase == IDE_DATA_OUT || c->s.phase == IDE_PACKET) &&
	    c->s.position >= turn_end(c))
		return "s.position";
	return c->s.phase == IDE_DMA_WAIT && c->s.goal == IDE_DMA_REPLY && !c->s.bytes ? "s.bytes" :
										       NULL;
}

static void before_load(void *opaque)
{
	ide_forget_request(opaque);
}

/* A request that was under way is made again. */
static void loaded(void *opaque)
{
	struct ide_channel *c = opaque;

	if (c->s.phase == IDE_DISK_BUSY)
		ide_repeat_request(c);
	update_line(c);
}

static const struct state_field drive_registers[] = {
	STATE_ANY(struct ide_drive_state, status),
	STATE_ANY(struct ide_drive_state, error),
	STATE_ANY(struct ide_drive_state, device),
	STATE_ANY_ARRAY(struct ide_drive_state, feature),
	STATE_ANY_ARRAY(struct ide_drive_state, count),
	STATE_ANY_ARRAY(struct ide_drive_state, lba_low),
	STATE_ANY_ARRAY(struct ide_drive_state, lba_mid),
	STATE_ANY_ARRAY(struct ide_drive_state, lba_high),
	STATE_MOST(struct ide_drive_state, heads, 16),
	STATE_ANY(struct ide_drive_state, sectors),
	STATE_MOST(struct ide_drive_state, multiple, 16),
	STATE_ANY(struct ide_drive_state, transfer_mode),
	STATE_MOST(struct ide_drive_state, sense_key, 15),
	STATE_ANY(struct ide_drive_state, sense_code),
	STATE_FLAG(struct ide_drive_state, tray_open),
	STATE_FLAG(struct ide_drive_state, locked),
	STATE_MOST(struct ide_drive_state, attention, 2),
	STATE_MOST(struct ide_drive_state, event, 3),
	STATE_END,
};

static const struct state_field drive_fields[] = {
	STATE_STRUCT(struct ide_drive, s, drive_registers),
	STATE_END,
};

static const struct state_field state[] = {
	STATE_STRUCT_ARRAY(struct ide_channel, drive, drive_fields),
	STATE_ANY(struct ide_channel, s.control),
	STATE_MOST(struct ide_channel, s.selected, IDE_DRIVES - 1),
	STATE_FLAG(struct ide_channel, s.interrupt),
	STATE_MOST(struct ide_channel, s.phase, IDE_DISK_BUSY),
	STATE_MOST(struct ide_channel, s.goal, IDE_GOALS - 1),
	STATE_ANY(struct ide_channel, s.sector),
	STATE_ANY(struct ide_channel, s.left),
	STATE_ANY(struct ide_channel, s.block),
	STATE_MOST(struct ide_channel, s.bytes, IDE_BUFFER),
	STATE_MOST(struct ide_channel, s.position, IDE_BUFFER),
	STATE_MOST(struct ide_channel, s.chunk_end, IDE_BUFFER),
	STATE_ANY(struct ide_channel, s.chunk),
	STATE_BITS(struct ide_channel, s.bm_command, 0x09),
	STATE_BITS(struct ide_channel, s.bm_status, 0x67),
	STATE_BITS(struct ide_channel, s.bm_table, 0xfffffffcu),
	STATE_BITS(struct ide_channel, s.bm_next, 0xfffffffcu),
	STATE_ANY(struct ide_channel, s.bm_address),
	STATE_MOST(struct ide_channel, s.bm_left, 0x10000),
	STATE_FLAG(struct ide_channel, s.bm_last),
	STATE_ANY_ARRAY(struct ide_channel, s.buffer),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, 0, 8, { ports_read, ports_write, 1, 4 } },
	{ BUS_PIO, 0x206, 1, { control_read, control_write, 1, 1 } },
};

const struct device_desc ide_channel_desc = {
	.name = "ide-channel",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = channel_reset,
	.state = state,
	.state_version = 2,
	.size = sizeof(struct ide_channel),
	.state_check = state_check,
	.before_load = before_load,
	.loaded = loaded,
};
