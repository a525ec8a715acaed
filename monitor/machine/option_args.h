/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between options.c (the table, the loop) and option_args.c (arguments that have a syntax of their
 * own).
 */
#ifndef RF_MONITOR_MACHINE_OPTION_ARGS_H
#define RF_MONITOR_MACHINE_OPTION_ARGS_H

#include "options.h"

struct option_parser {
	struct vm_config *config;
	struct error *error;
	const char *option; /* the one being parsed, without dashes */
	unsigned serial_count;
	bool nographic, nodefaults, display_chosen, monitor_chosen, accel_chosen,
		debugcon_iobase_set;
};

/* error_set() for a parser; OPTIONS_ERROR. */
#define option_fail(parser, ...) error_set((parser)->error, OPTIONS_ERROR, __VA_ARGS__)

/* A line for config->notes. */
void option_note(struct option_parser *p, const char *fmt, ...) RF_PRINTF(2, 3);

/* A model, or another name of QEMU's for the one that is nearest. */
enum options_result option_cpu(struct option_parser *p, const char *arg);
enum options_result opt_memory(struct option_parser *p, const char *arg);
enum options_result opt_accel(struct option_parser *p, const char *arg);
enum options_result opt_machine(struct option_parser *p, const char *arg);
enum options_result opt_smp(struct option_parser *p, const char *arg);
enum options_result opt_device(struct option_parser *p, const char *arg);
enum options_result opt_global(struct option_parser *p, const char *arg);
enum options_result opt_rtc(struct option_parser *p, const char *arg);

#endif
