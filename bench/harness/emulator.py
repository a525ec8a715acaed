# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one boot of the benchmark guest, or the same list natively, and collects what it measured.

A run is a Run: the time of each workload by the clock of the guest and by that of the host, which
have to agree.
"""
import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from .console import Console

MEMORY_MIB = 256
# busybox follows its prompt with a question to the terminal (ESC [6n).
PROMPT = "bench-prompt# "
IDLE_SECONDS = 10
# The clocks disagree when they are this far apart; the console costs some milliseconds.
CLOCK_SLACK_SECONDS = 0.06
CLOCK_SLACK_RATIO = 0.05


@dataclass
class Timing:
	guest_ns: int
	host_ns: int
	iterations: int
	checksum: str
	least_ns: int = None # of one iteration; None: not known

	@property
	def mean_ns(self):
		return self.guest_ns / self.iterations

	def clocks_agree(self):
		difference = abs(self.guest_ns - self.host_ns)
		return difference <= CLOCK_SLACK_SECONDS * 1e9 + CLOCK_SLACK_RATIO * self.host_ns


@dataclass
class Run:
	timings: dict = field(default_factory=dict)
	boot_seconds: float = None
	idle_cpu_percent: float = None
	memory: dict = None
	stats: dict = None
	problems: list = field(default_factory=list)


class Collector:
	"""Turns console lines into a Run."""

	def __init__(self, run, start):
		self.run = run
		self.start = start
		self.started = {}
		self.done = False

	def take(self, now, line):
		if "ringfence-init" in line and self.run.boot_seconds is None:
			self.run.boot_seconds = now - self.start
		match = re.search(r"BENCH-START (\S+)", line)
		if match:
			self.started[match[1]] = now
		match = re.search(r"BENCH (\S+) (\d+) (\d+) (\S+)(?: (\d+))?", line)
		if match:
			self.finish(match[1], int(match[2]), int(match[3]), match[4], match[5], now)
		if "BENCH-DONE" in line:
			self.done = True
		if "Kernel panic" in line:
			self.run.problems.append(line.strip())

	def finish(self, name, guest_ns, iterations, checksum, least_ns, now):
		if checksum == "failed":
			self.run.problems.append(f"{name} failed")
			return
		host_ns = int((now - self.started.get(name, now)) * 1e9)
		timing = Timing(guest_ns, host_ns, iterations, checksum, least_ns and int(least_ns))
		self.run.timings[name] = timing
		if not timing.clocks_agree():
			self.run.problems.append(
				f"{name}: {guest_ns / 1e9:.2f} s by the guest's clock, "
						 f"{host_ns / 1e9:.2f} s by the host's")


def cpu_seconds(pid):
	with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
		fields = file.read().rsplit(")", 1)[1].split()
	return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_guest_ram(name, size_kib):
	"""Guest RAM is a memfd of ours, or the one anonymous mapping that is exactly as large
	(qemu)."""
	return ("memfd:" in name and "ram" in name) or size_kib == MEMORY_MIB * 1024


def memory_use(pid):
	"""KiB: guest RAM that is there, all else that is (each page once), and the host's page
	tables for both."""
	use = {"guest_ram_kib": 0, "monitor_kib": 0, "page_tables_kib": 0, "mappings": 0}
	guest_ram = False
	with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
		for line in file:
			words = line.split()
			if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
				name = words[5] if len(words) > 5 else ""
				use["mappings"] += 1
			elif words[0] == "Size:":
				guest_ram = is_guest_ram(name, int(words[1]))
			elif words[0] == "Pss:":
				whose = "guest_ram_kib" if guest_ram else "monitor_kib"
				use[whose] += int(words[1])
	with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
		for line in file:
			if line.startswith("VmPTE:"):
				use["page_tables_kib"] = int(line.split()[1])
	return use


@dataclass
class Emulator:
	name: str
	command: list        # without kernel and initramfs
	stats: bool = False  # the engine writes statistics: -accel ...,stats=FILE

	def run(self, kernel, initramfs, timeout, extras):
		with tempfile.TemporaryDirectory() as directory:
			stats_file = os.path.join(directory, "stats.json")
			command = [word + f",stats={stats_file}" if self.stats
				   and before == "-accel" else word
				   for before, word in zip([""] + self.command, self.command)]
			command += ["-m", str(MEMORY_MIB), "-nographic", "-no-reboot",
				    "-kernel", kernel,
				    "-initrd", initramfs, "-append", "console=ttyS0 panic=-1 quiet"]
			run = Run()
			self.boot(command, run, timeout, extras)
			if self.stats and os.path.exists(stats_file):
				with open(stats_file, encoding="utf-8") as file:
					run.stats = json.load(file)
			return run

	def boot(self, command, run, timeout, extras):
		start = time.monotonic()
		process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
					   stderr=subprocess.STDOUT, bufsize=0)
		console = Console(process.stdout.fileno(), start + timeout)
		try:
			self.drive(process, console, Collector(run, start), extras)
		except EOFError:
			run.problems.append("ended too soon; its last lines: "
					    + " | ".join(console.tail[-4:]))
		except TimeoutError:
			run.problems.append(f"not done after {timeout:g} s; its last lines: "
					    + " | ".join(console.tail[-4:]))
		finally:
			if process.poll() is None:
				process.kill()
			status = process.wait()
			process.stdin.close()
			process.stdout.close()
		if status and not run.problems:
			run.problems.append(f"exit status {status}")

	def drive(self, process, console, collector, extras):
		while not (collector.done and PROMPT in console.partial):
			for now, line in console.read():
				collector.take(now, line)
		if "memory" in extras:
			collector.run.memory = memory_use(process.pid)
		if "idle" in extras:
			time.sleep(1)
			before = cpu_seconds(process.pid)
			time.sleep(IDLE_SECONDS)
			used = cpu_seconds(process.pid) - before
			collector.run.idle_cpu_percent = used / IDLE_SECONDS * 100
		process.stdin.write(b"poweroff -f\n")
		try:
			while True:
				console.read()
		except EOFError:
			process.wait(timeout=30)


def run_native(directory, timeout):
	"""The same list, on one CPU of the host, as the guest has one."""
	run = Run()
	start = time.monotonic()
	cpu = max(os.sched_getaffinity(0))
	process = subprocess.Popen(["./workloads", "timer", "list"], cwd=directory,
				   stdin=subprocess.DEVNULL,
				   stdout=subprocess.PIPE, bufsize=0,
				   preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))
	console = Console(process.stdout.fileno(), start + timeout)
	collector = Collector(run, start)
	try:
		while True:
			for now, line in console.read():
				collector.take(now, line)
	except EOFError:
		pass
	except TimeoutError:
		process.kill()
		run.problems.append(f"not done after {timeout:g} s")
	process.wait()
	process.stdout.close()
	if not collector.done and not run.problems:
		run.problems.append("ended too soon")
	return run
