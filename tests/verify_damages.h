/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Damage to translations, each with the rule of the verifier that it breaks: test_verify.c applies
 * it.
 */
#ifndef RF_TESTS_VERIFY_DAMAGES_H
#define RF_TESTS_VERIFY_DAMAGES_H

#include "verify_fixture.h"

enum damage_kind {
	REPLACE, /* the instruction by bytes, and NOPs after them */
	DELETE,  /* the instruction by NOPs */
	DROP,    /* byte index; the rest moves up, then a NOP */
	FLIP,    /* bits of byte index; from the end if it is negative */
	SWAP,    /* with the instruction after it */
};

enum damage_host { BOTH, WITH_BMI2, WITHOUT_BMI2 };

struct damage {
	const char *what, *in; /* in the case called so */
	const char *at;        /* at the instruction whose text starts so */
	unsigned nth;          /* the how manieth of these, from 0 */
	enum damage_kind kind;
	enum verify_rule rule;
	int index;
	uint8_t mask;
	uint8_t bytes[12];
	unsigned len;
	enum damage_host host;
};

/* Steps left out, exchanged or made otherwise. */
extern const struct damage vf_damages[];
extern const unsigned vf_ndamages;

/* Instructions that have no business in a translation. */
extern const struct damage vf_foreign[];
extern const unsigned vf_nforeign;

#endif
