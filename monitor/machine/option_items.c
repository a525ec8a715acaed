/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of keys and values, numbers (option_items.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "option_items.h"

bool option_next_item(const char **list, struct option_item *item)
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

bool option_key_is(const struct option_item *item, const char *key)
{
	return (int)strlen(key) == item->key_len && !memcmp(key, item->text, item->key_len);
}

bool option_value_is(const struct option_item *item, const char *value)
{
	return item->value && (int)strlen(value) == item->value_len &&
	       !memcmp(value, item->value, item->value_len);
}

bool option_switch(const struct option_item *item, bool *on)
{
	*on = !item->value || option_value_is(item, "on");
	return *on || option_value_is(item, "off");
}

bool option_number(const char *text, int len, uint64_t max, uint64_t *number)
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
