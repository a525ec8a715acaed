/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of engines. The first one is the default. */
#include <string.h>
#include "engines.h"
#include "monitor/bt/bt.h"
#include "monitor/interp/interp.h"
#include "monitor/kvm/kvm.h"

static const struct {
	const struct engine *engine;
	const char *text;
} engines[] = {
	{ &engine_bt, "binary translation: fast, in an ordinary process" },
	{ &engine_kvm, "the host's KVM" },
	{ &engine_interp,
	  "interpreter: slow, needs nothing of the host, the reference for what instructions do" },
};

const struct engine *engine_default(void)
{
	return engines[0].engine;
}

const struct engine *engine_find(const char *name)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(engines); i++) {
		if (!strcmp(engines[i].engine->name, name))
			return engines[i].engine;
	}
	return NULL;
}

void engine_list(FILE *out)
{
	fprintf(out, "Engines (-accel NAME):\n");
	for (size_t i = 0; i < RF_ARRAY_SIZE(engines); i++) {
		const struct engine *engine = engines[i].engine;
		char here[384] = "";

		if (engine->describe)
			engine->describe(here, sizeof(here));
		fprintf(out, "%-8s %s%s%s%s\n", engine->name, engines[i].text,
			i ? "" : " (default)", here[0] ? ": " : "", here);
	}
}

void engine_list_options(const struct engine *engine, FILE *out)
{
	fprintf(out, "Options (-accel %s,OPTION,...):\n", engine->name);
	if (engine->list_options)
		engine->list_options(out);
	fprintf(out, "%-31s %s\n", "stats=FILE", "write counters there at the end, as JSON");
}
