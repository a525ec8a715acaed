/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where translated code's accesses go: user memory from ring 0, through changed tables, to devices
 * and traced pages. Every guest program runs in every configuration of bt_configurations.h.
 */
#include <string.h>
#include "bt_code.h"
#include "bt_configurations.h"

TestSuite(bt_memory, .timeout = 300);

/* --- views and page tables --- */

/*
 * A kernel in the upper half: the same instructions reach its own memory and user memory by turns.
 */
static void ring0_reaches_user_memory(struct bf *bf)
{
	const uint32_t high = 0xc0000000, table = BF_FREE + 0x90000,
		       kernel = high + BF_DATA + 0x1000, user = BF_FREE + 0xa0000;
	struct code c = code_at(bf, BF_CODE);
	uint32_t loop;

	for (uint32_t n = 0; n < 1024; n++)
		bf_write32(bf, table + 4 * n,
			   n << GUEST_PAGE_SHIFT | PTE_P | PTE_W | PTE_A | PTE_D);
	bf_write32(bf, BF_PAGE_DIR + 4 * (high >> 22), table | PTE_P | PTE_W | PTE_A | PTE_D);
	bf_flush(bf);
	MOV(&c, X86_EBX, kernel);
	MOV(&c, X86_EDX, user);
	MOV(&c, X86_EBP, 100);
	loop = c.at;
	EMIT(&c, 0xff, 0x03);                                         /* inc dword [ebx] */
	/* lea esi, [ebx-8]; lea edi, [edx-8] */
	EMIT(&c, 0x8d, 0x73, 0xf8, 0x8d, 0x7a, 0xf8);
	MOV(&c, X86_ECX, 4);
	EMIT(&c, 0xf3, 0xa5);                                         /* rep movsd */
	/* push [ebx]; pop eax; bts [ebx], dx */
	EMIT(&c, 0xff, 0x33, 0x58, 0x66, 0x0f, 0xab, 0x13);
	EMIT(&c, 0x66, 0x0f, 0xb3, 0x13);                             /* btr [ebx], dx */
	/* fild dword [ebx]; fistp dword [ebx] */
	EMIT(&c, 0xdb, 0x03, 0xdb, 0x1b);
	EMIT(&c, 0x87, 0xd3, 0x4d);                                   /* xchg ebx, edx; dec ebp */
	JNZ(&c, loop);
	STOP(&c);
	bf->cpu->eip = high + BF_CODE;
	bf->cpu->regs[X86_ESP] = high + BF_DATA + 0x3000;
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 100);
	EXPECT_EQ(bf_read32(bf, user), 100);
	EXPECT_EQ(bf_read32(bf, BF_DATA + 0x1000), 100);
}

Test(bt_memory, ring0_reaches_user_memory)
{
	in_all(ring0_reaches_user_memory, 0, true);
}

/* CR4.PGE set, used, and cleared again: then MOV CR3 flushes pages marked global like any. */
static void global_pages_end_with_pge(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);

	bf_write32(bf, REMAPPED, 0x11111111);
	bf_write32(bf, OTHER_FRAME, 0x22222222);
	bf_write32(bf, BF_PTE_AT(REMAPPED), REMAPPED | BF_PTE_USER | PTE_G);
	bf_flush(bf);
	EMIT(&c, 0x0f, 0x20, 0xe0, 0x0d); EMIT32(&c, CR4_PGE);  /* mov eax, cr4; or eax, PGE */
	EMIT(&c, 0x0f, 0x22, 0xe0);
	emit_load_ebx(&c, REMAPPED);
	EMIT(&c, 0x25); EMIT32(&c, ~CR4_PGE);                   /* and eax, ~PGE */
	EMIT(&c, 0x0f, 0x22, 0xe0);
	emit_load_ebx(&c, REMAPPED);
	EMIT(&c, 0xc7, 0x05);
	EMIT32(&c, BF_PTE_AT(REMAPPED));
	EMIT32(&c, OTHER_FRAME | BF_PTE_USER | PTE_G);
	EMIT(&c, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8);           /* mov eax, cr3; mov cr3, eax */
	EMIT(&c, 0x89, 0xd9);                                   /* mov ecx, ebx */
	emit_load_ebx(&c, REMAPPED);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0x11111111);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 0x22222222);
}

