/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF kernels, plain, with a PVH entry or with a multiboot header: where they are put, what they
 * start with, and which are refused.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "loader_fixture.h"

TestSuite(loader_elf, .init = loader_setup, .fini = loader_teardown);

Test(loader_elf, segments_bss_and_entry)
{
	make_elf();
	write_file(kernel_path, elf, sizeof(elf));
	memset(ram.flat + 0x200000, 0xff, 0x3000);
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	expect_flat_start(0x200004, 0x08);
	cr_expect_eq(memcmp(ram.flat + 0x200000, "0123456789abcdef", 16), 0);
	for (int i = 0x10; i < 0x2010; i++)
		cr_assert_eq(ram.flat[0x200000 + i], 0);
	cr_expect_eq(ram.flat[0x202010], 0xff);
}

/* The loader's own tables do not lie where a kernel may. */
Test(loader_elf, in_low_memory_stays_as_it_is)
{
	make_elf();
	for (uint32_t at = 0x1000; at < 0x9f000; at += 0x1000) {
		elf_phdr()->p_paddr = at;
		elf_phdr()->p_filesz = elf_phdr()->p_memsz = 16;
		write_file(kernel_path, elf, sizeof(elf));
		cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
		cr_expect_eq(memcmp(ram.flat + at, "0123456789abcdef", 16), 0, "at %x", at);
	}
}

Test(loader_elf, refusals)
{
	make_elf();
	elf_phdr()->p_filesz = 17;
	write_file(kernel_path, elf, sizeof(elf));
	expect_load_error(ENOEXEC, "cut short");
	make_elf();
	elf_phdr()->p_offset = 0xfffffff0;
	write_file(kernel_path, elf, sizeof(elf));
	expect_load_error(ENOEXEC, "cut short");
	make_elf();
	elf_phdr()->p_paddr = RAM_SIZE - 8;
	write_file(kernel_path, elf, sizeof(elf));
	expect_load_error(ENOSPC, "-m");
	make_elf();
	elf_phdr()->p_paddr = 0x9fff8; /* into the video hole */
	write_file(kernel_path, elf, sizeof(elf));
	expect_load_error(ENOSPC, "-m");
	make_elf();
	elf_phdr()->p_paddr = 0xfffffff8; /* around the end of the address space */
	write_file(kernel_path, elf, sizeof(elf));
	expect_load_error(ENOSPC, "-m");
	make_elf();
	elf_phdr()->p_memsz = 8;
	write_file(kernel_path, elf, sizeof(elf));
	expect_load_error(ENOEXEC, "damaged");
	make_elf();
	elf_phdr()->p_type = PT_NOTE;
	write_file(kernel_path, elf, sizeof(elf));
	expect_load_error(ENOEXEC, "no loadable");
	make_elf();
	((Elf32_Ehdr *)elf)->e_phoff = 0x100000;
	write_file(kernel_path, elf, sizeof(elf));
	expect_load_error(ENOEXEC, "program headers end at byte 1048608");
	make_elf();
	write_file(kernel_path, elf, sizeof(elf));
	boot.append = "x";
	expect_load_error(EINVAL, "-append");
}

/* Program headers: of another size, more than the file holds, uncounted. */
Test(loader_elf, program_header_tables)
{
	static const struct { uint16_t entsize, num; const char *text; } tables[] = {
		{ 40, 1, "40 bytes (e_phentsize)" }, { 31, 1, "e_phentsize" },
		{ 56, 2, "e_phentsize" }, { 0, 1, "0 bytes (e_phentsize)" },
		{ 64, PN_XNUM, "e_phentsize" }, { 32, PN_XNUM, "(e_phnum)" },
		{ 32, PN_XNUM - 1, "program headers end" }, { 32, 0x80, "program headers end" },
		{ 32, 0, "no loadable" }, { 0, 0, "no loadable" },
	};

	for (int multiboot = 0; multiboot < 2; multiboot++) {
		for (size_t i = 0; i < RF_ARRAY_SIZE(tables); i++) {
			make_elf();
			((Elf32_Ehdr *)elf)->e_phentsize = tables[i].entsize;
			((Elf32_Ehdr *)elf)->e_phnum = tables[i].num;
			if (multiboot)
				make_multiboot(elf + 0x400, 0);
			write_file(kernel_path, elf, sizeof(elf));
			expect_load_error(ENOEXEC, tables[i].text);
		}
	}
}

