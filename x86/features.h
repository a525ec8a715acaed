/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a CPU model can do, as bits: for CPUID and for deciding which opcodes exist. */
#ifndef RF_X86_FEATURES_H
#define RF_X86_FEATURES_H

/* Instruction-set features of a model, for the decoder's #UD decisions and CPUID. */
enum cpu_feature {
	FEATURE_FPU = 1 << 0, FEATURE_TSC = 1 << 1, FEATURE_MSR = 1 << 2, FEATURE_CX8 = 1 << 3,
	FEATURE_CMOV = 1 << 4, FEATURE_MMX = 1 << 5, FEATURE_FXSR = 1 << 6, FEATURE_SSE = 1 << 7,
	FEATURE_SSE2 = 1 << 8, FEATURE_SSE3 = 1 << 9, FEATURE_SSSE3 = 1 << 10,
	FEATURE_SSE4_1 = 1 << 11, FEATURE_SSE4_2 = 1 << 12, FEATURE_POPCNT = 1 << 13,
	FEATURE_SEP = 1 << 14, FEATURE_PSE = 1 << 15, FEATURE_PAE = 1 << 16, FEATURE_PGE = 1 << 17,
	FEATURE_NX = 1 << 18, FEATURE_CPUID = 1 << 19, FEATURE_APIC = 1 << 20,
	FEATURE_CLFLUSH = 1 << 21, FEATURE_VME = 1 << 22, FEATURE_DE = 1 << 23,
	FEATURE_PAT = 1 << 24, FEATURE_MCE = 1 << 25 /* and MCA */, FEATURE_PSE36 = 1 << 26,
	FEATURE_RDPMC = 1 << 27, FEATURE_MOVBE = 1 << 28,
	FEATURE_NOPL = 1 << 29, FEATURE_486 = 1 << 30 /* BSWAP, XADD, CMPXCHG, INVLPG, WBINVD */,
	FEATURE_TSC_ADJUST = 1u << 31,
};

#endif
