# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of survivors that change nothing, and the table in the end."""
import collections
import os

import campaign
from rules import one_line

LEAST_KILLED = 0.9


def read_survivors(path):
    """{key of a mutant: reason}. An entry is one mutant or more, and the reason, indented; a line
    that is too long goes on in another one:

        FILE FUNCTION RULE
        - the line as it is
        + the line as the mutant has it
          Why that changes nothing.
    """
    with open(path, encoding="utf-8") as f:
        text = "".join(line for line in f if not line.startswith("#"))
    listed = {}
    for block in filter(str.strip, text.split("\n\n")):
        lines = block.strip("\n").split("\n")
        reason = [line for line in lines if line.startswith("  ")]
        keys = keys_of([line for line in lines if not line.startswith("  ")])
        if not reason or not keys:
            raise ValueError(f"{path}: no reason, or no mutant: {block.strip()}")
        listed.update({key: one_line(" ".join(reason)) for key in keys})
    return listed


def keys_of(lines):
    """The keys of the mutants of one entry."""
    mutants = []
    for line in lines:
        if line[:1] in "+-" and line[1:2] in ("", " "):
            if not mutants:
                raise ValueError(f"no FILE FUNCTION RULE before: {line}")
            mutants[-1][line[0]].append(line[2:])
            continue
        words = line.split()
        if len(words) != 3:
            raise ValueError(f"not FILE FUNCTION RULE: {line}")
        mutants.append({"head": words, "-": [], "+": []})
    for mutant in mutants:
        if not mutant["-"] or not mutant["+"]:
            raise ValueError(f"- or + is missing: {' '.join(mutant['head'])}")
    return [(*m["head"], one_line(" ".join(m["-"])), one_line(" ".join(m["+"]))) for m in mutants]


def key_of(record):
    return tuple(record[word] for word in ("file", "function", "rule", "before", "after"))


def area(file):
    return os.path.dirname(file)


def row(name, counts):
    judged = counts["killed"] + counts["survived"]
    share = f"{100 * counts['killed'] / judged:5.1f}%" if judged else "     -"
    return f"{name:38} {judged:6} {counts['killed']:6} {share} {counts['listed']:6} " \
           f"{counts['survived'] - counts['listed']:8} {counts['same code']:5}"


def table(records, listed):
    """The lines of the table: areas with their files, then areas alone, then all."""
    files = campaign.figures(records)
    for record in records:
        if record["outcome"] == "survived" and key_of(record) in listed:
            files[record["file"]]["listed"] += 1
    areas = collections.defaultdict(collections.Counter)
    for file, counts in files.items():
        areas[area(file)].update(counts)
    head = f"{'':38} {'judged':>6} {'killed':>6} {'':>6} {'listed':>6} {'survived':>8} " \
           f"{'same':>5}"
    lines = [head] + [row(file, files[file]) for file in sorted(files)]
    lines += ["", head] + [row(name, areas[name]) for name in sorted(areas)]
    whole = sum(areas.values(), collections.Counter())
    return lines + [row("all", whole)], whole


def rules_table(records):
    found = collections.defaultdict(collections.Counter)
    for record in records:
        found[record["rule"]][record["outcome"]] += 1
    return [row(rule, found[rule]) for rule in sorted(found)]


def entry(record):
    """A record as read_survivors() wants it, but for the reason."""
    return f"{record['file']} {record['function']} {record['rule']}\n- {record['before']}\n" \
           f"+ {record['after']}"


def write(records, listed):
    """Prints all; the exit status."""
    lines, whole = table(records, listed)
    print("\n".join([""] + lines + [""] + rules_table(records)))
    new = [r for r in records if r["outcome"] == "survived" and key_of(r) not in listed]
    for record in new:
        print(f"\nFAILED: survived, line {record['line']}:\n{entry(record)}")
    for record in records:
        if record["outcome"] == "killed" and key_of(record) in listed:
            print(f"\nlisted, but {record['by']} kills it:\n{entry(record)}")
    judged = whole["killed"] + whole["survived"]
    few = whole["killed"] < LEAST_KILLED * judged
    if few:
        print(f"\nFAILED: {whole['killed']} of {judged} killed are less than "
              f"{LEAST_KILLED:.0%}; tests are missing")
    print(f"\n{judged} mutants: {whole['killed']} killed, {whole['listed']} listed, {len(new)} "
          f"survived; besides {whole['same code']} with the same code, "
          f"{whole['does not compile']} that do not compile")
    failed = len(new) + few + (not judged)
    print(f"mutants: {whole['killed'] + whole['listed']} passed, {failed} failed")
    return int(failed > 0)
