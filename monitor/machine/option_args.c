/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the machine is: its memory, its processor, its engine, its type. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "engines.h"
#include "option_args.h"
#include "option_items.h"
#include "monitor/processor/processor.h"
#include "shadowmmu/guest_ram.h"

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
	static const char *const off[] = { "usb", "vmport", "smm", "graphics", "nvdimm",
					   "mem-merge", "dump-guest-core", "suppress-vmdesc",
					   "kernel_irqchip", "kernel-irqchip", "hmat" };
	static const char *const on[] = { "i8042", "pit", "pic" };

	for (size_t i = 0; i < RF_ARRAY_SIZE(off); i++) {
		if (option_key_is(item, off[i]))
			return option_value_is(item, "off");
	}
	for (size_t i = 0; i < RF_ARRAY_SIZE(on); i++) {
		if (option_key_is(item, on[i]))
			return option_value_is(item, "on");
	}
	return false;
}

static enum options_result option_hpet(struct option_parser *p, const struct option_item *item)
{
	p->config->no_hpet = option_value_is(item, "off");
	if (p->config->no_hpet || option_value_is(item, "on"))
		return OPTIONS_RUN;
	return option_fail(p, "-%s %.*s: hpet is 'on' or 'off'", p->option, item->len, item->text);
}

static enum options_result option_machine_property(struct option_parser *p,
						   const struct option_item *item)
{
	bool acpi;

	if (option_key_is(item, "acpi") && option_switch(item, &acpi)) {
		p->config->no_acpi = !acpi;
		return OPTIONS_RUN;
	}
	if (option_key_is(item, "hpet"))
		return option_hpet(p, item);
	if (option_machine_is_so(item))
		return OPTIONS_RUN;
	return option_fail(p,
			   "-%s: '%.*s' is not a property of the machine here; known: "
			   "accel=ENGINE, acpi=on|off, hpet=on|off",
			   p->option, item->len, item->text);
}

enum options_result opt_machine(struct option_parser *p, const char *arg)
{
	struct option_item item;
	bool first = true;

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		printf("Machines:\npc    Standard PC (i440FX + PIIX) (default)\n"
		       "Properties (-machine pc,PROPERTY=...): accel=ENGINE, acpi=on|off, "
		       "hpet=on|off\n");
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
		else
			result = option_machine_property(p, &item);
		if (result != OPTIONS_RUN)
			return result;
	}
	return OPTIONS_RUN;
}

/* Other names of QEMU's, for the model that is nearest. */
static enum options_result option_cpu_nearest(struct option_parser *p, const char *arg)
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
		if (strlen(others[i].name) != len || memcmp(others[i].name, arg, len))
			continue;
		option_note(p, "-cpu %s: the nearest model here is taken, %s", others[i].name,
			    others[i].nearest);
		p->config->cpu = option_string(p, "%s%s", others[i].nearest, arg + len);
	}
	return p->config->cpu ? OPTIONS_RUN : option_fail(p, "-cpu %s: no memory", arg);
}

enum options_result opt_cpu(struct option_parser *p, const char *arg)
{
	struct cpu_model *model;
	struct error why = { 0 };

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		cpu_model_list(stdout);
		return OPTIONS_DONE;
	}
	if (option_cpu_nearest(p, arg) != OPTIONS_RUN)
		return OPTIONS_ERROR;
	if (cpu_model_parse(p->config->cpu, &model, &why))
		return option_fail(p, "-cpu %s: %s", p->config->cpu, why.text);
	free(model);
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
			return option_fail(p,
					   "-smp %s: the guest has one processor, on which kernels "
					   "built for several run as well; use -smp 1, or leave "
					   "-smp out",
					   arg);
	}
	return OPTIONS_RUN;
}
