#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bench/run and bench/report as programs, with emulators that only act as if: what is missing or
fails is named, the rest goes on, and the exit status says so."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
from harness import results  # noqa: E402

HOST = {"cpu": "Test CPU", "vendor": "GenuineIntel", "vmx": False, "svm": False, "hypervisor": "",
	"kvm_error": "No such file or directory",
	"kvm_api": 0, "kvm_runs_32_bit": False, "tsc_hz": 1e9}
TIMEOUT = 300  # what takes longer hangs
# Runs a program of bench/, which may read lines as late as a host lets it that has much else to do:
# test_harness.py is about the clocks.
PATIENT = f"""
import runpy, sys
sys.path.insert(0, {os.path.join(ROOT, "bench")!r})
from harness import nano
nano.BENCHMARK_SLACK = nano.RUN_SLACK = ({TIMEOUT}, 0)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# Acts as ringfence: a TSC of 1 GHz that is the host's clock. interp dies in the middle.
RINGFENCE = """#!{python}
import sys, time
if "help" in sys.argv:
	print("Engines (-accel NAME):\\nbt   x\\ninterp   y")
	sys.exit(0)
if "-version" in sys.argv:
	print("pretender 1.0")
	sys.exit(0)
accel = sys.argv[sys.argv.index("-accel") + 1]
words = sys.argv[sys.argv.index("-append") + 1].split()
def say(what, text=""):
	print('{{"nano": "%s", "tsc": %d%s}}' % (what, time.monotonic_ns(), text), flush=True)
say("start")
for name in (word for word in words if "=" not in word):
	say("begin", ', "name": "%s"' % name)
	if accel == "interp" and name == "out":
		print("I die")
		sys.exit(7)
	say("result", ', "name": "%s", "rounds": 1, "min": 10, "median": 20.5, "max": 30' % name
	    + ', "iterations": 1, "operations": 1, "ticks": 1, "loop": "empty"')
