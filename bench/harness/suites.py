# SPDX-License-Identifier: GPL-2.0-or-later
"""The families of benchmarks, each with the same few methods: prepare() once, run() for each
engine in each round."""
import os
import subprocess
import tempfile
from dataclasses import dataclass
from . import engines, machine, macro
from .nano_runner import ABOUT, QUICK_BY_HOST_CLOCK, NanoRunner, build_native

FAMILIES = ("nano", "macro")


@dataclass
class Context:
	root: str
	build: str
	facts: dict
	timeout: float
	quick: bool


class NanoSuite:
	family = "nano"

	def __init__(self, names=()):
		self.names = list(names)       # none: all
		self.temporary = None
		self.runner = None

	@staticmethod
	def known():
		return dict(ABOUT)

	def lines(self, quick):
		return [f"{'nano/' + name:32}{about}"
			for name, about in ABOUT.items() if not self.names or name in self.names]

	def prepare(self, context, usable, gathered):
		"""Whether there is anything to run."""
		kernel = os.path.join(context.build, "bench", "nano", "nano")
		if not os.path.exists(kernel):
			gathered.problem("nano", f"there is no {kernel} (ninja -C {context.build})")
			return False
		self.temporary = tempfile.TemporaryDirectory()
		native = os.path.join(self.temporary.name, "native")
		has_native = any(engine.kind == engines.NATIVE for engine in usable)
		if has_native and machine.native_is_64_bit(context.facts):
			gathered.not_run("native", self.family,
					 "its loops are 32-bit code, which this host does not run")
		elif has_native:
			try:
				build_native(os.path.join(context.root, "bench", "nano"), native)
			except (OSError, subprocess.CalledProcessError) as error:
				gathered.problem("native",
						 f"its program cannot be built ({error}); "
						 "apt install gcc-multilib")
				native = None
		self.runner = NanoRunner(kernel, native, context.facts,
					 context.timeout, context.quick)
		for engine in usable:
			if engine.own_clock and context.quick and not self.names:
				gathered.not_run(engine.name, self.family, "left out by --quick",
						 [name
						  for name in ABOUT
						  if name not in QUICK_BY_HOST_CLOCK
						  and not name.startswith("linux-")])
		for name in self.names or ABOUT:
			gathered.add_benchmark(f"nano/{name}", family="nano", unit="cycles",
					       about=ABOUT[name])
		return True

	def run(self, engine, number, gathered):
		"""(values measured, problems)"""
		if engine.kind == engines.NATIVE and not self.runner.native or gathered.gave_up(
				engine.name, self.family):
			return 0, 0
		run = self.runner.run(engine, self.names)
		kept = 0
		for name, value in run.values.items():
			if f"nano/{name}" in gathered.benchmarks:
				gathered.add_value(f"nano/{name}", engine.name, number,
						   value.median, min=value.min, max=value.max,
						   clock=value.clock)
				kept += 1
		for problem in run.problems:
			gathered.problem(engine.name, f"nano, round {number + 1}: {problem}")
		if run.problems and not run.values:
			gathered.not_run(engine.name, self.family,
					 "its first run measured nothing: not tried again")
		return kept, len(run.problems)


