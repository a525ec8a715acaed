/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot images made here, Linux's and such as are none: where the loaders put them, what the guest
 * starts with, and that broken ones are refused.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "loader_fixture.h"

TestSuite(loader, .init = loader_setup, .fini = loader_teardown);

/* A bzImage of protocol 2.10: 2 sectors of setup after the boot sector, 64 KiB of code. */
#define BZ_SETUP (3 * 512)
#define BZ_CODE  0x10000
static uint8_t bz[BZ_SETUP + BZ_CODE];

static void make_bzimage(void)
{
	memset(bz, 0, sizeof(bz));
	bz[0x1f1] = 2;
	put32(bz + 0x1f4, BZ_CODE / 16);
	put16(bz + 0x1fe, 0xaa55);
	bz[0x200] = 0xeb;
	bz[0x201] = 0x66;
	memcpy(bz + 0x202, "HdrS", 4);
	put16(bz + 0x206, 0x020a);
	bz[0x211] = 0x01;
	put32(bz + 0x214, 0x100000);
	put32(bz + 0x22c, 0x37ffffff);
	put32(bz + 0x230, 0x200000);
	bz[0x234] = 1;
	put32(bz + 0x238, 255);
	put32(bz + 0x258, 0x1000000);
	put32(bz + 0x260, 0x800000);
	for (int i = 0; i < BZ_CODE; i++)
		bz[BZ_SETUP + i] = i * 7;
}

static void write_bzimage(void)
{
	write_file(kernel_path, bz, sizeof(bz));
}

Test(loader, linux_state_and_zero_page)
{
	uint32_t zp;

	make_bzimage();
	write_bzimage();
	boot.append = "console=ttyS0 quiet";
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	expect_flat_start(0x100000, 0x10);
	cr_expect_eq(memcmp(ram.flat + 0x100000, bz + BZ_SETUP, BZ_CODE), 0);
	zp = cpu.regs[X86_ESI];
	cr_expect_eq(memcmp(ram.flat + zp + 0x202, "HdrS", 4), 0);
	cr_expect_eq(ram.flat[zp + 0x210], 0xff, "type_of_loader");
	cr_expect_eq(ram32(zp + 0x214), 0x100000, "code32_start");
	cr_expect_eq(ram.flat[zp + 0x1ef], 0, "the sentinel");
	cr_expect_eq(ram32(zp + 0x218), 0);
	cr_expect_eq(ram32(zp + 0x254), 0, "setup_data, upper half");
	cr_expect_str_eq((char *)ram.flat + ram32(zp + 0x228), "console=ttyS0 quiet");
	cr_expect_eq(ram32(zp + 0x1e0), (RAM_SIZE - ACPI_SIZE - 0x100000) >> 10, "alt_mem_k");
	cr_expect_eq(ram.flat[zp + 0x1e8], map.count);
	cr_expect_eq(memcmp(ram.flat + zp + 0x2d0, map.entry, map.count * 20), 0);
}

Test(loader, linux_initrd_lies_below_the_acpi_tables)
{
	static char initrd[5000];
	uint32_t zp, at;

	make_bzimage();
	write_bzimage();
	memset(initrd, 0x5a, sizeof(initrd));
	write_file(initrd_path, initrd, sizeof(initrd));
	boot.initrd = initrd_path;
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	zp = cpu.regs[X86_ESI];
	at = ram32(zp + 0x218);
	cr_expect_eq(ram32(zp + 0x21c), sizeof(initrd));
	cr_expect_eq(at % 4096, 0);
	cr_expect_leq(at + sizeof(initrd), RAM_SIZE - ACPI_SIZE);
	cr_expect_gt(at, RAM_SIZE - ACPI_SIZE - 3 * 4096);
	cr_expect_eq(memcmp(ram.flat + at, initrd, sizeof(initrd)), 0);
}

