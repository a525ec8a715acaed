/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Damage by chance; see verify_mutate.h. */
#include <string.h>
#include "translator/decode.h"
#include "verify_mutate.h"

static void flip_bits(struct random_source *r, uint8_t *code, uint32_t len, unsigned n)
{
	while (n--)
		code[random_next(r) % len] ^= 1 << random_next(r) % 8;
}

static void change_byte(struct random_source *r, uint8_t *code, uint32_t len)
{
	code[random_next(r) % len] = random_next(r);
}

/* An instruction by random ones of the unit of the same length, or by NOPs. */
static void change_insn(struct random_source *r, uint8_t *code, const struct vf_insn *list,
			unsigned n)
{
	const struct vf_insn *to = &list[random_next(r) % n], *from = &list[random_next(r) % n];
	uint8_t copy[INSN_MAX_LEN];

	memcpy(copy, code + from->offset, from->len);
	if (random_next(r) & 1 && from->len <= to->len) {
		memset(code + to->offset, 0x90, to->len);
		memcpy(code + to->offset, copy, from->len);
	} else {
		memset(code + to->offset, 0x90, to->len);
	}
}

static void swap_insns(struct random_source *r, uint8_t *code, const struct vf_insn *list,
		       unsigned n)
{
	const unsigned i = random_next(r) % (n - 1);
	uint8_t copy[2 * INSN_MAX_LEN];

	memcpy(copy, code + list[i + 1].offset, list[i + 1].len);
	memcpy(copy + list[i + 1].len, code + list[i].offset, list[i].len);
	memcpy(code + list[i].offset, copy, list[i].len + list[i + 1].len);
}

void verify_mutate(struct random_source *r, struct vf *vf, struct tu *tu,
		   const struct vf_insn *list, unsigned n)
{
	uint8_t *code = vf_host(vf, tu);

	switch (random_next(r) % 5) {
	case 0: flip_bits(r, code, tu->host_len, 1); break;
	case 1: flip_bits(r, code, tu->host_len, 1 + random_next(r) % 3); break;
	case 2: change_byte(r, code, tu->host_len); break;
	case 3: change_insn(r, code, list, n); break;
	case 4: swap_insns(r, code, list, n); break;
	}
}
