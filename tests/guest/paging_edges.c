/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accesses that lie in two pages of which one faults: nothing of the instruction happens, and CR2
 * names the first byte that could not be had. Instructions that lie in two pages. The end of the
 * address space.
 */
#include "guest.h"
#include "groups.h"
#include "page_tests.h"

SNIPPET(pe_store, "movl %ecx, (%ebx)");
SNIPPET(pe_store16, "movw %cx, (%ebx)");
SNIPPET(pe_load, "movl (%ebx), %eax");
SNIPPET(pe_add, "addl %ecx, (%ebx)");
SNIPPET(pe_cmpxchg8b, "cmpxchg8b (%ebp)");
SNIPPET(pe_push, "movl %ebx, %esp\n pe_push_at: pushl %ecx");
SNIPPET(pe_pushm, "movl %ebx, %esp\n pe_pushm_at: pushl user_data");
SNIPPET(pe_call, "movl %ebx, %esp\n pe_call_at: call pe_call");
SNIPPET(pe_pop, "movl %ebx, %esp\n pe_pop_at: popl %eax");
SNIPPET(pe_popm, "popl (%ebx)");
SNIPPET(pe_ret, "movl %ebx, %esp\n pe_ret_at: ret");
SNIPPET(pe_sgdt, "sgdt (%ebx)");
SNIPPET(pe_movsd, "movl %ebx, %edi; movl $user_data, %esi\n pe_movsd_at: movsl");
SNIPPET(pe_movsd_from, "movl $user_data, %edi; movl %ebx, %esi\n pe_movsd_from_at: movsl");
SNIPPET(pe_fild, "fildll (%ebx)");
SNIPPET(pe_fistp, "fninit; fldz\n pe_fistp_at: fistpll (%ebx)");
SNIPPET(pe_btc, "btcl $31, (%ebx)");
SNIPPET(pe_shld, "shldl $4, %ecx, (%ebx)");
SNIPPET(pe_incb, "incl (%ebx)");
SNIPPET(pe_pusha, "movl %ebx, %esp\n pe_pusha_at: pushal");
SNIPPET(pe_popa, "movl %ebx, %esp\n pe_popa_at: popal");
SNIPPET(pe_jmpm, "jmp *(%ebx)");
SNIPPET(pe_lgs, "lgs (%ebx), %eax");
SNIPPET(pe_lock_add, "lock addl %ecx, (%ebx)");
SNIPPET(pe_xchg, "xchgl %ecx, (%ebx)");
SNIPPET(pe_lock_cmpxchg8b, "lock cmpxchg8b (%ebp)");
extern char pe_push_at[], pe_pushm_at[], pe_call_at[], pe_pop_at[], pe_ret_at[], pe_movsd_at[],
	pe_movsd_from_at[], pe_fistp_at[], pe_pusha_at[], pe_popa_at[];

/* The access is of size bytes at EBX, or below it if it pushes. */
struct crossing {
	const char *name;
	const void *code, *at;
	unsigned size;
	bool writes, pushes, stack;
};

static const struct crossing crossings[] = {
	{ "store", pe_store, pe_store, 4, true, false, false },
	{ "store16", pe_store16, pe_store16, 2, true, false, false },
	{ "load", pe_load, pe_load, 4, false, false, false },
	{ "add", pe_add, pe_add, 4, true, false, false },
	{ "cmpxchg8b", pe_cmpxchg8b, pe_cmpxchg8b, 8, true, false, false },
	{ "push", pe_push, pe_push_at, 4, true, true, true },
	{ "push.memory", pe_pushm, pe_pushm_at, 4, true, true, true },
	{ "call", pe_call, pe_call_at, 4, true, true, true },
	{ "pop", pe_pop, pe_pop_at, 4, false, false, true },
	{ "pop.memory", pe_popm, pe_popm, 4, true, false, false },
	{ "ret", pe_ret, pe_ret_at, 4, false, false, true },
	{ "sgdt", pe_sgdt, pe_sgdt, 6, true, false, false },
	{ "movs", pe_movsd, pe_movsd_at, 4, true, false, false },
	{ "movs.from", pe_movsd_from, pe_movsd_from_at, 4, false, false, false },
	{ "fild", pe_fild, pe_fild, 8, false, false, false },
	{ "fistp", pe_fistp, pe_fistp_at, 8, true, false, false },
	{ "btc", pe_btc, pe_btc, 4, true, false, false },
	{ "shld", pe_shld, pe_shld, 4, true, false, false },
	{ "inc", pe_incb, pe_incb, 4, true, false, false },
	{ "jmp", pe_jmpm, pe_jmpm, 4, false, false, false },
	{ "pusha", pe_pusha, pe_pusha_at, 32, true, true, true },
	{ "popa", pe_popa, pe_popa_at, 32, false, false, true },
	{ "lgs", pe_lgs, pe_lgs, 6, false, false, false },
};

