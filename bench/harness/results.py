# SPDX-License-Identifier: GPL-2.0-or-later
"""The results of bench/run: gathered, summed up, written and read. docs/benchmarks.md describes the file.

Nothing is ever made up: a value that was not measured is not there, and what follows from it is not either.
"""
import json
import os
import statistics

SCHEMA = "ringfence-bench/1"


def spread(values):
	"""(greatest - least) / median; None for fewer than two values or a median of 0."""
	middle = statistics.median(values) if len(values) > 1 else 0
	return (max(values) - min(values)) / abs(middle) if middle else None


def ratio(value, base):
	"""value / base, if both were measured and are positive."""
	return value / base if value is not None and base is not None and value > 0 and base > 0 else None


class Results:
	"""benchmarks: key -> description. engines: name -> description. values: [{"benchmark", "engine", "round", "value", ...}]"""

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
		self.values.append({"benchmark": benchmark, "engine": engine, "round": number, "value": value, **more})

	def problem(self, engine, text, benchmark=None):
		self.problems.append({"engine": engine, "benchmark": benchmark, "text": text})

	def not_run(self, engine, family, why, names=()):
		"""An engine that is left out of a family, or of the named part of it; no failure by itself."""
		self.left_out.append({"engine": engine, "family": family, "why": why, "names": list(names)})

	def gave_up(self, engine, family):
		"""Whether the engine is left out of the whole family."""
		return any(entry["engine"] == engine and entry["family"] == family and not entry["names"] for entry in self.left_out)

	def left_out_lines(self):
		return [f"{entry['family']} on {entry['engine']}: " + (", ".join(entry["names"]) + ": " if entry["names"] else "") + entry["why"]
			for entry in self.left_out]

	def of(self, benchmark, engine):
		return [value["value"] for value in self.values if value["benchmark"] == benchmark and value["engine"] == engine]

	def settle_baseline(self, chosen):
		"""After the last value: a baseline without any is replaced if it was not the user's choice; either way it is said."""
		baseline, having = self.settings["baseline"], [name for name in self.engines if any(value["engine"] == name for value in self.values)]
		if baseline is None or baseline in having or not having:
			return
		if chosen:
			self.settings["baseline_note"] = f"There are no ratios: the baseline, {baseline}, has no value here."
		else:
			self.settings["baseline"] = having[0]
			self.settings["baseline_note"] = f"The baseline is {having[0]}: {baseline} has no value here."

	def summary(self):
		"""benchmark -> engine -> median, min, max, spread, rounds, ratio to the baseline; only of what was measured."""
		baseline = self.settings.get("baseline")
		found = {}
		for benchmark in self.benchmarks:
			measured = {engine: self.of(benchmark, engine) for engine in self.engines}
			medians = {engine: statistics.median(values) for engine, values in measured.items() if values}
			found[benchmark] = {engine: {
				"median": medians[engine], "min": min(measured[engine]), "max": max(measured[engine]),
				"spread": spread(measured[engine]), "rounds": len(measured[engine]),
				"ratio": ratio(medians[engine], medians.get(baseline)),
			} for engine in medians}
		return found

	def as_json(self):
		return {"schema": SCHEMA, "machine": self.machine, "settings": self.settings, "engines": self.engines,
			"benchmarks": self.benchmarks, "values": self.values, "summary": self.summary(), "problems": self.problems,
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
		results.add_value(value["benchmark"], value["engine"], value["round"], value["value"],
				  **{key: more for key, more in value.items() if key not in ("benchmark", "engine", "round", "value")})
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
		found.append("A quick run (--quick): one round, less of most programs, some left out. Its values compare only with those of "
			     "other quick runs.")
	if settings.get("interrupted"):
		found.append("The run was interrupted: what had been measured by then is here, the rest is missing.")
	if settings.get("baseline_note"):
		found.append(settings["baseline_note"])
	return found


def problem_line(problem):
	return problem["engine"] + (f", {problem['benchmark']}" if problem["benchmark"] else "") + f": {problem['text']}"


def number(value):
	"""Three significant figures or so, for people."""
	if value is None:
		return "-"
	return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(results, family):
	"""Lines: a row a benchmark, a column an engine that has any value; ratios to the baseline behind, where there is one."""
	summary = results.summary()
	keys = [key for key, about in results.benchmarks.items() if about["family"] == family]
	engines = [name for name in results.engines if any(name in summary[key] for key in keys)]
	baseline = results.settings.get("baseline")
	if not engines:
		return []
	width = max([22] + [len(name) + 2 for name in engines])
	unit = results.benchmarks[keys[0]]["unit"]
	lines = [f"{family + ', ' + unit:24}" + "".join(f"{name:>{width}}" for name in engines)]
	lines.append("-" * len(lines[0]))
	for key in keys:
		cells = [cell(summary[key].get(name), name != baseline) for name in engines]
		lines.append(f"{key.split('/', 1)[1]:24}" + "".join(f"{text:>{width}}" for text in cells))
	return lines


def cell(entry, with_ratio):
	if not entry:
		return "-"
	shown = number(entry["median"])
	noise = f" ±{entry['spread'] / 2:.0%}" if entry["spread"] is not None else ""
	times = f" ({number(entry['ratio'])}x)" if with_ratio and entry["ratio"] is not None else ""
	return shown + noise + times
