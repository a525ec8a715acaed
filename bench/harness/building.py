# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds of ringfence what a run needs, and no more, so that what is measured is the source as it
is."""
import os
import subprocess
import sys
from . import engines

HOST, NANO, RINGFENCE = "bench/bench-host", "bench/nano/nano", "ringfence"
RESULTS = "bench/results.json"  # in the build directory, unless another place is named


class CannotBuild(Exception):
	pass


def targets(kinds, families):
	"""What ninja has to make for these kinds of engines and families of benchmarks."""
	return [HOST] + [NANO] * ("nano" in families) + [RINGFENCE] * (engines.RINGFENCE in kinds)


def run(command):
	"""Its output is progress, so it goes to standard error."""
	print(" ".join(command), file=sys.stderr, flush=True)
	try:
		subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
	except FileNotFoundError:
		raise CannotBuild(f"there is no {command[0]}, which is needed to build ringfence "
				  f"(apt install meson ninja-build)") from None
	except subprocess.CalledProcessError as error:
		raise CannotBuild(f"\"{' '.join(command)}\" failed with status {error.returncode}; "
				  f"what it wrote is above") from None


def install_packages(root):
	"""Installs what is lacking.
	Where that is impossible the run goes on, and names what it cannot do."""
	done = subprocess.run([os.path.join(root, "tests/guest-image/host-packages"), "bench"],
			      check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr)
	if done.returncode:
		print("run: some packages are lacking (above); what needs them is not measured",
		      file=sys.stderr)


def prepare(root, directory, wanted):
	"""The build directory with what is wanted in it. directory: what the user named, or None:
	build, made if it is not there."""
	chosen = directory or os.path.join(root, "build")
	if not os.path.exists(os.path.join(chosen, "build.ninja")):
		lacking = [name for name in wanted
			   if not os.path.exists(os.path.join(chosen, name))]
		if not lacking:
			return chosen  # programs from elsewhere
		if directory:
			why = ("there is no such directory" if not os.path.exists(directory) else
			       "neither a build directory (no build.ninja) nor are all programs "
			       f"there: {', '.join(lacking)}")
			raise CannotBuild(f"--build {directory}: {why}; to make one: "
					  f"meson setup {directory} {root}")
		run(["meson", "setup", chosen, root])
	run(["ninja", "-C", chosen, *wanted])
	return chosen
