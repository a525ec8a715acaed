/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "board_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct board_fixture b;


static int ram_read(void *opaque, gpa_t gpa, void *buf, size_t len)
{
	if (gpa.v > RAM_SIZE || len > RAM_SIZE - gpa.v)
		return -EFAULT;
	memcpy(buf, b.ram + gpa.v, len);
	return 0;
}

static int ram_write(void *opaque, gpa_t gpa, const void *buf, size_t len)
{
	if (gpa.v > RAM_SIZE || len > RAM_SIZE - gpa.v)
		return -EFAULT;
	memcpy(b.ram + gpa.v, buf, len);
	return 0;
}

static void on_intr(void *opaque, unsigned n, bool level) { b.intr = level; }
static void on_nmi(void *opaque, unsigned n, uint32_t value) { b.nmis++; }
static void on_reset(void *opaque, unsigned n, uint32_t value) { b.resets++; }
static void on_poweroff(void *opaque, unsigned n, uint32_t value) { b.poweroffs++; }
static void on_ignne(void *opaque, unsigned n, uint32_t value) { b.ignnes++; }
static void on_a20(void *opaque, unsigned n, bool enabled) { b.a20 = enabled; }
static void on_exit_port(void *opaque, unsigned n, uint32_t code)
{
	b.exits++;
	b.exit_code = code;
}

static void drop(struct chardev *chardev, const uint8_t *bytes, size_t count) { }
static const struct chardev_ops drop_ops = { .write = drop };

void board_setup(void)
{
	struct error error = { 0 };

	memset(&b, 0, sizeof(b));
	b.ram = calloc(1, RAM_SIZE);
	for (unsigned i = 0; i < 3; i++)
		b.chardev[i].ops = &drop_ops;
	cr_assert_eq(bus_create(&b.bus), 0);
	b.config = (struct pc_board_config){
		.bus = b.bus,
		.clock = fake_clock_interface(&b.time),
		.memory = { ram_read, ram_write, NULL },
		.ram_size = RAM_SIZE,
		.intr = { .set = on_intr }, .nmi = { .raise = on_nmi },
		.reset = { .raise = on_reset },
		.poweroff = { .raise = on_poweroff }, .ignne = { .raise = on_ignne },
		.a20 = { .set = on_a20 },
		.debug_exit = { .raise = on_exit_port },
		.serial = { &b.chardev[0], &b.chardev[1] },
		.debugcon = &b.chardev[2],
		.debug_exit_iobase = 0xf4, .debug_exit_iosize = 4,
		.hpet = true,
		.rtc_base = 1700000000,
	};
	cr_assert_eq(pc_board_create(&b.config, &b.board, &error), 0, "%s", error.text);
}

void board_teardown(void)
{
	pc_board_destroy(b.board);
	bus_destroy(b.bus);
	free(b.ram);
}
