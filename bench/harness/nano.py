# SPDX-License-Identifier: GPL-2.0-or-later
"""Understands what the nano kernel (bench/nano) writes, against the clock of the host.

The guest counts in ticks of its TSC. Where these keep the rate of the host's TSC they are cycles of
the host, as they are. Where they do not, the guest's figures say nothing of time, and the host's
clock is taken instead: the time between the two lines of a benchmark, less what the empty loop
needs.
"""
import json
from dataclasses import dataclass, field

# How far guest and host may be apart: seconds, and a part of the time. The reader of the lines may
# be late on a busy host.
BENCHMARK_SLACK = (0.1, 0.02)
RUN_SLACK = (0.1, 0.01)
@dataclass
class Value:
	"""Cycles of the host's TSC an operation."""
	median: float
	min: float
	max: float
	clock: str          # "guest", or "host" where the guest's runs at a rate of its own


@dataclass
class NanoRun:
	values: dict = field(default_factory=dict)     # name -> Value
	skipped: dict = field(default_factory=dict)    # name -> why
	problems: list = field(default_factory=list)
	start: dict = None
	ended: bool = False


def clocks_agree(guest_seconds, host_seconds, slack):
	return abs(guest_seconds - host_seconds) <= slack[0] + slack[1] * host_seconds


def drift(lines):
	"""How much more time the host saw than the guest, in seconds, over a run's [(guest seconds,
	host seconds)].

	Lines are read late, never early, so of the first and of the last quarter the one that was
	read soonest says how the clocks stood.
	"""
	quarter = max(1, len(lines) // 4)
	offsets = [host - guest for guest, host in lines]
	return min(offsets[-quarter:]) - min(offsets[:quarter])


class Collector:
	"""Takes lines with the host's time of their arrival. own_clock: the guest's TSC is known
	not to be the host's."""

	def __init__(self, tsc_hz, own_clock=False):
		self.tsc_hz = tsc_hz
		self.own_clock = own_clock
		self.run = NanoRun()
		self.begun = None
		self.lines = []
		self.empty_seconds = {}

	def take(self, now, line):
		if not line.startswith("{\"nano\": "):
			return
		try:
			record = json.loads(line)
			self.lines.append((record["tsc"] / self.tsc_hz, now))
			handler = getattr(self, "take_" + record["nano"], None)
			if handler:
				handler(now, record)
		except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
			self.run.problems.append(f"not understood ({error}): {line[:100]}")

	def take_start(self, now, record):
		self.run.start = record

	def take_begin(self, now, record):
		self.begun = (now, record)

	def take_skipped(self, now, record):
		self.run.skipped[record["name"]] = record["why"]

	def take_failed(self, now, record):
		name = record.get("name") or (self.begun[1]["name"] if self.begun else "start")
		detail = f" {record['vector']}" if "vector" in record else ""
		self.run.problems.append(f"{name}: {record['why']}{detail}")

	def take_end(self, now, record):
		self.run.ended = True
		if self.own_clock or len(self.lines) < 2:
			return
		apart, host = drift(self.lines), now - self.lines[0][1]
		if not clocks_agree(host - apart, host, RUN_SLACK):
			self.run.values.clear()
			self.run.problems.append(
				f"guest and host moved apart by {apart:.3f} s in {host:.3f} s: "
				f"none of its values is used")

	def take_result(self, now, record):
		name = record["name"]
		if not self.begun or self.begun[1]["name"] != name:
			raise KeyError("result without its beginning")
		host = now - self.begun[0]
		guest = (record["tsc"] - self.begun[1]["tsc"]) / self.tsc_hz
		if self.own_clock:
			self.take_by_host_clock(record,
						host * record["ticks"] / (guest * self.tsc_hz))
		elif clocks_agree(guest, host, BENCHMARK_SLACK):
			self.run.values[name] = Value(record["median"], record["min"],
						      record["max"], "guest")
		else:
			self.run.problems.append(
				f"{name}: the guest's TSC counted {guest:.3f} s, the host's clock "
				f"{host:.3f} s: not used")

	def take_by_host_clock(self, record, seconds):
		if "loop" not in record:
			why = "is a time by itself, which the guest's clock does not tell"
			self.run.skipped[record["name"]] = why
			return
		value = self.by_host_clock(record, seconds)
		if value.median > 0:
			self.run.values[record["name"]] = value
		else:
			why = "takes less than what the empty loop's time varies by"
			self.run.skipped[record["name"]] = why

	def by_host_clock(self, record, seconds):
		"""The mean of all rounds: the guest's TSC tells us only which part of the time was
		the rounds'."""
		iterations = record["iterations"] * record["rounds"]
		name = record["name"]
		if record["loop"] == "none":
			self.empty_seconds[name] = seconds / iterations
		empty = self.empty_seconds[record["loop"]] if record["loop"] != "none" else 0
		operations = record["operations"] * record["rounds"]
		cycles = (seconds - iterations * empty) / operations * self.tsc_hz
		return Value(cycles, cycles, cycles, "host")
