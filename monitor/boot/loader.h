/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the loaders share; boot.h is the public part. */
#ifndef RF_MONITOR_BOOT_LOADER_H
#define RF_MONITOR_BOOT_LOADER_H

#include "boot.h"

/* A file that is read, front to back. */
struct file_image {
	const char *path;
	const char *what; /* its role in messages ("kernel") */
	int fd;
	size_t size, done; /* bytes: of the file; of these, read */
	uint8_t *data;     /* size bytes, of which what was not read is zero; NULL: not made */
	int64_t began, shown; /* ms: when it was opened; when its progress was shown, or 0 */
};

#define LOADER_HEAD  (64u << 10)  /* bytes that show what kind of kernel a file is */
#define LOADER_PIECE (256u << 10) /* bytes read or written between two looks at boot->cancel */

/* The parts, for loader.c and each other. */
bool loader_linux_probe(const struct file_image *kernel);
int loader_linux(struct boot_request *boot, const struct file_image *kernel) RF_MUST_CHECK;
/* What can be said of it when only LOADER_HEAD bytes have been read: the errors of loading it. */
int loader_linux_check(struct boot_request *boot, const struct file_image *kernel) RF_MUST_CHECK;
bool loader_multiboot_probe(const struct file_image *kernel);
int loader_multiboot(struct boot_request *boot, const struct file_image *kernel) RF_MUST_CHECK;
bool loader_pvh_probe(const struct file_image *kernel);
int loader_pvh(struct boot_request *boot, const struct file_image *kernel) RF_MUST_CHECK;
/* Kernels of Multiboot 2 and nothing else: refused. */
bool loader_multiboot2_probe(const struct file_image *kernel);
int loader_multiboot2(struct boot_request *boot, const struct file_image *kernel) RF_MUST_CHECK;
bool loader_elf_probe(const struct file_image *kernel);
int loader_elf(struct boot_request *boot, const struct file_image *kernel) RF_MUST_CHECK;

/*
 * Loads the segments of a 32-bit ELF: *entry is physical, *end the first byte after the highest
 * segment.
 */
int loader_elf_segments(struct boot_request *boot, const struct file_image *kernel, uint32_t *entry,
			gpa_t *end) RF_MUST_CHECK;

/*
 * Opens a regular file and finds its size; what and path must outlive the image. The caller frees
 * with file_image_free(), which it may also when this failed.
 */
int file_image_open(struct boot_request *boot, const char *what, const char *path,
		    struct file_image *image) RF_MUST_CHECK;
/* Memory for image->data. */
int file_image_make(struct boot_request *boot, struct file_image *image) RF_MUST_CHECK;
/* Reads the next bytes, which the file must have, to there. */
int file_image_read(struct boot_request *boot, struct file_image *image, uint8_t *to,
		    size_t bytes) RF_MUST_CHECK;
void file_image_free(struct file_image *image);

/* The BIOS data area and a reset stub: before the kernel, whose segments may lie there. */
int loader_fill_bios_area(struct boot_request *boot) RF_MUST_CHECK;

/* Copies into guest RAM; a range that is not all RAM is an error naming what. data NULL: zeroes. */
int loader_copy(struct boot_request *boot, const char *what, gpa_t gpa, const void *data,
		size_t size) RF_MUST_CHECK;
/* Reads all of a file, of which nothing was read yet, to there. */
int loader_read(struct boot_request *boot, struct file_image *image, gpa_t gpa) RF_MUST_CHECK;

/*
 * Flat 4-GiB protected mode, paging and interrupts off, at eip, with a GDT at LOADER_GDT: selector
 * `code` is code and the next one data, then come code and data of 16 bits, as for a way back to
 * real mode. ESP is LOADER_STACK, the other general registers are zero.
 */
int loader_enter_flat(struct boot_request *boot, uint16_t code, uint32_t eip) RF_MUST_CHECK;

/*
 * Linux says which selectors it is entered with. Other kernels do not, but many have an IDT before
 * a GDT of their own, or reload DS, and so rely on what GRUB and QEMU give them.
 */
#define LOADER_LINUX_CODE 0x10
#define LOADER_CODE       0x08

/* Low memory that loaders use for what the guest reads at its start. */
#define LOADER_STACK       0x90000u /* downwards */
#define LOADER_BOOT_PARAMS 0x90000u /* where Linux before 2.02 wants it */
#define LOADER_SETUP_DATA  0x91800u
#define LOADER_COMMAND_LINE 0x92000u
#define LOADER_COMMAND_LINE_END MEMORY_MAP_LOW_END
/* in the extended BIOS data area, where no kernel's segments should lie */
#define LOADER_GDT         (MEMORY_MAP_LOW_END + 0x100)

#endif
