#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What bench/run and bench/report compute and claim: arithmetic, clocks, names, what is missing.
No engine is run."""
import json
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
from harness import (console, emulator, engines, figures, machine, macro, nano, nano_runner, page,
		     paper, report, results,  # noqa: E402
		     suites, workloads)

HZ = 2e9
FACTS = {"cpu": "Test CPU", "vendor": "GenuineIntel", "vmx": False, "svm": False, "hypervisor": "",
	 "kvm_error": "", "kvm_api": 12, "kvm_runs_32_bit": True,
	 "tsc_hz": HZ, "cpus": 2, "kernel": "6", "memory_mib": 1024, "load_before": 0.0}


def facts(**changes):
	changed = {**FACTS, **changes}
	changed["kvm"] = machine.kvm_text(changed)
	return changed


def gathered(**settings):
	found = results.Results(facts(), {"baseline": "native", "rounds": 3, "quick": False,
					  "started": "2026", **settings})
	for name in ("native", "bt", "interp"):
		found.add_engine(name, label=name, short=name, version="1", missing=None)
	found.add_benchmark("nano/in", family="nano", unit="cycles", about="IN")
	found.add_benchmark("macro/boot", family="macro", unit="ms", about="boot")
	return found


class Arithmetic(unittest.TestCase):
	def test_median_spread_ratio(self):
		found = gathered()
		for number, (native, bt) in enumerate([(10, 30), (12, 20), (8, 100)]):
			found.add_value("nano/in", "native", number, native)
			found.add_value("nano/in", "bt", number, bt)
		summary = found.summary()["nano/in"]
		self.assertEqual(summary["bt"], {"median": 30, "min": 20, "max": 100,
						 "spread": 80 / 30, "rounds": 3, "ratio": 3})
		self.assertEqual(summary["native"]["ratio"], 1)
		self.assertEqual(summary["native"]["spread"], 0.4)

	def test_one_value_has_no_spread(self):
		self.assertIsNone(results.spread([5]))
		self.assertIsNone(results.spread([-1, 1]))
		self.assertEqual(results.spread([4, 5, 6]), 0.4)

	def test_ratio_of_what_is_not_there(self):
		for value, base in ((None, 2), (2, None), (0, 2), (2, 0), (-1, 2), (2, -1)):
			self.assertIsNone(results.ratio(value, base))

	def test_numbers(self):
		self.assertEqual([results.number(value)
				  for value in (None, 0, 0.0031, 0.123, 1.234,
						12.34, 1234.5, -0.5)],
				 ["-", "0.00", "0.00310", "0.123", "1.23", "12.3",
				  "1,234", "-0.500"])


class NothingMadeUp(unittest.TestCase):
	def test_absent_stays_absent(self):
		found = gathered()
		found.add_value("nano/in", "bt", 0, 30)
		summary = found.summary()
		self.assertEqual(list(summary["nano/in"]), ["bt"])
		self.assertIsNone(summary["nano/in"]["bt"]["ratio"])
		self.assertEqual(summary["macro/boot"], {})
		self.assertEqual(results.table(found, "macro"), [])
		self.assertIn("bt", results.table(found, "nano")[0])
		self.assertNotIn("interp", results.table(found, "nano")[0])

	def test_unannounced_values_are_refused(self):
		found = gathered()
		with self.assertRaises(KeyError):
			found.add_value("nano/in", "qemu-tcg", 0, 1)
		with self.assertRaises(KeyError):
			found.add_value("nano/out", "bt", 0, 1)

	def test_file_and_back(self):
		found = gathered()
		found.add_value("nano/in", "bt", 0, 30, clock="guest", min=29)
		found.problem("qemu-tcg", "not measured")
		found.not_run("bochs", "macro", "would take hours")
		with tempfile.TemporaryDirectory() as directory:
			path = os.path.join(directory, "r.json")
			found.write(path)
			again = results.read(path)
			self.assertEqual(again.as_json(), found.as_json())
			with open(path, "w", encoding="utf-8") as file:
				json.dump({"schema": "other"}, file)
			with self.assertRaises(ValueError):
				results.read(path)
		self.assertTrue(again.gave_up("bochs", "macro"))
		self.assertFalse(again.gave_up("bochs", "nano"))
		again.not_run("bochs", "nano", "left out", ["in", "out"])
		self.assertFalse(again.gave_up("bochs", "nano"))
		self.assertEqual(again.left_out_lines(), ["macro on bochs: would take hours",
							  "nano on bochs: in, out: left out"])

	def test_figures_have_no_bar_for_it(self):
		found = gathered()
		found.add_value("nano/in", "bt", 0, 30)
		drawn = figures.of(found)
		self.assertEqual([figure.name for figure in drawn], ["nano"])
		self.assertEqual(list(drawn[0].columns), ["bt", *paper.COLUMNS.values()])
		script = figures.script(drawn[0], "svg", "x.svg")
		self.assertIn('"in" 30 3209 214 15826\n', script)
		drawn[0].columns["bt"]["in"] = -1
		self.assertIn('"in" ? 3209', figures.script(drawn[0], "svg", "x.svg"))

	def test_colours(self):
		found = list(figures.colours(["bt", "bt,soft=off", "kvm (SVM, nested)",
					      "bt,links=off"]))
		self.assertEqual(found, [figures.COLOURS["bt"], figures.SPARE_COLOURS[0],
					 figures.COLOURS["kvm"], figures.SPARE_COLOURS[1]])

	def test_page(self):
		found = gathered()
		found.add_value("nano/in", "bt", 0, 30)
		found.problem("qemu-tcg", "<gone>")
		text = page.make(found, ["<?xml?><svg id='a'><use xlink:href='#a'/></svg>"])
		self.assertIn("&lt;gone&gt;", text)
		self.assertIn("<svg id='f0-a'><use xlink:href='#f0-a'/>", text)
		self.assertNotIn("http", text)

	def test_page_says_what_is_not_there(self):
		found = gathered()
		found.add_engine("kvm", label="ringfence on KVM", short="kvm", version=None,
				 missing="no such thing here")
		found.add_engine("qemu-kvm", label="QEMU on KVM", short="qemu-kvm", version=None,
				 missing="nor here")
		found.problem("qemu-kvm", "not measured: nor here")
		text = page.make(found, [])
		self.assertIn("<li>kvm: no such thing here</li>", text)
		self.assertEqual((text.count("no such thing here"), text.count("nor here")), (1, 1))

	def test_undrawn(self):
		found = gathered()
		found.add_benchmark("nano/ptemod", family="nano", unit="cycles", about="x")
		found.add_value("nano/in", "bt", 0, 30)
		found.add_value("macro/boot", "bt", 0, 30)
		found.add_value("nano/ptemod", "bt", 0, -1)
		undrawn = figures.undrawn(found, figures.of(found))
		self.assertEqual(undrawn, ["macro/boot", "nano/ptemod"])
		self.assertIn("not drawn (see the tables): macro/boot, nano/ptemod.",
			      page.make(found, ["<svg></svg>"], undrawn))

	def test_figures_say_what_they_are_of(self):
		found = gathered(quick=True, rounds=1)
		found.add_value("nano/in", "bt", 0, 30)
		script = figures.script(figures.of(found)[0], "svg", "x.svg")
		self.assertIn('set xlabel "Test CPU, 2026, 1 round, quick, load 0.00 before on 2 '
			      'CPUs\\nRead off the paper', script)
		self.assertNotIn("set arrow", script)

	def test_line_at_native(self):
		found = gathered()
		found.add_benchmark("macro/gzip", family="macro", unit="ms", about="x")
		for engine, value in (("native", 10), ("bt", 4)):
			found.add_value("macro/gzip", engine, 0, value)
		script = figures.script(figures.of(found)[-1], "svg", "x.svg")
		self.assertIn("set yrange [0.2:*]\nset arrow from graph 0, first 1 to graph 1, "
			      "first 1", script)
		self.assertLess(script.index("set arrow"), script.index("$data"))

	def test_host_clock_is_marked(self):
		found = gathered()
		found.add_value("nano/in", "bt", 0, 30, clock="guest")
		found.add_value("macro/boot", "bt", 0, 30, clock="host")
		self.assertNotIn(results.HOST_CLOCK_MARK,
				 page.make(found, [])
				 + "".join(results.table(found, "nano")
					   + results.table(found, "macro")))
		found.add_value("nano/in", "interp", 0, 40, clock="host")
		self.assertIn("<td>40.0" + results.HOST_CLOCK_MARK, page.make(found, []))
		self.assertTrue(results.table(found, "nano")[-2].endswith("40.0"
			+ results.HOST_CLOCK_MARK))
		self.assertEqual(results.table(found, "nano")[-1], results.HOST_CLOCK_NOTE)
		self.assertEqual(list(figures.of(found)[0].columns)[:2],
				 ["bt", "interp (host's clock)"])
		self.assertEqual(next(figures.colours(["interp (host's clock)"])),
				 figures.COLOURS["interp"])
		self.assertEqual(figures.undrawn(found, figures.of(found)), ["macro/boot"])

	def test_load_is_warned_of(self):
		for load, warned in ((1.0, False), (1.01, True)):
			found = gathered()
			found.machine["load_before"] = load
			self.assertEqual(
				any("Warning: the load was 1.01 on 2 CPUs before the run" in note
				    for note in results.notes(found)), warned)
			self.assertEqual("Warning" in page.make(found, []), warned)


class Quick(unittest.TestCase):
	class Engine:
		kind, name, own_clock = engines.BOCHS, "bochs", True

	def test_is_said(self):
		found = gathered(quick=True, rounds=1)
		found.add_value("nano/in", "bt", 0, 30)
		self.assertIn("A quick run", results.notes(found)[0])
		self.assertIn("A quick run", page.make(found, []))
		self.assertNotIn("quick", page.make(gathered(), []))

	def test_what_it_leaves_out_is_named(self):
		found = gathered(quick=True, rounds=1)
		suites.MacroSuite().prepare(suites.Context(ROOT, "", facts(), 1, True),
					    [self.Engine], found)
		line = next(line for line in found.left_out_lines()
			    if line.startswith("macro on every engine"))
		for workload in macro.MACROS:
			self.assertEqual(workload.quick == 0,
					 workload.name in line.split(": ")[1].split(", "),
					 workload.name)
		with tempfile.TemporaryDirectory() as directory:
			os.makedirs(os.path.join(directory, "bench/nano"))
			with open(os.path.join(directory, "bench/nano/nano"), "w",
				  encoding="utf-8"):
				pass
			suite = suites.NanoSuite()
			self.assertTrue(suite.prepare(suites.Context(ROOT, directory, facts(), 1,
				True), [self.Engine], found))
			suite.temporary.cleanup()
		left_out = found.left_out[-1]
		self.assertEqual((left_out["engine"], left_out["family"]), ("bochs", "nano"))
		self.assertFalse(set(left_out["names"]) & (set(paper.NANO) | {"empty"}))
		self.assertIn("cpuid", left_out["names"])
		self.assertFalse(found.gave_up("bochs", "nano"))


class Paper(unittest.TestCase):
	def test_names_and_columns(self):
		self.assertLessEqual(set(paper.NANO), set(nano_runner.ABOUT))
		for values in paper.NANO.values():
			self.assertEqual(set(values), set(paper.COLUMNS))
		for name, column in paper.READ_OFF:
			self.assertIn(column, paper.NANO[name])

	def test_forkwait(self):
		self.assertAlmostEqual(paper.relative(paper.FORKWAIT)["software"], 6.15)


class Kvm(unittest.TestCase):
	"""KVM is called VT-x or SVM only where CPUID shows these."""

	def label(self, **changes):
		tools = engines.Tools("ringfence")
		known = facts(**changes)
		return " ".join(text for name in ("kvm", "qemu-kvm")
				for engine in engines.parse([name], tools)
				for text in (engine.label(known), engine.short(known)))

	def test_none(self):
		self.assertEqual(self.label().count("no VT-x or SVM"), 4)
		self.assertIn("without VT-x or SVM", facts()["kvm"])
		self.assertIn("no VT-x or SVM", self.label(hypervisor="KVMKVMKVM"))

	def test_there(self):
		for flag, name in (("vmx", "VT-x"), ("svm", "SVM")):
			label = self.label(**{flag: True})
			self.assertIn(name, label)
			self.assertNotIn("no", label.split("without")[0].split())
			self.assertIn("nested", self.label(**{flag: True, "hypervisor": "X"}))

	def test_unusable(self):
		self.assertIn("not usable", facts(kvm_error="Permission denied", vmx=True)["kvm"])
		self.assertIn("Permission denied",
			      engines.parse(["qemu-kvm"],
					    engines.Tools("x", qemu="sh"))[0].unsuitable(
			facts(kvm_error="Permission denied")))


class Goals(unittest.TestCase):
	"""bench/compare's."""

	def report(self, names, ringfence=1.2, **host):
		chosen, extras = workloads.select(names)
		def run(factor):
			timings = {workload.name: emulator.Timing(int(1e9 * factor), 0, 1, "x")
				   for workload in chosen}
			return emulator.Run(timings=timings, boot_seconds=factor)
		return report.Report({"native": [run(1)], "ringfence": [run(ringfence)],
				      "tcg": [run(12)]}, chosen, extras, **host)

	def goals(self, names, ringfence=1.2, **host):
		found = self.report(names, ringfence, **host)
		return found.goals(), found.goal_lines()

	def test_all(self):
		user = [workload.name for workload in workloads.WORKLOADS
			if workload.group == workloads.USER]
		goals, lines = self.goals(user)
		self.assertEqual([goal.met for goal in goals], [True, True, True])
		self.assertNotIn("workloads", "".join(lines))

	def test_some_do_not_decide(self):
		goals, lines = self.goals(["gzip", "fib"])
		self.assertEqual([goal.met for goal in goals], [None, None, None])
		for line in lines:
			self.assertRegex(line, r"^\?.* \(of 2 of \d\d workloads\)$")
		goals, lines = self.goals(["gzip", "fib"], 2.5)
		self.assertEqual([goal.met for goal in goals], [None, False, None])

	def test_single_workload(self):
		goals, lines = self.goals(["pipe"])
		self.assertEqual((len(goals), goals[0].met, goals[0].measured, goals[0].meant),
				 (1, True, 1, 1))
		self.assertTrue(lines[0].endswith("10.00"))

	def test_native_of_64_bits_judges_nothing(self):
		user = [workload.name for workload in workloads.WORKLOADS
			if workload.group == workloads.USER]
		goals, lines = self.goals(user, 2.5, native_is_64_bit=True)
		self.assertEqual([goal.met for goal in goals], [None, None, False])
		self.assertTrue(lines[0].endswith("2.50 (native is 64-bit code)"))
		self.assertIn("native, 64-bit ms",
			      self.report(user, native_is_64_bit=True).table()[0])

	def test_dear_page_tables(self):
		self.assertEqual(self.report([]).dear_goal_lines(), [])
		found = self.report([], 12 / 5.5, dear_pages=True)
		met = {goal.label: goal.met for goal in found.goals()}
		self.assertEqual([met[label] for label in ("forkexec: at least 3 x faster than TCG",
							   "pipe: at least 12 x faster than TCG",
			"getppid: at least 5 x faster than TCG",
			"mmap: at least 8 x faster than TCG",
			"boot to init: at least 4 x faster than TCG",
			"user compute: geometric mean at least 7.2 x faster than TCG",
			"user compute without the matrix loops: geometric mean at least 5.3 x "
			"faster than TCG")],
			[True, False, True, False, True, False, True])
		self.assertEqual(len(found.dear_goal_lines()), 7)


