/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether an operand is what a form wants (verify_patterns.h). */
#include "verify_patterns.h"

static bool matches_address(const struct pattern *p, const struct host_operand *o)
{
	if (!p->count) /* ANY_SUM */
		return true;
	if (p->base != o->base || p->index != o->index ||
	    (o->index != VERIFY_NO_REG && p->scale != o->scale))
		return false;
	for (unsigned i = 0; i < p->count; i++) {
		if (p->any_disp || o->disp == p->disp + (int)i * p->stride)
			return true;
	}
	return false;
}

bool verify_matches(const struct pattern *p, const struct host_operand *o)
{
	switch (p->kind) {
	case PATTERN_REGISTER:
		return o->kind == OPERAND_REGISTER && o->file == FILE_GENERAL &&
		       p->regs & R(o->reg) && o->bytes == p->bytes;
	case PATTERN_IMMEDIATE:
		return o->kind == OPERAND_IMMEDIATE;
	case PATTERN_GUEST_MEMORY:
		return o->kind == OPERAND_MEMORY && o->bytes == p->bytes &&
		       verify_is_guest_operand(o);
	case PATTERN_AT:
		return o->kind == OPERAND_MEMORY && (!p->bytes || o->bytes == p->bytes) &&
		       matches_address(p, o);
	case PATTERN_WINDOW_SUM:
		return o->kind == OPERAND_MEMORY && o->base < 16 && GUEST_REGISTERS & R(o->base) &&
		       o->index == H_WINDOW && o->scale == 1 && !o->disp;
	default:
		return false;
	}
}
