/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Running a guest program in every configuration that takes another way through the translator, and
 * in the interpreter, which shows that the program itself is right.
 */
#ifndef RF_TESTS_BT_CONFIGURATIONS_H
#define RF_TESTS_BT_CONFIGURATIONS_H

#include "bt_fixture.h"

/* Calls program with a machine in each configuration, as bf_reset(bf, cpl, paging) leaves it. */
void in_all(void (*program)(struct bf *bf), unsigned cpl, bool paging);

/* A test of program in ring 0 without paging, and in rings 3 and 0 with it. */
#define TEST_IN_ALL(suite, program) \
	Test(suite, program) \
	{ \
		in_all(program, 0, false); \
		in_all(program, 3, true); \
		in_all(program, 0, true); \
	}

/* Runs to the stop port; anything else that ends the run is a failure. */
void run_to_stop(struct bf *bf);

/* For functions that call their machine bf: a failure names its configuration. */
#define EXPECT_EQ(a, b) \
	do { \
		unsigned long long a_ = (a), b_ = (b); \
		cr_expect_eq(a_, b_, "[%s] %s is %#llx, not %#llx", bf->name, #a, a_, b_); \
	} while (0)

#endif
