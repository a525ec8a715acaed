/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What -accel ENGINE,... may say: a table an engine has, its parser and its list. */
#ifndef RF_MONITOR_VM_ENGINE_OPTIONS_H
#define RF_MONITOR_VM_ENGINE_OPTIONS_H

#include <stdio.h>
#include "x86/error.h"
#include "x86/types.h"

struct engine_option {
	const char *name;
	const char *choices[4];
	/* value: the number, or the index of the choice */
	void (*set)(void *options, uint32_t value);
	/* instead of both: takes any text but an empty one; false: no memory, or not of values */
	bool (*set_text)(void *options, const char *text);
	uint32_t least, most;                             /* numbers */
	bool or_zero;                                     /* 0 too */
	const char *argument;                             /* what the list calls its text: "FILE" */
	/* what is said of wrong text; NULL: "the name of a file" */
	const char *values;
	const char *help;
};

struct engine_options {
	const char *engine; /* its name */
	const struct engine_option *option;
	size_t n;
};

/*
 * text: "KEY=VALUE,..." or NULL. 0, or a negative errno and error. What was set before an error
 * stays set.
 */
int engine_options_parse(const struct engine_options *table, void *options, const char *text,
			 struct error *error) RF_MUST_CHECK;

/* A line for each option. */
void engine_options_list(const struct engine_options *table, FILE *out);

/* For set_text(): *field becomes a copy of text. */
bool engine_options_copy(char **field, const char *text);

#endif
