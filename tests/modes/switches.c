/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Into protected mode and back, with what segment registers hold on the way (SDM vol. 3, 9.9),
 * CR0's low half by LMSW and SMSW, and the A20 gate (SDM vol. 3, 20.1.1 and 22.32). All of it
 * starts and ends in real mode. The GDT has: CASE_CS 32-bit code and CASE_X 16-bit code at 30000h;
 * CASE_DS data of 4 GiB; CASE_ES of 1000h bytes, read only; CASE_SS a stack of 32 bits; CASE_Y data
 * of 1000h bytes that expands down.
 */
#include "modes.h"

extern const struct snippet switch_cases[];

#define SWITCH(kind, text) SNIPPET(".switch_cases", kind, text)
#define ENTER "movl %cr0, %ecx; incl %ecx; movl %ecx, %cr0; "
#define LEAVE "movl %cr0, %ecx; decl %ecx; movl %ecx, %cr0; "
#define LOAD(selector, segment) "movw $" selector ", %cx; movw %cx, %" segment "; "

/* Caches outlast the mode. */
SWITCH(0, ENTER LEAVE "movw (%bx), %ax");
SWITCH(0, ENTER LOAD("0x48", "ds") LEAVE "movl $0x50000, %esi; movl (%esi), %eax");
SWITCH(0, ENTER LOAD("0x48", "ds") LEAVE LOAD("0x4000", "ds")
       "movl $0x10ff0, %esi; movl (%esi), %eax");
SWITCH(0, ENTER LOAD("0x48", "ds") LEAVE "movw %ds, %ax");
SWITCH(0, ENTER LOAD("0x50", "es") LEAVE "movw %es:0xffe, %ax");
SWITCH(0, ENTER LOAD("0x50", "es") LEAVE "movw %es:0xfff, %ax");
SWITCH(0, ENTER LOAD("0x50", "es") LEAVE "movw %ax, %es:0xffe");
SWITCH(0, ENTER LOAD("0x50", "es") LEAVE LOAD("0x5000", "es") "movw %ax, %es:0xffe");
SWITCH(0, ENTER LOAD("0x50", "es") LEAVE LOAD("0x5000", "es") "movw %ax, %es:0xfff");
SWITCH(0, ENTER LOAD("0xb8", "es") LEAVE "movw %es:0xffe, %ax");
SWITCH(0, ENTER LOAD("0xb8", "es") LEAVE "movw %es:0x1000, %ax");
SWITCH(0, ENTER LOAD("0xb8", "es") LEAVE LOAD("0x5000", "es") "movw %es:0x1000, %ax");
SWITCH(0, ENTER LOAD("0", "es") LEAVE "movw %es:0, %ax");
SWITCH(0, ENTER LOAD("0", "es") LEAVE LOAD("0x5000", "es") "movw %es:0xfe0, %ax");
SWITCH(0, ENTER LOAD("0x60", "fs") LEAVE "movw %fs:0x100, %ax");
SWITCH(0, ENTER LOAD("0x60", "fs") LEAVE "movw %ax, %fs:0x1fe");
SWITCH(0, ENTER LOAD("0x58", "ss") "movl $0x10fe4, %esp;" LEAVE "popl %eax");
SWITCH(0, ENTER LOAD("0x58", "ss") "movl $0xfe4, %esp;" LEAVE "pushl %eax; popl %edx");
SWITCH(0, ENTER LOAD("0x58", "ss") "movl $0xfe4, %esp;" LEAVE "movl $0x1fff0000, %ebp; leavew");
SWITCH(0, "xorl %edi, %edi;" ENTER LOAD("0x48", "es") LEAVE
       "movl $0x4fff0, %edi; movl $3, %ecx; .byte 0x67, 0xf3, 0xaa");
/* CS: what was loaded stays until the far jump */
SWITCH(0, "6: " ENTER "ljmpw $0x60, $7f - 6b + 0x100; 7:" LEAVE
       "movw %cs, %ax; ljmpw $0x3000, $0x180");
SWITCH(0, "6: " ENTER "ljmpw $0x60, $7f - 6b + 0x100; 7:" LEAVE
       "movb $0x90, %cs:0x1f0; nop; ljmpw $0x3000, $0x180");
SWITCH(0, "6: " ENTER "ljmpw $0x40, $7f - 6b + 0x100; 7: .code32;" LEAVE
       "movl $0x11223344, %eax; pushl $0x55667788; popl %edx; .byte 0x66; incl %edx;"
       ENTER "ljmpl $0x60, $8f - 6b + 0x100; 8: .code16;" LEAVE "ljmpw $0x3000, $0x180");
