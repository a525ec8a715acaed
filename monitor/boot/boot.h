/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loaders: what -kernel, -initrd and -append put into guest memory, and the CPU state the guest
 * starts in. They stand in for firmware and boot loader. The kind of file decides:
 *
 *   linux.c       bzImage or zImage, boot protocol 2.00 and later, entered as
 *                 Documentation/x86/boot.rst of Linux has it, "32-bit boot protocol"
 *   multiboot.c   kernels of the Multiboot Specification 0.6.96
 *   pvh.c         ELF kernels with a PVH entry, as Linux's vmlinux
 *   elf.c         any other 32-bit ELF executable: flat protected mode at its entry
 *
 * A loader only writes guest RAM (telling guest_ram_written()) and architectural registers of a CPU
 * that was just reset, so loading again after a machine reset starts the guest afresh.
 */
#ifndef RF_MONITOR_BOOT_BOOT_H
#define RF_MONITOR_BOOT_BOOT_H

#include "memory_map.h"
#include "shadowmmu/guest_ram.h"
#include "x86/cancel.h"
#include "x86/cpu.h"
#include "x86/error.h"

/* What to load and where it may go. Strings are borrowed; initrd and append may be NULL. */
struct boot_request {
	struct guest_ram *ram;
	struct cpu *cpu;
	const struct memory_map *map;
	const char *kernel, *initrd, *append;
	uint32_t second_of_day; /* as the clock chip shows it */
	unsigned floppies; /* drives, at most 2 */
	struct error *error; /* where a loader that fails says why */
	const struct cancel *cancel; /* of loading; NULL: never */
	bool progress; /* what takes long is shown on standard error, which is a terminal */
};

/*
 * Loads boot->kernel. 0, or a negative errno with boot->error set; guest RAM may then be partly
 * written.
 */
int loader_load(struct boot_request *boot) RF_MUST_CHECK;

#endif
