/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a user can ask of a running VM. Commands return data and print nothing: the prompt, and
 * whatever else steers a VM, puts it into words. All are called under the device lock.
 */
#ifndef RF_MONITOR_CONTROL_COMMANDS_H
#define RF_MONITOR_CONTROL_COMMANDS_H

#include "monitor/vm/vm.h"

void command_quit(struct vm *vm);
void command_stop(struct vm *vm);
void command_cont(struct vm *vm);
void command_system_reset(struct vm *vm);
/* Presses the power button; the guest may ignore it. */
void command_system_powerdown(struct vm *vm);

struct command_status {
	bool paused;
};
struct command_status command_query_status(const struct vm *vm);

/* -uuid as text; false: none was given, and all digits are 0. */
#define COMMAND_UUID_SIZE 37
bool command_query_uuid(const struct vm *vm, char text[COMMAND_UUID_SIZE]);

/*
 * The processor's registers. The answer comes on the vCPU's thread, without the device lock: done()
 * is called once, with report filled. The query lives until then.
 */
struct command_registers {
	struct vm_work work;
	struct vcpu_report report;
	void (*done)(struct command_registers *query);
};
void command_query_registers(struct vm *vm, struct command_registers *query);

#endif
