/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local APIC: registers, priorities, messages.
 *
 * Invariant outside this file: intr_level, and so the CPU's pin, says whether lapic_acknowledge()
 * would yield a vector. Every change of the state it depends on (IRR, ISR, TPR, SVR, LVT_LINT0,
 * LINT0, the base MSR) ends in lapic_update().
 */
#include "local_apic.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define SVR_ENABLE 0x100u
#define VERSION    0x00050014u /* six LVT entries, integrated APIC */

#define LVT_VECTOR     0x000000ffu
#define LVT_MODE(lvt)  ((enum apic_delivery)((lvt) >> 8 & 7))
#define LVT_REMOTE_IRR 0x00004000u
#define LVT_LEVEL      0x00008000u

#define ESR_SEND_ILLEGAL    0x20u
#define ESR_RECEIVE_ILLEGAL 0x40u
#define ESR_ILLEGAL_REGISTER 0x80u

/* Writable bits of the LVT entries, in enum lapic_lvt's order. */
static const uint32_t lvt_writable[LAPIC_NLVT] = {
	0x000300ff, 0x000107ff, 0x000107ff, 0x0001a7ff, 0x0001a7ff, 0x000100ff,
};

static int highest(const uint32_t bits[8])
{
	for (int i = 7; i >= 0; i--)
		if (bits[i])
			return i * 32 + 31 - __builtin_clz(bits[i]);
	return -1;
}

static void bit_set(uint32_t bits[8], unsigned n) { bits[n >> 5] |= 1u << (n & 31); }
static void bit_clear(uint32_t bits[8], unsigned n) { bits[n >> 5] &= ~(1u << (n & 31)); }
static bool bit_test(const uint32_t bits[8], unsigned n) { return bits[n >> 5] >> (n & 31) & 1; }

static bool globally_enabled(const struct lapic *apic)
{
	return apic->s.base_msr & LAPIC_BASE_ENABLE;
}

static bool software_enabled(const struct lapic *apic)
{
	return globally_enabled(apic) && (apic->s.svr & SVR_ENABLE);
}

/* Processor priority (SDM vol. 3, 10.8.3.1). */
static uint8_t processor_priority(const struct lapic *apic)
{
	int serviced = highest(apic->s.isr);
	uint8_t class = serviced < 0 ? 0 : (uint8_t)(serviced & 0xf0);

	const uint8_t tpr = lapic_tpr_get(apic);

	return (tpr & 0xf0) >= class ? tpr : class;
}

/* The APIC's own interrupt the CPU would get now, or -1. */
static int deliverable(const struct lapic *apic)
{
	int requested = highest(apic->s.irr);

	if (requested < 0 || !software_enabled(apic))
		return -1;
	return (requested & 0xf0) > (processor_priority(apic) & 0xf0) ? requested : -1;
}

/* Whether the 8259s' INT reaches the CPU as an external interrupt. */
static bool extint(const struct lapic *apic)
{
	uint32_t lvt = apic->s.lvt[LVT_LINT0];

	if (!apic->s.lint_level[0])
		return false;
	return !globally_enabled(apic) || (!(lvt & LVT_MASKED) && LVT_MODE(lvt) == APIC_EXTINT);
}

/* Before the TPR is looked at: see lapic_store_unlocked(). */
static void note_requested(struct lapic *apic)
{
	__atomic_store_n(&apic->requested, highest(apic->s.irr) >= 0, __ATOMIC_SEQ_CST);
}

static void lapic_update(struct lapic *apic)
{
	bool level;

	note_requested(apic);
	level = extint(apic) || deliverable(apic) >= 0;
	if (level != apic->s.intr_level) {
		apic->s.intr_level = level;
		irq_set(&apic->config.intr, level);
	}
}

/* Accepting. */

static void error(struct lapic *apic, uint32_t bit)
{
	bool first = !(apic->s.esr_pending & bit);

	apic->s.esr_pending |= bit;
	/* Its own vector may be illegal too: report that once, not for ever. */
	if (first)
		lapic_local_event(apic, LVT_ERROR);
}

