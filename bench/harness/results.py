# SPDX-License-Identifier: GPL-2.0-or-later
"""The results of bench/run: gathered, summed up, written and read. docs/benchmarks.md describes the
file.

Nothing is ever made up: a value that was not measured is not there, and what follows from it is not
either.
"""
import json
import os
import math
import statistics
from . import machine

SCHEMA = "ringfence-bench/1"
HOST_CLOCK_MARK = "\u2020"
HOST_CLOCK_NOTE = (HOST_CLOCK_MARK + " by the host's clock, less the empty loop, in cycles of the "
		   "host's TSC; the guest's clock keeps another rate")


def spread(values):
	"""(greatest - least) / median; None for fewer than two values or a median of 0."""
	middle = statistics.median(values) if len(values) > 1 else 0
	return (max(values) - min(values)) / abs(middle) if middle else None


def ratio(value, base):
	"""value / base, if both were measured and are positive."""
	return (value / base if value is not None and base is not None and value > 0 and base > 0
		else None)


class Results:
	"""benchmarks: key -> description. engines: name -> description. values: [{"benchmark",
	"engine", "round", "value", ...}]"""

	def __init__(self, machine, settings):
		self.machine = machine
		self.settings = settings
		self.engines = {}
		self.benchmarks = {}
		self.values = []
		self.problems = []
		self.left_out = []

	def add_engine(self, name, **description):
		self.engines[name] = description

	def add_benchmark(self, key, **description):
		self.benchmarks[key] = description

	def add_value(self, benchmark, engine, number, value, **more):
		if benchmark not in self.benchmarks or engine not in self.engines:
			raise KeyError(f"{benchmark} on {engine} was not announced")
		self.values.append({"benchmark": benchmark, "engine": engine, "round": number,
				    "value": value, **more})

	def problem(self, engine, text, benchmark=None):
		self.problems.append({"engine": engine, "benchmark": benchmark, "text": text})

	def not_run(self, engine, family, why, names=()):
		"""An engine that is left out of a family, or of the named part of it; no failure by
		itself."""
		self.left_out.append({"engine": engine, "family": family, "why": why,
				      "names": list(names)})

	def gave_up(self, engine, family):
		"""Whether the engine is left out of the whole family."""
		return any(entry["engine"] == engine and entry["family"] == family
			   and not entry["names"] for entry in self.left_out)

	def left_out_lines(self):
		return [f"{entry['family']} on {entry['engine']}: "
			+ (", ".join(entry["names"]) + ": " if entry["names"] else "")
			+ entry["why"]
			for entry in self.left_out]

	def of(self, benchmark, engine):
		return [value["value"] for value in self.values if value["benchmark"] == benchmark
			and value["engine"] == engine]

	def settle_baseline(self, chosen):
		"""After the last value: a baseline without any is replaced if it was not the user's
		choice; either way it is said."""
		baseline = self.settings["baseline"]
		having = [name for name in self.engines
			  if any(value["engine"] == name for value in self.values)]
		if baseline is None or baseline in having or not having:
			return
		if chosen:
			note = f"There are no ratios: the baseline, {baseline}, has no value here."
		else:
			self.settings["baseline"] = having[0]
			note = f"The baseline is {having[0]}: {baseline} has no value here."
		self.settings["baseline_note"] = note

	def by_host_clock(self, benchmark, engine):
		"""Whether a value of a family that goes by the guest's clock does not."""
		return self.benchmarks[benchmark]["family"] == "nano" and any(
			value["clock"] == "host" for value in self.values
			if value["benchmark"] == benchmark and value["engine"] == engine
			and "clock" in value)

	def summary(self):
		"""benchmark -> engine -> median, min, max, spread, rounds, ratio to the baseline;
		only of what was measured."""
		baseline = self.settings.get("baseline")
		found = {}
		for benchmark in self.benchmarks:
			measured = {engine: self.of(benchmark, engine) for engine in self.engines}
			medians = {engine: statistics.median(values)
				   for engine, values in measured.items() if values}
			found[benchmark] = {engine: {
				"median": medians[engine], "min": min(measured[engine]),
				"max": max(measured[engine]),
				"spread": spread(measured[engine]), "rounds": len(measured[engine]),
				"ratio": ratio(medians[engine], medians.get(baseline)),
			} for engine in medians}
		return found

	def as_json(self):
		return {"schema": SCHEMA, "machine": self.machine, "settings": self.settings,
			"engines": self.engines,
			"benchmarks": self.benchmarks, "values": self.values,
			"summary": self.summary(), "problems": self.problems,
			"left_out": self.left_out}

	def write(self, path):
		with open(path, "w", encoding="utf-8") as file:
			json.dump(self.as_json(), file, indent=1, allow_nan=False)
			file.write("\n")


