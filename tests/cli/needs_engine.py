#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Skips a test whose engine this host cannot run, and says why.

usage: needs_engine.py RINGFENCE ENGINE

Exit status: 0 it can; 77 it cannot, and a line "skipped: WHY". Only KVM may be missing: the other
engines run on every host, and one that refuses is a failure.
"""
import struct
import subprocess
import sys
import tempfile

# Nothing runs: devices that collide are found after the engine has been made, a kernel that is none
# before. An ELF of two bytes.
KERNEL = (struct.pack('<16sHHIIIIIHHHHHH', b'\x7fELF\x01\x01\x01', 2, 3, 1, 0x200000, 52, 0, 0,
                      52, 32, 1, 0, 0, 0)
          + struct.pack('<IIIIIIII', 1, 84, 0x200000, 0x200000, 2, 2, 7, 1) + b'\xfa\xf4')
COLLIDING = ['-serial', 'null', '-device', 'isa-debug-exit,iobase=0x3f8']
REFUSAL = 'ringfence: -accel kvm: '
SKIPPED = 77  # as Meson understands it


def why_not(program, engine):
    """What keeps the engine from running here, or None."""
    if engine.split(',')[0] != 'kvm':
        return None
    with tempfile.NamedTemporaryFile() as kernel:
        kernel.write(KERNEL)
        kernel.flush()
        command = [program, '-accel', engine, '-display', 'none', '-kernel',
                   kernel.name, *COLLIDING]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=300, check=False)
    said = result.stderr.strip()
    return said.removeprefix(REFUSAL) if said.startswith(REFUSAL) else None


def only_for(engine, *names):
    """A decorator of a test, or a class of them, that is about these engines: for another it is not
    there at all. Nothing is skipped, for nothing is missing."""
    return lambda test: test if engine.split(',')[0] in names else None


def skip(case, why):
    """Skips a test that needs what the host lacks, so that it is counted."""
    print('skipped: ' + why)
    case.skipTest(why)


def or_skip(program, engine):
    reason = why_not(program, engine)
    if reason:
        print(f'skipped: {reason}')
        sys.exit(SKIPPED)


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit('usage: needs_engine.py RINGFENCE ENGINE')
    or_skip(*sys.argv[1:])
