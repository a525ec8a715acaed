/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fw_cfg. Numbers in items are little-endian, as the machine is; those of the directory and of DMA
 * requests are big-endian. Beyond an item's end, and in an item that is not there, all is zero.
 */
#include "fw_cfg.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ID_PORTS 1u
#define ID_DMA   2u

#define SELECT_PORT 0x510
#define DMA_PORT    0x514

#define DMA_ERROR  0x01u
#define DMA_READ   0x02u
#define DMA_SKIP   0x04u
#define DMA_SELECT 0x08u
#define DMA_WRITE  0x10u

#define DMA_PIECE 4096u

struct directory_entry {
	uint8_t size[4], key[2], reserved[2];
	char name[FW_CFG_NAME_SIZE];
};

struct dma_request {
	uint8_t control[4], length[4], address[8];
};

static const char dma_signature[8] = { 'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G' };

static void put_big(uint8_t *to, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		to[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

static uint64_t get_big(const uint8_t *from, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value = value << 8 | from[i];
	return value;
}

static const struct fw_cfg_item *selected(const struct fw_cfg *cfg)
{
	for (unsigned i = 0; i < cfg->count; i++)
		if (cfg->item[i].key == cfg->s.key)
			return &cfg->item[i];
	return NULL;
}

/* What of size bytes at the offset the item has. */
static uint32_t bytes_left(const struct fw_cfg *cfg, const struct fw_cfg_item *item, uint32_t size)
{
	uint32_t left = item && cfg->s.offset < item->size ? item->size - cfg->s.offset : 0;

	return left < size ? left : size;
}

/* The offset stays at the end of what there can be, rather than wrap. */
static void advance(struct fw_cfg *cfg, uint32_t size)
{
	cfg->s.offset = size > UINT32_MAX - cfg->s.offset ? UINT32_MAX : cfg->s.offset + size;
}

static void select_item(struct fw_cfg *cfg, uint16_t key)
{
	cfg->s.key = key;
	cfg->s.offset = 0;
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
	struct fw_cfg *cfg = opaque;
	const struct fw_cfg_item *item = selected(cfg);
	uint8_t byte = bytes_left(cfg, item, 1) ? item->data[cfg->s.offset] : 0;

	advance(cfg, 1);
	return byte;
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	if (size == 2)
		select_item(opaque, (uint16_t)value);
}

/* Zeros from gpa on: what a read beyond the item's end stores. */
static int store_zeros(const struct guest_memory *memory, gpa_t gpa, uint32_t size)
{
	static const uint8_t zeros[DMA_PIECE];
	int err = 0;

	for (uint32_t done = 0, n; done < size && !err; done += n) {
		n = size - done < DMA_PIECE ? size - done : DMA_PIECE;
		err = memory->write(memory->opaque, gpa_add(gpa, done), zeros, n);
	}
	return err;
}

static int dma_read(struct fw_cfg *cfg, gpa_t gpa, uint32_t size)
{
	const struct fw_cfg_item *item = selected(cfg);
	const uint32_t there = bytes_left(cfg, item, size);
	int err = 0;

	if (there)
		err = cfg->memory.write(cfg->memory.opaque, gpa, item->data + cfg->s.offset, there);
	return err ? err : store_zeros(&cfg->memory, gpa_add(gpa, there), size - there);
}

static bool dma_execute(struct fw_cfg *cfg, uint32_t control, uint32_t size, gpa_t gpa)
{
	if (control & DMA_SELECT)
		select_item(cfg, (uint16_t)(control >> 16));
	if (control & DMA_READ && dma_read(cfg, gpa, size))
		return false;
	if (control & DMA_WRITE && !(control & DMA_READ))
		return false;
	if (control & (DMA_READ | DMA_SKIP))
		advance(cfg, size);
	return true;
}

static void dma_start(struct fw_cfg *cfg, gpa_t at)
{
	const struct guest_memory *memory = &cfg->memory;
	struct dma_request r;
	bool done;

	if (memory->read(memory->opaque, at, &r, sizeof(r)))
		return; /* nowhere to say so */
	done = dma_execute(cfg, (uint32_t)get_big(r.control, 4), (uint32_t)get_big(r.length, 4),
			   GPA(get_big(r.address, 8)));
	put_big(r.control, 4, done ? 0 : DMA_ERROR);
	if (memory->write(memory->opaque, at, r.control, sizeof(r.control)))
		return;
}

/* The address is big-endian, its upper half first; writing the lower one starts the request. */
static void dma_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct fw_cfg *cfg = opaque;
	const uint32_t half = __builtin_bswap32((uint32_t)value);

	if (offset == 0) {
		cfg->s.dma_high = half;
		return;
	}
	dma_start(cfg, GPA((uint64_t)cfg->s.dma_high << 32 | half));
	cfg->s.dma_high = 0;
}

static uint64_t dma_port_read(void *opaque, uint64_t offset, unsigned size)
{
	uint32_t value;

	memcpy(&value, dma_signature + offset, sizeof(value));
	return value;
}

/* Contents. */

static int add_item(struct fw_cfg *cfg, uint16_t key, const char *name, const void *data,
		    uint32_t size)
{
	uint8_t *copy = cfg->count < FW_CFG_ITEMS ? malloc(size ? size : 1) : NULL;

	for (unsigned i = 0; i < cfg->count; i++)
		assert(cfg->item[i].key != key);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, size);
	cfg->item[cfg->count++] = (struct fw_cfg_item){ key, name, copy, size };
	return 0;
}