/* CR0 */
SWITCH(0, "smsw %eax; smsw %cx");
SWITCH(0, "movw $0x1f, %ax; lmsw %ax; smsw %dx; " LEAVE);
SWITCH(0, "movw $1, %ax; lmsw %ax; movw $0, %ax; lmsw %ax; smsw %dx; " LEAVE);
SWITCH(0, "movw $0xffee, %ax; lmsw %ax; movl %cr0, %edx; clts; movl %cr0, %eax");
SWITCH(0, "movl $0x80000010, %eax; movl %eax, %cr0");
SWITCH(0, "movl $0x20000010, %eax; movl %eax, %cr0");
SWITCH(0, "movw $8, %ax; lmsw %ax; fnop");
SWITCH(0, "movw $4, %ax; lmsw %ax; fnop");
SWITCH(0, "movw $8, %ax; lmsw %ax; fwait; movw $10, %ax; lmsw %ax; fwait");
/* Without paging or a far jump, in protected mode */
SWITCH(0, ENTER "movw %cs, %ax; movw %ds, %dx; movw (%bx), %si;" LEAVE);
SWITCH(0, ENTER "str %eax; sldt %edx;" LEAVE);
SWITCH(0, ENTER "movw $0x48, %ax; larw %ax, %dx; verr %ax; setz %al;" LEAVE);
SWITCH(0, ENTER "pushfl; popl %eax;" LEAVE);
/* The tables' registers */
SWITCH(0, "movw $0x500, %bx; sgdtl %ss:(%bx); movw %ss:(%bx), %ax");
SWITCH(0, "movw $0x500, %bx; sidtl %ss:(%bx); movl %ss:2(%bx), %eax; movw %ss:(%bx), %dx");
/* A20: a byte above 1 MiB and the one below it */
#define A20(value) "movb $" value ", %al; outb %al, $0x92; "
#define HIGH LOAD("0xffff", "fs")

SWITCH(0, HIGH A20("0") "movb %fs:0x610, %al; movb $0x5a, %fs:0x610; xorw %cx, %cx; movw %cx, %gs;"
       "movb %gs:0x600, %dl; movb $0xa5, %gs:0x600; movb %fs:0x610, %dh;" A20("2"));
SWITCH(0, A20("2") "xorw %cx, %cx; movw %cx, %gs; movb $1, %gs:0x600;" HIGH "movb $2, %fs:0x610;"
       "movb %gs:0x600, %dl; movb %fs:0x610, %dh");
SWITCH(0, HIGH A20("0") "movb $0xcb, %fs:0x610; lcallw $0xffff, $0x610; " A20("2") "movb $7, %dl");
SWITCH(0, HIGH A20("0") "movl $0x03b0cb, %fs:0x610; lcallw $0, $0x600; " A20("2") "movb $7, %dl");
SWITCH(0, HIGH A20("2") "movl $0xcb06b2, %fs:0x610; lcallw $0xffff, $0x610;" A20("0")
       "movl $0xcb05b6, %fs:0x610; lcallw $0xffff, $0x610;" A20("2") "lcallw $0xffff, $0x610");
SWITCH(0, HIGH "movb $0xdd, %al; outb %al, $0x64; 7: inb $0x64, %al; testb $2, %al; jnz 7b;"
       "movw %fs:0x610, %dx; xorw %cx, %cx; movw %cx, %gs; cmpw %gs:0x600, %dx; setz %dh;"
       "movb $0xdf, %al; outb %al, $0x64; 8: inb $0x64, %al; testb $2, %al; jnz 8b");
SWITCH(0, HIGH "movl $0x12345678, %fs:0xfffc; movl %fs:0xfffc, %eax; movw %fs:0xffff, %dx");

static const struct caches usual = { REAL_DATA, REAL_CODE, REAL_DATA, REAL_DATA, REAL_DATA,
				     REAL_DATA };

void run_switches(void)
{
	struct regs r;

	for (const struct snippet *s = switch_cases; s->text; s++) {
		machine_reset();
		v86_segments(&r, 0);
		r.eflags = 2;
		r.ebx = 0xfff0;
		set_descriptor(CASE_CS, CODE_BASE, 0xffff, ATTR_CODE0 | ATTR_B);
		set_descriptor(CASE_X, CODE_BASE, 0xffff, ATTR_CODE0);
		set_descriptor(CASE_DS, 0, 0xfffff, ATTR_DATA0 | ATTR_G);
		set_descriptor(CASE_ES, EXTRA_BASE, 0xfff, 0x91);
		set_descriptor(CASE_SS, STACK_BASE, 0x1ffff, ATTR_DATA0 | ATTR_B);
		set_descriptor(CASE_Y, EXTRA_BASE, 0xfff, ATTR_DATA0 | ATTR_DOWN);
		place_code(s->start16, s->end16, CODE_AT);
		run_real(&r, &usual);
		report("switch", s->text, &r);
	}
}
