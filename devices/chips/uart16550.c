/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 16550A. Invariants: without FIFOs count is 0 or 1 and head 0; thre_pending is set whenever the
 * transmitter runs empty (which, sending taking no time, is after every write) or IER.ETBEI rises,
 * and cleared by reading IIR while it is the identified source, or by writing THR; the interrupt
 * line is what uart_update() last computed.
 */
#include "uart16550.h"

#include <assert.h>
#include <string.h>

#define IER_RDA  0x01
#define IER_THRE 0x02
#define IER_RLS  0x04
#define IER_MS   0x08

#define IIR_NONE    0x01
#define IIR_MS      0x00
#define IIR_THRE    0x02
#define IIR_RDA     0x04
#define IIR_RLS     0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS   0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04

#define LCR_DLAB  0x80
#define LCR_BREAK 0x40

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10

#define LSR_DR   0x01
#define LSR_OE   0x02
#define LSR_PE   0x04
#define LSR_FE   0x08
#define LSR_BI   0x10
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define LSR_FIFO_ERROR 0x80
#define LSR_ERRORS (LSR_OE | LSR_PE | LSR_FE | LSR_BI)

#define MSR_DCTS 0x01
#define MSR_DDSR 0x02
#define MSR_TERI 0x04
#define MSR_DDCD 0x08
#define MSR_CTS  0x10
#define MSR_DSR  0x20
#define MSR_RI   0x40
#define MSR_DCD  0x80

#define UART_CLOCK_HZ 1843200u

static bool fifo_enabled(const struct uart16550 *u)
{
	return u->s.fcr & FCR_ENABLE;
}

static unsigned capacity(const struct uart16550 *u)
{
	return fifo_enabled(u) ? UART_FIFO_SIZE : 1;
}

static unsigned trigger_level(const struct uart16550 *u)
{
	static const uint8_t level[4] = { 1, 4, 8, 14 };

	return fifo_enabled(u) ? level[u->s.fcr >> 6] : 1;
}

static uint8_t line_status(const struct uart16550 *u)
{
	uint8_t lsr = u->s.lsr | LSR_THRE | LSR_TEMT;

	if (u->s.count)
		lsr |= LSR_DR;
	if (fifo_enabled(u))
		for (unsigned i = 0; i < u->s.count; i++)
			if (u->s.errors[(u->s.head + i) % UART_FIFO_SIZE])
				lsr |= LSR_FIFO_ERROR;
	return lsr;
}

/* The source of highest priority among those enabled (data sheet, table IV). */
static uint8_t identify(const struct uart16550 *u)
{
	if ((u->s.ier & IER_RLS) && (u->s.lsr & LSR_ERRORS))
		return IIR_RLS;
	if ((u->s.ier & IER_RDA) && u->s.count >= trigger_level(u))
		return IIR_RDA;
	if ((u->s.ier & IER_RDA) && u->s.timeout_pending)
		return IIR_TIMEOUT;
	if ((u->s.ier & IER_THRE) && u->s.thre_pending)
		return IIR_THRE;
	if ((u->s.ier & IER_MS) && (u->s.msr & 0x0f))
		return IIR_MS;
	return IIR_NONE;
}

static void uart_update(struct uart16550 *u)
{
	bool level = identify(u) != IIR_NONE;

	assert(u->s.head < UART_FIFO_SIZE && u->s.count <= capacity(u));
	assert(fifo_enabled(u) || !u->s.head);
	if (level != u->s.irq_level) {
		u->s.irq_level = level;
		irq_set(&u->irq, level);
	}
}

/* Receiving. */

/*
 * Four character times (data sheet, FIFO interrupt mode), at a sane rate however odd the divisor.
 */
static uint64_t timeout_ns(const struct uart16550 *u)
{
	uint64_t bits =
		1 + 5 + (u->s.lcr & 3) + 1 + (u->s.lcr & 4 ? 1 : 0) + (u->s.lcr & 8 ? 1 : 0);
	uint64_t ns =
		4 * bits *
		muldiv64(16ull * (u->s.divisor ? u->s.divisor : 1), NS_PER_SECOND, UART_CLOCK_HZ);

	return ns > 50000000 ? 50000000 : ns;
}

