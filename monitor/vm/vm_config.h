/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A virtual machine as its user wants it: plain data, checked where it was made (options.c). */
#ifndef RF_MONITOR_VM_VM_CONFIG_H
#define RF_MONITOR_VM_VM_CONFIG_H

#include "devices/board/pc_firmware.h"
#include "x86/cancel.h"

struct host_facts;

#define VM_SERIAL_PORTS 4
#define VM_ENGINE_FALLBACKS 2
#define VM_FIRMWARE_FOLDERS 8
#define VM_IDE_DRIVES 4
#define VM_FLOPPY_DRIVES 2

/* An IDE or floppy drive, and the image in it. */
struct vm_drive {
	bool there;
	const char *file;         /* NULL: a CD-ROM or floppy drive without a disk */
	uint8_t aio;              /* enum block_aio */
	const char *format;       /* as the user has it; NULL: raw, if it looks like that */
	bool cd, read_only, snapshot;
};

enum vm_display { VM_DISPLAY_NONE, VM_DISPLAY_CURSES };

struct vm_config {
	const char *name;         /* -name; NULL: none */
	const char *process_name; /* up to 15 bytes; NULL: as it is */
	uint8_t uuid[16];         /* as its text has them; all 0: none */
	uint64_t ram_size;        /* bytes, whole pages */
	const char *cpu;          /* MODEL[,+feature|-feature]..., NULL: the default */
	const char *engine;       /* "bt", "kvm", "interp"; NULL: the default */
	/* engines tried next if the host cannot run that one, without options; NULL: no more */
	const char *engine_fallback[VM_ENGINE_FALLBACKS];
	char *engine_options;     /* what the engine gets; NULL: none */
	char *stats_path;         /* stats=FILE of -accel; NULL: none */
	const char *kernel, *initrd, *append; /* kernel NULL: the firmware starts */
	const char *bios;         /* -bios; NULL: the default firmware */
	const char *firmware_folder[VM_FIRMWARE_FOLDERS]; /* -L */
	unsigned firmware_folders;
	struct pc_boot boot;      /* -boot; strings are in boot_order, boot_once */
	char boot_order[5], boot_once[5];
	struct vm_drive ide[VM_IDE_DRIVES]; /* two of the first channel, two of the second */
	struct vm_drive floppy[VM_FLOPPY_DRIVES];
	bool snapshot;            /* -snapshot: of every disk */
	/* Specifications of character backends ("stdio", "file:x"); NULL: no device. */
	const char *serial[VM_SERIAL_PORTS];
	const char *monitor;
	const char *gdb; /* a debugger's character device; NULL: none */
	bool vga;                 /* there is a display adapter */
	enum vm_display display;  /* what shows its screen */
	const char *debugcon;
	uint16_t debugcon_iobase; /* 0: the default */
	/* Ctrl-C at a stdio backend ends ringfence rather than reach the guest */
	bool terminal_signals;
	bool debug_exit;          /* -device isa-debug-exit */
	uint16_t debug_exit_iobase, debug_exit_iosize;
	bool rtc_localtime;
	bool no_hpet;
	int64_t rtc_offset;       /* seconds from the host's time to the clock chip's */
	bool rtc_stops;           /* the clock chip stands still while the machine does */
	bool no_acpi;
	bool no_reboot, no_shutdown, start_paused;
	bool daemonize;
	const char *pidfile;      /* NULL: none */
	uint32_t log_items;       /* enum log_item */
	const char *log_path;     /* NULL: standard error */
	/* what the user should know of how the command line was understood, lines; NULL: nothing */
	char *notes;
	const struct cancel *cancel; /* no option: of making the machine; NULL: never */
	/* what was wrong with it, lines that each name an option and a remedy; NULL: nothing */
	char *refusals;
	char **strings;           /* made for the configuration, malloc'd, and that array as well */
	size_t string_count;
	const struct host_facts *host; /* no option: what the host is taken for; NULL: as it is */
};

#endif
