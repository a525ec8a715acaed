/* SPDX-License-Identifier: GPL-2.0-or-later */
/* 32-bit instructions for hosts that run 64-bit code only. */
#ifndef RF_TESTS_LONG_MODE_H
#define RF_TESTS_LONG_MODE_H

#include "translator/opcode_map.h"

/*
 * Encodes i, whose bytes these are, so that 64-bit mode does with registers, flags and memory below
 * 4 GiB what a 32-bit code segment does with the original. Returns the length (up to 16, of which
 * 15 are allowed), or 0 if 64-bit mode has no such instruction. i has 32-bit addressing, no prefix
 * for a segment, and neither an absolute address by ModRM nor anything to do with control
 * transfers.
 */
unsigned long_mode_encode(const struct insn *i, const uint8_t *bytes, uint8_t out[16]);

#endif
