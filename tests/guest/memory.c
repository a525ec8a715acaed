/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a compiler may call where there is no C library, for structures that it copies or clears. */
#include "guest.h"

void *memcpy(void *to, const void *from, __SIZE_TYPE__ len);
void *memset(void *to, int byte, __SIZE_TYPE__ len);

void *memcpy(void *to, const void *from, __SIZE_TYPE__ len)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(len) : : "memory");
	return to;
}

void *memset(void *to, int byte, __SIZE_TYPE__ len)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(byte) : "memory");
	return to;
}
