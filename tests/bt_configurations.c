/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configurations of the engines' tests; see bt_configurations.h. */
#include <stdio.h>
#include "bt_configurations.h"

static const struct { const char *engine, *options; } configurations[] = {
	{ "interp", NULL }, { "bt", NULL }, { "bt", "links=off" }, { "bt", "tu-insns=1" },
	{ "bt", "tu-insns=2,cache-kib=256" }, { "bt", "tables=compare" }, { "bt", "tables=trace" },
	{ "bt", "soft=always" }, { "bt", "fill-around=off,cache-kib=256" },
	{ "bt", "young=always" }, { "bt", "young=always,host=-bmi2" }, { "bt", "host=-bmi2-lzcnt" },
	{ "bt", "host=-bmi2,soft=always" },
};

void in_all(void (*program)(struct bf *bf), unsigned cpl, bool paging)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(configurations); i++) {
		struct bf *bf = bf_create(configurations[i].engine, configurations[i].options);

		snprintf(bf->name, sizeof(bf->name), "%s%s%s, ring %u, paging %d",
			 configurations[i].engine, bf->options[0] ? " " : "", bf->options, cpl,
			 paging);
		bf_reset(bf, cpl, paging);
		program(bf);
		bf_destroy(bf);
	}
}

void run_to_stop(struct bf *bf)
{
	const struct cpu *cpu = bf->cpu;
	int vector;
	const enum bf_outcome outcome = bf_run(bf, &vector);
	const uint32_t esp = cpu->regs[X86_ESP];

	cr_expect_eq(outcome, BF_STOPPED,
		     "[%s] outcome %d, vector %d at %08x, frame %08x %08x, cr2 %08x", bf->name,
		     outcome, vector, cpu->eip, esp <= BF_RAM_SIZE - 4 ? bf_read32(bf, esp) : 0,
		     esp <= BF_RAM_SIZE - 8 ? bf_read32(bf, esp + 4) : 0, cpu->cr2);
}
