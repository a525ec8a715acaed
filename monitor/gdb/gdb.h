/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The room's public header: a debugger on a character device, by gdb's remote serial protocol. */
#ifndef RF_MONITOR_GDB_GDB_H
#define RF_MONITOR_GDB_GDB_H

#include "devices/bus/chardev.h"
#include "monitor/vm/vm.h"

struct gdb;

/*
 * Serves one client at a time on chardev, which must outlive it. connected: there is one from the
 * start, and its coming will not be told. 0 or -ENOMEM.
 */
int gdb_create(struct vm *vm, struct chardev *chardev, bool connected,
	       struct gdb **out) RF_MUST_CHECK;
/* The client is told that the VM has ended. gdb may be NULL. Neither the vCPU nor the loop runs. */
void gdb_destroy(struct gdb *gdb);

#endif
