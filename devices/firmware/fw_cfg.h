/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's firmware configuration device (docs/specs/fw_cfg.rst of QEMU): items that firmware reads
 * by number, and files, which are items that a directory lists. Port 510h selects an item, port
 * 511h reads it byte by byte, ports 514h to 51bh take the address of a DMA request.
 *
 * Nothing can be written; a request to do so is refused.
 */
#ifndef RF_DEVICES_FIRMWARE_FW_CFG_H
#define RF_DEVICES_FIRMWARE_FW_CFG_H

#include "devices/bus/bus.h"
#include "devices/bus/guest_memory.h"

enum fw_cfg_key {
	FW_CFG_SIGNATURE = 0x00, FW_CFG_ID = 0x01, FW_CFG_RAM_SIZE = 0x03, FW_CFG_NOGRAPHIC = 0x04,
	FW_CFG_NB_CPUS = 0x05, FW_CFG_NUMA = 0x0d, FW_CFG_BOOT_MENU = 0x0e, FW_CFG_MAX_CPUS = 0x0f,
	FW_CFG_FILE_DIR = 0x19, FW_CFG_FILE_FIRST = 0x20, FW_CFG_IRQ0_OVERRIDE = 0x8002,
};

#define FW_CFG_ITEMS 40
#define FW_CFG_NAME_SIZE 56 /* with the zero at the end */

struct fw_cfg_item {
	uint16_t key;
	const char *name; /* of a file; else NULL */
	uint8_t *data;
	uint32_t size;
};

struct fw_cfg {
	struct guest_memory memory;
	struct fw_cfg_item item[FW_CFG_ITEMS];
	unsigned count;
	struct fw_cfg_state {
		uint16_t key;
		uint32_t offset;   /* of the next byte in the selected item */
		uint32_t dma_high; /* upper half of the next request's address */
	} s;
};

extern const struct device_desc fw_cfg_desc;

/* With the items that say what it is. 0 or -ENOMEM; destroy in either case. */
int fw_cfg_init(struct fw_cfg *cfg, const struct guest_memory *memory) RF_MUST_CHECK;
void fw_cfg_destroy(struct fw_cfg *cfg);

/* An item of a key that is not there yet; data is copied. 0, or -ENOMEM: also, no more room. */
int fw_cfg_add(struct fw_cfg *cfg, uint16_t key, const void *data, uint32_t size) RF_MUST_CHECK;
/* The same for a number of size bytes (2, 4 or 8). */
int fw_cfg_add_number(struct fw_cfg *cfg, uint16_t key, uint64_t value,
		      unsigned size) RF_MUST_CHECK;
/* A file. name, shorter than FW_CFG_NAME_SIZE, must outlive cfg. */
int fw_cfg_add_file(struct fw_cfg *cfg, const char *name, const void *data,
		    uint32_t size) RF_MUST_CHECK;

#endif
