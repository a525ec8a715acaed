/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a long task (reading files, waiting for another program) is wanted any more. Whoever
 * works on one asks now and then, and when told so ends with -EINTR.
 */
#ifndef RF_X86_CANCEL_H
#define RF_X86_CANCEL_H

#include "types.h"

struct cancel {
	int fd; /* poll(2) finds it readable when it is time to ask; -1: there is none */
	bool (*wanted)(void *opaque); /* stays true once it is */
	void *opaque;
};

/* cancel may be NULL: never. */
static inline bool cancel_wanted(const struct cancel *cancel)
{
	return cancel && cancel->wanted(cancel->opaque);
}

static inline int cancel_fd(const struct cancel *cancel)
{
	return cancel ? cancel->fd : -1;
}

#endif
