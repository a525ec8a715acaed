/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keyboard controller. Everything is done at once: the input buffer is never seen full, and a byte
 * a device has queued is in the output buffer as soon as that is free.
 *
 * Invariant: if OBF is clear, no enabled device has a byte queued (kbc_fill() after every change).
 */
#include "i8042.h"

#include <assert.h>
#include <string.h>

#define STATUS_OBF    0x01
#define STATUS_SYSTEM 0x04
#define STATUS_COMMAND 0x08
#define STATUS_UNLOCKED 0x10
#define STATUS_AUX    0x20

#define MODE_IRQ1    0x01
#define MODE_IRQ12   0x02
#define MODE_SYSTEM  0x04
#define MODE_NO_KEYBOARD 0x10
#define MODE_NO_MOUSE 0x20
#define MODE_TRANSLATE 0x40

#define OUTPUT_NO_RESET 0x01
#define OUTPUT_A20   0x02
#define OUTPUT_IRQ1  0x10
#define OUTPUT_IRQ12 0x20

enum {
	CMD_READ_RAM = 0x20, CMD_WRITE_RAM = 0x60, CMD_DISABLE_MOUSE = 0xa7,
	CMD_ENABLE_MOUSE = 0xa8, CMD_TEST_MOUSE = 0xa9, CMD_SELF_TEST = 0xaa,
	CMD_TEST_KEYBOARD = 0xab, CMD_DISABLE_KEYBOARD = 0xad, CMD_ENABLE_KEYBOARD = 0xae,
	CMD_READ_INPUT_PORT = 0xc0, CMD_READ_OUTPUT_PORT = 0xd0, CMD_WRITE_OUTPUT_PORT = 0xd1,
	CMD_FAKE_KEYBOARD = 0xd2, CMD_FAKE_MOUSE = 0xd3, CMD_WRITE_MOUSE = 0xd4, CMD_A20_OFF = 0xdd,
	CMD_A20_ON = 0xdf, CMD_PULSE_FIRST = 0xf0,
};

/* Scan code set 2 to set 1, as the controller's ROM has it; 0x85 and up pass unchanged. */
static const uint8_t translation[0x85] = {
	0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29,
	0x59, 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11,
	0x03, 0x5b, 0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14,
	0x13, 0x06, 0x5d, 0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24,
	0x16, 0x08, 0x09, 0x5f, 0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35,
	0x26, 0x27, 0x19, 0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36,
	0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, 0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c,
	0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, 0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45,
	0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, 0x80, 0x81, 0x82, 0x41, 0x54,
};

static uint8_t *mode(struct i8042 *kbc) { return &kbc->s.ram[0]; }

static void kbc_update_irqs(struct i8042 *kbc)
{
	bool full = kbc->s.status & STATUS_OBF, aux = kbc->s.status & STATUS_AUX;
	bool irq1 = full && !aux, irq12 = full && aux;

	kbc->s.output_port &= ~(OUTPUT_IRQ1 | OUTPUT_IRQ12);
	kbc->s.output_port |= (irq1 ? OUTPUT_IRQ1 : 0) | (irq12 ? OUTPUT_IRQ12 : 0);
	irq_set(&kbc->config.keyboard_irq, irq1 && (*mode(kbc) & MODE_IRQ1));
	irq_set(&kbc->config.mouse_irq, irq12 && (*mode(kbc) & MODE_IRQ12));
}

static void load_output(struct i8042 *kbc, uint8_t byte, bool aux)
{
	kbc->s.data = byte;
	kbc->s.status = (kbc->s.status & ~STATUS_AUX) | STATUS_OBF | (aux ? STATUS_AUX : 0);
	kbc_update_irqs(kbc);
}

/*
 * F0h, the break prefix, becomes bit 7 of the byte after it. False: swallowed, wait for the next.
 */
static bool translate(struct i8042 *kbc, uint8_t *byte)
{
	if (!(*mode(kbc) & MODE_TRANSLATE))
		return true;
	if (*byte == 0xf0) {
		kbc->s.after_break = 0x80;
		return false;
	}
	if (*byte < sizeof(translation))
		*byte = translation[*byte] | kbc->s.after_break;
	kbc->s.after_break = 0;
	return true;
}