def read(path):
	"""What write() wrote; ValueError says what is wrong with any other file."""
	with open(path, encoding="utf-8") as file:
		data = json.load(file)
	if not isinstance(data, dict) or data.get("schema") != SCHEMA:
		raise ValueError(f"{path} is no result of bench/run (its schema is not {SCHEMA})")
	results = Results(data["machine"], data["settings"])
	for name, description in data["engines"].items():
		results.add_engine(name, **description)
	for key, description in data["benchmarks"].items():
		results.add_benchmark(key, **description)
	for value in data["values"]:
		results.add_value(value["benchmark"], value["engine"],
				  value["round"], value["value"],
				  **{key: more for key, more in value.items()
				     if key not in ("benchmark", "engine", "round", "value")})
	results.problems = data["problems"]
	results.left_out = [{"names": [], **entry} for entry in data["left_out"]]
	return results


def check_writable(path):
	"""An OSError says why write() could not write there. What is there stays as it is."""
	there = os.path.lexists(path)
	with open(path, "a", encoding="utf-8"):
		pass
	if not there:
		os.remove(path)


def notes(results):
	"""What a reader has to know before any value: sentences."""
	settings, found = results.settings, []
	if settings["quick"]:
		found.append("A quick run (--quick): one round, less of most programs, some left "
			     "out. Its values compare only with those of "
			     "other quick runs.")
	if settings.get("interrupted"):
		found.append("The run was interrupted: what had been measured by then is here, the "
			     "rest is missing.")
	if settings.get("baseline_note"):
		found.append(settings["baseline_note"])
	if "native" in results.engines and machine.native_is_64_bit(results.machine):
		found.append("This host runs no 32-bit programs: the native column has the same "
			     "sources built for 64 bits, where there are sources.")
	warning = machine.load_warning(results.machine)
	if warning:
		found.append(warning)
	return found


def problem_line(problem):
	benchmark = f", {problem['benchmark']}" if problem["benchmark"] else ""
	return f"{problem['engine']}{benchmark}: {problem['text']}"


def number(value):
	"""Three significant figures or more, for people."""
	if value is None:
		return "-"
	magnitude = math.floor(math.log10(abs(value))) if value else 0
	return f"{value:,.{min(max(2 - magnitude, 0), 6)}f}"


def table(results, family):
	"""Lines: a row a benchmark, a column an engine that has any value; after it the ratio to
	the baseline, where there is one."""
	summary = results.summary()
	keys = [key for key, about in results.benchmarks.items() if about["family"] == family]
	engines = [name for name in results.engines if any(name in summary[key] for key in keys)]
	baseline = results.settings.get("baseline")
	if not engines:
		return []
	rows = {key: [cell(summary[key].get(name), name != baseline,
			   results.by_host_clock(key, name)) for name in engines] for key in keys}
	heads = [results.engines[name]["short"] if name == "native" else name for name in engines]
	width = max([22] + [len(text) + 2 for texts in [heads, *rows.values()] for text in texts])
	unit = results.benchmarks[keys[0]]["unit"]
	lines = [f"{family + ', ' + unit:24}" + "".join(f"{name:>{width}}" for name in heads)]
	lines.append("-" * len(lines[0]))
	for key, cells in rows.items():
		lines.append(f"{key.split('/', 1)[1]:24}"
			     + "".join(f"{text:>{width}}" for text in cells))
	if any(HOST_CLOCK_MARK in text for cells in rows.values() for text in cells):
		lines.append(HOST_CLOCK_NOTE)
	return lines


def cell(entry, with_ratio, by_host_clock):
	if not entry:
		return "-"
	shown = number(entry["median"])
	noise = f" ±{entry['spread'] / 2:.0%}" if entry["spread"] is not None else ""
	times = f" ({number(entry['ratio'])}x)" if with_ratio and entry["ratio"] is not None else ""
	return shown + noise + times + (HOST_CLOCK_MARK if by_host_clock else "")