static bool accept_fixed(struct lapic *apic, uint8_t vector, bool level_triggered)
{
	if (!software_enabled(apic))
		return false;
	if (vector < 16) {
		error(apic, ESR_RECEIVE_ILLEGAL);
		return false;
	}
	bit_set(apic->s.irr, vector);
	if (level_triggered)
		bit_set(apic->s.tmr, vector);
	else
		bit_clear(apic->s.tmr, vector);
	lapic_update(apic);
	return true;
}

static bool accept(struct lapic *apic, enum apic_delivery mode, uint8_t vector,
		   bool level_triggered)
{
	switch (mode) {
	case APIC_FIXED:
	case APIC_LOWEST:
		return accept_fixed(apic, vector, level_triggered);
	case APIC_NMI:
		signal_raise(&apic->config.nmi, 0);
		return true;
	default: /* SMI, INIT and start-up of the only processor by itself: nothing to do */
		return true;
	}
}

void lapic_local_event(struct lapic *apic, enum lapic_lvt which)
{
	uint32_t lvt = apic->s.lvt[which];

	assert(which < LAPIC_NLVT);
	if (lvt & LVT_MASKED)
		return;
	/* Timer and error entries have no delivery mode: those bits are zero, fixed. */
	accept(apic, LVT_MODE(lvt), lvt & LVT_VECTOR, false);
}

static bool is_addressed(const struct lapic *apic, uint8_t destination, bool logical)
{
	uint8_t ldr = (uint8_t)(apic->s.ldr >> 24);

	if (destination == 0xff)
		return true;
	if (!logical)
		return destination == apic->s.id >> 24;
	if (apic->s.dfr >> 28 == 0xf) /* flat */
		return destination & ldr;
	return destination >> 4 == ldr >> 4 && (destination & ldr & 0xf); /* cluster */
}

bool lapic_message(struct lapic *apic, uint8_t destination, bool logical, enum apic_delivery mode,
		   uint8_t vector, bool level_triggered)
{
	if (!globally_enabled(apic) || !is_addressed(apic, destination, logical))
		return false;
	return accept(apic, mode, vector, level_triggered);
}

/* LINT0 and LINT1 in other modes than ExtINT (which lapic_update() looks at). */
static void lint_event(struct lapic *apic, enum lapic_lvt which, bool level, bool rising)
{
	uint32_t *lvt = &apic->s.lvt[which];
	bool level_triggered = (*lvt & LVT_LEVEL) && LVT_MODE(*lvt) == APIC_FIXED;

	if (!globally_enabled(apic) || (*lvt & LVT_MASKED) || LVT_MODE(*lvt) == APIC_EXTINT)
		return;
	if (!level_triggered) {
		if (rising)
			accept(apic, LVT_MODE(*lvt), *lvt & LVT_VECTOR, false);
	} else if (level && !(*lvt & LVT_REMOTE_IRR)) {
		*lvt |= LVT_REMOTE_IRR;
		accept(apic, APIC_FIXED, *lvt & LVT_VECTOR, true);
	}
}

bool lapic_sends_nmis(const struct lapic *apic)
{
	uint32_t entry = apic->s.lvt[LVT_LINT0];

	return !(entry & LVT_MASKED) && (entry >> 8 & 7) == APIC_NMI;
}

void lapic_set_lint(void *opaque, unsigned n, bool level)
{
	struct lapic *apic = opaque;
	bool rising = level && !apic->s.lint_level[n];

	assert(n < 2);
	apic->s.lint_level[n] = level;
	if (n == 1 && rising && !globally_enabled(apic))
		signal_raise(&apic->config.nmi, 0); /* the pin is NMI then */
	lint_event(apic, n ? LVT_LINT1 : LVT_LINT0, level, rising);
	lapic_update(apic);
}

bool lapic_heeds_pic(const struct lapic *apic)
{
	return !globally_enabled(apic) || !(apic->s.lvt[LVT_LINT0] & LVT_MASKED);
}

bool lapic_is_requested(const struct lapic *apic, uint8_t vector)
{
	return bit_test(apic->s.irr, vector);
}

int lapic_acknowledge(void *opaque)
{
	struct lapic *apic = opaque;
	int vector = deliverable(apic);

	if (vector >= 0) {
		assert(vector >= 16 && vector > highest(apic->s.isr));
		bit_clear(apic->s.irr, (unsigned)vector);
		bit_set(apic->s.isr, (unsigned)vector);
	} else if (extint(apic)) {
		/* lowers LINT0 through lapic_set_lint() */
		vector = interrupt_acknowledge(&apic->config.pic);
	}
	if (vector >= 0)
		lapic_timer_interrupt_taken(apic);
	lapic_update(apic);
	return vector;
}