/* These lock the bus. */
static const struct crossing locked[] = {
	{ "lock.add", pe_lock_add, pe_lock_add, 4, true, false, false },
	{ "xchg", pe_xchg, pe_xchg, 4, true, false, false },
	{ "lock.cmpxchg8b", pe_lock_cmpxchg8b, pe_lock_cmpxchg8b, 8, true, false, false },
};

/* SGDT stores two things, PUSHA eight: parts of them may be stored before the fault. */
static bool stores_in_one(const struct crossing *c)
{
	return c->size != 6 && c->size != 32;
}

static uint32_t low, high; /* the frames, which are not neighbours */

static void take_frames(void)
{
	high = page_alloc();
	page_alloc();
	low = page_alloc();
}

static void one_crossing(const struct crossing *c, unsigned ring, unsigned split, bool first_bad,
			 bool read_only)
{
	uint32_t seam = TEST_PAGE + 0x1000, start = seam - split;
	uint32_t error = (ring == 3 ? 4 : 0) | (c->writes ? 2 : 0) | (read_only ? 1 : 0),
		 cr2 = first_bad ? start : seam;
	struct regs regs = start_at(c->code, ring);
	const struct trap *trap;
	bool clean = true;

	if (read_only && !c->writes)
		return;
	__builtin_memset((void *)low, 0x11, 4096);
	__builtin_memset((void *)high, 0x22, 4096);
	map(TEST_PAGE, low | (!first_bad ? PTE_ALL : read_only ? PTE_P | PTE_U : 0));
	map(seam, high | (first_bad ? PTE_ALL : read_only ? PTE_P | PTE_U : 0));
	regs.ebx = c->pushes ? start + c->size : start;
	regs.ebp = start;
	regs.esi = ADDR(user_data);
	regs.edi = ADDR(user_data);
	trap = run(&regs);
	check_trap(trap, PF, error, c->at, "%s.split%u.%s.%s.ring%u", c->name, split,
		   first_bad ? "first" : "second", read_only ? "readonly" : "absent", ring);
	/*
	 * Of PUSHA and POPA each item is an access of its own, in an order that is not the
	 * memory's.
	 */
	if (c->size == 32)
		cr2 = (first_bad ? TEST_PAGE : seam) | (trap->cr2 & 0xfff);
	check(trap->cr2, cr2, "%s.split%u.%s.%s.cr2.ring%u", c->name, split,
	      first_bad ? "first" : "second", read_only ? "readonly" : "absent", ring);
	for (unsigned i = 0; i < 64 && stores_in_one(c); i++)
		clean = clean && ((uint8_t *)low)[4095 - i] == 0x11 && ((uint8_t *)high)[i] == 0x22;
	check(clean, true, "%s.split%u.%s.%s.memory.ring%u", c->name, split,
	      first_bad ? "first" : "second", read_only ? "readonly" : "absent", ring);
	if (c->size != 32) /* of which some may have been loaded */
		check(trap->regs.eax == regs.eax && trap->regs.ecx == regs.ecx &&
			      trap->regs.edx == regs.edx,
		      1, "%s.split%u.%s.%s.registers.ring%u", c->name, split,
		      first_bad ? "first" : "second", read_only ? "readonly" : "absent", ring);
	if (c->stack)
		check(trap->regs.esp, regs.ebx, "%s.split%u.%s.esp.ring%u", c->name, split,
		      first_bad ? "first" : "second", ring);
}

