/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stores to the local APIC that need no device lock: the TPR while no interrupt is requested, when
 * no priority can decide anything. A kernel that raises and lowers it around its critical sections
 * does that most of the time.
 *
 * Another thread may request an interrupt just then, under the lock. It notes that
 * (lapic.requested) and then looks at the TPR; here the TPR is set first and then the note is
 * looked at. Both in sequential order: so either the new TPR is what it sees, or here the note is
 * seen, and the store is done again under the lock, after the request.
 */
#include "local_apic.h"

#define TPR 0x80u

bool lapic_store_unlocked(void *opaque, gpa_t gpa, uint32_t value)
{
	struct lapic *apic = opaque;

	if (gpa.v != (apic->s.base_msr & ~0xfffull) + TPR || !apic->mapping)
		return false;
	__atomic_store_n(&apic->s.tpr, (uint8_t)value, __ATOMIC_SEQ_CST);
	return !__atomic_load_n(&apic->requested, __ATOMIC_SEQ_CST);
}
