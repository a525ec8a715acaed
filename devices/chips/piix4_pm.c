/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PIIX4 power management. The PM timer is the clock, scaled; its carry into bit 23 sets TMR_STS
 * lazily, with a host timer only while software enabled that event. The SCI is level: it is up
 * while an enabled event is.
 */
#include "piix4_pm.h"

#include <string.h>

#define PMBASE    0x40
#define PMREGMISC 0x80 /* bit 0: the block at PMBASE is decoded */
#define PM_SIZE   0x40
#define DEVACTB   0x58
#define DEVACTB_APMC (1u << 25) /* writing port b2h makes an SMI */

enum { PM1_STATUS = 0, PM1_ENABLE = 2, PM1_CONTROL = 4, PM_TIMER = 8 };

/* PM1 status and enable. */
#define EVENT_TIMER   0x0001
#define EVENT_GLOBAL  0x0020
#define EVENT_POWER_BUTTON 0x0100
#define EVENT_RTC     0x0400
#define EVENT_WAKE    0x8000
#define EVENTS        (EVENT_TIMER | EVENT_GLOBAL | EVENT_POWER_BUTTON | EVENT_RTC)

/* PM1 control. */
#define CONTROL_SCI_ENABLE   0x0001
#define CONTROL_SLEEP_ENABLE 0x2000
#define CONTROL_SLEEP_TYPE   0x1c00
#define SLEEP_TYPE_S5        0x0000 /* as the \_S5 package in the DSDT says */

#define HALF_ROUND (1u << 23)

static uint64_t pm_ticks(const struct piix4_pm *pm)
{
	return muldiv64(clock_now(&pm->clock), PM_TIMER_HZ, NS_PER_SECOND);
}

static void pm_sync(struct piix4_pm *pm)
{
	uint64_t half = pm_ticks(pm) / HALF_ROUND;

	if (half != pm->s.seen_half)
		pm->s.status |= EVENT_TIMER;
	pm->s.seen_half = half;
}

static void pm_update(struct piix4_pm *pm)
{
	bool level = pm->s.status & pm->s.enable & EVENTS;

	for (unsigned i = 0; i < sizeof(pm->s.gpe_status); i++)
		level |= (pm->s.gpe_status[i] & pm->s.gpe_enable[i]) != 0;
	irq_set(&pm->sci, level);
	if ((pm->s.enable & ~pm->s.status) & EVENT_TIMER)
		clock_timer_arm(&pm->clock, pm->timer,
				muldiv64_up((pm->s.seen_half + 1) * HALF_ROUND, NS_PER_SECOND,
					    PM_TIMER_HZ));
	else
		clock_timer_cancel(&pm->clock, pm->timer);
}

static void timer_fired(void *opaque)
{
	pm_sync(opaque);
	pm_update(opaque);
}

void piix4_pm_power_button(struct piix4_pm *pm)
{
	pm->s.status |= EVENT_POWER_BUTTON;
	pm_update(pm);
}

static void write_control(struct piix4_pm *pm, uint16_t value)
{
	/* SCI_EN is the SMI handler's to change (through port b2h). */
	pm->s.control = (value & ~(CONTROL_SLEEP_ENABLE | CONTROL_SCI_ENABLE)) |
			(pm->s.control & CONTROL_SCI_ENABLE);
	if (!(value & CONTROL_SLEEP_ENABLE))
		return;
	if ((value & CONTROL_SLEEP_TYPE) == SLEEP_TYPE_S5)
		signal_raise(&pm->poweroff, 0);
	else
		pm->s.status |= EVENT_WAKE; /* no other sleep state is offered: awake at once */
}

static uint16_t word_read(struct piix4_pm *pm, unsigned at)
{
	switch (at) {
	case PM1_STATUS:
		pm_sync(pm);
		return pm->s.status;
	case PM1_ENABLE:
		return pm->s.enable;
	case PM1_CONTROL:
		return pm->s.control;
	default:
		return 0;
	}
}

