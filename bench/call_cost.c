/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest's calls cost by the way they are translated: doubly recursive fib, written out as
 * the translator makes it (translator/translate_control.c), and in other ways, all timed in turn.
 * Medians, beside the same instructions with the host's own stack.
 */
#include <asm/prctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS  9
#define NUMBER  34
#define WINDOW  0x100000000000ull
#define STACK   0x20000000ull
#define STACK_SIZE 0x100000ull

/*
 * fib(edi) in eax; guest ESP in r14d, the window's base in r12 (the translator's r13) and in GS. A
 * return site has the guest's idea of where in r8d.
 */
#define FIB(name, MEM, CHECK) \
	".p2align 4\n" name ":\n" \
	"mov %edi, " MEM("-4") "\n mov %esi, " MEM("-8") "\n mov %ebx, " MEM("-12") "\n" \
	"mov " MEM("4") ", %edi\n mov %edi, %eax\n cmp $1, %edi\n lea -12(%r14), %r14d\n jbe 2f\n" \
	"mov %edi, %ebx\n xor %esi, %esi\n" \
	"1: sub $12, %r14d\n lea -1(%rbx), %eax\n sub $2, %ebx\n mov %eax, " MEM("-4") "\n" \
	"movl $1001, " MEM("-8") "\n lea -8(%r14), %r14d\n call " name "\n" CHECK \
	"add $16, %r14d\n add %eax, %esi\n cmp $1, %ebx\n ja 1b\n" \
	"and $1, %edi\n lea (%rsi,%rdi), %eax\n" \
	"2: mov " MEM("0") ", %ebx\n mov " MEM("4") ", %esi\n mov " MEM("8") ", %edi\n" \
	"mov " MEM("12") ", %r8d\n" \
	"lea 16(%r14), %r14d\n ret\n"
#define BY_GS(disp)   "%gs:" disp "(%r14d)"
#define BY_BASE(disp) disp "(%r12,%r14)"
#define LEA_JRCXZ \
	"mov %ecx, %r9d\n lea -1001(%r8), %ecx\n jrcxz 3f\n ud2\n nop\n nop\n nop\n" \
	"3: mov %r9d, %ecx\n"
#define CMP       "cmp $1001, %r8d\n je 3f\n ud2\n nop\n nop\n nop\n 3:\n"

__asm__(".text\n"
	FIB("fib_gs", BY_GS, LEA_JRCXZ)
	FIB("fib_base", BY_BASE, LEA_JRCXZ)
	FIB("fib_cmp", BY_GS, CMP)
	FIB("fib_unchecked", BY_GS, "")
	".p2align 4\nfib_native:\n"
	"push %rdi\n push %rsi\n push %rbx\n"
	"mov 32(%rsp), %edi\n mov %edi, %eax\n cmp $1, %edi\n jbe 2f\n"
	"mov %edi, %ebx\n xor %esi, %esi\n"
	"1: sub $24, %rsp\n lea -1(%rbx), %eax\n sub $2, %ebx\n push %rax\n call fib_native\n"
	"add $32, %rsp\n add %eax, %esi\n cmp $1, %ebx\n ja 1b\n"
	"and $1, %edi\n lea (%rsi,%rdi), %eax\n"
	"2: pop %rbx\n pop %rsi\n pop %rdi\n ret\n");

void fib_native(void);
void fib_gs(void);
void fib_base(void);
void fib_cmp(void);
void fib_unchecked(void);

static const struct { const char *what; void (*code)(void); } variants[] = {
	{ "one return address (native)", fib_native },
	{ "GS, LEA and JRCXZ", fib_gs },
	{ "base, LEA and JRCXZ (as translated)", fib_base },
	{ "GS, CMP", fib_cmp },
	{ "GS, no comparison", fib_unchecked },
};
#define VARIANTS (sizeof(variants) / sizeof(variants[0]))

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static double run(void (*code)(void), uint32_t *result)
{
	register uint64_t base __asm__("r12") = WINDOW, esp __asm__("r14") = STACK + STACK_SIZE / 2;
	const double start = seconds();

	*(uint32_t *)(base + esp + 4) = NUMBER;
	/* Off the red zone; the native one takes its argument from the host's stack. */
	__asm__ volatile("sub $256, %%rsp\n push %%rbx\n push %%rbp\n push %[n]\n call *%[code]\n "
			 "add $8, %%rsp\n pop %%rbp\n pop %%rbx\n add $256, %%rsp"
			 : "=&a"(*result), "+r"(esp)
			 : [code] "r"(code), [n] "i"(NUMBER), "r"(base)
			 : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	return seconds() - start;
}

static int ascending(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) -
	       (*(const double *)a < *(const double *)b);
}

int main(void)
{
	static double took[VARIANTS][ROUNDS];
	uint32_t result, right = 0;

	if (mmap((void *)(WINDOW + STACK), STACK_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED ||
	    syscall(SYS_arch_prctl, ARCH_SET_GS, WINDOW)) {
		perror("call_cost: cannot set up a window");
		return 1;
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned n = 0; n < VARIANTS; n++) {
			took[n][round] = run(variants[n].code, &result);
			right = right ? right : result;
			if (result != right) {
				fprintf(stderr, "call_cost: %s: fib(%d) is %u, not %u\n",
					variants[n].what, NUMBER, result, right);
				return 1;
			}
		}
	}
	printf("fib(%d) = %u, median of %d rounds\n", NUMBER, right, ROUNDS);
	for (unsigned n = 0; n < VARIANTS; n++) {
		qsort(took[n], ROUNDS, sizeof(took[n][0]), ascending);
		printf("%-36s %6.1f ms  %.2f\n", variants[n].what, took[n][ROUNDS / 2] * 1e3,
			took[n][ROUNDS / 2] / took[0][ROUNDS / 2]);
	}
	return 0;
}
