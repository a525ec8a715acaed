/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The -d log: item names and the file they go to. Lines are written whole, so that threads do not
 * mix within one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include "log.h"

static const struct {
	const char *name;
	uint32_t item;
	const char *text;
} log_items[] = {
	{ "in_asm", LOG_IN_ASM, "show guest code as it is translated" },
	{ "out_asm", LOG_OUT_ASM, "show the host code made from it" },
	{ "int", LOG_INT, "show exceptions and interrupts delivered to the guest" },
	{ "exec", LOG_EXEC, "show each translation unit that the dispatcher enters (slow)" },
	{ "cpu", LOG_CPU, "show the registers with each exec line (slow)" },
	{ "guest_errors", LOG_GUEST_ERRORS, "log what a correct guest would not do" },
	{ "unimp", LOG_UNIMP, "log accesses to ports and addresses that no device has" },
	{ "cpu_reset", LOG_CPU_RESET, "show the registers before each reset of the machine" },
	{ "all", ~0u, "all of these" },
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

/* Under the FILE: what the host does not take is counted, and the log goes on. */
static ssize_t log_sink_write(void *cookie, const char *bytes, size_t count)
{
	struct log *log = cookie;
	size_t done = 0;

	while (done < count) {
		ssize_t n = write(log->fd, bytes + done, count - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			lost_output_add(&log->lost, count - done, n ? errno : EIO);
			break;
		}
		done += n;
	}
	return count;
}

static int log_sink_close(void *cookie)
{
	struct log *log = cookie;

	if (close(log->fd))
		lost_output_add(&log->lost, 0, errno);
	return 0;
}

int log_open(struct log *log, struct outputs *outputs, uint32_t items, const char *path)
{
	static const cookie_io_functions_t sink = { .write = log_sink_write,
						    .close = log_sink_close };
	FILE *out;

	*log = (struct log){ .items = items, .out = stderr, .lost = { path } };
	if (!path)
		return 0;
	log->fd = outputs_open(outputs, path);
	if (log->fd < 0)
		return log->fd;
	out = fopencookie(log, "w", sink);
	if (!out) {
		close(log->fd);
		return -ENOMEM;
	}
	log->out = out;
	log->owns_file = true;
	return 0;
}

bool log_close(struct log *log)
{
	if (log->owns_file)
		fclose(log->out);
	lost_output_end(&log->lost);
	log->out = stderr;
	log->owns_file = false;
	log->items = 0;
	return !log->lost.any;
}

void log_write(struct log *log, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(log->out, fmt, args);
	va_end(args);
}
