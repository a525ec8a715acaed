/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtual machine: guest RAM, a vCPU, a board with its devices, and how it ends.
 * No file-scope state: several VMs can live in one process.
 *
 * The room's public header: what the other headers here declare comes with it.
 */
#ifndef RF_MONITOR_VM_VM_H
#define RF_MONITOR_VM_VM_H

#include <stdio.h>
#include "devices/bus/wires.h"
#include "dma.h"
#include "engine.h"
#include "engine_options.h"
#include "event_loop.h"
#include "host_facts.h"
#include "host_time.h"
#include "lock_check.h"
#include "log.h"
#include "lost_output.h"
#include "outputs.h"
#include "shadowmmu/guest_ram.h"
#include "vcpu.h"
#include "vm_config.h"

struct bus;      /* devices/bus/bus.h */
struct pc_board; /* devices/board/pc_board.h */

enum vm_end {
	VM_RUNNING,
	VM_POWEROFF,     /* the guest powered off: exit 0 */
	VM_REBOOT,       /* the guest reset itself under -no-reboot: exit 0 */
	VM_DEBUG_EXIT,   /* isa-debug-exit: exit code */
	VM_QUIT,         /* the user quit: exit 0 */
	VM_KILLED,       /* vm_kill(): exit 3 */
	VM_TRIPLE_FAULT, /* shutdown with no reset to follow: as reboot under QEMU's rules */
	VM_HOST_ERROR,   /* exit 1 */
};

/* A function to be run once on the vCPU thread, outside guest code. Lives until it has run. */
struct vm_work {
	void (*run)(struct vcpu *vcpu, struct vm_work *work);
	struct vm_work *next;
};

/*
 * What devices on other threads have stored to RAM and the vCPU thread has not been told yet
 * (dma.c).
 */
#define VM_DMA_RANGES 32
struct vm_dma {
	pthread_mutex_t lock;
	struct vm_work work; /* queued while n is not zero */
	unsigned n;
	struct vm_dma_range {
		gpa_t start, end;
	} range[VM_DMA_RANGES];
};

/* A character device of the machine's, for people to look at. */
#define VM_LINES (VM_SERIAL_PORTS + 3) /* serial ports, debug console, monitor, gdb */
struct vm_line {
	const char *label;  /* "serial0" */
	char filename[128]; /* what it is connected to, as the command line names it */
};

struct vm {
	const char *name;
	const uint8_t *uuid; /* 16 bytes, as its text has them; all 0, or NULL: none */
	const char *version; /* of the program; NULL: not told */
	struct vm_line line[VM_LINES];
	unsigned nlines;
	struct guest_ram ram;
	struct bus *bus;
	struct pc_board *board; /* NULL in tests that need none */
	struct event_loop *loop;
	struct log *log;
	const struct host_facts *host; /* what engines take the host for; NULL: they look */
	struct vcpu vcpu;
	/*
	 * Devices and interrupt controllers are touched only under this lock. Port and MMIO
	 * accesses of the vCPU take it (vm_pio_read() and friends); timers and character input run
	 * under it on the event-loop thread.
	 */
	pthread_mutex_t device_lock;
	/* The machine's interrupt controller, asked under the device lock. */
	struct interrupt_source interrupt_source;
	/*
	 * Stores of four bytes beyond RAM are tried here first, on the vCPU's thread without the
	 * device lock; for general registers only. False: on the bus. NULL: there is no such short
	 * way.
	 */
	bool (*store_unlocked)(void *opaque, gpa_t gpa, uint32_t value);
	void *store_unlocked_opaque;
	/*
	 * FERR#: the guest has an x87 error with CR0.NE clear. Raised under the device lock. May be
	 * unconnected.
	 */
	struct signal_line ferr;
	/*
	 * The guest reads its time-stamp counter, with an interrupt pending and IF clear. Raised
	 * under the device lock. May be unconnected.
	 */
	struct signal_line look;
	/*
	 * Interrupt lines of the board go here, under the device lock, if the controllers are the
	 * engine's, which connects it when it is created. Unconnected: they are the board's.
	 */
	struct irq_line gsi;
	_Atomic int end;      /* enum vm_end; first one wins */
	int exit_code;
	char kill_reason[1024];
	bool no_reboot, no_shutdown;
	const char *way_out; /* how the user ends it, a clause; NULL: not known */
	struct outputs outputs;
	/* Some output was lost (lost_output.h), which the exit status tells. */
	_Atomic bool output_lost;
	/* Shutdowns of the processor that were not told, and since when (CLOCK_MONOTONIC). */
	struct vm_shutdowns {
		uint64_t untold, told_ns;
	} shutdowns;
	/*
	 * Set up by machine/machine.c; NULL in tests that need none. reset: on the vCPU thread, 0
	 * or a negative errno. ended: any thread.
	 */
	int (*reset)(struct vm *vm);
	void (*ended)(struct vm *vm);
	_Atomic bool paused;
	bool rtc_runs_on; /* the board's clock chip goes on while the VM is paused */
	struct vm_work *work; /* under vcpu.wake_mutex */
	struct vm_dma dma;
};

/* Prepares the lock, the ends and the log; RAM, bus and vCPU are the caller's to add. */
void vm_init(struct vm *vm);

/* Port and MMIO accesses on the VM's bus under the device lock. size: 1, 2 or 4 (MMIO also 8). */
uint32_t vm_pio_read(struct vm *vm, uint16_t port, unsigned size);
void vm_pio_write(struct vm *vm, uint16_t port, uint32_t value, unsigned size);
uint64_t vm_mmio_read(struct vm *vm, gpa_t gpa, unsigned size);
void vm_mmio_write(struct vm *vm, gpa_t gpa, uint64_t value, unsigned size);

/*
 * The bytes of an access of len that come first: devices see it in one piece if it has a size they
 * know, else in naturally sized pieces.
 */
static inline unsigned vm_mmio_piece(uint32_t len)
{
	return len >= 8 ? 8 : len >= 4 ? 4 : len >= 2 ? 2 : 1;
}

/*
 * Ends the VM because its guest did something beyond what is supported. Sticky: the first reason
 * wins. Prints the reason, registers and the code bytes at EIP on stderr. Returns X86_DEAD, for
 * "return vm_kill(...)".
 */
enum x86_status vm_kill(struct vcpu *vcpu, const char *fmt, ...) RF_PRINTF(2, 3);

/*
 * Ends the VM in an orderly way; any thread. VM_REBOOT and VM_TRIPLE_FAULT reset the machine
 * instead unless no_reboot is set. Under no_shutdown these two and VM_POWEROFF pause the VM.
 */
void vm_end(struct vm *vm, enum vm_end how, int exit_code);
/* Stops and continues guest execution and the clock. Any thread; takes effect soon. */
void vm_pause(struct vm *vm);
void vm_continue(struct vm *vm);
/* Has work->run called on the vCPU thread soon, also while the VM is paused. Any thread. */
void vm_queue_work(struct vm *vm, struct vm_work *work);

static inline bool vm_is_running(struct vm *vm) { return vm->end == VM_RUNNING; }

/* What there is to say of a processor: on its own thread, or while that does not run. */
struct vcpu_report {
	struct cpu cpu;
	uint8_t code[24]; /* at CS:EIP */
	uint32_t code_len; /* of these, how many could be read */
};
void vcpu_report_take(struct vcpu *vcpu, struct vcpu_report *report);
void vcpu_report_print(const struct vcpu_report *report, FILE *out);
/* Both. */
void vcpu_print_state(struct vcpu *vcpu, FILE *out);

#include "mem.h" /* needs struct vm */

#endif
