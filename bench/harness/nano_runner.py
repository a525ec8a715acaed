# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the nano kernel on an engine, or its unprivileged loops as a process of the host."""
import os
import subprocess
from . import bochs, engines, nano, paper
from .console import follow

MEMORY_MIB = 64
# A run takes so long at least, or its clock could not be judged.
LEAST_SECONDS = 0.5
# Programs of a machine of its own, in the order in which a reader wants them; others that a run
# reports come after these.
ABOUT = {
	"empty": "the loop around the others in ring 0, an iteration",
	"empty-user": "the same in ring 3",
	"syscall-int80": "INT 80h from ring 3, and back by IRET",
	"syscall-sysenter": "SYSENTER from ring 3, and back by SYSEXIT",
	"in": "IN from port 80h",
	"tpr-write": "a store to the local APIC's task priority (CR8 in 64-bit mode)",
	"call-ret": "CALL of an empty function",
	"pgfault": "ring 3 touches a page, the handler maps it, the access is repeated",
	"divzero": "ring 3 divides by zero, the handler skips it",
	"ptemod": "a store that changes an entry of the page table in use",
	"ptemod-use": "the same, with INVLPG and a load from the page",
	"ptemod-batch": "64 entries changed, CR3 loaded, 64 pages read; a page",
	"pgfault-write": "as pgfault, for a write to a page that was read-only",
	"touch": "the loop of pgfault without faults",
	"cr3-same": "MOV to CR3 of the value that it has",
	"cr3-switch": "MOV to CR3 of another address space",
	"cr3-switch-use": "the same, and a load from a page in which they differ",
	"invlpg": "INVLPG", "invlpg-use": "INVLPG and a load from the page",
	"in-pic": "IN from an 8259", "out": "OUT to port 80h",
	"mmio-read": "a load from the local APIC", "mmio-write": "a store to the I/O APIC",
	"cli-sti": "CLI, STI", "pushf-popf": "PUSHF, POPF",
	"irq-save": "PUSHF, CLI, POPF with interrupts on",
	"iret": "IRET within ring 0", "lret": "far RET within ring 0",
	"int3": "INT3 within ring 0, and back by IRET",
	"irq-self": "an interrupt of the local APIC to itself: ICR, delivery, EOI, IRET",
	"task-switch": "far JMP to another TSS", "mov-ds": "MOV to DS",
	"mov-from-cr0": "MOV from CR0", "clts": "CLTS",
	"rdmsr": "RDMSR", "sgdt": "SGDT", "rdtsc": "RDTSC", "cpuid": "CPUID",
	"call-indirect": "CALL through a register, one target",
	"call-indirect-8": "CALL through a table, eight targets in turn",
	"load": "a load whose address the one before has loaded",
	"smc": "a store to an instruction and its execution",
	"smc-beside": "a store to the page of the code that runs",
	"hlt-wakeup": "from the timer's due time to the handler, out of HLT",
	"real": "a loop of 16-bit code in real mode: loads, stores, stack, a call, conditions",
	"v86": "the same in virtual-8086 mode", "p286": "the same in 16-bit protected mode, ring 0",
	"real-strings": "a string instruction in real mode", "v86-strings": "in virtual-8086 mode",
	"p286-strings": "in 16-bit protected mode",
	"real-rep-movsw": "REP MOVSW in real mode", "v86-rep-movsw": "in virtual-8086 mode",
	"p286-rep-movsw": "in 16-bit protected mode",
	"real-segments": "a load of DS or ES in real mode", "v86-segments": "in virtual-8086 mode",
	"p286-segments": "in 16-bit protected mode",
	"real-far": "a far CALL or RET in real mode", "v86-far": "in virtual-8086 mode",
	"p286-far": "in 16-bit protected mode",
	"real-int": "INT and IRET in real mode",
	"real-boot-stack": "a PUSH or POP beside the code that runs, in real mode",
	"linux-int80-getppid": "the host's kernel: INT 80h, getppid",
	"linux-divzero-signal": "the host's kernel: division by zero to a signal handler",
	"linux-pgfault-anonymous": "the host's kernel: first touch of an anonymous page",
}


class NanoRunner:
	def __init__(self, kernel, native, facts, timeout, quick=False):
		self.kernel = kernel
		self.native = native
		self.facts = facts
		self.timeout = timeout
		self.quick = quick
		self.settings = ["rounds=11"] if quick else []

	def run(self, engine, names):
		"""A NanoRun of the named benchmarks; all if there are no names."""
		collector = nano.Collector(self.facts["tsc_hz"], engine.own_clock)
		if engine.kind == engines.NATIVE:
			return self.run_native(collector, names)
		if engine.own_clock and self.quick and not names:
			names = QUICK_BY_HOST_CLOCK
		if engine.own_clock and names:
			names = EMPTY + [name for name in names if not name.startswith("empty")]
		append = " ".join(self.settings_for(engine) + names)
		if engine.kind == engines.BOCHS:
			ending = bochs.run(engine.program, self.kernel, append, collector.take,
					   self.timeout, MEMORY_MIB)
			good = (0,)
		else:
			command = engine.guest_command(self.kernel, append, MEMORY_MIB,
						       engines.debug_exit(engine))
			ending = follow(command, collector.take, self.timeout)
			good = (engines.NANO_OK,)
		return self.judged(collector.run, ending, good, names)

	def settings_for(self, engine):
		"""Bochs takes long and has nothing random about it."""
		if engine.own_clock:
			return ["rounds=3", "ticks=1000000" if self.quick else "ticks=4000000"]
		return [*self.settings, f"least={int(LEAST_SECONDS * self.facts['tsc_hz'])}"]

	def run_native(self, collector, names):
		cpu = max(os.sched_getaffinity(0))
		known = [name for name in names if name in NATIVE_NAMES]
		if names and not known:
			return collector.run
		ending = follow([self.native, *self.settings, *known], collector.take, self.timeout,
				preexec=lambda: os.sched_setaffinity(0, {cpu}))
		return self.judged(collector.run, ending, (0,), known)

	@staticmethod
	def judged(run, ending, good, names):
		problem = ending.problem(good)
		if problem and (ending.timed_out or not run.problems):
			run.problems.append(problem)
		if not run.ended and not run.problems:
			run.problems.append("ended before its last line")
		run.problems += [f"{name}: no result" for name in names
				 if run.ended and name not in run.values and name not in run.skipped
				 and not any(problem.startswith(name + ":")
					     for problem in run.problems)]
		return run


EMPTY = ["empty", "empty-user"]
# All that --quick has of an engine that takes long.
QUICK_BY_HOST_CLOCK = EMPTY + list(paper.NANO)
NATIVE_NAMES = ["call-ret", "call-indirect", "call-indirect-8", "load", "rdtsc", "cpuid", "smc",
		"smc-beside", "linux-int80-getppid",
		"linux-divzero-signal", "linux-pgfault-anonymous"]


def build_native(source_directory, output):
	"""The native program; CalledProcessError has what the compiler said."""
	subprocess.run(["gcc", "-m32", "-O2", "-static", "-no-pie", "-DNATIVE",
			"-Wl,--no-warn-rwx-segments", "-o", output,
			os.path.join(source_directory, "native.c"),
			os.path.join(source_directory, "loops.S")],
		       check=True, capture_output=True, text=True)
