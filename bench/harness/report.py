# SPDX-License-Identifier: GPL-2.0-or-later
"""Values, ratios, the table, and how they compare with the goals.

A user program does the same each time, so the least of all its iterations in all rounds is the one
that was least disturbed, on every engine alike. Of system calls, processes and boots, in which
hosts take part, the value is the median of the rounds.
"""
from . import goals
from .arithmetic import geometric_mean, least, median, ratio, spread
from .workloads import MATRIX, PROCESS, SYSCALL, USER

NATIVE, RINGFENCE, TCG = "native", "ringfence", "tcg"
# An engine whose mean is so many times its least was disturbed, or does not always do the same.
UNSTEADY = 1.5


def of_runs(runs, name, get):
	"""get(timing) of each run that has the workload."""
	return [get(run.timings[name]) for run in runs if name in run.timings]


def mean_ns(timing):
	return timing.mean_ns


def least_ns(timing):
	"""Of one iteration, by the guest's clock."""
	return timing.least_ns or timing.mean_ns


def value_of(workload, runs):
	if workload.group == USER:
		return least(of_runs(runs, workload.name, least_ns))
	return median(of_runs(runs, workload.name, mean_ns))


def text(value, form="{:.2f}", missing="-"):
	return missing if value is None else form.format(value)


class Report:
	def __init__(self, results, workloads, extras, native_is_64_bit=False, dear_pages=False):
		self.results = results      # engine name -> list of Run
		self.workloads = workloads
		self.extras = extras
		self.native_is_64_bit = native_is_64_bit
		self.dear_pages = dear_pages
		# Named so for its reader in files of results; of user programs they are the least.
		self.medians = {workload.name: {engine: value_of(workload, runs)
						for engine, runs in results.items()}
				for workload in workloads}

	def slowdown(self, name):
		return ratio(self.medians[name].get(RINGFENCE), self.medians[name].get(NATIVE))

	def tcg_slowdown(self, name):
		return ratio(self.medians[name].get(TCG), self.medians[name].get(NATIVE))

	def speedup(self, name):
		return ratio(self.medians[name].get(TCG), self.medians[name].get(RINGFENCE))

	def group(self, group):
		return [workload.name for workload in self.workloads if workload.group == group]

	def extra(self, engine, get):
		return median([get(run) for run in self.results.get(engine, [])])

	def boot(self, engine):
		return self.extra(engine, lambda run: run.boot_seconds)

	def mismatches(self):
		"""Workloads whose result differs between engines or rounds."""
		found = []
		for workload in self.workloads:
			sums = {run.timings[workload.name].checksum
				for runs in self.results.values() for run in runs
				if workload.name in run.timings}
			if len(sums) > 1:
				found.append(f"{workload.name}: results differ: "
					     f"{', '.join(sorted(sums))}")
		return found

	def unsteady(self):
		"""What took an engine much longer at times. Not a problem: the least counts."""
		found = []
		for name in self.group(USER):
			for engine, runs in self.results.items():
				best = self.medians[name][engine]
				worst = max(of_runs(runs, name, mean_ns), default=None)
				if best and worst > UNSTEADY * best:
					found.append(
						f"{engine}: {name} took {worst / 1e6:.0f} ms on "
						f"average in a round, "
						     f"{best / 1e6:.0f} ms at best")
		return found

	def native_name(self):
		return "native, 64-bit" if self.native_is_64_bit else "native"

	def table(self):
		head = (f"{'workload':14}{self.native_name() + ' ms':>18}{'ringfence ms':>14}"
			f"{'TCG ms':>10}{'ringfence/native':>18}{'TCG/native':>12}"
			f"{'TCG/ringfence':>15}{'spread':>8}")
		lines = [head, "-" * len(head)]
		for workload in self.workloads:
			name = workload.name
			ms = {engine: value and value / 1e6
			      for engine, value in self.medians[name].items()}
			runs = self.results.get(RINGFENCE, [])
			lines.append(
				f"{name:14}{text(ms.get(NATIVE), '{:.1f}'):>18}"
				f"{text(ms.get(RINGFENCE), '{:.1f}'):>14}"
				f"{text(ms.get(TCG), '{:.1f}'):>10}{text(self.slowdown(name)):>18}"
				f"{text(self.tcg_slowdown(name)):>12}"
				f"{text(self.speedup(name)):>15}"
				f"{text(spread(of_runs(runs, name, mean_ns)), '{:.0%}'):>8}")
		return lines + self.means()

	def means(self):
		user = self.group(USER)
		others = [name for name in user if name not in MATRIX]
		groups = [("user compute", user), ("user compute without matrix-*", others),
			  ("system calls", self.group(SYSCALL)), ("processes", self.group(PROCESS))]
		lines = []
		for label, members in groups:
			if len(members) > 1:
				slowdown, tcg_slowdown, speedup = (
					text(geometric_mean(map(of, members)))
					for of in (self.slowdown, self.tcg_slowdown, self.speedup))
				lines.append(f"{label + ', geometric mean':56}{slowdown:>18}"
					     f"{tcg_slowdown:>12}{speedup:>15}")
		return lines

	def extra_lines(self):
		lines = []
		def row(label, form, get):
			cells = "".join(f"{text(self.extra(engine, get), form):>16}"
					for engine in (RINGFENCE, TCG))
			lines.append(f"{label:40}{cells}")
		def memory(key):
			return lambda run: run.memory and run.memory[key] / 1024
		lines.append(f"{'':40}{'ringfence':>16}{'TCG':>16}")
		if "boot" in self.extras:
			row("boot to init, s", "{:.2f}", lambda run: run.boot_seconds)
		if "idle" in self.extras:
			row("CPU use at the prompt, %", "{:.1f}", lambda run: run.idle_cpu_percent)
		if "memory" in self.extras:
			row("guest RAM in use, MiB", "{:.1f}", memory("guest_ram_kib"))
			row("memory beside guest RAM, MiB", "{:.1f}", memory("monitor_kib"))
			row("host page tables, MiB", "{:.1f}", memory("page_tables_kib"))
		return lines if len(lines) > 1 else []

	def goals(self):
		return goals.everywhere(self) + self.dear_goals()

	def dear_goals(self):
		return goals.where_page_tables_are_dear(self) if self.dear_pages else []

	def goal_lines(self):
		return [goal.line(text) for goal in goals.everywhere(self)]

	def dear_goal_lines(self):
		return [goal.line(text) for goal in self.dear_goals()]
