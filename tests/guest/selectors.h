/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is where in the guest's GDT. Flat code and data of every ring, the TSS, and entries for
 * tests to use as they like.
 */
#ifndef GUEST_SELECTORS_H
#define GUEST_SELECTORS_H

#define KCODE 0x08
#define KDATA 0x10
#define CODE(ring) (0x08 + 0x10 * (ring) + (ring))
#define DATA(ring) (0x10 + 0x10 * (ring) + (ring))
#define MAIN_TSS 0x48
#define SCRATCH(n) (0x50 + 8 * (n)) /* n below SCRATCHES */
#define SCRATCHES 32
#define GDT_ENTRIES (SCRATCH(SCRATCHES) / 8)

#define DONE 0x81 /* the vector with which a snippet ends: its gate is open to ring 3 */

#endif
