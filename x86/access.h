/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an access to guest memory does, and on whose behalf: the one type that the page-table
 * walker, the software TLB, the shadow tables and host mappings speak of it in.
 */
#ifndef RF_X86_ACCESS_H
#define RF_X86_ACCESS_H

/* One kind, and any of the flags. */
enum access {
	ACCESS_READ  = 0x0,
	ACCESS_WRITE = 0x1,     /* a host mapping that allows it may be read as well */
	ACCESS_EXEC  = 0x2,     /* an instruction fetch; no host mapping is for that */
	ACCESS_KIND  = 0x3,     /* mask of the three; tables are indexed by it */

	/* by a program at CPL 3; the processor's own to descriptor tables and the TSS never are */
	ACCESS_USER  = 0x4,
	/* to the walker: look only, leave accessed and dirty bits alone */
	ACCESS_PROBE = 0x8,
	/* to a host mapping: the access comes at once, so the host's page tables are filled now */
	ACCESS_SOON  = 0x10,
};

#define ACCESS_KINDS 3

static inline enum access access_at_cpl(unsigned cpl)
{
	return cpl == 3 ? ACCESS_USER : ACCESS_READ;
}

#endif
