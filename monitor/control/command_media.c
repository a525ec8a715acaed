/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is in the drives (commands.h). */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "commands.h"

bool command_query_drive(struct vcpu *vcpu, unsigned n, struct media_drive *drive)
{
	const struct media *media = vcpu->vm->board ? pc_board_media(vcpu->vm->board) : NULL;

	assert(vcpu_is_mine(vcpu));
	return media && media->query && media->query(media->opaque, n, drive);
}

int command_change_medium(struct vcpu *vcpu, const char *name, const char *file, bool force,
			  struct error *error)
{
	struct media_drive drive;

	for (unsigned n = 0; command_query_drive(vcpu, n, &drive); n++) {
		const struct media *media = pc_board_media(vcpu->vm->board);

		if (!strcmp(drive.name, name))
			return media->change(media->opaque, n, file, force, error);
	}
	return error_set(error, -ENODEV, "there is no drive '%s' (info block lists them)", name);
}
