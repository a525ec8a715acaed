/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who owns which host register while translated code runs.
 *
 *   eax ecx edx ebx ebp esi edi   the guest's own; the upper halves are zero at every instruction
 *                                 boundary
 *   r14d       guest ESP (upper half zero)
 *   host flags the guest's arithmetic flags and DF
 *   r13        the base of the current view's window: guest memory (guest_address.h)
 *   r15        struct cpu, and the translator's words before it (struct tc_words)
 *   r12        link table of the current space (cross-page links of code that is not global); the
 *              branch cache of each mode lies at a distance before it that the mode gives
 *   rsp        the return stack: host return addresses of guest calls, nothing else
 *   r8..r11    scratch within the translation of one guest instruction, but that r10 may keep the
 *              sum of the window and a guest register (guest_address.h). r8d carries the guest's
 *              return address across a host RET, and the target across a jump to the branch lookup.
 *
 * The C stack waits at tcw.host_rsp.
 */
#ifndef RF_TRANSLATOR_CONVENTIONS_H
#define RF_TRANSLATOR_CONVENTIONS_H

#include "x86/access.h"
#include "x86/tc_words.h"

/*
 * Where translated code and its stubs are to be executed, in the code cache: a host address, but
 * never one of a window or a stack, which are hva_t.
 */
typedef uintptr_t cache_pc;

enum host_reg {
	H_RAX, H_RCX, H_RDX, H_RBX, H_RSP, H_RBP, H_RSI, H_RDI, H_R8, H_R9, H_R10, H_R11, H_R12,
	H_R13, H_R14, H_R15
};

#define H_LINKS     H_R12
#define H_WINDOW    H_R13
#define H_GUEST_ESP H_R14
#define H_CPU       H_R15

static inline unsigned host_reg_of(unsigned guest_reg)
{
	return guest_reg == X86_ESP ? H_GUEST_ESP : guest_reg;
}

#define CPU_OFF(field) ((int32_t)offsetof(struct cpu, field))
#define CPU_REG_OFF(r) (CPU_OFF(regs) + 4 * (int32_t)(r))
#define CPU_SEG_OFF(s) (CPU_OFF(seg) + (int32_t)sizeof(struct segment) * (int32_t)(s))

/* Flags that live in the host's flags register. */
#define LIVE_FLAGS (X86_ARITH_FLAGS | X86_DF)

/*
 * The mode key: what of the processor state a translation takes for granted. Links join
 * translations of the same mode only; an instruction that may change the mode leaves translated
 * code.
 */
#define MODE_CPL      0x0003u
#define MODE_SS_FLAT  0x0004u /* base 0, limit 4 GiB, expand-up, writable, 32-bit stack */
#define MODE_DS_FLAT  0x0008u
#define MODE_ES_FLAT  0x0010u
#define MODE_FPU      0x0020u /* CR0.TS and CR0.EM clear: x87 and MMX run */
#define MODE_SSE      0x0040u /* and CR4.OSFXSR */
/* ring 3: every access goes through the software TLB, none to the window (translate_soft.c) */
#define MODE_SOFT     0x0080u /* unless with MODE_CODE16 */
#define MODE_TSC      0x0100u /* RDTSC is allowed here */
/*
 * 16-bit code: real mode, virtual-8086 mode, 16-bit code segments (translate_16.c). MODE_SS_FLAT,
 * DS and ES then say that all offsets up to FFFFh may be read and written.
 */
#define MODE_CODE16   0x0200u
/*
 * With MODE_CODE16, in place of MODE_SOFT: real or virtual-8086 mode, and no segment register has
 * more than that mode gives it (unreal mode), so that a load sets a selector and a base only.
 */
#define MODE_PARAGRAPHS 0x0080u

static inline bool mode_key_is_soft(uint32_t mode)
{
	return (mode & (MODE_SOFT | MODE_CODE16)) == MODE_SOFT;
}

/*
 * Which code segment it is (code_segment.c); 0: the flat one. No part of the key of branch caches:
 * there it is in what is looked up.
 */
#define MODE_CODE_SHIFT 12
#define MODE_CODE     0x00fff000u
/*
 * What that adds to EIP in what is looked up: more than 16 bits apart, and not by a multiple of the
 * branch cache's size, for the same offsets are common in many segments: 0, 100h.
 */
static inline uint32_t mode_lookup_base(uint32_t mode)
{
	return ((mode & MODE_CODE) >> MODE_CODE_SHIFT) * 0x1015du;
}
/* based 32-bit code segment, single step, breakpoints: interpret */
#define MODE_UNTRANSLATABLE 0x80000000u

/*
 * Branch cache: direct mapped by the low bits of EIP. negated_eip is -eip, so that a flag-free LEA
 * compares. An entry of zeros matches nothing, for EIP 0 belongs to another, but for the first
 * entry: BRANCH_CACHE_NONE makes that one empty.
 */
#define BRANCH_CACHE_BITS 13
#define BRANCH_CACHE_ENTRIES (1u << BRANCH_CACHE_BITS)
struct branch_entry {
	uint32_t negated_eip;
	uint32_t reserved;
	uint64_t host;
};
#define BRANCH_CACHE_BYTES (BRANCH_CACHE_ENTRIES * 16)
_Static_assert(sizeof(struct branch_entry) == 16, "indexed by shifts");
#define BRANCH_CACHE_NONE(index) ((index) ? 0u : 1u)

/* From the link table to the branch cache of a mode that can be translated. */
#define MODE_KEYS 0x400u
static inline int32_t branch_cache_offset(uint32_t mode)
{
	return -(int32_t)((mode & (MODE_KEYS - 1)) + 1) * (int32_t)BRANCH_CACHE_BYTES;
}

/*
 * The software TLB as translated code looks it up (ADAPT_SOFT): direct mapped by the linear page
 * number, one table for reads and one for writes. It holds only pages of plain RAM that the access
 * is allowed to reach without anyone's notice.
 */
#define SOFT_LOOKUP_BITS 8
#define SOFT_LOOKUP_ENTRIES (1u << SOFT_LOOKUP_BITS)
struct soft_lookup {
	/* ~(linear page number), so that a flag-free LEA compares; 0, which inverts none: empty */
	uint32_t inverted_page;
	uint32_t reserved;
	uint64_t addend;        /* host address - linear address */
};
#define SOFT_LOOKUP_KINDS 2 /* tables, by enum access */

/*
 * What a load of a segment register with some selector came to in ring 0, direct mapped by the
 * selector's index: good while the descriptor in memory is the same, and the GDT's place and what
 * is mapped there (else it is made empty, struct soft_tlb).
 */
#define SEGMENT_MEMO_BITS 5
#define SEGMENT_MEMOS (1u << SEGMENT_MEMO_BITS)
struct segment_memo {
	uint32_t next_selector;         /* the selector + 1; 0: empty */
	uint32_t limit;
	uint64_t image;                 /* struct segment's selector, attr, base */
	uint64_t descriptor;
	const uint64_t *descriptor_at;  /* where the monitor sees it */
	const uint32_t *seg_base[2];    /* for tcw.seg_base of FS, GS */
	uint64_t reserved[2];
};
_Static_assert(sizeof(struct segment_memo) == 64, "indexed by shifts");

#endif
