/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a debugger asks of a processor (monitor/vm/debugger.h): breakpoints, watchpoints and steps,
 * on each engine, in code of 32 and 16 bits.
 */
#include <string.h>
#include "bt_fixture.h"

TestSuite(debugger, .timeout = 120);

static const struct {
	const char *engine, *options;
} engines[] = { { "interp", NULL }, { "bt", NULL }, { "bt", "young=always" },
		{ "bt", "tu-insns=1" } };

#define EACH_ENGINE(bf) \
	for (size_t i_ = 0; i_ < RF_ARRAY_SIZE(engines); i_++) \
		for (struct bf *bf = begin(i_); bf; bf = end(bf))

static struct bf *begin(size_t i)
{
	struct bf *bf = bf_create(engines[i].engine, engines[i].options);

	snprintf(bf->name, sizeof(bf->name), "%s,%s", engines[i].engine,
		 engines[i].options ? engines[i].options : "");
	bf_reset(bf, 0, true);
	return bf;
}

static struct bf *end(struct bf *bf)
{
	bf_destroy(bf);
	return NULL;
}

static struct debugger *debugger_of(struct bf *bf)
{
	return &bf->vm.vcpu.debugger;
}

static void unpause(struct bf *bf)
{
	bf->vm.paused = false;
	debugger_of(bf)->why = DEBUGGER_PAUSED;
	vcpu_clear_event(&bf->vm.vcpu, EVENT_STOP);
}

/* Runs to a stop: DEBUGGER_PAUSED if that is the program's end. */
static enum debugger_why go(struct bf *bf)
{
	enum bf_outcome outcome;
	int vector;

	unpause(bf);
	outcome = bf_run(bf, &vector);
	cr_assert(outcome == BF_STOPPED, "%s: outcome %d, vector %d", bf->name, outcome, vector);
	return debugger_of(bf)->why;
}

static void step(struct bf *bf)
{
	unpause(bf);
	debugger_of(bf)->stepping = true;
	bf->vm.vcpu.engine->step(&bf->vm.vcpu);
	debugger_of(bf)->stepping = false;
	cr_expect_eq(debugger_of(bf)->why, DEBUGGER_STEPPED, "%s", bf->name);
	unpause(bf);
}

static void insert(struct bf *bf, gva_t gva)
{
	cr_assert_eq(debugger_insert_breakpoint(&bf->vm.vcpu, gva), 0);
}

static void drop(struct bf *bf, gva_t gva)
{
	cr_assert_eq(debugger_remove_breakpoint(&bf->vm.vcpu, gva), 0);
}

static void watch(struct bf *bf, gva_t gva, uint32_t len, enum debugger_watch kind)
{
	const struct debugger_watchpoint w = { gva, len, kind };

	cr_assert_eq(debugger_insert_watchpoint(&bf->vm.vcpu, &w), 0);
}

#define EXPECT_STOP(bf, reason, at) \
	do { \
		cr_expect_eq(go(bf), reason, "%s: stop %d at %x", bf->name, \
			     debugger_of(bf)->why, bf->cpu->eip); \
		cr_expect_eq(bf->cpu->eip, (uint32_t)(at), "%s: at %x", bf->name, bf->cpu->eip); \
	} while (0)

/* --- breakpoints --- */

Test(debugger, a_breakpoint_stops_before_its_instruction)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, 0x40, 0x43, 0x41, BF_STOP);
		insert(bf, BF_CODE + 1);
		EXPECT_STOP(bf, DEBUGGER_BREAKPOINT, BF_CODE + 1);
		cr_expect(bf->cpu->regs[X86_EAX] == 1 && bf->cpu->regs[X86_EBX] == 0);
		step(bf);
		cr_expect_eq(bf->cpu->eip, BF_CODE + 2);
		cr_expect_eq(bf->cpu->regs[X86_EBX], 1);
		EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 5);
		cr_expect_eq(bf->cpu->regs[X86_ECX], 1);
	}
}

/* Twenty rounds: inc eax; inc ebx; cmp eax, 20; jnz */
#define LOOP 0x40, 0x43, 0x83, 0xf8, 20, 0x75, 0xf9, BF_STOP

Test(debugger, one_in_code_that_has_run_and_is_linked)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, LOOP);
		EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 9);
		bf->cpu->regs[X86_EAX] = 0;
		bf->cpu->eip = BF_CODE;
		insert(bf, BF_CODE + 1);
		for (unsigned round = 1; round <= 20; round++) {
			EXPECT_STOP(bf, DEBUGGER_BREAKPOINT, BF_CODE + 1);
			cr_expect_eq(bf->cpu->regs[X86_EAX], round, "%s", bf->name);
			step(bf);
		}
		EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 9);
	}
}

