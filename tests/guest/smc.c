/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code that changes while it runs, at all distances. On processors since the P6 a store to code is
 * seen by the next instruction, whatever linear address it went through (SDM vol. 3, 11.6; the
 * older need a jump in between, so each snippet that has one works there too).
 */
#include "guest.h"
#include "groups.h"
#include "page_tests.h"

/* The snippets lie in user pages and are put back as they were before each run. */
struct modifying { const char *name; char *code; const char *end; uint32_t eax; };

SNIPPET(smc_next, "movb $0x22, smc_next_to + 1\n smc_next_to: movl $0x11, %eax\n smc_next_end:");
SNIPPET(smc_next_opcode, "movl $0, %eax; movl $0, %ecx; movb $0x40, smc_next_opcode_to\n "
			 "smc_next_opcode_to: incl %ecx\n smc_next_opcode_end:");
SNIPPET(smc_few, "movl $0, %eax; movb $7, smc_few_to + 2; nop; nop; nop; nop\n smc_few_to: addl "
		 "$1, %eax\n smc_few_end:");
SNIPPET(smc_branch, "xorl %eax, %eax; movb $0x90, smc_branch_to; movb $0x90, smc_branch_to + 1\n "
		    "smc_branch_to: jmp 1f; incl %eax; 1: incl %eax\n smc_branch_end:");
SNIPPET(smc_loop, "xorl %eax, %eax; movl $3, %ecx\n smc_loop_to: addl $1, %eax; addb $1, "
		  "smc_loop_to + 2; decl %ecx; jnz smc_loop_to\n smc_loop_end:");
SNIPPET(smc_call, "movb $2, smc_call_to + 1; call smc_call_to; jmp 1f\n smc_call_to: movl $1, "
		  "%eax; ret; 1:\n smc_call_end:");
SNIPPET(smc_call_twice, "call smc_call_twice_to; movl %eax, %edx; movb $9, smc_call_twice_to + 1; "
			"call smc_call_twice_to; shll $8, %edx; orl %edx, %eax; jmp 1f\n"
			"smc_call_twice_to: movl $1, %eax; ret; 1:\n smc_call_twice_end:");
SNIPPET(smc_callee, "call 2f\n smc_callee_to: movl $1, %eax; jmp 1f; 2: movb $5, smc_callee_to + "
		    "1; ret; 1:\n smc_callee_end:");
SNIPPET(smc_push, "movl %esp, %ebp; movl $smc_push_to + 5, %esp; pushl $0x77; movl %ebp, %esp\n "
		  "smc_push_to: movl $0x11, %eax\n smc_push_end:");
SNIPPET(smc_stos, "movl $smc_stos_to, %edi; movl $0x4242b890, %eax; movl $1, %ecx; rep stosl\n "
		  "smc_stos_to: nop; .byte 0, 0, 0, 0, 0\n smc_stos_end:");
SNIPPET(smc_own_rep, "movl $smc_own_rep_to, %edi; movb $0x90, %al; movl $12, %ecx; jmp 1f; .balign "
		     "8; smc_own_rep_to: nop; nop; nop; nop; 1: rep stosb; nop; nop; nop; nop; "
		     "nop; nop; movl %ecx, %eax\n smc_own_rep_end:");
SNIPPET(smc_movs, "movl $smc_movs_from, %esi; movl $smc_movs_to, %edi; movl $5, %ecx; rep movsb; "
		  "jmp smc_movs_to\n smc_movs_from: movl $0x66, %eax\n"
		  "smc_movs_to: movl $0x11, %eax\n smc_movs_end:");
SNIPPET(smc_cmpxchg, "movl smc_cmpxchg_to + 1, %eax; movl $0x99, %ecx; lock cmpxchgl %ecx, "
		     "smc_cmpxchg_to + 1\n smc_cmpxchg_to: movl $0x11, %eax\n smc_cmpxchg_end:");
