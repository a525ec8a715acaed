/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot images made here: where the loaders put them, what the guest starts with, and that broken
 * ones are refused.
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "monitor/boot/loader.h"

#define RAM_SIZE (64u << 20)
#define ACPI_SIZE 0x4000u

static struct guest_ram ram;
static struct cpu cpu;
static struct memory_map map;
static struct error error;
static struct boot_request boot;
static char kernel_path[] = "/tmp/rf-test-kernel-XXXXXX",
	    initrd_path[] = "/tmp/rf-test-initrd-XXXXXX";

static void setup(void)
{
	cr_assert_eq(guest_ram_init(&ram, RAM_SIZE), 0);
	memory_map_build(&map, RAM_SIZE, GPA(RAM_SIZE - ACPI_SIZE), ACPI_SIZE);
	close(mkstemp(kernel_path));
	close(mkstemp(initrd_path));
	boot = (struct boot_request){
		.ram = &ram, .cpu = &cpu, .map = &map, .kernel = kernel_path, .error = &error
	};
}

static void teardown(void)
{
	unlink(kernel_path);
	unlink(initrd_path);
	guest_ram_destroy(&ram);
}

TestSuite(loader, .init = setup, .fini = teardown);

static void write_file(const char *path, const void *data, size_t size)
{
	FILE *f = fopen(path, "w");

	cr_assert_eq(fwrite(data, 1, size, f), size);
	fclose(f);
}

static uint32_t ram32(uint64_t gpa)
{
	uint32_t v;

	memcpy(&v, ram.flat + gpa, 4);
	return v;
}

static void put16(uint8_t *p, uint16_t v) { memcpy(p, &v, 2); }
static void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }

#define expect_load_error(err, words) \
	do { \
		cr_expect_eq(loader_load(&boot), -(err)); \
		cr_expect_not_null(strstr(error.text, words), "'%s' does not say '%s'", \
				   error.text, words); \
		cr_expect_null(strchr(error.text, '\n')); \
	} while (0)

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

/* The type of memory at an address in the map that the guest is told. */
static uint32_t memory_type(uint32_t address)
{
	for (unsigned i = 0; i < map.count; i++) {
		if (address >= map.entry[i].base &&
		    address - map.entry[i].base < map.entry[i].size)
			return map.entry[i].type;
	}
	return 0;
}

static void expect_flat_start(uint32_t eip, uint16_t code)
{
	const uint32_t esp = cpu.regs[X86_ESP];

	cr_expect_eq(cpu.eip, eip, "eip is %x", cpu.eip);
	cr_expect_eq(cpu.cr0 & (CR0_PE | CR0_PG), CR0_PE);
	cr_expect_eq(cpu.eflags & (X86_IF | X86_DF), 0);
	cr_expect_eq(cpu.seg[X86_CS].selector, code);
	cr_expect_eq(cpu.seg[X86_CS].attr & (SEG_CODE | SEG_DB | SEG_P | SEG_S),
		     SEG_CODE | SEG_DB | SEG_P | SEG_S);
	for (int i = 0; i < X86_NSEG; i++) {
		cr_expect_eq(cpu.seg[i].base, 0);
		cr_expect_eq(cpu.seg[i].limit, 0xffffffff);
		/* The cached attributes are those of the descriptor in the GDT. */
		cr_expect_eq(cpu.seg[i].attr & 0xf0ff,
			     ram32(cpu.gdtr.base + cpu.seg[i].selector + 4) >> 8 & 0xf0ff);
	}
	for (int i = X86_ES; i < X86_NSEG; i++)
		cr_expect_eq(cpu.seg[i].selector, i == X86_CS ? code : code + 8);
	cr_expect_eq(memory_type(cpu.gdtr.base), E820_RESERVED, "the GDT is where kernels go");
	cr_expect_lt(cpu.gdtr.base, 0x100000);
	cr_expect_eq(memory_type(esp - 4), E820_RAM);
	cr_expect_eq(memory_type(esp - 16384), E820_RAM);
	cr_expect(esp < 0x100000 && esp % 16 == 0, "esp is %x", esp);
}

Test(loader, linux_state_and_zero_page)
{
	uint32_t zp;

	make_bzimage();
	write_bzimage();
	boot.append = "console=ttyS0 quiet";
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
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
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
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
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
	cr_expect_eq(ram32(cpu.regs[X86_ESI] + 0x218), 0x1fff000);
}