static void end_of_interrupt(struct lapic *apic)
{
	int vector = highest(apic->s.isr);

	if (vector < 0)
		return;
	bit_clear(apic->s.isr, (unsigned)vector);
	if (bit_test(apic->s.tmr, (unsigned)vector)) {
		for (enum lapic_lvt i = LVT_LINT0; i <= LVT_LINT1; i++) {
			if ((int)(apic->s.lvt[i] & LVT_VECTOR) != vector ||
			    !(apic->s.lvt[i] & LVT_REMOTE_IRR))
				continue;
			apic->s.lvt[i] &= ~LVT_REMOTE_IRR;
			lint_event(apic, i, apic->s.lint_level[i - LVT_LINT0], false);
		}
		signal_raise(&apic->config.eoi, (uint8_t)vector);
	}
	lapic_update(apic);
}

/* Registers. */

static void write_icr(struct lapic *apic, uint32_t value)
{
	enum apic_delivery mode = LVT_MODE(value);
	uint8_t vector = (uint8_t)value;
	bool to_self;

	/* delivery status reads idle: sending takes no time */
	apic->s.icr_low = value & 0x000ccfff;
	switch (value >> 18 & 3) {
	case 0:
		to_self = is_addressed(apic, (uint8_t)(apic->s.icr_high >> 24), value & 0x800);
		break;
	case 3: /* all but self: there is nobody */
		to_self = false;
		break;
	default:
		to_self = true;
		break;
	}
	if ((mode == APIC_FIXED || mode == APIC_LOWEST) && vector < 16) {
		error(apic, ESR_SEND_ILLEGAL);
		return;
	}
	if (to_self)
		accept(apic, mode, vector, false);
}

static void write_lvt(struct lapic *apic, enum lapic_lvt which, uint32_t value)
{
	value = (value & lvt_writable[which]) | (apic->s.lvt[which] & LVT_REMOTE_IRR);
	if (!(apic->s.svr & SVR_ENABLE))
		/* cannot be unmasked while software-disabled (SDM vol. 3, 10.4.7.2) */
		value |= LVT_MASKED;
	if (which == LVT_TIMER)
		lapic_timer_set_lvt(apic, value);
	else
		apic->s.lvt[which] = value;
	if (which == LVT_LINT0 || which == LVT_LINT1)
		lint_event(apic, which, apic->s.lint_level[which - LVT_LINT0], false);
	lapic_update(apic);
}

static void write_svr(struct lapic *apic, uint32_t value)
{
	if (!(value & SVR_ENABLE)) {
		lapic_timer_set_lvt(apic, apic->s.lvt[LVT_TIMER] | LVT_MASKED);
		for (unsigned i = 0; i < LAPIC_NLVT; i++)
			apic->s.lvt[i] |= LVT_MASKED;
	}
	apic->s.svr = value & 0x3ff;
	lapic_update(apic);
}

void lapic_tpr_set(struct lapic *apic, uint8_t tpr)
{
	__atomic_store_n(&apic->s.tpr, tpr, __ATOMIC_SEQ_CST);
	lapic_update(apic);
}

/* The LVT entry a register number (offset / 16) names, or -1. */
static int lvt_of(unsigned reg)
{
	return reg >= 0x32 && reg <= 0x37 ? (int)(reg - 0x32) : -1;
}

