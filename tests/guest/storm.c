/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A storm of remapped code: walks through pages of code that are mapped elsewhere and written to on
 * the way, in two address spaces.
 *
 * Each page can be any of its frames, which have the same places but other code in them: numbers
 * and branches of their own. A place is
 *
 *     [pusha; call change_now; popa;] imul edx, edx, 31; add edx, NUMBER; dec ecx; jz storm_out;
 *     BRANCH
 *
 * so that what is in EDX in the end says which places a walk came to, and in which frames. The last
 * place of a page leads into an ADD of which the bytes after the opcode and the first of its
 * number are the first three of whatever frame the next page is.
 *
 * A model makes the same changes to a copy of the state and takes the same walk there. Behind each
 * change comes the flush that it needs (SDM vol. 3, 4.10.4), so there is one right way. Code is
 * written through its frame's own address, never where it executes at the time.
 */
#include "guest.h"
#include "groups.h"
#include "page_tests.h"

enum { PAGES = 9, FRAMES = 4, STEPS = 300 };
/*
 * Of the places of a page INTO leads to ACROSS, the ADD; the last page has neither. HEAD is where
 * its second part lies.
 */
enum { INTO = 10, ACROSS, PLACES, HEAD = PLACES, NUMBERS };
enum branch_kind { BY_JMP, BY_CALL, BY_JMP_EAX, BY_JNZ, BY_PUSH_RET, BRANCH_KINDS };

/* Where a place starts: some close together, all with room for what is longest. */
static const uint16_t offsets[PLACES] = { 0x3,   0xc0,  0x1c0, 0x2c0, 0x500, 0x780,
					  0xa00, 0xcc0, 0xf00, 0xf80, 0xfc0, 0xffd };
static const bool changes_here[PLACES] = { [1] = true, [3] = true, [7] = true };

struct at { uint8_t page, place; };
struct branch { uint8_t kind; struct at to[2]; }; /* to[0] if EDX is odd, where it matters */
struct state {
	uint32_t random, calm; /* calm: a change in so many places that could make one */
	unsigned space;
	bool global[PAGES];
	uint8_t shown[2][PAGES]; /* the frame that a page is in a space */
	uint32_t numbers[PAGES][FRAMES][NUMBERS];
};

static struct state live, model;
static struct branch branches[PAGES][FRAMES][PLACES];
static uint32_t frames[PAGES][FRAMES], roots[2]; /* roots: what goes into CR3 */

SNIPPET(storm_jump, "jmp *%ebx");
SNIPPET(storm_out, "");

static uint32_t below(struct state *s, uint32_t n)
{
	s->random = s->random * 1664525 + 1013904223;
	return (s->random >> 8) % n;
}

static struct at any_place(struct state *s, unsigned page)
{
	return (struct at){ page, below(s, page == PAGES - 1 ? INTO : PLACES) };
}

static uint32_t address(struct at at)
{
	return TEST_PAGE + at.page * 4096 + offsets[at.place];
}

/* ---- changes ---- */

struct change {
	enum { REMAP_INVLPG, REMAP_CR4, REMAP_CR3, SWITCH, WRITE } how;
	uint32_t pages; /* that are remapped: a bit each */
	unsigned page, frame, number; /* what is written */
};

/* Some pages to any of their frames, in both spaces: the same one if they are to be global. */
static void remap(struct state *s, struct change *c)
{
	bool global = below(s, 2);

	for (unsigned n = 1 + below(s, 3); n; n--) {
		unsigned page = below(s, PAGES);

		s->global[page] = global;
		s->shown[0][page] = below(s, FRAMES);
		s->shown[1][page] = global ? s->shown[0][page] : below(s, FRAMES);
		c->pages |= 1u << page;
	}
}

/* Some of the pages that are not global, in the space that is in force. */
static void remap_own(struct state *s, struct change *c)
{
	for (unsigned n = 1 + below(s, 3); n; n--) {
		unsigned page = below(s, PAGES), frame = below(s, FRAMES);

		if (s->global[page])
			continue;
		s->shown[s->space][page] = frame;
		c->pages |= 1u << page;
	}
}

