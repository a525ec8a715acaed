/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control transfers: where they may lead, and what has to hold there. Private to verify*.c. */
#ifndef RF_TRANSLATOR_VERIFY_BRANCH_H
#define RF_TRANSLATOR_VERIFY_BRANCH_H

#include "verify_forms.h"

bool verify_is_transfer(const struct host_insn *insn);
/* The transfer v->insn. False: verify_fail()ed. */
bool verify_transfer(struct verifier *v);
/* An instruction of an exit's unlinked path, after the TU's body. */
bool verify_unlinked_path(struct verifier *v);

/* verify.c: control may go from the instruction at from to offset to, with state. */
bool verify_add_edge(struct verifier *v, uint32_t to, uint32_t from,
		     const struct verify_state *state);
/* The TU that starts at address, NULL if none in use does. */
const struct tu *verify_tu_at(const struct translator *tr, cache_pc address);

#endif
