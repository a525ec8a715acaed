# SPDX-License-Identifier: GPL-2.0-or-later
"""Bar charts of results, drawn by gnuplot as SVG and PNG.
A bar that was not measured is not there."""
import os
import subprocess
from dataclasses import dataclass, field
from . import paper

# The same in every figure; further columns (an engine's options) take the spare ones.
COLOURS = {"native": "#2e4057", "bt": "#1b6ca8", "interp": "#8d6a9f", "kvm": "#66a182",
	   "qemu-tcg": "#d1495b", "qemu-kvm": "#a26769",
	   "bochs": "#edae49", "paper: native": "#555555", "paper: software VMM": "#999999",
	   "paper: hardware VMM": "#cccccc"}
SPARE_COLOURS = ["#00798c", "#7fb069", "#c9a227", "#5f4b8b", "#e07a5f", "#3d405b"]
TERMINALS = {"svg": "svg size {width},{height} dynamic font 'sans-serif,13' background 'white'",
	     "png": "pngcairo size {width},{height} font 'sans-serif,11'"}
PAPER_NANO = ["syscall-int80", "syscall-sysenter", "in", "tpr-write", "call-ret", "pgfault",
	      "divzero", "ptemod", "ptemod-use"]


@dataclass
class Figure:
	name: str            # of the file
	title: str
	axis: str
	rows: list           # labels along the x axis
	columns: dict = field(default_factory=dict)    # title -> {row: value}
	footer: list = field(default_factory=list)     # lines
	line_at: float = None                          # of a bold line across

	def any(self):
		return any(self.columns.values())


def footer(results):
	"""What a figure by itself has to say of its values."""
	settings, machine = results.settings, results.machine
	return ", ".join([machine["cpu"], settings["started"],
			  f"{settings['rounds']} round{'s'[:settings['rounds'] > 1]}",
			  *(["quick"] if settings["quick"] else []),
			  *(["interrupted"] if settings.get("interrupted") else []),
			  f"load {machine['load_before']:.2f} before on {machine['cpus']} CPUs"])


def nano_figure(name, title, results, keys, with_paper):
	summary = results.summary()
	figure = Figure(name, title, "cycles, logarithmic", keys, footer=[footer(results)])
	for engine, about in results.engines.items():
		found = {key: summary[f"nano/{key}"][engine]["median"]
			 for key in keys if engine in summary.get(f"nano/{key}", {})}
		if found:
			by_host = any(results.by_host_clock(f"nano/{key}", engine) for key in found)
			figure.columns[about["short"]
				       + (" (host's clock)" if by_host else "")] = found
	if with_paper and figure.any():
		for column, label in paper.COLUMNS.items():
			figure.columns[label] = {key: paper.NANO[key][column]
						 for key in keys if key in paper.NANO}
		figure.footer.append(paper.note())
	return figure


def macro_figure(results):
	"""Time relative to native; nothing of a benchmark that has no native value."""
	summary = results.summary()
	keys = [key for key in results.benchmarks if key.startswith("macro/")
		and "native" in summary[key]]
	native = results.engines.get("native", {}).get("short", "native")
	figure = Figure("macro", "Programs in a Linux guest", f"time, {native} = 1, logarithmic",
			[key.split("/")[1] for key in keys],
			footer=[footer(results)], line_at=1)
	for engine, about in results.engines.items():
		if engine != "native":
			medians = {key: {name: entry["median"]
					 for name, entry in summary[key].items()}
				   for key in keys}
			found = {key.split("/")[1]: of[engine] / of["native"]
				 for key, of in medians.items() if engine in of}
			if found:
				figure.columns[about["short"]] = found
	if "forkwait" in figure.rows and figure.any():
		for column, value in paper.relative(paper.FORKWAIT).items():
			if column != "native":
				figure.columns[paper.COLUMNS[column]] = {"forkwait": value}
	return figure