/* A second program header: notes at `offset` in the file. */
static uint32_t *make_notes(uint32_t offset, uint32_t size)
{
	((Elf32_Ehdr *)elf)->e_phnum = 2;
	elf_phdr()[1] = (Elf32_Phdr){ .p_type = PT_NOTE, .p_offset = offset, .p_filesz = size,
		.p_align = 4 };
	return (uint32_t *)(elf + offset);
}

static void make_pvh(void)
{
	static const uint32_t notes[] = {
		4, 5, 18, 0x00584e47, 1, 2,         /* of another owner, padded */
		4, 4, 6, 0x006e6558, 7,             /* of another type */
		4, 4, 18, 0x006e6558, 0x200008,     /* "Xen": the entry */
	};

	make_elf();
	memcpy(make_notes(0x800, sizeof(notes)), notes, sizeof(notes));
}

Test(loader_elf, pvh_start_info)
{
	uint32_t info, at;

	make_pvh();
	write_file(kernel_path, elf, sizeof(elf));
	write_file(initrd_path, "module!", 7);
	boot.initrd = initrd_path;
	boot.append = "console=ttyS0";
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	expect_flat_start(0x200008, 0x08);
	cr_expect_eq(cpu.tr.limit, 0x67);
	cr_expect_eq(cpu.regs[X86_EAX], 0);
	info = cpu.regs[X86_EBX];
	cr_expect_eq(ram32(info), 0x336ec578);
	cr_expect_eq(ram32(info + 4), 1, "version");
	cr_assert_eq(ram32(info + 12), 1, "modules");
	cr_expect_str_eq((char *)ram.flat + ram32(info + 24), "console=ttyS0");
	cr_expect_eq(ram32(info + 32), 0xf6000, "ACPI");
	at = ram32(info + 16);
	cr_expect_eq(ram32(at + 8), 7);
	cr_expect_eq(ram32(at) % 4096, 0);
	cr_expect_leq(ram32(at) + 7, RAM_SIZE - ACPI_SIZE);
	cr_expect_eq(memcmp(ram.flat + ram32(at), "module!", 7), 0);
	at = ram32(info + 40);
	cr_assert_eq(ram32(info + 48), map.count);
	for (unsigned i = 0; i < map.count; i++, at += 24) {
		cr_expect_eq(memcmp(ram.flat + at, &map.entry[i], 20), 0);
		cr_expect_eq(ram32(at + 20), 0);
	}
	boot.initrd = NULL;
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	cr_expect_eq(ram32(cpu.regs[X86_EBX] + 12), 0, "modules");
	boot.initrd = initrd_path;
	cr_assert_eq(truncate(initrd_path, RAM_SIZE - 0x200000), 0);
	expect_load_error(ENOSPC, "-m");
}

/* Notes that are cut off or of another kind make no PVH kernel; multiboot comes first. */
Test(loader_elf, pvh_notes)
{
	static const struct { uint32_t offset, size; } places[] = {
		{ 0x800, 63 }, { 0x800, 11 }, { 0x800, 0 }, { 0xff0, 0x100 }, { 0xfffffff0, 0x40 },
		{ 0x800, 0xffffffff },
	};

	boot.append = "x";
	for (size_t i = 0; i < RF_ARRAY_SIZE(places); i++) {
		make_pvh();
		elf_phdr()[1].p_offset = places[i].offset;
		elf_phdr()[1].p_filesz = places[i].size;
		write_file(kernel_path, elf, sizeof(elf));
		expect_load_error(EINVAL, "plain ELF");
	}
	for (int word = 0; word < 2; word++) { /* huge sizes of name and content */
		make_pvh();
		put32(elf + 0x800 + 4 * word, 0xfffffff0);
		write_file(kernel_path, elf, sizeof(elf));
		expect_load_error(EINVAL, "plain ELF");
	}
	make_pvh();
	make_multiboot(elf + 0x400, 0);
	write_file(kernel_path, elf, sizeof(elf));
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	cr_expect_eq(cpu.eip, 0x200004);
}

/* Whatever headers and notes hold, the loader returns, and an error has a text. */
Test(loader_elf, damaged_pvh_kernels_are_survived)
{
	unsigned seed = 1;

	for (int round = 0; round < 300; round++) {
		make_pvh();
		for (int i = 0; i < 3; i++) {
			const int at = rand_r(&seed) % (32 + 64);

			elf[at < 32 ? 84 + at : 0x800 + at - 32] = rand_r(&seed);
		}
		write_file(kernel_path, elf, sizeof(elf));
		load_error.text[0] = '\0';
		if (loader_load(&boot))
			cr_expect_neq(load_error.text[0], '\0');
	}
}