static void crossings_fault(unsigned ring)
{
	for (unsigned i = 0; i < COUNT(crossings); i++) {
		const struct crossing *c = &crossings[i];
		unsigned step = c->size == 32 ? 4 : 1;

		if (!ring && c->stack)
			continue; /* there would be no stack for the fault */
		for (unsigned split = step; split < c->size; split += step)
			for (unsigned k = 0; k < 4; k++)
				one_crossing(c, ring, split, k & 1, k & 2);
	}
}

/*
 * A group of its own, with few accesses and one mode: some hosts make a process wait seconds for
 * each. Only the second page is bad.
 */
void group_bus_locks(void)
{
	const unsigned ring = 3;
	uint32_t seam = TEST_PAGE + 0x1000;
	struct regs regs = start_at(pe_lock_add, ring);

	take_frames();
	for (unsigned i = 0; i < COUNT(locked); i++)
		for (unsigned read_only = 0; read_only < 2; read_only++)
			one_crossing(&locked[i], ring, locked[i].size / 2, false, read_only);
	map(TEST_PAGE, low | PTE_ALL);
	map(seam, high | PTE_ALL);
	regs.ebx = seam - 1;
	regs.ecx = 0x04030201;
	check_done(run(&regs), "lock.add.work");
	check(((uint8_t *)low)[4095], 0x12, "lock.add.low");
	check(*(uint32_t *)high, 0x22262524, "lock.add.high");
}

/* The same accesses work when both pages are there, lying in frames that are not neighbours. */
static void crossings_work(unsigned ring)
{
	uint32_t seam = TEST_PAGE + 0x1000;

	map(TEST_PAGE, low | PTE_ALL);
	map(seam, high | PTE_ALL);
	for (unsigned split = 1; split < 4; split++) {
		struct regs regs = start_at(pe_store, ring);

		regs.ebx = seam - split;
		regs.ecx = 0x44332211;
		check_done(run(&regs), "work.store%u.ring%u", split, ring);
		check(((uint8_t *)low)[4096 - split], 0x11, "work.low%u.ring%u", split, ring);
		check(((uint8_t *)high)[3 - split], 0x44, "work.high%u.ring%u", split, ring);
		regs.eip = ADDR(pe_load);
		check(run(&regs)->regs.eax, 0x44332211, "work.load%u.ring%u", split, ring);
		regs.eip = ADDR(pe_add);
		run(&regs);
		regs.eip = ADDR(pe_load);
		check(run(&regs)->regs.eax, 0x88664422, "work.add%u.ring%u", split, ring);
	}
}

/* ---- REP over a fault: the iterations before it have happened, the registers say how many ---- */

SNIPPET(pe_rep_stos, "rep stosl");
SNIPPET(pe_rep_movs, "rep movsl");
SNIPPET(pe_rep_movs_down, "std\n pe_rep_movs_down_at: rep movsb");
SNIPPET(pe_rep_cmps, "repe cmpsb");
SNIPPET(pe_rep_scas, "repne scasw");
SNIPPET(pe_rep_lods, "rep lodsb");
extern char pe_rep_movs_down_at[];

