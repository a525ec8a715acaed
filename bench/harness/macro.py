# SPDX-License-Identifier: GPL-2.0-or-later
"""The macro-benchmarks: a table of programs, and how they are run in a Linux guest and on the host.

All emulators boot the same kernel and initramfs; the native run has the same programs, libraries
and list in a directory. The timer (bench/programs/timer.c) says how long each took by the guest's
clock, and the lines come at the host's time.
"""
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from . import emulator, engines
from .console import follow

MEMORY_MIB = 256
# a guest that has not come to its init by then never will
BOOT_SECONDS, BOOT_SECONDS_QUICK = 120, 30
APPEND = "console=ttyS0 panic=-1 quiet"
MERSENNE_PRIME = "7" + "F" * 319   # 2^1279 - 1


@dataclass(frozen=True)
class Macro:
	name: str
	command: str         # {} is the amount
	amount: int
	quick: int           # the amount for --quick; 0: not in it
	text: str            # {} is what the amount makes: scale of them for each
	scale: int = 1

	def amount_of(self, quick):
		return self.quick if quick else self.amount

	def line(self, quick):
		return f"{self.name} 1 {self.command.format(self.amount_of(quick))}\n"

	def about(self, quick):
		"""What such a run does."""
		return self.text.format(f"{self.amount_of(quick) * self.scale:,}")


BOOT = "boot"
MACROS = [
	Macro("forkwait", "./workloads forkwait {}", 4000, 500,
	      "{} processes that only end (the paper has 40,000)"),
	Macro("forkexec", "./workloads forkexec {}", 500, 50,
	      "{} times fork, exec of a static program, wait"),
	Macro("getppid", "./workloads getppid {}", 1000000, 300000, "{} system calls"),
	Macro("pipe", "./workloads pipe {}", 50000, 10000, "{} bytes to another process and back"),
	Macro("mmap", "./workloads mmap {}", 5000, 1000, "{} times map 64 KiB, touch, unmap"),
	Macro("signal", "./workloads signal {}", 200000, 50000,
	      "{} signals of a process to itself"),
	Macro("files", "./workloads files {}", 200, 20,
	      "{} files made and removed in a tmpfs", 100),
	Macro("gzip", "./busybox gzip -9 -c data", 1, 1, "busybox, 4 MiB of text"),
	Macro("sha256", "./busybox sha256sum" + " data" * 10, 1, 0, "busybox, 40 MiB"),
	Macro("compile", "./busybox sh compile.sh", 1, 1, "tcc, 54,000 lines"),
	Macro("openssl-aes", "./busybox sh openssl.sh enc -aes-128-cbc "
	      "-K 00112233445566778899aabbccddeeff "
	      "-iv 00112233445566778899aabbccddeeff -in data", 1, 0,
	      "openssl, 4 MiB, program start included"),
	Macro("openssl-sha512", "./busybox sh openssl.sh dgst -sha512" + " data" * 10, 1, 0,
	      "openssl, 40 MiB"),
	Macro("openssl-prime", f"./busybox sh openssl.sh prime -hex {MERSENNE_PRIME}", 1, 0,
	      "openssl, long multiplication"),
]
BOOT_ABOUT = "process start to the first line of init, by the host's clock"
NAMES = [BOOT] + [macro.name for macro in MACROS]
NEED_32_BIT_TOOLS = [macro.name for macro in MACROS if macro.command.startswith("./busybox sh ")]


def about(quick):
	"""name -> what such a run does"""
	return {BOOT: BOOT_ABOUT, **{macro.name: macro.about(quick) for macro in MACROS}}


def in_quick():
	"""Names of what --quick has."""
	return [BOOT] + [macro.name for macro in MACROS if macro.quick]


def build_workloads(root, tree, flag):
	sources = os.path.join(root, "bench", "programs")
	files = sorted(os.path.join(sources, name) for name in os.listdir(sources)
		       if name.endswith(".c"))
	subprocess.run(["gcc", flag, "-O2", "-static", "-o", os.path.join(tree, "workloads"),
			*files], check=True)


def write_list(tree, names, quick):
	with open(os.path.join(tree, "list"), "w", encoding="ascii") as file:
		file.writelines(macro.line(quick) for macro in MACROS if macro.name in names)


def initramfs_tree(root, guest, tree, names, quick):
	"""What guest and host both see, but for the data that prepare makes."""
	shutil.copytree(os.path.join(root, "bench", "macro", "guest-root"), tree)
	build_workloads(root, tree, "-m32")
	shutil.copytree(os.path.join(guest, "tools"), os.path.join(tree, "tools"))
	write_list(tree, names, quick)


class MacroRunner:
	def __init__(self, root, names, timeout, quick):
		self.root = root
		self.names = names
		self.quick = quick
		self.timeout = timeout
		self.boot_timeout = BOOT_SECONDS_QUICK if quick else BOOT_SECONDS
		self.staging = tempfile.TemporaryDirectory(prefix="ringfence-bench-")
		self.guest = os.environ.get("RINGFENCE_GUEST", os.path.join(root, "guest"))
		self.scratch = None
		self.script("fetch", "686", "tools")
		self.tree = os.path.join(self.staging.name, "tree")
		self.initramfs = os.path.join(self.staging.name, "initramfs.gz")
		initramfs_tree(root, self.guest, self.tree, names, quick)
		self.script("pack", self.initramfs, self.tree)

	def script(self, name, *words):
		subprocess.run([os.path.join(self.root, "tests", "guest-image", name), *words],
			       check=True, stdin=subprocess.DEVNULL,
			       stdout=subprocess.DEVNULL)

	def prepare_native(self, is_64_bit, left_out):
		"""The data, and a scratch directory on a tmpfs as the guest's is; programs of the
		host's kind, after the guest has its own."""
		busybox = "busybox"
		if is_64_bit:
			busybox = "busybox-amd64"
			self.script("fetch", busybox)
			build_workloads(self.root, self.tree, "-m64")
			write_list(self.tree, [name for name in self.names if name not in left_out],
				   self.quick)
		shutil.copy(os.path.join(self.guest, busybox), os.path.join(self.tree, "busybox"))
		subprocess.run(["./prepare"], cwd=self.tree, check=True)
		where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
		self.scratch = tempfile.TemporaryDirectory(prefix="ringfence-bench-", dir=where)
		os.symlink(self.scratch.name, os.path.join(self.tree, "scratch"))

	def run(self, engine):
		run = emulator.Run()
		collector = emulator.Collector(run, time.monotonic())
		if engine.kind == engines.NATIVE:
			cpu = max(os.sched_getaffinity(0))
			ending = follow(["./workloads", "timer", "list"], collector.take,
					self.timeout, cwd=self.tree,
					preexec=lambda: os.sched_setaffinity(0, {cpu}))
		else:
			command = engine.guest_command(os.path.join(self.guest, "vmlinuz-686"),
						       APPEND, MEMORY_MIB,
						       ["-initrd", self.initramfs,
							"-serial", "stdio"])
			ending = follow(command, collector.take, self.timeout,
					early=(self.boot_timeout,
					       lambda: run.boot_seconds is not None))
		problem = ending.problem()
		if problem:
			run.problems.append(problem)
		elif not collector.done:
			run.problems.append("ended before the end of the list; its last lines: "
					    + " | ".join(ending.tail[-3:]))
		return run
