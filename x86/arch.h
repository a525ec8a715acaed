/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for bits and numbers of the IA-32 architecture (Intel SDM volumes 1 and 3).
 * Constants only: no state, no mechanism.
 */
#ifndef RF_X86_ARCH_H
#define RF_X86_ARCH_H

/* General registers in ModRM order (SDM vol. 2, table 2-2). */
enum x86_reg { X86_EAX, X86_ECX, X86_EDX, X86_EBX, X86_ESP, X86_EBP, X86_ESI, X86_EDI };

/* Segment registers in ModRM/Sreg order. */
enum x86_seg { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_NSEG };

/* EFLAGS (SDM vol. 1, 3.4.3). */
#define X86_CF   0x00000001u
#define X86_F1   0x00000002u /* always one */
#define X86_PF   0x00000004u
#define X86_AF   0x00000010u
#define X86_ZF   0x00000040u
#define X86_SF   0x00000080u
#define X86_TF   0x00000100u
#define X86_IF   0x00000200u
#define X86_DF   0x00000400u
#define X86_OF   0x00000800u
#define X86_IOPL 0x00003000u
#define X86_NT   0x00004000u
#define X86_RF   0x00010000u
#define X86_VM   0x00020000u
#define X86_AC   0x00040000u
#define X86_VIF  0x00080000u
#define X86_VIP  0x00100000u
#define X86_ID   0x00200000u
#define X86_ARITH_FLAGS (X86_CF | X86_PF | X86_AF | X86_ZF | X86_SF | X86_OF)

/* Control registers (SDM vol. 3, 2.5). */
#define CR0_PE 0x00000001u
#define CR0_MP 0x00000002u
#define CR0_EM 0x00000004u
#define CR0_TS 0x00000008u
#define CR0_ET 0x00000010u
#define CR0_NE 0x00000020u
#define CR0_WP 0x00010000u
#define CR0_AM 0x00040000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u

#define CR4_VME 0x0001u
#define CR4_PVI 0x0002u
#define CR4_TSD 0x0004u
#define CR4_DE  0x0008u
#define CR4_PSE 0x0010u
#define CR4_PAE 0x0020u
#define CR4_MCE 0x0040u
#define CR4_PGE 0x0080u
#define CR4_PCE 0x0100u
#define CR4_OSFXSR     0x0200u
#define CR4_OSXMMEXCPT 0x0400u
#define CR4_UMIP       0x0800u
#define CR4_SMEP       0x100000u
#define CR4_SMAP       0x200000u

#define EFER_NXE 0x0800u

/* Debug registers (SDM vol. 3, 17.2). */
#define DR6_BD 0x00002000u /* debug register access detected */
#define DR6_BS 0x00004000u /* single step */
#define DR6_BT 0x00008000u /* task switch */
#define DR6_WRITABLE    0x0000e00fu
#define DR6_FIXED_ONES  0xffff0ff0u
#define DR7_GD          0x2000u /* general detect enable */
#define DR7_LOCAL_ENABLES 0x0155u /* L0 to L3 and LE: a task switch clears them (17.2.4) */
#define DR7_FIXED_ONES  0x0400u
#define DR7_FIXED_ZEROS 0xd000u /* bits 12, 14 and 15 */

/* Exception vectors (SDM vol. 3, table 6-1). */
enum x86_vector {
	EXC_DE = 0, EXC_DB = 1, EXC_NMI = 2, EXC_BP = 3, EXC_OF = 4, EXC_BR = 5, EXC_UD = 6,
	EXC_NM = 7, EXC_DF = 8, EXC_TS = 10, EXC_NP = 11, EXC_SS = 12, EXC_GP = 13, EXC_PF = 14,
	EXC_MF = 16, EXC_AC = 17, EXC_MC = 18, EXC_XM = 19,
};

/* Page-fault error code (SDM vol. 3, 4.7). */
#define PFE_P  0x01u /* the page was present: a protection violation */
#define PFE_W  0x02u /* a write */
#define PFE_U  0x04u /* from CPL 3 */
#define PFE_RSVD 0x08u
#define PFE_I  0x10u /* an instruction fetch (only with NX or SMEP) */

/*
 * Page-table entries; PAE entries have the same low bits and NX at bit 63 (SDM vol. 3, 4.3 and
 * 4.4).
 */
#define PTE_P   0x001u
#define PTE_W   0x002u
#define PTE_U   0x004u
#define PTE_PWT 0x008u
#define PTE_PCD 0x010u
#define PTE_A   0x020u
#define PTE_D   0x040u
#define PTE_PS  0x080u /* in a directory entry: a large page */
#define PTE_G   0x100u
#define PTE_NX  (1ull << 63)

/* Segment attributes as in struct segment.attr: descriptor bits 40..55 (SDM vol. 3, 3.4.5). */
#define SEG_TYPE     0x000fu
#define SEG_ACCESSED 0x0001u
#define SEG_WRITABLE 0x0002u /* data; for code: readable */
#define SEG_EXPAND_DOWN 0x0004u /* data; for code: conforming */
#define SEG_CODE     0x0008u
#define SEG_S        0x0010u /* code or data, not a system segment */
#define SEG_DPL_SHIFT 5
#define SEG_DPL      0x0060u
#define SEG_P        0x0080u
#define SEG_AVL      0x1000u
#define SEG_DB       0x4000u /* 32-bit code / stack */
#define SEG_G        0x8000u

/* System descriptor types (SDM vol. 3, table 3-2). */
#define SYS_TSS16_AVAIL 0x1
#define SYS_LDT         0x2
#define SYS_TSS16_BUSY  0x3
#define SYS_CALL_GATE16 0x4
#define SYS_TASK_GATE   0x5
#define SYS_INT_GATE16  0x6
#define SYS_TRAP_GATE16 0x7
#define SYS_TSS32_AVAIL 0x9
#define SYS_TSS32_BUSY  0xb
#define SYS_CALL_GATE32 0xc
#define SYS_INT_GATE32  0xe
#define SYS_TRAP_GATE32 0xf

/* MSRs the monitor knows (SDM vol. 4). */
#define MSR_TSC           0x10
#define MSR_APIC_BASE     0x1b
#define MSR_TSC_ADJUST    0x3b
#define MSR_BIOS_SIGN     0x8b
#define MSR_PERFCTR0      0xc1
#define MSR_PERFCTR1      0xc2
#define MSR_SYSENTER_CS   0x174
#define MSR_SYSENTER_ESP  0x175
#define MSR_SYSENTER_EIP  0x176
#define MSR_MCG_CAP       0x179
#define MSR_MCG_STATUS    0x17a
#define MSR_EVNTSEL0      0x186
#define MSR_EVNTSEL1      0x187
#define MSR_MISC_ENABLE   0x1a0
#define MSR_PAT           0x277
#define MSR_EFER          0xc0000080u
#define MSR_TSC_AUX       0xc0000103u

/* MISC_ENABLE */
#define MISC_LIMIT_CPUID  (1ull << 22)
#define MISC_XD_DISABLE   (1ull << 34)

#endif
