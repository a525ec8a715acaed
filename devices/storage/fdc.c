/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The floppy disk controller's ports (82077AA, "Register Set"), its interrupt, resets, and what of
 * it takes time. Of the PS/2 modes' status registers A and B there are none in AT mode.
 */
#include "fdc_internal.h"

#include <string.h>

#define RESET_NS 100000ull

#define MSR_READY  0x80u
#define MSR_TO_HOST 0x40u
#define MSR_NO_DMA 0x20u
#define MSR_BUSY   0x10u

#define DSR_RESET 0x80u
#define RATE_BITS 0x03u
#define RATE_250K 0x02u
#define TAPE_BITS 0x03u
#define DIR_CHANGED 0x80u

#define CONFIGURE_KEPT 0x2fu /* by LOCK: the FIFO's bits */
#define PERPENDICULAR_DRIVES 0x3cu

enum { REG_DOR = 2, REG_TAPE, REG_STATUS, REG_FIFO, REG_DIR = 7 };

/* ---- the interrupt ---- */

static void update_line(struct fdc *f)
{
	const bool out = f->s.dor & DOR_RUNS && f->s.dor & DOR_GATE;

	irq_set(&f->irq, out && f->s.interrupts);
}

void fdc_interrupt(struct fdc *f, uint8_t reason, bool level)
{
	f->s.interrupts = (uint8_t)(f->s.interrupts & ~reason);
	if (level) {
		irq_set(&f->irq, false); /* an edge, also if it is up for something else */
		f->s.interrupts |= reason;
	}
	update_line(f);
}

/* ---- time ---- */

uint64_t fdc_in(struct fdc *f, uint64_t ns)
{
	return clock_now(&f->clock) + ns;
}

static void take_earlier(uint64_t *earliest, uint64_t ns)
{
	if (ns && (!*earliest || ns < *earliest))
		*earliest = ns;
}

void fdc_arm(struct fdc *f)
{
	uint64_t earliest = 0;

	take_earlier(&earliest, f->s.reset_end_ns);
	take_earlier(&earliest, f->s.wait_end_ns);
	for (unsigned i = 0; i < FDC_UNITS; i++)
		take_earlier(&earliest, f->drive[i].s.seek_end_ns);
	if (earliest)
		clock_timer_arm(&f->clock, f->timer, earliest);
	else
		clock_timer_cancel(&f->clock, f->timer);
}

static void reset_ends(struct fdc *f)
{
	f->s.reset_end_ns = 0;
	f->s.reset_senses = FDC_UNITS;
	fdc_interrupt(f, FDC_INT_SEEK, true);
}

static void on_time(void *opaque)
{
	struct fdc *f = opaque;
	const uint64_t now = clock_now(&f->clock);

	if (f->s.reset_end_ns && f->s.reset_end_ns <= now)
		reset_ends(f);
	for (unsigned i = 0; i < FDC_UNITS; i++)
		if (f->drive[i].s.seek_end_ns && f->drive[i].s.seek_end_ns <= now)
			fdc_seek_ends(f, i);
	if (f->s.wait_end_ns && f->s.wait_end_ns <= now)
		fdc_wait_ends(f);
	fdc_arm(f);
}

/* ---- phases ---- */

void fdc_idle(struct fdc *f)
{
	f->s.phase = FDC_IDLE;
}

void fdc_result(struct fdc *f, unsigned count)
{
	f->s.phase = FDC_RESULT;
	f->s.results = (uint8_t)count;
	f->s.result_at = 0;
}

static void stop(struct fdc *f)
{
	fdc_forget_request(f);
	dma_request(&f->dma, false);
	f->s.phase = FDC_IDLE;
	f->s.interrupts = f->s.reset_senses = 0;
	f->s.reset_end_ns = f->s.wait_end_ns = 0;
	for (unsigned i = 0; i < FDC_UNITS; i++) {
		f->drive[i].s.seek_done = false;
		f->drive[i].s.seek_end_ns = 0;
	}
	fdc_arm(f);
	update_line(f);
}

