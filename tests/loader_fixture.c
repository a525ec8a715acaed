/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "loader_fixture.h"

struct guest_ram ram;
struct cpu cpu;
struct memory_map map;
struct error load_error;
struct boot_request boot;
char kernel_path[] = "/tmp/rf-test-kernel-XXXXXX",
     initrd_path[] = "/tmp/rf-test-initrd-XXXXXX";

void loader_setup(void)
{
	cr_assert_eq(guest_ram_init(&ram, RAM_SIZE), 0);
	memory_map_build(&map, RAM_SIZE, GPA(RAM_SIZE - ACPI_SIZE), ACPI_SIZE);
	close(mkstemp(kernel_path));
	close(mkstemp(initrd_path));
	boot = (struct boot_request){
		.ram = &ram, .cpu = &cpu, .map = &map, .kernel = kernel_path, .error = &load_error
	};
}

void loader_teardown(void)
{
	unlink(kernel_path);
	unlink(initrd_path);
	guest_ram_destroy(&ram);
}

void write_file(const char *path, const void *data, size_t size)
{
	FILE *f = fopen(path, "w");

	cr_assert_eq(fwrite(data, 1, size, f), size);
	fclose(f);
}

uint32_t ram32(uint32_t address)
{
	uint32_t v;

	memcpy(&v, ram.flat + address, 4);
	return v;
}

void put16(uint8_t *p, uint16_t v) { memcpy(p, &v, 2); }
void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }

uint8_t elf[0x1010];

void make_elf(void)
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

Elf32_Phdr *elf_phdr(void)
{
	return (Elf32_Phdr *)(elf + sizeof(Elf32_Ehdr));
}

void make_multiboot(uint8_t *at, uint32_t flags)
{
	put32(at, 0x1badb002);
	put32(at + 4, flags);
	put32(at + 8, -(0x1badb002 + flags));
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

void expect_flat_start(uint32_t eip, uint16_t code)
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