/* A segment of bss only is cleared, and its offset in the file means nothing. */
Test(loader_elf, bss_beyond_the_file)
{
	static const uint32_t offsets[] = { 0, 0x1010, 0x1011, 0x3000, 0xfffffff0 };

	for (size_t i = 0; i < RF_ARRAY_SIZE(offsets); i++) {
		make_elf();
		((Elf32_Ehdr *)elf)->e_phnum = 2;
		elf_phdr()[1] = (Elf32_Phdr){ .p_type = PT_LOAD, .p_offset = offsets[i],
			.p_vaddr = 0xc0300000, .p_paddr = 0x300000, .p_memsz = 0x1000 };
		write_file(kernel_path, elf, sizeof(elf));
		memset(ram.flat + 0x300000, 0xff, 0x1001);
		cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
		for (int at = 0; at < 0x1000; at++)
			cr_assert_eq(ram.flat[0x300000 + at], 0);
		cr_expect_eq(ram.flat[0x301000], 0xff);
		elf_phdr()[1].p_filesz = 1;
		elf_phdr()[1].p_offset = offsets[i] < 0x1010 ? 0x1010 : offsets[i];
		write_file(kernel_path, elf, sizeof(elf));
		expect_load_error(ENOEXEC, "cut short");
	}
}

Test(loader_elf, multiboot_elf_with_modules)
{
	char modules[128];
	uint32_t info, mods;

	make_elf();
	make_multiboot(elf + 0x400, 3);
	write_file(kernel_path, elf, sizeof(elf));
	write_file(initrd_path, "module!", 7);
	snprintf(modules, sizeof(modules), "%s one two,%s", initrd_path, initrd_path);
	boot.initrd = modules;
	boot.append = "hello";
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	expect_flat_start(0x200004, 0x08);
	cr_expect_eq(cpu.regs[X86_EAX], 0x2badb002);
	info = cpu.regs[X86_EBX];
	cr_expect_eq(ram32(info) & 0x4d, 0x4d, "memory, command line, modules, map");
	cr_expect_eq(ram32(info + 4), 639);
	cr_expect_eq(ram32(info + 8), (RAM_SIZE - ACPI_SIZE - 0x100000) >> 10);
	cr_expect_str_eq(strchr((char *)ram.flat + ram32(info + 16), ' '), " hello");
	cr_assert_eq(ram32(info + 20), 2);
	mods = ram32(info + 24);
	for (int i = 0; i < 2; i++, mods += 16) {
		cr_expect_eq(ram32(mods) % 4096, 0);
		cr_expect_geq(ram32(mods), 0x202010, "a module lies over the kernel");
		cr_expect_eq(ram32(mods + 4) - ram32(mods), 7);
		cr_expect_eq(memcmp(ram.flat + ram32(mods), "module!", 7), 0);
	}
	cr_expect_str_eq((char *)ram.flat + ram32(ram32(info + 24) + 8) + strlen(initrd_path),
			 " one two");
	cr_expect_eq(ram32(info + 44), map.count * 24, "length of the map");
	cr_expect_eq(ram32(ram32(info + 48)), 20);
}

/* Segments may be listed in any order: a module lies after the one that ends last. */
Test(loader_elf, segments_in_descending_order)
{
	Elf32_Phdr *ph = elf_phdr();

	for (unsigned entry = 0; entry < 3; entry++) {
		make_elf();
		make_multiboot(elf + 0x400, 3);
		((Elf32_Ehdr *)elf)->e_phnum = 3;
		for (unsigned i = 1; i < 3; i++) {
			ph[i] = ph[0];
			ph[i].p_vaddr -= i * 0x10000;
			ph[i].p_paddr -= i * 0x10000;
			ph[i].p_offset += 4 * i;
			ph[i].p_filesz = ph[i].p_memsz = 4;
		}
		((Elf32_Ehdr *)elf)->e_entry = ph[entry].p_vaddr;
		write_file(kernel_path, elf, sizeof(elf));
		write_file(initrd_path, "module!", 7);
		boot.initrd = initrd_path;
		cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
		expect_flat_start(0x200000 - entry * 0x10000, 0x08);
		cr_expect_geq(ram32(ram32(cpu.regs[X86_EBX] + 24)), 0x202010);
		cr_expect_eq(memcmp(ram.flat + 0x200000, "0123456789abcdef", 16), 0);
		cr_expect_eq(memcmp(ram.flat + 0x1f0000, "4567", 5), 0);
		cr_expect_eq(memcmp(ram.flat + 0x1e0000, "89ab", 5), 0);
	}
}

