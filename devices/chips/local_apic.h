/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC of a one-processor machine (SDM vol. 3, chapter 10; xAPIC mode). Its timer counts
 * a crystal of 25 MHz before the divider, as in processors whose CPUID tells the crystal's rate.
 *
 * It owns the CPU's INTR pin: the 8259s reach the CPU only through LINT0, or directly while the
 * APIC is disabled in IA32_APIC_BASE.
 */
#ifndef RF_DEVICES_CHIPS_LOCAL_APIC_H
#define RF_DEVICES_CHIPS_LOCAL_APIC_H

#include "devices/bus/bus.h"
#include "devices/bus/clock.h"
#include "devices/bus/owed_ticks.h"
#include "devices/bus/wires.h"

#define LAPIC_DEFAULT_BASE 0xfee00000u
#define LAPIC_TIMER_HZ     25000000u
#define LAPIC_TICK_NS      40u
#define LAPIC_BASE_BSP     0x100u
#define LAPIC_BASE_ENABLE  0x800u

/* Delivery modes of the ICR, the LVT and I/O APIC entries (SDM vol. 3, 10.6.1). */
enum apic_delivery {
	APIC_FIXED = 0, APIC_LOWEST = 1, APIC_SMI = 2, APIC_NMI = 4, APIC_INIT = 5,
	APIC_STARTUP = 6, APIC_EXTINT = 7,
};

enum lapic_lvt {
	LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR, LAPIC_NLVT
};

struct lapic_config {
	struct clock clock;
	/* for its page, which moves with IA32_APIC_BASE */
	struct bus *bus;
	struct irq_line intr;   /* the CPU's INTR pin; set when it changes */
	struct signal_line nmi;
	struct signal_line eoi; /* EOI broadcast of a level-triggered vector, the value */
	struct interrupt_source pic; /* the 8259s */
	/* physical addresses the CPU has, e.g. 0xfffffffff */
	uint64_t address_mask;
};

struct lapic {
	struct lapic_config config;
	struct clock_timer *timer;
	/* NULL while disabled, or where its page would hide another device */
	struct bus_mapping *mapping;
	/*
	 * IRR is not empty; atomic, since lapic_store_unlocked() looks at it without the device
	 * lock
	 */
	bool requested;
	struct lapic_state {
		uint64_t base_msr;
		uint32_t isr[8], irr[8], tmr[8];
		uint32_t lvt[LAPIC_NLVT];
		uint32_t id, ldr, dfr, svr, icr_low, icr_high;
		uint32_t esr, esr_pending;
		uint32_t divide, initial_count;
		uint64_t deadline_ns; /* when the count reaches zero; 0: stopped */
		uint64_t wake_ns;     /* what the timer is armed for; 0: it is not */
		struct owed_ticks owed; /* periodic: expired, but not requested yet */
		uint8_t tpr;
		uint8_t lint_level[2];
		uint8_t intr_level;      /* as reported */
	} s;
};

extern const struct device_desc lapic_desc;

/* 0 or a negative errno. The page is mapped at reset; the bus must have room for it. */
int lapic_init(struct lapic *apic, const struct lapic_config *config) RF_MUST_CHECK;
void lapic_destroy(struct lapic *apic);
void lapic_reset(void *apic);

/* LINT0 (n = 0, the 8259s' INT) and LINT1 (n = 1, NMI). As irq_line.set. */
void lapic_set_lint(void *apic, unsigned n, bool level);

/*
 * An interrupt message on the bus. destination and logical as in an I/O APIC entry. False: nobody
 * took it.
 */
bool lapic_message(struct lapic *apic, uint8_t destination, bool logical, enum apic_delivery mode,
		   uint8_t vector, bool level_triggered);

/* Whether the 8259s' INT does anything, as far as LINT0 is concerned. */
bool lapic_heeds_pic(const struct lapic *apic);

/* Whether the 8259s, at LINT0, send NMIs. Nothing else that could is wired. */
bool lapic_sends_nmis(const struct lapic *apic);

/* Whether vector is requested and not yet acknowledged. */
bool lapic_is_requested(const struct lapic *apic, uint8_t vector);

/* As interrupt_source.acknowledge. */
int lapic_acknowledge(void *apic);
static inline bool lapic_intr(const struct lapic *apic) { return apic->s.intr_level; }

bool lapic_base_set(struct lapic *apic, uint64_t value) RF_MUST_CHECK; /* false: #GP */
static inline uint64_t lapic_base_get(const struct lapic *apic) { return apic->s.base_msr; }
static inline uint8_t lapic_tpr_get(const struct lapic *apic)
{
	return __atomic_load_n(&apic->s.tpr, __ATOMIC_SEQ_CST);
}

void lapic_tpr_set(struct lapic *apic, uint8_t tpr);

/*
 * lapic_store.c: a store of the CPU's that needs no device lock, since nothing depends on it just
 * now: to the TPR while nothing is requested. False: it is to be done on the bus. On the CPU's
 * thread, which alone moves the page; for general registers only.
 */
bool lapic_store_unlocked(void *apic, gpa_t gpa, uint32_t value);

/* lapic_timer.c */
void lapic_timer_fired(void *apic);
/*
 * The CPU has taken an interrupt: the next tick that is due, if any, is requested at once. It need
 * not wait for the clock's thread, which a busy host may keep from running.
 */
void lapic_timer_interrupt_taken(struct lapic *apic);
/* As i8254_watched(). */
bool lapic_timer_watched(struct lapic *apic, uint64_t since_ns);
void lapic_timer_set_initial(struct lapic *apic, uint32_t count);
uint32_t lapic_timer_current(struct lapic *apic);
void lapic_timer_set_divide(struct lapic *apic, uint32_t value);
void lapic_timer_set_lvt(struct lapic *apic, uint32_t value);
/* The state was loaded. */
void lapic_timer_loaded(struct lapic *apic);
/* local_apic.c, for lapic_timer.c: the event of an LVT entry. */
void lapic_local_event(struct lapic *apic, enum lapic_lvt which);

#define LVT_MASKED   0x00010000u
#define LVT_PERIODIC 0x00020000u

#endif
