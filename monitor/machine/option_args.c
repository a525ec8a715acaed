/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments with a syntax: sizes, numbers, comma-separated keys. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engines.h"
#include "option_args.h"
#include "shadowmmu/guest_ram.h"

void option_note(struct option_parser *p, const char *fmt, ...)
{
	char *text, *longer, *notes = p->config->notes;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	if (asprintf(&longer, "%s%s\n", notes ? notes : "", text) >= 0) {
		free(notes);
		p->config->notes = longer;
	}
	free(text);
}

/* One "key=value" or "word" of a comma-separated list, not terminated. */
struct option_item {
	const char *text, *value; /* value NULL: there is no '=' */
	int key_len, value_len, len;
};

static bool option_next_item(const char **list, struct option_item *item)
{
	const char *eq;

	if (!*list)
		return false;
	item->text = *list;
	item->len = strcspn(*list, ",");
	eq = memchr(*list, '=', item->len);
	item->value = eq ? eq + 1 : NULL;
	item->key_len = eq ? eq - *list : item->len;
	item->value_len = eq ? item->len - item->key_len - 1 : 0;
	*list = (*list)[item->len] ? *list + item->len + 1 : NULL;
	return true;
}

static bool option_key_is(const struct option_item *item, const char *key)
{
	return (int)strlen(key) == item->key_len && !memcmp(key, item->text, item->key_len);
}

static bool option_value_is(const struct option_item *item, const char *value)
{
	return item->value && (int)strlen(value) == item->value_len &&
	       !memcmp(value, item->value, item->value_len);
}

static bool option_number(const char *text, int len, uint64_t max, uint64_t *number)
{
	char buf[32], *end;

	if (!text || len <= 0 || len >= (int)sizeof(buf) || text[0] < '0' || text[0] > '9')
		return false;
	memcpy(buf, text, len);
	buf[len] = '\0';
	errno = 0;
	*number = strtoull(buf, &end, 0);
	return !*end && !errno && *number <= max;
}

/* N or N.N, times 2^shift. */
static bool option_scaled(const char *text, size_t len, unsigned shift, uint64_t *bytes)
{
	char buf[32], *end;
	double number;

	if (!memchr(text, '.', len)) {
		if (!option_number(text, len, UINT64_MAX >> shift, bytes))
			return false;
		*bytes <<= shift;
		return true;
	}
	if (len >= sizeof(buf) || strspn(text, "0123456789.") < len || text[0] == '.')
		return false;
	memcpy(buf, text, len);
	buf[len] = '\0';
	number = strtod(buf, &end) * (double)(1ull << shift);
	*bytes = number < 0x1p63 ? (uint64_t)number : INT64_MAX;
	return !*end;
}

/* N[K|M|G|T], MiB without a suffix. */
static bool option_size(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "BKMGT";
	size_t len = strlen(text);
	const char *s = len ? strchr(suffixes, text[len - 1] & ~0x20) : NULL;
	unsigned shift = s && *s ? 10 * (s - suffixes) : 20;

	return option_scaled(text, len - (s && *s), shift, bytes);
}

enum options_result opt_memory(struct option_parser *p, const char *arg)
{
	const char *text = !strncmp(arg, "size=", 5) ? arg + 5 : arg;
	uint64_t bytes;

	if (strchr(text, ','))
		return option_fail(p,
				   "-m %s: only a size is understood (memory cannot be plugged in "
				   "later), for example -m 256M",
				   arg);
	if (!option_size(text, &bytes))
		return option_fail(p, "-m %s: not a size; give for example -m 256M or -m 1G", arg);
	if (bytes > GUEST_RAM_MAX && bytes <= 4ull << 30) {
		option_note(p, "-m %s: the guest gets %lluM, which is the most below 4 GiB", arg,
			    GUEST_RAM_MAX >> 20);
		bytes = GUEST_RAM_MAX;
	}
	if (bytes > GUEST_RAM_MAX)
		return option_fail(p, "-m %s: too much; a 32-bit guest can have at most %lluM", arg,
				   GUEST_RAM_MAX >> 20);
	bytes = (bytes + GUEST_PAGE_SIZE - 1) & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
	if (bytes < (1u << 20))
		return option_fail(p, "-m %s: too little; a guest needs at least 1M", arg);
	p->config->ram_size = bytes;
	return OPTIONS_RUN;
}

/* Appends item to a malloc'd comma-separated list. */
static bool option_append(char **list, const struct option_item *item)
{
	char *longer;

	if (asprintf(&longer, "%s%s%.*s", *list ? *list : "", *list ? "," : "", item->len,
		     item->text) < 0)
		return false;
	free(*list);
	*list = longer;
	return true;
}

