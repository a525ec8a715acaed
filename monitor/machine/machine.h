/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole virtual machine made from a configuration: memory, board, character devices, engine, boot
 * image, threads.
 *
 * machine_create -> machine_start -> machine_wait -> machine_stop -> machine_destroy
 */
#ifndef RF_MONITOR_MACHINE_MACHINE_H
#define RF_MONITOR_MACHINE_MACHINE_H

#include "console.h"
#include "disks.h"
#include "display_parts.h"
#include "firmware.h"
#include "monitor/vm/vm.h"
#include "monitor/boot/boot.h"
#include "options.h"
#include "pidfile.h"
#include "video_memory.h"

struct machine {
	struct vm vm; /* first */
	const struct vm_config *config;
	struct memory_map map;
	struct console console;
	struct disks disks;
	struct display_parts display;
	struct firmware firmware; /* if there is no kernel to start */
	struct video_memory video;
	struct cpu_model *cpu_model;
	struct log log;
	struct pidfile pidfile;
	FILE *stats;    /* NULL: not wanted, or written */
	pthread_t vcpu_thread;
	int ended_fd;   /* eventfd: readable when the VM has ended */
	struct cancel ended; /* of what is done while it runs, with no descriptor */
	/* host time at the start; processor time the vCPU thread took */
	uint64_t started_ns, vcpu_cpu_ns;
	unsigned resets;
	struct error error; /* what went wrong in the run, after VM_HOST_ERROR */
};

/* config must outlive the machine. 0, or a negative errno with error saying what to do. */
int machine_create(const struct vm_config *config, struct machine **out,
		   struct error *error) RF_MUST_CHECK;
/* machine may be NULL. False: some of its output was lost, as the user has been told. */
bool machine_destroy(struct machine *machine);

/* Starts the event loop and the vCPU thread. 0 or a negative errno. */
int machine_start(struct machine *machine) RF_MUST_CHECK;
/* Waits for both threads, which end once the VM has (vm_end()). */
void machine_stop(struct machine *machine);

/*
 * The file for the statistics (stats.c); before the guest runs, so that one which cannot be written
 * is found in time. 0 or a negative errno.
 */
int machine_open_stats(struct machine *machine, const char *path) RF_MUST_CHECK;
/* Writes them there as JSON, if it was opened: 0 or a negative errno. After machine_stop(). */
int machine_write_stats(struct machine *machine) RF_MUST_CHECK;

#endif
