/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Task-state segments as they lie in guest memory. */
#ifndef RF_MONITOR_PROCESSOR_TSS_H
#define RF_MONITOR_PROCESSOR_TSS_H

#include "descriptors.h"

/*
 * TSS images (SDM vol. 3, figures 7-2 and 7-10). General and segment registers lie in ModRM order.
 */
struct tss32 {
	uint16_t link, reserved_link;
	struct { uint32_t esp; uint16_t ss, reserved; } stack[3];
	uint32_t cr3, eip, eflags, regs[8];
	struct { uint16_t selector, reserved; } seg[6];
	uint16_t ldt, reserved_ldt, trap, io_map;
};

struct tss16 {
	uint16_t link;
	struct { uint16_t sp, ss; } stack[3];
	uint16_t ip, flags, regs[8], seg[4], ldt;
};

_Static_assert(sizeof(struct tss32) == 104 && offsetof(struct tss32, eip) == 0x20 &&
		       offsetof(struct tss32, io_map) == 0x66,
	       "TSS");
_Static_assert(sizeof(struct tss16) == 44 && offsetof(struct tss16, ip) == 0x0e &&
		       offsetof(struct tss16, ldt) == 0x2a,
	       "TSS");

#define TSS_BUSY 0x2u /* in the type of a TSS's descriptor */

static inline bool attr_is_tss32(uint16_t attr) { return attr & 0x8; }
static inline uint32_t tss_size(bool is32)
{
	return is32 ? sizeof(struct tss32) : sizeof(struct tss16);
}

#endif
