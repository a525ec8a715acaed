/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IOPL and the I/O permission bitmap with its edges, CLI and STI by IOPL, in protected and in
 * virtual-8086 mode (SDM vol. 1, chapter 19).
 */
#include "guest.h"
#include "groups.h"

/* Port 80h and its neighbours take anything; 0510h up is nobody's here. */
SNIPPET(io_in8, "inb %dx, %al");
SNIPPET(io_in16, "inw %dx, %ax");
SNIPPET(io_in32, "inl %dx, %eax");
SNIPPET(io_out8, "outb %al, %dx");
SNIPPET(io_out32, "outl %eax, %dx");
SNIPPET(io_ins, "movl $user_data, %edi\n io_ins_at: insb");
SNIPPET(io_outs, "movl $user_data, %esi\n io_outs_at: outsl");
SNIPPET(io_rep, "movl $user_data, %edi; movl $3, %ecx\n io_rep_at: rep insw");
SNIPPET(io_cli, "cli; pushfl; popl %eax");
SNIPPET(io_sti, "sti; pushfl; popl %eax");
extern char io_ins_at[], io_outs_at[], io_rep_at[];

static const struct { const char *name; const void *code, *at; unsigned size; } ways[] = {
	{ "in8", io_in8, io_in8, 1 }, { "in16", io_in16, io_in16, 2 },
	{ "in32", io_in32, io_in32, 4 }, { "out8", io_out8, io_out8, 1 },
	{ "out32", io_out32, io_out32, 4 }, { "ins", io_ins, io_ins_at, 1 },
	{ "outs", io_outs, io_outs_at, 4 }, { "rep", io_rep, io_rep_at, 2 },
};

static void one_port(unsigned way, unsigned ring, unsigned iopl, uint16_t port, bool allowed,
		     const char *what)
{
	struct regs regs = start_at(ways[way].code, ring);

	regs.edx = port;
	regs.eflags |= IOPL(iopl);
	if (allowed)
		check_done(run(&regs), "%s.%s.%x.iopl%u.ring%u", what, ways[way].name, port, iopl,
			   ring);
	else
		check_trap(run(&regs), GP, 0, ways[way].at, "%s.%s.%x.iopl%u.ring%u", what,
			   ways[way].name, port, iopl, ring);
}

static void by_iopl(unsigned ring)
{
	for (unsigned iopl = 0; iopl < 4; iopl++) {
		struct regs regs = start_at(io_cli, ring);
		const struct trap *trap;

		for (unsigned way = 0; way < COUNT(ways); way++)
			one_port(way, ring, iopl, 0x80, ring <= iopl, "iopl");
		regs.eflags |= IOPL(iopl) | FLAG_IF;
		trap = run(&regs);
		if (ring <= iopl)
			check(trap->regs.eax & FLAG_IF, 0, "cli.iopl%u.ring%u", iopl, ring);
		else
			check_trap(trap, GP, 0, io_cli, "cli.iopl%u.ring%u", iopl, ring);
		regs = start_at(io_sti, ring);
		regs.eflags |= IOPL(iopl);
		trap = run(&regs);
		if (ring <= iopl)
			check(trap->regs.eax & FLAG_IF, FLAG_IF, "sti.iopl%u.ring%u", iopl, ring);
		else
			check_trap(trap, GP, 0, io_sti, "sti.iopl%u.ring%u", iopl, ring);
	}
}

static void set_map(uint16_t offset, uint32_t limit)
{
	main_tss.io_map = offset;
	gdt_set(MAIN_TSS, segment(ADDR(&main_tss), limit, ATTR_TSS32));
	load_tr(MAIN_TSS);
}

static void allow(uint16_t port, bool allowed)
{
	if (allowed)
		main_tss.io_bits[port / 8] &= ~(1u << (port & 7));
	else
		main_tss.io_bits[port / 8] |= 1u << (port & 7);
}

