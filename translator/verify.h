/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verifier: proves of a finished translation unit, from its bytes alone, that it keeps to its
 * window and to the translator's conventions (conventions.h). It shares no code with the
 * translator's decoder and emitter.
 *
 * What is proved, the forms that are accepted and what is not proved: docs/translation.md, "The
 * verifier".
 */
#ifndef RF_TRANSLATOR_VERIFY_H
#define RF_TRANSLATOR_VERIFY_H

#include "x86/types.h"

struct translator;
struct tu;

enum verify_rule {
	/* the bytes are host instructions, one after the other from start to end */
	VERIFY_BYTES,
	VERIFY_ENCODING,    /* each prefix once, in its place, and with a meaning */
	VERIFY_INSTRUCTION, /* the instruction is on the list */
	/* only registers that are the guest's, or scratch in a known form; 32 bits of them */
	VERIFY_REGISTER,
	VERIFY_MEMORY,      /* memory operands are confined, or a known form */
	/*
	 * a known form without what it builds on: a part of the sequence is missing or out of order
	 */
	VERIFY_GLUE,
	VERIFY_REST,        /* guest registers and flags are the guest's where they have to be */
	VERIFY_BRANCH,      /* direct branches lead to where one may */
	VERIFY_INDIRECT,    /* indirect branches are of a known form */
	VERIFY_FLOW,        /* code does not run off its end, and all of it is reached */
	VERIFY_STUB,        /* stubs get what they expect */
	VERIFY_MODE,        /* the instruction may run in the TU's mode */
	/* link tables and branch caches lead to entries of TUs or to unlinked paths */
	VERIFY_TABLE,
	VERIFY_RULES
};

struct verify_failure {
	enum verify_rule rule;
	uint32_t offset;    /* of the instruction in the TU */
	const char *why;
	char text[96];      /* the instruction */
};

struct verifier;
int verifier_create(struct verifier **out) RF_MUST_CHECK;
void verifier_destroy(struct verifier *v);

/* A valid TU. NULL: all is well; else what is wrong first, valid until the next call. */
const struct verify_failure *verify_tu(struct verifier *v, const struct translator *tr,
				       const struct tu *tu);
/* Every link table and branch cache in use. */
const struct verify_failure *verify_tables(struct verifier *v, const struct translator *tr);
const char *verify_rule_text(enum verify_rule rule);

/*
 * Verifies tu if the translator has a verifier, counts that, and on failure reports to standard
 * error and aborts.
 */
void verify_or_abort(struct translator *tr, const struct tu *tu);
void verify_tables_or_abort(struct translator *tr);

#endif