static struct change change_state(struct state *s)
{
	static const uint8_t ways[] = { REMAP_INVLPG, REMAP_INVLPG, REMAP_CR4, REMAP_CR4, REMAP_CR3,
					SWITCH,       SWITCH,       WRITE,     WRITE };
	struct change c = { .how = ways[below(s, sizeof(ways))] };

	if (c.how == SWITCH) {
		s->space ^= 1;
	} else if (c.how == WRITE) {
		c.page = below(s, PAGES);
		c.frame = below(s, FRAMES);
		c.number = below(s, NUMBERS);
		s->numbers[c.page][c.frame][c.number] = below(s, 1u << 24) * 257;
	} else if (c.how == REMAP_CR3) {
		remap_own(s, &c);
	} else {
		remap(s, &c);
	}
	return c;
}

static void set_entry(unsigned space, unsigned page)
{
	uint32_t frame = frames[page][live.shown[space][page]];

	entry_write(entry_at(roots[space], TEST_PAGE + page * 4096),
		    frame | PTE_P | PTE_W | (live.global[page] ? PTE_G : 0));
}

/* To where the code has it. */
static void write_number(unsigned page, unsigned frame, unsigned number)
{
	uint8_t *code = (uint8_t *)frames[page][frame];
	const uint32_t *value = &live.numbers[page][frame][number];

	if (number == HEAD)
		__builtin_memcpy(code, value, 3);
	else if (number == ACROSS)
		code[4095] = *value;
	else
		__builtin_memcpy(code + offsets[number] + (changes_here[number] ? 7 : 0) + 5, value,
				 4);
}

static void change_machine(const struct change *c)
{
	for (unsigned page = 0; page < PAGES; page++) {
		if (!(c->pages >> page & 1))
			continue;
		for (unsigned space = 0; space < 2; space++)
			if (c->how != REMAP_CR3 || space == live.space)
				set_entry(space, page);
		if (c->how == REMAP_INVLPG)
			invlpg(TEST_PAGE + page * 4096);
	}
	if (c->how == REMAP_CR4)
		flush_global();
	else if (c->how == REMAP_CR3 || c->how == SWITCH)
		write_cr3(roots[live.space]);
	else if (c->how == WRITE)
		write_number(c->page, c->frame, c->number);
}

/* Called by the places that change something. */
static void change_now(void)
{
	struct change c;

	if (below(&live, live.calm))
		return;
	c = change_state(&live);
	change_machine(&c);
}

/* ---- the code ---- */

static uint8_t *put(uint8_t *code, const char *bytes, unsigned size)
{
	__builtin_memcpy(code, bytes, size);
	return code + size;
}

static uint8_t *put_word(uint8_t *code, uint32_t word)
{
	__builtin_memcpy(code, &word, 4);
	return code + 4;
}

/* The operand of a relative branch in a page. */
static uint8_t *put_distance(uint8_t *code, unsigned page, uint32_t target)
{
	return put_word(code, target - (TEST_PAGE + page * 4096 + (ADDR(code) & 0xfff) + 4));
}

static void put_branch(uint8_t *code, unsigned page, const struct branch *branch)
{
	uint32_t to = address(branch->to[0]);

	switch (branch->kind) {
	case BY_JMP:
		put_distance(put(code, "\xe9", 1), page, to);
		break;
	case BY_CALL: /* with no return */
		put_distance(put(code, "\xe8", 1), page, to);
		break;
	case BY_JMP_EAX:
		put(put_word(put(code, "\xb8", 1), to), "\xff\xe0", 2); /* mov eax, to; jmp eax */
		break;
	case BY_JNZ:
		/* test dl, 1; jnz to[0]; jmp to[1] */
		code = put_distance(put(code, "\xf6\xc2\x01\x0f\x85", 5), page, to);
		put_distance(put(code, "\xe9", 1), page, address(branch->to[1]));
		break;
	case BY_PUSH_RET:
		put(put_word(put(code, "\x68", 1), to), "\xc3", 1); /* push to; ret */
	}
}

