/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "executor.h"
struct executor *unicorn_create(const char **why)
{
	*why = "not built in";
	return NULL;
}
