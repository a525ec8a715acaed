/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loops that ring 0 alone may run. */
#include "layout.h"
#include "loop.h"

	.text
LOOP in_80h
1:	inb $0x80, %al
END

LOOP in_pic
1:	inb $0x21, %al
END

LOOP out_80h
	xorl %eax, %eax
1:	outb %al, $0x80
END

/* The task-priority register: what CR8 is in 64-bit mode. */
LOOP tpr_write
	xorl %eax, %eax
1:	movl %eax, APIC_BASE + 0x80
END

/* The I/O APIC's index register. */
LOOP mmio_write
	xorl %eax, %eax
1:	movl %eax, IOAPIC_BASE
END

LOOP mmio_read
1:	movl APIC_BASE + 0x80, %eax
END

LOOP cli_sti
1:	.rept 4
	cli
	sti
	.endr
	cli
END

LOOP pushf_popf
1:	.rept 4
	pushfl
	popfl
	.endr
END

/* As an operating system saves and restores the interrupt flag. */
LOOP irq_save
	sti
1:	pushfl
	cli
	popfl
	pushfl
	cli
	popfl
END

LOOP iret
1:	pushfl
	pushl %cs
	pushl $2f
	iretl
2:
END

LOOP lret
1:	pushl %cs
	pushl $2f
	lretl
2:
END

LOOP mov_ds
	movl $KDATA, %eax
1:	.rept 4
	movw %ax, %ds
	.endr
END

LOOP mov_from_cr0
1:	.rept 4
	movl %cr0, %eax
	.endr
END

LOOP clts
1:	clts
END

LOOP rdmsr
1:	movl $0x174, %ecx
	rdmsr
END

LOOP sgdt
	subl $8, %esp
1:	sgdt (%esp)
	decl %esi
	jnz 1b
	addl $8, %esp
	incl %esi
1:
END

LOOP int3
1:	int3
END

/* The interrupt is accepted after the STI's shadow. */
LOOP irq_self
1:	movl $(0x44000 | VECTOR_SELF), APIC_BASE + 0x300
	sti
	nop
	nop
	cli
END

LOOP task_switch
1:	ljmp $OTHER_TSS, $0
END

	.global other_task
other_task:
	ljmp $MAIN_TSS, $0
	jmp other_task

/* ---- page tables ---- */

LOOP cr3_same
	movl %cr3, %eax
1:	movl %eax, %cr3
END

LOOP cr3_switch
	movl $main_directory, %eax
	movl $other_directory, %edx
1:	movl %edx, %cr3
	movl %eax, %cr3
END

/* Each address space shows another frame at SCRATCH_BASE. */
LOOP cr3_switch_use
	movl $main_directory, %eax
	movl $other_directory, %edx
1:	movl %edx, %cr3
	cmpl $OTHER_FRAMES, SCRATCH_BASE
	jne 2f
	movl %eax, %cr3
	cmpl $SCRATCH_FRAMES, SCRATCH_BASE
	je 3f
2:	incl wrong_page
3:
END

LOOP invlpg
1:	invlpg SCRATCH_BASE
END

LOOP invlpg_use
1:	invlpg SCRATCH_BASE
	movl SCRATCH_BASE, %eax
END

/* The entry maps one frame, then another; nobody looks. */
LOOP ptemod
	movl scratch_table, %eax
	movl scratch_table + 4, %edx
1:	movl %edx, scratch_table
	movl %eax, scratch_table
END

/* The same, and each change is flushed and used. A frame begins with its own address. */
LOOP ptemod_use
	movl scratch_table, %eax
	movl scratch_table + 4, %edx
1:	movl %edx, scratch_table
	invlpg SCRATCH_BASE
	cmpl $SCRATCH_FRAMES + 0x1000, SCRATCH_BASE
	jne 2f
	movl %eax, scratch_table
	invlpg SCRATCH_BASE
	cmpl $SCRATCH_FRAMES, SCRATCH_BASE
	je 3f
2:	incl wrong_page
3:
END

	.data
	.global wrong_page
wrong_page:
	.long 0
