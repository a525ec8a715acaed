/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other disks in the drives of a running machine. */
#ifndef RF_MONITOR_MACHINE_MEDIA_H
#define RF_MONITOR_MACHINE_MEDIA_H

#include "devices/bus/media.h"

struct machine;

/* The machine's drives: the IDE ones that are there, then the floppy drives. */
struct media machine_media(struct machine *machine);

#endif
