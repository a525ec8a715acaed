/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which memory a host instruction is about to reach: its operands as Capstone reads them, with
 * registers' values put in.
 */
#ifndef RF_TESTS_HOST_REACH_H
#define RF_TESTS_HOST_REACH_H

#include <stdbool.h>
#include <stdint.h>

struct host_reach_operand {
	int base, index;   /* as in a signal frame's gregs; -1: none */
	int scale;
	int64_t disp;      /* RIP is in it */
	bool written;
	bool segment;      /* FS or GS */
	bool cut;          /* a register narrower than an address */
};

struct host_reach {
	unsigned n;
	struct host_reach_operand operand[2];
};

struct host_reader;
/* Aborts if Capstone cannot be had. */
struct host_reader *host_reader_create(void);
void host_reader_destroy(struct host_reader *r);

/*
 * The operands of the instruction at code, which runs at address; none if it is no instruction, LEA
 * or NOP.
 */
void host_reach(struct host_reader *r, const uint8_t *code, unsigned len, uint64_t address,
	struct host_reach *reach);

#endif
