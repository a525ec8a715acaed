# SPDX-License-Identifier: GPL-2.0-or-later
"""What the measurements ran on.
Virtualization hardware is what CPUID shows, never what /dev/kvm promises."""
import json
import mmap
import os
import platform
import subprocess
import time

# For each CPU: more than this before a run is work that disturbs it.
BUSY_LOAD = 0.5


# A page that costs more than this is dear: 21 us were measured on a paravirtual guest, and a tenth
# of that is usual elsewhere.
DEAR_PAGE_US = 8


def page_cost_us(tries=200):
	"""Microseconds to map a page, touch it and unmap it: the least of some tries."""
	best = None
	for _ in range(tries):
		start = time.perf_counter_ns()
		page = mmap.mmap(-1, mmap.PAGESIZE)
		page[0] = 1
		page.close()
		took = (time.perf_counter_ns() - start) / 1e3
		best = took if best is None or took < best else best
	return best


def load():
	return os.getloadavg()[0]


def describe(facts_program, load_before=None):
	"""The machine as it goes into the results. facts_program: bench/harness/host, built.
	load_before: load() before our own work."""
	facts = json.loads(subprocess.run([facts_program], check=True, capture_output=True,
					  text=True).stdout)
	facts["cpus"] = len(os.sched_getaffinity(0))
	facts["kernel"] = platform.release()
	facts["memory_mib"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
	facts["load_before"] = load() if load_before is None else load_before
	facts["kvm"] = kvm_text(facts)
	return facts


def hardware(facts):
	"""The virtualization hardware that CPUID shows, or None."""
	return "VT-x" if facts["vmx"] else "SVM" if facts["svm"] else None


def native_is_64_bit(facts):
	"""Where the native column cannot be 32-bit code."""
	return not facts.get("runs_32_bit_programs", True)


def kvm_text(facts):
	if facts["kvm_error"]:
		return f"not usable: /dev/kvm: {facts['kvm_error']}"
	if facts["kvm_api"] != 12:
		return f"not usable: its API is version {facts['kvm_api']}, not 12"
	if not hardware(facts):
		return ("without VT-x or SVM (CPUID shows neither): software or paravirtual, not "
			"hardware virtualization")
	if facts["hypervisor"]:
		return (f"{hardware(facts)} inside a virtual machine ({facts['hypervisor']}): "
			"nested virtualization")
	return hardware(facts)


def load_warning(facts):
	"""A sentence if other work may have disturbed the values, else None."""
	if facts["load_before"] <= BUSY_LOAD * facts["cpus"]:
		return None
	return (f"Warning: the load was {facts['load_before']:.2f} on {facts['cpus']} CPUs before "
		"the run. Other work may have disturbed the values; measure again on an idle "
		"machine before relying on them.")


def lines(facts):
	inside = (f", inside a virtual machine ({facts['hypervisor']})" if facts["hypervisor"]
		  else "")
	return [
		f"CPU: {facts['cpu']}, {facts['cpus']} usable, TSC {facts['tsc_hz'] / 1e6:.1f} "
		f"MHz{inside}",
		f"Linux {facts['kernel']}, {facts['memory_mib']} MiB, load "
		f"{facts['load_before']:.2f} before the run",
		f"KVM: {facts['kvm']}",
	]
