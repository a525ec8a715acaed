/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine of bt_fixture.h in real mode, for tests of 16-bit code: interrupt v goes to
 * HANDLERS + 16 v, where the machine stops.
 */
#ifndef RF_TESTS_CODE16_FIXTURE_H
#define RF_TESTS_CODE16_FIXTURE_H

#include "bt_code.h"
#include "bt_configurations.h"

#define CODE     0x8000u    /* CS and SS are 0 */
#define HANDLERS 0x600u
#define DATA_SEGMENT 0x2000u /* the other segments */
#define DATA     0x20000u

void code16_reset(struct bf *bf);
/* The same in virtual-8086 mode, with that IOPL: an interrupt stops in ring 0. */
void code16_reset_v86(struct bf *bf, unsigned iopl);

/* Runs program on a new machine with each engine, bt and interp; bf->name says which it is. */
void code16_in_both(void (*program)(struct bf *bf));

/* Up to the stop, which is expected. */
void code16_run(struct bf *bf);
/* The interrupt that stopped the machine; -1: none did. */
int code16_interrupt(struct bf *bf);
/* Of the words on the stack, which is in segment 0. */
uint16_t code16_pushed(struct bf *bf, unsigned word);

#endif
