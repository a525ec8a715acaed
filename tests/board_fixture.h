/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An assembled board with its pins, for the tests of what is on it. */
#ifndef RF_TESTS_BOARD_FIXTURE_H
#define RF_TESTS_BOARD_FIXTURE_H

#include "devices/board/pc_board.h"
#include "fake_clock.h"

#define RAM_SIZE (32u << 20)

struct board_fixture {
	struct bus *bus;
	struct fake_clock time;
	struct pc_board *board;
	struct pc_board_config config;
	struct chardev chardev[3];
	uint8_t *ram;
	bool intr, a20;
	unsigned nmis, resets, poweroffs, exits, ignnes;
	uint32_t exit_code;
};

extern struct board_fixture b;

/* For a TestSuite. */
void board_setup(void);
void board_teardown(void);

static inline void out(uint16_t port, uint8_t value) { bus_pio_write(b.bus, port, value, 1); }
static inline uint8_t in(uint16_t port) { return (uint8_t)bus_pio_read(b.bus, port, 1); }

#endif