Test(loader, linux_old_protocol_command_line)
{
	uint32_t zp;

	make_bzimage();
	put16(bz + 0x206, 0x0201);
	write_bzimage();
	boot.append = "root=/dev/hda1";
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
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
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
	expect_flat_start(0x10000, 0x10);
	cr_expect_eq(memcmp(ram.flat + 0x10000, bz + BZ_SETUP, BZ_CODE), 0);
}

/*
 * An ELF with one segment: file offset 0x1000, virtual 0xc0200000, physical 0x200000, 16 bytes and
 * 0x2000 of bss.
 */
static uint8_t elf[0x1010];

static void make_elf(void)
{
	Elf32_Ehdr *eh = (Elf32_Ehdr *)elf;
	Elf32_Phdr *ph = (Elf32_Phdr *)(elf + sizeof(*eh));

	memset(elf, 0, sizeof(elf));
	memcpy(eh->e_ident, ELFMAG, SELFMAG);
	eh->e_ident[EI_CLASS] = ELFCLASS32;
	eh->e_ident[EI_DATA] = ELFDATA2LSB;
	eh->e_ident[EI_VERSION] = eh->e_version = EV_CURRENT;
	eh->e_type = ET_EXEC;
	eh->e_machine = EM_386;
	eh->e_entry = 0xc0200004;
	eh->e_phoff = sizeof(*eh);
	eh->e_ehsize = sizeof(*eh);
	eh->e_phentsize = sizeof(*ph);
	eh->e_phnum = 1;
	*ph = (Elf32_Phdr){ .p_type = PT_LOAD, .p_offset = 0x1000, .p_vaddr = 0xc0200000,
		.p_paddr = 0x200000, .p_filesz = 16, .p_memsz = 0x2010,
			    .p_flags = PF_R | PF_X };
	memcpy(elf + 0x1000, "0123456789abcdef", 16);
}

static Elf32_Phdr *elf_phdr(void)
{
	return (Elf32_Phdr *)(elf + sizeof(Elf32_Ehdr));
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
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
	expect_bios_area();
	memset(ram.flat, 0xee, 0x1000);
	memset(ram.flat + 0xf0000, 0xee, 0x10000);
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
	expect_bios_area();
	make_elf();
	write_file(kernel_path, elf, sizeof(elf));
	memset(ram.flat, 0xee, 0x1000);
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
	expect_bios_area();
	boot.second_of_day = 86399;
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
	cr_expect(ram32(0x46c) < 0x1800b0 && ram32(0x46c) > 0x1800b0 - 20);
	elf_phdr()->p_paddr = 0x400;
	write_file(kernel_path, elf, sizeof(elf));
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
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
	cr_expect_eq(loader_load(&boot), 0, "%s", error.text);
	put16(bz + 0x20e, 0x100);
	write_bzimage();
	cr_expect_eq(loader_load(&boot), 0, "%s", error.text);
	bz[0x211] = 0; /* a zImage's 32-bit code is where it always was */
	put32(bz + 0x214, 0);
	write_bzimage();
	cr_expect_eq(loader_load(&boot), 0, "%s", error.text);
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

Test(loader, not_kernels)
{
	static const struct { const char *data; size_t size; const char *text; } files[] = {
		{ "", 0, "empty" }, { "x", 1, "not a kernel" }, { "\x1f\x8b\x08", 3, "gzip" },
		{ "\x7f" "ELF\x02\x01", 6, "64-bit" }, { "070701", 6, "-initrd" },
	};

	for (size_t i = 0; i < RF_ARRAY_SIZE(files); i++) {
		write_file(kernel_path, files[i].data, files[i].size);
		cr_expect_lt(loader_load(&boot), 0);
		cr_expect_not_null(strstr(error.text, files[i].text), "'%s'", error.text);
	}
	boot.kernel = "/tmp";
	expect_load_error(EISDIR, "directory");
	boot.kernel = "/dev/null";
	expect_load_error(EINVAL, "regular file");
}

static void make_multiboot(uint8_t *at, uint32_t flags)
{
	put32(at, 0x1badb002);
	put32(at + 4, flags);
	put32(at + 8, -(0x1badb002 + flags));
}

Test(loader, elf_segments_bss_and_entry)
{
	make_elf();
	write_file(kernel_path, elf, sizeof(elf));
	memset(ram.flat + 0x200000, 0xff, 0x3000);
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
	expect_flat_start(0x200004, 0x08);
	cr_expect_eq(memcmp(ram.flat + 0x200000, "0123456789abcdef", 16), 0);
	for (int i = 0x10; i < 0x2010; i++)
		cr_assert_eq(ram.flat[0x200000 + i], 0);
	cr_expect_eq(ram.flat[0x202010], 0xff);
}

/* The loader's own tables do not lie where a kernel may. */
Test(loader, elf_in_low_memory_stays_as_it_is)
{
	make_elf();
	for (uint32_t at = 0x1000; at < 0x9f000; at += 0x1000) {
		elf_phdr()->p_paddr = at;
		elf_phdr()->p_filesz = elf_phdr()->p_memsz = 16;
		write_file(kernel_path, elf, sizeof(elf));
		cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
		cr_expect_eq(memcmp(ram.flat + at, "0123456789abcdef", 16), 0, "at %x", at);
	}
}

Test(loader, elf_refusals)
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
Test(loader, elf_program_header_tables)
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

Test(loader, pvh_start_info)
{
	uint32_t info, at;

	make_pvh();
	write_file(kernel_path, elf, sizeof(elf));
	write_file(initrd_path, "module!", 7);
	boot.initrd = initrd_path;
	boot.append = "console=ttyS0";
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
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
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
	cr_expect_eq(ram32(cpu.regs[X86_EBX] + 12), 0, "modules");
	boot.initrd = initrd_path;
	cr_assert_eq(truncate(initrd_path, RAM_SIZE - 0x200000), 0);
	expect_load_error(ENOSPC, "-m");
}

/* Notes that are cut off or of another kind make no PVH kernel; multiboot comes first. */
Test(loader, pvh_notes)
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
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
	cr_expect_eq(cpu.eip, 0x200004);
}

