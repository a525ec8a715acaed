/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What says which images are in which drives: -hda to -hdd, -cdrom, -fda, -fdb, -drive, a bare
 * name.
 */
#include <string.h>
#include "monitor/backends/backends.h"
#include "option_args.h"
#include "option_items.h"

#define CD_INDEX 2 /* where -cdrom goes */

/* One -drive, while it is parsed. */
struct drive_options {
	struct vm_drive drive;
	bool floppy;
	int index; /* -1: the next that is free */
	uint64_t bus, unit;
	bool bus_given, unit_given;
};

static int free_index(const struct vm_config *c)
{
	for (int i = 0; i < VM_IDE_DRIVES; i++)
		if (!c->ide[i].there)
			return i;
	return -1;
}

static enum options_result add_drive(struct option_parser *p, struct vm_drive drive, int index)
{
	struct vm_config *c = p->config;

	if (index < 0)
		index = free_index(c);
	if (index < 0)
		return option_fail(p, "-%s: all four IDE drives are taken", p->option);
	if (c->ide[index].there)
		return option_fail(p, "-%s: IDE drive %d is taken already; give another index=",
				   p->option, index);
	drive.there = true;
	c->ide[index] = drive;
	return OPTIONS_RUN;
}

static enum options_result add_floppy(struct option_parser *p, struct vm_drive drive, int index)
{
	struct vm_drive *drives = p->config->floppy;

	if (index < 0)
		index = drives[0].there;
	if (index >= VM_FLOPPY_DRIVES)
		return option_fail(p, "-%s: there are two floppy drives, 0 and 1, and no drive %d",
				   p->option, index);
	if (drives[index].there)
		return option_fail(p, "-%s: floppy drive %d is taken already", p->option, index);
	drive.there = true;
	drives[index] = drive;
	return OPTIONS_RUN;
}

static enum options_result named_drive(struct option_parser *p, const char *file, int index,
				       bool cd)
{
	return add_drive(p, (struct vm_drive){ .file = file, .cd = cd }, index);
}

enum options_result opt_hard_disk(struct option_parser *p, const char *arg)
{
	return named_drive(p, arg, p->option[2] - 'a', false);
}

enum options_result opt_cdrom(struct option_parser *p, const char *arg)
{
	return named_drive(p, arg, CD_INDEX, true);
}

enum options_result opt_floppy(struct option_parser *p, const char *arg)
{
	return add_floppy(p, (struct vm_drive){ .file = arg }, p->option[2] - 'a');
}

enum options_result option_image(struct option_parser *p, const char *word)
{
	p->option = word;
	if (p->config->ide[0].there)
		return option_fail(p, "'%s' is not an option, and the first disk is given already",
				   word);
	return named_drive(p, word, 0, false);
}

/* The item's value, in which a doubled comma is one. *list is moved on. NULL: no memory. */
static const char *take_file(struct option_parser *p, const char **list,
			     const struct option_item *item)
{
	const char *name = "", *at = item->value;

	while (name) {
		const size_t len = strcspn(at, ",");
		const bool doubled = at[len] && at[len + 1] == ',';

		name = option_string(p, "%s%.*s", name, (int)(len + doubled), at);
		at += len + (doubled ? 2 : 0);
		if (doubled)
			continue;
		*list = *at ? at + 1 : NULL;
		break;
	}
	return name;
}

static enum options_result drive_file(struct option_parser *p, struct drive_options *o,
				      const char **list, const struct option_item *item)
{
	o->drive.file = take_file(p, list, item);
	if (!o->drive.file)
		return option_fail(p, "-drive: no memory");
	if (!*o->drive.file)
		return option_fail(p, "-drive: file= needs a name");
	return OPTIONS_RUN;
}

static enum options_result drive_switch(struct option_parser *p, const struct option_item *item,
					bool *on)
{
	*on = option_value_is(item, "on");
	if (!*on && !option_value_is(item, "off"))
		return option_fail(p, "-drive: '%.*s' is neither on nor off", item->len,
				   item->text);
	return OPTIONS_RUN;
}

static enum options_result drive_number(struct option_parser *p, const struct option_item *item,
					uint64_t most, uint64_t *n)
{
	if (!option_number(item->value, item->value_len, most, n))
		return option_fail(p, "-drive: '%.*s' is not a number up to %u", item->len,
				   item->text, (unsigned)most);
	return OPTIONS_RUN;
}

