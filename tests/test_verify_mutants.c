/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verifier against damage by chance: bits, bytes and instructions of translations are changed
 * at random. Whatever it still accepts is run, and watched (verify_world.h). That the watch sees
 * something is shown with damage that the verifier refuses. RF_SEED and RF_CASES choose other
 * mutants, or more.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "verify_world.h"

#define CASES 20000u

static void report(const struct vf_case *c, const uint8_t *original)
{
	fprintf(stderr, "%s: accepted, but %s\n", c->name, w.wrong);
	for (unsigned i = 0; i < w.ninsns; i++)
		fprintf(stderr, "  %c %4u  %s\n",
			memcmp(original + w.list[i].offset, w.code + w.list[i].offset,
			       w.list[i].len) ?
				'*' :
				' ',
			w.list[i].offset, w.list[i].text);
}

TestSuite(verify_mutants, .init = world_setup, .timeout = 300);

/* The watch sees nothing in what the translator makes. */
static void undamaged(void)
{
	for (unsigned i = 0; i < vf_ncases; i++) {
		world_take_unit(vf_translate(w.vf, &vf_cases[i]));
		for (unsigned n = 0; n < 50; n++) {
			world_run_unit();
			if (w.wrong[0]) {
				report(&vf_cases[i], w.code);
				cr_assert_fail("%s: %s", vf_cases[i].name, w.wrong);
			}
		}
	}
}

Test(verify_mutants, undamaged)
{
	world_on_each_host(undamaged);
}

static void what_is_accepted_is_harmless(void)
{
	static struct vf_insn list[VF_MAX_INSNS];
	const unsigned cases = getenv("RF_CASES") ? strtoul(getenv("RF_CASES"), NULL, 0) : CASES;
	static uint8_t original[VF_MAX_CODE];
	unsigned accepted = 0, damaged = 0, bad = 0;

	for (unsigned i = 0; i < cases; i++) {
		const struct vf_case *c = &vf_cases[i % vf_ncases];
		struct tu *tu = vf_translate(w.vf, c);
		const unsigned n = vf_listing(w.vf, tu, list);

		memcpy(original, vf_host(w.vf, tu), tu->host_len);
		verify_mutate(&w.rng, w.vf, tu, list, n);
		if (!memcmp(original, vf_host(w.vf, tu), tu->host_len))
			continue;
		damaged++;
		if (verify_tu(w.vf->verifier, w.vf->tr, tu))
			continue;
		accepted++;
		world_take_unit(tu);
		if (world_leaves_process())
			snprintf(w.wrong, sizeof(w.wrong), "it leaves the process");
		else
			world_run_unit();
		if (!w.wrong[0])
			continue;
		if (++bad <= 5)
			report(c, original);
	}
	cr_expect_eq(bad, 0, "%u of %u accepted mutants do harm", bad, accepted);
	fprintf(stderr, "%u mutants, %u accepted\n", damaged, accepted);
	cr_expect_gt(accepted, damaged / 20,
		"hardly any of %u mutants are accepted, and so run: %u", damaged, accepted);
	cr_expect_lt(accepted, damaged / 2, "%u of %u mutants are accepted", accepted, damaged);
}

Test(verify_mutants, what_is_accepted_is_harmless)
{
	world_on_each_host(what_is_accepted_is_harmless);
}

