/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC: QEMU's `pc` machine (i440FX, PIIX3, PIIX4 power management, one local APIC, one I/O APIC,
 * ISA chips) on one bus.
 *
 * The board plays the firmware's part too where a kernel is booted without one: after a reset LINT0
 * is ExtINT (virtual wire mode), the PIRQs are routed, and pc_board_write_tables() puts ACPI and MP
 * tables into RAM. With firmware it tells that what it wants to know (pc_firmware.h), and chips are
 * as they are after power-on.
 *
 * All functions are called, and all callbacks come, under the VM's device lock.
 */
#ifndef RF_DEVICES_BOARD_PC_BOARD_H
#define RF_DEVICES_BOARD_PC_BOARD_H

#include "devices/bus/bus.h"
#include "devices/bus/chardev.h"
#include "devices/bus/clock.h"
#include "devices/bus/display.h"
#include "devices/bus/guest_memory.h"
#include "devices/bus/media.h"
#include "devices/bus/wires.h"
#include "devices/chips/i8259.h"
#include "devices/chips/io_apic.h"
#include "devices/chips/pci_host.h"
#include "devices/storage/fdc.h"
#include "devices/storage/ide.h"
#include "pc_firmware.h"

#define PC_SERIAL_PORTS 4

struct pc_board_config {
	struct bus *bus;            /* must outlive the board */
	struct clock clock;
	struct guest_memory memory; /* for pc_board_write_tables() and DMA */
	uint64_t ram_size;          /* bytes, at most 3.5 GiB */

	struct irq_line intr;        /* the CPU's INTR pin; set when it changes */
	/*
	 * Whether the CPU's interrupt flag is set, asked while it accesses a device. NULL: it is.
	 */
	bool (*interrupt_flag)(void *opaque);
	void *interrupt_flag_opaque;
	struct signal_line nmi;
	struct signal_line ignne;    /* an x87 error is being reported: the CPU's IGNNE# pin */
	struct irq_line a20;         /* set when it changes, and at reset (enabled) */
	struct signal_line reset;    /* keyboard controller, port 92h, port cf9h: soon */
	struct signal_line poweroff; /* ACPI S5 */
	struct signal_line debug_exit; /* the value that was written to isa-debug-exit */
	/* pc_board_pam() may say something new: also at every reset */
	struct signal_line memory_map;
	/*
	 * Whose interrupt controllers take the lines: set for line n, the global system interrupt,
	 * when it changes. Line 0 is IRQ 0 of the 8259s alone, line 2 pin 2 of the I/O APIC, which
	 * IRQ 0 reaches too. Not connected: the board's own.
	 */
	struct irq_line gsi;

	/* What is at the IDE channels, two drives each. */
	struct ide_drive_config ide[IDE_CHANNELS * IDE_DRIVES];
	struct floppy_drive_config floppy[FDC_DRIVES];
	struct media media;                      /* whom to ask for other disks in them */
	struct chardev *serial[PC_SERIAL_PORTS]; /* COM1..COM4; NULL: no such port */
	struct chardev *debugcon;                /* NULL: none */
	uint16_t debugcon_iobase;                /* 0: 0xe9 */
	uint16_t debug_exit_iobase;
	/* 0: no isa-debug-exit; QEMU's default is 2 at 0x501 */
	uint16_t debug_exit_iosize;
	bool vga;                    /* whether there is a display adapter */
	struct display_memory video_memory; /* for it; VGA_STORE_SIZE bytes (video/vga.h) */
	/* Its option ROM: a power of two of bytes, which must outlive the board; NULL: none. */
	const uint8_t *vga_rom;
	uint32_t vga_rom_size;
	bool hpet;                               /* there is an HPET */
	/* How the firmware is to start; outlives the board. NULL: there is no firmware. */
	const struct pc_boot *boot;
	/* the RTC's date when the clock reads 0: seconds since 1970, as if UTC */
	int64_t rtc_base;
	/* neither ACPI tables nor power management; pc_board_power_button() does nothing */
	bool no_acpi;
};

struct pc_board;

/*
 * Attaches all devices to config->bus and resets them. 0, or a negative errno; -EEXIST with error:
 * which two claim the same addresses.
 */
int pc_board_create(const struct pc_board_config *config, struct pc_board **out,
		    struct error *error) RF_MUST_CHECK;
void pc_board_destroy(struct pc_board *board);