class Values(unittest.TestCase):
	"""What bench/compare makes of rounds."""

	def report(self, name, *rounds):
		"""rounds: (ns in all, iterations, ns of the least)"""
		chosen, _ = workloads.select([name])
		runs = [emulator.Run(timings={name: emulator.Timing(ns, 0, iterations, "x", least)})
			for ns, iterations, least in rounds]
		return report.Report({"tcg": runs}, chosen, [])

	def test_least_of_user_programs(self):
		found = self.report("matrix-int", (900, 2, 100), (850, 2, 90), (2000, 2, 950))
		self.assertEqual(found.medians["matrix-int"]["tcg"], 90)
		self.assertEqual(len(found.unsteady()), 1)
		self.assertEqual(self.report("matrix-int", (220, 2, 100)).unsteady(), [])

	def test_median_of_others(self):
		found = self.report("pipe", (900, 2, 100), (800, 2, 90), (2000, 2, 950))
		self.assertEqual(found.medians["pipe"]["tcg"], 450)
		self.assertEqual(found.unsteady(), [])

	def test_means_with_and_without_matrices(self):
		names = ["fib", "awk", "matrix-int", "matrix-double"]
		chosen, _ = workloads.select(names)
		def run(matrix):
			return emulator.Run(timings={name: emulator.Timing(matrix
				if "matrix" in name else 10, 0, 1, "x") for name in names})
		lines = report.Report({"ringfence": [run(10)], "tcg": [run(1000)]},
				      chosen, []).means()
		self.assertEqual([line.split()[-1] for line in lines], ["10.00", "1.00"])

	def test_console_line(self):
		run = emulator.Run()
		collector = emulator.Collector(run, 0)
		for line in ("BENCH-START a", "BENCH a 300 2 0123abcd 100",
			     "BENCH b 300 2 0123abcd"):
			collector.take(0, line)
		self.assertEqual([(timing.guest_ns, timing.least_ns)
				  for timing in run.timings.values()], [(300, 100), (300, None)])


