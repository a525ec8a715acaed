/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine's firmware: which file it is, and where the guest sees it. The whole of it ends at
 * 4 GiB; its last 128 KiB show below 1 MiB too, where the host bridge's PAM registers let reads go
 * to the PCI bus.
 */
#ifndef RF_MONITOR_MACHINE_FIRMWARE_H
#define RF_MONITOR_MACHINE_FIRMWARE_H

#include "monitor/vm/vm.h"
#include "x86/error.h"

#define FIRMWARE_SEGMENTS 13 /* of 16 KiB from C0000h; the last is F0000h to FFFFFh */

struct firmware {
	struct vm *vm;
	uint8_t *hidden; /* RAM from C0000h to FFFFFh where reads do not see it */
	uint8_t shown[FIRMWARE_SEGMENTS]; /* the bits of its PAM register that memory follows */
	struct vm_work work;
	bool queued;     /* work is; under the device lock */
};

/*
 * Reads the firmware that config names, or the default one, and puts it into the machine's memory,
 * which was just made. 0, or a negative errno and error; destroy in either case.
 */
int firmware_create(struct firmware *firmware, struct vm *vm, const struct vm_config *config,
		    struct error *error) RF_MUST_CHECK;
void firmware_destroy(struct firmware *firmware);

/* Memory follows the board's PAM registers. On the vCPU's thread, outside guest code. */
void firmware_follow(struct firmware *firmware);
/* The same before the guest's next instruction: for the board's memory_map wire. */
void firmware_follow_soon(void *firmware, unsigned n, uint32_t value);

#endif
