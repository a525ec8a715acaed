/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is where in the nano kernel's GDT, IDT and address space. Assembly and C share this file. */
#ifndef NANO_LAYOUT_H
#define NANO_LAYOUT_H

/* SYSENTER wants these four in this order. */
#define KCODE      0x08
#define KDATA      0x10
#define UCODE      0x1b
#define UDATA      0x23
#define MAIN_TSS   0x28
#define OTHER_TSS  0x30
#define CODE16     0x38 /* as on a 286: 64 KiB at CODE286_BASE, DATA286_BASE */
#define DATA16     0x40
#define REAL_CODE  0x48 /* the way to real mode: 64 KiB at CODE16_BASE */

#define VECTOR_DE      0
#define VECTOR_BP      3
#define VECTOR_PF      14
#define VECTOR_TIMER   0x20 /* IRQ 0; the rest of the 8259s is masked */
#define VECTOR_SELF    0x40 /* the processor's interrupt to itself */
#define VECTOR_SYSCALL 0x80
#define VECTOR_DONE    0x81 /* how ring 3 comes back for good */

#define MAPPED_BYTES   0x02000000 /* one to one from 0, supervisor except for .user */
#define CODE16_BASE    0x00050000 /* user pages, for virtual-8086 mode */
#define DATA16_BASE    0x00060000
#define DATA16_END     0x00070000
#define CODE286_BASE   0x00070000
#define DATA286_BASE   0x00080000
#define DEMAND_BASE    0x40000000 /* user pages that are not present until ring 3 touches them */
/* supervisor pages whose entries are changed; two address spaces differ here */
#define SCRATCH_BASE   0x50000000
#define PAGES          1024       /* in each of the two */
#define DEMAND_FRAMES  0x00800000 /* what DEMAND_BASE is mapped to, in another order */
#define SCRATCH_FRAMES 0x00c00000
#define OTHER_FRAMES   0x01000000 /* what the other address space has at SCRATCH_BASE */
#define APIC_BASE      0xfee00000
#define IOAPIC_BASE    0xfec00000

#endif
