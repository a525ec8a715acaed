/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steering a running VM (commands.h). */
#include <assert.h>
#include <string.h>
#include "commands.h"
#include "devices/pc_board.h"

void command_quit(struct vm *vm)
{
	vm_end(vm, VM_QUIT, 0);
}

void command_stop(struct vm *vm)
{
	vm_pause(vm);
}

void command_cont(struct vm *vm)
{
	vm_continue(vm);
}

void command_system_reset(struct vm *vm)
{
	vm_end(vm, VM_REBOOT, 0);
}

void command_system_powerdown(struct vm *vm)
{
	if (vm->board)
		pc_board_power_button(vm->board);
}

struct command_status command_query_status(const struct vm *vm)
{
	return (struct command_status){ .paused = vm->paused };
}

bool command_query_uuid(const struct vm *vm, char text[COMMAND_UUID_SIZE])
{
	static const uint8_t none[16];
	const uint8_t *u = vm->uuid ? vm->uuid : none;

	snprintf(text, COMMAND_UUID_SIZE,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		 u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
		 u[15]);
	return memcmp(u, none, sizeof(none));
}

static void take_registers(struct vcpu *vcpu, struct vm_work *work)
{
	struct command_registers *query = rf_container_of(work, struct command_registers, work);

	vcpu_report_take(vcpu, &query->report);
	query->done(query);
}

void command_query_registers(struct vm *vm, struct command_registers *query)
{
	assert(query->done);
	query->work.run = take_registers;
	vm_queue_work(vm, &query->work);
}