/*
 * Power-on state of all devices (bus_reset_all(), lines lowered, A20 on). Guest RAM is not touched.
 */
void pc_board_reset(struct pc_board *board);

/*
 * As interrupt_source.acknowledge. The local APIC's own interrupts come first; ExtINT through
 * LINT0, or with the APIC disabled the 8259s directly, otherwise.
 */
int pc_board_acknowledge(void *board);
/* The level that config.intr was last set to. */
bool pc_board_intr_level(const struct pc_board *board);

/*
 * IA32_APIC_BASE (SDM vol. 3, 10.4.4): enable bit 11, base bits 12..35, BSP bit 8 read-only. False:
 * the value must #GP (reserved bits, x2APIC).
 */
uint64_t pc_board_apic_base_get(const struct pc_board *board);
bool pc_board_apic_base_set(struct pc_board *board, uint64_t value) RF_MUST_CHECK;
/* CR8/TPR access for engines: the TPR byte. */
uint8_t pc_board_tpr_get(const struct pc_board *board);
void pc_board_tpr_set(struct pc_board *board, uint8_t tpr);
/*
 * A store of four bytes that the CPU may do without the device lock, and for general registers
 * only; unlike the others, not under that lock, but on the vCPU's thread. *opaque is its first
 * argument. It returns false when the store is to be done on the bus.
 */
typedef bool (*pc_board_store_fn)(void *opaque, gpa_t gpa, uint32_t value);
pc_board_store_fn pc_board_store_unlocked(struct pc_board *board, void **opaque);

/*
 * Sets global system interrupt gsi (0..23): ISA IRQ 0..15 reach both the 8259s and the I/O APIC
 * (IRQ 0 at pin 2).
 */
void pc_board_set_irq(struct pc_board *board, unsigned gsi, bool level);

/* What reads and writes of C0000h to FFFFFh reach (pci_host.h). */
void pc_board_pam(const struct pc_board *board, uint8_t pam[PCI_HOST_PAMS]);

/* Which parts of the display adapter's memory are to be as RAM, and where. */
void pc_board_display_views(const struct pc_board *board, struct display_view view[DISPLAY_VIEWS]);

/* Where the CPU tells that it reads its time-stamp counter, at least with INTR up and IF clear. */
struct signal_line pc_board_look(struct pc_board *board);

/* Whether something is programmed that sends NMIs, as far as the board knows. */
bool pc_board_sends_nmis(const struct pc_board *board);

/* Where FERR# of the CPU goes: an x87 error is to be reported as IRQ 13. */
struct signal_line pc_board_ferr(struct pc_board *board);

/* The interrupt controllers as they are; all zero or masked if others take the lines. */
const struct i8259 *pc_board_pic(const struct pc_board *board);
const struct io_apic *pc_board_io_apic(const struct pc_board *board);

/* The user pressed the power button (system_powerdown): ACPI PWRBTN event. */
void pc_board_power_button(struct pc_board *board);

/* The RTC goes forward: that long it stood still with the clock, and was not to. */
void pc_board_rtc_advance(struct pc_board *board, uint64_t ns);

#define PC_KEYBOARD_QUEUE 32 /* bytes */
/*
 * Keys of the PS/2 keyboard, as scan code set 2 bytes (make and break sequences). False, and
 * nothing was put: the guest has not taken enough of what is in the keyboard's queue.
 */
bool pc_board_keyboard_put(struct pc_board *board, const uint8_t *scancodes, size_t count);

/* config.media. */
const struct media *pc_board_media(const struct pc_board *board);
/* The drives, for what changes their disks. */
struct ide *pc_board_ide(struct pc_board *board);
struct fdc *pc_board_fdc(struct pc_board *board);

/* What the display adapter shows. False: there is none. */
bool pc_board_display(struct pc_board *board, struct display *out);

/*
 * Where the firmware tables go: [base, base + size) at the top of RAM, to be reported as type 3
 * (ACPI data) in the memory map; a whole number of pages. Needs no board. (The RSDP and MP tables
 * go to 0xf0000-0xfffff, reserved anyway.)
 */
void pc_board_acpi_area(uint64_t ram_size, gpa_t *base, uint64_t *size);
/*
 * Writes the ACPI and MP tables into RAM: after every load of a kernel image. 0 or a negative
 * errno.
 */
int pc_board_write_tables(struct pc_board *board) RF_MUST_CHECK;

#endif