Test(loader, linux_initrd_respects_the_kernels_limit)
{
	make_bzimage();
	put32(bz + 0x22c, 0x1ffffff);
	write_bzimage();
	write_file(initrd_path, "x", 1);
	boot.initrd = initrd_path;
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	cr_expect_eq(ram32(cpu.regs[X86_ESI] + 0x218), 0x1fff000);
}

Test(loader, linux_old_protocol_command_line)
{
	uint32_t zp;

	make_bzimage();
	put16(bz + 0x206, 0x0201);
	write_bzimage();
	boot.append = "root=/dev/hda1";
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	zp = cpu.regs[X86_ESI];
	cr_expect_eq(zp, 0x90000);
	cr_expect_eq(ram32(zp + 0x20) & 0xffff, 0xa33f);
	cr_expect_str_eq((char *)ram.flat + zp + (ram32(zp + 0x20) >> 16), "root=/dev/hda1");
}

Test(loader, linux_zimage_goes_low)
{
	make_bzimage();
	put16(bz + 0x206, 0x0200);
	bz[0x211] = 0;
	write_bzimage();
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	expect_flat_start(0x10000, 0x10);
	cr_expect_eq(memcmp(ram.flat + 0x10000, bz + BZ_SETUP, BZ_CODE), 0);
}

static uint16_t ram16(uint32_t address)
{
	return ram32(address);
}

static void expect_bios_area(void)
{
	static const uint16_t com[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };

	cr_expect_eq(memcmp(ram.flat + 0x400, com, 8), 0);
	cr_expect_eq(ram32(0x408), 0, "no parallel ports");
	cr_expect_eq(ram16(0x40e), 0x9fc0, "extended BIOS data area");
	cr_expect_eq(ram16(0x410), 0x0826, "equipment");
	cr_expect_eq(ram16(0x413), 639);
	cr_expect_eq(ram16(0x41a), ram16(0x41c), "no keys");
	cr_expect_eq(ram.flat[0x449], 3, "video mode");
	cr_expect_eq(ram16(0x44a), 80);
	cr_expect_eq(ram16(0x463), 0x3d4);
	cr_expect_eq(ram32(0x46c), 0x1800b0 / 2, "ticks at noon");
	cr_expect_eq(ram.flat[0x9fc00], 1, "KiB of the extended BIOS data area");
	/* F000:FFF0 and what it jumps to, F000:E05B, in the end resets. */
	cr_expect_eq(memcmp(ram.flat + 0xffff0, "\xea\x5b\xe0\x00\xf0", 5), 0);
	cr_expect_eq(memcmp(ram.flat + 0xfe05b, "\xb0\x06\xba\xf9\x0c\xee", 6), 0);
	cr_expect_eq(ram.flat[0xffffe], 0xfc, "model");
}

/* The first megabyte looks as after a BIOS, for each kind of kernel and each time it is loaded. */
Test(loader, bios_area)
{
	boot.second_of_day = 43200;
	make_bzimage();
	write_bzimage();
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	expect_bios_area();
	memset(ram.flat, 0xee, 0x1000);
	memset(ram.flat + 0xf0000, 0xee, 0x10000);
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	expect_bios_area();
	make_elf();
	write_file(kernel_path, elf, sizeof(elf));
	memset(ram.flat, 0xee, 0x1000);
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	expect_bios_area();
	boot.second_of_day = 86399;
	boot.floppies = 2;
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	cr_expect_eq(ram16(0x410), 0x0867, "two floppy drives");
	boot.floppies = 1;
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	cr_expect_eq(ram16(0x410), 0x0827);
	cr_expect(ram32(0x46c) < 0x1800b0 && ram32(0x46c) > 0x1800b0 - 20);
	elf_phdr()->p_paddr = 0x400;
	write_file(kernel_path, elf, sizeof(elf));
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	cr_expect_eq(memcmp(ram.flat + 0x400, "0123456789abcdef", 16), 0, "the kernel's own");
}

