#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests gone mad: whatever they do, the program neither crashes nor hangs, and says what happened.

usage: hostile_test.py RINGFENCE [unittest arguments]

Every guest is a piece of assembly in PRELUDE's world: flat 32-bit ring 0 with an interrupt table in
which every vector's handler ends the guest with its own number ("faulted" VECTOR), unless the guest
names a handler of its own. A guest that was right ends with success. ENGINE in the environment
chooses the engine; FUZZ the number of random guests.
"""
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import needs_engine

PROGRAM = ''
ENGINE = os.environ.get('ENGINE', 'interp')
FUZZ = int(os.environ.get('FUZZ', '24'))
TIMEOUT = 300  # what takes longer hangs
BASE = 0x200000

SUCCESS = 0x7f  # what a guest that is content writes to the debug port
STATUS_KILLED = 3

PRELUDE = '''
bits 32
org 0x200000
%macro succeed 0
	mov al, 0x7f
	out 0xf4, al
	hlt
%endmacro
%macro fail 1
	mov al, %1
	out 0xf4, al
	hlt
%endmacro
; on VECTOR, HANDLER: HANDLER of this guest takes VECTOR
%macro on 2
	mov eax, %2
	mov [idt + 8 * %1], ax
	shr eax, 16
	mov [idt + 8 * %1 + 6], ax
%endmacro
%define CODE 0x08
%define DATA 0x10
%define CODE16 0x18
%define DATA16 0x20
%define SMALL 0x28
%define DOWN 0x30
%define TSS 0x38
%define CODE16LOW 0x40
start:
	cli
	mov esp, 0x300000
	lgdt [gdtr]
	jmp CODE:.flat
.flat:
	mov ax, DATA
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov fs, ax
	mov gs, ax
	mov edi, idt
	mov eax, stubs
	mov ecx, 64
.gate:
	mov [edi], ax
	mov dword [edi + 2], 0x8e000000 | CODE >> 16
	mov word [edi + 2], CODE
	mov edx, eax
	shr edx, 16
	mov [edi + 6], dx
	add edi, 8
	add eax, 16
	loop .gate
	lidt [idtr]
	jmp guest
align 16
stubs:
%assign vector 0
%rep 64
	align 16
	fail vector + 2 ; statuses of 1 and 3 are the program's own
%assign vector vector + 1
%endrep
align 16
idtr:	dw 64 * 8 - 1
	dd idt
gdtr:	dw gdt_end - gdt - 1
	dd gdt
align 8
gdt:	dq 0
	dq 0x00cf9a000000ffff ; CODE
	dq 0x00cf92000000ffff ; DATA
	dq 0x00009a200000ffff ; CODE16: base 0x200000
	dq 0x000092200000ffff ; DATA16
	dq 0x0040922000000fff ; SMALL: base 0x200000, 4 KiB
	dq 0x00c0962000000fff ; DOWN: expand down, base 0x200000, from 0x1000000
	dw 0x67, tss - $$, 0x8920, 0x0000 ; TSS
	dq 0x00009a000000ffff ; CODE16LOW: base 0
gdt_end:
align 16
tss:	dd 0, 0x310000, DATA
	times 23 dd 0
	dd 0x680000
align 16
idt:	times 64 dq 0
align 4096
guest:
'''

# name: (expected, assembly). Expected: 'success', ('faulted', vector), 'triple fault', 'killed', or
# a tuple of such.
GUESTS = {
    'jump_to_hole': (('faulted', 6), 'mov eax, 0xfebf0000\njmp eax'),
    'jump_above_ram': (('faulted', 6), 'mov eax, 0x8000000\njmp eax'),
    'hole_without_handlers': ('triple fault', 'lidt [none]\nmov eax, 0xfebf0000\njmp eax\nnone: dd '
                                              '0, 0'),
    'fault_address_of_hole': ('success', '''
	on 6, .ud
	mov eax, 0xfebf0123
	jmp eax
.ud:	cmp dword [esp], 0xfebf0123
	jne .bad
	succeed
.bad:	fail 0x40'''),
    'undefined_opcodes': ('success', '''
	on 6, .ud
	mov esi, .next
%macro undefined 1+
	db %1
	fail 0x41
%endmacro
	mov ebp, .a
	undefined 0x0f, 0x0b
.a:	mov ebp, .b
	undefined 0x0f, 0xff, 0xc0
.b:	mov ebp, .c
	undefined 0x0f, 0x04
.c:	mov ebp, .d
	undefined 0xf0, 0x90
.d:	mov ebp, .e
	undefined 0xff, 0xff
.e:	mov ebp, .f
	undefined 0xfe, 0xd0
.f:	mov ebp, .g
	undefined 0x8d, 0xc0
.g:	mov ebp, .h
	undefined 0x0f, 0x24, 0xc0
.h:	mov ebp, .next
	undefined 0x8c, 0xf8
.next:	succeed
.ud:	mov [esp], ebp
	iret'''),
    'too_long': (('faulted', 13), 'times 15 db 0x66\nnop'),
    'divide': (('faulted', 0), 'xor ecx, ecx\ndiv ecx'),
    'divide_overflow': (('faulted', 0), 'mov edx, 5\nmov ecx, 5\ndiv ecx'),
    'breakpoint': (('faulted', 3), 'int3'),
    'overflow': (('faulted', 4), 'mov al, 0x7f\nadd al, 1\ninto'),
    'bound': (('faulted', 5), 'mov eax, 9\nbound eax, [.b]\n.b: dd 1, 8'),
    'single_step': ('success', '''
	on 1, .db
	xor ebx, ebx
	pushf
	or dword [esp], 0x100
	popf
	nop
	nop
	nop
	pushf
	and dword [esp], ~0x100
	popf
	cmp ebx, 6
	jne .bad
	succeed
.bad:	mov al, bl
	out 0xf4, al
.db:	inc ebx
	iret'''),
    'double_fault': (('faulted', 8), 'mov word [idt + 8 * 3 + 2], 0x1230\nmov word [idt + 8 * 13 + '
                                     '2], 0x1230\nint3'),
    'no_gate': (('faulted', 13), 'int 0x70'),
    'null_stack': (('faulted', 13), 'xor eax, eax\nmov ss, ax'),
    'null_data': (('faulted', 13), 'xor eax, eax\nmov ds, ax\nmov al, [0]'),
    'selector_beyond_table': (('faulted', 13), 'mov ax, 0x1238\nmov es, ax'),
    'far_jump_to_data': (('faulted', 13), 'jmp DATA:0'),
    'paging_without_protection': (('faulted', 13),
                                  'mov eax, cr0\nor eax, 0x80000000\nand al, 0xfe\nmov cr0, eax'),
    'unknown_msr': (('faulted', 13), 'mov ecx, 0x12345678\nrdmsr'),
    'reserved_cr4': (('faulted', 13), 'mov eax, 0x80000000\nmov cr4, eax'),
    'sysenter_unset': (('faulted', 13), 'sysenter'),
    'stack_in_hole': ('success', '''
	mov esp, 0xfebf1000
	push eax
	push dword 0x1234
	pop ebx
	pusha
	mov esp, 0x300000
	cmp ebx, -1
	jne .bad
	succeed
.bad:	fail 0x40'''),
    'return_from_hole': (('triple fault', ('faulted', 13), ('faulted', 6)),
                         'mov esp, 0xfebf1000\ncall .f\n.f: ret'),
    'fault_with_stack_in_device': (('triple fault', ('faulted', 3)), 'mov esp, 0xfee00800\nint3'),
    'stack_in_rom': ('success', 'mov esp, 0xf1000\npush eax\npusha\npop eax\ncall .f\n.f: mov esp, '
                                '0x300000\nsucceed'),
    'stack_around_zero': (('success', 'triple fault', ('faulted', 12)),
                          'mov esp, 2\npush eax\nmov esp, 0x300000\nsucceed'),
    'write_to_nothing': ('success', '''
	mov edi, 0x2000000
	mov ecx, 100
	mov eax, 0x12345678
	rep stosd
	mov [0xfffffffe], ax
	mov [0xf0000], eax
	mov [0xc8000], eax
	mov [0xa0000], eax
	mov [0xd0000], eax
	lock inc dword [0xf0000]
	lock cmpxchg [0xfebf0000], ebx
	xchg [0xfebf0000], ebx
	bts [0xfebf0000], ebx
	fsave [0xfebf0000]
	fninit
	movsd
	succeed'''),
    'string_through_device': ('success', 'mov edi, 0xfee00300\nmov esi, 0xfebf0000\nmov ecx, '
                                         '64\nrep movsb\nsucceed'),
    'run_off_the_end_of_memory': (('triple fault', ('faulted', 6)),
                                  'mov dword [0xfffffc], 0x90909090\nmov eax, 0xfffffc\njmp eax'),
    'page_tables_in_hole': (('triple fault', 'killed', ('faulted', 14), 'runs'),
                            'mov eax, 0xfebf0000\nmov cr3, eax\nmov eax, cr0\n'
                            'or eax, 0x80000000\nmov cr0, eax\njmp $'),
    'page_tables_in_apic': (('triple fault', 'killed', ('faulted', 14), 'runs'),
                            'mov eax, 0xfee00000\nmov cr3, eax\nmov eax, cr0\n'
                            'or eax, 0x80000000\nmov cr0, eax\njmp $'),
    'empty_page_tables': ('triple fault', 'mov eax, 0x600000\nmov cr3, eax\nmov eax, cr0\nor eax, '
                                          '0x80000000\nmov cr0, eax\njmp $'),
    'page_directory_maps_itself': ('success', '''
	; 4 MiB pages for the first 8 MiB, and the directory as its own last table, in which an
	; entry is then changed
	mov dword [0x600000], 0x83
	mov dword [0x600004], 0x400083
	mov dword [0x600ffc], 0x600003
	mov eax, cr4
	or eax, 0x10
	mov cr4, eax
	mov eax, 0x600000
	mov cr3, eax
	mov eax, cr0
	or eax, 0x80010000
	mov cr0, eax
	mov ecx, 100
.again:
	mov dword [0xfffff008], 0x83
	mov eax, cr3
	mov cr3, eax
	mov eax, [0x800000 + guest - 0x200000]
	mov eax, [0x800000 + 0x200000]
	cmp eax, [0x200000]
	jne .bad
	mov dword [0xfffff008], 0x400083
	mov eax, cr3
	mov cr3, eax
	mov dword [0x400000], 77
	cmp dword [0x800000], 77
	jne .bad
	loop .again
	succeed
.bad:	fail 0x40'''),
    'page_fault_that_never_ends': ('runs', '''
	mov dword [0x600000], 0x83
	mov eax, cr4
	or eax, 0x10
	mov cr4, eax
	mov eax, 0x600000
	mov cr3, eax
	on 14, .pf
	mov eax, cr0
	or eax, 0x80000000
	mov cr0, eax
	mov eax, [0x12345678]
.pf:	add esp, 4
	iret'''),
    'handler_is_undefined': (('runs', 'triple fault', ('faulted', 6), ('faulted', 13), 'killed'),
                             'on 6, .ud\n.ud: ud2'),
    'handler_in_hole': (('runs', 'triple fault', 'killed'), 'on 6, 0xfebf0000\nud2'),
    'self_modifying': ('success', '''
	xor ebx, ebx
	mov ecx, 2000
.again:
	inc byte [.add + 2]
	jmp .add
.add:	add ebx, byte 0
	loop .again
	; the sum of the signed bytes 1, 2, ... of 2000 turns
	xor eax, eax
	xor edx, edx
	mov ecx, 2000
.sum:	inc dl
	movsx esi, dl
	add eax, esi
	loop .sum
	cmp eax, ebx
	jne .bad
	; the very next instruction
	mov byte [.next + 1], 0x55
.next:	mov al, 0
	cmp al, 0x55
	jne .bad
	; a string instruction over the code after it
	mov esi, .patch
	mov edi, .target
	mov ecx, 5
	rep movsb
.target:
	jmp .bad
	nop
	nop
	nop
.back:	succeed
.bad:	fail 0x40
.patch:	jmp .patch + (.back - .target)'''),
    'code_copied_and_changed': ('success', '''
	; the same function at many places, each time with another constant
	mov ebp, 0x400000
	xor ebx, ebx
.again:
	mov esi, .f
	mov edi, ebp
	mov ecx, .end - .f
	rep movsb
	mov [ebp + 1], ebx
	call ebp
	cmp eax, ebx
	jne .bad
	mov [ebp + 1], ebp
	call ebp
	cmp eax, ebp
	jne .bad
	add ebp, 61
	inc ebx
	cmp ebx, 3000
	jb .again
	succeed
.f:	mov eax, 0x11223344
	ret
.end:
.bad:	fail 0x40'''),
    'code16': ('success', '''
	mov ebp, 3000
.again:
	jmp CODE16:.sixteen - $$
bits 16
.sixteen:
	mov ax, 0x1234
	push ax
	pop bx
	mov cx, 10
.l:	add bx, cx
	loop .l
	mov si, .word - $$
	mov dx, DATA16
	mov ds, dx
	mov [si], bx
	mov dx, DATA
	mov ds, dx
	jmp dword CODE:.back
bits 32
.back:
	cmp word [.word], 0x1234 + 55
	jne .bad
	dec ebp
	jnz .again
	succeed
.bad:	fail 0x40
.word:	dw 0'''),
    'real_mode': ('success', '''
	mov esi, .real
	mov edi, 0x7000
	mov ecx, .end - .real
	rep movsb
	lidt [.idtr]
	jmp CODE16LOW:0x7000
.idtr:	dw 0x3ff
	dd 0
bits 16
.real:
	mov ax, DATA16
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov eax, cr0
	and al, 0xfe
	mov cr0, eax
	jmp 0x700:.zero - .real
.zero:
	xor ax, ax
	mov ds, ax
	mov ss, ax
	mov sp, 0x6000
	mov word [0x21 * 4], .isr - .real
	mov word [0x21 * 4 + 2], 0x700
	xor bx, bx
	mov cx, 500
.l:	int 0x21
	loop .l
	cmp bx, 500
	jne .bad
	mov al, 0x7f
	out 0xf4, al
.bad:	mov al, 0x40
	out 0xf4, al
	hlt
.isr:	inc bx
	iret
.end:
bits 32'''),
    'v86': ('success', '''
	mov ax, TSS
	ltr ax
	on 13, .gp
	mov esi, .v
	mov edi, 0x7000
	mov ecx, .end - .v
	rep movsb
	mov byte [0x9000], 0
	push dword 0
	push dword 0
	push dword 0x700 ; ds
	push dword 0
	push dword 0x800 ; ss
	push dword 0x1000
	push dword 0x20002
	push dword 0x700 ; cs
	push dword 0
	iret
bits 16
.v:	mov cx, 100
.l:	mov ax, 0x900
	mov es, ax
	inc byte [es:0]
	push cx
	pop dx
	cmp dx, cx
	jne .x
	loop .l
	hlt
.x:	int3
.end:
bits 32
.gp:	mov ax, DATA
	mov ds, ax
	cmp byte [0x9000], 100
	jne .bad
	cmp dword [esp + 8], 0x700
	jne .bad
	test byte [esp + 14], 2
	jz .bad
	succeed
.bad:	fail 0x40'''),
    'segment_limits': ('success', '''
	on 13, .gp
	mov ax, SMALL
	mov fs, ax
	mov ax, DOWN
	mov gs, ax
	mov ecx, 300
.again:
	mov eax, [fs:0xffc]
	cmp eax, [0x200ffc]
	jne .bad
	mov ebp, .one
	mov eax, [fs:0xffd]
	jmp .bad
.one:	mov ebp, .two
	mov eax, [fs:ecx * 4 + 0x10000]
	jmp .bad
.two:	mov ebp, .three
	mov eax, [gs:0x10]
	jmp .bad
.three:	mov eax, [gs:0xffe00000]
	cmp eax, [0]
	jne .bad
	loop .again
	succeed
.bad:	fail 0x40
.gp:	add esp, 4
	mov [esp], ebp
	iret'''),
    'every_port': ('success', '''
	xor edx, edx
.in:	in al, dx
	in ax, dx
	in eax, dx
	add edx, 7
	cmp edx, 0x10000
	jb .in
	succeed'''),
    'timer_storm': ('success', '''
	on 32, .tick
	mov al, 0x11
	out 0x20, al
	mov al, 32
	out 0x21, al
	mov al, 4
	out 0x21, al
	mov al, 1
	out 0x21, al
	mov al, 0xfe
	out 0x21, al
	mov al, 0x34
	out 0x43, al
	mov al, 2
	out 0x40, al
	xor al, al
	out 0x40, al
	xor ebx, ebx
	sti
.l:	cmp ebx, 1000
	jb .l
	succeed
.tick:	inc ebx
	push eax
	mov al, 0x20
	out 0x20, al
	pop eax
	iret'''),
    'spin_on_string': ('runs', '.l: mov edi, 0x400000\nmov ecx, 0x200000\nrep stosb\njmp .l'),
    'spin_on_device': ('runs', '.l: mov eax, [0xfee00020]\nin al, 0x80\njmp .l'),
    'endless_string_in_hole': ('runs', 'mov ecx, -1\nmov edi, 0x1000000\n.l: rep stosb\njmp .l'),
    'halted_with_interrupts_off': ('runs', '.l: hlt\njmp .l'),
    'calls_without_return': (('runs', 'triple fault', 'killed', ('faulted', 6), ('faulted', 13)),
                             '.l: call .l'),
}


def elf(code):
    header = struct.pack('<16sHHIIIIIHHHHHH', b'\x7fELF\x01\x01\x01', 2, 3, 1, BASE, 52, 0, 0,
                         52, 32, 1, 0, 0, 0)
    program = struct.pack('<IIIIIIII', 1, 0x1000, BASE, BASE, len(code), len(code) + 4096, 7, 4096)
    return (header + program).ljust(0x1000, b'\0') + code


class Hostile(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = directory.name

    def assemble(self, text, prelude=PRELUDE):
        source, output = (os.path.join(self.dir, name) for name in ('guest.asm', 'guest.bin'))
        with open(source, 'w') as f:
            f.write(prelude + text + '\n')
        subprocess.run(['nasm', '-f', 'bin', '-o', output, source], check=True)
        with open(output, 'rb') as f:
            return f.read()

    def wait_until_it_listens(self, process):
        """Until the program takes SIGTERM as an order: on a busy host its start may take longer
        than a guest is given."""
        until = time.monotonic() + TIMEOUT
        while time.monotonic() < until and process.poll() is None:
            with open(f'/proc/{process.pid}/status', encoding='ascii') as f:
                blocked = int(re.search(r'SigBlk:\s*([0-9a-f]+)', f.read()).group(1), 16)
            if blocked >> (signal.SIGTERM - 1) & 1:
                return
            time.sleep(0.005)

    def run_guest(self, code, runs_for, *options):
        """How the guest ended: 'success', ('faulted', vector), 'triple fault', 'killed', or 'runs'
        if it had to be told."""
        path = os.path.join(self.dir, 'guest')
        with open(path, 'wb') as f:
            f.write(elf(code))
        command = [PROGRAM, '-accel', ENGINE, '-display', 'none', '-m', '16', '-no-reboot',
                   '-kernel', path, '-device',
                   'isa-debug-exit,iobase=0xf4,iosize=1', *options]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        try:
            told = False
            self.wait_until_it_listens(process)
            try:
                _, text = process.communicate(timeout=runs_for)
            except subprocess.TimeoutExpired:
                told = True
                process.send_signal(signal.SIGTERM)
                _, text = process.communicate(timeout=TIMEOUT)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        return self.judge(process.returncode, text.decode('utf-8', 'replace'), told)

    def judge(self, status, text, told):
        self.assertNotIn('internal error', text)
        self.assertNotIn('Assertion', text)
        if told and status == 0 and 'terminating on signal 15' in text:
            return 'runs'
        if status == 0 and 'triple fault' in text:
            return 'triple fault'
        if status == STATUS_KILLED:
            self.assertRegex(text, r'^ringfence: the guest was stopped: ')
            for what in (r'EAX=[0-9a-f]{8}', r'EIP=[0-9a-f]{8}', r'CR0=', r'\ncode '):
                self.assertRegex(text, what)
            return 'killed'
        self.assertGreaterEqual(status, 0, f'killed by signal {-status}: {text}')
        self.assertEqual(text, '')
        self.assertTrue(status & 1 and status != 1, f'status {status}: {text}')
        return 'success' if status >> 1 == SUCCESS else ('faulted', (status >> 1) - 2)

    def check(self, name):
        expected, text = GUESTS[name]
        choices = (expected if isinstance(expected, tuple) and expected[0] != 'faulted'
                   else (expected,))
        how = self.run_guest(self.assemble(text), 1 if 'runs' in choices else TIMEOUT)
        self.assertIn(how, choices)

    def test_random_guests(self):
        """Random bytes, half of them from what instructions are made of; any end but a bad one will
        do."""
        frequent = bytes.fromhex('0f 0f 8b 89 c7 83 81 e8 ff 66 f3 a4 ab cd cf 8e 0f00 0f01 0f20 '
                                 '0f22 9d 9a ea cb 60 61 f7 8d c8 c9')
        for seed in range(int(os.environ.get('SEED', '1')),
                          int(os.environ.get('SEED', '1')) + FUZZ):
            rng = random.Random(seed)
            code = bytes(rng.choice(frequent) if rng.random() < .5 else rng.randrange(256)
                         for _ in range(4096))
            with self.subTest(seed=seed):
                prelude = self.assemble('')
                try:
                    self.run_guest(prelude + code, 0.3)
                except AssertionError as error:
                    # Random code may well switch the machine off or write to the debug port.
                    if not re.search(r"^status |!= ''", str(error)):
                        raise


def add_tests():
    for name in GUESTS:
        setattr(Hostile, 'test_' + name, lambda self, name=name: self.check(name))


if __name__ == '__main__':
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    if not shutil.which('nasm'):
        print('skipped: there is no nasm')
        sys.exit(77)  # Meson: skipped
    needs_engine.or_skip(PROGRAM, ENGINE)
    add_tests()
    unittest.main()