static void word_write(struct piix4_pm *pm, unsigned at, uint16_t value)
{
	switch (at) {
	case PM1_STATUS:
		pm_sync(pm);
		pm->s.status &= ~value;
		break;
	case PM1_ENABLE:
		pm_sync(pm);
		pm->s.enable = value & EVENTS;
		break;
	case PM1_CONTROL:
		write_control(pm, value);
		break;
	default:
		break;
	}
	pm_update(pm);
}

static uint64_t block_read(void *opaque, uint64_t offset, unsigned size)
{
	struct piix4_pm *pm = opaque;
	uint64_t value;

	if ((offset & ~3ull) == PM_TIMER) {
		clock_tell(&pm->clock);
		value = pm_ticks(pm) & 0xffffff;
	} else {
		unsigned at = (unsigned)offset & ~3u;

		value = word_read(pm, at) | (uint64_t)word_read(pm, at + 2) << 16;
	}
	return value >> (8 * (offset & 3));
}

static void block_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct piix4_pm *pm = opaque;
	unsigned at = (unsigned)offset & ~1u;

	if (size == 1) { /* the other byte stays: for status, that means no ones in it */
		unsigned shift = 8 * (offset & 1);
		uint16_t other = at == PM1_STATUS ? 0 : word_read(pm, at) & ~(0xff << shift);

		word_write(pm, at, other | (uint16_t)((value & 0xff) << shift));
		return;
	}
	word_write(pm, at, (uint16_t)value);
	if (size == 4)
		word_write(pm, at + 2, (uint16_t)(value >> 16));
}

/* General-purpose events: status bytes (ones clear), then enable bytes. Nothing raises one yet. */
static uint64_t gpe_read(void *opaque, uint64_t offset, unsigned size)
{
	struct piix4_pm *pm = opaque;

	return offset < PM_GPE0_SIZE / 2 ? pm->s.gpe_status[offset] :
					   pm->s.gpe_enable[offset - PM_GPE0_SIZE / 2];
}

static void gpe_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct piix4_pm *pm = opaque;

	if (offset < PM_GPE0_SIZE / 2)
		pm->s.gpe_status[offset] &= (uint8_t)~value;
	else
		pm->s.gpe_enable[offset - PM_GPE0_SIZE / 2] = (uint8_t)value;
	pm_update(pm);
}

static uint64_t apm_read(void *opaque, uint64_t offset, unsigned size)
{
	struct piix4_pm *pm = opaque;

	return offset ? pm->s.apm_status : pm->s.apm_command;
}

/* What the SMI handler of a PC's firmware would do with the commands the FADT names. */
static void apm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct piix4_pm *pm = opaque;

	if (offset) {
		pm->s.apm_status = (uint8_t)value;
		return;
	}
	pm->s.apm_command = (uint8_t)value;
	if (value == PM_ACPI_ENABLE)
		pm->s.control |= CONTROL_SCI_ENABLE;
	else if (value == PM_ACPI_DISABLE)
		pm->s.control &= ~CONTROL_SCI_ENABLE;
	pm_update(pm);
}

/* The block follows PMBASE and its enable bit. */
static void remap(struct piix4_pm *pm)
{
	const uint8_t *config = pm->function.config;
	struct bus_range range = {
		BUS_PIO, pci_get32(config, PMBASE) & 0xffc0, PM_SIZE,
		{ block_read, block_write, 1, 4 },
	};

	if (pm->mapping)
		bus_unmap(pm->function.bus, pm->mapping);
	pm->mapping = NULL;
	if (!pm->function.bus || !(config[PMREGMISC] & 1))
		return;
	if (bus_map(pm->function.bus, "piix4-pm", &range, pm, &pm->mapping, NULL))
		/* software put it on top of another device, which goes on answering */
		pm->mapping = NULL;
}

static void config_written(void *opaque, unsigned offset, unsigned size)
{
	remap(opaque);
}

