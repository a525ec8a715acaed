# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a multiboot kernel in Bochs without a display.

Bochs loads no kernels, so that one boots from a disc with GRUB. Debian's Bochs has its debugger
built in, which waits for a command, and has no display library for nothing at all: the text one is
given a pseudo terminal. The serial line is a FIFO.
"""
import os
import pty
import shutil
import subprocess
import tempfile
import time
from .console import Console, Ending

CONFIGURATION = """\
plugin_ctrl: serial=1, unmapped=1
memory: guest={memory}, host={memory}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=p4_willamette, count=1, ips=100000000
ata0-master: type=cdrom, path={directory}/disc.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={directory}/com1
display_library: term
log: {directory}/log
panic: action=fatal
error: action=report
info: action=ignore
clock: sync=none
"""
GRUB = "set timeout=0\nmultiboot /boot/kernel /kernel {append}\nboot\n"
MODULES = "multiboot iso9660 biosdisk normal configfile boot"


def make_disc(directory, kernel, append):
	tree = os.path.join(directory, "tree", "boot")
	os.makedirs(os.path.join(tree, "grub"))
	shutil.copy(kernel, os.path.join(tree, "kernel"))
	with open(os.path.join(tree, "grub", "grub.cfg"), "w", encoding="ascii") as file:
		file.write(GRUB.format(append=append))
	done = subprocess.run(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o",
			       os.path.join(directory, "disc.iso"),
			       os.path.dirname(tree), f"--install-modules={MODULES}", "--locales=",
			       "--fonts=", "--themes="],
			      capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
	if done.returncode:
		raise OSError(f"grub-mkrescue: {done.stderr.strip()[-200:]}")


def write(path, text):
	with open(path, "w", encoding="ascii") as file:
		file.write(text)


def start(program, directory):
	"""The process, with a terminal that is drained by nobody: what it shows there in text mode
	fits the buffer or is lost."""
	master, slave = pty.openpty()
	os.set_blocking(slave, False)
	process = subprocess.Popen([program, "-q", "-f", os.path.join(directory, "bochsrc"), "-rc",
				    os.path.join(directory, "commands")],
				   stdin=slave, stdout=slave, stderr=slave,
				   env=dict(os.environ, TERM="xterm"), start_new_session=True)
	os.close(slave)
	return process, master


def run(program, kernel, append, take, timeout, memory_mib=64):
	"""Lines of the first serial port go to take(now, line)."""
	with tempfile.TemporaryDirectory() as directory:
		make_disc(directory, kernel, append)
		write(os.path.join(directory, "bochsrc"),
		      CONFIGURATION.format(directory=directory, memory=memory_mib))
		write(os.path.join(directory, "commands"), "c\n")
		os.mkfifo(os.path.join(directory, "com1"))
		serial = os.open(os.path.join(directory, "com1"), os.O_RDWR | os.O_NONBLOCK)
		process, terminal = start(program, directory)
		try:
			timed_out, tail = follow(process, serial, terminal, take, timeout)
		finally:
			process.kill()
			status = process.wait()
			os.close(terminal)
			os.close(serial)
		return Ending(0 if not timed_out and status in (0, 1, -9) else status,
			      timed_out, tail)


def follow(process, serial, terminal, take, timeout):
	"""Until the kernel's last line, the end of the process, or the deadline."""
	deadline = time.monotonic() + timeout
	console = Console(serial, 0)
	os.set_blocking(terminal, False)
	while time.monotonic() < deadline:
		console.deadline = time.monotonic() + 0.5
		try:
			lines = console.read()
		except TimeoutError:
			lines = []
		for now, line in lines:
			take(now, line)
			if line.startswith('{"nano": "end"'):
				return False, console.tail
		drain(terminal)
		if not lines and process.poll() is not None:
			return False, console.tail + ["Bochs ended"]
	return True, console.tail


def drain(terminal):
	try:
		while os.read(terminal, 65536):
			pass
	except OSError:
		pass
