/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an access to guest memory does, and on whose behalf: the one type that the page-table
 * walker, the software TLB, the shadow tables and host mappings speak of it in.
 */
#ifndef RF_X86_ACCESS_H
#define RF_X86_ACCESS_H

#include "arch.h"
#include "types.h"

/* One kind, and any of the flags. */
enum access {
	ACCESS_READ  = 0x0,
	ACCESS_WRITE = 0x1,     /* a host mapping that allows it may be read as well */
	ACCESS_EXEC  = 0x2,     /* an instruction fetch; no host mapping is for that */
	ACCESS_KIND  = 0x3,     /* mask of the three; tables are indexed by it */

	/* by a program at CPL 3; the processor's own to descriptor tables and the TSS never are */
	ACCESS_USER  = 0x4,
	/*
	 * by a program at CPL 0 to 2, with EFLAGS.AC set: SMAP does not bar it from user pages
	 * (SDM vol. 3, 4.6.1)
	 */
	ACCESS_AC    = 0x8,
	ACCESS_WHO   = 0xc,     /* mask of these two */
	/* to the walker: look only, leave accessed and dirty bits alone */
	ACCESS_PROBE = 0x10,
	/* to a host mapping: the access comes at once, so the host's page tables are filled now */
	ACCESS_SOON  = 0x20,
};

#define ACCESS_KINDS 3

/* Tables by who makes the access: the supervisor, CPL 3, the supervisor with AC. */
#define ACCESS_WHOS 3

static inline unsigned access_who(enum access access)
{
	return (access & ACCESS_WHO) >> 2;
}

static inline enum access access_at_cpl(unsigned cpl)
{
	return cpl == 3 ? ACCESS_USER : ACCESS_READ;
}

/* Of data, by the program itself. */
static inline enum access access_explicit(unsigned cpl, uint32_t eflags)
{
	_Static_assert(X86_AC >> 15 == ACCESS_AC, "one bit becomes the other");
	return cpl == 3 ? ACCESS_USER : (enum access)(eflags >> 15 & ACCESS_AC);
}

#endif