/* The watch is not blind: each of these is seen. They run in a process of their own. */
static void the_watch_sees(void)
{
	static const struct { const char *in, *at; uint8_t bytes[12]; unsigned len; } harm[] = {
#define HARM(i, a, ...) { i, a, { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }) }
		HARM("load", "mov eax", 0x8b, 0x03), /* mov eax, [rbx] */
		HARM("load", "mov eax", 0x42, 0x8b, 0x04, 0x6b), /* mov eax, [rbx + r13*2] */
		HARM("load", "mov eax", 0x65, 0x8b, 0x03), /* mov eax, gs:[rbx] */
		HARM("load", "mov eax", 0x8b, 0x04, 0x24), /* mov eax, [rsp]: that faults nowhere */
		HARM("load", "mov eax", 0x41, 0x03, 0x02), /* add eax, [r10] of no sum */
		HARM("indexed", "lea r10", 0x90), /* no window */
		HARM("exact", "lea r10d", 0x90), /* no address */
		/* mov eax, [0x10000000] */
		HARM("direct", "mov eax", 0x8b, 0x04, 0x25, 0, 0, 0, 0x10),
		HARM("direct", "mov eax", 0x8b, 0x05, 0, 0, 0, 0), /* mov eax, [rip] */
		HARM("strings", "lea rsi", 0x90), /* no window */
		HARM("strings", "mov esi, esi", 0x90), /* the window left in */
		HARM("strings", "mov edi, edi", 0x90),
		HARM("alu", "add r14d", 0x49, 0x81, 0xc6, 0, 0, 0, 0x70), /* add r14, ... */
		HARM("alu", "add r14d", 0x49, 0x81, 0xc4, 0, 1, 0, 0), /* add r12, 256 */
		HARM("alu", "add r14d", 0x49, 0x81, 0xc5, 0, 1, 0, 0), /* add r13, 256 */
		HARM("alu", "add r14d", 0x49, 0x89, 0xdd), /* mov r13, rbx */
		HARM("alu", "add r14d", 0x49, 0xff, 0xc7), /* inc r15 */
		HARM("alu", "add r14d", 0x48, 0x83, 0xec, 0x20), /* sub rsp, 32 */
		HARM("alu", "add r14d", 0x48, 0xf7, 0xd0), /* not rax */
		HARM("alu", "add r14d", 0x41, 0xc6, 0x47, 0, 0x55), /* mov byte [r15], 0x55 */
		HARM("alu", "add r14d", 0x41, 0xff, 0x04, 0x24), /* inc dword [r12] */
		/* dec dword [r12 - 128]: a branch cache */
		HARM("alu", "add r14d", 0x41, 0xff, 0x4c, 0x24, 0x80),
		HARM("alu", "add r14d", 0x43, 0x8b, 0x44, 0x2d, 0), /* mov eax, [r13 + r13] */
		HARM("alu", "add r14d", 0x41, 0x8b, 0x04, 0x07), /* mov eax, [r15 + rax] */
		HARM("alu", "add r14d", 0xff, 0xe0), /* jmp rax */
		HARM("alu", "add r14d", 0xeb, 0x01, 0x89, 0xc0), /* jmp into mov eax, eax */
		/* mov rax, constant */
		HARM("wide", "mov dword ptr [r10", 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x70),
		HARM("rdtsc", "mov eax, r8d", 0x49, 0x8b, 0xc0), /* mov rax, r8 */
		/* AC among the flags */
		HARM("flags", "and r8d", 0x41, 0x81, 0xc8, 0, 0x02, 0x04, 0),
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(harm); i++) {
		struct tu *tu = vf_translate(w.vf, vf_find(harm[i].in));
		unsigned at = 0;
		int status;
		pid_t child;

		world_take_unit(tu);
		while (at < w.ninsns && strncmp(w.list[at].text, harm[i].at, strlen(harm[i].at)))
			at++;
		cr_assert_lt(at, w.ninsns);
		memset(vf_host(w.vf, tu) + w.list[at].offset, 0x90, w.list[at].len);
		memcpy(vf_host(w.vf, tu) + w.list[at].offset, harm[i].bytes, harm[i].len);
		cr_expect_not_null(verify_tu(w.vf->verifier, w.vf->tr, tu), "%u accepted", i);
		world_take_unit(tu);
		child = fork();
		if (!child) {
			for (unsigned n = 0; n < 100 && !w.wrong[0]; n++)
				world_run_unit();
			_exit(w.wrong[0] ? 1 : 0);
		}
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_expect(!WIFEXITED(status) || WEXITSTATUS(status), "%u, in %s: nothing seen", i,
			harm[i].in);
	}
}

Test(verify_mutants, the_watch_sees)
{
	world_on_each_host(the_watch_sees);
}
