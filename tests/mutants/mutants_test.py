#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How mutants are made, chosen, excused and counted. Nothing is built here.

usage: mutants_test.py [unittest arguments]
"""
import argparse
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import campaign  # noqa: E402
import judges  # noqa: E402
import report  # noqa: E402
import rules  # noqa: E402
import workshop  # noqa: E402

SAMPLE = '''
#include "sample.h"
#define LIMIT 16
#define BOTH(a, b) ((a) && (b))
/* if (0 < 1) in a comment */
struct thing { uint32_t a; int b[3]; };
static const struct thing table[] = { { 5, { 1 } } };

static int work(struct thing *t, uint32_t flags)
{
\tconst int n = -1;

\tassert(n < 7);
\tif (t->a <
\t    3)
\t\treturn error_set(t, -1, "more than %d", 9);
\tt->a = (uint32_t)-n;
\tt->b[0] = flags & ONE_FLAG;
\tuse(t, FIRST_FLAG | OTHER_FLAG);
\tfree(t);
\tfor (int i = 0; i < n; i++)
\t\tuse(t, ~i);
\twhile (!done(t))
\t\tcontinue;
\tswitch (n) {
\tcase 4: use(t, 0); break;
\tdefault: break;
\t}
\treturn sizeof(struct thing);
}
'''


def changes(rule, text=SAMPLE):
    return [(m.function, m.before, m.after) for m in rules.mutants_of("f.c", text)
            if m.rule == rule]


def work(before, after):
    return ("work", before, after)


class Rules(unittest.TestCase):
    def test_conditions(self):
        found = changes("condition")
        self.assertEqual(sorted(found), sorted([
            ("BOTH", "#define BOTH(a, b) ((a) && (b))", "#define BOTH(a, b) ((a) || (b))"),
            work("if (t->a <", "if (t->a <="),
            work("if (t->a < 3)", "if (!(t->a < 3))"),
            work("for (int i = 0; i < n; i++)", "for (int i = 0; i <= n; i++)"),
            work("while (!done(t))", "while (done(t))")]))

    def test_constants(self):
        found = changes("constant")
        self.assertIn(("LIMIT", "#define LIMIT 16", "#define LIMIT 32"), found)
        self.assertIn(("LIMIT", "#define LIMIT 16", "#define LIMIT 15"), found)
        self.assertIn(("table", "static const struct thing table[] = { { 5, { 1 } } };",
                       "static const struct thing table[] = { { 6, { 1 } } };"), found)
        self.assertEqual(rules.other_number("0"), ["1"])
        self.assertEqual(rules.other_number("0xff"), ["0x100", "0xfe"])
        self.assertEqual(rules.other_number("0x10u"), ["0x20u", "0xfu"])

    def test_arithmetic_needs_two_operands(self):
        self.assertEqual(changes("arithmetic"), [
            work("for (int i = 0; i < n; i++)", "for (int i = 0; i < n; i--)")])

    def test_bits_and_flags(self):
        self.assertEqual(changes("bit"), [
            work("t->b[0] = flags & ONE_FLAG;", "t->b[0] = flags | ONE_FLAG;"),
            work("use(t, FIRST_FLAG | OTHER_FLAG);", "use(t, FIRST_FLAG & OTHER_FLAG);"),
            work("use(t, ~i);", "use(t, i);")])
        self.assertEqual(changes("flag"), [
            work("t->b[0] = flags & ONE_FLAG;", "t->b[0] = flags ;"),
            work("use(t, FIRST_FLAG | OTHER_FLAG);", "use(t, FIRST_FLAG );"),
            work("use(t, FIRST_FLAG | OTHER_FLAG);", "use(t, OTHER_FLAG);")])

    def test_sizes(self):
        self.assertIn(work("return sizeof(struct thing);", "return (sizeof(struct thing) - 1);"),
                      changes("size"))

    def test_what_is_dropped(self):
        self.assertEqual([before for _, before, _ in changes("drop")], [
            "t->a = (uint32_t)-n;", "t->b[0] = flags & ONE_FLAG;",
            "use(t, FIRST_FLAG | OTHER_FLAG);", "use(t, ~i);", "continue;",
            "case 4: use(t, 0); break;", "case 4: use(t, 0); break;", "default: break;"])

    def test_what_is_swapped(self):
        found = changes("swap")
        self.assertEqual(found, [
            work("t->b[0] = flags & ONE_FLAG; use(t, FIRST_FLAG | OTHER_FLAG);",
                 "use(t, FIRST_FLAG | OTHER_FLAG); t->b[0] = flags & ONE_FLAG;")])
        dependent = "int f(void)\n{\n\ta = 1;\n\tb = a;\n\treturn b;\n}\n"
        self.assertEqual(len(changes("swap", dependent)), 1)
        apart = "int f(void)\n{\n\ta->x = g(1);\n\tb->y |= 2;\n\treturn 0;\n}\n"
        self.assertEqual(changes("swap", apart), [])

    def test_texts_and_declarations_stay(self):
        for mutant in rules.mutants_of("f.c", SAMPLE):
            self.assertNotIn("assert", mutant.before)
            self.assertNotIn("comment", mutant.before)
            self.assertFalse("error_set" in mutant.before and mutant.rule != "condition")
            self.assertFalse(mutant.before.startswith("struct thing {"))

    def test_lines_stay_where_they_are(self):
        for file, text in campaign.sources(ROOT, ["translator", "monitor/vm"]).items():
            for mutant in rules.mutants_of(file, text):
                changed = mutant.apply(text)
                self.assertEqual(changed.count("\n"), text.count("\n"), str(mutant))
                self.assertNotEqual(changed, text)


class Choice(unittest.TestCase):
    def setUp(self):
        self.mutants = rules.mutants_of("f.c", SAMPLE)

    def test_same_seed_same_order(self):
        def names(seed):
            return [m.identity() for m in rules.order(self.mutants, seed)]
        self.assertEqual(names("1"), names("1"))
        self.assertNotEqual(names("1"), names("2"))
        self.assertEqual(sorted(names("1")), sorted(m.identity() for m in self.mutants))

    def test_a_change_elsewhere_keeps_the_order(self):
        longer = rules.mutants_of("f.c", "int other(void)\n{\n\treturn 3;\n}\n" + SAMPLE)
        kept = [m.identity() for m in rules.order(longer, "1") if m.function != "other"]
        mine = [m.identity() for m in rules.order(self.mutants, "1")]
        moved = sum(a != b for a, b in zip(kept, mine))
        self.assertLess(moved, len(mine) / 2)

    def test_identities_differ(self):
        found = [m.identity() for m in self.mutants]
        self.assertEqual(len(found), len(set(found)))

    def test_quotas(self):
        self.assertEqual(rules.quotas({"a": 90, "b": 10}, 10), {"a": 9, "b": 1})
        self.assertEqual(rules.quotas({"a": 990, "b": 10}, 10), {"a": 9, "b": 1})
        self.assertEqual(sum(rules.quotas({"a": 7, "b": 7, "c": 7}, 100).values()), 100)

    def test_each_room_has_its_suites(self):
        for file in campaign.sources(ROOT, []):
            self.assertTrue(judges.suites_for(file), file)
        self.assertEqual(judges.suites_for("monitor/bt/soft.c")[0], "bt")


def record(outcome, before="a < b", by=""):
    return {"file": "devices/x.c", "function": "f", "rule": "condition", "before": before,
            "after": "a <= b", "outcome": outcome, "by": by, "line": 1, "identity": before}


class Report(unittest.TestCase):
    LIST = "# why\n\ndevices/x.c f condition\n- a < b\n+ a <= b\n  Never equal,\n  that is so.\n"

    def read(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".list") as f:
            f.write(text)
            f.flush()
            return report.read_survivors(f.name)

    def test_list(self):
        self.assertEqual(self.read(self.LIST), {
            ("devices/x.c", "f", "condition", "a < b", "a <= b"): "Never equal, that is so."})
        for broken in ("devices/x.c f condition\n- a\n+ b\n", "devices/x.c f\n- a\n+ b\n  why\n",
                       "- a\n+ b\n  why\n"):
            with self.assertRaises(ValueError):
                self.read(broken)

    def test_the_list_of_the_house_is_of_mutants_there_are(self):
        for key in report.read_survivors(os.path.join(HERE, "survivors")):
            with open(os.path.join(ROOT, key[0]), encoding="utf-8") as f:
                mutants = rules.mutants_of(key[0], f.read())
            self.assertIn(tuple(key), {m.key() for m in mutants}, "no such mutant any more")

    def write(self, records):
        listed = self.read(self.LIST)
        out, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")
        try:
            return report.write(records, listed)
        finally:
            sys.stdout.close()
            sys.stdout = out

    def test_status(self):
        killed = [record("killed", f"a < {n}", "test") for n in range(9)]
        self.assertEqual(self.write(killed), 0)
        self.assertEqual(self.write(killed + [record("survived")]), 0, "it is listed")
        self.assertEqual(self.write(killed + [record("survived", "a < c")]), 1)
        self.assertEqual(self.write(killed[1:] + [record("survived")]), 1, "too few")
        self.assertEqual(self.write([record("same code")]), 1, "nothing was judged")

    def test_what_failed_is_named(self):
        self.assertEqual(judges.what_failed("[FAIL] pic::eoi: (0s)", 1), "pic::eoi")
        self.assertEqual(judges.what_failed("", 139), "exit status 139")


class Directory(unittest.TestCase):
    def test_it_is_one_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            arguments = argparse.Namespace(directory=folder, count=1)
            first = campaign.Campaign(ROOT, arguments, {})
            first.lock_directory()
            with self.assertRaises(campaign.InUse):
                campaign.Campaign(ROOT, arguments, {}).lock_directory()
            first.lock_file.close()
            campaign.Campaign(ROOT, arguments, {}).lock_directory()


class Runs(unittest.TestCase):
    class Test:
        def __init__(self, *command):
            self.command, self.environment = list(command), {}

    def test_outcomes(self):
        runner = judges.Runner("/")
        self.assertEqual(runner.run(self.Test("true"))[:2], (False, ""))
        self.assertFalse(runner.run(self.Test("sh", "-c", "exit 77")).failed)
        self.assertTrue(runner.run(self.Test("false")).failed)
        self.assertEqual(runner.run(self.Test("sh", "-c", "kill -SEGV $$")).how, "exit status -11")

    def test_each_job_runs_what_it_has_built(self):
        test = self.Test("/w/0/source/tests/run", "--emulator", "/w/0/build/ringfence", "--jobs")
        self.assertEqual(judges.Runner("/w/1/build", "/w/0/build").command(test), [
            "/w/1/source/tests/run", "--emulator", "/w/1/build/ringfence", "--jobs"])

    def test_programs_that_hold_a_file(self):
        with tempfile.TemporaryDirectory() as directory:
            shop = workshop.Workshop(directory, directory)
            os.mkdir(shop.build)
            with open(os.path.join(shop.build, "program"), "wb") as f:
                f.write(b"\0test_devices_i8042.c\0i8254.c\0pci.cc\0")
            for name in ("i8042.c", "i8254.c"):
                self.assertTrue(shop.contains("program", "devices/chips/" + name), name)
            for name in ("pci.c", "8042.h"):
                self.assertFalse(shop.contains("program", "devices/bus/" + name), name)

    def test_what_hangs_is_ended(self):
        runner = judges.Runner("/")
        self.assertEqual(runner.run(self.Test("sleep", "600"), 0.5).how, "hangs")
        left = runner.run(self.Test("sh", "-c", "setsid sleep 1 & sleep 600 & exit 0"), 300)
        self.assertFalse(left.failed)
        self.assertLess(left.seconds, 60)
        spins = runner.run(self.Test("sh", "-c", "while :; do :; done"), 300, 0.1)
        self.assertTrue(spins.failed)
        self.assertNotEqual(spins.how, "hangs")


if __name__ == "__main__":
    unittest.main()
