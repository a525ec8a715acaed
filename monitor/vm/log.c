/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The -d log: item names and the file they go to. Lines are written whole, so that threads do not
 * mix within one.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include "log.h"

static const struct {
	const char *name;
	uint32_t item;
	const char *text;
} log_items[] = {
	{ "in_asm", LOG_IN_ASM, "show guest code as it is translated" },
	{ "out_asm", LOG_OUT_ASM, "show the host code made from it" },
	{ "int", LOG_INT, "show exceptions and interrupts delivered to the guest" },
	{ "exec", LOG_EXEC, "show each translation unit entered (slow)" },
	{ "cpu", LOG_CPU, "show the registers with each exec line (slow)" },
	{ "guest_errors", LOG_GUEST_ERRORS, "log what a correct guest would not do" },
	{ "unimp", LOG_UNIMP, "log uses of what is not modelled" },
};

static bool log_parse_item(const char *name, size_t len, uint32_t *items)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(log_items); i++) {
		if (strlen(log_items[i].name) == len && !memcmp(log_items[i].name, name, len)) {
			*items |= log_items[i].item;
			return true;
		}
	}
	return false;
}

int log_parse_items(const char *list, uint32_t *items, struct error *error)
{
	*items = 0;
	for (;;) {
		size_t len = strcspn(list, ",");

		if (!log_parse_item(list, len, items))
			return error_set(error, -EINVAL,
					 "'%.*s' is not a log item; -d help lists them", (int)len,
					 list);
		if (!list[len])
			return 0;
		list += len + 1;
	}
}

void log_list_items(FILE *out)
{
	fprintf(out, "Log items (comma separated):\n");
	for (size_t i = 0; i < RF_ARRAY_SIZE(log_items); i++)
		fprintf(out, "%-15s %s\n", log_items[i].name, log_items[i].text);
}

int log_open(struct log *log, uint32_t items, const char *path)
{
	log->items = items;
	log->out = stderr;
	log->owns_file = false;
	if (!path)
		return 0;
	log->out = fopen(path, "we");
	if (!log->out) {
		log->out = stderr;
		return -errno;
	}
	log->owns_file = true;
	return 0;
}

void log_close(struct log *log)
{
	if (log->owns_file)
		fclose(log->out);
	log->out = stderr;
	log->owns_file = false;
	log->items = 0;
}

void log_write(struct log *log, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(log->out, fmt, args);
	va_end(args);
}
