/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code that changes under its translation: stores to it, at every distance and through aliases, and
 * pages of it that are mapped elsewhere. Every guest program runs in every configuration of
 * bt_configurations.h.
 */
#include <string.h>
#include "bt_code.h"
#include "bt_configurations.h"

TestSuite(bt_code_changes, .timeout = 300);

#define ALIAS 0x600000u /* a linear page */

/* --- stores to code --- */

/* The next instruction, in the same translation unit. */
static void stores_to_the_next_instruction(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);
	uint32_t loop, patched;

	MOV(&c, X86_ECX, 300);
	loop = c.at;
	EMIT(&c, 0x89, 0x0d); EMIT32(&c, c.at + 5); /* mov [imm], ecx */
	patched = c.at;
	MOV(&c, X86_EAX, 0);
	EMIT(&c, 0x01, 0xc3, 0x49);           /* add ebx, eax; dec ecx */
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 300 * 301 / 2);
	EXPECT_EQ(bf_read32(bf, patched + 1), 1);
}

TEST_IN_ALL(bt_code_changes, stores_to_the_next_instruction)

static void stores_to_a_function(struct bf *bf, uint32_t function, bool indirect)
{
	struct code c = code_at(bf, BF_CODE);
	uint32_t loop;

	write_value_function(bf, function, 0);
	MOV(&c, X86_ECX, 300);
	loop = c.at;
	EMIT(&c, 0x89, 0x0d); EMIT32(&c, function + 1);
	if (indirect) {
		MOV(&c, X86_EDX, function);
		EMIT(&c, 0xff, 0xd2);
	} else {
		CALL(&c, function);
	}
	EMIT(&c, 0x01, 0xc3, 0x49);
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 300 * 301 / 2);
}

/* A unit that is linked to directly. */
static void stores_to_another_unit_of_the_page(struct bf *bf)
{
	stores_to_a_function(bf, BF_CODE + 0x800, false);
}

static void stores_to_another_page(struct bf *bf)
{
	stores_to_a_function(bf, FUNCTION, false);
}

static void stores_to_what_is_called_indirectly(struct bf *bf)
{
	stores_to_a_function(bf, FUNCTION, true);
}

static void stores_to_an_instruction_across_pages(struct bf *bf)
{
	stores_to_a_function(bf, FUNCTION + 0xffd, false);
}

TEST_IN_ALL(bt_code_changes, stores_to_another_unit_of_the_page)
TEST_IN_ALL(bt_code_changes, stores_to_another_page)
TEST_IN_ALL(bt_code_changes, stores_to_what_is_called_indirectly)
TEST_IN_ALL(bt_code_changes, stores_to_an_instruction_across_pages)

/* rep stosb turns INCs into DECs and back; the string runs over data and code. */
static void string_store_over_code(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE), f = code_at(bf, FUNCTION);
	uint32_t loop;

	for (int n = 0; n < 50; n++)
		EMIT(&f, 0x43);
	EMIT(&f, 0xc3);
	MOV(&c, X86_EBP, 100);
	loop = c.at;
	CALL(&c, FUNCTION);                   /* ebx += 50 */
	MOV(&c, X86_EDI, FUNCTION - 20);
	MOV(&c, X86_ECX, 60);
	EMIT(&c, 0xb0, 0x4b, 0xf3, 0xaa);     /* 40 of them become dec ebx */
	CALL(&c, FUNCTION);                   /* ebx += 10 - 40 */
	MOV(&c, X86_EDI, FUNCTION);
	MOV(&c, X86_ECX, 40);
	EMIT(&c, 0xb0, 0x43, 0xf3, 0xaa);
	EMIT(&c, 0x4d);
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 100 * 20);
}

TEST_IN_ALL(bt_code_changes, string_store_over_code)

static void stores_through_an_alias(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);
	uint32_t loop;

	bf_map_page(bf, ALIAS, FUNCTION);
	write_value_function(bf, FUNCTION, 0);
	MOV(&c, X86_ECX, 300);
	loop = c.at;
	EMIT(&c, 0x89, 0x0d); EMIT32(&c, ALIAS + 1);
	CALL(&c, FUNCTION);
	EMIT(&c, 0x01, 0xc3);
	EMIT(&c, 0xff, 0x05); EMIT32(&c, FUNCTION + 1); /* inc dword [] */
	CALL(&c, ALIAS);
	EMIT(&c, 0x01, 0xc3, 0x49);
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 300 * 301 + 300);
}