static void rep_faults(unsigned ring)
{
	uint32_t frame = page_alloc(), user = ring == 3 ? 4 : 0;
	struct regs regs = start_at(pe_rep_stos, ring);
	const struct trap *trap;

	map(TEST_PAGE, frame | PTE_ALL);
	map(TEST_PAGE + 0x1000, 0);
	map(TEST_PAGE - 0x1000, 0);
	regs.edi = TEST_PAGE + 0xff0;
	regs.ecx = 100;
	regs.eax = 0x5a5a5a5a;
	trap = run(&regs);
	check_trap(trap, PF, 2 | user, pe_rep_stos, "rep.stos.ring%u", ring);
	check(trap->regs.ecx, 96, "rep.stos.ecx.ring%u", ring);
	check(trap->regs.edi, TEST_PAGE + 0x1000, "rep.stos.edi.ring%u", ring);
	check(trap->cr2, TEST_PAGE + 0x1000, "rep.stos.cr2.ring%u", ring);
	check(*(uint32_t *)(frame + 0xffc), 0x5a5a5a5a, "rep.stos.stored.ring%u", ring);
	regs.eip = ADDR(pe_rep_movs);
	regs.esi = TEST_PAGE + 0xff6; /* the third item straddles */
	regs.edi = ADDR(user_data);
	trap = run(&regs);
	check_trap(trap, PF, user, pe_rep_movs, "rep.movs.ring%u", ring);
	check(trap->regs.ecx, 98, "rep.movs.ecx.ring%u", ring);
	check(trap->regs.esi, TEST_PAGE + 0xffe, "rep.movs.esi.ring%u", ring);
	check(trap->regs.edi, ADDR(user_data) + 8, "rep.movs.edi.ring%u", ring);
	check(trap->cr2, TEST_PAGE + 0x1000, "rep.movs.cr2.ring%u", ring);
	regs.eip = ADDR(pe_rep_movs_down);
	regs.esi = ADDR(user_data) + 100;
	regs.edi = TEST_PAGE + 5;
	trap = run(&regs);
	check_trap(trap, PF, 2 | user, pe_rep_movs_down_at, "rep.movs.down.ring%u", ring);
	check(trap->regs.ecx, 94, "rep.movs.down.ecx.ring%u", ring);
	check(trap->regs.edi, TEST_PAGE - 1, "rep.movs.down.edi.ring%u", ring);
	check(trap->cr2, TEST_PAGE - 1, "rep.movs.down.cr2.ring%u", ring);
	check(trap->regs.eflags & FLAG_DF, FLAG_DF, "rep.movs.down.df.ring%u", ring);
	regs.eip = ADDR(pe_rep_lods);
	regs.esi = TEST_PAGE + 0xffd;
	trap = run(&regs);
	check_trap(trap, PF, user, pe_rep_lods, "rep.lods.ring%u", ring);
	check(trap->regs.ecx, 97, "rep.lods.ecx.ring%u", ring);
	__builtin_memset((void *)frame, 7, 4096);
	__builtin_memset(user_data, 7, 4096);
	regs.eip = ADDR(pe_rep_cmps);
	regs.esi = ADDR(user_data);
	regs.edi = TEST_PAGE + 0xff0;
	trap = run(&regs);
	check_trap(trap, PF, user, pe_rep_cmps, "rep.cmps.ring%u", ring);
	check(trap->regs.ecx, 84, "rep.cmps.ecx.ring%u", ring);
	regs.eip = ADDR(pe_rep_scas);
	trap = run(&regs);
	check_trap(trap, PF, user, pe_rep_scas, "rep.scas.ring%u", ring);
	check(trap->regs.ecx, 92, "rep.scas.ecx.ring%u", ring);
	check(trap->regs.edi, TEST_PAGE + 0x1000, "rep.scas.edi.ring%u", ring);
}

/* ---- instructions in two pages ---- */

SNIPPET(pe_jump, "jmp *%ebx");