/* The bits of every byte of the access count, over byte borders too. */
static void by_bitmap(unsigned ring)
{
	__builtin_memset(main_tss.io_bits, 0xff, sizeof(main_tss.io_bits));
	set_map(offsetof(struct tss, io_bits), sizeof(main_tss) - 1);
	for (uint16_t port = 0x86; port < 0x8c; port++)
		allow(port, true);
	for (unsigned way = 0; way < COUNT(ways); way++)
		for (uint16_t port = 0x83; port < 0x8e; port++)
			one_port(way, ring, 0, port, port >= 0x86 && port + ways[way].size <= 0x8c,
				 "map");
	/* One bit is enough to forbid a doubleword. */
	for (unsigned bit = 0; bit < 4; bit++) {
		allow(0x88 + bit, false);
		one_port(2, ring, 0, 0x88, false, "one");
		one_port(0, ring, 0, 0x88 + bit, false, "one");
		allow(0x88 + bit, true);
		one_port(2, ring, 0, 0x88, true, "none");
	}
}

/*
 * The limit of the TSS: two bytes are read for each access, so the last byte of a map is beyond the
 * last port's.
 */
static void edges(unsigned ring)
{
	const uint32_t start = offsetof(struct tss, io_bits);

	__builtin_memset(main_tss.io_bits, 0, sizeof(main_tss.io_bits));
	set_map(start, start + 0x80 / 8 + 1);
	one_port(0, ring, 0, 0x80, true, "limit.whole");
	one_port(0, ring, 0, 0x87, true, "limit.whole");
	one_port(0, ring, 0, 0x88, false, "limit.next");
	one_port(2, ring, 0, 0x84, true, "limit.whole");
	one_port(2, ring, 0, 0x85, true, "limit.whole");
	set_map(start, start + 0x80 / 8);
	one_port(0, ring, 0, 0x80, false, "limit.short");
	one_port(0, ring, 0, 0x7f, true, "limit.before");
	/* The very last port. */
	set_map(start, start + 8192);
	one_port(0, ring, 0, 0xffff, true, "last");
	set_map(start, start + 8191);
	one_port(0, ring, 0, 0xffff, false, "last.short");
	/* No map at all. */
	set_map(0xffff, sizeof(main_tss) - 1);
	one_port(0, ring, 0, 0x80, false, "nomap");
	set_map(sizeof(main_tss), sizeof(main_tss) - 1);
	one_port(0, ring, 0, 0, false, "nomap");
	set_map(start, sizeof(main_tss) - 1);
}

/* In virtual-8086 mode IOPL does not matter for ports, only the map does. */
static void in_v86(void)
{
	struct regs regs = {
		.eip = 0x100, .cs = 0x2000, .ss = 0x3000, .esp = 0x800, .edx = 0x80,
	};
	uint8_t *code = (uint8_t *)0x20100;

	if (paging != PAGING_OFF) {
		map(0x20000, 0x20000 | PTE_ALL);
		map(0x30000, 0x30000 | PTE_ALL);
	}
	code[0] = 0xec; /* in al, dx */
	code[1] = 0xcc;
	for (unsigned iopl = 0; iopl < 4; iopl += 3) {
		regs.eflags = FLAG_VM | FLAG_1 | IOPL(iopl);
		allow(0x80, true);
		check_trap(run(&regs), BP, NO_ERROR, (void *)0x102, "v86.allowed.iopl%u", iopl);
		allow(0x80, false);
		check_trap(run(&regs), GP, 0, (void *)0x100, "v86.forbidden.iopl%u", iopl);
		allow(0x80, true);
	}
}

/* The map is read with the TSS's pages as they are: a fault there is the instruction's. */
static void map_not_there(void)
{
	uint32_t page = (ADDR(main_tss.io_bits) + 0x1000) & ~0xfffu;
	uint16_t port = (page - ADDR(main_tss.io_bits)) * 8 + 8;
	struct regs regs = start_at(io_in8, 3);
	uint64_t *entry = entry_at(read_cr3(), page), was = entry_read(entry);
	const struct trap *trap;

	map(page, 0);
	regs.edx = port;
	trap = run(&regs);
	/* the processor's own access, so not the user's */
	check_trap(trap, PF, 0, io_in8, "map.absent");
	check(trap->cr2, page + 1, "map.absent.cr2");
	map(page, was);
	check_done(run(&regs), "map.present");
}

void group_io(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		machine_reset();
		by_iopl(ring);
		if (!ring)
			continue;
		by_bitmap(ring);
		edges(ring);
	}
	in_v86();
	if (paging != PAGING_OFF)
		map_not_there();
}
