/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line, in QEMU's dialect: what it says, checked, as plain data. Nothing is opened or
 * created here. An option that is not understood is an error, never passed over.
 */
#ifndef RF_MONITOR_OPTIONS_H
#define RF_MONITOR_OPTIONS_H

#include "x86/types.h"

struct host_facts;

#define VM_SERIAL_PORTS 4
#define VM_ENGINE_FALLBACKS 2

struct vm_config {
	const char *name;         /* -name; NULL: none */
	uint64_t ram_size;        /* bytes, whole pages */
	const char *cpu;          /* MODEL[,+feature|-feature]..., NULL: the default */
	const char *engine;       /* "bt", "kvm", "interp"; NULL: the default */
	/* tried in order, without options, if the host cannot run it; NULL: no more */
	const char *engine_fallback[VM_ENGINE_FALLBACKS];
	char *engine_options;     /* what the engine gets; NULL: none */
	char *stats_path;         /* stats=FILE of -accel; NULL: none */
	const char *kernel, *initrd, *append;
	/* Specifications of character backends ("stdio", "file:x"); NULL: no device. */
	const char *serial[VM_SERIAL_PORTS];
	const char *monitor;
	const char *debugcon;
	uint16_t debugcon_iobase; /* 0: the default */
	/* Ctrl-C at a stdio backend ends ringfence rather than reach the guest */
	bool terminal_signals;
	bool debug_exit;          /* -device isa-debug-exit */
	uint16_t debug_exit_iobase, debug_exit_iosize;
	bool rtc_localtime;
	bool no_reboot, no_shutdown, start_paused;
	uint32_t log_items;       /* enum log_item */
	const char *log_path;     /* NULL: standard error */
	const struct host_facts *host; /* no option: what the host is taken for; NULL: as it is */
};

enum options_result {
	OPTIONS_RUN,   /* config describes a VM to run */
	OPTIONS_DONE,  /* help or version was printed on standard output: exit with 0 */
	OPTIONS_ERROR, /* error says what is wrong and what to do */
};

#define OPTIONS_ERROR_SIZE 512

/*
 * Parses argv[1..argc). Strings in config point into argv and live as long as it does; free the
 * rest with options_free(), whatever the result.
 */
enum options_result options_parse(int argc, char **argv, struct vm_config *config,
				  char error[OPTIONS_ERROR_SIZE]);
void options_free(struct vm_config *config);

/* -help's text. */
void options_print_help(void *file);

#endif
