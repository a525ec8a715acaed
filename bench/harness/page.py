# SPDX-License-Identifier: GPL-2.0-or-later
"""Results as one HTML page that needs no other file."""
import html
import re
from . import machine, paper, results as results_module

STYLE = """body { font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 78em; padding: 0 1em;
  color: #222 }
table { border-collapse: collapse; font-size: 13px }
td, th { padding: .2em .7em; text-align: right; border-bottom: 1px solid #ddd }
td:first-child, th:first-child, td.text { text-align: left }
small { color: #666 }
svg { max-width: 100%; height: auto }
.scroll { overflow-x: auto }"""


def escape(text):
	return html.escape(str(text))


def row(cells, tag="td"):
	return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def value_cell(entry, is_baseline, by_host_clock):
	if not entry:
		return "–"
	noise = f" <small>±{entry['spread'] / 2:.0%}</small>" if entry["spread"] is not None else ""
	times = (f"<br><small>× {results_module.number(entry['ratio'])}</small>"
		 if entry["ratio"] is not None and not is_baseline else "")
	mark = results_module.HOST_CLOCK_MARK if by_host_clock else ""
	return results_module.number(entry["median"]) + mark + noise + times


def family_table(results, family):
	summary = results.summary()
	keys = [key for key, about in results.benchmarks.items() if about["family"] == family]
	names = [name for name in results.engines if any(name in summary[key] for key in keys)]
	if not names:
		return ""
	baseline = results.settings.get("baseline")
	unit = results.benchmarks[keys[0]]["unit"]
	lines = [f"<h2>{escape(family)}, {escape(unit)}</h2><div class='scroll'><table>",
		 row(["", *(escape(results.engines[name]["short"]) for name in names)], "th")]
	for key in keys:
		about = (f"{escape(key.split('/', 1)[1])}<br>"
			 f"<small>{escape(results.benchmarks[key]['about'])}</small>")
		cells = (value_cell(summary[key].get(name), name == baseline,
				    results.by_host_clock(key, name)) for name in names)
		lines.append(row([about, *cells]))
	lines.append("</table></div>")
	if any(results.by_host_clock(key, name) for key in keys for name in names):
		lines.append(f"<p><small>{escape(results_module.HOST_CLOCK_NOTE)}</small></p>")
	return "\n".join(lines)


def engine_table(results):
	lines = ["<h2>Engines</h2><table>"]
	for name, about in results.engines.items():
		state = "not measured" if about["missing"] else about["version"]
		lines.append(f"<tr><td>{escape(name)}</td><td "
			     f"class='text'>{escape(about['label'])}</td>"
			     f"<td class='text'>{escape(state)}</td></tr>")
	return "\n".join(lines + ["</table>"])


def problem_list(results):
	items = [results_module.problem_line(problem) for problem in results.problems]
	named = {problem["engine"] for problem in results.problems}
	items += [f"{name}: {about['missing']}" for name, about in results.engines.items()
		  if about["missing"] and name not in named]
	items += results.left_out_lines()
	if not items:
		return ""
	listed = "".join(f"<li>{escape(item)}</li>" for item in items)
	return f"<h2>What was not measured</h2><ul>{listed}</ul>"


def inline_svg(text, number):
	"""An SVG as part of a page: without XML declaration, its identifiers made its own."""
	text = re.sub(r"^.*?(?=<svg)", "", text, count=1, flags=re.DOTALL)
	text = re.sub(r"\bid=(['\"])", rf"id=\1f{number}-", text)
	text = re.sub(r"url\(#", f"url(#f{number}-", text)
	return re.sub(r"(xlink:href=['\"])#", rf"\1#f{number}-", text)


def below_figures(results, undrawn):
	lines = []
	if any(key in results.benchmarks for key in (f"nano/{name}" for name in paper.NANO)):
		lines.append(f"{paper.note()}.")
	if undrawn:
		lines.append(f"Measured but not drawn (see the tables): {', '.join(undrawn)}.")
	return [f"<p><small>{escape(line)}</small></p>" for line in lines]


def make(results, drawings, undrawn=()):
	"""drawings: SVG texts. undrawn: benchmarks that are in none of them."""
	settings = results.settings
	quick = ", quick" if settings["quick"] else ""
	rounds = f"{settings['rounds']} rounds" if settings["rounds"] > 1 else "one round"
	baseline = ""
	if settings.get("baseline"):
		baseline = f"; × is relative to {escape(settings['baseline'])}"
	parts = ["<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>Ringfence "
		 "benchmarks</title>",
		 f"<style>{STYLE}</style></head><body><h1>Ringfence benchmarks</h1>",
		 f"<p>{escape(settings['started'])}, {rounds}{quick}. Medians; ± is half of the "
		 f"distance from the least to the greatest, "
		 f"relative to the median{baseline}.</p>",
		 *(f"<p><strong>{escape(note)}</strong></p>"
		   for note in results_module.notes(results)),
		 "<p>" + "<br>".join(escape(line) for line in machine.lines(results.machine))
		 + "</p>"]
	parts += [inline_svg(drawing, number) for number, drawing in enumerate(drawings)]
	parts += below_figures(results, undrawn) if drawings else []
	parts += [engine_table(results), family_table(results, "nano"),
		  family_table(results, "macro"), problem_list(results), "</body></html>"]
	return "\n".join(parts) + "\n"
