/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What says how the firmware is to start: -boot, -L. */
#include <string.h>
#include "option_args.h"
#include "option_items.h"

#define BOOT_DEVICES "abcdnop"
#define BOOT_DEVICES_MOST 3 /* setup has room for no more */

enum options_result opt_library(struct option_parser *p, const char *arg)
{
	struct vm_config *c = p->config;

	if (c->firmware_folders == VM_FIRMWARE_FOLDERS)
		return option_fail(p, "-L %s: at most %d folders can be given", arg,
				   VM_FIRMWARE_FOLDERS);
	c->firmware_folder[c->firmware_folders++] = arg;
	return OPTIONS_RUN;
}

static enum options_result boot_order(struct option_parser *p, const char *text, int len,
				      char order[BOOT_DEVICES_MOST + 2])
{
	if (!len || len > BOOT_DEVICES_MOST)
		return option_fail(p, "-boot: '%.*s' is not an order: one to %d letters of %s", len,
				   text, BOOT_DEVICES_MOST, BOOT_DEVICES);
	for (int i = 0; i < len; i++) {
		if (!strchr(BOOT_DEVICES, text[i]))
			return option_fail(p, "-boot: there is no device '%c'; a and b are "
					      "floppies, c the disk, d the CD, n to p networks",
					   text[i]);
		if (memchr(text, text[i], i))
			return option_fail(p, "-boot: '%c' is given twice in '%.*s'", text[i], len,
					   text);
	}
	memcpy(order, text, len);
	order[len] = '\0';
	return OPTIONS_RUN;
}

static enum options_result boot_switch(struct option_parser *p, const struct option_item *item,
				       bool *on)
{
	*on = option_value_is(item, "on");
	if (!*on && !option_value_is(item, "off"))
		return option_fail(p, "-boot: '%.*s' is neither on nor off", item->len, item->text);
	return OPTIONS_RUN;
}

static enum options_result boot_ms(struct option_parser *p, const struct option_item *item,
				   uint64_t *ms)
{
	if (!option_number(item->value, item->value_len, 0xffff, ms))
		return option_fail(p, "-boot: '%.*s' is not a number of milliseconds up to 65535",
				   item->len, item->text);
	return OPTIONS_RUN;
}

static enum options_result boot_item(struct option_parser *p, const struct option_item *item)
{
	struct vm_config *c = p->config;
	enum options_result result;
	uint64_t ms = 0;
	bool strict;

	if (!item->value)
		return option_fail(p, "-boot: '%.*s' needs a value", item->len, item->text);
	if (option_key_is(item, "order"))
		return boot_order(p, item->value, item->value_len, c->boot_order);
	if (option_key_is(item, "once"))
		return boot_order(p, item->value, item->value_len, c->boot_once);
	if (option_key_is(item, "menu"))
		return boot_switch(p, item, &c->boot.menu);
	/* QEMU's means devices with a bootindex, of which there are none here. */
	if (option_key_is(item, "strict"))
		return boot_switch(p, item, &strict);
	if (option_key_is(item, "splash-time")) {
		result = boot_ms(p, item, &ms);
		c->boot.menu_wait_ms = (uint16_t)ms;
		return result;
	}
	if (option_key_is(item, "reboot-timeout")) {
		if (option_value_is(item, "-1"))
			return OPTIONS_RUN;
		result = boot_ms(p, item, &ms);
		c->boot.retry_ms = (int32_t)ms;
		return result;
	}
	return option_fail(p, "-boot: '%.*s' is not known; known: order=, once=, menu=, "
			      "splash-time=, reboot-timeout=, strict=", item->len, item->text);
}

enum options_result opt_boot(struct option_parser *p, const char *arg)
{
	struct option_item item;
	bool first = true;

	for (; option_next_item(&arg, &item); first = false) {
		enum options_result result =
			first && !item.value ?
				boot_order(p, item.text, item.len, p->config->boot_order) :
				boot_item(p, &item);

		if (result != OPTIONS_RUN)
			return result;
	}
	return OPTIONS_RUN;
}
