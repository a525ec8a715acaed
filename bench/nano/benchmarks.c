/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of benchmarks: those of Adams and Agesen's paper first, as far as a 32-bit guest has
 * them.
 */
#include "layout.h"
#include "nano.h"

#define LOOP(name) extern void loop_##name(uint32_t count)
#define USER_LOOP(name) \
	extern const char user_##name[]; \
	static void loop_user_##name(uint32_t count) { run_user(user_##name, count); } \
	_Static_assert(1, "")

LOOP(call_ret);
LOOP(call_indirect);
LOOP(call_indirect_8);
LOOP(load);
LOOP(rdtsc);
LOOP(cpuid);
LOOP(smc);
LOOP(smc_beside);
LOOP(in_80h);
LOOP(in_pic);
LOOP(out_80h);
LOOP(tpr_write);
LOOP(mmio_write);
LOOP(mmio_read);
LOOP(cli_sti);
LOOP(pushf_popf);
LOOP(irq_save);
LOOP(iret);
LOOP(lret);
LOOP(mov_ds);
LOOP(mov_from_cr0);
LOOP(clts);
LOOP(rdmsr);
LOOP(sgdt);
LOOP(int3);
LOOP(irq_self);
LOOP(task_switch);
LOOP(cr3_same);
LOOP(cr3_switch);
LOOP(cr3_switch_use);
LOOP(invlpg);
LOOP(invlpg_use);
LOOP(ptemod); LOOP(ptemod_use);
USER_LOOP(empty);
USER_LOOP(syscall_int80);
USER_LOOP(syscall_sysenter);
USER_LOOP(divzero);
USER_LOOP(pgfault);
USER_LOOP(pgfault_write); USER_LOOP(touch);

extern uint32_t smc_stale, wrong_page;

/* code16.S. The loops' symbols are offsets in the 16-bit code. */
extern char code16_start[], code16_end[];
void run_real(const char *loop, uint32_t count);
void run_v86(const char *loop, uint32_t count);
void run_p286(const char *loop, uint32_t count);

/* Many: the way to real mode and back takes milliseconds where address spaces are mapped. */
#define MOST_16  (1u << 22)
#define MANY_16  (1u << 18)
#define FEWER_16 (1u << 15)

/* Once: it is not to be new code each time. */
static void copy_code16(void)
{
	static bool done;
	volatile char *to = (volatile char *)CODE16_BASE, *to286 = (volatile char *)CODE286_BASE;

	for (const char *from = code16_start; !done && from < code16_end;) {
		*to++ = *from;
		*to286++ = *from++;
	}
	done = true;
}

#define LOOP16(mode, name) \
	extern const char code16_##name[]; \
	static void loop_##mode##_##name(uint32_t count) \
	{ \
		copy_code16(); \
		run_##mode(code16_##name, count); \
	} \
	_Static_assert(1, "")
LOOP16(real, empty); LOOP16(v86, empty); LOOP16(p286, empty);
LOOP16(real, mix); LOOP16(v86, mix); LOOP16(p286, mix);
LOOP16(real, strings); LOOP16(v86, strings); LOOP16(p286, strings);
LOOP16(real, rep_movsw); LOOP16(v86, rep_movsw); LOOP16(p286, rep_movsw);
LOOP16(real, segments); LOOP16(v86, segments); LOOP16(p286, segments);
LOOP16(real, far); LOOP16(v86, far); LOOP16(p286, far);
LOOP16(real, int); LOOP16(real, boot_stack);

/*
 * Changes a batch of entries, flushes them all at once, uses them: what a context switch or
 * munmap() amounts to.
 */
static void loop_ptemod_batch(uint32_t count)
{
	enum { BATCH = 64 };

	for (uint32_t i = 0; i < count; i++) {
		uint32_t frame = (i & 1 ? SCRATCH_FRAMES : OTHER_FRAMES),
			 flags = scratch_table[0] & 0xfff;

		for (uint32_t page = 0; page < BATCH; page++)
			*(volatile uint32_t *)&scratch_table[page] = (frame + (page << 12)) | flags;
		write_cr3(main_directory);
		for (uint32_t page = 0; page < BATCH; page++)
			wrong_page += *(volatile uint32_t *)(SCRATCH_BASE + (page << 12)) !=
				      frame + (page << 12);
	}
}