/* Moves the next waiting byte into the output buffer if that is empty: the keyboard's first. */
static void kbc_fill(struct i8042 *kbc)
{
	uint8_t byte;

	if (kbc->s.status & STATUS_OBF)
		return;
	if (!(*mode(kbc) & MODE_NO_KEYBOARD)) {
		while (ps2_get(&kbc->keyboard, &byte)) {
			if (!translate(kbc, &byte))
				continue;
			load_output(kbc, byte, false);
			return;
		}
	}
	if (!(*mode(kbc) & MODE_NO_MOUSE) && ps2_get(&kbc->mouse, &byte))
		load_output(kbc, byte, true);
}

static void device_ready(void *opaque)
{
	kbc_fill(opaque);
}

/* An answer of the controller's. It replaces whatever is in the output buffer, as on the chip. */
static void reply(struct i8042 *kbc, uint8_t byte, bool aux)
{
	load_output(kbc, byte, aux);
}

/* Commands. */

static void set_output_port(struct i8042 *kbc, uint8_t value)
{
	kbc->s.output_port = value;
	a20_gate_set(kbc->config.a20, value & OUTPUT_A20);
	if (!(value & OUTPUT_NO_RESET))
		signal_raise(&kbc->config.reset, 0);
}

static uint8_t output_port(struct i8042 *kbc)
{
	uint8_t value = kbc->s.output_port & ~OUTPUT_A20;

	return value | OUTPUT_NO_RESET | (kbc->config.a20->enabled ? OUTPUT_A20 : 0);
}

static void set_mode(struct i8042 *kbc, uint8_t value)
{
	*mode(kbc) = value;
	kbc->s.status = (kbc->s.status & ~STATUS_SYSTEM) |
			(value & MODE_SYSTEM ? STATUS_SYSTEM : 0);
	kbc_update_irqs(kbc);
	kbc_fill(kbc);
}

static void self_test(struct i8042 *kbc)
{
	kbc->s.status |= STATUS_SYSTEM;
	reply(kbc, 0x55, false);
}

static void ranged_command(struct i8042 *kbc, uint8_t command)
{
	if (command >= CMD_READ_RAM && command < CMD_READ_RAM + 0x20) {
		reply(kbc, kbc->s.ram[command & 0x1f], false);
	} else if (command >= CMD_WRITE_RAM && command < CMD_WRITE_RAM + 0x20) {
		kbc->s.command = command;
	} else if (command >= CMD_PULSE_FIRST && !(command & OUTPUT_NO_RESET)) {
		signal_raise(&kbc->config.reset, 0); /* bit 0 low: that line is pulsed */
	}
	/* Unknown commands are ignored, as by the chip's firmware. */
}

static void kbc_command(struct i8042 *kbc, uint8_t command)
{
	kbc->s.status |= STATUS_COMMAND;
	kbc->s.command = 0;
	switch (command) {
	case CMD_DISABLE_MOUSE: set_mode(kbc, *mode(kbc) | MODE_NO_MOUSE); break;
	case CMD_ENABLE_MOUSE: set_mode(kbc, *mode(kbc) & ~MODE_NO_MOUSE); break;
	case CMD_DISABLE_KEYBOARD: set_mode(kbc, *mode(kbc) | MODE_NO_KEYBOARD); break;
	case CMD_ENABLE_KEYBOARD: set_mode(kbc, *mode(kbc) & ~MODE_NO_KEYBOARD); break;
	case CMD_TEST_MOUSE:
	case CMD_TEST_KEYBOARD: reply(kbc, 0x00, false); break;
	case CMD_SELF_TEST: self_test(kbc); break;
	case CMD_READ_INPUT_PORT: reply(kbc, 0x80, false); break; /* keyboard not locked */
	case CMD_READ_OUTPUT_PORT: reply(kbc, output_port(kbc), false); break;
	case CMD_A20_OFF: a20_gate_set(kbc->config.a20, false); break;
	case CMD_A20_ON: a20_gate_set(kbc->config.a20, true); break;
	case CMD_WRITE_OUTPUT_PORT:
	case CMD_FAKE_KEYBOARD:
	case CMD_FAKE_MOUSE:
	case CMD_WRITE_MOUSE: kbc->s.command = command; break;
	default: ranged_command(kbc, command); break;
	}
}