Test(bt_memory, global_pages_end_with_pge)
{
	in_all(global_pages_end_with_pge, 0, true);
}

/* A page fault ends what the TLB holds for its address (SDM vol. 3, 4.10.4.1). */
static void page_faults_end_what_the_tlb_held(struct bf *bf)
{
	const uint32_t handler = BF_CODE + 0x800, read_only = BF_PTE_USER & ~PTE_W;
	struct code c = code_at(bf, BF_STUBS + 16 * EXC_PF);

	emit_relative(&c, 0xe9, handler);
	c = code_at(bf, handler);
	emit_load_ebx(&c, REMAPPED);
	STOP(&c);
	bf_write32(bf, REMAPPED, 0x11111111);
	bf_write32(bf, OTHER_FRAME, 0x22222222);
	bf_write32(bf, BF_PTE_AT(REMAPPED), REMAPPED | read_only);
	bf->cpu->cr0 |= CR0_WP;
	bf_flush(bf);
	c = code_at(bf, BF_CODE);
	emit_load_ebx(&c, REMAPPED);
	EMIT(&c, 0xc7, 0x05);
	EMIT32(&c, BF_PTE_AT(REMAPPED));
	EMIT32(&c, OTHER_FRAME | read_only);
	EMIT(&c, 0x89, 0x1d); EMIT32(&c, REMAPPED);             /* mov [REMAPPED], ebx */
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->cr2, REMAPPED);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 0x22222222);
}

Test(bt_memory, page_faults_end_what_the_tlb_held)
{
	in_all(page_faults_end_what_the_tlb_held, 0, true);
}

/* INVLPG of any address in a large page ends all of it (SDM vol. 3, 4.10.4.1). */
static void invlpg_anywhere_in_a_large_page(struct bf *bf)
{
	const uint32_t high = 0xc0000000, entry = BF_PAGE_DIR + 4 * (high >> 22),
		       frame = OTHER_FRAME & ~0x3fffffu, at = OTHER_FRAME - frame;
	const uint32_t unused[] = { 0, 0x1ff000, 0x3ff000 };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(unused); i++) {
		struct code c = code_at(bf, BF_CODE);

		bf_write32(bf, at, 0x11111111);
		bf_write32(bf, OTHER_FRAME, 0x22222222);
		bf_write32(bf, entry, BF_PTE_USER | PTE_PS);
		bf->cpu->cr4 |= CR4_PSE;
		bf_flush(bf);
		emit_load_ebx(&c, high + at);
		EMIT(&c, 0x89, 0xd9);                           /* mov ecx, ebx */
		EMIT(&c, 0xc7, 0x05); EMIT32(&c, entry); EMIT32(&c, frame | BF_PTE_USER | PTE_PS);
		EMIT(&c, 0x0f, 0x01, 0x3d); EMIT32(&c, high + unused[i]); /* invlpg */
		emit_load_ebx(&c, high + at);
		STOP(&c);
		bf->cpu->eip = BF_CODE;
		run_to_stop(bf);
		EXPECT_EQ(bf->cpu->regs[X86_ECX], 0x11111111);
		EXPECT_EQ(bf->cpu->regs[X86_EBX], 0x22222222);
	}
}

Test(bt_memory, invlpg_anywhere_in_a_large_page)
{
	in_all(invlpg_anywhere_in_a_large_page, 0, true);
}