SNIPPET(smc_xadd, "movl $1, %ecx; xaddl %ecx, smc_xadd_to + 1\n smc_xadd_to: movl $0x11, %eax\n "
		  "smc_xadd_end:");
SNIPPET(smc_bts, "btsl $6, smc_bts_to + 1\n smc_bts_to: movl $0x11, %eax\n smc_bts_end:");
SNIPPET(smc_fst, "pushl $0x31; fildl (%esp); popl %eax; fistpl smc_fst_to + 1\n smc_fst_to: movl "
		 "$0x11, %eax\n smc_fst_end:");
SNIPPET(smc_set,
	"xorl %eax, %eax; sete smc_set_to + 1\n smc_set_to: movb $0x11, %al\n smc_set_end:");
SNIPPET(smc_memory_push, "movl $0xab, user_data; movl %esp, %ebp; movl $smc_memory_push_to + 5, "
			 "%esp; pushl user_data; movl %ebp, %esp\n"
			 "smc_memory_push_to: movl $0x11, %eax\n smc_memory_push_end:");
SNIPPET(smc_indirect, "movl $smc_indirect_to, %edx; call *%edx; movl %eax, %ecx; movb $4, 1(%edx); "
		      "call *%edx; addl %ecx, %eax; jmp 1f\n"
		      "smc_indirect_to: movl $1, %eax; ret; 1:\n smc_indirect_end:");
/* Straddling instructions: both halves. */
SNIPPET(smc_before, "movb $0x77, smc_before_at; jmp 1f; 2: jmp 3f\n smc_before_at: .byte 0; 1: "
		    "movzbl smc_before_at, %eax; jmp 2b; 3:\n smc_before_end:");
SNIPPET(smc_backward, "xorl %eax, %eax; jmp 2f\n smc_backward_to: addl $1, %eax; jmp 3f; 2: movb "
		      "$0x10, smc_backward_to + 2; jmp smc_backward_to; 3:\n smc_backward_end:");
SNIPPET(smc_prefix, "movl $0x12345678, %eax; movb $0x66, smc_prefix_to\n smc_prefix_to: nop; incl "
		    "%eax\n smc_prefix_end:");

#define END(name) extern char smc_##name##_end[]
END(next);
END(next_opcode);
END(few);
END(branch);
END(loop);
END(call);
END(call_twice);
END(callee);
END(push);
END(stos);
END(own_rep);
END(movs);
END(cmpxchg);
END(xadd);
END(bts);
END(fst);
END(set);
END(memory_push);
END(indirect);
END(before);
END(backward);
END(prefix);
#define MODIFYING(name, eax) { #name, smc_##name, smc_##name##_end, eax }

static const struct modifying modifying[] = {
	MODIFYING(next, 0x22), MODIFYING(next_opcode, 1), MODIFYING(few, 7), MODIFYING(branch, 2),
	MODIFYING(loop, 1 + 2 + 3), MODIFYING(call, 2), MODIFYING(call_twice, 0x109),
	MODIFYING(callee, 5), MODIFYING(push, 0x77), MODIFYING(stos, 0x4242), MODIFYING(own_rep, 0),
	MODIFYING(movs, 0x66), MODIFYING(cmpxchg, 0x99), MODIFYING(xadd, 0x12),
	MODIFYING(bts, 0x51), MODIFYING(fst, 0x31), MODIFYING(set, 1), MODIFYING(memory_push, 0xab),
	MODIFYING(indirect, 5), MODIFYING(before, 0x77), MODIFYING(backward, 0x10),
	MODIFYING(prefix, 0x12345679),
};

static uint8_t saved[256];