class Native(unittest.TestCase):
	"""Where the host runs no 32-bit programs."""

	def test_it_is_called_so(self):
		native = engines.parse(["native"], engines.Tools("x"))[0]
		self.assertEqual([native.label(facts()), native.short(facts())],
				 ["native", "native"])
		without = facts(runs_32_bit_programs=False)
		self.assertEqual([native.label(without), native.short(without)],
				 ["native, 64-bit", "native, 64-bit"])

	def test_tables_and_notes_say_so(self):
		found = gathered()
		found.add_value("macro/boot", "native", 0, 1)
		self.assertNotIn("64-bit", results.table(found, "macro")[0])
		self.assertEqual(results.notes(found), [])
		found.engines["native"]["short"] = "native, 64-bit"
		found.machine["runs_32_bit_programs"] = False
		self.assertIn("native, 64-bit", results.table(found, "macro")[0])
		self.assertIn("built for 64 bits", results.notes(found)[0])

	def test_what_needs_programs_of_debians(self):
		self.assertEqual(macro.NEED_32_BIT_TOOLS,
				 ["compile", "openssl-aes", "openssl-sha512", "openssl-prime"])


class Names(unittest.TestCase):
	def test_engines(self):
		found = engines.parse(["bt", "bt,soft=off", "bt"], engines.Tools("ringfence"))
		self.assertEqual([engine.name for engine in found], ["bt", "bt,soft=off"])
		self.assertIn("bt,soft=off", found[1].guest_command("k", "a", 64))
		self.assertIn("tcg", engines.parse(["qemu-tcg"],
						   engines.Tools("x"))[0].guest_command("k", "a",
							   64))
		with self.assertRaises(ValueError):
			engines.parse(["kvmm"], engines.Tools("ringfence"))

	def test_missing_program(self):
		for name in engines.KINDS:
			engine = engines.parse([name],
					       engines.Tools("/no/ringfence", "/no/qemu",
						       "/no/bochs"))[0]
			if engine.kind != engines.NATIVE:
				self.assertIn("there is no /no/", engine.missing(facts()))

	def test_suites(self):
		self.assertEqual([suite.family for suite in suites.select([])], ["nano", "macro"])
		self.assertEqual(suites.select(["nano/in", "nano/out"])[0].names, ["in", "out"])
		self.assertEqual(suites.select(["nano"])[0].names, [])
		self.assertEqual(suites.select(["nano", "nano/in"])[0].names, [])
		self.assertEqual(suites.select(["nano/in", "nano"])[0].names, [])
		for wrong in ("nanos", "nano/x", "macro/x", "/in"):
			with self.assertRaises(ValueError):
				suites.select([wrong])

	def test_macros_say_their_amounts(self):
		for workload in (workload for workload in macro.MACROS if workload.quick):
			self.assertEqual(workload.amount_of(True) == workload.amount,
					 workload.about(True) == workload.about(False),
					 workload.name)
		self.assertIn("500 processes", macro.about(True)["forkwait"])
		self.assertIn("4,000 processes", macro.about(False)["forkwait"])
		self.assertEqual(macro.about(False)["files"],
				 "20,000 files made and removed in a tmpfs")
		self.assertEqual(list(macro.about(True)), macro.NAMES)

	def test_macros_fit_the_timer(self):
		for workload in macro.MACROS:
			self.assertLess(len(workload.line(False)), 1024)
			self.assertEqual(workload.line(False).split()[:2], [workload.name, "1"])