/* A guest that looks for pages in use clears A and loads CR3: the next access sets it again. */
static void accessed_bits_are_set_again(struct bf *bf)
{
	const uint32_t directory = BF_PAGE_DIR + 4 * (REMAPPED >> 22),
		       table = BF_PTE_AT(REMAPPED);
	const struct { uint32_t in_directory, in_table; } kept[] = {
		{ ~PTE_A, ~0u }, { ~0u, ~PTE_A }, { ~PTE_A, ~PTE_A }, { ~PTE_A, ~0u },
		{ ~0u, ~(PTE_A | PTE_D) },
	};
	struct code c = code_at(bf, BF_CODE);
	const uint32_t loop = c.at;

	/* mov edx, [REMAPPED]; mov [REMAPPED], edx; mov edx, cr3 */
	EMIT(&c, 0x8b, 0x15); EMIT32(&c, REMAPPED);
	EMIT(&c, 0x89, 0x15); EMIT32(&c, REMAPPED);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(kept); i++) {
		EMIT(&c, 0x81, 0x25); EMIT32(&c, directory); EMIT32(&c, kept[i].in_directory);
		EMIT(&c, 0x81, 0x25); EMIT32(&c, table); EMIT32(&c, kept[i].in_table);
		EMIT(&c, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8); /* mov eax, cr3; mov cr3, eax */
		if (kept[i].in_table & PTE_D)
			emit_load_ebx(&c, REMAPPED);
		else {
			EMIT(&c, 0x89, 0x15); EMIT32(&c, REMAPPED);
		}
		/* mov ebx, [directory]; and ebx, [table]; and esi, ebx: A in both, each time */
		emit_load_ebx(&c, directory);
		EMIT(&c, 0x23, 0x1d); EMIT32(&c, table);
		EMIT(&c, 0x21, 0xde);
	}
	EMIT(&c, 0x49);                                       /* dec ecx */
	JNZ(&c, loop);
	STOP(&c);
	bf->cpu->regs[X86_ECX] = 20;
	bf->cpu->regs[X86_ESI] = PTE_A;
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_ESI], PTE_A);
	EXPECT_EQ(bf_read32(bf, table) & (PTE_A | PTE_D), PTE_A | PTE_D);
}

Test(bt_memory, accessed_bits_are_set_again)
{
	in_all(accessed_bits_are_set_again, 0, true);
}

/* PAE: a MOV to CR0 that changes CD loads the PDPTEs (SDM vol. 3, 4.4.1). */
static void pdptes_loaded_by_cr0(struct bf *bf)
{
	const uint32_t pdpt = BF_FREE, directory = BF_FREE + 0x1000;
	struct code c = code_at(bf, BF_CODE);

	for (uint32_t i = 0; i < 4; i++) {
		const uint64_t entry = i * 0x200000 | BF_PTE_USER | PTE_PS;

		bf_write(bf, directory + 8 * i, &entry, 8);
	}
	bf_write32(bf, pdpt, directory | PTE_P);
	bf_write32(bf, REMAPPED, 0x33333333);
	bf->cpu->cr0 &= ~CR0_PG;
	bf_flush(bf);
	EMIT(&c, 0xb8); EMIT32(&c, pdpt); EMIT(&c, 0x0f, 0x22, 0xd8);                 /* CR3 */
	/* CR4 |= PAE */
	EMIT(&c, 0x0f, 0x20, 0xe0, 0x83, 0xc8, CR4_PAE, 0x0f, 0x22, 0xe0);
	EMIT(&c, 0x0f, 0x20, 0xc0, 0x0d); EMIT32(&c, CR0_PG); EMIT(&c, 0x0f, 0x22, 0xc0);
	/* the second GiB */
	EMIT(&c, 0xc7, 0x05); EMIT32(&c, pdpt + 8); EMIT32(&c, directory | PTE_P);
	EMIT(&c, 0x0f, 0x20, 0xc0, 0x0d); EMIT32(&c, CR0_CD); EMIT(&c, 0x0f, 0x22, 0xc0);
	emit_load_ebx(&c, 0x40000000 + REMAPPED);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 0x33333333);
}

Test(bt_memory, pdptes_loaded_by_cr0)
{
	in_all(pdptes_loaded_by_cr0, 0, true);
}

/* --- stores that go to a device, or to traced pages --- */

#define STORES 200u

struct stores {
	unsigned n, taken;
	struct { gpa_t gpa; uint32_t value; } at[4 * STORES];
	bool refuse;
};

/* struct vm.store_unlocked */
__attribute__((target("general-regs-only"))) static bool note_store(void *opaque, gpa_t gpa,
								    uint32_t value)
{
	struct stores *s = opaque;

	if (s->n < RF_ARRAY_SIZE(s->at)) {
		s->at[s->n].gpa = gpa;
		s->at[s->n].value = value;
	}
	s->n++;
	s->taken += !s->refuse;
	return !s->refuse;
}