/* Each round begins with the tables as they were built. */
static void scratch_reset(void)
{
	for (uint32_t page = 0; page < PAGES; page++)
		scratch_table[page] = (SCRATCH_FRAMES + (page << 12)) |
				      (scratch_table[page] & 0xfff);
	write_cr3(main_directory);
	(void)*(volatile uint32_t *)SCRATCH_BASE;
}

/* The pages are there: what is left is what pgfault does beside faulting. */
static void demand_present(void)
{
	demand_absent();
	loop_user_pgfault(PAGES);
}

/*
 * The first two are what is subtracted from the others: for a reader whose clock is not the
 * guest's.
 */
const struct benchmark benchmarks[] = {
	{ "empty", loop_empty, NULL, NULL, 1, 0, 0, 0 },
	{ "empty-user", loop_user_empty, NULL, NULL, 1, 0, 0, 0 },
	{ "syscall-int80", loop_user_syscall_int80, loop_user_empty, NULL, 1, 0, 1, 0 },
	{ "syscall-sysenter", loop_user_syscall_sysenter, loop_user_empty, NULL, 1, 0, 1, CPU_SEP },
	{ "in", loop_in_80h, loop_empty, NULL, 1, 0, 0, 0 },
	{ "tpr-write", loop_tpr_write, loop_empty, NULL, 1, 0, 0, CPU_APIC },
	{ "call-ret", loop_call_ret, loop_empty, NULL, 8, 0, 0, 0 },
	{ "pgfault", loop_user_pgfault, loop_user_empty, demand_absent, 1, PAGES, 1, 0 },
	{ "divzero", loop_user_divzero, loop_user_empty, NULL, 1, 0, 1, 0 },
	{ "ptemod", loop_ptemod, loop_empty, scratch_reset, 2, 0, 0, 0 },

	{ "ptemod-use", loop_ptemod_use, loop_empty, scratch_reset, 2, 0, 0, 0 },
	{ "ptemod-batch", loop_ptemod_batch, loop_empty, scratch_reset, 64, 0, 0, 0 },
	{ "pgfault-write", loop_user_pgfault_write, loop_user_empty, demand_read_only, 1, PAGES, 1,
		0 },
	{ "touch", loop_user_touch, loop_user_empty, demand_present, 1, PAGES, 0, 0 },
	{ "cr3-same", loop_cr3_same, loop_empty, NULL, 1, 0, 0, 0 },
	{ "cr3-switch", loop_cr3_switch, loop_empty, scratch_reset, 2, 0, 0, 0 },
	{ "cr3-switch-use", loop_cr3_switch_use, loop_empty, scratch_reset, 2, 0, 0, 0 },
	{ "invlpg", loop_invlpg, loop_empty, scratch_reset, 1, 0, 0, 0 },
	{ "invlpg-use", loop_invlpg_use, loop_empty, scratch_reset, 1, 0, 0, 0 },
	{ "in-pic", loop_in_pic, loop_empty, NULL, 1, 0, 0, 0 },
	{ "out", loop_out_80h, loop_empty, NULL, 1, 0, 0, 0 },
	{ "mmio-read", loop_mmio_read, loop_empty, NULL, 1, 0, 0, CPU_APIC },
	{ "mmio-write", loop_mmio_write, loop_empty, NULL, 1, 0, 0, CPU_APIC },
	{ "cli-sti", loop_cli_sti, loop_empty, NULL, 4, 0, 0, 0 },
	{ "pushf-popf", loop_pushf_popf, loop_empty, NULL, 4, 0, 0, 0 },
	{ "irq-save", loop_irq_save, loop_empty, NULL, 2, 0, 0, 0 },
	{ "iret", loop_iret, loop_empty, NULL, 1, 0, 0, 0 },
	{ "lret", loop_lret, loop_empty, NULL, 1, 0, 0, 0 },
	{ "int3", loop_int3, loop_empty, NULL, 1, 0, 1, 0 },
	{ "irq-self", loop_irq_self, loop_empty, NULL, 1, 0, 1, CPU_APIC },
	{ "task-switch", loop_task_switch, loop_empty, NULL, 2, 0, 0, 0 },
	{ "mov-ds", loop_mov_ds, loop_empty, NULL, 4, 0, 0, 0 },
	{ "mov-from-cr0", loop_mov_from_cr0, loop_empty, NULL, 4, 0, 0, 0 },
	{ "clts", loop_clts, loop_empty, NULL, 1, 0, 0, 0 },
	{ "rdmsr", loop_rdmsr, loop_empty, NULL, 1, 0, 0, CPU_MSR | CPU_SEP },
	{ "sgdt", loop_sgdt, loop_empty, NULL, 1, 0, 0, 0 },
	{ "rdtsc", loop_rdtsc, loop_empty, NULL, 8, 0, 0, 0 },
	{ "cpuid", loop_cpuid, loop_empty, NULL, 1, 0, 0, 0 },
	{ "call-indirect", loop_call_indirect, loop_empty, NULL, 8, 0, 0, 0 },
	{ "call-indirect-8", loop_call_indirect_8, loop_empty, NULL, 1, 0, 0, 0 },
	{ "load", loop_load, loop_empty, NULL, 8, 0, 0, 0 },
	{ "smc", loop_smc, loop_empty, NULL, 1, 0, 0, 0 },
	{ "smc-beside", loop_smc_beside, loop_empty, NULL, 1, 0, 0, 0 },
	{ "real", loop_real_mix, loop_real_empty, NULL, 1, MOST_16, 0, 0 },
	{ "v86", loop_v86_mix, loop_v86_empty, NULL, 1, MANY_16, 0, 0 },
	{ "p286", loop_p286_mix, loop_p286_empty, NULL, 1, MANY_16, 0, 0 },
	{ "real-strings", loop_real_strings, loop_real_empty, NULL, 8, MANY_16, 0, 0 },
	{ "v86-strings", loop_v86_strings, loop_v86_empty, NULL, 8, MANY_16, 0, 0 },
	{ "p286-strings", loop_p286_strings, loop_p286_empty, NULL, 8, MANY_16, 0, 0 },
	{ "real-rep-movsw", loop_real_rep_movsw, loop_real_empty, NULL, 1, FEWER_16, 0, 0 },
	{ "v86-rep-movsw", loop_v86_rep_movsw, loop_v86_empty, NULL, 1, FEWER_16, 0, 0 },
	{ "p286-rep-movsw", loop_p286_rep_movsw, loop_p286_empty, NULL, 1, FEWER_16, 0, 0 },
	{ "real-segments", loop_real_segments, loop_real_empty, NULL, 3, MOST_16, 0, 0 },
	{ "v86-segments", loop_v86_segments, loop_v86_empty, NULL, 3, MANY_16, 0, 0 },
	{ "p286-segments", loop_p286_segments, loop_p286_empty, NULL, 3, FEWER_16, 0, 0 },
	{ "real-far", loop_real_far, loop_real_empty, NULL, 2, FEWER_16, 0, 0 },
	{ "v86-far", loop_v86_far, loop_v86_empty, NULL, 2, FEWER_16, 0, 0 },
	{ "p286-far", loop_p286_far, loop_p286_empty, NULL, 2, FEWER_16, 0, 0 },
	{ "real-int", loop_real_int, loop_real_empty, NULL, 1, FEWER_16, 0, 0 },
	{ "real-boot-stack", loop_real_boot_stack, loop_real_empty, NULL, 1, FEWER_16, 0, 0 },
};
const size_t benchmark_count = COUNT(benchmarks);

const char *benchmark_complaint(void)
{
	const char *complaint = wrong_page ? "a changed page table was not followed" :
				smc_stale  ? "old code was executed" :
					     NULL;

	wrong_page = smc_stale = 0;
	return complaint;
}
