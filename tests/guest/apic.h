/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The local APIC, for interrupts and NMIs to oneself. */
#ifndef GUEST_APIC_H
#define GUEST_APIC_H

#include "guest.h"

#define APIC 0xfee00000u
enum { APIC_TPR = 0x80, APIC_EOI = 0xb0, APIC_SPURIOUS = 0xf0, APIC_COMMAND = 0x300 };
#define APIC_SELF_NMI 0x44400 /* as command */

static inline volatile uint32_t *apic(unsigned offset)
{
	return (uint32_t *)(APIC + offset);
}

/* Enables it, and lets every ring reach it. False: there is none. */
static inline bool apic_start(void)
{
	uint32_t a = 1, b, c, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	if (!(d >> 9 & 1))
		return false;
	if (paging != PAGING_OFF)
		map(APIC, APIC | PTE_ALL);
	*apic(APIC_SPURIOUS) = 0x1ff;
	*apic(APIC_TPR) = 0;
	return true;
}

static inline void apic_stop(void)
{
	if (paging != PAGING_OFF)
		map(APIC, 0);
}

#endif
