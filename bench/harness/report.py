# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians, ratios, the table, and how they compare with the goals."""
import math
import statistics
from .workloads import PROCESS, SYSCALL, USER, WORKLOADS

NATIVE, RINGFENCE, TCG = "native", "ringfence", "tcg"


def median_of(runs, get):
	values = [value for value in (get(run) for run in runs) if value is not None]
	return statistics.median(values) if values else None


def workload_ns(name):
	"""One iteration's time by the guest's clock."""
	def get(run):
		timing = run.timings.get(name)
		return timing.guest_ns / timing.iterations if timing else None
	return get


def spread(runs, get):
	"""How far apart the rounds were: (max - min) / median, or None."""
	values = [value for value in (get(run) for run in runs) if value is not None]
	return (max(values) - min(values)) / statistics.median(values) if len(values) > 1 else None


def ratio(a, b):
	return a / b if a is not None and b else None


def geometric_mean(values):
	values = [value for value in values if value]
	return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def text(value, form="{:.2f}", missing="-"):
	return missing if value is None else form.format(value)


class Report:
	def __init__(self, results, workloads, extras):
		self.results = results      # engine name -> list of Run
		self.workloads = workloads
		self.extras = extras
		self.medians = {workload.name: {engine: median_of(runs, workload_ns(workload.name))
						for engine, runs in results.items()} for workload in workloads}

	def slowdown(self, name):
		return ratio(self.medians[name].get(RINGFENCE), self.medians[name].get(NATIVE))

	def tcg_slowdown(self, name):
		return ratio(self.medians[name].get(TCG), self.medians[name].get(NATIVE))

	def speedup(self, name):
		return ratio(self.medians[name].get(TCG), self.medians[name].get(RINGFENCE))

	def group(self, group):
		return [workload.name for workload in self.workloads if workload.group == group]

	def extra(self, engine, get):
		return median_of(self.results.get(engine, []), get)

	def boot(self, engine):
		return self.extra(engine, lambda run: run.boot_seconds)

	def mismatches(self):
		"""Workloads whose result differs between engines or rounds."""
		found = []
		for workload in self.workloads:
			sums = {run.timings[workload.name].checksum for runs in self.results.values() for run in runs
				if workload.name in run.timings}
			if len(sums) > 1:
				found.append(f"{workload.name}: results differ: {', '.join(sorted(sums))}")
		return found

	def table(self):
		head = f"{'workload':14}{'native ms':>11}{'ringfence ms':>14}{'TCG ms':>10}" \
			f"{'ringfence/native':>18}{'TCG/native':>12}{'TCG/ringfence':>15}{'spread':>8}"
		lines = [head, "-" * len(head)]
		for workload in self.workloads:
			name = workload.name
			ms = {engine: value and value / 1e6 for engine, value in self.medians[name].items()}
			runs = self.results.get(RINGFENCE, [])
			lines.append(f"{name:14}{text(ms.get(NATIVE), '{:.1f}'):>11}{text(ms.get(RINGFENCE), '{:.1f}'):>14}"
				     f"{text(ms.get(TCG), '{:.1f}'):>10}{text(self.slowdown(name)):>18}"
				     f"{text(self.tcg_slowdown(name)):>12}{text(self.speedup(name)):>15}"
				     f"{text(spread(runs, workload_ns(name)), '{:.0%}'):>8}")
		for group, label in ((USER, "user compute"), (SYSCALL, "system calls"), (PROCESS, "processes")):
			members = self.group(group)
			if len(members) > 1:
				lines.append(f"{label + ', geometric mean':49}"
					     f"{text(geometric_mean(map(self.slowdown, members))):>18}"
					     f"{text(geometric_mean(map(self.tcg_slowdown, members))):>12}"
					     f"{text(geometric_mean(map(self.speedup, members))):>15}")
		return lines

	def extra_lines(self):
		lines = []
		def row(label, form, get):
			cells = "".join(f"{text(self.extra(engine, get), form):>16}" for engine in (RINGFENCE, TCG))
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
		"""[(goal, measured or None, met or None, (workloads measured, workloads meant))]

		A goal for many workloads is not judged from some of them, unless these show that it is missed.
		"""
		found = []
		def goal(label, value, limit, at_least):
			met = None if value is None else (value >= limit if at_least else value <= limit)
			found.append((label, value, met, (int(value is not None), 1)))
		def goal_of_all(label, values, summed_up, limit, at_least, shown_by_one=False):
			values = [value for value in values if value]
			goal(label, summed_up(values) if values else None, limit, at_least)
			met, total = found[-1][2], sum(workload.group == USER for workload in WORKLOADS)
			judged = len(values) == total or (shown_by_one and met is False)
			found[-1] = (*found[-1][:2], met if judged else None, (len(values), total))
		user = self.group(USER)
		if user:
			slowdowns, speedups = [self.slowdown(name) for name in user], [self.speedup(name) for name in user]
			goal_of_all("user compute: geometric mean at most 1.3 x native", slowdowns, geometric_mean, 1.3, False)
			goal_of_all("user compute: none over 2 x native", slowdowns, max, 2, False, shown_by_one=True)
			goal_of_all("user compute: geometric mean at least 5 x faster than TCG", speedups, geometric_mean, 5, True)
		for name in self.group(SYSCALL):
			goal(f"{name}: at least 2 x faster than TCG", self.speedup(name), 2, True)
		for name in self.group(PROCESS):
			goal(f"{name}: not slower than TCG", self.speedup(name), 1, True)
		if "boot" in self.extras:
			goal("boot: at most half of TCG's time", ratio(self.boot(RINGFENCE), self.boot(TCG)), 0.5, False)
		return found

	def goal_lines(self):
		words = {None: "?", True: "met", False: "MISSED"}
		return [f"{words[met]:8}{label}: {text(value)}" + (f" (of {measured} of {total} workloads)" if measured < total and total > 1 else "")
			for label, value, met, (measured, total) in self.goals()]
