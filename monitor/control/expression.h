/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expressions of the prompt's commands, as QEMU's human monitor has them:
 *
 *   sum      logic { (+ | -) logic }
 *   logic    product { (& | "|" | ^) product }
 *   product  unary { (* | / | %) unary }
 *   unary    (+ | - | ~) unary, ( sum ), 'c', $register, a number as in C
 *
 * A product so binds closer than &, and that closer than a sum. Values have 64 bits, with sign. A /
 * with a space before it and none after it is none of these: a file's name begins there.
 */
#ifndef RF_MONITOR_CONTROL_EXPRESSION_H
#define RF_MONITOR_CONTROL_EXPRESSION_H

#include "x86/cpu.h"
#include "x86/error.h"

/*
 * Evaluates what *text begins with, and moves it to what follows, which is no space. Registers are
 * cpu's; $eip and $pc are linear addresses. 0, or -EINVAL and error.
 */
int expression_parse(const struct cpu *cpu, const char **text, int64_t *value,
		     struct error *error) RF_MUST_CHECK;

#endif