def begin(name, tsc):
	return json.dumps({"nano": "begin", "tsc": tsc, "name": name})


def result(name, tsc, **more):
	return json.dumps({"nano": "result", "tsc": tsc, "name": name, "rounds": 2, "min": 9.0,
			   "median": 10.0, "max": 12.0,
			   "iterations": 100, "operations": 200, "ticks": 1, **more})


class Nano(unittest.TestCase):
	def collect(self, lines, own_clock=False):
		collector = nano.Collector(HZ, own_clock)
		for now, line in lines:
			collector.take(now, line)
		return collector.run

	def test_guest_clock(self):
		run = self.collect([(0, '{"nano": "start", "tsc": 0}'), (1, begin("in", HZ)),
				    (2, result("in", 2 * HZ)),
				    (3, '{"nano": "end", "tsc": 6000000000}')])
		self.assertEqual(run.values["in"], nano.Value(10.0, 9.0, 12.0, "guest"))
		self.assertTrue(run.ended)
		self.assertEqual(run.problems, [])

	def test_slow_guest_clock_flatters_nothing(self):
		run = self.collect([(0, '{"nano": "start", "tsc": 0}'), (1, begin("in", HZ)),
				    (3, result("in", 2 * HZ))])
		self.assertEqual(run.values, {})
		self.assertIn("not used", run.problems[0])

	def test_slow_drift_over_the_run(self):
		lines = [(0, '{"nano": "start", "tsc": 0}')]
		for at in range(1, 100, 2):
			lines += [(at * 0.1, begin("in", int(at * 0.1 * HZ * 0.97))),
				  ((at + 1) * 0.1, result("in", int((at + 1) * 0.1 * HZ * 0.97)))]
		run = self.collect(lines)
		self.assertIn("in", run.values)
		run = self.collect(lines
				   + [(10, '{"nano": "end", "tsc": %d}' % int(10 * HZ * 0.97))])
		self.assertEqual(run.values, {})
		self.assertIn("none of its values", run.problems[0])

	def test_late_reader(self):
		"""A line in two is read 0.05 s late, the last 0.3 s."""
		lines = [(0, '{"nano": "start", "tsc": 0}')]
		for at in range(1, 20):
			lines += [(at + 0.05, begin("in", int(at * HZ))),
				  (at + 0.5, result("in", int((at + 0.5) * HZ)))]
		run = self.collect(lines + [(20.3, '{"nano": "end", "tsc": %d}' % int(20 * HZ))])
		self.assertEqual(run.problems, [])
		self.assertIn("in", run.values)
		self.assertAlmostEqual(nano.drift([(0, 5), (1, 6.3), (2, 7.2), (3, 8.1)]), 0.1)
		self.assertAlmostEqual(nano.drift([(at, at + 3 + at % 2) for at in range(8)]), 0)

	def test_host_clock(self):
		"""100 iterations in each of 2 rounds: the empty loop takes 1 ms in all, the other 5
		ms for 400 operations: 10 us each."""
		run = self.collect([
			(0, begin("empty", 0)),
			(0.001, result("empty", 100, operations=100, ticks=100, loop="none")),
			(1, begin("in", 1000)),
			(1.005, result("in", 1100, ticks=100, loop="empty")),
			(2, begin("out", 2000)),
			(2.010, result("out", 2100, ticks=50, loop="empty")),
			(2.5, begin("hlt", 2500)), (2.6, result("hlt", 2600)),
			(3, begin("sti", 3000)),
			(3.0005, result("sti", 3100, ticks=100, loop="empty")),
		], own_clock=True)
		self.assertAlmostEqual(run.values["in"].median, 1e-5 * HZ)
		self.assertEqual(run.values["in"].clock, "host")
		self.assertAlmostEqual(run.values["out"].median, 1e-5 * HZ,
				       msg="half of the time was preparation")
		self.assertNotIn("sti", run.values)
		self.assertEqual(set(run.skipped), {"sti", "hlt"})

	def test_host_clock_needs_the_empty_loop(self):
		run = self.collect([(1, begin("in", 1000)), (2, result("in", 1100, loop="empty"))],
				   own_clock=True)
		self.assertEqual(run.values, {})
		self.assertEqual(len(run.problems), 1)

	def test_failures_are_named(self):
		run = self.collect([(1, begin("in", 0)),
				    (2, '{"nano": "failed", "tsc": 1, "why": "unexpected '
					'exception", "vector": 13}'),
				    (3, '{"nano": "failed", "tsc": 1, "name": "out", "why": '
					'"wrong"}'), (4, '{"nano": "result", "name"'),
				    (5, result("cpuid", 5)), (6, "other output")])
		self.assertEqual(run.problems[:2], ["in: unexpected exception 13", "out: wrong"])
		self.assertEqual(len(run.problems), 4)
		self.assertEqual(run.values, {})

	def test_judgement(self):
		judge = nano_runner.NanoRunner.judged
		good = console.Ending(33, False, [])
		run = judge(nano.NanoRun(), good, (33,), [])
		self.assertEqual(run.problems, ["ended before its last line"])
		run = judge(nano.NanoRun(ended=True), good, (33,), ["in"])
		self.assertEqual(run.problems, ["in: no result"])
		run = judge(nano.NanoRun(ended=True, skipped={"in": "x"}), good, (33,), ["in"])
		self.assertEqual(run.problems, [])
		run = judge(nano.NanoRun(), console.Ending(-11, False, ["last words"]), (33,), [])
		self.assertEqual(run.problems, ["killed by signal 11; its last lines: last words"])


