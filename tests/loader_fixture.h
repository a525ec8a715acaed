/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest memory and a processor for loaders, and ELF images to load. */
#ifndef RF_TESTS_LOADER_FIXTURE_H
#define RF_TESTS_LOADER_FIXTURE_H

#include <criterion/criterion.h>
#include <elf.h>
#include <string.h>
#include "monitor/boot/loader.h"

#define RAM_SIZE (64u << 20)
#define ACPI_SIZE 0x4000u

extern struct guest_ram ram;
extern struct cpu cpu;
extern struct memory_map map;
extern struct error load_error;
extern struct boot_request boot; /* of kernel_path */
extern char kernel_path[], initrd_path[];

/* For a suite's .init and .fini. */
void loader_setup(void);
void loader_teardown(void);

void write_file(const char *path, const void *data, size_t size);
uint32_t ram32(uint32_t address);
void put16(uint8_t *p, uint16_t v);
void put32(uint8_t *p, uint32_t v);

#define expect_load_error(err, words) \
	do { \
		cr_expect_eq(loader_load(&boot), -(err)); \
		cr_expect_not_null(strstr(load_error.text, words), "'%s' does not say '%s'", \
				   load_error.text, words); \
		cr_expect_null(strchr(load_error.text, '\n')); \
	} while (0)

/*
 * An ELF with one segment: file offset 0x1000, virtual 0xc0200000, physical 0x200000, 16 bytes and
 * 0x2000 of bss. make_elf() makes it anew.
 */
extern uint8_t elf[0x1010];
void make_elf(void);
Elf32_Phdr *elf_phdr(void);
/* A multiboot header. */
void make_multiboot(uint8_t *at, uint32_t flags);

/* Flat protected mode at eip, with code selector `code`, a GDT and a stack. */
void expect_flat_start(uint32_t eip, uint16_t code);

#endif
