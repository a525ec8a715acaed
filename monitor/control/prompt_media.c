/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands for drives: info block, eject, change. */
#include <errno.h>
#include <string.h>
#include "commands.h"
#include "prompt_commands.h"

static const char *in_it(const struct media_drive *drive)
{
	return drive->file ? drive->file : "[not inserted]";
}

static int answer_block(struct prompt_call *call)
{
	struct media_drive drive;
	unsigned n = 0;

	for (; command_query_drive(call->vcpu, n, &drive); n++) {
		fprintf(call->out, "%s: %s%s\n", drive.name, in_it(&drive),
			drive.file && drive.read_only ? " (read-only)" : "");
		if (drive.removable)
			fprintf(call->out, "    Removable device: %slocked, tray %s\n",
				drive.locked ? "" : "not ", drive.tray_open ? "open" : "closed");
	}
	if (!n)
		fprintf(call->out, "there are no drives\n");
	return 0;
}

/* "[-f] DEVICE", and what comes after it. */
struct media_words {
	bool force;
	char device[sizeof(((struct media_drive *)NULL)->name)];
	const char *rest;
};

static int take_words(struct prompt_call *call, struct media_words *words)
{
	const char *at = call->args;
	size_t len;

	*words = (struct media_words){ 0 };
	if (!strncmp(at, "-f ", 3)) {
		words->force = true;
		at += 3 + strspn(at + 3, " ");
	}
	len = strcspn(at, " ");
	if (!len)
		return error_set(&call->error, -EINVAL, "it needs a drive (info block lists them)");
	if (len >= sizeof(words->device))
		return error_set(&call->error, -EINVAL, "there is no drive '%.*s' (info block "
				 "lists them)", (int)len, at);
	memcpy(words->device, at, len);
	words->rest = at + len + strspn(at + len, " ");
	return 0;
}

static int answer_eject(struct prompt_call *call)
{
	struct media_words words;
	int err = take_words(call, &words);

	if (!err && *words.rest)
		err = error_set(&call->error, -EINVAL, "'%s' is too much: eject [-f] DEVICE",
				words.rest);
	return err ? err : command_change_medium(call->vcpu, words.device, NULL, words.force,
						 &call->error);
}

static int answer_change(struct prompt_call *call)
{
	struct media_words words;
	int err = take_words(call, &words);

	if (!err && !*words.rest)
		err = error_set(&call->error, -EINVAL, "it needs an image: change %s FILE",
				words.device);
	return err ? err : command_change_medium(call->vcpu, words.device, words.rest, words.force,
						 &call->error);
}

const struct prompt_command prompt_media_commands[] = {
	{ "info block", NULL, "the drives, and what is in them", .answer = answer_block },
	{ "eject", "[-f] DEVICE", "take a CD or floppy out; -f: though it is locked",
	  .answer = answer_eject },
	{ "change", "[-f] DEVICE FILE", "put another image into a CD or floppy drive",
	  .answer = answer_change },
};

const size_t prompt_media_count = RF_ARRAY_SIZE(prompt_media_commands);
