/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells the user of output that is lost. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "lost_output.h"
#include "x86/error.h"

static const char *lost_quote(const struct lost_output *lost)
{
	return lost->path ? "'" : "";
}

static const char *lost_name(const struct lost_output *lost)
{
	return lost->path ? lost->path : "standard output";
}

void lost_output_add(struct lost_output *lost, size_t bytes, int error_number)
{
	if (!lost->any)
		fprintf(stderr, "ringfence: cannot write %s%s%s: %s; output is lost\n",
			lost_quote(lost), lost_name(lost), lost_quote(lost),
			error_reason(error_number));
	lost->any = true;
	lost->bytes += bytes;
}

void lost_output_end(const struct lost_output *lost)
{
	if (lost->any)
		fprintf(stderr, "ringfence: %" PRIu64 " bytes for %s%s%s were lost\n", lost->bytes,
			lost_quote(lost), lost_name(lost), lost_quote(lost));
}