/* All but the number. */
static void put_place(unsigned page, unsigned frame, unsigned place)
{
	uint8_t *start = (uint8_t *)frames[page][frame], *code = start + offsets[place];

	if (place == ACROSS) {
		put(code, "\x81\xc2", 2);
		return;
	}
	if (changes_here[place])
		code = put(put_distance(put(code, "\x60\xe8", 2), page, ADDR(change_now)), "\x61",
			   1);
	code = put(code, "\x6b\xd2\x1f\x81\xc2", 5) + 4;
	code = put_distance(put(code, "\x49\x0f\x84", 3), page, ADDR(storm_out));
	if (place == INTO)
		__builtin_memset(code, 0x90, start + offsets[ACROSS] - code);
	else
		put_branch(code, page, &branches[page][frame][place]);
}

static void make_frame(unsigned page, unsigned frame)
{
	frames[page][frame] = page_alloc();
	for (unsigned place = 0; place < (page == PAGES - 1 ? INTO : PLACES); place++) {
		struct branch *branch = &branches[page][frame][place];

		branch->kind = below(&live, BRANCH_KINDS);
		for (unsigned i = 0; i < 2; i++)
			branch->to[i] =
				any_place(&live, below(&live, 3) ? below(&live, PAGES) : page);
		put_place(page, frame, place);
	}
	for (unsigned number = 0; number < NUMBERS; number++) {
		live.numbers[page][frame][number] = below(&live, 1u << 24) * 259;
		write_number(page, frame, number);
	}
}

/* CR4 makes it another one in each mode. */
static void storm_start(uint32_t seed)
{
	live = (struct state){ .random = seed + read_cr4() };
	roots[0] = read_cr3();
	roots[1] = tables_build();
	for (unsigned page = 0; page < PAGES; page++) {
		for (unsigned frame = 0; frame < FRAMES; frame++)
			make_frame(page, frame);
		set_entry(0, page);
		set_entry(1, page);
	}
	flush_global(); /* what a storm before it left */
}

/* ---- walks ---- */

static uint32_t walk_machine(struct at at)
{
	struct regs regs = start_at(storm_jump, 0);
	const struct trap *trap;

	regs.ebx = address(at);
	regs.ecx = STEPS;
	regs.edx = 0;
	trap = run(&regs);
	return trap->vector == DONE ? trap->regs.edx : 0xbad00000 | trap->vector;
}

static uint32_t walk_model(struct state *s, struct at at)
{
	uint32_t sum = 0;

	for (unsigned left = STEPS;;) {
		const struct branch *branch;

		if (at.place != ACROSS) {
			if (changes_here[at.place] && !below(s, s->calm))
				change_state(s);
			sum = sum * 31 + s->numbers[at.page][s->shown[s->space][at.page]][at.place];
			if (!--left)
				return sum;
		}
		if (at.place >= INTO) {
			sum += (uint8_t)s->numbers[at.page][s->shown[s->space][at.page]][ACROSS];
			at = (struct at){ at.page + 1, 0 };
			sum += s->numbers[at.page][s->shown[s->space][at.page]][HEAD] << 8;
			continue;
		}
		branch = &branches[at.page][s->shown[s->space][at.page]][at.place];
		at = branch->to[branch->kind == BY_JNZ && !(sum & 1)];
	}
}

static void storm(uint32_t seed, unsigned walks)
{
	uint32_t got, want;
	unsigned walk = 0;

	storm_start(seed);
	do {
		struct at at = any_place(&live, below(&live, PAGES));

		live.calm = walk / 50 % 2 ? 20 : 8;
		model = live;
		want = walk_model(&model, at);
		got = walk_machine(at);
		check(got, want, "seed%u.walk%u", seed, walk);
	} while (got == want && ++walk < walks); /* those after a wrong one mean nothing */
	write_cr3(roots[0]);
}

/* Seeds with which translations that outlived a mapping were found early: few walks are enough. */
void group_storm(void)
{
	storm(9, 100);
	storm(11, 320);
}
