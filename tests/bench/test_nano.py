#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the nano kernel on an engine and asks whether what it says can be: all benchmarks there,
positive, in an order that no load of the host turns round, and that the machine's end says it went
well.

    test_nano.py RINGFENCE NANO BENCH-HOST ENGINE
"""
import os
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
from harness import engines, machine, nano, nano_runner  # noqa: E402

TIMEOUT = 240  # of a run, which takes seconds
# A host that runs other tests at the same time may let the reader of the lines wait;
# test_harness.py is about the clocks.
nano.BENCHMARK_SLACK = nano.RUN_SLACK = (TIMEOUT, 0)
# A host that stands still for a moment may spoil any figure of a run. What is wrong is so in all of
# them.
RUNS = 3

# What may come out as nothing beside its loop: the processor does it meanwhile, or the way to real
# mode and back takes longer than the loop.
MAY_BE_NOTHING = {"ptemod", "mov-from-cr0", "real", "real-strings", "real-rep-movsw",
		  "real-segments", "real-far", "real-int", "real-boot-stack", "v86-segments",
		  "v86-strings", "p286-strings"}
# (less, more): by the least value of each: the host may be busy.
ORDER = [("call-ret", "syscall-int80"), ("syscall-sysenter", "syscall-int80"),
	 ("call-ret", "pgfault"),
	 ("ptemod", "ptemod-use"), ("call-ret", "task-switch"), ("pushf-popf", "irq-self"),
	 ("rdtsc", "pgfault"), ("call-ret", "smc")]


def guest_names(known):
	return [name for name in known if not name.startswith("linux-")]


class Judge:
	def __init__(self):
		self.failures = []

	def check(self, holds, text):
		if not holds:
			self.failures.append(text)


def implausible(values):
	"""What cannot be: a complaint for each."""
	wrong = {name: f"{name}: {value} is not positive" for name, value in values.items()
		 if value.median <= 0 and name not in MAY_BE_NOTHING}
	for less, more in ORDER:
		if less in values and more in values and values[less].min >= values[more].min:
			wrong[less, more] = f"{less} {values[less]} not below {more} {values[more]}"
	return wrong


def run_all(runner, engine, judge):
	run = runner.run(engine, [])
	judge.check(not run.problems, f"problems: {run.problems}")
	judge.check(run.ended, "no last line")
	judge.check(not run.skipped, f"skipped on the default CPU: {run.skipped}")
	names = guest_names(nano_runner.ABOUT)
	judge.check(set(run.values) == set(names),
		    f"not what is described: {set(run.values) ^ set(names)}")
	for name, value in run.values.items():
		judge.check(value.min <= value.median <= value.max, f"{name}: {value}")
	return implausible(run.values)


def run_some(runner, engine, judge):
	run = runner.run(engine, ["in", "ptemod-use"])
	judge.check(sorted(run.values) == ["in", "ptemod-use"] and not run.problems,
		    f"two by name: {run}")
	run = runner.run(engine, ["no-such-benchmark"])
	judge.check(any("no-such-benchmark: unknown" in problem for problem in run.problems),
		    f"an unknown name: {run.problems}")
	runner.kernel += "-that-is-not-there"
	run = runner.run(engine, ["in"])
	judge.check(len(run.problems) >= 1 and not run.values, f"no kernel: {run}")


def main():
	ringfence, kernel, facts_program, name = sys.argv[1:]
	facts = machine.describe(facts_program)
	engine = engines.parse([name], engines.Tools(ringfence))[0]
	judge = Judge()
	runner = nano_runner.NanoRunner(kernel, None, facts, TIMEOUT)
	runner.settings = ["rounds=5", "ticks=200000"]
	wrong = run_all(runner, engine, judge)
	for _ in range(RUNS - 1):
		if wrong:
			again = run_all(runner, engine, judge)
			wrong = {what: text for what, text in wrong.items() if what in again}
	judge.failures += wrong.values()
	run_some(runner, engine, judge)
	for failure in judge.failures:
		print(f"{name}: {failure}")
	return 1 if judge.failures else 0


if __name__ == "__main__":
	sys.exit(main())