/* A segment of bss only is cleared, and its offset in the file means nothing. */
Test(loader, elf_bss_beyond_the_file)
{
	static const uint32_t offsets[] = { 0, 0x1010, 0x1011, 0x3000, 0xfffffff0 };

	for (size_t i = 0; i < RF_ARRAY_SIZE(offsets); i++) {
		make_elf();
		((Elf32_Ehdr *)elf)->e_phnum = 2;
		elf_phdr()[1] = (Elf32_Phdr){ .p_type = PT_LOAD, .p_offset = offsets[i],
			.p_vaddr = 0xc0300000, .p_paddr = 0x300000, .p_memsz = 0x1000 };
		write_file(kernel_path, elf, sizeof(elf));
		memset(ram.flat + 0x300000, 0xff, 0x1001);
		cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
		for (int at = 0; at < 0x1000; at++)
			cr_assert_eq(ram.flat[0x300000 + at], 0);
		cr_expect_eq(ram.flat[0x301000], 0xff);
		elf_phdr()[1].p_filesz = 1;
		elf_phdr()[1].p_offset = offsets[i] < 0x1010 ? 0x1010 : offsets[i];
		write_file(kernel_path, elf, sizeof(elf));
		expect_load_error(ENOEXEC, "cut short");
	}
}

Test(loader, multiboot_elf_with_modules)
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
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
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

Test(loader, multiboot_address_fields)
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
	cr_assert_eq(loader_load(&boot), 0, "%s", error.text);
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

Test(loader, multiboot_refusals)
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
Test(loader, multiboot_video)
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
		cr_expect_eq(loader_load(&boot), 0, "%s", error.text);
	}
}

static void make_multiboot2(uint8_t *at)
{
	put32(at, 0xe85250d6);
	put32(at + 4, 0);
	put32(at + 8, 24);
	put32(at + 12, -(0xe85250d6 + 24));
}

Test(loader, multiboot2)
{
	static uint8_t far[0x8010];

	make_elf();
	make_multiboot2(elf + 0x408);
	write_file(kernel_path, elf, sizeof(elf));
	expect_load_error(ENOEXEC, "multiboot 1");
	make_multiboot(elf + 0x500, 0); /* has both */
	write_file(kernel_path, elf, sizeof(elf));
	cr_expect_eq(loader_load(&boot), 0, "%s", error.text);
	cr_expect_eq(cpu.regs[X86_EAX], 0x2badb002);
	make_elf();
	make_multiboot2(elf + 0x404); /* not where one may lie */
	write_file(kernel_path, elf, sizeof(elf));
	cr_expect_eq(loader_load(&boot), 0, "%s", error.text);
	make_multiboot2(far + 0x7ff0); /* the last place, and no ELF */
	write_file(kernel_path, far, sizeof(far));
	expect_load_error(ENOEXEC, "multiboot 1");
	memset(far, 0, sizeof(far));
	make_multiboot2(far + 0x7ff8);
	write_file(kernel_path, far, sizeof(far));
	expect_load_error(ENOEXEC, "not a kernel");
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
		error.text[0] = '\0';
		if (loader_load(&boot))
			cr_expect_neq(error.text[0], '\0');
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
