/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM's life: bus accesses under its lock, stopping, continuing, and how it ends. */
#include <assert.h>
#include "devices/bus/bus.h"
#include "vm.h"

void vm_init(struct vm *vm)
{
	pthread_mutex_init(&vm->device_lock, NULL);
	pthread_mutex_init(&vm->dma.lock, NULL);
	vm->end = VM_RUNNING;
}

static inline bool pio_size_is_right(unsigned size)
{
	return size == 1 || size == 2 || size == 4;
}

/* Accesses that no device answers, for -d unimp. */

static void vm_log_pio(struct vm *vm, const char *what, uint16_t port, unsigned size)
{
	if (log_on(vm->log, LOG_UNIMP) && !bus_pio_claimed(vm->bus, port))
		log_write(vm->log, "%s of %u bytes at port %#x, which no device has\n", what, size,
			  port);
}

static void vm_log_mmio(struct vm *vm, const char *what, gpa_t gpa, unsigned size)
{
	if (log_on(vm->log, LOG_UNIMP) && !bus_mmio_claimed(vm->bus, gpa))
		log_write(vm->log, "%s of %u bytes at address %#llx, which no device has\n", what,
			  size, (unsigned long long)gpa.v);
}

uint32_t vm_pio_read(struct vm *vm, uint16_t port, unsigned size)
{
	uint32_t value;

	assert(pio_size_is_right(size));
	if (!vm->bus)
		return 0xffffffffu >> (32 - 8 * size);
	pthread_mutex_lock(&vm->device_lock);
	vm_log_pio(vm, "read", port, size);
	value = bus_pio_read(vm->bus, port, size);
	pthread_mutex_unlock(&vm->device_lock);
	return value;
}

void vm_pio_write(struct vm *vm, uint16_t port, uint32_t value, unsigned size)
{
	assert(pio_size_is_right(size));
	if (!vm->bus)
		return;
	pthread_mutex_lock(&vm->device_lock);
	vm_log_pio(vm, "write", port, size);
	bus_pio_write(vm->bus, port, value, size);
	pthread_mutex_unlock(&vm->device_lock);
}

uint64_t vm_mmio_read(struct vm *vm, gpa_t gpa, unsigned size)
{
	uint64_t value;

	assert(pio_size_is_right(size) || size == 8);
	if (!vm->bus)
		return UINT64_MAX >> (64 - 8 * size);
	pthread_mutex_lock(&vm->device_lock);
	vm_log_mmio(vm, "read", gpa, size);
	value = bus_mmio_read(vm->bus, gpa, size);
	pthread_mutex_unlock(&vm->device_lock);
	return value;
}

void vm_mmio_write(struct vm *vm, gpa_t gpa, uint64_t value, unsigned size)
{
	assert(pio_size_is_right(size) || size == 8);
	if (!vm->bus)
		return;
	pthread_mutex_lock(&vm->device_lock);
	vm_log_mmio(vm, "write", gpa, size);
	bus_mmio_write(vm->bus, gpa, value, size);
	pthread_mutex_unlock(&vm->device_lock);
}

void vm_end(struct vm *vm, enum vm_end how, int exit_code)
{
	int running = VM_RUNNING;

	assert(how > VM_RUNNING && how <= VM_HOST_ERROR);
	if ((how == VM_REBOOT || how == VM_TRIPLE_FAULT) && !vm->no_reboot) {
		vcpu_raise_event(&vm->vcpu, EVENT_RESET);
		return;
	}
	if (vm->no_shutdown &&
	    (how == VM_POWEROFF || how == VM_REBOOT || how == VM_TRIPLE_FAULT)) {
		vm_pause(vm);
		return;
	}
	if (!atomic_compare_exchange_strong(&vm->end, &running, how))
		return;
	vm->exit_code = exit_code;
	vcpu_raise_event(&vm->vcpu, EVENT_STOP);
	if (vm->ended)
		vm->ended(vm);
}

void vm_pause(struct vm *vm)
{
	vm->paused = true;
	vcpu_raise_event(&vm->vcpu, EVENT_STOP);
}

void vm_continue(struct vm *vm)
{
	vm->paused = false;
	vcpu_raise_event(&vm->vcpu, EVENT_STOP);
}

void vm_queue_work(struct vm *vm, struct vm_work *work)
{
	struct vm_work **link = &vm->work;

	assert(work->run);
	pthread_mutex_lock(&vm->vcpu.wake_mutex);
	for (; *link; link = &(*link)->next)
		assert(*link != work);
	work->next = NULL;
	*link = work;
	pthread_mutex_unlock(&vm->vcpu.wake_mutex);
	vcpu_raise_event(&vm->vcpu, EVENT_STOP);
}