static void stores_to_a_device(struct bf *bf)
{
	for (unsigned refuse = 0; refuse < 2; refuse++) {
		struct stores stores = { .refuse = refuse };
		struct fxsave_image fpu = bf->cpu->fpu;
		struct code c = code_at(bf, BF_CODE);
		uint32_t loop;

		bf->vm.store_unlocked = note_store;
		bf->vm.store_unlocked_opaque = &stores;
		bf_map_page(bf, REMAPPED, DEVICE);
		fpu.mxcsr = 0x3f80;
		for (unsigned i = 0; i < 8; i++)
			memset(fpu.xmm[i], 0x30 + i, 16);
		bf->cpu->fpu = fpu;
		bf_set_segment(bf, X86_FS, BF_BASED);
		MOV(&c, X86_ECX, STORES);
		MOV(&c, X86_EBX, REMAPPED);
		MOV(&c, X86_EBP, REMAPPED + 0x20 - (BF_DATA + 0x2800));
		loop = c.at;
		EMIT(&c, 0x51);                                              /* push ecx */
		/* xor eax, eax; sub eax, 1: CF, SF, PF, AF */
		EMIT(&c, 0x31, 0xc0, 0x83, 0xe8, 0x01);
		/* mov [ebx + 10h], ecx */
		EMIT(&c, 0x89, 0x4b, 0x10);
		/* mov dword fs:[ebx + ...], 12345678h */
		EMIT(&c, 0x64, 0xc7, 0x83);
		EMIT32(&c, 0x14 - (BF_DATA + 0x2000));
		EMIT32(&c, 0x12345678);
		/* mov [REMAPPED + 18h], eax */
		EMIT(&c, 0xa3); EMIT32(&c, REMAPPED + 0x18);
		/* mov [esp + ebp + 4], esp */
		EMIT(&c, 0x89, 0x64, 0x2c, 0x04);
		/* jnc; js over; xor ebx, ebx: lost flags */
		EMIT(&c, 0x73, 0x02, 0x78, 0x02, 0x31, 0xdb);
		EMIT(&c, 0x59, 0x49);                                        /* pop ecx; dec ecx */
		JNZ(&c, loop);
		STOP(&c);
		bf->cpu->eip = BF_CODE;
		bf->cpu->regs[X86_ESP] = BF_DATA + 0x2800;
		run_to_stop(bf);
		EXPECT_EQ(stores.n, 4 * STORES);
		EXPECT_EQ(stores.taken, refuse ? 0 : 4 * STORES);
		for (unsigned i = 0; i < STORES && i < stores.n / 4; i++) {
			const uint32_t want[4] = { STORES - i, 0x12345678, 0xffffffff,
						   BF_DATA + 0x27fc };

			for (unsigned k = 0; k < 4; k++) {
				EXPECT_EQ(stores.at[4 * i + k].value, want[k]);
				EXPECT_EQ(stores.at[4 * i + k].gpa.v,
					  k == 3 ? DEVICE + 0x20 : DEVICE + 0x10 + 4 * k);
			}
		}
		EXPECT_EQ(bf->cpu->fpu.mxcsr, fpu.mxcsr);
		for (unsigned i = 0; i < 8; i++)
			EXPECT_EQ(memcmp(bf->cpu->fpu.xmm[i], fpu.xmm[i], 16), 0);
		if (bf->vm.vcpu.engine == &engine_bt && !bf->options[0]) {
			EXPECT_EQ(bf_stat(bf, "dispatcher", "callouts_store"),
				  4 * STORES * (refuse + 1));
		}
	}
}

Test(bt_memory, stores_to_a_device)
{
	in_all(stores_to_a_device, 0, true);
	in_all(stores_to_a_device, 3, true);
}