class MacroSuite:
	family = "macro"

	def __init__(self, names=()):
		self.names = list(names)
		self.runner = None
		self.checksums = {}            # name -> {checksum: engine that had it first}

	@staticmethod
	def known():
		return macro.about(False)

	def lines(self, quick):
		return [f"{'macro/' + name:32}{about}"
			for name, about in macro.about(quick).items() if name in self.chosen(quick)]

	def chosen(self, quick):
		return self.names or (macro.in_quick() if quick else macro.NAMES)

	def prepare(self, context, usable, gathered):
		names, about = self.chosen(context.quick), macro.about(context.quick)
		for engine in usable:
			if engine.kind == engines.BOCHS:
				gathered.not_run(engine.name, self.family, "would take hours")
			elif context.quick and engine.name.split(",")[0] == "interp":
				gathered.not_run(engine.name, self.family,
						 "takes minutes: left out by --quick")
		if not self.names and context.quick:
			gathered.not_run("every engine", self.family, "left out by --quick",
					 [name for name in macro.NAMES if name not in names])
		if all(gathered.gave_up(engine.name, self.family) for engine in usable):
			return False
		try:
			self.runner = macro.MacroRunner(context.root, names,
							context.timeout, context.quick)
			if any(engine.kind == engines.NATIVE for engine in usable):
				self.prepare_native(context.facts, names, gathered)
		except (OSError, subprocess.CalledProcessError) as error:
			gathered.problem("macro", f"the guest cannot be made: {error}")
			return False
		for name in names:
			gathered.add_benchmark(f"macro/{name}", family="macro", unit="ms",
					       about=about[name])
		return True

	def prepare_native(self, facts, names, gathered):
		is_64_bit = machine.native_is_64_bit(facts)
		left_out = ([name for name in macro.NEED_32_BIT_TOOLS if name in names] if is_64_bit
			    else [])
		if left_out:
			gathered.not_run("native", self.family,
					 "Debian's i386 programs, which this host does not run",
					 left_out)
		self.runner.prepare_native(is_64_bit, left_out)

	def run(self, engine, number, gathered):
		if gathered.gave_up(engine.name, self.family):
			return 0, 0
		run = self.runner.run(engine)
		problems, kept = list(run.problems), 0
		if run.boot_seconds is not None and "macro/boot" in gathered.benchmarks:
			gathered.add_value("macro/boot", engine.name, number,
					   run.boot_seconds * 1e3, clock="host")
			kept += 1
		for name, timing in run.timings.items():
			if not timing.clocks_agree():
				continue       # the problem is in the run's
			if self.checksum_differs(engine.name, name, timing.checksum, problems):
				continue
			gathered.add_value(f"macro/{name}", engine.name, number,
					   timing.guest_ns / 1e6, clock="guest",
					   host=timing.host_ns / 1e6)
			kept += 1
		for problem in problems:
			gathered.problem(engine.name, f"macro, round {number + 1}: {problem}")
		if problems and not kept:
			gathered.not_run(engine.name, self.family,
					 "its first run measured nothing: not tried again")
		return kept, len(problems)

	def checksum_differs(self, engine, name, checksum, problems):
		seen = self.checksums.setdefault(name, {})
		if seen and checksum not in seen:
			problems.append(f"{name}: its result {checksum} is not that of "
					f"{', '.join(seen.values())}: not used")
			return True
		seen.setdefault(checksum, engine)
		return False


SUITES = {"nano": NanoSuite, "macro": MacroSuite}


def select(words):
	"""Suites for words like nano, macro/boot; all for none. An unknown one is a ValueError."""
	wanted, whole = {}, set()
	for word in words or list(SUITES):
		family, _, name = word.partition("/")
		if family not in SUITES:
			raise ValueError(f"no benchmark is named \"{word}\" (--list shows them)")
		known = SUITES[family].known()
		if name and name not in known:
			raise ValueError(f"no benchmark is named \"{word}\" (--list shows them)")
		if name:
			wanted.setdefault(family, []).append(name)
		else:
			wanted.setdefault(family, [])
			whole.add(family)
	return [SUITES[family](() if family in whole else names)
		for family, names in wanted.items()]


def name_gaps(chosen, usable, gathered, asked):
	"""What no engine measured: a problem if it was asked for by its name or its family's, or if
	nothing was measured at all."""
	measured = {value["benchmark"] for value in gathered.values}
	why = "none of them measured it"
	if usable and all(engine.kind == engines.NATIVE for engine in usable):
		why += ": native has no boot and none of the operations that need a guest"
	for suite in chosen:
		names = (suite.names
			 or [key.split("/")[1] for key in gathered.benchmarks
			     if key.startswith(suite.family + "/")])
		lacking = [name for name in names if f"{suite.family}/{name}" not in measured]
		if suite.names:
			for name in lacking:
				gathered.problem("the engines chosen", why,
						 f"{suite.family}/{name}")
		elif len(lacking) == len(names) and (asked or not measured):
			gathered.problem("the engines chosen",
					 f"none of them measured anything of {suite.family}")
		elif lacking and len(lacking) < len(names):
			gathered.not_run("the engines chosen", suite.family,
					 "none of them measured these", lacking)