/* Keys of which one value, or some, mean what is done anyway. */
static bool drive_is_so(const struct option_item *item)
{
	static const struct { const char *key, *value; } so[] = {
		{ "if", "ide" }, { "cache", "writeback" }, { "cache", "none" },
		{ "cache", "unsafe" }, { "aio", "native" }, { "werror", "report" },
		{ "rerror", "report" },
	};

	for (size_t i = 0; i < RF_ARRAY_SIZE(so); i++)
		if (option_key_is(item, so[i].key) && option_value_is(item, so[i].value))
			return true;
	return option_key_is(item, "id") && item->value_len;
}

static enum options_result drive_format(struct option_parser *p, struct drive_options *o,
					const struct option_item *item)
{
	o->drive.format = option_string(p, "%.*s", item->value_len, item->value);
	if (!o->drive.format)
		return option_fail(p, "-drive: no memory");
	if (!block_format_known(o->drive.format))
		return option_fail(p, "-drive: '%.*s' is not available; formats are raw, qcow2, "
				   "vmdk, vdi, vpc, vhdx, qed, qcow, parallels, dmg, bochs and "
				   "cloop", item->len, item->text);
	return OPTIONS_RUN;
}

static bool drive_aio(struct drive_options *o, const struct option_item *item)
{
	if (!option_key_is(item, "aio"))
		return false;
	if (option_value_is(item, "io_uring"))
		o->drive.aio = BLOCK_AIO_URING;
	else if (option_value_is(item, "threads"))
		o->drive.aio = BLOCK_AIO_THREADS;
	return o->drive.aio != BLOCK_AIO_BEST;
}

static enum options_result drive_item(struct option_parser *p, struct drive_options *o,
				      const struct option_item *item)
{
	enum options_result result;
	uint64_t n = 0;

	if (option_key_is(item, "index")) {
		result = drive_number(p, item, VM_IDE_DRIVES - 1, &n);
		o->index = (int)n;
		return result;
	}
	if (option_key_is(item, "format") && item->value)
		return drive_format(p, o, item);
	if (option_key_is(item, "bus")) {
		o->bus_given = true;
		return drive_number(p, item, 1, &o->bus);
	}
	if (option_key_is(item, "unit")) {
		o->unit_given = true;
		return drive_number(p, item, 1, &o->unit);
	}
	if (option_key_is(item, "media")) {
		o->drive.cd = option_value_is(item, "cdrom");
		return o->drive.cd || option_value_is(item, "disk") ?
			       OPTIONS_RUN :
			       option_fail(p, "-drive: '%.*s': a medium is disk or cdrom",
					   item->len, item->text);
	}
	if (option_key_is(item, "if") && option_value_is(item, "floppy")) {
		o->floppy = true;
		return OPTIONS_RUN;
	}
	if (option_key_is(item, "readonly"))
		return drive_switch(p, item, &o->drive.read_only);
	if (option_key_is(item, "snapshot"))
		return drive_switch(p, item, &o->drive.snapshot);
	if (drive_is_so(item) || drive_aio(o, item))
		return OPTIONS_RUN;
	return option_fail(p, "-drive: '%.*s' is not available; known: file=, if=ide|floppy, "
			      "index=, media=disk|cdrom, format=, readonly=, snapshot=, "
			      "aio=", item->len,
			   item->text);
}

static enum options_result drive_add(struct option_parser *p, struct drive_options *o)
{
	if (o->floppy && o->drive.cd)
		return option_fail(p, "-drive: a floppy drive has no CDs; leave out media=cdrom or "
				      "if=floppy");
	if (!o->drive.file && !o->drive.cd && !o->floppy)
		return option_fail(p, "-drive: a disk needs a file: file=NAME");
	if (o->index >= 0 && (o->bus_given || o->unit_given))
		return option_fail(p, "-drive: give index=, or bus= and unit=, not both");
	if (o->bus_given || o->unit_given)
		o->index = (int)(2 * o->bus + o->unit);
	return o->floppy ? add_floppy(p, o->drive, o->index) : add_drive(p, o->drive, o->index);
}

enum options_result opt_drive(struct option_parser *p, const char *arg)
{
	struct drive_options o = { .index = -1 };
	enum options_result result = OPTIONS_RUN;
	struct option_item item;

	while (result == OPTIONS_RUN && option_next_item(&arg, &item)) {
		if (item.value && option_key_is(&item, "file"))
			result = drive_file(p, &o, &arg, &item);
		else
			result = drive_item(p, &o, &item);
	}
	return result == OPTIONS_RUN ? drive_add(p, &o) : result;
}

void option_default_drives(struct option_parser *p)
{
	struct vm_config *c = p->config;

	if (!c->kernel && !p->nodefaults && !c->ide[CD_INDEX].there)
		c->ide[CD_INDEX] = (struct vm_drive){ .there = true, .cd = true };
	if (!c->kernel && !p->nodefaults)
		c->floppy[0].there = true;
}
