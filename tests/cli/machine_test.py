#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine as small guests see it, on each engine: how chips, processor and engine play together.

usage: machine_test.py RINGFENCE [unittest arguments]

Guests are written as those of hostile_test.py are. ENGINE in the environment chooses the engine.
"""
import os
import shutil
import sys
import unittest

import hostile_test

# 8259s: vectors from 32, nothing but the slave's inputs given by %1 unmasked.
SLAVE_ONLY = '''
%macro slave_only 1
	mov al, 0x11
	out 0x20, al
	out 0xa0, al
	mov al, 32
	out 0x21, al
	mov al, 40
	out 0xa1, al
	mov al, 4
	out 0x21, al
	mov al, 2
	out 0xa1, al
	mov al, 1
	out 0x21, al
	out 0xa1, al
	mov al, 0xfb
	out 0x21, al
	mov al, ~(%1) & 0xff
	out 0xa1, al
%endmacro
'''

GUESTS = {
    # CR0.NE clear: x87 errors are IRQ 13, ended by port F0h, which lets the handler use the FPU before it clears the error.
    'x87_error_by_interrupt': ('success', SLAVE_ONLY + '''
	on 45, .irq13
	slave_only 0x20
	mov eax, cr0
	and al, ~0x2c	; NE, TS, EM
	or al, 2	; MP
	mov cr0, eax
	fninit
	fldcw [.divide_unmasked]
	sti
	xor ebx, ebx
	mov ecx, 200
.again:
	fldz
	fld1
	fdiv st0, st1
	mov esi, .wait
	mov edx, ecx
.wait:	fwait
	fldz
	fld1
	fdiv st0, st1
	mov esi, .waits_too
	xor eax, eax
.waits_too:
	fld1
	mov esi, .bad
	fnclex
	fninit
	fldcw [.divide_unmasked]
	cmp edx, ecx
	jne .bad
	loop .again
	cmp ebx, 400
	jne .bad
	; nothing to ignore: the next error is reported all the same
	out 0xf0, al
	fldz
	fld1
	fdiv st0, st1
	mov esi, .last
.last:	fwait
	cmp ebx, 401
	jne .bad
	succeed
.irq13:	cmp [esp], esi
	jne .bad
	push eax
	fnstsw ax
	test al, 0x80
	jz .bad
	out 0xf0, al
	; IGNNE#: waiting instructions go on, and the error stays until it is cleared
	fwait
	fst dword [.scratch]
	fnstsw ax
	test al, 0x84
	jz .bad
	fnclex
	fnstsw ax
	test al, 0x84
	jnz .bad
	mov al, 0x20
	out 0xa0, al
	out 0x20, al
	inc ebx
	pop eax
	iret
.bad:	fail 0x40
.divide_unmasked: dw 0x37b
.scratch: dd 0'''),
    # The processor stands still at the error until any interrupt comes, and then reports it again.
    'x87_error_with_interrupts_off': ('runs', '''
	mov eax, cr0
	and al, ~0x2c
	or al, 2
	mov cr0, eax
	fninit
	fldcw [.divide_unmasked]
	fldz
	fld1
	fdiv st0, st1
	fwait
	fail 0x40
.divide_unmasked: dw 0x37b'''),
    # With NE set, port F0h has no effect.
    'x87_error_by_exception': (('faulted', 16), '''
	mov eax, cr0
	and al, ~0x0c
	or al, 0x22
	mov cr0, eax
	fninit
	fldcw [.divide_unmasked]
	fldz
	fld1
	fdiv st0, st1
	out 0xf0, al
	fwait
	fail 0x40
.divide_unmasked: dw 0x37b'''),
}


class Machine(hostile_test.Hostile):
    test_random_guests = None

    def check(self, name):
        expected, text = GUESTS[name]
        self.assertEqual(self.run_guest(self.assemble(text), 1 if expected == 'runs' else hostile_test.TIMEOUT), expected)


def add_tests():
    for name in GUESTS:
        setattr(Machine, 'test_' + name, lambda self, name=name: self.check(name))


if __name__ == '__main__':
    hostile_test.PROGRAM = os.path.abspath(sys.argv.pop(1))
    if not shutil.which('nasm'):
        print('nasm is missing')
        sys.exit(77)  # Meson: skipped
    add_tests()
    unittest.main()
