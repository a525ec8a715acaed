/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long the project's decoder takes an instruction, and how long Capstone takes for the same
 * ones.
 *
 *   decode_speed FILE     FILE: a 32-bit x86 ELF file, whose executable segments are swept from
 *                         start to end
 *
 * Only instructions on whose length both agree are timed, so that both do the same work. Best of
 * ROUNDS passes over all of them.
 */
/* Both have an enum of this name. */
#define x86_reg capstone_x86_reg
#include <capstone/capstone.h>
#undef x86_reg
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "translator/decode.h"

#define ROUNDS 5

struct code {
	const uint8_t *bytes;
	size_t size;
	uint32_t *start; /* offsets of the instructions that are timed */
	size_t count;
};

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* The largest executable segment of the file. */
static bool code_load(const char *path, struct code *code)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	uint8_t *file;
	size_t headers = 0;
	Elf *elf;

	if (fd < 0 || fstat(fd, &st))
		return false;
	file = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (file == MAP_FAILED || !elf || elf_getphdrnum(elf, &headers))
		return false;
	for (size_t i = 0; i < headers; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(elf, i, &header) || header.p_type != PT_LOAD ||
		    !(header.p_flags & PF_X) ||
		    header.p_offset + header.p_filesz > (uint64_t)st.st_size ||
		    header.p_filesz <= code->size)
			continue;
		code->bytes = file + header.p_offset;
		code->size = header.p_filesz;
	}
	elf_end(elf);
	close(fd);
	return code->size;
}

static bool code_find_instructions(struct code *code, csh capstone, cs_insn *text)
{
	code->start = malloc(code->size * sizeof(*code->start));
	if (!code->start)
		return false;
	for (size_t at = 0; at < code->size;) {
		const uint8_t *p = code->bytes + at;
		size_t left = code->size - at;
		uint64_t address = 0;
		struct insn insn;

		if (insn_decode(p, left < INSN_MAX_LEN ? left : INSN_MAX_LEN, true, &insn) !=
		    DECODE_OK) {
			at++;
			continue;
		}
		if (cs_disasm_iter(capstone, &p, &left, &address, text) && text->size == insn.len)
			code->start[code->count++] = at;
		at += insn.len;
	}
	return code->count;
}

static double time_own(const struct code *code)
{
	double start = now_ns();
	unsigned lengths = 0;

	for (size_t i = 0; i < code->count; i++) {
		size_t left = code->size - code->start[i];
		struct insn insn;

		insn_decode(code->bytes + code->start[i], left < INSN_MAX_LEN ? left : INSN_MAX_LEN,
			    true, &insn);
		lengths += insn.len;
	}
	__asm__ volatile("" : : "r"(lengths));
	return (now_ns() - start) / code->count;
}

static double time_capstone(const struct code *code, csh capstone, cs_insn *text)
{
	double start = now_ns();

	for (size_t i = 0; i < code->count; i++) {
		const uint8_t *p = code->bytes + code->start[i];
		size_t left = code->size - code->start[i];
		uint64_t address = 0;

		cs_disasm_iter(capstone, &p, &left, &address, text);
	}
	return (now_ns() - start) / code->count;
}

int main(int argc, char **argv)
{
	double own = 1e9, plain = 1e9, detail = 1e9;
	struct code code = { 0 };
	cs_insn *text;
	csh capstone;

	if (argc != 2 || argv[1][0] == '-' || !code_load(argv[1], &code)) {
		fprintf(stderr,
			"usage: decode_speed FILE (an ELF executable of 32-bit x86 code)\n");
		return 1;
	}
	if (cs_open(CS_ARCH_X86, CS_MODE_32, &capstone) != CS_ERR_OK)
		return 1;
	cs_option(capstone, CS_OPT_DETAIL, CS_OPT_ON);
	text = cs_malloc(capstone);
	if (!text || !code_find_instructions(&code, capstone, text))
		return 1;
	for (int round = 0; round < ROUNDS; round++) {
		double t = time_own(&code);

		own = t < own ? t : own;
		cs_option(capstone, CS_OPT_DETAIL, CS_OPT_ON);
		t = time_capstone(&code, capstone, text);
		detail = t < detail ? t : detail;
		cs_option(capstone, CS_OPT_DETAIL, CS_OPT_OFF);
		t = time_capstone(&code, capstone, text);
		plain = t < plain ? t : plain;
	}
	printf("%zu instructions; ns each: insn_decode %.1f, Capstone without detail %.1f, with "
	       "detail %.1f\n",
	       code.count, own, plain, detail);
	free(code.start);
	cs_free(text, 1);
	cs_close(&capstone);
	return 0;
}
