/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine of system_fixture.h with an interpreter in it. */
#ifndef RF_TESTS_INTERP_FIXTURE_H
#define RF_TESTS_INTERP_FIXTURE_H

#include "monitor/interp/interp.h"
#include "monitor/processor/processor.h"
#include "system_fixture.h"

void ix_setup(void);
void ix_teardown(void);

/* The vector whose gate (fx_setup()) control is at, or -1. */
int ix_vector(void);

/* Puts code at CS:EIP and steps n times; the result of the last step. */
enum interp_result ix_run(const void *code, unsigned len, unsigned steps);
#define RUN(steps, ...) \
	({ \
		const uint8_t code_[] = { __VA_ARGS__ }; \
		ix_run(code_, sizeof(code_), steps); \
	})

#endif
