#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine as small guests see it, on each engine: how chips, processor and engine play
together.

usage: machine_test.py RINGFENCE [unittest arguments]

Guests are written as those of hostile_test.py are. ENGINE in the environment chooses the engine.
"""
import os
import shutil
import subprocess
import sys
import unittest

import hostile_test

# What guests with x87 errors share.
X87 = '''
; x87 errors as CR0.NE says: 0: by interrupt, 20h: by exception; division by zero is one
%macro x87_errors 1
	mov eax, cr0
	and al, ~0x2c	; NE, TS, EM
	or al, %1 | 2	; MP
	mov cr0, eax
	reset_x87
%endmacro
%macro reset_x87 0
	fninit
	fldcw [divide_unmasked]
%endmacro
%macro divide_by_zero 0
	fldz
	fld1
	fdiv st0, st1
%endmacro
; 8259s: vectors from 32, nothing but IRQ 13 unmasked
%macro irq13_only 0
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
	mov al, 0xdf
	out 0xa1, al
%endmacro
%macro end_of_irq13 0
	mov al, 0x20
	out 0xa0, al
	out 0x20, al
%endmacro
section .data
divide_unmasked: dw 0x37b
section .text
'''

GUESTS = {
    # An STI holds interrupts off for one round of the string instruction after it, not for all:
    # timer ticks come in its midst.
    'interrupts_in_a_string_behind_sti': ('success', '''
	on 0x31, .timer
	mov dword [0xfee000f0], 0x13f
	mov dword [0xfee003e0], 0xb
	mov dword [0xfee00320], 0x20031
	mov dword [0xfee00380], 1000000
	mov edi, 0x400000
	mov ecx, 0x800000
	cld
	mov ebp, 40
.o:	push ecx
	push edi
	cli
	cli
	sti
	rep stosb
	cli
	pop edi
	pop ecx
	dec ebp
	jnz .o
	succeed
.timer:	inc dword [ticks]
	mov dword [0xfee000b0], 0
	iret
ticks: dd 0'''),
    # CR0.NE clear: x87 errors are IRQ 13, ended by port F0h, which lets the handler use the FPU
    # before it clears the error.
    'x87_error_by_interrupt': ('success', X87 + '''
	on 45, .irq13
	irq13_only
	x87_errors 0
	sti
	xor ebx, ebx
	mov ecx, 200
.again:
	divide_by_zero
	mov esi, .wait
	mov edx, ecx
.wait:	fwait
	divide_by_zero
	mov esi, .waits_too
	xor eax, eax
.waits_too:
	fld1
	mov esi, .bad
	fnclex
	reset_x87
	cmp edx, ecx
	jne .bad
	loop .again
	cmp ebx, 400
	jne .bad
	; nothing to ignore: the next error is reported all the same
	out 0xf0, al
	divide_by_zero
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
	end_of_irq13
	inc ebx
	pop eax
	iret
.bad:	fail 0x40
.scratch: dd 0'''),
    # A handler that clears the error first leaves nothing to be ignored.
    'x87_error_cleared_before_the_port': ('success', X87 + '''
	on 45, .irq13
	irq13_only
	x87_errors 0
	sti
	xor ebx, ebx
	mov ecx, 200
.again:
	reset_x87
	divide_by_zero
	fwait
	loop .again
	cmp ebx, 200
	jne .bad
	succeed
.irq13:	push eax
	fnclex
	out 0xf0, al
	end_of_irq13
	inc ebx
	pop eax
	iret
.bad:	fail 0x40'''),
    # The processor stands still at the error until any interrupt comes, and then reports it again.
    'x87_error_with_interrupts_off': ('runs', X87 + '''
	x87_errors 0
	divide_by_zero
	fwait
	fail 0x40'''),
    # With NE set, port F0h has no effect.
    'x87_error_by_exception': (('faulted', 16), X87 + '''
	x87_errors 0x20
	divide_by_zero
	out 0xf0, al
	fwait
	fail 0x40'''),
}


# Resets itself 100 times, in each of the ways there are. Before it does, it makes work for an
# engine: address spaces, code of its own in each and at each start elsewhere, accesses to a device
# from everywhere, all of memory. 'B' on the serial port is a start; at each of SAMPLES it says 'W'
# and waits for a byte.
RESETS = 100
SAMPLES = (10, RESETS)
SLACK_KIB = int(os.environ.get('RF_SLACK_KIB', 1024))  # a sanitizer's allocator keeps more
RESETTING = f'''
%define COUNT 0x380000
	inc dword [COUNT]
	mov dx, 0x3f8
	mov al, 'B'
	out dx, al
	mov edi, 0x800000	; the first time, so that memory in use stays the same
.touch:	inc byte [edi]
	add edi, 4096
	cmp edi, 0x1000000 - 0x10000
	jb .touch
	cmp dword [COUNT], {SAMPLES[0]}
	je .wait
	cmp dword [COUNT], {SAMPLES[1]}
	jne .work
.wait:	mov al, 'W'
	out dx, al
	mov dl, 0xfd
.poll:	in al, dx
	test al, 1
	jz .poll
	cmp dword [COUNT], {RESETS}
	jb .work
	succeed
.work:	mov eax, cr4
	or al, 0x10
	mov cr4, eax
	xor ebp, ebp
.space:	mov edi, ebp		; a directory of 4-MiB pages
	shl edi, 12
	add edi, 0x400000
	mov ebx, edi
	mov eax, 0x87
	mov ecx, 1024
.entry:	stosd
	add eax, 0x400000
	loop .entry
	mov cr3, ebx
	mov eax, cr0
	or eax, 0x80000000
	mov cr0, eax
	mov edi, [COUNT]
	shl edi, 10
	mov esi, ebp
	shl esi, 14
	lea edi, [edi + esi + 0x800000]
	mov edx, edi
	mov al, 0x40		; inc eax
	mov ecx, 900
	rep stosb
	mov byte [edi], 0xa1	; mov eax, [local APIC]
	mov dword [edi + 1], 0xfee00020
	mov byte [edi + 5], 0xc3
	call edx
	inc ebp
	cmp ebp, 20
	jb .space
	mov eax, [COUNT]
	and eax, 3
	jz .cf9
	dec eax
	jz .port92
	dec eax
	jz .kbc
	lidt [none]
	int3
.cf9:	mov dx, 0xcf9
	mov al, 6
	out dx, al
	hlt
.port92:
	mov al, 3
	out 0x92, al
	hlt
.kbc:	mov al, 0xfe
	out 0x64, al
	hlt
none:	dd 0, 0
'''

# Kernels that have nothing of their own and take what they were started with.
BARE = {
    'bare_gates_and_stack': '''
	lidt [idtr]
	int 0
	mov ax, 0x10
	mov ds, ax
	mov ss, ax
	jmp 0x08:.far
.far:	succeed
zero:	push ds
	push es
	pop es
	pop ds
	iret
idtr:	dw 7
	dd idt
idt:	dw zero - $$, 0x08, 0x8e00, 0x20''',
    # To real mode and to where a processor starts; the second time is after the reset.
    'bare_reset_by_jump': '''
	cmp dword [0x380000], 1
	je .again
	mov dword [0x380000], 1
	mov esi, low
	mov edi, 0x8000
	mov ecx, low_end - low
	rep movsb
	jmp 0x18:0x8000
.again:	succeed
bits 16
low:	mov ax, 0x20
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov eax, cr0
	and al, 0xfe
	mov cr0, eax
	jmp 0:0x8000 + real - low
real:	jmp 0xf000:0xfff0
low_end:''',
}

HALTS = 'cli\n.stuck: hlt\njmp .stuck\n'
# On CPU models that lack something: (how it ends, -cpu, what is said on standard error: None, or
# the note, or (the note, the report), assembly).
MODELS = {
    'cmov_without_handlers': ('killed', 'pentium',
                              'needs cmov, which -cpu pentium lacks: choose -cpu pentium2 or later',
                              'lidt [none]\ncmovz eax, ebx\nnone: dd 0, 0'),
    'cmov_and_a_handler_that_halts': ('killed', '486',
                                      'needs cmov, which -cpu 486 lacks: choose -cpu pentium2 or '
                                      'later',
                                      'on 6, .ud\ncmovz eax, ebx\n.ud: ' + HALTS),
    'a_handler_that_has_the_same_trouble': ('killed', '486', (
        'needs sse, which',
        'needs cmov, sse, which -cpu 486 lacks: choose -cpu pentium3 or later'), '''
	on 6, .ud
	xor ecx, ecx
	xorps xmm0, xmm0
.ud:	inc ecx
	cmp ecx, 3
	je .give_up
	cmovz eax, ebx
.give_up: ''' + HALTS),
    'pae_without_handlers': ('killed', 'pentium',
                             'needs pae, which -cpu pentium lacks: choose -cpu pentium2 or later',
                             'lidt [none]\nmov eax, 0x20\nmov cr4, eax\nnone: dd 0, 0'),
    'sse_taken_away': ('killed', 'pentium3,-sse',
                       'needs sse, which -cpu pentium3,-sse lacks: leave out -sse',
                       'lidt [none]\nxorps xmm0, xmm0\nnone: dd 0, 0'),
    'cmov_taken_away': ('killed', 'max,-cmov', 'needs cmov, which -cpu max,-cmov lacks: leave out '
                                               '-cmov',
                        'lidt [none]\ncmovz eax, ebx\nnone: dd 0, 0'),
    'what_it_builds_on_taken_away': ('killed', 'max,+nx,fxsr=off',
                                     'needs sse, which -cpu max,+nx,fxsr=off lacks: leave out '
                                     'fxsr=off',
                                     'lidt [none]\nxorps xmm0, xmm0\nnone: dd 0, 0'),
    'taken_away_and_too_old': ('killed', 'pentium,-fxsr',
                               'needs sse, which -cpu pentium,-fxsr lacks: leave out -fxsr and '
                               'choose -cpu pentium3 or later',
                               'lidt [none]\nxorps xmm0, xmm0\nnone: dd 0, 0'),
    'newest': ('killed', 'pentium3', 'needs popcnt, which -cpu pentium3 lacks: choose -cpu max',
               'lidt [none]\npopcnt eax, ebx\nnone: dd 0, 0'),
    # Kernels that find out by trying are not stopped: something else has happened when they halt.
    'tried_and_avoided': ('runs', 'pentium', 'needs cmov', '''
	on 6, .ud
	on 0, .de
	cmovz eax, ebx
	xor ecx, ecx
	div ecx
	nop
''' + HALTS + '''
.ud:	inc dword [esp]
.de:	add dword [esp], 2
	iret'''),
    'tried_and_succeeded': ('success', 'pentium', 'needs cmov',
                            'on 6, .ud\ncmovz eax, ebx\n.ud: succeed'),
    'triple_fault_for_another_reason': ('triple fault', 'pentium', 'needs cmov', '''
	on 6, .ud
	cmovz eax, ebx
.ud:	lidt [none]
	int3
none:	dd 0, 0'''),
    'halted_by_itself': ('runs', '486', None, HALTS),
    'what_no_processor_has': ('runs', '486', None, 'on 6, .ud\nud2\n.ud: ' + HALTS),
    'has_it': ('success', 'pentium2', None, 'cmovz eax, ebx\nsucceed'),
}


class Machine(hostile_test.Hostile):
    test_random_guests = None
    note = None

    def judge(self, status, text, told):
        """Sees to the note, which belongs to the guest in some cases."""
        notes = [line for line in text.splitlines() if line.startswith('ringfence: note: ')]
        if self.note is None:
            self.assertEqual(notes, [])
        else:
            self.assertEqual(len(notes), 1, text)
            self.assertIn(self.note[0], notes[0])
        how = super().judge(status, ''.join(line for line in text.splitlines(True)
                                            if line.rstrip('\n') not in notes), told)
        if how == 'killed':
            self.assertIn(self.note[-1], text.split('was stopped: ')[1].splitlines()[0])
        return how

    def check_model(self, name):
        expected, model, said, text = MODELS[name]
        self.note = (said,) if isinstance(said, str) else said
        seconds = 1 if expected == 'runs' else hostile_test.TIMEOUT
        self.assertEqual(self.run_guest(self.assemble(text), seconds, '-cpu', model), expected)

    def check(self, name):
        expected, text = GUESTS[name]
        seconds = 1 if expected == 'runs' else hostile_test.TIMEOUT
        self.assertEqual(self.run_guest(self.assemble(text), seconds), expected)

    def check_bare(self, name):
        path, prelude = os.path.join(self.dir, 'guest'), hostile_test.PRELUDE
        code = self.assemble(BARE[name], prelude[:prelude.index('start:')])
        with open(path, 'wb') as f:
            f.write(hostile_test.elf(code))
        run = subprocess.run([hostile_test.PROGRAM, '-accel', hostile_test.ENGINE, '-display',
                              'none', '-m', '16', '-kernel', path, '-device',
                              'isa-debug-exit,iobase=0xf4,iosize=1'],
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
                             timeout=60)
        self.assertEqual(run.stderr, b'')  # a triple fault would be reported
        self.assertEqual(run.returncode, hostile_test.SUCCESS << 1 | 1)

    def sample(self, process):
        """Resident KiB, descriptors, mappings."""
        proc = f'/proc/{process.pid}'
        with open(proc + '/status') as f:
            resident = next(int(line.split()[1]) for line in f if line.startswith('VmRSS:'))
        with open(proc + '/maps') as f:
            return resident, len(os.listdir(proc + '/fd')), sum(1 for _ in f)

    def test_resets_leak_nothing(self):
        path = os.path.join(self.dir, 'guest')
        with open(path, 'wb') as f:
            f.write(hostile_test.elf(self.assemble(RESETTING)))
        process = subprocess.Popen([hostile_test.PROGRAM, '-accel', hostile_test.ENGINE, '-display',
                                    'none', '-m', '16', '-kernel', path,
                                    '-serial', 'stdio', '-device',
                                    'isa-debug-exit,iobase=0xf4,iosize=1'],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, bufsize=0)
        samples, starts = {}, 0
        try:
            while said := process.stdout.read(1):
                starts += said == b'B'
                if said == b'W':
                    samples[starts] = self.sample(process)
                    process.stdin.write(b'\n')
            self.assertEqual(process.wait(), hostile_test.SUCCESS << 1 | 1)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        self.assertEqual(starts, RESETS)
        before, after = (samples[n] for n in SAMPLES)
        resident, files, mappings = before
        resident_after, files_after, mappings_after = after
        text = f'{samples}'
        self.assertEqual(files_after, files, text)
        self.assertLessEqual(mappings_after, mappings + 8, text)
        self.assertLessEqual(resident_after, resident + SLACK_KIB, text)


def add_tests():
    for name in GUESTS:
        setattr(Machine, 'test_' + name, lambda self, name=name: self.check(name))
    for name in BARE:
        setattr(Machine, 'test_' + name, lambda self, name=name: self.check_bare(name))
    for name in MODELS:
        setattr(Machine, 'test_model_' + name, lambda self, name=name: self.check_model(name))


if __name__ == '__main__':
    hostile_test.PROGRAM = os.path.abspath(sys.argv.pop(1))
    if not shutil.which('nasm'):
        print('skipped: there is no nasm')
        sys.exit(77)  # Meson: skipped
    add_tests()
    unittest.main()
