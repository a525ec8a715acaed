/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drives in the CMOS memory. */
#include "pc_setup.h"

#define CMOS_FLOPPY_TYPES      0x10
#define CMOS_DISK_TYPES        0x12
#define CMOS_EQUIPMENT         0x14
#define CMOS_DISK_TRANSLATIONS 0x39

void pc_setup_disks(struct mc146818 *rtc, const struct ide_drive_config *drives)
{
	uint8_t types = 0, translations = 0;

	for (unsigned i = 0; i < IDE_CHANNELS * IDE_DRIVES; i++) {
		const struct ide_drive_config *drive = &drives[i];
		struct ide_geometry geometry;
		unsigned translation;

		if (drive->kind != IDE_DISK)
			continue;
		ide_guess_geometry(drive->block->sectors, &geometry, &translation);
		translations |= translation << (2 * i);
		if (i < IDE_DRIVES)
			types |= i ? 0x0f : 0xf0;
	}
	mc146818_set_cmos(rtc, CMOS_DISK_TYPES, types);
	mc146818_set_cmos(rtc, CMOS_DISK_TRANSLATIONS, translations);
}

void pc_setup_floppies(struct mc146818 *rtc, const struct floppy_drive_config *drives)
{
	const uint8_t first = (uint8_t)drives[0].type, second = (uint8_t)drives[1].type;
	const unsigned count = !!first + !!second;
	uint8_t equipment = rtc->s.cmos[CMOS_EQUIPMENT];

	if (count)
		equipment |= 1u | (count - 1) << 6;
	mc146818_set_cmos(rtc, CMOS_FLOPPY_TYPES, (uint8_t)(first << 4 | second));
	mc146818_set_cmos(rtc, CMOS_EQUIPMENT, equipment);
}