static void set_timeout(struct uart16550 *u, uint64_t at)
{
	u->s.timeout_at = at;
	if (at)
		clock_timer_arm(&u->clock, u->timer, at);
	else
		clock_timer_cancel(&u->clock, u->timer);
}

static void restart_timeout(struct uart16550 *u)
{
	u->s.timeout_pending = false;
	set_timeout(u, fifo_enabled(u) && u->s.count ? clock_now(&u->clock) + timeout_ns(u) : 0);
}

static void timeout_fired(void *opaque)
{
	struct uart16550 *u = opaque;

	assert(clock_now(&u->clock) >= u->s.timeout_at); /* late, never early */
	u->s.timeout_at = 0;
	if (!u->s.count || !fifo_enabled(u))
		return;
	u->s.timeout_pending = true;
	uart_update(u);
}

/* The errors of the character at the head show in LSR when it gets there. */
static void reveal_head_errors(struct uart16550 *u)
{
	if (u->s.count)
		u->s.lsr |= u->s.errors[u->s.head];
}

static void push(struct uart16550 *u, uint8_t byte, uint8_t error)
{
	unsigned at;

	if (u->s.count >= capacity(u)) {
		u->s.lsr |= LSR_OE;
		if (fifo_enabled(u))
			return; /* the shift register is overwritten, the FIFO is not */
		u->s.count = 0;
	}
	at = (u->s.head + u->s.count) % UART_FIFO_SIZE;
	u->s.fifo[at] = byte;
	u->s.errors[at] = error;
	if (!u->s.count++)
		reveal_head_errors(u);
}

static void receive_one(struct uart16550 *u, uint8_t byte, uint8_t error)
{
	push(u, byte, error);
	restart_timeout(u);
}

static void accept_input(struct uart16550 *u)
{
	if (u->chardev && u->chardev->ops->accept_input)
		u->chardev->ops->accept_input(u->chardev);
}

static uint8_t read_rbr(struct uart16550 *u)
{
	uint8_t byte = u->s.fifo[u->s.head];
	bool was_full = u->s.count >= capacity(u);

	if (!u->s.count)
		return fifo_enabled(u) ? 0 : byte;
	u->s.errors[u->s.head] = 0;
	u->s.count--;
	if (fifo_enabled(u))
		u->s.head = (u->s.head + 1) % UART_FIFO_SIZE;
	reveal_head_errors(u);
	restart_timeout(u);
	uart_update(u);
	if (was_full)
		accept_input(u);
	return byte;
}

static void clear_rx(struct uart16550 *u)
{
	u->s.head = u->s.count = 0;
	memset(u->s.errors, 0, sizeof(u->s.errors));
	restart_timeout(u);
}

static size_t uart_can_receive(void *opaque)
{
	struct uart16550 *u = opaque;

	if ((u->s.mcr & MCR_LOOP) || u->s.count >= capacity(u))
		return 0; /* in loopback the pin is disconnected: better late than lost */
	return capacity(u) - u->s.count;
}

static void uart_receive(void *opaque, const uint8_t *bytes, size_t count)
{
	struct uart16550 *u = opaque;

	for (size_t i = 0; i < count; i++)
		receive_one(u, bytes[i], 0);
	uart_update(u);
}

static void uart_event(void *opaque, enum chardev_event event)
{
	struct uart16550 *u = opaque;

	if (event != CHARDEV_BREAK || (u->s.mcr & MCR_LOOP))
		return;
	receive_one(u, 0, LSR_BI);
	uart_update(u);
}

static const struct chardev_device chardev_device = {
	.can_receive = uart_can_receive,
	.receive = uart_receive,
	.event = uart_event,
};

/* Sending and modem lines. */

static void write_thr(struct uart16550 *u, uint8_t byte)
{
	/*
	 * The line falls and rises again, so that an edge-triggered controller sees every
	 * completion.
	 */
	u->s.thre_pending = false;
	uart_update(u);
	if (u->s.mcr & MCR_LOOP)
		receive_one(u, byte, 0);
	else if (u->chardev)
		u->chardev->ops->write(u->chardev, &byte, 1);
	u->s.thre_pending = true;
	uart_update(u);
}

