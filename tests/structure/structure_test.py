#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plan of the house promises: which room may include which (the table "rooms" beside this
file), how large a room may be, how long a line, and that docs/architecture.md names what exists."""

import os
import re
import subprocess
import sys
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
COLUMNS = 100
TAB = 8
LARGEST_ROOM = 0.25  # of the product's lines
SOURCES = (".c", ".h", ".def", ".S")
# What is made by programs, or recorded; tables of guests' instructions that are read by a program.
NOT_WRITTEN = re.compile(r"\.(png|svg|answers|json|gz)$|^COPYING$|-differs$|\.base64$")


def files():
    """Every file of the tree, without what is ignored or built."""
    try:
        text = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"],
                              check=True, capture_output=True, text=True).stdout
        return [f for f in text.split("\n") if f and os.path.isfile(os.path.join(ROOT, f))]
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        found = []
        for folder, folders, names in os.walk(ROOT):
            folders[:] = [d for d in folders
                          if not d.startswith(".") and not os.path.exists(
                              os.path.join(folder, d, "build.ninja")) and d != "guest"]
            found += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names]
        return found


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def rooms():
    """{folder: (floor, public header or None)}"""
    table = {}
    floors = [line.split() for line in read("tests/structure/rooms").split("\n")
              if line and not line.startswith("#")]
    for floor, words in enumerate(floors):
        for word in words:
            folder, _, public = word.partition(":")
            table[folder] = (floor, public or None)
    return table


def includes(text):
    return re.findall(r'(?m)^\s*#\s*include\s+"([^"]+)"', text)


def resolve(path, included):
    """The path from the root of what is included in path."""
    beside = os.path.join(os.path.dirname(path), included)
    return beside if os.path.exists(os.path.join(ROOT, beside)) else included


def complaints_about_include(path, target, table):
    """Why the file at path may not include target: a list of sentences."""
    mine, theirs = os.path.dirname(path), os.path.dirname(target)
    if theirs not in table:
        return [f"{path} includes {target}, which is in no room of tests/structure/rooms"]
    if theirs == mine:
        return []
    (my_floor, _), (their_floor, public) = table[mine], table[theirs]
    if their_floor >= my_floor:
        return [f"{path} includes {target}, which is not on a lower floor"]
    if public and os.path.basename(target) != public:
        return [f"{path} includes {target}; of that room only {public} is public"]
    return []


def too_wide(line):
    return len(line.expandtabs(TAB)) > COLUMNS


def prose_lines(text):
    """(number, line) of a Markdown text, without its tables."""
    return [(n, line) for n, line in enumerate(text.split("\n"), 1)
            if not line.lstrip().startswith("|")]


class Structure(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.table = rooms()
        cls.files = files()
        cls.sources = [f for f in cls.files
                       if f.endswith(SOURCES) and os.path.dirname(f) in cls.table]

    def test_every_source_is_in_a_room(self):
        tops = {folder.split("/")[0] for folder in self.table}
        homeless = [f for f in self.files if f.endswith(SOURCES) and f.split("/")[0] in tops
                    and os.path.dirname(f) not in self.table]
        self.assertEqual(homeless, [])

    def test_includes_go_down(self):
        wrong = []
        for path in self.sources:
            for included in includes(read(path)):
                wrong += complaints_about_include(path, resolve(path, included), self.table)
        self.assertEqual(wrong, [])

    def test_upward_and_private_includes_are_noticed(self):
        def about(path, target):
            return complaints_about_include(path, target, self.table)
        self.assertTrue(about("monitor/vm/vm.c", "monitor/processor/processor.h"))
        self.assertTrue(about("shadowmmu/fill.c", "translator/translator.h"))
        self.assertTrue(about("monitor/kvm/exit.c", "monitor/bt/bt.h"))
        self.assertTrue(about("monitor/bt/engine.c", "monitor/vm/vcpu.h"))
        self.assertTrue(about("monitor/bt/engine.c", "tests/bt_fixture.h"))
        self.assertFalse(about("monitor/bt/engine.c", "monitor/vm/vm.h"))
        self.assertFalse(about("monitor/vm/vm.c", "monitor/vm/vcpu.h"))

    def test_no_room_is_most_of_the_house(self):
        lines = {}
        for path in self.sources:
            room = os.path.dirname(path)
            lines[room] = lines.get(room, 0) + read(path).count("\n")
        whole = sum(lines.values())
        large = {room: n for room, n in lines.items() if n > LARGEST_ROOM * whole}
        self.assertEqual(large, {}, f"of {whole} lines")

    def test_longest_line(self):
        wide = []
        for path in self.files:
            if NOT_WRITTEN.search(path):
                continue
            try:
                text = read(path)
            except UnicodeDecodeError:
                continue
            lines = prose_lines(text) if path.endswith(".md") else enumerate(text.split("\n"), 1)
            wide += [f"{path}:{n}" for n, line in lines if too_wide(line)]
        self.assertEqual(wide, [], f"{len(wide)} lines are over {COLUMNS} columns")

    def test_wide_lines_are_noticed(self):
        self.assertFalse(too_wide("x" * COLUMNS))
        self.assertTrue(too_wide("x" * (COLUMNS + 1)))
        self.assertTrue(too_wide("\t" + "x" * (COLUMNS - TAB + 1)))

    def test_names_in_architecture_exist(self):
        self.assertEqual(self.unknown(read("docs/architecture.md")), [])

    def test_unknown_names_are_noticed(self):
        self.assertEqual(self.unknown("`monitor/nothing.c` and `nobody_calls_this()`"),
                         ["monitor/nothing.c", "nobody_calls_this()"])
        self.assertEqual(self.unknown("`no_such_file.c`, `struct no_such`"),
                         ["no_such_file.c", "struct no_such"])

    def unknown(self, text):
        """The files, functions and structures that text names in code quotes and that are not."""
        names = {os.path.basename(f) for f in self.files}
        code = "\n".join(read(f) for f in self.files
                         if f.endswith(SOURCES + (".py", ".build")) and f not in __file__)
        words = set(re.findall(r"\w+", code))
        missing = []
        for quoted in re.findall(r"`([^`\n]+)`", text):
            if re.fullmatch(r"[\w./-]+\.(c|h|def|S|py|md|build)", quoted):
                known = quoted in self.files if "/" in quoted else quoted in names
            elif re.fullmatch(r"\w+\(\)|(struct|enum) \w+", quoted):
                known = re.sub(r"\(\)|^(struct|enum) ", "", quoted) in words
            elif re.fullmatch(r"[A-Z][A-Z0-9]+_[A-Z0-9_]+", quoted):
                known = quoted in words
            else:
                continue
            if not known:
                missing.append(quoted)
        return missing


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
