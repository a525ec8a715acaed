/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What -accel bt,... may say. */
#ifndef RF_MONITOR_BT_OPTIONS_H
#define RF_MONITOR_BT_OPTIONS_H

#include "profile.h"

struct bt_options {
	struct translator_options translator;
	struct shadow_options shadow;
	struct profile_options profile;
	bool no_soft;
	uint32_t host_without; /* HOST_*: not to be used, though the host has them */
	enum young_choice young;
};

/*
 * text: "KEY=VALUE,..." or NULL. 0, or a negative errno and error. Whatever the result,
 * bt_options_free().
 */
int bt_options_parse(struct bt_options *options, const char *text,
		     struct error *error) RF_MUST_CHECK;
void bt_options_free(struct bt_options *options);

/* A line for each option. */
void bt_options_list(FILE *out);

#endif