/* An instruction of ring 3 that has stored to a device may still not store to ring 0's memory. */
static void stores_of_ring3_stay_its_own(struct bf *bf)
{
	const uint32_t kernels = BF_DATA + (BF_SUPERVISOR_PAGE << GUEST_PAGE_SHIFT) + 0x10;
	struct stores stores = { 0 };
	struct code c = code_at(bf, BF_CODE);
	uint32_t loop;
	int vector;

	bf->vm.store_unlocked = note_store;
	bf->vm.store_unlocked_opaque = &stores;
	bf_write32(bf, kernels, 0x12345678);
	bf_map_page(bf, REMAPPED, DEVICE);
	MOV(&c, X86_ECX, 20);
	MOV(&c, X86_EBX, REMAPPED + 0x10);
	loop = c.at;
	EMIT(&c, 0x89, 0x0b);                                 /* mov [ebx], ecx */
	EMIT(&c, 0x49);                                       /* dec ecx */
	JNZ(&c, loop);
	MOV(&c, X86_EBX, kernels);
	JMP(&c, loop);
	bf->cpu->eip = BF_CODE;
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	EXPECT_EQ(vector, EXC_PF);
	EXPECT_EQ(bf->cpu->cr2, kernels);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP]), 7); /* present, write, user */
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP] + 4), loop);
	EXPECT_EQ(bf_read32(bf, kernels), 0x12345678);
	EXPECT_EQ(stores.n, 20);
	if (bf->vm.vcpu.engine == &engine_bt && !bf->options[0])
		EXPECT_EQ(bf_stat(bf, "dispatcher", "callouts_store"), 21);
}

Test(bt_memory, stores_of_ring3_stay_its_own)
{
	in_all(stores_of_ring3_stay_its_own, 3, true);
}

/*
 * One instruction stores to a device, then to memory, to a page that is not there, and to its own
 * page.
 */
static void stores_to_all_kinds_of_places(struct bf *bf)
{
	struct stores stores = { 0 };
	struct code c = code_at(bf, BF_CODE);
	uint32_t fault_at;
	int vector;

	bf->vm.store_unlocked = note_store;
	bf->vm.store_unlocked_opaque = &stores;
	bf_write32(bf, BF_PTE_AT(REMAPPED), DEVICE | BF_PTE_USER);
	bf_write32(bf, BF_PTE_AT(REMAPPED + 0x1000), (REMAPPED + 0x1000) | BF_PTE_USER);
	bf_write32(bf, BF_PTE_AT(REMAPPED + 0x2000), 0);
	bf_flush(bf);
	for (unsigned i = 0; i < 100; i++) /* long enough to be translated plainly again */
		bf_write32(bf, BF_DATA + 4 * i,
			   i < 10  ? REMAPPED + 8 :
			   i == 99 ? FUNCTION + 1 :
				     REMAPPED + 0x1000 + 4 * i);
	bf_write32(bf, BF_DATA + 4 * 100, REMAPPED + 0x2004);
	write_value_function(bf, FUNCTION, 1);
	MOV(&c, X86_ESI, BF_DATA);
	const uint32_t loop = c.at;
	CALL(&c, FUNCTION);
	/* add edx, eax; mov ebx, [esi]; add esi, 4 */
	EMIT(&c, 0x01, 0xc2, 0x8b, 0x1e, 0x83, 0xc6, 0x04);
	fault_at = c.at;
	EMIT(&c, 0x89, 0x33);                                                /* mov [ebx], esi */
	JMP(&c, loop);
	bf->cpu->eip = BF_CODE;
	bf->cpu->regs[X86_EDX] = 0;
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	EXPECT_EQ(vector, EXC_PF);
	EXPECT_EQ(bf->cpu->cr2, REMAPPED + 0x2004);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP] + 4), fault_at);
	EXPECT_EQ(bf->cpu->regs[X86_EDX], 100 + BF_DATA + 400);
	EXPECT_EQ(stores.n, 10);
	for (unsigned i = 0; i < 10; i++)
		EXPECT_EQ(stores.at[i].value, BF_DATA + 4 * (i + 1));
	for (unsigned i = 10; i < 99; i++)
		EXPECT_EQ(bf_read32(bf, REMAPPED + 0x1000 + 4 * i), BF_DATA + 4 * (i + 1));
}

Test(bt_memory, stores_to_all_kinds_of_places)
{
	in_all(stores_to_all_kinds_of_places, 0, true);
}
