/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A multiboot kernel that reads the first IDE disk from its beginning to its end, READ DMA EXT of
 * 1 MiB after READ DMA EXT of 1 MiB by the PIIX3's bus master, and halts until each one's
 * interrupt. On the first serial port "B" says that it begins, "E" that it is done, "F" that
 * something failed. The machine ends through isa-debug-exit.
 */
#include <stdint.h>

#define PASSES  8
#define CHUNK   0x100000u
#define SECTORS (CHUNK / 512)
#define REGION  0x10000u
#define BUFFER  0x1000000u
#define BUS_MASTER 0xc000u
#define IDE     0x1f0u
#define IDE_PCI 0x80000900u /* bus 0, device 1, function 1 */

__asm__(".section .multiboot, \"a\"\n\t"
	".long 0x1badb002, 0, -0x1badb002\n\t"
	".text\n\t"
	".globl _start\n"
	"_start:\tmovl $stack_end, %esp\n\t"
	"call kernel\n"
	".globl interrupt\n"
	"interrupt:\tpushal\n\t"
	"call on_interrupt\n\t"
	"popal\n\t"
	"iret\n\t"
	".lcomm stack, 16384\n\t"
	".set stack_end, stack + 16384");

void interrupt(void);
void on_interrupt(void);
void kernel(void);

struct region {
	uint32_t address, flags;
};

static struct region regions[CHUNK / REGION] __attribute__((aligned(4096)));
static uint64_t gdt[3] = { 0, 0xcf9b000000ffffull, 0xcf93000000ffffull };
static uint64_t idt[48];
static volatile int done, failed;

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static void pci_write(unsigned reg, uint32_t value)
{
	out32(0xcf8, IDE_PCI | reg);
	out32(0xcfc, value);
}

static void say(char c)
{
	while (!(in8(0x3fd) & 0x20))
		;
	out8(0x3f8, (uint8_t)c);
}

/* Reading the status lowers the drive's interrupt. */
void on_interrupt(void)
{
	const uint8_t status = in8(IDE + 7), master = in8(BUS_MASTER + 2);

	out8(BUS_MASTER, 0);
	out8(BUS_MASTER + 2, 6);
	failed |= (status & 0x89) || (master & 2);
	done = 1;
	out8(0xa0, 0x20);
	out8(0x20, 0x20);
}

static void load_tables(void)
{
	struct { uint16_t limit; void *base; } __attribute__((packed))
		g = { sizeof(gdt) - 1, gdt }, i = { sizeof(idt) - 1, idt };
	const uint32_t at = (uint32_t)interrupt;

	idt[0x2e] = (uint64_t)(at >> 16) << 48 | 0x8e00ull << 32 | 8u << 16 | (at & 0xffff);
	__asm__ volatile("lgdt %0\n\tlidt %1\n\tljmp $8, $1f\n"
			 "1:\tmovw %w2, %%ds\n\tmovw %w2, %%es\n\tmovw %w2, %%ss"
			 : : "m"(g), "m"(i), "r"(16) : "memory");
}

/* The interrupt controllers: vectors from 20h on, IRQ 14 alone. */
static void set_up(void)
{
	static const uint8_t words[][2] = { { 0x11, 0x11 }, { 0x20, 0x28 }, { 4, 2 }, { 1, 1 } };

	load_tables();
	for (int i = 0; i < 4; i++) {
		out8(i ? 0x21 : 0x20, words[i][0]);
		out8(i ? 0xa1 : 0xa0, words[i][1]);
	}
	out8(0x21, 0xfb);
	out8(0xa1, 0xbf);
	pci_write(0x40, 0x80008000);
	pci_write(0x20, BUS_MASTER | 1);
	pci_write(0x04, 5);
	for (unsigned i = 0; i < CHUNK / REGION; i++)
		regions[i] = (struct region){ BUFFER + i * REGION,
					      i == CHUNK / REGION - 1 ? 0x80000000u : 0 };
	out8(0x3f6, 0);
	out8(IDE + 6, 0xe0);
}

/* READ NATIVE MAX ADDRESS EXT would tell too; IDENTIFY DEVICE is enough: words 100 and 101. */
static uint32_t disk_sectors(void)
{
	uint32_t sectors = 0;

	out8(0x3f6, 2);
	out8(IDE + 7, 0xec);
	while ((in8(IDE + 7) & 0x88) != 0x08)
		;
	for (unsigned i = 0; i < 256; i++) {
		uint16_t word;

		__asm__ volatile("inw %1, %0" : "=a"(word) : "Nd"((uint16_t)IDE));
		if (i == 100 || i == 101)
			sectors |= (uint32_t)word << (i == 101 ? 16 : 0);
	}
	out8(0x3f6, 0);
	return sectors;
}

static void read_chunk(uint32_t sector)
{
	const uint8_t registers[][2] = {
		{ 2, SECTORS >> 8 }, { 3, (uint8_t)(sector >> 24) }, { 4, 0 }, { 5, 0 },
		{ 2, SECTORS & 0xff }, { 3, (uint8_t)sector }, { 4, (uint8_t)(sector >> 8) },
		{ 5, (uint8_t)(sector >> 16) }, { 7, 0x25 },
	};

	done = 0;
	out32(BUS_MASTER + 4, (uint32_t)regions);
	out8(BUS_MASTER, 8);
	for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		out8((uint16_t)(IDE + registers[i][0]), registers[i][1]);
	out8(BUS_MASTER, 9);
	for (;;) {
		__asm__ volatile("cli");
		if (done)
			break;
		__asm__ volatile("sti\n\thlt");
	}
}

void kernel(void)
{
	uint32_t sectors;

	set_up();
	sectors = disk_sectors();
	failed |= sectors < SECTORS;
	say('B');
	for (int pass = 0; pass < PASSES && !failed; pass++)
		for (uint32_t at = 0; at + SECTORS <= sectors && !failed; at += SECTORS) {
			read_chunk(at);
			/* each MiB begins with its number */
			failed |= *(volatile uint32_t *)BUFFER != at / SECTORS;
		}
	say(failed ? 'F' : 'E');
	out8(0xf4, failed ? 1 : 0);
	for (;;)
		__asm__ volatile("cli\n\thlt");
}
