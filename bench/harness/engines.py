# SPDX-License-Identifier: GPL-2.0-or-later
"""The engines that can be columns of the results, and how a guest is run on each.

An engine is named as its column is: "bt", "bt,soft=off", "interp", "kvm", "qemu-tcg", "qemu-kvm",
"bochs", "native". missing() says why it cannot be had here; such a column stays empty.
"""
import shutil
import subprocess
from dataclasses import dataclass
from . import machine

RINGFENCE, QEMU, BOCHS, NATIVE = "ringfence", "qemu", "bochs", "native"
KINDS = {"bt": RINGFENCE, "interp": RINGFENCE, "kvm": RINGFENCE, "qemu-tcg": QEMU, "qemu-kvm": QEMU,
	 "bochs": BOCHS, "native": NATIVE}
DEFAULT = ["native", "bt", "interp", "kvm", "qemu-tcg", "qemu-kvm", "bochs"]
# Status with which isa-debug-exit ends an emulator for the nano kernel's 10h.
NANO_OK = 33


@dataclass
class Tools:
	ringfence: str
	qemu: str = "qemu-system-i386"
	bochs: str = "bochs-bin"


@dataclass
class Engine:
	name: str
	tools: Tools

	@property
	def kind(self):
		return KINDS[self.name.split(",")[0]]

	@property
	def program(self):
		return {RINGFENCE: self.tools.ringfence, QEMU: self.tools.qemu,
			BOCHS: self.tools.bochs, NATIVE: "gcc"}[self.kind]

	@property
	def own_clock(self):
		"""Bochs' TSC counts instructions."""
		return self.kind == BOCHS

	def uses_kvm(self):
		return self.name.split(",")[0] in ("kvm", "qemu-kvm")

	def missing(self, facts):
		hints = {RINGFENCE: "meson setup build && ninja -C build",
			 QEMU: "apt install qemu-system-x86",
			 BOCHS: "apt install bochs bochsbios bochs-term grub-pc-bin grub-common "
				"xorriso mtools", NATIVE: "apt install gcc"}
		if not shutil.which(self.program):
			return f"there is no {self.program} ({hints[self.kind]})"
		if self.kind == BOCHS:
			for program in ("grub-mkrescue", "xorriso", "mformat"):
				if not shutil.which(program):
					return (f"there is no {program}, which makes the disc that "
						f"it boots from ({hints[BOCHS]})")
		if self.kind == RINGFENCE:
			return self.missing_accel()
		return None

	def unsuitable(self, facts):
		"""Why this host cannot have the engine, whatever is installed on it; None if it
		can."""
		if self.uses_kvm() and facts["kvm_error"]:
			return f"/dev/kvm: {facts['kvm_error']}"
		if self.uses_kvm() and not facts["kvm_runs_32_bit"]:
			return "this host's /dev/kvm does not run 32-bit guests with paging"
		return None

	def missing_accel(self):
		"""Whether this build of ringfence has the engine."""
		found = subprocess.run([self.program, "-accel", "help"], capture_output=True,
				       text=True, check=False)
		wanted = self.name.split(",")[0]
		words = {word.strip(":,") for line in found.stdout.splitlines()
			 for word in line.split()[:1]}
		return (None if wanted in words
			else f"this build of ringfence has no engine \"{wanted}\"")

	def accel(self):
		return self.name.removeprefix("qemu-")

	def label(self, facts):
		"""What the column is, truthfully."""
		if self.uses_kvm():
			owner = "QEMU" if self.kind == QEMU else "ringfence"
			return f"{owner} on KVM ({self.stands_on(facts)})"
		return {RINGFENCE: f"ringfence -accel {self.name}", QEMU: "QEMU TCG",
			BOCHS: "Bochs", NATIVE: self.short(facts)}[self.kind]

	def short(self, facts):
		"""For legends.
		What KVM stands on is part of it, and what native code is if it is not the
		guests'."""
		if self.kind == NATIVE and machine.native_is_64_bit(facts):
			return "native, 64-bit"
		if not self.uses_kvm():
			return self.name
		return f"{self.name} ({self.stands_on(facts)})"

	@staticmethod
	def stands_on(facts):
		"""What a KVM has under it, in short; machine.kvm_text() has the sentence."""
		hardware = machine.hardware(facts)
		nested = ", nested" if hardware and facts["hypervisor"] else ""
		return (hardware or "no VT-x or SVM") + nested

	def guest_command(self, kernel, append, memory_mib, extra=()):
		"""A command that has the first serial port on standard output, for ringfence and
		QEMU."""
		return [self.program, "-accel", self.accel(), "-m", str(memory_mib), "-nodefaults",
			"-display", "none", "-no-reboot",
			"-kernel", kernel, "-append", append, *extra]

	def version(self):
		argument = {RINGFENCE: "-version", QEMU: "--version", BOCHS: "--help",
			    NATIVE: "--version"}[self.kind]
		done = subprocess.run([self.program, argument], capture_output=True, text=True,
				      check=False, stdin=subprocess.DEVNULL)
		lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
		wanted = "Bochs x86 Emulator" if self.kind == BOCHS else ""
		return next((line for line in lines if line and wanted in line), "unknown")


def parse(words, tools):
	"""Engines of the words; an unknown one is a ValueError."""
	found = []
	for word in words:
		if word.split(",")[0] not in KINDS:
			raise ValueError(f"no engine is named \"{word}\" ({', '.join(KINDS)}; "
					 f"options of bt and kvm follow a comma)")
		if word not in [engine.name for engine in found]:
			found.append(Engine(word, tools))
	return found


def debug_exit(engine):
	return (["-serial", "stdio", "-device", "isa-debug-exit,iobase=0x501,iosize=2"]
		if engine.kind in (RINGFENCE, QEMU) else [])