/* ENGINE[:ENGINE]...: the first that the host can run. */
static enum options_result option_engine(struct option_parser *p, const char *names, int len)
{
	const char *const end = names + len;
	unsigned count = 0;

	if (p->accel_chosen)
		return option_fail(p,
				   "the engine is given twice ('%s' and '%.*s'); choose one with a "
				   "single -accel, or give a list: "
				   "-accel kvm:bt",
				   p->config->engine, len, names);
	for (const char *name = names, *colon; name <= end; name = colon + 1, count++) {
		const struct engine *engine;
		char text[64];

		colon = memchr(name, ':', end - name);
		if (!colon)
			colon = end;
		snprintf(text, sizeof(text), "%.*s", (int)(colon - name), name);
		engine = engine_find(text);
		if (!strcmp(text, "tcg")) {
			option_note(p, "-%s: tcg is QEMU's translator; ringfence's is bt, which "
				       "is taken", p->option);
			engine = engine_find("bt");
		}
		if (!engine)
			return option_fail(p,
					   "-%s: there is no engine '%s'; -accel help lists them",
					   p->option, text);
		if (count > VM_ENGINE_FALLBACKS)
			return option_fail(p, "-%s %.*s: too many engines", p->option, len, names);
		*(count ? &p->config->engine_fallback[count - 1] : &p->config->engine) =
			engine->name;
	}
	p->accel_chosen = true;
	return OPTIONS_RUN;
}

enum options_result opt_accel(struct option_parser *p, const char *arg)
{
	struct option_item item;
	enum options_result result;

	if (!strcmp(arg, "help")) {
		engine_list(stdout);
		return OPTIONS_DONE;
	}
	option_next_item(&arg, &item);
	if (option_key_is(&item, "accel") && item.value)
		result = option_engine(p, item.value, item.value_len);
	else
		result = option_engine(p, item.text, item.len);
	while (result == OPTIONS_RUN && option_next_item(&arg, &item)) {
		if (!item.value && option_key_is(&item, "help")) {
			engine_list_options(engine_find(p->config->engine), stdout);
			return OPTIONS_DONE;
		}
		if (option_key_is(&item, "stats")) {
			if (!item.value_len)
				return option_fail(p,
						   "-accel: stats= needs a file name: stats=FILE");
			free(p->config->stats_path);
			p->config->stats_path = strndup(item.value, item.value_len);
		} else if (!option_append(&p->config->engine_options, &item)) {
			return option_fail(p, "-accel: no memory");
		}
	}
	return result;
}

static enum options_result option_machine_type(struct option_parser *p, const char *name, int len)
{
	const char versioned[] = "pc-i440fx-";

	if ((len == 2 && !memcmp(name, "pc", 2)) ||
	    (len > (int)strlen(versioned) && !memcmp(name, versioned, strlen(versioned))))
		return OPTIONS_RUN;
	return option_fail(p, "-%s %.*s: there is no such machine; the one there is: pc", p->option,
			   len, name);
}

/* Properties that say what is so anyway. */
static bool option_machine_is_so(const struct option_item *item)
{
	static const char *const off[] = { "usb", "vmport", "smm", "graphics" };

	for (size_t i = 0; i < RF_ARRAY_SIZE(off); i++) {
		if (option_key_is(item, off[i]))
			return option_value_is(item, "off");
	}
	return option_key_is(item, "acpi") && option_value_is(item, "on");
}

static enum options_result option_hpet(struct option_parser *p, const struct option_item *item)
{
	p->config->no_hpet = option_value_is(item, "off");
	if (p->config->no_hpet || option_value_is(item, "on"))
		return OPTIONS_RUN;
	return option_fail(p, "-%s %.*s: hpet is 'on' or 'off'", p->option, item->len, item->text);
}

enum options_result opt_machine(struct option_parser *p, const char *arg)
{
	struct option_item item;
	bool first = true;

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		printf("Machines:\npc    Standard PC (i440FX + PIIX) (default)\n");
		return OPTIONS_DONE;
	}
	for (; option_next_item(&arg, &item); first = false) {
		enum options_result result = OPTIONS_RUN;

		if (first && !item.value)
			result = option_machine_type(p, item.text, item.len);
		else if (option_key_is(&item, "type") && item.value)
			result = option_machine_type(p, item.value, item.value_len);
		else if (option_key_is(&item, "accel") && item.value)
			result = option_engine(p, item.value, item.value_len);
		else if (option_key_is(&item, "hpet"))
			result = option_hpet(p, &item);
		else if (!option_machine_is_so(&item))
			result = option_fail(p,
					     "-%s: '%.*s' is not a property of the machine here; "
					     "known: accel=ENGINE, hpet=on|off",
					     p->option, item.len, item.text);
		if (result != OPTIONS_RUN)
			return result;
	}
	return OPTIONS_RUN;
}

