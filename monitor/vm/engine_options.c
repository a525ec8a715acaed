/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct engine_option *option_find(const struct engine_options *table, const char *name)
{
	for (size_t i = 0; i < table->n; i++) {
		if (!strcmp(table->option[i].name, name))
			return &table->option[i];
	}
	return NULL;
}

/* "on or off", "0, or 2 to 160" */
static void option_describe_values(const struct engine_option *option, char *text, size_t size)
{
	const char *const *c = option->choices;

	if (option->set_text)
		snprintf(text, size, "%s", option->values ? option->values : "the name of a file");
	else if (!*c)
		snprintf(text, size, "%s%u to %u", option->or_zero ? "0, or " : "", option->least,
			 option->most);
	else
		snprintf(text, size, "%s%s%s or %s", c[0], c[2] ? ", " : "", c[2] ? c[1] : "",
			 c[2] ? c[2] : c[1]);
}

static bool option_number(const struct engine_option *option, const char *text, uint32_t *number)
{
	unsigned long long n;
	char *end;

	/* strtoull() takes a sign and leading space, and is content with nothing at all. */
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	*number = n;
	return !*end && !errno &&
	       ((n >= option->least && n <= option->most) || (option->or_zero && !n));
}

static bool option_value(const struct engine_option *option, const char *text, uint32_t *value)
{
	if (!option->choices[0])
		return option_number(option, text, value);
	for (*value = 0; option->choices[*value]; ++*value) {
		if (!strcmp(text, option->choices[*value]))
			return true;
	}
	return false;
}

static bool option_set(const struct engine_option *option, void *options, const char *text)
{
	uint32_t value;

	if (option->set_text)
		return *text && option->set_text(options, text);
	if (!option_value(option, text, &value))
		return false;
	option->set(options, value);
	return true;
}

static int option_parse(const struct engine_options *table, void *options, char *item,
			struct error *error)
{
	char *equals = strchr(item, '='), values[80];
	const struct engine_option *option;

	if (equals)
		*equals = 0;
	option = option_find(table, item);
	if (option && equals && option_set(option, options, equals + 1))
		return 0;
	if (equals)
		*equals = '=';
	if (!option)
		return error_set(error, -EINVAL,
				 "'%s' is not an option of -accel %s; -accel %s,help lists them",
				 item, table->engine, table->engine);
	option_describe_values(option, values, sizeof(values));
	return error_set(error, -EINVAL, "%s%s: %s", item, equals ? "" : "=", values);
}

int engine_options_parse(const struct engine_options *table, void *options, const char *text,
			 struct error *error)
{
	char *copy, *save, *item;
	int err = 0;

	if (!text)
		return 0;
	copy = strdup(text);
	if (!copy)
		return error_set(error, -ENOMEM, "no memory");
	for (item = strtok_r(copy, ",", &save); item && !err; item = strtok_r(NULL, ",", &save))
		err = option_parse(table, options, item, error);
	free(copy);
	return err;
}

void engine_options_list(const struct engine_options *table, FILE *out)
{
	for (const struct engine_option *option = table->option; option < table->option + table->n;
	     option++) {
		const char *argument = option->choices[0] ? "" :
				       option->set_text   ? option->argument :
							    "N";
		char values[80], left[120];

		option_describe_values(option, values, sizeof(values));
		snprintf(left, sizeof(left), "%s=%s", option->name, argument);
		for (const char *const *c = option->choices; *c; c++)
			snprintf(left + strlen(left), sizeof(left) - strlen(left), "%s%s",
				 c == option->choices ? "" : "|", *c);
		fprintf(out, "%-31s %s%s%s%s\n", left, option->help, option->most ? " (" : "",
			option->most ? values : "", option->most ? ")" : "");
	}
}

bool engine_options_copy(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
	return *field;
}
