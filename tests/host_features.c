/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host can do for tests, by trying; see host_features.h. */
#include <elf.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "host_features.h"

#define GOOD 42      /* exit status of a child that could do it */
#define PATIENCE 10  /* seconds; a child that hangs could not */
#define PAGE 4096

/* ---- 32-bit programs ---- */

#define PROGRAM_BASE 0x10000

static const uint8_t program_text[] = {
	0xb8, 1, 0, 0, 0,    /* mov eax, 1: exit */
	0xbb, GOOD, 0, 0, 0, /* mov ebx, GOOD */
	0xcd, 0x80,          /* int 80h */
};

struct program {
	Elf32_Ehdr header;
	Elf32_Phdr segment;
	uint8_t text[sizeof(program_text)];
};

static void make_program(struct program *p)
{
	*p = (struct program){
		.header = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB,
				EV_CURRENT },
			.e_type = ET_EXEC, .e_machine = EM_386, .e_version = EV_CURRENT,
			.e_entry = PROGRAM_BASE + offsetof(struct program, text),
			.e_phoff = offsetof(struct program, segment), .e_ehsize = sizeof(p->header),
			.e_phentsize = sizeof(p->segment), .e_phnum = 1,
		},
		.segment = {
			.p_type = PT_LOAD, .p_vaddr = PROGRAM_BASE, .p_paddr = PROGRAM_BASE,
			.p_filesz = sizeof(*p), .p_memsz = sizeof(*p), .p_flags = PF_R | PF_X,
			.p_align = PAGE,
		},
	};
	memcpy(p->text, program_text, sizeof(program_text));
}

/* In a child; comes back if Linux refuses. */
static void try_program(void)
{
	char *const words[] = { "32-bit", NULL }, *const environment[] = { NULL };
	struct program program;
	int fd = memfd_create("32-bit", 0);

	make_program(&program);
	if (fd >= 0 && write(fd, &program, sizeof(program)) == sizeof(program))
		fexecve(fd, words, environment);
}

/* ---- 32-bit code segment ---- */

#define LINUX_CS32 0x23
#define LINUX_CS64 0x33

/* To the 32-bit segment and back. DEC EAX runs there, which 64-bit mode takes for a prefix. */
static const uint8_t segment_text[] = {
	0x48, 0x89, 0x24, 0x25, 0, 0, 0, 0,  /*  0: mov [stack], rsp */
	0xb8, GOOD + 1, 0, 0, 0,             /*  8: mov eax, GOOD + 1 */
	0xff, 0x2c, 0x25, 0, 0, 0, 0,        /* 13: jmp far [37] */
	0x48,                                /* 20: dec eax */
	0xea, 0, 0, 0, 0, LINUX_CS64, 0,     /* 21: jmp 33h:28 */
	0x48, 0x8b, 0x24, 0x25, 0, 0, 0, 0,  /* 28: mov rsp, [stack] */
	0xc3,                                /* 36: ret */
	0, 0, 0, 0, LINUX_CS32, 0,           /* 37: 23h:20 */
};

static void put_address(uint8_t *code, unsigned at, unsigned target)
{
	uint32_t address = (uintptr_t)(code + target);

	memcpy(code + at, &address, sizeof(address));
}

/* In a child: the jump faults where there is no such segment. */
static void try_segment(void)
{
	uint8_t *code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (code == MAP_FAILED)
		return;
	memcpy(code, segment_text, sizeof(segment_text));
	put_address(code, 4, PAGE - 8);
	put_address(code, 16, 37);
	put_address(code, 22, 28);
	put_address(code, 32, PAGE - 8);
	put_address(code, 37, 20);
	_exit(((int (*)(void))code)());
}

/* ---- all ---- */

static const struct {
	const char *name;
	void (*attempt)(void); /* ends the process with GOOD if all is well */
	const char *lacks;
} features[HOST_FEATURES] = {
	[HOST_PROGRAMS_32] = { "programs-32", try_program, "this host runs no 32-bit programs" },
	[HOST_CODE_SEGMENT_32] = {
		"code-segment-32", try_segment,
		"this host has no 32-bit code segment (a far jump to one faults)"
	},
};

const char *host_feature_name(enum host_feature feature)
{
	return features[feature].name;
}

static void attempt(void (*function)(void))
{
	static const struct rlimit no_core;

	setrlimit(RLIMIT_CORE, &no_core);
	alarm(PATIENCE);
	function();
	_exit(1);
}

const char *host_lacks(enum host_feature feature)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return "this host lets no process be made";
	if (!child)
		attempt(features[feature].attempt);
	while (waitpid(child, &status, 0) < 0)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == GOOD ? NULL : features[feature].lacks;
}