Test(debugger, one_that_is_removed_stops_no_more)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, LOOP);
		insert(bf, BF_CODE);
		insert(bf, BF_CODE + 2);
		EXPECT_STOP(bf, DEBUGGER_BREAKPOINT, BF_CODE);
		drop(bf, BF_CODE);
		EXPECT_STOP(bf, DEBUGGER_BREAKPOINT, BF_CODE + 2);
		drop(bf, BF_CODE + 2);
		EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 9);
		cr_expect_eq(bf->cpu->regs[X86_EAX], 20);
	}
}

Test(debugger, one_where_a_call_returns_to)
{
	EACH_ENGINE(bf) {
		/* call +3; inc eax; stop; ret */
		BF_CODE_AT(bf, BF_CODE, 0xe8, 3, 0, 0, 0, 0x40, BF_STOP, 0xc3);
		EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 8);
		bf->cpu->eip = BF_CODE;
		insert(bf, BF_CODE + 5);
		EXPECT_STOP(bf, DEBUGGER_BREAKPOINT, BF_CODE + 5);
		cr_expect_eq(bf->cpu->regs[X86_EAX], 1);
	}
}

Test(debugger, the_guest_reads_its_own_bytes)
{
	EACH_ENGINE(bf) {
		/* mov al, [BF_CODE + 5]; inc ebx; stop */
		BF_CODE_AT(bf, BF_CODE, 0xa0, 5, 0, BF_CODE >> 16, 0, 0x43, BF_STOP);
		insert(bf, BF_CODE + 5);
		EXPECT_STOP(bf, DEBUGGER_BREAKPOINT, BF_CODE + 5);
		cr_expect_eq(bf->cpu->regs[X86_EAX] & 0xff, 0x43, "%s", bf->name);
	}
}

/* After STI there is no room for a stop of the guest's, but for one of the debugger's there is. */
Test(debugger, one_after_sti_keeps_interrupts_off)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, 0xfb, 0x40, 0xfa, BF_STOP);
		insert(bf, BF_CODE + 1);
		EXPECT_STOP(bf, DEBUGGER_BREAKPOINT, BF_CODE + 1);
		cr_expect_eq(bf->cpu->inhibit, INHIBIT_STI, "%s", bf->name);
	}
}

Test(debugger, rf_holds_one_off_once)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, LOOP);
		insert(bf, BF_CODE);
		bf->cpu->eflags |= X86_RF;
		EXPECT_STOP(bf, DEBUGGER_BREAKPOINT, BF_CODE);
		cr_expect_eq(bf->cpu->regs[X86_EAX], 1, "%s", bf->name);
	}
}

/* What returns with RF set, to an instruction that is begun again, passes it too. */
Test(debugger, iret_with_rf_passes_one)
{
	EACH_ENGINE(bf) {
		const uint32_t frame[] = { BF_CODE + 1, BF_KCODE, X86_RF | X86_F1 };

		BF_CODE_AT(bf, BF_CODE, 0xcf, 0x40, BF_STOP); /* iret; inc eax; stop */
		bf_write(bf, bf->cpu->regs[X86_ESP], frame, sizeof(frame));
		insert(bf, BF_CODE + 1);
		EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 4);
		cr_expect_eq(bf->cpu->regs[X86_EAX], 1, "%s", bf->name);
	}
}

static void enter_real_mode(struct bf *bf)
{
	bf_reset(bf, 0, false);
	bf->cpu->cr0 &= ~CR0_PE;
	for (unsigned i = 0; i < X86_NSEG; i++)
		bf->cpu->seg[i] = (struct segment){ .selector = 0x100, .base = 0x1000,
						    .limit = 0xffff, .attr = 0x93 };
	bf->cpu->eip = 0x10;
	bf->cpu->regs[X86_ESP] = 0x800;
	bf_flush(bf);
}

Test(debugger, in_real_mode_it_is_the_linear_address)
{
	EACH_ENGINE(bf) {
		enter_real_mode(bf);
		BF_CODE_AT(bf, 0x1010, LOOP);
		insert(bf, 0x1011);
		insert(bf, 0x11);
		for (unsigned round = 1; round <= 20; round++) {
			EXPECT_STOP(bf, DEBUGGER_BREAKPOINT, 0x11);
			cr_expect_eq(bf->cpu->regs[X86_EAX], round, "%s", bf->name);
			step(bf);
			cr_expect_eq(bf->cpu->eip, 0x12);
		}
		EXPECT_STOP(bf, DEBUGGER_PAUSED, 0x19);
	}
}