/* What a reset by software leaves: SPECIFY's values, where heads are, and what LOCK says. */
static void reset_registers(struct fdc *f)
{
	stop(f);
	f->s.perpendicular &= PERPENDICULAR_DRIVES;
	if (f->s.locked) {
		f->s.configure &= CONFIGURE_KEPT;
		return;
	}
	f->s.configure = CONFIGURE_NO_FIFO;
	f->s.pretrack = 0;
}

static void leave_reset(struct fdc *f)
{
	f->s.reset_end_ns = fdc_in(f, RESET_NS);
	fdc_arm(f);
}

/* ---- registers ---- */

static bool hears(const struct fdc *f)
{
	return f->s.dor & DOR_RUNS && !f->s.reset_end_ns;
}

static bool data_by_port(const struct fdc *f)
{
	return f->s.phase == FDC_HOST && !fdc_has_dma(f);
}

static void dor_write(struct fdc *f, uint8_t value)
{
	const uint8_t old = f->s.dor;

	f->s.dor = value;
	if (old & ~value & DOR_RUNS)
		reset_registers(f);
	if (value & ~old & DOR_RUNS)
		leave_reset(f);
	update_line(f);
	if (f->s.phase == FDC_HOST && fdc_has_dma(f))
		dma_request(&f->dma, value & DOR_GATE);
}

static void dsr_write(struct fdc *f, uint8_t value)
{
	f->s.rate = value & RATE_BITS;
	if (!(value & DSR_RESET))
		return;
	reset_registers(f);
	if (f->s.dor & DOR_RUNS)
		leave_reset(f);
}

static void fifo_write(struct fdc *f, uint8_t value)
{
	if (!hears(f))
		return;
	if (data_by_port(f)) {
		if (!fdc_is_to_host(f))
			fdc_data_write(f, value);
		return;
	}
	if (f->s.phase == FDC_IDLE) {
		f->s.given = 0;
		f->s.wanted = (uint8_t)(1 + fdc_parameters(value));
	} else if (f->s.phase != FDC_COMMAND) {
		return;
	}
	f->s.phase = FDC_COMMAND;
	f->s.command[f->s.given++] = value;
	if (f->s.given == f->s.wanted)
		fdc_execute(f);
}

static uint8_t result_read(struct fdc *f)
{
	const uint8_t value = f->s.result[f->s.result_at++];

	fdc_interrupt(f, FDC_INT_DATA, false);
	if (f->s.result_at == f->s.results)
		fdc_idle(f);
	return value;
}

static uint8_t fifo_read(struct fdc *f)
{
	if (f->s.phase == FDC_RESULT)
		return result_read(f);
	return data_by_port(f) && fdc_is_to_host(f) ? fdc_data_read(f) : 0;
}

static uint8_t phase_status(const struct fdc *f)
{
	const uint8_t no_dma = fdc_has_dma(f) ? 0 : MSR_NO_DMA;

	switch (f->s.phase) {
	case FDC_IDLE: return MSR_READY;
	case FDC_COMMAND: return MSR_READY | MSR_BUSY;
	case FDC_RESULT: return MSR_READY | MSR_TO_HOST | MSR_BUSY;
	case FDC_HOST:
		if (no_dma)
			return MSR_READY | MSR_NO_DMA | MSR_BUSY |
			       (fdc_is_to_host(f) ? MSR_TO_HOST : 0);
		return MSR_BUSY;
	default: return MSR_BUSY | no_dma;
	}
}

static uint8_t status_read(const struct fdc *f)
{
	uint8_t seeking = 0;

	if (!hears(f))
		return 0;
	for (unsigned i = 0; i < FDC_UNITS; i++)
		seeking |= f->drive[i].s.seek_end_ns ? 1u << i : 0;
	return phase_status(f) | seeking;
}

