/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What firmware tells of the machine in SMBIOS tables (System Management BIOS Reference
 * Specification 2.8): system, enclosure, processor, memory. The firmware adds itself.
 */
#ifndef RF_DEVICES_FIRMWARE_SMBIOS_H
#define RF_DEVICES_FIRMWARE_SMBIOS_H

#include "x86/types.h"

#define SMBIOS_ANCHOR_SIZE 31
#define SMBIOS_TABLES_MAX 1024

/*
 * Fills tables and the entry point, which has no address yet, and checksums as if that were 0.
 * Returns the tables' size in bytes. ram_size: bytes, at most 3.5 GiB. uuid: as its text has it;
 * all 0: there is none.
 */
uint32_t smbios_build(uint64_t ram_size, const uint8_t uuid[16],
		      uint8_t tables[SMBIOS_TABLES_MAX], uint8_t anchor[SMBIOS_ANCHOR_SIZE]);

#endif