static void kbc_data(struct i8042 *kbc, uint8_t byte)
{
	uint8_t command = kbc->s.command;

	kbc->s.status &= ~STATUS_COMMAND;
	kbc->s.command = 0;
	switch (command) {
	case 0:
		/*
		 * A byte for the keyboard re-enables it (8042 firmware: the clock line is
		 * released).
		 */
		if (*mode(kbc) & MODE_NO_KEYBOARD)
			set_mode(kbc, *mode(kbc) & ~MODE_NO_KEYBOARD);
		ps2_keyboard_write(&kbc->keyboard, byte);
		break;
	case CMD_WRITE_OUTPUT_PORT: set_output_port(kbc, byte); break;
	case CMD_FAKE_KEYBOARD: reply(kbc, byte, false); break;
	case CMD_FAKE_MOUSE: reply(kbc, byte, true); break;
	case CMD_WRITE_MOUSE: ps2_mouse_write(&kbc->mouse, byte); break;
	case CMD_WRITE_RAM: set_mode(kbc, byte); break;
	default: kbc->s.ram[command & 0x1f] = byte; break;
	}
}

/* Nothing waits that could be in the output buffer. For assertions. */
__attribute__((unused)) static bool is_filled(const struct i8042 *kbc)
{
	const uint8_t mode = kbc->s.ram[0];

	return (kbc->s.status & STATUS_OBF) ||
	       ((!kbc->s.keyboard.count || (mode & MODE_NO_KEYBOARD)) &&
		(!kbc->s.mouse.count || (mode & MODE_NO_MOUSE)));
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
	struct i8042 *kbc = opaque;
	uint8_t byte = kbc->s.data;

	if (kbc->s.status & STATUS_OBF) {
		kbc->s.status &= ~(STATUS_OBF | STATUS_AUX);
		kbc_update_irqs(kbc);
		kbc_fill(kbc);
	}
	assert(is_filled(kbc));
	return byte;
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	kbc_data(opaque, (uint8_t)value);
	assert(is_filled(opaque));
}

static uint64_t status_read(void *opaque, uint64_t offset, unsigned size)
{
	return ((struct i8042 *)opaque)->s.status | STATUS_UNLOCKED;
}

static void command_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	kbc_command(opaque, (uint8_t)value);
	assert(is_filled(opaque));
}

static void kbc_reset(void *opaque)
{
	struct i8042 *kbc = opaque;

	memset(&kbc->s, 0, sizeof(kbc->s));
	/* As firmware leaves it after its tests. */
	*mode(kbc) = MODE_IRQ1 | MODE_IRQ12 | MODE_SYSTEM | MODE_TRANSLATE;
	kbc->s.status = STATUS_SYSTEM;
	kbc->s.output_port = OUTPUT_NO_RESET | OUTPUT_A20 | 0xcc;
	ps2_keyboard_reset(&kbc->keyboard);
	ps2_mouse_reset(&kbc->mouse);
	kbc_update_irqs(kbc);
}

/* Of the commands, only those that a byte follows wait for it. */
static const char *state_check(const void *opaque)
{
	const struct i8042 *kbc = opaque;
	const uint8_t command = kbc->s.command;

	if (command && (command & 0xe0) != CMD_WRITE_RAM &&
	    (command < CMD_WRITE_OUTPUT_PORT || command > CMD_WRITE_MOUSE))
		return "s.command";
	return NULL;
}

static void loaded(void *opaque)
{
	struct i8042 *kbc = opaque;

	kbc_update_irqs(kbc);
	kbc_fill(kbc); /* for the invariant's sake, whatever the file said */
}

void i8042_init(struct i8042 *kbc, const struct i8042_config *config)
{
	memset(kbc, 0, sizeof(*kbc));
	kbc->config = *config;
	kbc->keyboard = (struct ps2_device){ &kbc->s.keyboard, device_ready, kbc };
	kbc->mouse = (struct ps2_device){ &kbc->s.mouse, device_ready, kbc };
	kbc_reset(kbc);
}

static const struct state_field state[] = {
	STATE_ANY_ARRAY(struct i8042, s.ram),
	STATE_BITS(struct i8042, s.status,
		   STATUS_OBF | STATUS_SYSTEM | STATUS_COMMAND | STATUS_AUX),
	STATE_ANY(struct i8042, s.data),
	STATE_ANY(struct i8042, s.command),
	STATE_ANY(struct i8042, s.output_port),
	STATE_BITS(struct i8042, s.after_break, 0x80),
	STATE_STRUCT(struct i8042, s.keyboard, ps2_state_fields),
	STATE_STRUCT(struct i8042, s.mouse, ps2_state_fields),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, 0x60, 1, { data_read, data_write, 1, 1 } },
	{ BUS_PIO, 0x64, 1, { status_read, command_write, 1, 1 } },
};

const struct device_desc i8042_desc = {
	.name = "i8042",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = kbc_reset,
	.state = state,
	.state_version = 2,
	.size = sizeof(struct i8042),
	.state_check = state_check,
	.loaded = loaded,
};