static uint8_t dir_read(const struct fdc *f)
{
	const struct fdc_drive *d = &f->drive[f->s.dor & DOR_UNIT];

	return d->type != FLOPPY_NONE && d->s.changed ? DIR_CHANGED : 0;
}

static uint8_t register_read(struct fdc *f, unsigned reg)
{
	switch (reg) {
	case REG_DOR: return f->s.dor;
	case REG_TAPE: return f->s.tape;
	case REG_STATUS: return status_read(f);
	case REG_FIFO: return fifo_read(f);
	default: return dir_read(f);
	}
}

static void register_write(struct fdc *f, unsigned reg, uint8_t value)
{
	switch (reg) {
	case REG_DOR: dor_write(f, value); break;
	case REG_TAPE: f->s.tape = value & TAPE_BITS; break;
	case REG_STATUS: dsr_write(f, value); break;
	case REG_FIFO: fifo_write(f, value); break;
	default: f->s.rate = value & RATE_BITS;
	}
}

static uint64_t low_read(void *opaque, uint64_t offset, unsigned size)
{
	return register_read(opaque, REG_DOR + (unsigned)offset);
}

static void low_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	register_write(opaque, REG_DOR + (unsigned)offset, (uint8_t)value);
}

static uint64_t high_read(void *opaque, uint64_t offset, unsigned size)
{
	return register_read(opaque, REG_DIR);
}

static void high_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	register_write(opaque, REG_DIR, (uint8_t)value);
}

/* ---- the device ---- */

int fdc_init(struct fdc *f, const struct clock *clock, struct irq_line irq,
	     struct dma_channel dma, const struct floppy_drive_config drives[FDC_DRIVES])
{
	memset(f, 0, sizeof(*f));
	f->clock = *clock;
	f->irq = irq;
	f->dma = dma;
	for (unsigned i = 0; i < FDC_DRIVES; i++) {
		f->drive[i].type = drives[i].type;
		f->drive[i].block = drives[i].block;
		if (drives[i].block)
			f->drive[i].format = floppy_format_find(drives[i].block->sectors);
	}
	return clock_timer_create(clock, on_time, f, &f->timer);
}

void fdc_destroy(struct fdc *f)
{
	fdc_forget_request(f);
	clock_timer_destroy(&f->clock, f->timer);
	f->timer = NULL;
}

static void fdc_reset(void *opaque)
{
	struct fdc *f = opaque;

	stop(f);
	memset(&f->s, 0, sizeof(f->s));
	f->s.rate = RATE_250K;
	f->s.configure = CONFIGURE_NO_FIFO;
	for (unsigned i = 0; i < FDC_UNITS; i++)
		f->drive[i].s = (struct fdc_drive_state){ .changed = true };
	update_line(f);
}

/* What goes with the phase and the drive that is there. */
static const char *state_check(const void *opaque)
{
	const struct fdc *f = opaque;
	const struct block_device *block = f->drive[f->s.unit].block;

	switch (f->s.phase) {
	case FDC_COMMAND:
		return !f->s.given || f->s.given >= f->s.wanted ? "s.given" : NULL;
	case FDC_DISK:
		return !block ? "s.phase" : NULL;
	case FDC_HOST:
		return f->s.position >= f->s.bytes ? "s.position" : NULL;
	case FDC_WAIT:
		return f->s.wait_end_ns ? NULL : "s.wait_end_ns";
	case FDC_RESULT:
		return f->s.result_at >= f->s.results ? "s.result_at" : NULL;
	default:
		return NULL;
	}
}

static void before_load(void *opaque)
{
	fdc_forget_request(opaque);
}

/* A request that was under way is made again. */
static void loaded(void *opaque)
{
	struct fdc *f = opaque;

	fdc_arm(f);
	update_line(f);
	if (f->s.phase == FDC_DISK)
		fdc_repeat_request(f);
	dma_request(&f->dma,
		    f->s.phase == FDC_HOST && fdc_has_dma(f) && f->s.dor & DOR_GATE);
}