def of(results):
	"""All figures for which there is something to draw."""
	measured = [key.split("/")[1] for key in results.benchmarks if key.startswith("nano/")]
	first = [name for name in PAPER_NANO if name in measured]
	others = [name for name in measured if name not in first
		  and not name.startswith(("empty", "linux-")) and name != "hlt-wakeup"]
	half = (len(others) + 1) // 2
	found = [nano_figure("nano", "Single operations, beside Adams and Agesen's (Pentium 4)",
			     results, first, True),
		 nano_figure("nano-more-1", "More single operations", results,
			     others[:half], False),
		 nano_figure("nano-more-2", "More single operations", results,
			     others[half:], False),
		 macro_figure(results)]
	return [figure for figure in found if figure.any()]


def undrawn(results, figures):
	"""Benchmarks that have a value and no bar."""
	summary = results.summary()
	short = {engine["short"] for engine in results.engines.values()}
	drawn = {(figure.name.split("-")[0], row) for figure in figures
		 for title, column in figure.columns.items()
		 if title.removesuffix(" (host's clock)") in short
		 for row, value in column.items() if value > 0}
	return [key for key in results.benchmarks if summary[key]
		and tuple(key.split("/")) not in drawn]


def quoted(*lines):
	return '"' + "\\n".join(str(line).replace("\\", "").replace('"', "'")
				for line in lines) + '"'


def colours(titles):
	"""A colour for each title; an engine's short name may have something in parentheses after
	it."""
	spare = 0
	for title in titles:
		known = COLOURS.get(title) or COLOURS.get(title.split(" (")[0])
		yield known or SPARE_COLOURS[spare % len(SPARE_COLOURS)]
		spare += not known


def bold_line(figure):
	"""Commands; the axis goes beyond the line, whatever the values are."""
	if figure.line_at is None:
		return []
	least = min([figure.line_at] + [value for column in figure.columns.values()
					for value in column.values() if value > 0])
	return [f"set yrange [{least / 2:.6g}:*]",
		f"set arrow from graph 0, first {figure.line_at:g} to graph 1, first "
		f"{figure.line_at:g} nohead lw 3 lc rgb {quoted(COLOURS['native'])} front"]


def script(figure, terminal, output, width=1200, height=560):
	"""What gnuplot is told.
	A value that is not positive cannot be on a logarithmic scale, and is left out as one not
	measured is."""
	lines = [f"set terminal {TERMINALS[terminal].format(width=width, height=height)}",
		 f"set output {quoted(output)}",
		 f"set title {quoted(figure.title)} noenhanced",
		 f"set ylabel {quoted(figure.axis)} noenhanced", "set logscale y",
		 "set style data histograms", "set style histogram clustered gap 1.5",
		 "set style fill solid 0.9 noborder",
		 "set datafile missing '?'", "set xtics rotate by -35 noenhanced scale 0",
		 "set key outside top center horizontal noenhanced",
		 "set grid ytics lt 1 lw 0.5 lc rgb '#bbbbbb' back",
		 "set boxwidth 0.9", "$data << END"]
	lines[-1:-1] = [f"set xlabel {quoted(*figure.footer)} noenhanced font ',10'",
			*bold_line(figure)]
	for row in figure.rows:
		values = [column.get(row) for column in figure.columns.values()]
		lines.append(quoted(row) + " " + " ".join("?" if value is None or value <= 0
							  else f"{value:.6g}" for value in values))
	lines.append("END")
	bars = zip(figure.columns, colours(figure.columns))
	plots = [f"$data using {index}:xtic(1) title {quoted(title)} lc rgb {quoted(colour)}"
		 for index, (title, colour) in enumerate(bars, 2)]
	lines.append("plot " + ", \\\n     ".join(plots))
	return "\n".join(lines) + "\n"


def draw(figure, directory):
	"""NAME.svg and NAME.png in the directory; OSError when gnuplot cannot."""
	for terminal in TERMINALS:
		path = os.path.join(directory, f"{figure.name}.{terminal}")
		done = subprocess.run(["gnuplot"], input=script(figure, terminal, path),
				      capture_output=True, text=True, check=False)
		if done.returncode or not os.path.exists(path):
			raise OSError(f"gnuplot cannot draw {path}: {done.stderr.strip()[-300:]}")