Test(loader_elf, multiboot_address_fields)
{
	static uint8_t image[0x1000];

	make_multiboot(image + 0x100, 0x10000);
	put32(image + 0x10c, 0x300100); /* header_addr */
	put32(image + 0x110, 0x300080); /* load_addr: the file's first 0x80 bytes are left out */
	put32(image + 0x114, 0x300a80);
	put32(image + 0x118, 0x301000);
	put32(image + 0x11c, 0x300200);
	image[0x80] = 0x42;
	image[0x80 + 0xa00] = 0x43; /* after load_end_addr: bss there */
	write_file(kernel_path, image, sizeof(image));
	cr_assert_eq(loader_load(&boot), 0, "%s", load_error.text);
	expect_flat_start(0x300200, 0x08);
	cr_expect_eq(ram.flat[0x300080], 0x42);
	cr_expect_eq(ram.flat[0x300a80], 0);
	put32(image + 0x114, 0x302000);
	write_file(kernel_path, image, sizeof(image));
	expect_load_error(ENOEXEC, "cut short");
	put32(image + 0x110, 0x300101);
	write_file(kernel_path, image, sizeof(image));
	cr_expect_lt(loader_load(&boot), 0);
}

Test(loader_elf, multiboot_refusals)
{
	make_elf();
	make_multiboot(elf + 0x400, 0x8);
	write_file(kernel_path, elf, sizeof(elf));
	expect_load_error(ENOEXEC, "0x8");
	memset(elf, 0, 64);
	make_multiboot(elf + 0x400, 0);
	write_file(kernel_path, elf, sizeof(elf));
	expect_load_error(ENOEXEC, "neither");
}

/* A video mode is refused when it is required, whatever mode it is, and else passed over. */
Test(loader_elf, multiboot_video)
{
	for (uint32_t mode = 0; mode < 2; mode++) {
		make_elf();
		make_multiboot(elf + 0x400, 0x7);
		put32(elf + 0x420, mode);
		write_file(kernel_path, elf, sizeof(elf));
		expect_load_error(ENOEXEC, "serial port");
		make_multiboot(elf + 0x400, 0xc);
		write_file(kernel_path, elf, sizeof(elf));
		expect_load_error(ENOEXEC, "0xc");
		make_multiboot(elf + 0x400, 0x3);
		write_file(kernel_path, elf, sizeof(elf));
		cr_expect_eq(loader_load(&boot), 0, "%s", load_error.text);
	}
}

static void make_multiboot2(uint8_t *at)
{
	put32(at, 0xe85250d6);
	put32(at + 4, 0);
	put32(at + 8, 24);
	put32(at + 12, -(0xe85250d6 + 24));
}

Test(loader_elf, multiboot2)
{
	static uint8_t far[0x8010];

	make_elf();
	make_multiboot2(elf + 0x408);
	write_file(kernel_path, elf, sizeof(elf));
	expect_load_error(ENOEXEC, "multiboot 1");
	make_multiboot(elf + 0x500, 0); /* has both */
	write_file(kernel_path, elf, sizeof(elf));
	cr_expect_eq(loader_load(&boot), 0, "%s", load_error.text);
	cr_expect_eq(cpu.regs[X86_EAX], 0x2badb002);
	make_elf();
	make_multiboot2(elf + 0x404); /* not where one may lie */
	write_file(kernel_path, elf, sizeof(elf));
	cr_expect_eq(loader_load(&boot), 0, "%s", load_error.text);
	make_multiboot2(far + 0x7ff0); /* the last place, and no ELF */
	write_file(kernel_path, far, sizeof(far));
	expect_load_error(ENOEXEC, "multiboot 1");
	memset(far, 0, sizeof(far));
	make_multiboot2(far + 0x7ff8);
	write_file(kernel_path, far, sizeof(far));
	expect_load_error(ENOEXEC, "not a kernel");
}