/* setup_data: one node, with 32 random bytes. */
static uint32_t expect_seed(void)
{
	const uint32_t node = ram32(cpu.regs[X86_ESI] + 0x250);

	cr_assert_neq(node, 0);
	cr_expect_eq(ram32(node), 0, "next");
	cr_expect_eq(ram32(node + 8), 9, "SETUP_RNG_SEED");
	cr_expect_eq(ram32(node + 12), 32);
	return node + 16;
}

Test(loader, linux_gets_a_new_seed_each_time)
{
	uint8_t first[32];

	make_bzimage();
	write_bzimage();
	cr_assert_eq(loader_load(&boot), 0);
	memcpy(first, ram.flat + expect_seed(), sizeof(first));
	cr_assert_eq(loader_load(&boot), 0);
	cr_expect_neq(memcmp(first, ram.flat + expect_seed(), sizeof(first)), 0);
}

Test(loader, linux_loading_twice_gives_the_same_start)
{
	struct cpu first;

	make_bzimage();
	write_bzimage();
	cr_assert_eq(loader_load(&boot), 0);
	first = cpu;
	memset(ram.flat + 0x100000, 0xee, BZ_CODE);
	cpu.regs[X86_EAX] = 5;
	cpu.cr3 = 0x1000;
	cpu.cr0 |= CR0_PG;
	cr_assert_eq(loader_load(&boot), 0);
	cr_expect_eq(memcmp(ram.flat + 0x100000, bz + BZ_SETUP, BZ_CODE), 0);
	cr_expect_eq(memcmp(&first, &cpu, sizeof(cpu)), 0);
}

Test(loader, linux_truncated_at_every_part)
{
	static const size_t lengths[] = {
		0x207, 0x250, 600, BZ_SETUP, BZ_SETUP + 1, sizeof(bz) - 16
	};

	make_bzimage();
	for (size_t i = 0; i < RF_ARRAY_SIZE(lengths); i++) {
		write_file(kernel_path, bz, lengths[i]);
		expect_load_error(ENOEXEC, "cut short");
	}
}

Test(loader, linux_refusals)
{
	make_bzimage();
	put16(bz + 0x206, 0x020f);
	put16(bz + 0x236, 1);
	write_bzimage();
	expect_load_error(ENOEXEC, "64-bit");
	make_bzimage();
	put16(bz + 0x206, 0x0105);
	write_bzimage();
	expect_load_error(ENOEXEC, "1.05");
	make_bzimage();
	put32(bz + 0x260, RAM_SIZE);
	write_bzimage();
	expect_load_error(ENOSPC, "-m");
	make_bzimage();
	write_bzimage();
	boot.append = "0123456789012345678901234567890123456789012345678901234567890123456789012345"
		      "678901234567890123456789"
		      "0123456789012345678901234567890123456789012345678901234567890123456789012345"
		      "678901234567890123456789"
		      "01234567890123456789012345678901234567890123456789012345";
	expect_load_error(E2BIG, "256");
}

/* What has Linux's header and yet no 32-bit code that could be entered: iPXE, memdisk. */
Test(loader, linux_lookalikes_that_want_a_bios)
{
	make_bzimage();
	put32(bz + 0x214, 0);
	write_bzimage();
	expect_load_error(ENOEXEC, "BIOS");
	make_bzimage();
	put16(bz + 0x20e, 0x100);
	memcpy(bz + 0x300, "MEMDISK 6.04", 13);
	write_bzimage();
	expect_load_error(ENOEXEC, "BIOS");
	memcpy(bz + 0x300, "6.1 (MEMDISK )", 15);
	put16(bz + 0x20e, 0xffff); /* still within the file, and nothing there */
	write_bzimage();
	cr_expect_eq(loader_load(&boot), 0, "%s", load_error.text);
	put16(bz + 0x20e, 0x100);
	write_bzimage();
	cr_expect_eq(loader_load(&boot), 0, "%s", load_error.text);
	bz[0x211] = 0; /* a zImage's 32-bit code is where it always was */
	put32(bz + 0x214, 0);
	write_bzimage();
	cr_expect_eq(loader_load(&boot), 0, "%s", load_error.text);
}