enum options_result option_cpu(struct option_parser *p, const char *arg)
{
	static const struct {
		const char *name, *nearest;
	} others[] = {
		{ "qemu32", "max" },  { "qemu64", "max" },  { "kvm32", "max" }, { "kvm64", "max" },
		{ "coreduo", "max" }, { "core2duo", "max" }, { "n270", "max" }, { "host", "max" },
		{ "Conroe", "max" },  { "Penryn", "max" },  { "Nehalem", "max" },
		{ "athlon", "pentium3" },
	};
	const size_t len = strcspn(arg, ",");

	p->config->cpu = arg;
	for (size_t i = 0; i < RF_ARRAY_SIZE(others); i++) {
		char *spec;

		if (strlen(others[i].name) != len || memcmp(others[i].name, arg, len))
			continue;
		if (asprintf(&spec, "%s%s", others[i].nearest, arg + len) < 0)
			return option_fail(p, "-cpu %s: no memory", arg);
		option_note(p, "-cpu %s: the nearest model here is taken, %s", others[i].name,
			    others[i].nearest);
		free(p->config->cpu_mapped);
		p->config->cpu = p->config->cpu_mapped = spec;
	}
	return OPTIONS_RUN;
}

enum options_result opt_smp(struct option_parser *p, const char *arg)
{
	const char *list = arg;
	struct option_item item;

	while (option_next_item(&list, &item)) {
		uint64_t n;

		if (!option_number(item.value ? item.value : item.text,
				   item.value ? item.value_len : item.len, UINT32_MAX, &n))
			return option_fail(
				p, "-smp %s: not a number of processors; the guest has one: -smp 1",
				arg);
		if (n != 1)
			return option_fail(
				p,
				"-smp %s: the guest has one processor; use -smp 1 or leave it out",
				arg);
	}
	return OPTIONS_RUN;
}

enum options_result opt_device(struct option_parser *p, const char *arg)
{
	struct vm_config *c = p->config;
	const char *list = arg;
	struct option_item item;

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		printf("Devices:\nisa-debug-exit[,iobase=N][,iosize=N]\n");
		return OPTIONS_DONE;
	}
	option_next_item(&list, &item);
	if (item.value || !option_key_is(&item, "isa-debug-exit"))
		return option_fail(p,
				   "-device %.*s: there is no such device in this build; -device "
				   "help lists them",
				   item.len, item.text);
	c->debug_exit = true;
	c->debug_exit_iobase = 0x501;
	c->debug_exit_iosize = 2;
	while (option_next_item(&list, &item)) {
		bool base = option_key_is(&item, "iobase");
		uint64_t n;

		if (!base && !option_key_is(&item, "iosize"))
			return option_fail(p,
					   "-device isa-debug-exit: '%.*s' is not one of its "
					   "properties; known: iobase=N, iosize=N",
					   item.len, item.text);
		if (!option_number(item.value, item.value_len, base ? 0xffff : 8, &n) || !n)
			return option_fail(p, "-device isa-debug-exit: '%.*s' is not usable; %s",
					   item.len, item.text,
					   base ? "iobase is a port (1..0xffff)" :
						  "iosize is 1 to 8");
		if (base)
			c->debug_exit_iobase = n;
		else
			c->debug_exit_iosize = n;
	}
	return OPTIONS_RUN;
}

enum options_result opt_global(struct option_parser *p, const char *arg)
{
	const char *list = arg;
	struct option_item item;
	uint64_t n;

	option_next_item(&list, &item);
	if (list || !option_key_is(&item, "isa-debugcon.iobase"))
		return option_fail(
			p, "-global %s: not a property here; known: isa-debugcon.iobase=N", arg);
	if (!option_number(item.value, item.value_len, 0xffff, &n) || !n)
		return option_fail(p, "-global %s: iobase is a port (1..0xffff)", arg);
	p->config->debugcon_iobase = n;
	p->debugcon_iobase_set = true;
	return OPTIONS_RUN;
}

enum options_result opt_rtc(struct option_parser *p, const char *arg)
{
	const char *list = arg;
	struct option_item item;

	while (option_next_item(&list, &item)) {
		if (option_key_is(&item, "base") &&
		    (option_value_is(&item, "utc") || option_value_is(&item, "localtime")))
			p->config->rtc_localtime = option_value_is(&item, "localtime");
		else if (!(option_key_is(&item, "clock") && option_value_is(&item, "host")))
			return option_fail(
				p,
				"-rtc %s: '%.*s' is not available; use base=utc or base=localtime",
				arg, item.len, item.text);
	}
	return OPTIONS_RUN;
}