class Follow(unittest.TestCase):
	def follow(self, command, timeout=300, **more):
		lines = []
		return console.follow(["sh", "-c", command], lambda now, line: lines.append(line),
				      timeout, **more), lines

	def test_lines_and_status(self):
		ending, lines = self.follow("echo a; echo b; exit 3")
		self.assertEqual((ending.status, ending.timed_out, lines), (3, False, ["a", "b"]))
		self.assertIn("exit status 3", ending.problem())
		self.assertIsNone(ending.problem((3,)))

	def test_timeout(self):
		for seconds in (0.5, 5, 50):
			ending, lines = self.follow("echo a; exec sleep 600", seconds)
			self.assertTrue(ending.timed_out)
			self.assertIn("not done in time", ending.problem())
			if lines:    # a busy host may not have come to that
				break
		self.assertEqual(lines, ["a"])

	def test_early(self):
		ending, _ = self.follow("exec sleep 600", early=(0.3, lambda: False))
		self.assertTrue(ending.timed_out)
		ending, _ = self.follow("sleep 0.6", early=(0.3, lambda: True))
		self.assertFalse(ending.timed_out)

	def test_killed(self):
		ending, _ = self.follow("kill -9 $$")
		self.assertIn("killed by signal 9", ending.problem())


if __name__ == "__main__":
	unittest.main()