Test(loader, initrd_errors)
{
	make_bzimage();
	write_bzimage();
	boot.initrd = "/nonexistent/initrd";
	expect_load_error(ENOENT, "/nonexistent/initrd");
	boot.initrd = "/tmp";
	expect_load_error(EISDIR, "directory");
	boot.initrd = initrd_path;
	expect_load_error(EINVAL, "empty");
	cr_assert_eq(truncate(initrd_path, RAM_SIZE), 0);
	expect_load_error(ENOSPC, "-m");
}

/* Where the memory for it ends, whatever the kernel says it takes. */
Test(loader, linux_longest_command_line)
{
	enum { MOST = LOADER_COMMAND_LINE_END - LOADER_COMMAND_LINE - 1 };
	static char text[MOST + 2];

	memset(text, 'x', MOST + 1);
	boot.append = text;
	make_bzimage();
	put32(bz + 0x238, 0xffffffff);
	write_bzimage();
	expect_load_error(E2BIG, "at most 56319");
	put32(bz + 0x238, MOST + 1);
	write_bzimage();
	expect_load_error(E2BIG, "at most 56319");
	text[MOST] = 0;
	cr_expect_eq(loader_load(&boot), 0, "%s", load_error.text);
	put32(bz + 0x238, MOST - 1);
	write_bzimage();
	expect_load_error(E2BIG, "at most 56318");
}

