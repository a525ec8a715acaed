# SPDX-License-Identifier: GPL-2.0-or-later
"""What Adams and Agesen measured (A Comparison of Software and Hardware Techniques for x86
Virtualization, ASPLOS 2006) on a 3.8 GHz Pentium 4, to stand beside our own values. Columns are
theirs; keys are our benchmarks, each the nearest to theirs."""

COLUMNS = {"native": "paper: native", "software": "paper: software VMM",
	   "hardware": "paper: hardware VMM"}

# Cycles. Approximate are those of READ_OFF.
NANO = {
	"syscall-sysenter": {"native": 242, "software": 2300, "hardware": 242},
	"in": {"native": 3209, "software": 214, "hardware": 15826},
	"tpr-write": {"native": 140, "software": 35, "hardware": 140},
	"call-ret": {"native": 11, "software": 51, "hardware": 11},
	"pgfault": {"native": 1093, "software": 3927, "hardware": 11242},
	"divzero": {"native": 889, "software": 3223, "hardware": 1014},
	"ptemod": {"native": 1, "software": 391, "hardware": 12733},
}
# (benchmark, column): read off the paper's figure; the text gives the others.
READ_OFF = [("syscall-sysenter", "software"), ("in", "software"), ("tpr-write", "native"),
	    ("tpr-write", "hardware")]
# Seconds for 40,000 processes.
FORKWAIT = {"native": 6.0, "software": 36.9, "hardware": 106.4}


def note():
	return "Read off the paper's figure, so approximate: " + ", ".join(
		f"{name} ({column})" for name, column in READ_OFF)


def relative(times):
	"""To native."""
	return {name: value / times["native"] for name, value in times.items()}
