# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host lacks, for Python: asks tests/host_features.c, which it builds for the purpose."""
import functools
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = [os.path.join(HERE, name) for name in ("host_features.c", "host_features_main.c")]


@functools.lru_cache
def lacks(feature):
    """Why the host lacks the feature ("programs-32", "code-segment-32"), or None: it does not."""
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(directory, "host-features")
        subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-o", program, *SOURCES], check=True)
        done = subprocess.run([program, feature], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True, check=False)
    if done.returncode not in (0, 1):
        raise OSError(f"host-features {feature}: exit status {done.returncode}")
    return done.stdout.strip().split(": ", 1)[1] if done.returncode else None