static uint64_t lapic_read(void *opaque, uint64_t offset, unsigned size)
{
	struct lapic *apic = opaque;
	unsigned reg = (unsigned)(offset >> 4);

	if (offset & 15)
		return 0;
	if (lvt_of(reg) >= 0)
		return apic->s.lvt[lvt_of(reg)];
	switch (reg) {
	case 0x02: return apic->s.id;
	case 0x03: return VERSION;
	case 0x08: return lapic_tpr_get(apic);
	/* arbitration priority: there is nobody to arbitrate with */
	case 0x09: return lapic_tpr_get(apic);
	case 0x0a: return processor_priority(apic);
	case 0x0b: return 0; /* EOI */
	case 0x0d: return apic->s.ldr;
	case 0x0e: return apic->s.dfr;
	case 0x0f: return apic->s.svr;
	case 0x10 ... 0x17: return apic->s.isr[reg - 0x10];
	case 0x18 ... 0x1f: return apic->s.tmr[reg - 0x18];
	case 0x20 ... 0x27: return apic->s.irr[reg - 0x20];
	case 0x28: return apic->s.esr;
	case 0x30: return apic->s.icr_low;
	case 0x31: return apic->s.icr_high;
	case 0x38: return apic->s.initial_count;
	case 0x39: clock_tell(&apic->config.clock); return lapic_timer_current(apic);
	case 0x3e: return apic->s.divide;
	default:
		error(apic, ESR_ILLEGAL_REGISTER);
		return 0;
	}
}

static void lapic_write(void *opaque, uint64_t offset, uint64_t wide, unsigned size)
{
	struct lapic *apic = opaque;
	unsigned reg = (unsigned)(offset >> 4);
	uint32_t value = (uint32_t)wide;

	if (offset & 15)
		return;
	if (lvt_of(reg) >= 0) {
		write_lvt(apic, (enum lapic_lvt)lvt_of(reg), value);
		return;
	}
	switch (reg) {
	case 0x02: apic->s.id = value & 0xff000000; break;
	case 0x08: lapic_tpr_set(apic, (uint8_t)value); break;
	case 0x0b: end_of_interrupt(apic); break;
	case 0x0d: apic->s.ldr = value & 0xff000000; break;
	case 0x0e: apic->s.dfr = value | 0x0fffffff; break;
	case 0x0f: write_svr(apic, value); break;
	case 0x28: /* a write makes the errors since the last one readable (SDM vol. 3, 10.5.3) */
		apic->s.esr = apic->s.esr_pending;
		apic->s.esr_pending = 0;
		break;
	case 0x30: write_icr(apic, value); break;
	case 0x31: apic->s.icr_high = value & 0xff000000; break;
	case 0x38: lapic_timer_set_initial(apic, value); break;
	case 0x3e: lapic_timer_set_divide(apic, value); break;
	case 0x03: case 0x09: case 0x0a: case 0x10 ... 0x27: case 0x39: break; /* read-only */
	default: error(apic, ESR_ILLEGAL_REGISTER); break;
	}
}

/* The page and the base MSR. */

static const struct bus_range page = {
	BUS_MMIO, LAPIC_DEFAULT_BASE, 0x1000, { lapic_read, lapic_write, 4, 4 },
};

static int remap(struct lapic *apic)
{
	struct bus_range range = page;

	if (apic->mapping)
		bus_unmap(apic->config.bus, apic->mapping);
	apic->mapping = NULL;
	if (!globally_enabled(apic))
		return 0;
	range.base = apic->s.base_msr & ~0xfffull;
	return bus_map(apic->config.bus, "local APIC", &range, apic, &apic->mapping, NULL);
}

/* Everything but the base MSR and the pins (SDM vol. 3, 10.4.7.1). */
static void reset_registers(struct lapic *apic)
{
	struct lapic_state old = apic->s;

	memset(&apic->s, 0, sizeof(apic->s));
	apic->s.base_msr = old.base_msr;
	apic->s.intr_level = old.intr_level;
	memcpy(apic->s.lint_level, old.lint_level, sizeof(old.lint_level));
	apic->s.dfr = 0xffffffff;
	apic->s.svr = 0xff;
	for (unsigned i = 0; i < LAPIC_NLVT; i++)
		apic->s.lvt[i] = LVT_MASKED;
	clock_timer_cancel(&apic->config.clock, apic->timer);
}

static bool base_is_valid(const struct lapic *apic, uint64_t value)
{
	return !(value & ~((apic->config.address_mask & ~0xfffull) | LAPIC_BASE_ENABLE |
			   LAPIC_BASE_BSP));
}