int fw_cfg_add(struct fw_cfg *cfg, uint16_t key, const void *data, uint32_t size)
{
	return add_item(cfg, key, NULL, data, size);
}

int fw_cfg_add_number(struct fw_cfg *cfg, uint16_t key, uint64_t value, unsigned size)
{
	uint8_t bytes[8];

	assert(size <= sizeof(bytes));
	state_put64(bytes, value);
	return fw_cfg_add(cfg, key, bytes, size);
}

/* The directory is item 0, which grows by an entry. */
static int list_file(struct fw_cfg *cfg, const struct fw_cfg_item *file)
{
	struct fw_cfg_item *directory = &cfg->item[0];
	struct directory_entry entry = { 0 };
	uint8_t *longer = realloc(directory->data, directory->size + sizeof(entry));

	if (!longer)
		return -ENOMEM;
	put_big(entry.size, 4, file->size);
	put_big(entry.key, 2, file->key);
	memcpy(entry.name, file->name, strlen(file->name));
	memcpy(longer + directory->size, &entry, sizeof(entry));
	put_big(longer, 4, get_big(longer, 4) + 1);
	directory->data = longer;
	directory->size += sizeof(entry);
	return 0;
}

int fw_cfg_add_file(struct fw_cfg *cfg, const char *name, const void *data, uint32_t size)
{
	const uint16_t key = (uint16_t)(FW_CFG_FILE_FIRST + get_big(cfg->item[0].data, 4));
	int err;

	assert(strlen(name) < FW_CFG_NAME_SIZE);
	err = add_item(cfg, key, name, data, size);
	return err ? err : list_file(cfg, &cfg->item[cfg->count - 1]);
}

int fw_cfg_init(struct fw_cfg *cfg, const struct guest_memory *memory)
{
	static const uint8_t no_files[4];
	int err;

	memset(cfg, 0, sizeof(*cfg));
	cfg->memory = *memory;
	err = fw_cfg_add(cfg, FW_CFG_FILE_DIR, no_files, sizeof(no_files));
	if (!err)
		err = fw_cfg_add(cfg, FW_CFG_SIGNATURE, "QEMU", 4);
	return err ? err : fw_cfg_add_number(cfg, FW_CFG_ID, ID_PORTS | ID_DMA, 4);
}

void fw_cfg_destroy(struct fw_cfg *cfg)
{
	while (cfg->count)
		free(cfg->item[--cfg->count].data);
}

static void fw_cfg_reset(void *opaque)
{
	struct fw_cfg *cfg = opaque;

	memset(&cfg->s, 0, sizeof(cfg->s));
}

static const struct state_field state[] = {
	STATE_ANY(struct fw_cfg, s.key),
	STATE_ANY(struct fw_cfg, s.offset),
	STATE_ANY(struct fw_cfg, s.dma_high),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, SELECT_PORT, 2, { ports_read, ports_write, 1, 2 } },
	{ BUS_PIO, DMA_PORT, 8, { dma_port_read, dma_write, 4, 4 } },
};

const struct device_desc fw_cfg_desc = {
	.name = "fw-cfg",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = fw_cfg_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct fw_cfg),
};
