/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steering a running VM (commands.h). */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "commands.h"

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

void command_nmi(struct vm *vm)
{
	vcpu_raise_event(&vm->vcpu, EVENT_NMI);
}

const struct i8259 *command_query_pic(const struct vm *vm)
{
	return vm->board ? pc_board_pic(vm->board) : NULL;
}

const struct io_apic *command_query_io_apic(const struct vm *vm)
{
	return vm->board ? pc_board_io_apic(vm->board) : NULL;
}

void command_visit_bus(const struct vm *vm,
		       void (*visit)(void *opaque, const struct bus_entry *entry), void *opaque)
{
	if (vm->bus)
		bus_visit(vm->bus, visit, opaque);
}

int command_set_log(struct vcpu *vcpu, const char *items, struct error *error)
{
	struct log *log = vcpu->vm->log;
	uint32_t chosen = 0;
	int err = strcmp(items, "none") ? log_parse_items(items, &chosen, error) : 0;

	assert(vcpu_is_mine(vcpu));
	if (!err && !log)
		err = error_set(error, -EINVAL, "this machine has no log");
	if (!err)
		log->items = chosen;
	return err;
}

struct command_cpu command_query_cpu(const struct vcpu *vcpu)
{
	assert(vcpu_is_mine(vcpu));
	return (struct command_cpu){ .thread_id = gettid(), .halted = vcpu->cpu.halted };
}

uint32_t command_read_port(struct vcpu *vcpu, uint16_t port, unsigned size)
{
	assert(vcpu_is_mine(vcpu));
	return vm_pio_read(vcpu->vm, port, size);
}

void command_write_port(struct vcpu *vcpu, uint16_t port, uint32_t value, unsigned size)
{
	assert(vcpu_is_mine(vcpu));
	vm_pio_write(vcpu->vm, port, value, size);
}