static void fetches(unsigned ring)
{
	uint32_t user = ring == 3 ? 4 : 0, seam = TEST_PAGE + 0x1000;
	uint8_t code[7] = { 0xb8, 0x78, 0x56, 0x34, 0x12, 0xcd, DONE };

	map(TEST_PAGE, low | PTE_ALL);
	for (unsigned split = 1; split < 7; split++) {
		struct regs regs = start_at(pe_jump, ring);
		const struct trap *trap;

		__builtin_memcpy((void *)(low + 0x1000 - split), code, split);
		__builtin_memcpy((void *)high, code + split, 7 - split);
		map(seam, 0);
		regs.ebx = seam - split;
		trap = run(&regs);
		/*
		 * Split in the MOV: it never ran. Split after it: the INT's address is the page,
		 * or lies before it.
		 */
		check_trap(trap, PF, user,
			   (void *)(split < 5  ? seam - split :
				    split == 5 ? seam :
						 seam - 1),
			   "fetch.absent%u.ring%u", split, ring);
		check(trap->cr2, seam, "fetch.absent%u.cr2.ring%u", split, ring);
		check(trap->regs.eax, split < 5 ? regs.eax : 0x12345678,
		      "fetch.absent%u.eax.ring%u", split, ring);
		map(seam, high | PTE_ALL);
		trap = run(&regs);
		check(trap->regs.eax, 0x12345678, "fetch.work%u.ring%u", split, ring);
		check(trap->regs.eip, regs.ebx + 7, "fetch.work%u.eip.ring%u", split, ring);
		/* The second half from another frame. */
		map(seam, page_alloc() | PTE_ALL);
		check(run(&regs)->vector != DONE, 1, "fetch.remapped%u.ring%u", split, ring);
		map(seam, high | PTE_ALL);
		if (split < 5) {
			((uint8_t *)high)[4 - split] ^= 0xff; /* the last byte of the constant */
			check(run(&regs)->regs.eax, 0x12345678 ^ 0xff000000,
			      "fetch.modified%u.ring%u", split, ring);
		}
		/* The second page is the supervisor's. */
		map(seam, high | PTE_P | PTE_W);
		if (ring == 3) {
			trap = run(&regs);
			check(trap->vector, PF, "fetch.supervisor%u", split);
			check(trap->error, 5, "fetch.supervisor%u.error", split);
			check(trap->cr2, seam, "fetch.supervisor%u.cr2", split);
		} else {
			check_done(run(&regs), "fetch.supervisor%u.ring%u", split, ring);
		}
	}
}

/* ---- the end of the address space ---- */

/* An access over it wraps or faults (SDM vol. 3, 5.3 leaves it open), and does nothing else. */
static void address_end(unsigned ring)
{
	uint32_t top = page_alloc(), bottom = page_alloc();
	uint64_t *entry = entry_at(read_cr3(), 0), was = entry_read(entry);
	struct regs regs = start_at(pe_store, ring);
	const struct trap *trap;

	map(0, bottom | PTE_ALL);
	map(0xfffff000, top | PTE_ALL);
	regs.ebx = 0xfffffffc;
	regs.ecx = 0x12345678;
	check_done(run(&regs), "end.last.ring%u", ring);
	check(*(uint32_t *)(top + 0xffc), 0x12345678, "end.last.stored.ring%u", ring);
	for (uint32_t at = 0xfffffffd; at; at++) {
		uint64_t both;
		uint32_t shift = 8 * (at - 0xfffffffc);

		*(uint32_t *)(top + 0xffc) = 0xaaaaaaaa;
		*(uint32_t *)bottom = 0xbbbbbbbb;
		regs.ebx = at;
		regs.eip = ADDR(pe_store);
		trap = run(&regs);
		both = (uint64_t)*(uint32_t *)bottom << 32 | *(uint32_t *)(top + 0xffc);
		if (trap->vector == DONE)
			check(both == ((0xbbbbbbbbaaaaaaaaull & ~(0xffffffffull << shift)) |
				       0x12345678ull << shift),
			      1, "end.store.%x.ring%u", at, ring);
		else
			check(trap->vector == GP && trap->error == 0 &&
				      both == 0xbbbbbbbbaaaaaaaaull,
			      1, "end.store.%x.ring%u", at, ring);
		regs.eip = ADDR(pe_load);
		*(uint32_t *)(top + 0xffc) = 0x04030201;
		*(uint32_t *)bottom = 0x08070605;
		trap = run(&regs);
		if (trap->vector == DONE)
			check(trap->regs.eax, (uint32_t)(0x0807060504030201ull >> shift),
			      "end.load.%x.ring%u", at, ring);
		else
			check(trap->vector == GP && trap->error == 0, 1, "end.load.%x.ring%u", at,
			      ring);
	}
	map(0xfffff000, 0);
	entry_write(entry, was);
	invlpg(0);
}

void group_paging_edges(void)
{
	take_frames();
	for (unsigned ring = 0; ring < 4; ring += 3) {
		crossings_fault(ring);
		crossings_work(ring);
		rep_faults(ring);
		fetches(ring);
		address_end(ring);
	}
}
