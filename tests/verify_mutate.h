/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Damage to a translation by chance. */
#ifndef RF_TESTS_VERIFY_MUTATE_H
#define RF_TESTS_VERIFY_MUTATE_H

#include "random_state.h"
#include "verify_fixture.h"

/*
 * Changes bits, a byte or an instruction of the unit's host code; list: its n instructions as they
 * are. May change nothing.
 */
void verify_mutate(struct random_source *r, struct vf *vf, struct tu *tu,
		   const struct vf_insn *list, unsigned n);

#endif
