# SPDX-License-Identifier: GPL-2.0-or-later
"""The families of benchmarks, each behind the same few methods: prepare() once, run() for each engine in each round."""
import os
import subprocess
import tempfile
from dataclasses import dataclass
from .nano_runner import ABOUT, NanoRunner, build_native

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

	def lines(self):
		return [f"{'nano/' + name:32}{about}" for name, about in ABOUT.items() if not self.names or name in self.names]

	def prepare(self, context, usable, gathered):
		"""Whether there is anything to run."""
		kernel = os.path.join(context.build, "bench", "nano", "nano")
		if not os.path.exists(kernel):
			gathered.problem("nano", f"there is no {kernel} (ninja -C {context.build})")
			return False
		self.temporary = tempfile.TemporaryDirectory()
		native = os.path.join(self.temporary.name, "native")
		if any(engine.kind == "native" for engine in usable):
			try:
				build_native(os.path.join(context.root, "bench", "nano"), native)
			except (OSError, subprocess.CalledProcessError) as error:
				gathered.problem("native", f"its program cannot be built ({error}); apt install gcc-multilib")
				native = None
		self.runner = NanoRunner(kernel, native, context.facts, context.timeout, context.quick)
		for name in self.names or ABOUT:
			gathered.add_benchmark(f"nano/{name}", family="nano", unit="cycles", about=ABOUT[name])
		return True

	def run(self, engine, number, gathered):
		"""(values measured, problems)"""
		if engine.kind == "native" and not self.runner.native:
			return 0, 0
		run = self.runner.run(engine, self.names)
		kept = 0
		for name, value in run.values.items():
			if f"nano/{name}" in gathered.benchmarks:
				gathered.add_value(f"nano/{name}", engine.name, number, value.median, min=value.min, max=value.max,
						   clock=value.clock)
				kept += 1
		for problem in run.problems:
			gathered.problem(engine.name, f"nano, round {number + 1}: {problem}")
		return kept, len(run.problems)


SUITES = {"nano": NanoSuite}


def select(words, quick):
	"""Suites for words like nano, macro/boot; all for none. An unknown one is a ValueError."""
	wanted = {}
	for word in words or list(SUITES):
		family, _, name = word.partition("/")
		if family not in SUITES:
			raise ValueError(f"no benchmark is named \"{word}\" (--list shows them)")
		known = SUITES[family].known()
		if name and name not in known:
			raise ValueError(f"no benchmark is named \"{word}\" (--list shows them)")
		names = wanted.setdefault(family, [])
		if name:
			names.append(name)
		else:
			wanted[family] = names + [other for other in known if other not in names] if names else names
	return [SUITES[family](names) for family, names in wanted.items()]
