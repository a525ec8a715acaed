#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Skips a test whose engine this host cannot run, and says why.

usage: needs_engine.py RINGFENCE ENGINE

Exit status: 0 it can; 77 it cannot, and a line "skipped: WHY". Only KVM may be missing: the other engines run on every host, and one that refuses is a failure.
"""
import struct
import subprocess
import sys
import tempfile

# Powers off at once, by ACPI: mov dx,0x604; mov ax,0x2000; out dx,ax; hlt.
POWER_OFF = bytes.fromhex('66 ba 04 06 66 b8 00 20 66 ef f4')
ENTRY = 0x200000
REFUSAL = 'ringfence: -accel kvm: '
SKIPPED = 77  # as Meson understands it


def power_off_kernel():
    header = struct.pack('<16sHHIIIIIHHHHHH', b'\x7fELF\x01\x01\x01', 2, 3, 1, ENTRY, 52, 0, 0,
                         52, 32, 1, 0, 0, 0)
    program = struct.pack('<IIIIIIII', 1, 84, ENTRY, ENTRY, len(POWER_OFF), len(POWER_OFF), 7, 4)
    return header + program + POWER_OFF


def why_not(program, engine):
    """What keeps the engine from running here, or None."""
    if engine.split(',')[0] != 'kvm':
        return None
    with tempfile.NamedTemporaryFile() as kernel:
        kernel.write(power_off_kernel())
        kernel.flush()
        command = [program, '-accel', engine, '-display', 'none', '-kernel', kernel.name]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=300, check=False)
    said = result.stderr.strip()
    return said.removeprefix(REFUSAL) if said.startswith(REFUSAL) else None


def or_skip(program, engine):
    reason = why_not(program, engine)
    if reason:
        print(f'skipped: {reason}')
        sys.exit(SKIPPED)


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit('usage: needs_engine.py RINGFENCE ENGINE')
    or_skip(*sys.argv[1:])
