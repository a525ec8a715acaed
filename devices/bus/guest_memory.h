/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest physical memory as devices see it: for tables placed in RAM, and for DMA. */
#ifndef RF_DEVICES_BUS_GUEST_MEMORY_H
#define RF_DEVICES_BUS_GUEST_MEMORY_H

#include "x86/types.h"

struct guest_memory {
	/*
	 * Whole-range or nothing: 0, or -EFAULT where no RAM is. Any thread, under the VM's device
	 * lock.
	 *
	 * What write stores is there at once for everybody who reads memory. Whoever relies on the
	 * old contents (translations of code) is told in time for the guest to see the new ones
	 * when it takes an interrupt that the device raises afterwards.
	 */
	int (*read)(void *opaque, gpa_t gpa, void *buf, size_t len);
	int (*write)(void *opaque, gpa_t gpa, const void *buf, size_t len);
	void *opaque;
};

#endif