Test(bt_code_changes, stores_through_an_alias)
{
	in_all(stores_through_an_alias, 0, true);
	in_all(stores_through_an_alias, 3, true);
}

/* --- code that is mapped elsewhere --- */

/*
 * The guest edits the entry of the page it calls, alternating between two functions, and flushes
 * with flush_len bytes of code.
 */
static void remap_and_call(struct bf *bf, const uint8_t *flush, unsigned flush_len)
{
	struct code c = code_at(bf, BF_CODE);
	uint32_t loop;

	write_value_function(bf, FUNCTION + 0x10, 1);
	write_value_function(bf, FUNCTION + 0x1010, 0x10000);
	bf_map_page(bf, ALIAS, FUNCTION);
	MOV(&c, X86_ECX, 200);
	loop = c.at;
	/* xor dword [pte] */
	EMIT(&c, 0x81, 0x35);
	EMIT32(&c, BF_PTE_AT(ALIAS));
	EMIT32(&c, (FUNCTION ^ (FUNCTION + 0x1000)));
	emit_bytes(&c, flush, flush_len);
	CALL(&c, ALIAS + 0x10);
	EMIT(&c, 0x01, 0xc3, 0x49);
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 100 * 0x10001);
}

static void remap_with_invlpg(struct bf *bf)
{
	/* invlpg [ALIAS] */
	static const uint8_t invlpg[] = { 0x0f, 0x01, 0x3d, 0x00, 0x00, 0x60, 0x00 };

	remap_and_call(bf, invlpg, sizeof(invlpg));
}

static void remap_with_cr3(struct bf *bf)
{
	/* mov edx, cr3; mov cr3, edx */
	static const uint8_t reload[] = { 0x0f, 0x20, 0xda, 0x0f, 0x22, 0xda };

	remap_and_call(bf, reload, sizeof(reload));
}

Test(bt_code_changes, code_page_remapped)
{
	in_all(remap_with_invlpg, 0, true);
	in_all(remap_with_cr3, 0, true);
}

/*
 * Two page directories; the page at ALIAS differs, the page after it (reached by a jump across) is
 * shared.
 */
static void two_spaces(struct bf *bf)
{
	const uint32_t dir = BF_FREE + 0x80000, table = BF_FREE + 0x81000;
	struct code c = code_at(bf, BF_CODE);
	uint32_t loop;

	for (unsigned n = 0; n < 2; n++) {
		struct code f = code_at(bf, FUNCTION + 0x2000 * n + 0xff9);

		/* add ebx; runs into the next page */
		EMIT(&f, 0x81, 0xc3); EMIT32(&f, n ? 1 : 0x10000);
		EMIT(&f, 0x90);
	}
	write_value_function(bf, FUNCTION + 0x1000, 0x77);
	bf_map_page(bf, ALIAS, FUNCTION);
	bf_map_page(bf, ALIAS + 0x1000, FUNCTION + 0x1000);
	memcpy(bf->ram + dir, bf->ram + BF_PAGE_DIR, 0x1000);
	memcpy(bf->ram + table, bf->ram + BF_PAGE_TABLES + 0x1000, 0x1000);
	bf_write32(bf, dir + 4, table | BF_PTE_USER);
	bf_write32(bf, table + 4 * ((ALIAS >> 12) - 1024), (FUNCTION + 0x2000) | BF_PTE_USER);
	MOV(&c, X86_ECX, 300);
	loop = c.at;
	CALL(&c, ALIAS + 0xff9);
	EMIT(&c, 0x01, 0xc5);                  /* add ebp, eax */
	/* mov edx, cr3; xor edx */
	EMIT(&c, 0x0f, 0x20, 0xda, 0x81, 0xf2); EMIT32(&c, BF_PAGE_DIR ^ dir);
	EMIT(&c, 0x0f, 0x22, 0xda, 0x49);
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 150 * 0x10001);
	EXPECT_EQ(bf->cpu->regs[X86_EBP], 300 * 0x77);
}

Test(bt_code_changes, two_spaces)
{
	in_all(two_spaces, 0, true);
}
