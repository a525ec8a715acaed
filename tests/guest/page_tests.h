/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of paging share: linear addresses that nothing else uses, and pages of code. */
#ifndef GUEST_PAGE_TESTS_H
#define GUEST_PAGE_TESTS_H

#include "guest.h"

#define TEST_PAGE  0x40000000u
#define OTHER_PAGE 0x48000000u
#define LARGE_PAGE 0x50000000u

/* At a physical address: mov eax, value; int DONE. Ends at the byte returned. */
static inline uint32_t write_code(uint32_t at, uint32_t value)
{
	uint8_t *code = (uint8_t *)at;

	code[0] = 0xb8;
	__builtin_memcpy(code + 1, &value, 4);
	code[5] = 0xcd;
	code[6] = DONE;
	return at + 7;
}

#endif