say("end")
sys.exit(33)
"""


def command(name, *words):
	return [sys.executable, "-B", "-c", PATIENT, os.path.join(ROOT, "bench", name), *words]


class Programs(unittest.TestCase):
	def setUp(self):
		self.directory = tempfile.TemporaryDirectory()
		os.makedirs(os.path.join(self.directory.name, "bench", "nano"))
		self.write("ringfence", RINGFENCE.format(python=sys.executable))
		self.write("bench/bench-host", f"#!/bin/sh\necho '{json.dumps(HOST)}'\n")
		self.write("bench/nano/nano", "")

	def tearDown(self):
		self.directory.cleanup()

	def path(self, name):
		return os.path.join(self.directory.name, name)

	def write(self, name, text):
		with open(self.path(name), "w", encoding="utf-8") as file:
			file.write(text)
		os.chmod(self.path(name), 0o755)

	def program(self, name, *words, environment=None):
		return subprocess.run(command(name, *words), capture_output=True, text=True,
				      check=False, timeout=TIMEOUT, stdin=subprocess.DEVNULL,
				      env=environment)

	def run_engines(self, *engines, more=()):
		words = [word for engine in engines for word in ("--engine", engine)]
		done = self.program("run", "--build", self.directory.name, "--rounds", "2",
				    "--json", self.path("r.json"), *words, *more,
				    "nano/in", "nano/out")
		if not os.path.exists(self.path("r.json")):
			return done, None
		with open(self.path("r.json"), encoding="utf-8") as file:
			return done, json.load(file)

	def test_all_well(self):
		done, data = self.run_engines("bt", "bt,soft=off")
		self.assertEqual(done.returncode, 0, done.stderr)
		self.assertEqual(data["problems"], [])
		self.assertEqual(data["summary"]["nano/in"]["bt,soft=off"],
				 {"median": 20.5, "min": 20.5, "max": 20.5, "spread": 0,
				  "rounds": 2, "ratio": 1})
		self.assertEqual([(value["engine"], value["round"])
				  for value in data["values"] if value["benchmark"] == "nano/in"],
				 [("bt", 0), ("bt,soft=off", 0), ("bt,soft=off", 1), ("bt", 1)])
		self.assertIn("round 2 of 2", done.stderr)

	def test_missing_and_failing(self):
		done, data = self.run_engines("bt", "interp", "qemu-tcg", "kvm",
					      more=["--qemu", "/no/qemu"])
		self.assertEqual(done.returncode, 1)
		self.assertEqual(set(data["summary"]["nano/in"]), {"bt", "interp"})
		self.assertEqual(set(data["summary"]["nano/out"]), {"bt"})
		texts = " ".join(f"{problem['engine']}: {problem['text']}"
				 for problem in data["problems"])
		self.assertIn("there is no /no/qemu", texts)
		self.assertIn("kvm: not measured: /dev/kvm: No such file", texts)
		self.assertIn("interp: nano, round 2: exit status 7; its last lines:", texts)
		self.assertIn("I die", done.stdout)

	def test_what_the_host_is_counts_only_when_asked_for(self):
		self.write("ringfence",
			   RINGFENCE.format(python=sys.executable).replace("interp   y",
				   "interp   y\\nkvm   z"))
		for program in ("qemu-system-i386", "bochs-bin", "grub-mkrescue", "xorriso",
				"mformat", "gcc"):
			self.write(program, "#!/bin/sh\nexit 1\n")
		environment = {**os.environ,
			       "PATH": self.directory.name + os.pathsep + os.environ["PATH"]}
		words = ["--build", self.directory.name, "--rounds", "1", "nano/in"]
		done = self.program("run", *words, environment=environment)
		self.assertIn("kvm: not measured: /dev/kvm: No such file", done.stderr)
		with open(self.path("bench/results.json"), encoding="utf-8") as file:
			data = json.load(file)
		self.assertIn("No such file", data["engines"]["qemu-kvm"]["missing"])
		self.assertNotIn("kvm", [problem["engine"] for problem in data["problems"]])
		done = self.program("run", *words, "--engine", "bt", "--engine", "kvm",
				    environment=environment)
		self.assertEqual(done.returncode, 1)
		self.write("bench/bench-host",
			   f"#!/bin/sh\necho '{json.dumps({**HOST, 'kvm_error': ''})}'\n")
		done = self.program("run", *words, "--engine", "bt", "--engine", "kvm",
				    environment=environment)
		self.assertEqual(done.returncode, 1)
		self.assertIn("does not run 32-bit guests", done.stderr)

	def test_bad_usage(self):
		for words in (["--engine", "xen"], ["--rounds", "0"],
			      ["--baseline", "qemu-tcg", "--engine", "bt"]):
			done, data = self.run_engines(*(), more=words)
			self.assertEqual((done.returncode, data), (2, None), words)
		done = self.program("run", "nano/nothing")
		self.assertEqual(done.returncode, 2)
		self.assertIn('no benchmark is named "nano/nothing"', done.stderr)

	def test_results_that_cannot_be_written(self):
		"""Before anything is measured."""
		for path, reason in ((self.path("nowhere/r.json"), "No such file or directory"),
				     (self.directory.name, "Is a directory"),
				     (self.path("ringfence/r.json"), "Not a directory")):
			done = self.program("run", "--build", self.directory.name, "--engine", "bt",
					    "--json", path, "nano/in")
			self.assertEqual((done.returncode, done.stdout), (2, ""))
			self.assertIn(f"--json {path}: {reason}", done.stderr)
			self.assertNotIn("round", done.stderr.split("error:")[1])
		self.write("old.json", "as it was")
		results.check_writable(self.path("old.json"))
		results.check_writable(self.path("new.json"))
		with open(self.path("old.json"), encoding="utf-8") as file:
			self.assertEqual(file.read(), "as it was")
		self.assertFalse(os.path.exists(self.path("new.json")))

	def stopped(self, number, after, names, prepare="", environment=None):
		"""A run that gets the signal when a line of its standard error has the text."""
		self.write("ringfence",
			   RINGFENCE.format(python=sys.executable).replace("for name in (word",
				   prepare + "\nfor name in (word"))
		words = ["--build", self.directory.name, "--engine", "bt", "--engine", "interp",
			 "--json", self.path("r.json"), *names]
		with subprocess.Popen(command("run", *words), stdout=subprocess.PIPE,
				      stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
				      env=environment) as run:
			try:
				while after and after not in (line := run.stderr.readline()):
					self.assertTrue(line, "ended before " + after)
				run.send_signal(number)
				output = run.communicate(timeout=TIMEOUT)
			finally:
				run.kill()
		return run.returncode, *output

	def test_stopped(self):
		for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
			returned, output, _ = self.stopped(number,
							   "round 1 of 5: nano on bt", ["nano/in"],
							    "if accel == 'interp': time.sleep(600)")
			self.assertEqual(returned, status)
			self.assertIn("The run was interrupted", output)
			with open(self.path("r.json"), encoding="utf-8") as file:
				data = json.load(file)
			self.assertIs(data["settings"]["interrupted"], True)
			self.assertEqual(list(data["summary"]["nano/in"]), ["bt"])
			os.remove(self.path("r.json"))

	def test_stopped_before_the_first_value(self):
		environment = self.pretend_ninja(0)
		self.write("ninja", "#!/bin/sh\nsleep 1\necho here\nexec sleep 600\n")
		returned, output, errors = self.stopped(signal.SIGTERM, "here", ["nano/in"],
							environment=environment)
		self.assertEqual((returned, output), (143, ""))
		self.assertIn("stopped before anything was measured", errors)
		self.assertFalse(os.path.exists(self.path("r.json")))

	def test_what_no_engine_measured(self):
		self.write("gcc", f"#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\nprintf "
				  f"'#!/bin/sh\\nexit 0\\n' > \"$2\"\nchmod +x \"$2\"\n")
		environment = {**os.environ,
			       "PATH": self.directory.name + os.pathsep + os.environ["PATH"]}
		words = ["--build", self.directory.name, "--rounds", "1", "--engine", "native"]
		done = self.program("run", *words, "nano/in", environment=environment)
		self.assertEqual(done.returncode, 1)
		self.assertIn("the engines chosen, nano/in: none of them measured it: native has "
			      "no boot", done.stdout)
		done = self.program("run", *words, "--engine", "bt", "nano/in",
				    environment=environment)
		self.assertEqual(done.returncode, 0, done.stdout)
		self.assertIn("The baseline is bt: native has no value here.", done.stdout)
		done = self.program("run", *words, "--engine", "bt", "--baseline", "native",
				    "nano/in", environment=environment)
		self.assertIn("There are no ratios: the baseline, native, has no value here.",
			      done.stdout)

	def test_compare_names_what_is_missing_first(self):
		done = self.program("compare", "--engines", "ringfence,tcg", "--ringfence",
				    "/no/ringfence", "--qemu", "/no/qemu", "--only", "gzip")
		self.assertEqual(done.returncode, 1)
		self.assertIn("ringfence: there is no /no/ringfence", done.stderr.splitlines()[0])
		self.assertIn("tcg: there is no /no/qemu", done.stderr.splitlines()[1])
		done = self.program("compare", "--kernel", "/no/kernel", "--only", "gzip")
		self.assertEqual(done.returncode, 2)
		self.assertIn("--kernel /no/kernel: there is no such file", done.stderr)

	def test_list_into_a_closed_pipe(self):
		for program in ("run", "compare"):
			done = subprocess.run(["sh", "-c",
					       f"'{sys.executable}' '{ROOT}/bench/{program}' "
					       f"--list | true"], capture_output=True,
					      text=True, check=False, timeout=TIMEOUT)
			self.assertEqual(done.stderr, "")

	def pretend_ninja(self, status):
		"""A build directory, and a ninja that writes its arguments on standard output."""
		self.write("build.ninja", "")
		self.write("ninja", f"#!/bin/sh\necho \"ninja got: $*\"\nexit {status}\n")
		return {**os.environ, "PATH": self.directory.name + os.pathsep + os.environ["PATH"]}

	def test_builds_what_is_needed(self):
		environment = self.pretend_ninja(0)
		for words, targets in ((["nano/in", "--engine", "bt"],
					"bench/bench-host bench/nano/nano ringfence"),
				       (["nano/in", "--engine", "qemu-tcg", "--qemu", "/no/qemu"],
					"bench/bench-host bench/nano/nano"),
				       (["macro/boot", "--engine", "bochs", "--bochs", "/no/bochs"],
					"bench/bench-host")):
			done = self.program("run", "--build", self.directory.name, "--rounds", "1",
					    *words, environment=environment)
			self.assertIn(f"ninja got: -C {self.directory.name} {targets}\n",
				      done.stderr)
			self.assertNotIn("ninja", done.stdout)

	def test_cannot_build(self):
		done = self.program("run", "--build", self.directory.name, "nano/in", "--engine",
				    "bt", environment=self.pretend_ninja(4))
		self.assertEqual((done.returncode, done.stdout), (1, ""))
		self.assertIn(f'run: "ninja -C {self.directory.name} bench/bench-host '
			      f'bench/nano/nano ringfence" failed with status 4', done.stderr)
		done = self.program("run", "--build", self.path("nowhere"), "nano/in")
		self.assertEqual(done.returncode, 1)
		self.assertIn(f"run: --build {self.path('nowhere')}: there is no such directory; "
			      f"to make one: meson setup", done.stderr)
		os.remove(self.path("build.ninja"))
		os.remove(self.path("bench/bench-host"))
		done = self.program("run", "--build", self.directory.name, "nano/in")
		self.assertEqual(done.returncode, 1)
		self.assertIn("neither a build directory (no build.ninja) nor are all programs "
			      "there: bench/bench-host;", done.stderr)

	def test_report(self):
		self.run_engines("bt")
		done = self.program("report", self.path("r.json"), "--output", self.path("report"),
				    environment={"PATH": "/nowhere"})
		self.assertEqual(done.returncode, 1)
		self.assertIn("there is no gnuplot", done.stderr)
		with open(self.path("report/index.html"), encoding="utf-8") as file:
			self.assertIn("20.5", file.read())
		self.assertEqual(os.listdir(self.path("report")), ["index.html"])
		for wrong in ("nowhere.json", "ringfence"):
			self.assertEqual(self.program("report", self.path(wrong)).returncode, 2)


if __name__ == "__main__":
	unittest.main()
