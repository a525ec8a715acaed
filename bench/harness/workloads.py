# SPDX-License-Identifier: GPL-2.0-or-later
"""The workloads: one table.
Commands run in a directory with busybox, workloads, data (4 MiB of text) and the scripts."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
	name: str
	group: str
	command: str
	about: str


USER = "user"
SYSCALL = "syscall"
PROCESS = "process"

# Their columns lie on more pages than QEMU's software TLB may have entries when they start, and it
# grows only where address spaces change: so they run beside a process that wakes up now and then
# (docs/benchmarks.md).
MATRIX = ("matrix-int", "matrix-double")

WORKLOADS = [
	Workload("sha256sum", USER, "./busybox sha256sum" + " data" * 10, "busybox, 40 MiB"),
	Workload("md5sum", USER, "./busybox md5sum" + " data" * 24, "busybox, 96 MiB"),
	Workload("gzip", USER, "./busybox gzip -9 -c data", "busybox, 4 MiB of text"),
	Workload("bzip2", USER, "./busybox bzip2 -c data", "busybox, 4 MiB of text"),
	Workload("awk", USER, "./busybox awk -f loop.awk", "busybox, arithmetic, strings, arrays"),
	Workload("shell", USER, "./busybox sh loop.sh", "busybox, a loop inside one shell"),
	Workload("qsort", USER, "./workloads qsort 2000000",
		 "C, comparison through a function pointer"),
	Workload("sieve", USER, "./workloads sieve 200", "C, primes below a million, 200 times"),
	Workload("fib", USER, "./workloads fib 40", "C, double recursion"),
	Workload("matrix-int", USER, "./workloads beside matrix-int 600",
		 "C, product of 600 x 600 integers"),
	Workload("matrix-double", USER, "./workloads beside matrix-double 500",
		 "C, x87 floating point"),
	Workload("bytecode", USER, "./workloads bytecode 30000000",
		 "C, interpreter with computed gotos"),
	Workload("crc", USER, "./workloads crc 131072", "C, table-driven CRC of 128 MiB"),
	Workload("list", USER, "./workloads list 80000000", "C, dependent loads"),
	Workload("getppid", SYSCALL, "./workloads getppid 1000000", "a million system calls"),
	Workload("dd", SYSCALL, "./busybox dd if=/dev/zero of=/dev/null bs=1 count=500000",
		 "read and write, a byte each"),
	Workload("pipe", SYSCALL, "./workloads pipe 50000", "a byte to another process and back"),
	Workload("forkexec", PROCESS, "./workloads forkexec 500",
		 "fork, exec of a static program, wait"),
	Workload("mmap", PROCESS, "./workloads mmap 5000", "map 64 KiB, touch, unmap"),
]

# Measured on every boot, beside the workloads.
EXTRAS = {
	"boot": "process start to the first line of init, by the host's clock",
	"idle": "CPU time of the emulator at the guest's shell prompt, over 10 s",
	"memory": "the emulator's memory beyond guest RAM, after the workloads",
}


def names():
	return list(EXTRAS) + [workload.name for workload in WORKLOADS]


def select(wanted):
	"""The workloads and extras of the wanted names, all for none; an unknown name is a
	ValueError."""
	for name in wanted:
		if name not in names():
			raise ValueError(f"no workload is named \"{name}\" (--list shows them)")
	chosen = [workload for workload in WORKLOADS if not wanted or workload.name in wanted]
	extras = [name for name in EXTRAS if not wanted or name in wanted]
	return chosen, extras


def list_file(workloads, iterations):
	return "".join(f"{workload.name} {iterations} {workload.command}\n"
		       for workload in workloads)
