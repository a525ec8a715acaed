# SPDX-License-Identifier: GPL-2.0-or-later
"""The output of a program as lines with the times they came, and a program run to its end for
it."""
import os
import selectors
import subprocess
import time
from dataclasses import dataclass, field


class Console:
	"""A file descriptor as lines, each with the time it came; the unfinished last line can be
	looked at too."""

	def __init__(self, descriptor, deadline):
		self.descriptor = descriptor
		self.deadline = deadline
		self.partial = ""
		self.tail = []
		self.selector = selectors.DefaultSelector()
		self.selector.register(descriptor, selectors.EVENT_READ)

	def read(self):
		"""Waits for output. [(host seconds, line)], possibly empty; EOFError at the end,
		TimeoutError when late."""
		if not self.selector.select(max(0, self.deadline - time.monotonic())):
			raise TimeoutError
		data = os.read(self.descriptor, 65536)
		now = time.monotonic()
		if not data:
			raise EOFError
		text = data.decode("utf-8", "replace").replace("\r", "")
		*lines, self.partial = (self.partial + text).split("\n")
		self.tail = (self.tail + lines)[-15:]
		return [(now, line) for line in lines]


@dataclass
class Ending:
	status: int
	timed_out: bool
	tail: list = field(default_factory=list)

	def problem(self, good=(0,)):
		"""What was wrong with how it ended, or None."""
		last = " | ".join(line.strip() for line in self.tail[-3:] if line.strip())
		if self.timed_out:
			return f"not done in time; its last lines: {last}"
		if self.status in good:
			return None
		how = (f"exit status {self.status}" if self.status >= 0
		       else f"killed by signal {-self.status}")
		return f"{how}; its last lines: {last}"


def finish(process, patience):
	"""The status of a process that has so many seconds left to end by itself."""
	try:
		process.wait(timeout=patience)
	except subprocess.TimeoutExpired:
		process.kill()
	status = process.wait()
	process.stdout.close()
	return status


def follow(command, take, timeout, cwd=None, preexec=None, early=None):
	"""Runs a command, hands each line of its output to take(now, line), and never leaves it
	behind.

	early: (seconds, predicate): by then the predicate has to hold, or it is not waited for any
	longer.
	"""
	process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
				   stderr=subprocess.STDOUT, bufsize=0,
				   cwd=cwd, preexec_fn=preexec)
	start = time.monotonic()
	console = Console(process.stdout.fileno(), start + timeout)
	timed_out = ended = False
	try:
		while True:
			waits = early and not early[1]()
			console.deadline = start + (min(early[0], timeout) if waits else timeout)
			for now, line in console.read():
				take(now, line)
	except EOFError:
		ended = True
	except TimeoutError:
		timed_out = True
	finally:
		status = finish(process, 60 if ended else 0)
	return Ending(status, timed_out, console.tail + [console.partial])
