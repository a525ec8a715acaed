/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest memory as the VM's devices see it (devices/bus/guest_memory.h). */
#ifndef RF_MONITOR_VM_DMA_H
#define RF_MONITOR_VM_DMA_H

#include "devices/bus/guest_memory.h"

struct vm;

struct guest_memory dma_guest_memory(struct vm *vm);

/*
 * To be called after RAM [gpa, gpa + len) was stored to, on any thread; guest_ram_written() is for
 * the vCPU's own alone.
 */
void dma_written(struct vm *vm, gpa_t gpa, uint64_t len);

#endif