bool lapic_base_set(struct lapic *apic, uint64_t value)
{
	bool was_enabled = globally_enabled(apic);
	uint64_t old = apic->s.base_msr;

	if (!base_is_valid(apic, value))
		return false;
	value = (value & ~(uint64_t)LAPIC_BASE_BSP) | LAPIC_BASE_BSP;
	if (value == old)
		return true;
	apic->s.base_msr = value;
	if (was_enabled && !globally_enabled(apic))
		reset_registers(apic);
	/*
	 * Where its page would hide another device the guest gets that device: nothing else is
	 * promised (10.4.5).
	 */
	(void)!remap(apic);
	lapic_update(apic);
	return true;
}

void lapic_reset(void *opaque)
{
	struct lapic *apic = opaque;

	reset_registers(apic);
	apic->s.lint_level[0] = apic->s.lint_level[1] = false;
	apic->s.base_msr = LAPIC_DEFAULT_BASE | LAPIC_BASE_ENABLE | LAPIC_BASE_BSP;
	/* Firmware leaves the 8259s connected: virtual wire mode (MP specification, 3.6.2.2). */
	apic->s.lvt[LVT_LINT0] = APIC_EXTINT << 8;
	(void)!remap(apic);
	lapic_update(apic);
}

static const char *state_check(const void *opaque)
{
	const struct lapic *apic = opaque;

	if (!base_is_valid(apic, apic->s.base_msr))
		return "s.base_msr";
	for (unsigned i = 0; i < LAPIC_NLVT; i++)
		if (apic->s.lvt[i] & ~(lvt_writable[i] | LVT_REMOTE_IRR))
			return "s.lvt";
	return NULL;
}

static void loaded(void *opaque)
{
	struct lapic *apic = opaque;

	/* As where software moves it: what its page would hide goes on answering. */
	(void)!remap(apic);
	note_requested(apic);
	lapic_timer_loaded(apic);
	apic->s.intr_level = extint(apic) || deliverable(apic) >= 0;
	irq_set(&apic->config.intr, apic->s.intr_level);
}

int lapic_init(struct lapic *apic, const struct lapic_config *config)
{
	int err;

	memset(apic, 0, sizeof(*apic));
	apic->config = *config;
	err = clock_timer_create(&config->clock, lapic_timer_fired, apic, &apic->timer);
	if (err)
		return err;
	lapic_reset(apic);
	if (apic->mapping)
		return 0;
	lapic_destroy(apic);
	return -EEXIST;
}

void lapic_destroy(struct lapic *apic)
{
	if (apic->mapping)
		bus_unmap(apic->config.bus, apic->mapping);
	apic->mapping = NULL;
	clock_timer_destroy(&apic->config.clock, apic->timer);
	apic->timer = NULL;
}

static const struct state_field state[] = {
	STATE_ANY(struct lapic, s.base_msr),
	STATE_ANY_ARRAY(struct lapic, s.isr),
	STATE_ANY_ARRAY(struct lapic, s.irr),
	STATE_ANY_ARRAY(struct lapic, s.tmr),
	STATE_ANY_ARRAY(struct lapic, s.lvt),
	STATE_BITS(struct lapic, s.id, 0xff000000),
	STATE_BITS(struct lapic, s.ldr, 0xff000000),
	STATE_ANY(struct lapic, s.dfr),
	STATE_BITS(struct lapic, s.svr, 0x3ff),
	STATE_BITS(struct lapic, s.icr_low, 0x000ccfff),
	STATE_BITS(struct lapic, s.icr_high, 0xff000000),
	STATE_BITS(struct lapic, s.esr, 0xff),
	STATE_BITS(struct lapic, s.esr_pending, 0xff),
	STATE_BITS(struct lapic, s.divide, 0xb),
	STATE_ANY(struct lapic, s.initial_count),
	STATE_TIME(struct lapic, s.deadline_ns),
	STATE_TIME(struct lapic, s.wake_ns),
	STATE_STRUCT(struct lapic, s.owed, owed_ticks_state),
	STATE_ANY(struct lapic, s.tpr),
	STATE_BITS_ARRAY(struct lapic, s.lint_level, 1),
	STATE_FLAG(struct lapic, s.intr_level),
	STATE_END,
};

const struct device_desc lapic_desc = {
	.name = "local-apic",
	.reset = lapic_reset,
	.state = state,
	.state_version = 2,
	.size = sizeof(struct lapic),
	.state_check = state_check,
	.loaded = loaded,
};