static unsigned open_files(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

Test(loader, no_file_stays_open)
{
	const unsigned before = open_files();

	make_bzimage();
	write_bzimage();
	write_file(initrd_path, "initrd", 6);
	boot.initrd = initrd_path;
	cr_expect_eq(loader_load(&boot), 0, "%s", load_error.text);
	cr_expect_eq(open_files(), before);
	cr_assert_eq(truncate(initrd_path, RAM_SIZE), 0);
	expect_load_error(ENOSPC, "-m");
	cr_expect_eq(open_files(), before);
	put32(bz + 0x202, 0);
	write_bzimage();
	cr_expect_lt(loader_load(&boot), 0);
	cr_expect_eq(open_files(), before);
}

/* Both its marks make a kernel of Linux's: a boot sector has the other one too. */
Test(loader, linux_by_both_marks)
{
	make_bzimage();
	put32(bz + 0x202, 0);
	write_bzimage();
	expect_load_error(ENOEXEC, "not a kernel");
	make_bzimage();
	put16(bz + 0x1fe, 0);
	write_bzimage();
	expect_load_error(ENOEXEC, "not a kernel");
}

Test(loader, not_kernels)
{
	static const struct { const char *data; size_t size; const char *text; } files[] = {
		{ "", 0, "empty" }, { "x", 1, "not a kernel" }, { "\x1f\x8b\x08", 3, "gzip" },
		{ "\x7f" "ELF\x02\x01", 6, "64-bit" }, { "070701", 6, "-initrd" },
	};

	for (size_t i = 0; i < RF_ARRAY_SIZE(files); i++) {
		write_file(kernel_path, files[i].data, files[i].size);
		cr_expect_lt(loader_load(&boot), 0);
		cr_expect_not_null(strstr(load_error.text, files[i].text), "'%s'", load_error.text);
	}
	boot.kernel = "/tmp";
	expect_load_error(EISDIR, "directory");
	boot.kernel = "/dev/null";
	expect_load_error(EINVAL, "regular file");
}

/* Wants an end when it has been asked so often; counts. */
struct asked {
	unsigned count, most;
};

static bool asked_enough(void *opaque)
{
	struct asked *asked = opaque;

	return asked->count++ >= asked->most;
}

static int load_and_count(struct asked *asked)
{
	const struct cancel cancel = { -1, asked_enough, asked };
	int err;

	asked->count = 0;
	boot.cancel = &cancel;
	err = loader_load(&boot);
	boot.cancel = NULL;
	return err;
}

Test(loader, loading_ends_when_it_is_told_to)
{
	struct asked asked = { 0 };

	make_bzimage();
	write_bzimage();
	boot.initrd = initrd_path;
	cr_assert_eq(truncate(initrd_path, 1 << 20), 0);
	while (load_and_count(&asked)) {
		cr_assert_not_null(strstr(load_error.text, "given up"), "'%s'", load_error.text);
		cr_assert_eq(asked.count, ++asked.most, "asked again after it said so");
	}
	cr_expect_gt(asked.most, 4, "asked within each file");
}

/* As the number of pieces tells. */
Test(loader, what_is_too_large_is_not_read)
{
	struct asked asked = { .most = 1000 };
	unsigned small;

	make_bzimage();
	write_bzimage();
	boot.initrd = initrd_path;
	write_file(initrd_path, "x", 1);
	cr_assert_eq(load_and_count(&asked), 0);
	small = asked.count;
	cr_assert_eq(truncate(initrd_path, 16 << 20), 0);
	cr_assert_eq(load_and_count(&asked), 0);
	cr_expect_geq(asked.count, small + 63);
	cr_assert_eq(truncate(initrd_path, RAM_SIZE), 0);
	cr_expect_eq(load_and_count(&asked), -ENOSPC);
	cr_expect_lt(asked.count, small);
	cr_assert_eq(truncate(kernel_path, RAM_SIZE), 0);
	cr_expect_eq(load_and_count(&asked), -ENOSPC);
	cr_expect_eq(asked.count, 1, "no more than the kernel's head");
	write_file(kernel_path, "x", 1);
	cr_assert_eq(truncate(kernel_path, RAM_SIZE), 0);
	cr_expect_eq(load_and_count(&asked), -ENOEXEC);
	cr_expect_eq(asked.count, 1);
}

/* Whatever the file holds, the loader returns, and an error has a text. */
Test(loader, damaged_files_are_survived)
{
	unsigned seed = 1;

	for (int round = 0; round < 300; round++) {
		uint8_t *image = round & 1 ? bz : elf;
		size_t size = round & 1 ? sizeof(bz) : sizeof(elf);

		make_bzimage();
		make_elf();
		if (round & 2)
			make_multiboot(elf + 0x400, round & 4 ? 0x10003 : 3);
		for (int i = 0; i < 6; i++) {
			size_t at =
				(round & 1 ? 0x1f1 : 0) + rand_r(&seed) % (round & 1 ? 0x80 : 0x54);

			image[at] = rand_r(&seed);
		}
		write_file(kernel_path, image, size);
		load_error.text[0] = '\0';
		if (loader_load(&boot))
			cr_expect_neq(load_error.text[0], '\0');
	}
}

Test(loader, memory_map)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < map.count; i++) {
		cr_expect_geq(map.entry[i].base, end, "entries overlap or are out of order");
		end = map.entry[i].base + map.entry[i].size;
	}
	cr_expect_eq(map.entry[0].size, 0x9fc00);
	cr_expect_eq(map.entry[3].base, 0x100000);
	cr_expect_eq(map.entry[3].size, RAM_SIZE - ACPI_SIZE - 0x100000);
	cr_expect_eq(map.entry[4].type, E820_ACPI);
	cr_expect_eq(memory_map_high_end(&map).v, RAM_SIZE - ACPI_SIZE);
	memory_map_build(&map, 1u << 20, GPA(0xfc000), ACPI_SIZE);
	end = 0;
	for (unsigned i = 0; i < map.count; i++) {
		cr_expect_geq(map.entry[i].base, end, "entries overlap with 1 MiB");
		end = map.entry[i].base + map.entry[i].size;
	}
	memory_map_build(&map, 1u << 20, GPA(0), 0);
	cr_expect_eq(memory_map_high_end(&map).v, 0x100000);
}
