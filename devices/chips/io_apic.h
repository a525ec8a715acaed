/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 82093AA I/O APIC: 24 pins, registers at fec00000h (Intel 82093AA data sheet). */
#ifndef RF_DEVICES_CHIPS_IO_APIC_H
#define RF_DEVICES_CHIPS_IO_APIC_H

#include "devices/bus/bus.h"
#include "local_apic.h"

#define IO_APIC_BASE 0xfec00000u
#define IO_APIC_PINS 24

struct io_apic {
	struct lapic *lapic; /* where its messages go */
	struct io_apic_state {
		uint64_t entry[IO_APIC_PINS];
		uint32_t lines; /* input levels */
		uint32_t id;
		uint8_t select;
	} s;
	uint64_t sent[IO_APIC_PINS]; /* interrupts, by pin, for people to look at */
};

extern const struct device_desc io_apic_desc;

void io_apic_init(struct io_apic *apic, struct lapic *lapic);
/* Pin n. As irq_line.set. */
void io_apic_set_pin(void *apic, unsigned n, bool level);
/* Whether an edge at pin n is lost. */
static inline bool io_apic_is_masked(const struct io_apic *apic, unsigned n)
{
	return apic->s.entry[n] >> 16 & 1;
}

/* Whether the interrupt of pin n is enabled, requested at the local APIC, and not yet taken. */
bool io_apic_is_requested(const struct io_apic *apic, unsigned n);
/* Whether a pin is enabled that sends something else than interrupts: NMIs, INIT. */
bool io_apic_sends_nmis(const struct io_apic *apic);
/* A local APIC broadcast the end of vector. As signal_line.raise. */
void io_apic_eoi(void *apic, unsigned n, uint32_t vector);

#endif