Test(debugger, there_is_room_for_some)
{
	EACH_ENGINE(bf) {
		struct vcpu *vcpu = &bf->vm.vcpu;

		for (gva_t i = 0; i < DEBUGGER_BREAKPOINTS; i++)
			insert(bf, BF_CODE + 64 * i);
		cr_expect_eq(debugger_insert_breakpoint(vcpu, BF_CODE), -EEXIST);
		cr_expect_eq(debugger_insert_breakpoint(vcpu, 7), -ENOSPC);
		cr_expect_eq(debugger_remove_breakpoint(vcpu, 7), -ENOENT);
		debugger_remove_all(vcpu);
		insert(bf, 7);
	}
}

/* --- watchpoints --- */

#define CELL (BF_DATA + 0x1010)
#define CELL_BYTES 0x10, 0x10, BF_DATA >> 16, 0

Test(debugger, a_store_stops_after_its_instruction)
{
	EACH_ENGINE(bf) {
		/* mov [CELL], eax; inc ebx; stop */
		BF_CODE_AT(bf, BF_CODE, 0xa3, CELL_BYTES, 0x43, BF_STOP);
		bf->cpu->regs[X86_EAX] = 0x12345678;
		watch(bf, CELL + 2, 1, DEBUGGER_WRITES);
		EXPECT_STOP(bf, DEBUGGER_WATCHPOINT, BF_CODE + 5);
		cr_expect_eq(debugger_of(bf)->hit, CELL + 2);
		cr_expect_eq(bf_read32(bf, CELL), 0x12345678);
		EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 8);
	}
}

/* A hundred rounds over the page, of which one touches the byte: mov [edi], al; add edi, 4; loop */
Test(debugger, its_neighbours_on_the_page_do_not)
{
	EACH_ENGINE(bf) {
		for (int warm = 0; warm < 2; warm++) {
			BF_CODE_AT(bf, BF_CODE, 0x88, 0x07, 0x83, 0xc7, 4, 0xe2, 0xf9, BF_STOP);
			bf->cpu->eip = BF_CODE;
			bf->cpu->regs[X86_EDI] = CELL - 4 * 50;
			bf->cpu->regs[X86_ECX] = 100;
			if (!warm)
				watch(bf, CELL, 4, DEBUGGER_WRITES);
			EXPECT_STOP(bf, DEBUGGER_WATCHPOINT, BF_CODE + 2);
			cr_expect_eq(bf->cpu->regs[X86_EDI], CELL, "%s", bf->name);
			EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 9);
		}
	}
}

Test(debugger, reads_and_accesses)
{
	static const enum debugger_watch kinds[] = { DEBUGGER_WRITES, DEBUGGER_READS,
						     DEBUGGER_ACCESSES };

	EACH_ENGINE(bf) {
		/* mov eax, [CELL]; mov [CELL], eax; inc dword [CELL]; stop */
		BF_CODE_AT(bf, BF_CODE, 0xa1, CELL_BYTES, 0xa3, CELL_BYTES, 0xff, 0x05, CELL_BYTES,
			   BF_STOP);
		for (size_t k = 0; k < RF_ARRAY_SIZE(kinds); k++) {
			debugger_remove_all(&bf->vm.vcpu);
			bf->cpu->eip = BF_CODE;
			watch(bf, CELL, 4, kinds[k]);
			if (kinds[k] & DEBUGGER_READS)
				EXPECT_STOP(bf, DEBUGGER_WATCHPOINT, BF_CODE + 5);
			if (kinds[k] & DEBUGGER_WRITES)
				EXPECT_STOP(bf, DEBUGGER_WATCHPOINT, BF_CODE + 10);
			EXPECT_STOP(bf, DEBUGGER_WATCHPOINT, BF_CODE + 16);
			EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 18);
		}
	}
}

Test(debugger, one_that_is_removed_is_forgotten)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, 0xa1, CELL_BYTES, BF_STOP);
		watch(bf, CELL, 4, DEBUGGER_ACCESSES);
		EXPECT_STOP(bf, DEBUGGER_WATCHPOINT, BF_CODE + 5);
		debugger_remove_all(&bf->vm.vcpu);
		bf->cpu->eip = BF_CODE;
		EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 7);
	}
}

Test(debugger, an_access_over_the_end_of_a_page)
{
	EACH_ENGINE(bf) {
		/* mov [BF_DATA + 0x1ffe], eax; stop */
		BF_CODE_AT(bf, BF_CODE, 0xa3, 0xfe, 0x1f, BF_DATA >> 16, 0, BF_STOP);
		watch(bf, BF_DATA + 0x2001, 1, DEBUGGER_WRITES);
		EXPECT_STOP(bf, DEBUGGER_WATCHPOINT, BF_CODE + 5);
		cr_expect_eq(debugger_of(bf)->hit, BF_DATA + 0x2001);
	}
}

