/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a CPU model can do, as bits: for CPUID and for deciding which opcodes exist. */
#ifndef RF_X86_FEATURES_H
#define RF_X86_FEATURES_H

#include <stdint.h>

/*
 * FEATURE_* bits: instruction-set features of a model, for the decoder's #UD decisions and CPUID.
 * The bits are no enumeration, whose constants need not be wider than an int: a complement of one
 * has to keep all others.
 */
typedef uint64_t feature_set;

#define FEATURE_BIT(n) ((feature_set)1 << (n))

#define FEATURE_FPU        FEATURE_BIT(0)
#define FEATURE_TSC        FEATURE_BIT(1)
#define FEATURE_MSR        FEATURE_BIT(2)
#define FEATURE_CX8        FEATURE_BIT(3)
#define FEATURE_CMOV       FEATURE_BIT(4)
#define FEATURE_MMX        FEATURE_BIT(5)
#define FEATURE_FXSR       FEATURE_BIT(6)
#define FEATURE_SSE        FEATURE_BIT(7)
#define FEATURE_SSE2       FEATURE_BIT(8)
#define FEATURE_SSE3       FEATURE_BIT(9)
#define FEATURE_SSSE3      FEATURE_BIT(10)
#define FEATURE_SSE4_1     FEATURE_BIT(11)
#define FEATURE_SSE4_2     FEATURE_BIT(12)
#define FEATURE_POPCNT     FEATURE_BIT(13)
#define FEATURE_SEP        FEATURE_BIT(14)
#define FEATURE_PSE        FEATURE_BIT(15)
#define FEATURE_PAE        FEATURE_BIT(16)
#define FEATURE_PGE        FEATURE_BIT(17)
#define FEATURE_NX         FEATURE_BIT(18)
#define FEATURE_CPUID      FEATURE_BIT(19)
#define FEATURE_APIC       FEATURE_BIT(20)
#define FEATURE_CLFLUSH    FEATURE_BIT(21)
#define FEATURE_VME        FEATURE_BIT(22)
#define FEATURE_DE         FEATURE_BIT(23)
#define FEATURE_PAT        FEATURE_BIT(24)
#define FEATURE_MCE        FEATURE_BIT(25) /* and MCA */
#define FEATURE_PSE36      FEATURE_BIT(26)
#define FEATURE_RDPMC      FEATURE_BIT(27)
#define FEATURE_MOVBE      FEATURE_BIT(28)
#define FEATURE_NOPL       FEATURE_BIT(29)
#define FEATURE_486        FEATURE_BIT(30) /* BSWAP, XADD, CMPXCHG, INVLPG, WBINVD */
#define FEATURE_TSC_ADJUST FEATURE_BIT(31)
#define FEATURE_RDTSCP     FEATURE_BIT(32)
#define FEATURE_RDPID      FEATURE_BIT(33)
#define FEATURE_LZCNT      FEATURE_BIT(34)
#define FEATURE_UMIP       FEATURE_BIT(35)
#define FEATURE_SMEP       FEATURE_BIT(36)
#define FEATURE_SMAP       FEATURE_BIT(37)

#endif
