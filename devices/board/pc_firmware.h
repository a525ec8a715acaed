/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the board tells the firmware that runs on it: items of the fw_cfg device, and bytes of the
 * CMOS memory that stand for setup.
 */
#ifndef RF_DEVICES_BOARD_PC_FIRMWARE_H
#define RF_DEVICES_BOARD_PC_FIRMWARE_H

#include "devices/firmware/acpi_tables.h"
#include "devices/firmware/fw_cfg.h"

/* -boot, and what else the user says of how to start. */
struct pc_boot {
	/*
	 * In this order: a, b floppies; c the hard disk, d the CD, n to p networks. The first three
	 * count.
	 */
	const char *order;
	const char *once;         /* the order before the first reset of the machine; or NULL */
	/* ms to wait before it tries again when nothing can be booted from; -1: it does not */
	int32_t retry_ms;
	bool no_floppy_check;     /* floppies without a boot sector's mark are booted, too */
	bool menu;                /* ask what to boot from */
	uint16_t menu_wait_ms;    /* for how long; 0: as the firmware likes */
	uint8_t uuid[16];         /* the machine's, as its text has it; all 0: none */
	bool serial_screen;       /* the firmware's screen and keys are the first serial port */
};

/*
 * The items, and files with the SMBIOS and, if there is ACPI, its tables, into cfg. 0 or -ENOMEM.
 */
int pc_firmware_describe(struct fw_cfg *cfg, const struct acpi_config *acpi, bool has_acpi,
			 const struct pc_boot *boot) RF_MUST_CHECK;

/* The CMOS bytes 38h and 3dh for an order of devices. */
void pc_firmware_boot_order(const char *order, uint8_t *byte38, uint8_t *byte3d);

#endif