static const struct state_field drive_registers[] = {
	STATE_ANY(struct fdc_drive_state, track),
	STATE_ANY(struct fdc_drive_state, pcn),
	STATE_ANY(struct fdc_drive_state, passing),
	STATE_FLAG(struct fdc_drive_state, changed),
	STATE_FLAG(struct fdc_drive_state, seek_done),
	STATE_ANY(struct fdc_drive_state, seek_st0),
	STATE_TIME(struct fdc_drive_state, seek_end_ns),
	STATE_END,
};

static const struct state_field drive_fields[] = {
	STATE_STRUCT(struct fdc_drive, s, drive_registers),
	STATE_END,
};

static const struct state_field state[] = {
	STATE_STRUCT_ARRAY(struct fdc, drive, drive_fields),
	STATE_ANY(struct fdc, s.dor),
	STATE_BITS(struct fdc, s.tape, TAPE_BITS),
	STATE_BITS(struct fdc, s.rate, RATE_BITS),
	STATE_ANY(struct fdc, s.configure),
	STATE_ANY(struct fdc, s.pretrack),
	STATE_BITS(struct fdc, s.perpendicular, 0x3f),
	STATE_ANY_ARRAY(struct fdc, s.specify),
	STATE_FLAG(struct fdc, s.locked),
	STATE_BITS(struct fdc, s.interrupts, FDC_INT_DATA | FDC_INT_SEEK),
	STATE_MOST(struct fdc, s.reset_senses, FDC_UNITS),
	STATE_TIME(struct fdc, s.reset_end_ns),
	STATE_TIME(struct fdc, s.wait_end_ns),
	STATE_MOST(struct fdc, s.phase, FDC_PHASES - 1),
	STATE_MOST(struct fdc, s.goal, FDC_GOALS - 1),
	STATE_ANY_ARRAY(struct fdc, s.command),
	STATE_MOST(struct fdc, s.given, FDC_COMMAND_BYTES),
	STATE_MOST(struct fdc, s.wanted, FDC_COMMAND_BYTES),
	STATE_ANY_ARRAY(struct fdc, s.result),
	STATE_MOST(struct fdc, s.results, FDC_RESULT_BYTES),
	STATE_MOST(struct fdc, s.result_at, FDC_RESULT_BYTES),
	STATE_MOST(struct fdc, s.unit, FDC_UNITS - 1),
	STATE_ANY(struct fdc, s.c),
	STATE_ANY(struct fdc, s.h),
	STATE_ANY(struct fdc, s.r),
	STATE_MOST(struct fdc, s.side, 1),
	STATE_ANY(struct fdc, s.eot),
	STATE_MOST(struct fdc, s.left, 256),
	STATE_ANY(struct fdc, s.st0),
	STATE_ANY(struct fdc, s.st1),
	STATE_ANY(struct fdc, s.st2),
	STATE_FLAG(struct fdc, s.end),
	STATE_FLAG(struct fdc, s.written),
	STATE_MOST(struct fdc, s.request_kind, BLOCK_FLUSH),
	STATE_ANY(struct fdc, s.sector),
	STATE_MOST(struct fdc, s.bytes, BLOCK_SECTOR),
	STATE_MOST(struct fdc, s.position, BLOCK_SECTOR),
	STATE_ANY_ARRAY(struct fdc, s.data),
	STATE_ANY_ARRAY(struct fdc, s.compared),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, REG_DOR, 4, { low_read, low_write, 1, 1 } },
	{ BUS_PIO, REG_DIR, 1, { high_read, high_write, 1, 1 } },
};

const struct device_desc fdc_desc = {
	.name = "fdc",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = fdc_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct fdc),
	.state_check = state_check,
	.before_load = before_load,
	.loaded = loaded,
};