static void one_modifying(const struct modifying *m, unsigned ring, unsigned rounds)
{
	uint32_t size = ADDR(m->end) - ADDR(m->code);

	__builtin_memcpy(saved, m->code, size);
	for (unsigned round = 0; round < rounds; round++) {
		struct regs regs = start_at(m->code, ring);
		const struct trap *trap = run(&regs);

		check(trap->vector == DONE ? trap->regs.eax : 0xbad00000 | trap->vector, m->eax,
		      "%s.round%u.ring%u", m->name, round, ring);
		__builtin_memcpy(m->code, saved, size);
	}
}

/* ---- code written from elsewhere ---- */

SNIPPET(smc_jump, "jmp *%ebx");
/* EDX and EBX may be two addresses of the same code */
SNIPPET(smc_write_jump, "movl %ecx, 1(%edx); jmp *%ebx");

static uint32_t run_code(uint32_t linear, unsigned ring)
{
	struct regs regs = start_at(smc_jump, ring);
	const struct trap *trap;

	regs.ebx = linear;
	trap = run(&regs);
	return trap->vector == DONE ? trap->regs.eax : 0xbad00000 | trap->vector;
}

static uint32_t write_and_run(uint32_t write, uint32_t linear, uint32_t value, unsigned ring)
{
	struct regs regs = start_at(smc_write_jump, ring);
	const struct trap *trap;

	regs.ebx = linear;
	regs.edx = write;
	regs.ecx = value;
	trap = run(&regs);
	return trap->vector == DONE ? trap->regs.eax : 0xbad00000 | trap->vector;
}

static void written_elsewhere(unsigned ring)
{
	uint32_t at = ADDR(user_data);

	for (unsigned i = 0; i < 20; i++) {
		write_code(at, 0x1000 + i);
		check(run_code(at, ring), 0x1000 + i, "kernel.writes%u.ring%u", i, ring);
		check(write_and_run(at, at, 0x2000 + i, ring), 0x2000 + i, "self.writes%u.ring%u",
		      i, ring);
	}
	/* One ring writes, each of the others runs. */
	for (unsigned writer = 0; writer < 4; writer++) {
		write_and_run(at, at, 0x3000 + writer, writer);
		check(run_code(at, ring), 0x3000 + writer, "ring%u.writes.ring%u", writer, ring);
	}
	/* Data next to code, in the same page and over its edges, changes no code. */
	for (unsigned i = 0; i < 40; i++) {
		((volatile uint8_t *)at)[7 + i % 3] = i;
		check(run_code(at, ring), 0x3003, "beside%u.ring%u", i, ring);
	}
}

/* ---- through other mappings ---- */

static void aliased(unsigned ring)
{
	uint32_t frame = page_alloc();

	write_code(frame, 0x100);
	map(TEST_PAGE, frame | PTE_P | PTE_U);
	map(OTHER_PAGE, frame | PTE_ALL);
	for (unsigned i = 0; i < 20; i++) {
		check(write_and_run(OTHER_PAGE, TEST_PAGE, 0x200 + i, ring), 0x200 + i,
		      "alias.write%u.ring%u", i, ring);
		check(run_code(OTHER_PAGE, ring), 0x200 + i, "alias.other%u.ring%u", i, ring);
		*(volatile uint32_t *)(frame + 1) = 0x300 + i;
		check(run_code(TEST_PAGE, ring), 0x300 + i, "alias.frame%u.ring%u", i, ring);
	}
}

static void remapped(unsigned ring)
{
	uint32_t a = page_alloc(), b = page_alloc();

	write_code(a, 0xa);
	write_code(b, 0xb);
	for (unsigned i = 0; i < 10; i++) {
		map(TEST_PAGE, a | PTE_ALL | (i & 2 ? PTE_G : 0));
		check(run_code(TEST_PAGE, ring), 0xa, "remap.first%u.ring%u", i, ring);
		map(TEST_PAGE, b | PTE_ALL);
		check(run_code(TEST_PAGE, ring), 0xb, "remap.second%u.ring%u", i, ring);
		map(TEST_PAGE, 0);
		check(run_code(TEST_PAGE, ring), 0xbad00000 | PF, "remap.absent%u.ring%u", i, ring);
	}
	map(TEST_PAGE, a | PTE_ALL);
	map(OTHER_PAGE, b | PTE_ALL);
	check(run_code(TEST_PAGE, ring), 0xa, "remap.a.ring%u", ring);
	check(run_code(OTHER_PAGE, ring), 0xb, "remap.b.ring%u", ring);
	*(volatile uint32_t *)(a + 1) = 0xaa;
	check(run_code(OTHER_PAGE, ring), 0xb, "remap.b.kept.ring%u", ring);
	check(run_code(TEST_PAGE, ring), 0xaa, "remap.a.changed.ring%u", ring);
}

