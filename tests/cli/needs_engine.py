# SPDX-License-Identifier: GPL-2.0-or-later
"""Skips a test program whose engine this host cannot run, and says why."""
import subprocess
import sys
import tempfile

# An ELF that is refused as too short, so that nothing runs: what matters is which refusal comes.
NOT_A_KERNEL = b'\x7fELF'


def why_not(program, engine):
    """What keeps the engine from running here, or None. Only KVM may be missing."""
    if engine.split(',')[0] != 'kvm':
        return None
    with tempfile.NamedTemporaryFile() as kernel:
        kernel.write(NOT_A_KERNEL)
        kernel.flush()
        result = subprocess.run([program, '-accel', engine, '-display', 'none', '-kernel', kernel.name], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=300, check=False)
    return result.stderr.strip() if result.stderr.startswith('ringfence: -accel kvm: ') else None


def or_skip(program, engine):
    reason = why_not(program, engine)
    if reason:
        print(f'skipped: {reason}')
        sys.exit(77)  # Meson: skipped