/* Sets the status bits and notes what changed in the delta bits. */
static void set_modem_status(struct uart16550 *u, uint8_t status)
{
	uint8_t changed = (u->s.msr ^ status) & 0xf0;
	uint8_t delta = changed >> 4 & (MSR_DCTS | MSR_DDSR | MSR_DDCD);

	if ((u->s.msr & MSR_RI) && !(status & MSR_RI))
		delta |= MSR_TERI;
	u->s.msr = (status & 0xf0) | (u->s.msr & 0x0f) | delta;
}

static uint8_t modem_inputs(const struct uart16550 *u)
{
	uint8_t mcr = u->s.mcr;

	if (!(mcr & MCR_LOOP))
		return MSR_DCD | MSR_DSR | MSR_CTS; /* a peer is always there */
	return (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
	       (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void write_mcr(struct uart16550 *u, uint8_t value)
{
	bool was_loop = u->s.mcr & MCR_LOOP;

	u->s.mcr = value & 0x1f;
	set_modem_status(u, modem_inputs(u));
	if (was_loop && !(u->s.mcr & MCR_LOOP))
		accept_input(u);
	uart_update(u);
}

static void write_ier(struct uart16550 *u, uint8_t value)
{
	uint8_t rising = value & ~u->s.ier;

	u->s.ier = value & 0x0f;
	/* The transmitter is always empty: enabling its interrupt raises it. */
	if (rising & IER_THRE)
		u->s.thre_pending = true;
	uart_update(u);
}

static void write_fcr(struct uart16550 *u, uint8_t value)
{
	bool toggled = (value ^ u->s.fcr) & FCR_ENABLE;
	bool was_full = u->s.count >= capacity(u);

	if (!(value & FCR_ENABLE))
		value = 0; /* bits 6 and 7 need bit 0 (data sheet, FIFO control register) */
	u->s.fcr = value & 0xc9;
	if (toggled || (value & FCR_CLEAR_RX))
		clear_rx(u);
	if (toggled || (value & FCR_CLEAR_TX))
		u->s.thre_pending = true;
	uart_update(u);
	if (was_full && !u->s.count)
		accept_input(u);
}

static void write_lcr(struct uart16550 *u, uint8_t value)
{
	bool break_rises = (value & ~u->s.lcr) & LCR_BREAK;

	u->s.lcr = value;
	if (!break_rises)
		return;
	if (u->s.mcr & MCR_LOOP)
		receive_one(u, 0, LSR_BI);
	else if (u->chardev && u->chardev->ops->send_break)
		u->chardev->ops->send_break(u->chardev);
	uart_update(u);
}

/* Registers. */

static uint8_t read_iir(struct uart16550 *u)
{
	uint8_t iir = identify(u);

	if (iir == IIR_THRE) {
		u->s.thre_pending = false;
		uart_update(u);
	}
	return iir | (fifo_enabled(u) ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct uart16550 *u)
{
	uint8_t lsr = line_status(u);

	u->s.lsr = 0;
	if (u->s.count)
		u->s.errors[u->s.head] = 0; /* seen */
	uart_update(u);
	return lsr;
}

static uint8_t read_msr(struct uart16550 *u)
{
	uint8_t msr = u->s.msr;

	u->s.msr &= 0xf0;
	uart_update(u);
	return msr;
}

static uint64_t uart_read(void *opaque, uint64_t offset, unsigned size)
{
	struct uart16550 *u = opaque;
	bool dlab = u->s.lcr & LCR_DLAB;

	switch (offset) {
	case 0:
		return dlab ? u->s.divisor & 0xff : read_rbr(u);
	case 1:
		return dlab ? u->s.divisor >> 8 : u->s.ier;
	case 2:
		return read_iir(u);
	case 3:
		return u->s.lcr;
	case 4:
		return u->s.mcr;
	case 5:
		return read_lsr(u);
	case 6:
		return read_msr(u);
	default:
		return u->s.scr;
	}
}

static void uart_write(void *opaque, uint64_t offset, uint64_t wide, unsigned size)
{
	struct uart16550 *u = opaque;
	bool dlab = u->s.lcr & LCR_DLAB;
	uint8_t value = (uint8_t)wide;

	switch (offset) {
	case 0:
		if (dlab)
			u->s.divisor = (uint16_t)((u->s.divisor & 0xff00) | value);
		else
			write_thr(u, value);
		break;
	case 1:
		if (dlab)
			u->s.divisor = (uint16_t)((u->s.divisor & 0x00ff) | value << 8);
		else
			write_ier(u, value);
		break;
	case 2:
		write_fcr(u, value);
		break;
	case 3:
		write_lcr(u, value);
		break;
	case 4:
		write_mcr(u, value);
		break;
	case 7:
		u->s.scr = value;
		break;
	default: /* LSR and MSR are read-only */
		break;
	}
}

static void uart_reset(void *opaque)
{
	struct uart16550 *u = opaque;

	memset(&u->s, 0, sizeof(u->s));
	u->s.divisor = 12; /* 9600 baud */
	u->s.msr = modem_inputs(u);
	clock_timer_cancel(&u->clock, u->timer);
	irq_set(&u->irq, false);
	accept_input(u);
}

static const char *state_check(const void *opaque)
{
	const struct uart16550 *u = opaque;

	if (u->s.count > capacity(u))
		return "s.count";
	return u->s.head && !fifo_enabled(u) ? "s.head" : NULL;
}

static void loaded(void *opaque)
{
	struct uart16550 *u = opaque;

	set_timeout(u, u->s.timeout_at);
	u->s.irq_level = identify(u) != IIR_NONE;
	irq_set(&u->irq, u->s.irq_level);
	if (u->s.count < capacity(u))
		accept_input(u);
}

int uart16550_init(struct uart16550 *u, const struct clock *clock, struct irq_line irq,
		   struct chardev *chardev)
{
	int err;

	memset(u, 0, sizeof(*u));
	u->clock = *clock;
	u->irq = irq;
	u->chardev = chardev;
	err = clock_timer_create(clock, timeout_fired, u, &u->timer);
	if (err)
		return err;
	uart_reset(u);
	if (chardev)
		chardev_attach(chardev, &chardev_device, u);
	return 0;
}

void uart16550_destroy(struct uart16550 *u)
{
	if (u->chardev)
		chardev_attach(u->chardev, NULL, NULL);
	clock_timer_destroy(&u->clock, u->timer);
	u->timer = NULL;
}

static const struct state_field state[] = {
	STATE_BITS(struct uart16550, s.ier, 0x0f),
	STATE_BITS(struct uart16550, s.fcr, 0xc9),
	STATE_ANY(struct uart16550, s.lcr),
	STATE_BITS(struct uart16550, s.mcr, 0x1f),
	STATE_ANY(struct uart16550, s.msr),
	STATE_ANY(struct uart16550, s.scr),
	STATE_BITS(struct uart16550, s.lsr, LSR_ERRORS),
	STATE_ANY(struct uart16550, s.divisor),
	STATE_ANY_ARRAY(struct uart16550, s.fifo),
	STATE_BITS_ARRAY(struct uart16550, s.errors, LSR_ERRORS),
	STATE_MOST(struct uart16550, s.head, UART_FIFO_SIZE - 1),
	STATE_MOST(struct uart16550, s.count, UART_FIFO_SIZE),
	STATE_TIME(struct uart16550, s.timeout_at),
	STATE_FLAG(struct uart16550, s.thre_pending),
	STATE_FLAG(struct uart16550, s.timeout_pending),
	STATE_FLAG(struct uart16550, s.irq_level),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, 0, 8, { uart_read, uart_write, 1, 1 } },
};

const struct device_desc uart16550_desc = {
	.name = "uart16550",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = uart_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct uart16550),
	.state_check = state_check,
	.loaded = loaded,
};