/*
 * A loop that jumps between two pages, one of which is exchanged under it: links from page to page
 * must not outlive the mapping.
 */
SNIPPET(smc_far_loop, "xorl %eax, %eax\n smc_far_loop_again: jmp *%ebx\n smc_far_loop_back: decl "
		      "%ecx; jnz smc_far_loop_again");
extern char smc_far_loop_back[];

static void write_link_code(uint32_t frame, uint32_t linear, uint8_t value)
{
	uint8_t code[] = { 0x83, 0xc0, value, 0xe9, 0, 0, 0, 0 };
	uint32_t rel = ADDR(smc_far_loop_back) - (linear + sizeof(code));

	__builtin_memcpy(code + 4, &rel, 4);
	__builtin_memcpy((void *)frame, code, sizeof(code));
}

static void linked(unsigned ring)
{
	uint32_t a = page_alloc(), b = page_alloc();

	write_link_code(a, TEST_PAGE, 1);
	write_link_code(b, TEST_PAGE, 2);
	for (unsigned i = 0; i < 10; i++) {
		struct regs regs = start_at(smc_far_loop, ring);

		map(TEST_PAGE, (i & 1 ? b : a) | PTE_ALL);
		regs.ebx = TEST_PAGE;
		regs.ecx = 50;
		check(run(&regs)->regs.eax, i & 1 ? 100 : 50, "linked%u.ring%u", i, ring);
	}
	write_link_code(b, TEST_PAGE, 3);
	{
		struct regs regs = start_at(smc_far_loop, ring);

		regs.ebx = TEST_PAGE;
		regs.ecx = 50;
		check(run(&regs)->regs.eax, 150, "linked.written.ring%u", ring);
	}
}

/* A store to code that itself lies over two pages, to each half. */
static void straddling(unsigned ring)
{
	uint32_t a = page_alloc(), b = page_alloc(), at = TEST_PAGE + 0x1000 - 3;
	uint8_t code[7] = { 0xb8, 0x11, 0x22, 0x33, 0x44, 0xcd, DONE };

	map(TEST_PAGE, a | PTE_ALL);
	map(TEST_PAGE + 0x1000, b | PTE_ALL);
	__builtin_memcpy((void *)(a + 0x1000 - 3), code, 3);
	__builtin_memcpy((void *)b, code + 3, 4);
	for (unsigned i = 0; i < 8; i++) {
		uint32_t value = 0x01010101 * (i + 1);

		check(write_and_run(at, at, value, ring), value, "straddling%u.ring%u", i, ring);
		((volatile uint8_t *)b)[1] ^= 0x80;
		check(run_code(at, ring), value ^ 0x80000000, "straddling.second%u.ring%u", i,
		      ring);
		((volatile uint8_t *)a)[0xffe] ^= 0x40;
		check(run_code(at, ring), value ^ 0x80000040, "straddling.first%u.ring%u", i, ring);
	}
}

void group_smc(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		for (unsigned i = 0; i < COUNT(modifying); i++)
			one_modifying(&modifying[i], ring, 12);
		written_elsewhere(ring);
		if (paging == PAGING_OFF)
			continue;
		aliased(ring);
		remapped(ring);
		linked(ring);
		straddling(ring);
	}
}
