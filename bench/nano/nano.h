/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the nano kernel. */
#ifndef NANO_H
#define NANO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- report.c: JSON on the first serial port, an object a line ---- */

void report_start_line(void);
void report_open(const char *what);                       /* {"nano": WHAT, "tsc": now */
void report_text(const char *key, const char *value);
void report_number(const char *key, uint64_t value);
void report_hex(const char *key, uint32_t value);
void report_hundredths(const char *key, int64_t value);   /* 123 is 1.23 */
void report_close(void);
uint64_t divide(uint64_t dividend, uint32_t divisor);     /* there is no libgcc */

/* ---- machine.c: descriptors, interrupt controllers, timer ---- */

struct cpu_facts {
	char vendor[13], hypervisor[13];
	uint32_t signature, features;
};
enum {
	CPU_PSE = 1 << 3, CPU_TSC = 1 << 4, CPU_MSR = 1 << 5, CPU_APIC = 1 << 9, CPU_SEP = 1 << 11,
	CPU_PGE = 1 << 13
};
extern struct cpu_facts cpu;

void machine_start(void);
/* As after machine_start(), whatever an interrupted benchmark left behind. */
void machine_recover(void);
/* No timer interrupt comes any more, and one that was on its way has come. */
void timer_stop(void);
/* Counts down once and interrupts. The TSC before the write that starts it. */
uint64_t timer_start(uint16_t count);
/* Waits for the timer without interrupts; ticks of the TSC meanwhile. */
uint64_t timer_wait_polled(uint16_t count);
__attribute__((noreturn)) void machine_end(bool ok);

/* ---- paging.c ---- */

void paging_start(void);
/* The demand pages are absent, or present and read-only, and nothing of them is cached. */
void demand_absent(void);
void demand_read_only(void);
extern uint32_t main_directory[1024], other_directory[1024], scratch_table[1024];

/* ---- benchmarks.c ---- */

struct benchmark {
	const char *name;
	void (*loop)(uint32_t count);      /* measured; count iterations */
	/* the same without what is measured; NULL: nothing is subtracted */
	void (*empty)(uint32_t count);
	void (*prepare)(void);             /* before each round, not measured; may be NULL */
	uint32_t ops;                      /* of what is measured in an iteration */
	/* iterations in a round; 0: as many as take the time of a round */
	uint32_t fixed;
	uint32_t traps;                    /* handlers that run in an iteration */
	uint32_t needs;                    /* CPU features */
};
extern const struct benchmark benchmarks[];
extern const size_t benchmark_count;
void loop_empty(uint32_t count);
/* What a loop found wrong since the last call, or NULL. */
const char *benchmark_complaint(void);

/* ---- measure.c ---- */

struct settings { uint32_t rounds, ticks, least; };
bool measure(const struct benchmark *benchmark, const struct settings *settings);
bool measure_wakeup(const struct settings *settings);

/* ---- entry.S ---- */

extern volatile uint32_t traps;
extern volatile uint64_t timer_tsc;
void run_user(const char *loop, uint32_t count);
int set_resume(void) __attribute__((returns_twice));
__attribute__((noreturn)) void resume_kernel(void);
void trap_unexpected(const uint32_t *frame);

static inline uint64_t rdtsc(void)
{
	uint64_t value;

	__asm__ volatile("rdtsc" : "=A"(value) :: "memory");
	return value;
}

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint32_t read_cr0(void)
{
	uint32_t v;
	__asm__ volatile("mov %%cr0, %0" : "=r"(v));
	return v;
}

static inline void write_cr0(uint32_t v) { __asm__ volatile("mov %0, %%cr0" :: "r"(v) : "memory"); }
static inline uint32_t read_cr2(void)
{
	uint32_t v;
	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

static inline void write_cr3(const void *v)
{
	__asm__ volatile("mov %0, %%cr3" ::"r"(v) : "memory");
}

static inline uint32_t read_cr4(void)
{
	uint32_t v;
	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}

static inline void write_cr4(uint32_t v) { __asm__ volatile("mov %0, %%cr4" :: "r"(v) : "memory"); }

#endif