static void pm_reset(void *opaque)
{
	struct piix4_pm *pm = opaque;

	memset(&pm->s, 0, sizeof(pm->s));
	pm->s.seen_half = pm_ticks(pm) / HALF_ROUND;
	pci_function_reset(&pm->function);
	remap(pm);
	pm_update(pm);
}

static const char *state_check(const void *opaque)
{
	const struct piix4_pm *pm = opaque;

	if (pm->s.seen_half > pm_ticks(pm) / HALF_ROUND)
		return "s.seen_half";
	return pci_function_config_valid(&pm->function) ? NULL : "function.config";
}

static void loaded(void *opaque)
{
	struct piix4_pm *pm = opaque;

	pci_function_update_bars(&pm->function);
	remap(pm);
	pm_update(pm);
}

int piix4_pm_init(struct piix4_pm *pm, const struct clock *clock, struct irq_line sci,
		  struct signal_line poweroff)
{
	static const struct pci_identity identity = { 0x8086, 0x7113, 3, 0, 0x0680 };
	struct pci_function *f = &pm->function;
	int err;

	memset(pm, 0, sizeof(*pm));
	pm->clock = *clock;
	pm->sci = sci;
	pm->poweroff = poweroff;
	err = clock_timer_create(clock, timer_fired, pm, &pm->timer);
	if (err)
		return err;
	pci_function_init(f, "PIIX4 PM", PCI_DEVFN(1, 3), &identity, pm);
	f->config_written = config_written;
	pci_set16(f->initial, PCI_STATUS, 0x0280);
	f->initial[PCI_INTERRUPT_PIN] = 1;
	f->initial[PCI_INTERRUPT_LINE] = PM_SCI_IRQ;
	/* As firmware leaves it: the I/O block enabled at its usual place. */
	pci_set32(f->initial, PMBASE, PM_DEFAULT_BASE | 1);
	pci_set32(f->writable, PMBASE, 0xffc0);
	f->initial[PMREGMISC] = 1;
	f->writable[PMREGMISC] = 1;
	pm_reset(pm);
	return 0;
}

void piix4_pm_needs_firmware(struct piix4_pm *pm)
{
	struct pci_function *f = &pm->function;

	pci_set32(f->initial, PMBASE, 1);
	f->initial[PMREGMISC] = 0;
	pci_set32(f->initial, DEVACTB, DEVACTB_APMC);
	pm_reset(pm);
}

void piix4_pm_destroy(struct piix4_pm *pm)
{
	if (pm->mapping)
		bus_unmap(pm->function.bus, pm->mapping);
	pm->mapping = NULL;
	clock_timer_destroy(&pm->clock, pm->timer);
	pm->timer = NULL;
}

static const struct state_field state[] = {
	STATE_ANY(struct piix4_pm, s.seen_half),
	STATE_BITS(struct piix4_pm, s.status, EVENTS | EVENT_WAKE),
	STATE_BITS(struct piix4_pm, s.enable, EVENTS),
	STATE_BITS(struct piix4_pm, s.control, (uint16_t)~CONTROL_SLEEP_ENABLE),
	STATE_ANY_ARRAY(struct piix4_pm, s.gpe_status),
	STATE_ANY_ARRAY(struct piix4_pm, s.gpe_enable),
	STATE_ANY(struct piix4_pm, s.apm_command),
	STATE_ANY(struct piix4_pm, s.apm_status),
	STATE_ANY_ARRAY(struct piix4_pm, function.config),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, PM_SMI_PORT, 2, { apm_read, apm_write, 1, 1 } },
	{ BUS_PIO, PM_GPE0_BASE, PM_GPE0_SIZE, { gpe_read, gpe_write, 1, 1 } },
};

const struct device_desc piix4_pm_desc = {
	.name = "piix4-pm",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = pm_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct piix4_pm),
	.state_check = state_check,
	.loaded = loaded,
};
