/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A translator with one page of guest code and callbacks that do nothing, and guest code that
 * makes every form of host code there is.
 */
#ifndef RF_TESTS_VERIFY_FIXTURE_H
#define RF_TESTS_VERIFY_FIXTURE_H

#include "translator/disasm.h"
#include "translator/tu.h"
#include "translator/verify.h"

#define VF_FLAT (MODE_SS_FLAT | MODE_DS_FLAT | MODE_ES_FLAT | MODE_FPU | MODE_SSE | MODE_TSC)
#define VF_PAGE 0x1000u
#define VF_CODE (VF_PAGE + 0x100) /* where the guest code of a case is */

struct vf_case {
	const char *name;
	uint32_t mode, adapt;
	const uint8_t *guest;
	unsigned len;
};
extern const struct vf_case vf_cases[];
extern const unsigned vf_ncases;
/* The same of 16-bit code. */
extern const struct vf_case vf_cases16[];
extern const unsigned vf_ncases16;

struct vf {
	struct translator *tr;
	struct tc_space *space;
	struct verifier *verifier;
	struct disasm *disasm;
	uint8_t page[GUEST_PAGE_SIZE];
	bool global;          /* pages are mapped globally */
};

/* verify: the translator's own verification, which aborts. host: HOST_* (translator.h). */
struct vf *vf_create(bool verify, uint32_t host);
void vf_destroy(struct vf *vf);
const struct vf_case *vf_find(const char *name);
/* The case's TU, the only one there is. */
struct tu *vf_translate(struct vf *vf, const struct vf_case *c);
/* The TU of code at VF_CODE, as translator_find() finds or makes it. */
struct tu *vf_find_tu(struct vf *vf, gva_t eip, uint32_t mode);

/* The TU's host code, to write. */
uint8_t *vf_host(const struct vf *vf, const struct tu *tu);

struct vf_insn {
	uint32_t offset, len;
	char text[96];
};
#define VF_MAX_INSNS 512
#define VF_MAX_CODE 4096
/* The TU's host code as Capstone reads it; how many instructions. */
unsigned vf_listing(struct vf *vf, const struct tu *tu, struct vf_insn *list);

#endif