/* rep movsb, whose fourth byte is watched: it stops between two rounds, and goes on. */
Test(debugger, a_string_stops_after_the_round)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, 0xf3, 0xa4, BF_STOP);
		bf->cpu->regs[X86_ESI] = BF_DATA;
		bf->cpu->regs[X86_EDI] = CELL - 3;
		bf->cpu->regs[X86_ECX] = 10;
		watch(bf, CELL, 1, DEBUGGER_WRITES);
		EXPECT_STOP(bf, DEBUGGER_WATCHPOINT, BF_CODE);
		cr_expect_eq(bf->cpu->regs[X86_ECX], 6, "%s", bf->name);
		EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 4);
		cr_expect_eq(bf->cpu->regs[X86_ECX], 0);
	}
}

/* What INT n pushes: the stop is at the handler's first instruction. */
Test(debugger, a_push_of_the_processor)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, 0xcd, 0x30, BF_STOP);
		watch(bf, bf->cpu->regs[X86_ESP] - 4, 4, DEBUGGER_WRITES);
		cr_expect_eq(go(bf), DEBUGGER_WATCHPOINT, "%s", bf->name);
		cr_expect_eq(bf->cpu->eip, BF_STUBS + 16 * 0x30, "%s", bf->name);
	}
}

Test(debugger, one_in_real_mode)
{
	EACH_ENGINE(bf) {
		enter_real_mode(bf);
		/* mov [0x500], ax; inc bx; stop */
		BF_CODE_AT(bf, 0x1010, 0xa3, 0x00, 0x05, 0x43, BF_STOP);
		watch(bf, 0x1501, 1, DEBUGGER_WRITES);
		EXPECT_STOP(bf, DEBUGGER_WATCHPOINT, 0x13);
		EXPECT_STOP(bf, DEBUGGER_PAUSED, 0x16);
	}
}

/* The limit of a segment of 4 GiB is probed where the store goes: by a load. */
Test(debugger, stores_of_unreal_mode_beside_one_go_on)
{
	EACH_ENGINE(bf) {
		enter_real_mode(bf);
		bf->cpu->seg[X86_DS].limit = 0xffffffff;
		bf_flush(bf);
		/* mov cx, 40; mov [ebx], al; inc al; dec cx; jnz; stop */
		BF_CODE_AT(bf, 0x1010, 0xb9, 40, 0, 0x67, 0x88, 0x03, 0xfe, 0xc0, 0x49, 0x75, 0xf8,
			   BF_STOP);
		bf->cpu->regs[X86_EAX] = 0;
		bf->cpu->regs[X86_EBX] = 0x4500;
		watch(bf, bf->cpu->seg[X86_DS].base + 0x4800, 1, DEBUGGER_ACCESSES);
		EXPECT_STOP(bf, DEBUGGER_PAUSED, 0x1d);
		cr_expect_eq(bf->ram[bf->cpu->seg[X86_DS].base + 0x4500], 39, "%s", bf->name);
	}
}

/* --- steps --- */

/* A program, and where each step is to end; a step more ends it. */
static void expect_steps(struct bf *bf, const uint32_t *ends, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		step(bf);
		cr_expect_eq(bf->cpu->eip, ends[i], "%s: step %u ends at %x", bf->name, i,
			     bf->cpu->eip);
	}
}

#define EXPECT_STEPS(bf, ...) \
	expect_steps(bf, (const uint32_t[]){ __VA_ARGS__ }, \
		     sizeof((const uint32_t[]){ __VA_ARGS__ }) / 4)

Test(debugger, a_step_is_one_instruction)
{
	EACH_ENGINE(bf) {
		/* mov eax, ss; mov ss, eax; sti; cli; pushf; pop eax; jmp +1; ...; call +0 */
		BF_CODE_AT(bf, BF_CODE, 0x8c, 0xd0, 0x8e, 0xd0, 0xfb, 0xfa, 0x9c, 0x58, 0xeb, 1,
			   0x90, 0xe8, 0, 0, 0, 0, BF_STOP);
		EXPECT_STEPS(bf, BF_CODE + 2, BF_CODE + 4, BF_CODE + 5, BF_CODE + 6, BF_CODE + 7,
			     BF_CODE + 8, BF_CODE + 11, BF_CODE + 16);
		cr_expect_not(bf->cpu->regs[X86_EAX] & X86_TF, "%s: pushed", bf->name);
		EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 18);
	}
}

