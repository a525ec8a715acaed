/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What setup would have stored in the CMOS memory about drives (IBM PC/AT, "CMOS RAM Data"). */
#ifndef RF_DEVICES_BOARD_PC_SETUP_H
#define RF_DEVICES_BOARD_PC_SETUP_H

#include "devices/chips/mc146818.h"
#include "devices/storage/fdc.h"
#include "devices/storage/ide.h"

/* The disks of the first channel by type, all four by how their geometry is translated. */
void pc_setup_disks(struct mc146818 *rtc, const struct ide_drive_config *drives);
/* The two floppy drives' types; in the equipment, whether and how many there are. */
void pc_setup_floppies(struct mc146818 *rtc, const struct floppy_drive_config *drives);

#endif
