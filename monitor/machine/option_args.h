/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between options.c (the table, the loop) and the files in which arguments are understood:
 *
 *   option_args.c     what the machine is
 *   option_devices.c  -device, -serial and the like, -chardev; what of them is on which backend
 *   option_process.c  the name, the clock, the log, the process
 *   option_refused.c  options of QEMU's that there are none of
 */
#ifndef RF_MONITOR_MACHINE_OPTION_ARGS_H
#define RF_MONITOR_MACHINE_OPTION_ARGS_H

#include "options.h"

#define OPTION_CHARDEVS 16

/* -chardev */
struct option_chardev {
	const char *id, *spec; /* as char_backend_open() takes it */
	bool mux;
	const char *user; /* the option whose device is on it; NULL: none yet */
};

struct option_parser {
	struct vm_config *config;
	const char *option; /* the one being parsed, without dashes */
	unsigned serial_count;
	struct option_chardev chardev[OPTION_CHARDEVS];
	unsigned chardev_count;
	bool nographic, nodefaults, display_chosen, vga_chosen, monitor_chosen, accel_chosen,
		debugcon_iobase_set, no_signals;
};

/* Adds a line to config->refusals, once; parsing goes on. OPTIONS_ERROR. */
enum options_result option_fail(struct option_parser *p, const char *fmt, ...) RF_PRINTF(2, 3);
/* A line for config->notes. */
void option_note(struct option_parser *p, const char *fmt, ...) RF_PRINTF(2, 3);
/* A string that lives as long as the configuration. NULL: no memory. */
const char *option_string(struct option_parser *p, const char *fmt, ...) RF_PRINTF(2, 3);

enum options_result opt_cpu(struct option_parser *p, const char *arg);
enum options_result opt_memory(struct option_parser *p, const char *arg);
enum options_result opt_accel(struct option_parser *p, const char *arg);
enum options_result opt_machine(struct option_parser *p, const char *arg);
enum options_result opt_smp(struct option_parser *p, const char *arg);

enum options_result opt_device(struct option_parser *p, const char *arg);
enum options_result opt_global(struct option_parser *p, const char *arg);
enum options_result opt_chardev(struct option_parser *p, const char *arg);
enum options_result opt_serial(struct option_parser *p, const char *arg);
enum options_result opt_monitor(struct option_parser *p, const char *arg);
enum options_result opt_mon(struct option_parser *p, const char *arg);
enum options_result opt_gdb(struct option_parser *p, const char *arg);
enum options_result opt_gdb_usual(struct option_parser *p, const char *arg);
enum options_result opt_debugcon(struct option_parser *p, const char *arg);
enum options_result opt_parallel(struct option_parser *p, const char *arg);
/*
 * After the last option: puts the specifications of -chardev in the place of their names, and
 * checks all. OPTIONS_RUN if there was nothing to refuse.
 */
enum options_result option_resolve_devices(struct option_parser *p);

enum options_result opt_name(struct option_parser *p, const char *arg);
enum options_result opt_uuid(struct option_parser *p, const char *arg);
enum options_result opt_vga(struct option_parser *p, const char *arg);
enum options_result opt_display(struct option_parser *p, const char *arg);
enum options_result opt_curses(struct option_parser *p, const char *arg);
/* After the last option: the defaults of these, and whether they go together. */
void option_check_display(struct option_parser *p);
enum options_result opt_hard_disk(struct option_parser *p, const char *arg);
enum options_result opt_cdrom(struct option_parser *p, const char *arg);
enum options_result opt_floppy(struct option_parser *p, const char *arg);
enum options_result opt_drive(struct option_parser *p, const char *arg);
/* A word that is no option: the first disk's image. */
enum options_result option_image(struct option_parser *p, const char *word);
/* An empty CD-ROM and floppy drive where the firmware starts, as in QEMU's pc. */
void option_default_drives(struct option_parser *p);
enum options_result opt_library(struct option_parser *p, const char *arg);
enum options_result opt_boot(struct option_parser *p, const char *arg);
enum options_result opt_rtc(struct option_parser *p, const char *arg);
enum options_result opt_log_items(struct option_parser *p, const char *arg);
enum options_result opt_action(struct option_parser *p, const char *arg);
enum options_result opt_audiodev(struct option_parser *p, const char *arg);

/* An option that QEMU has, or had, and that is not available here. */
struct option_absent {
	bool takes_arg;
	const char *instead; /* what to do */
	bool advises_display; /* that is to use -display */
};
/* False: QEMU has no such option either. */
bool option_find_absent(const char *name, struct option_absent *absent);

#endif
