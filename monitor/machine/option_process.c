/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments about the machine's name and clock, the log, and the process. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "option_args.h"
#include "option_items.h"

#define PROCESS_NAME_LEN 15 /* prctl(2), PR_SET_NAME */

static const char *option_value(struct option_parser *p, const struct option_item *item)
{
	return option_string(p, "%.*s", item->value_len, item->value);
}

/* [guest=]NAME[,process=NAME][,debug-threads=on|off] */
enum options_result opt_name(struct option_parser *p, const char *arg)
{
	const char *list = arg;
	struct option_item item;
	bool first = true, threads;

	for (; option_next_item(&list, &item); first = false) {
		if (first && !item.value)
			p->config->name = option_string(p, "%.*s", item.len, item.text);
		else if (option_key_is(&item, "guest") && item.value)
			p->config->name = option_value(p, &item);
		else if (option_key_is(&item, "process") && item.value_len &&
			 item.value_len <= PROCESS_NAME_LEN)
			p->config->process_name = option_value(p, &item);
		else if (!option_key_is(&item, "debug-threads") || !option_switch(&item, &threads))
			return option_fail(p,
					   "-name %s: '%.*s' is not usable; known: [guest=]NAME, "
					   "process=NAME (up to %d bytes), debug-threads=on|off",
					   arg, item.len, item.text, PROCESS_NAME_LEN);
	}
	return OPTIONS_RUN;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Digits in groups of 8, 4, 4, 4 and 12 (RFC 4122, section 3). */
static bool option_parse_uuid(const char *text, uint8_t uuid[16])
{
	unsigned digits = 0;

	if (strlen(text) != 36)
		return false;
	for (unsigned i = 0; i < 36; i++) {
		const int digit = hex_digit(text[i]);

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
			continue;
		}
		if (digit < 0)
			return false;
		uuid[digits / 2] = digits % 2 ? uuid[digits / 2] | digit : digit << 4;
		digits++;
	}
	return true;
}

enum options_result opt_uuid(struct option_parser *p, const char *arg)
{
	if (!option_parse_uuid(arg, p->config->uuid))
		return option_fail(p,
				   "-uuid %s: not a UUID; uuidgen makes them, as "
				   "550e8400-e29b-41d4-a716-446655440000",
				   arg);
	memcpy(p->config->boot.uuid, p->config->uuid, sizeof(p->config->boot.uuid));
	return OPTIONS_RUN;
}

/* YYYY-MM-DD[THH:MM:SS], UTC, of a year that the clock chip reaches. */
static bool option_parse_date(const char *text, int64_t *seconds)
{
	struct tm date = { 0 };
	const char *end = strptime(text, "%Y-%m-%d", &date);
	int day = date.tm_mday;

	if (end && *end == 'T')
		end = strptime(end, "T%H:%M:%S", &date);
	if (!end || *end || date.tm_year < 70 || date.tm_year >= 300)
		return false;
	*seconds = timegm(&date);
	return *seconds > 0 && date.tm_mday == day;
}

static enum options_result option_rtc_base(struct option_parser *p, const struct option_item *item,
					   const char *arg, const char *text, int len)
{
	const char *base = option_string(p, "%.*s", len, text);
	int64_t seconds;

	p->config->rtc_offset = 0;
	p->config->rtc_localtime = base && !strcmp(base, "localtime");
	if (!base || p->config->rtc_localtime || !strcmp(base, "utc"))
		return OPTIONS_RUN;
	if (!option_parse_date(base, &seconds))
		return option_fail(p,
				   "-rtc %s: '%.*s' is not a time; use base=utc, base=localtime or "
				   "a date from 1970 to 2199 (UTC), as in "
				   "base=2006-06-17T16:01:21",
				   arg, item->len, item->text);
	p->config->rtc_offset = seconds - time(NULL);
	return OPTIONS_RUN;
}

/* What is not the base. */
static enum options_result option_rtc_item(struct option_parser *p, const struct option_item *item,
					   const char *arg)
{
	if (option_key_is(item, "clock") && (option_value_is(item, "host") ||
					     option_value_is(item, "rt") ||
					     option_value_is(item, "vm"))) {
		p->config->rtc_stops = option_value_is(item, "vm");
		return OPTIONS_RUN;
	}
	if (option_key_is(item, "driftfix") && option_value_is(item, "none"))
		return OPTIONS_RUN;
	return option_fail(p,
			   "-rtc %s: '%.*s' is not available; use base=utc|localtime|DATE, "
			   "clock=host|rt|vm, driftfix=none",
			   arg, item->len, item->text);
}

enum options_result opt_rtc(struct option_parser *p, const char *arg)
{
	const char *list = arg;
	struct option_item item;
	enum options_result result = OPTIONS_RUN;

	for (bool first = true; option_next_item(&list, &item); first = false) {
		enum options_result this;

		if (first && !item.value)
			this = option_rtc_base(p, &item, arg, item.text, item.len);
		else if (option_key_is(&item, "base") && item.value)
			this = option_rtc_base(p, &item, arg, item.value, item.value_len);
		else
			this = option_rtc_item(p, &item, arg);
		result = this == OPTIONS_RUN ? result : this;
	}
	return result;
}

enum options_result opt_log_items(struct option_parser *p, const char *arg)
{
	struct error why = { 0 };
	uint32_t items;

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		log_list_items(stdout);
		return OPTIONS_DONE;
	}
	if (log_parse_items(arg, &items, &why))
		return option_fail(p, "-d %s: %s", arg, why.text);
	p->config->log_items |= items;
	return OPTIONS_RUN;
}

/* What -no-reboot and -no-shutdown say, in other words. */
static bool option_action(struct vm_config *c, const struct option_item *item)
{
	if (option_key_is(item, "reboot")) {
		c->no_reboot = option_value_is(item, "shutdown");
		return c->no_reboot || option_value_is(item, "reset");
	}
	if (option_key_is(item, "shutdown")) {
		c->no_shutdown = option_value_is(item, "pause");
		return c->no_shutdown || option_value_is(item, "poweroff");
	}
	return false;
}

enum options_result opt_action(struct option_parser *p, const char *arg)
{
	const char *list = arg;
	struct option_item item;

	while (option_next_item(&list, &item)) {
		if (!option_action(p->config, &item))
			return option_fail(p,
					   "-action %s: '%.*s' is not available; use "
					   "reboot=reset|shutdown, shutdown=poweroff|pause",
					   arg, item.len, item.text);
	}
	return OPTIONS_RUN;
}

enum options_result opt_audiodev(struct option_parser *p, const char *arg)
{
	struct option_item item;

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		printf("Audio back ends (-audiodev NAME,id=ID):\nnone\n");
		return OPTIONS_DONE;
	}
	option_next_item(&arg, &item);
	if ((!item.value && option_key_is(&item, "none")) ||
	    (option_key_is(&item, "driver") && option_value_is(&item, "none")))
		return OPTIONS_RUN;
	return option_fail(p, "-audiodev %.*s: there is no sound here; use -audiodev none,id=ID, "
			      "or leave it out", item.len, item.text);
}
