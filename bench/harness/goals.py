# SPDX-License-Identifier: GPL-2.0-or-later
"""The project's goals, and what a report says to them.

Those for hosts with dear page tables are judged on such hosts, the others everywhere. A goal for
many workloads is not judged from some of them, unless these show that it is missed; one relative
to native not where native code is 64-bit code.
"""
from dataclasses import dataclass
from .arithmetic import geometric_mean, ratio
from .workloads import MATRIX, PROCESS, SYSCALL, USER, WORKLOADS


@dataclass
class Goal:
	label: str
	value: float = None  # measured
	met: bool = None     # None: not judged
	measured: int = 0    # of so many workloads ...
	meant: int = 1       # ... that it is for
	why_not: str = ""    # it is not judged

	def remarks(self):
		found = []
		if self.measured < self.meant and self.meant > 1:
			found.append(f"of {self.measured} of {self.meant} workloads")
		if self.why_not:
			found.append(self.why_not)
		return "".join(f" ({remark})" for remark in found)

	def line(self, text):
		words = {None: "?", True: "met", False: "MISSED"}
		return f"{words[self.met]:8}{self.label}: {text(self.value)}{self.remarks()}"


def of_one(label, value, limit, at_least):
	met = None if value is None else value >= limit if at_least else value <= limit
	return Goal(label, value, met, int(value is not None))


def of_all(label, values, summed_up, limit, at_least, meant, shown_by_one=False):
	"""values: of the workloads that were measured. shown_by_one: that it is missed."""
	values = [value for value in values if value]
	goal = of_one(label, summed_up(values) if values else None, limit, at_least)
	goal.measured, goal.meant = len(values), meant
	if goal.measured < meant and not (shown_by_one and goal.met is False):
		goal.met = None
	return goal


def user_count(without=()):
	return sum(workload.group == USER and workload.name not in without
		   for workload in WORKLOADS)


def of_users(report):
	"""User programs beside native and TCG."""
	user, meant = report.group(USER), user_count()
	if not user:
		return []
	slowdowns = [report.slowdown(name) for name in user]
	native = [of_all("user compute: geometric mean at most 1.3 x native",
			 slowdowns, geometric_mean,
			 1.3, False, meant),
		  of_all("user compute: none over 2 x native", slowdowns, max, 2, False, meant,
			 shown_by_one=True)]
	for goal in native if report.native_is_64_bit else []:
		goal.met, goal.why_not = None, "native is 64-bit code"
	return native + [user_faster(report, 5)]


def user_faster(report, limit, without=(), text=""):
	label = f"user compute{text}: geometric mean at least {limit:g} x faster than TCG"
	speedups = [report.speedup(name) for name in report.group(USER) if name not in without]
	return of_all(label, speedups, geometric_mean, limit, True, user_count(without))


def faster(report, name, limit):
	return of_one(f"{name}: at least {limit:g} x faster than TCG",
		      report.speedup(name), limit, True)


def everywhere(report):
	found = of_users(report) + [faster(report, name, 2) for name in report.group(SYSCALL)]
	found += [of_one(f"{name}: not slower than TCG", report.speedup(name), 1, True)
		  for name in report.group(PROCESS)]
	if "boot" in report.extras:
		part = ratio(report.boot("ringfence"), report.boot("tcg"))
		found.append(of_one("boot: at most half of TCG's time", part, 0.5, False))
	return found


# Times faster than TCG.
DEAR = {"forkexec": 3.0, "pipe": 12, "getppid": 5, "mmap": 8}
DEAR_BOOT, DEAR_USER, DEAR_USER_WITHOUT_MATRIX = 4.0, 7.2, 5.3


def where_page_tables_are_dear(report):
	found = []
	if report.group(USER):
		found += [user_faster(report, DEAR_USER),
			  user_faster(report, DEAR_USER_WITHOUT_MATRIX, MATRIX,
				      " without the matrix loops")]
	found += [faster(report, name, limit) for name, limit in DEAR.items()
		  if name in report.medians]
	if "boot" in report.extras:
		times = ratio(report.boot("tcg"), report.boot("ringfence"))
		found.append(of_one(f"boot to init: at least {DEAR_BOOT:g} x faster than TCG",
				    times, DEAR_BOOT, True))
	return found
