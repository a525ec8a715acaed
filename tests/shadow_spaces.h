/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests with two address spaces, for the tests of the shadow tables: a user table each, at UVA(),
 * and a kernel table in common, at KVA().
 */
#ifndef RF_TESTS_SHADOW_SPACES_H
#define RF_TESTS_SHADOW_SPACES_H

#include "shadow_fixture.h"

#define PD    0x100000u
#define PD2   0x101000u
#define PT    0x102000u
#define PT2   0x103000u
#define KPT   0x104000u
#define USER_RW (PTE_P | PTE_W | PTE_U)
#define SEEN    (PTE_A)

#define UVA(i) (0x08000000u + ((i) << 12)) /* directory entry 0x20 */
#define KVA(i) (0xc0400000u + ((i) << 12)) /* directory entry 0x301 */

/* Nothing is mapped but what was asked for. */
extern const struct shadow_options alone;

/* The first space (PD) is current; all tables are empty. */
void two_spaces(struct guest *g, const struct shadow_options *options, uint32_t cr4);
/* One space under PAE, with a user table (PT). */
void pae_space(struct guest *g, const struct shadow_options *options, bool nxe);

/* Entry i of the first space's user table, and of the kernel table. */
void user_pte(struct guest *g, unsigned i, uint32_t gfn, uint32_t bits);
void kernel_pte(struct guest *g, unsigned i, uint32_t gfn, uint32_t bits);

enum shadow_fill user_write(struct guest *g, gva_t gva);
/* Whether the current space's window has the page. */
bool mapped(struct guest *g, enum shadow_view view, gva_t gva);

#endif