Test(debugger, a_step_is_one_round_of_a_string)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, 0xf3, 0xaa, BF_STOP);
		bf->cpu->regs[X86_EDI] = BF_DATA;
		bf->cpu->regs[X86_ECX] = 3;
		EXPECT_STEPS(bf, BF_CODE, BF_CODE, BF_CODE + 2);
		cr_expect_eq(bf->cpu->regs[X86_ECX], 0);
		bf->cpu->eip = BF_CODE;
		bf->cpu->regs[X86_ECX] = 3;
		EXPECT_STEPS(bf, BF_CODE);
		EXPECT_STOP(bf, DEBUGGER_PAUSED, BF_CODE + 4);
		cr_expect_eq(bf->cpu->regs[X86_ECX], 0);
	}
}

Test(debugger, a_step_into_a_handler_ends_at_its_start)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, 0xcd, 0x30, 0x0f, 0x0b); /* int 0x30; ud2 */
		EXPECT_STEPS(bf, BF_STUBS + 16 * 0x30);
		bf->cpu->eip = BF_CODE + 2;
		EXPECT_STEPS(bf, BF_STUBS + 16 * EXC_UD);
	}
}

Test(debugger, iret_and_popf_are_one_step_each)
{
	EACH_ENGINE(bf) {
		const uint32_t frame[] = { X86_F1, BF_CODE + 4, BF_KCODE, X86_F1 };

		BF_CODE_AT(bf, BF_CODE, 0x9d, 0xcf, 0x90, 0x90, 0x40, BF_STOP);
		bf_write(bf, bf->cpu->regs[X86_ESP], frame, sizeof(frame));
		EXPECT_STEPS(bf, BF_CODE + 1, BF_CODE + 4, BF_CODE + 5);
	}
}

/* The guest's own TF and INT3 are its own. */
Test(debugger, the_guests_traps_go_to_the_guest)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, 0x40, 0xcc);
		bf->cpu->eflags |= X86_TF;
		EXPECT_STEPS(bf, BF_STUBS + 16 * EXC_DB);
		cr_expect_eq(bf_read32(bf, bf->cpu->regs[X86_ESP]), BF_CODE + 1);
		cr_expect(bf_read32(bf, bf->cpu->regs[X86_ESP] + 8) & X86_TF, "%s", bf->name);
		bf->cpu->eip = BF_CODE + 1;
		EXPECT_STEPS(bf, BF_STUBS + 16 * EXC_BP);
	}
}

Test(debugger, hlt_is_a_step_and_waiting_another)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, 0xf4, BF_STOP);
		EXPECT_STEPS(bf, BF_CODE + 1);
		cr_expect(bf->cpu->halted);
		vcpu_raise_event(&bf->vm.vcpu, EVENT_NMI);
		EXPECT_STEPS(bf, BF_STUBS + 16 * EXC_NMI);
		cr_expect_not(bf->cpu->halted);
	}
}

Test(debugger, a_step_takes_no_interrupt)
{
	EACH_ENGINE(bf) {
		BF_CODE_AT(bf, BF_CODE, 0x40, 0x40, BF_STOP);
		vcpu_raise_event(&bf->vm.vcpu, EVENT_NMI);
		EXPECT_STEPS(bf, BF_CODE + 1, BF_CODE + 2);
	}
}

/* --- what is not debugged is translated --- */

Test(debugger, other_code_and_data_are_as_fast)
{
	struct bf *bf = begin(1);
	long before;

	/* mov [BF_DATA], eax; inc eax; cmp eax, 10000; jnz; stop */
	BF_CODE_AT(bf, BF_CODE, 0xa3, 0, 0, BF_DATA >> 16, 0, 0x40, 0x3d, 0x10, 0x27, 0, 0, 0x75,
		   0xf3, BF_STOP);
	insert(bf, BF_CODE + 13);
	watch(bf, CELL, 4, DEBUGGER_ACCESSES);
	before = bf_stat(bf, "dispatcher", "interpreted") +
		 bf_stat(bf, "dispatcher", "callouts_interpret") +
		 bf_stat(bf, "dispatcher", "entries");
	EXPECT_STOP(bf, DEBUGGER_BREAKPOINT, BF_CODE + 13);
	cr_expect_eq(bf->cpu->regs[X86_EAX], 10000);
	cr_expect_lt(bf_stat(bf, "dispatcher", "interpreted") +
			     bf_stat(bf, "dispatcher", "callouts_interpret") +
			     bf_stat(bf, "dispatcher", "entries") - before,
		     20);
	bf_destroy(bf);
}
