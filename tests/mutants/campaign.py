# SPDX-License-Identifier: GPL-2.0-or-later
"""A run: workshops are built, the tests pass without a mutant, then each mutant is judged. What has
been judged is in judged.jsonl, a line a mutant, so that nothing is lost by an interrupt."""
import collections
import fcntl
import json
import os
import queue
import threading
import time

import judges
import rules
import workshop

AREAS = ("translator", "shadowmmu", "monitor", "devices")


class InUse(Exception):
    """Another run works in the same directory."""


class BadBaseline(Exception):
    """Without a mutant some test fails; says which."""


def sources(root, chosen):
    """{file: text} of the product's C files, or of those chosen."""
    wanted = [os.path.normpath(os.path.relpath(os.path.abspath(c), root)
                               if os.path.isabs(c) else c) for c in chosen]
    texts = {}
    for file in workshop.source_files(root):
        if not file.endswith(".c") or file.split("/")[0] not in AREAS:
            continue
        if wanted and not any(file == w or file.startswith(w + "/") for w in wanted):
            continue
        with open(os.path.join(root, file), encoding="utf-8") as f:
            texts[file] = f.read()
    return texts


def say(text):
    print(text, flush=True)


class Campaign:
    """found: {file: mutants in order}; arguments: those of the command line."""

    def __init__(self, root, arguments, found):
        self.root, self.arguments, self.found = root, arguments, found
        self.directory = os.path.abspath(arguments.directory)
        self.wanted = rules.quotas({f: len(m) for f, m in found.items()}, arguments.count)
        self.digests = {f: workshop.digest(os.path.join(root, f)) for f in found}
        self.lock, self.stopping = threading.Lock(), False
        self.order, self.unlinked = judges.Order(), set()
        self.known, self.done, self.tests_of = {}, [], {}
        self.seconds, self.cpu = {}, {}

    def run(self):
        """Judges all; returns a list of records (the lines of judged.jsonl)."""
        os.makedirs(self.directory, exist_ok=True)
        self.lock_directory()
        self.read_known()
        shops = [workshop.Workshop(self.root, os.path.join(self.directory, str(n)))
                 for n in range(self.arguments.jobs)]
        for shop in shops:
            say(f"== Building in {shop.directory}")
            shop.prepare(self.arguments.jobs)
        self.baseline(shops)
        files = sorted(self.found, key=lambda f: (-self.wanted[f], f))
        say(f"== {sum(self.wanted.values())} mutants of {len(self.found)} files")
        with open(self.log_path(), "a", encoding="utf-8") as self.log:
            self.share(shops, files, self.judge_file)
        return self.done

    def lock_directory(self):
        """Two runs would build in each other's sources."""
        self.lock_file = open(os.path.join(self.directory, "lock"), "w", encoding="utf-8")
        try:
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"another run works in {self.directory}; wait for it, or give "
                        "--directory another one") from None

    def judged_before(self):
        """The records there are of the mutants that run() would judge."""
        self.read_known()
        for file, mutants in self.found.items():
            counted = 0
            for mutant in mutants:
                record = self.known.get(mutant.identity())
                if counted < self.wanted[file] and record:
                    counted += record["outcome"] in ("killed", "survived")
                    self.done.append(record)
        return self.done

    def share(self, shops, items, do):
        """Calls do(shop, item) for all items, in as many threads as there are shops."""
        left, errors = queue.Queue(), []
        for item in items:
            left.put(item)

        def work(shop):
            try:
                while not self.stopping:
                    do(shop, left.get_nowait())
            except queue.Empty:
                pass
            except Exception as error:  # for the main thread
                errors.append(error)
                self.stopping = True
        threads = [threading.Thread(target=work, args=(s,), daemon=True) for s in shops]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.5)
        except KeyboardInterrupt:
            self.stopping = True
            for thread in threads:  # nothing is left that builds or runs in the directory
                thread.join()
            raise
        if errors:
            raise errors[0]

    def log_path(self):
        return os.path.join(self.directory, "judged.jsonl")

    def read_known(self):
        """What was judged before, of the files as they are now."""
        if self.arguments.fresh and os.path.exists(self.log_path()):
            os.unlink(self.log_path())
        if not os.path.exists(self.log_path()):
            return
        with open(self.log_path(), encoding="utf-8") as f:
            for line in f:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue  # cut short by an interrupt
                if record["outcome"] == "killed":
                    self.order.note(record["file"], record["by"], record["how"])
                if record["digest"] == self.digests.get(record["file"]):
                    self.known[record["identity"]] = record
        if self.arguments.again:
            for record in self.known.values():
                record["asked"] = []

    # The tests without a mutant.

    def baseline(self, shops):
        shop = shops[0]
        wanted = set().union(*(judges.suites_for(f, self.arguments.depth) for f in self.found))
        self.found_in, self.first_shop = shop.build, shop
        self.tests = {name: t for name, t in judges.tests_of(shop.build).items()
                      if t.suites & wanted and t.programs}
        path = os.path.join(self.directory, "baseline.json")
        times = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                times = json.load(f)
        for each in shops:
            each.remember({p for t in self.tests.values() for p in t.programs})
        keys = {name: test.key(shop.unmutated) for name, test in self.tests.items()}
        missing = [n for n in sorted(keys) if n not in times or times[n]["key"] != keys[n]]
        if missing:
            say(f"== {len(missing)} tests without a mutant")

        def measure(shop, name):
            seconds, cpu = self.time(shop, name)
            with self.lock:
                times[name] = {"key": keys[name], "seconds": seconds, "cpu": cpu}
                with open(path, "w", encoding="utf-8") as f:
                    json.dump(times, f, indent=1)
        self.share(shops, missing, measure)
        self.seconds = {name: times[name]["seconds"] for name in keys}
        self.cpu = {name: times[name]["cpu"] for name in keys}

    def time(self, shop, name):
        """(seconds, processor seconds); a test that a busy host fails may try again."""
        runner = judges.Runner(shop.build, self.found_in)
        shop.make(*self.tests[name].programs)
        for _ in range(2):
            outcome = runner.run(self.tests[name], 900)
            if not outcome.failed:
                say(f"   {name}: {outcome.seconds:.1f} s")
                return outcome.seconds, outcome.cpu
        raise BadBaseline(f"{name} fails without a mutant: {outcome.how}\n{outcome.text[-2000:]}")

    # A mutant.

    def judge_file(self, shop, file):
        counted = 0
        touched = False
        for mutant in self.found[file]:
            if counted == self.wanted[file] or self.stopping:
                break
            record = self.known.get(mutant.identity())
            if not record or self.is_open(record):
                touched = True
                record = self.judge(shop, mutant, record["asked"] if record else [])
                if not record:
                    break
            counted += record["outcome"] in ("killed", "survived")
            self.take(record)
        if touched:
            shop.restore(file)

    def is_open(self, record):
        """Whether there are tests that have not been asked about a survivor."""
        return record["outcome"] == "survived" and \
            bool(set(self.related(record["file"])) - set(record["asked"]))

    def related(self, file):
        """The names of the tests about a file, and that contain it."""
        if file not in self.tests_of:
            suites = set(judges.suites_for(file, self.arguments.depth))
            self.tests_of[file] = [
                name for name, test in self.tests.items() if test.suites & suites and
                self.cpu[name] <= (self.arguments.longest or float("inf")) and
                any(self.first_shop.contains(p, file) for p in test.programs)]
        return self.tests_of[file]

    def take(self, record):
        with self.lock:
            self.done.append(record)

    def judge(self, shop, mutant, asked):
        """The record of a mutant that is judged now, or None if that was interrupted; asked: the
        tests it has survived."""
        started = time.monotonic()
        outcome, by, how = shop.mutate(mutant), "", ""
        names = [name for name in self.related(mutant.file) if name not in asked]
        if outcome == "made":
            outcome, by, how = self.ask(shop, mutant, names)
        if self.stopping:
            return None
        record = {"identity": mutant.identity(), "digest": self.digests[mutant.file],
                  "file": mutant.file, "function": mutant.function, "rule": mutant.rule,
                  "line": mutant.line, "before": mutant.before, "after": mutant.after,
                  "outcome": outcome, "by": by, "how": how, "asked": asked + names,
                  "seconds": round(time.monotonic() - started, 1)}
        with self.lock:
            self.log.write(json.dumps(record) + "\n")
            self.log.flush()
            counted = sum(r["outcome"] in ("killed", "survived") for r in self.done)
        say(f"[{counted:4}] {outcome}{' by ' + by if by else ''}{' (' + how + ')' if how else ''}"
            f" {record['seconds']} s: {mutant}")
        return record

    def ask(self, shop, mutant, names):
        """(outcome, the test that killed it, how)"""
        runner = judges.Runner(shop.build, self.found_in)
        file = mutant.file
        turns = [(name, case) for name, case in self.order.cases(file) if name in names]
        turns += [(name, "") for name in self.order.sort(file, names, self.seconds)]
        for name, case in turns:
            if self.stopping:
                break
            if not self.is_changed(shop, file, name):
                continue
            how = self.kills(runner, name, case)
            if how or not case:
                self.order.note(file, name, how)
            if how:
                return "killed", name, how
        return "survived", "", ""

    def is_changed(self, shop, file, name):
        """Makes a test's programs; whether the mutated file is part of them."""
        programs = self.tests[name].programs
        if (file, name) in self.unlinked:
            return False
        if shop.make(*programs) and all(shop.program_digest(p) == shop.unmutated[p]
                                        for p in programs):
            self.unlinked.add((file, name))
            return False
        return True

    def kills(self, runner, name, case):
        """How the test, or a case of it, fails, or ""."""
        wall = max(judges.PATIENCE_LEAST, judges.PATIENCE * self.seconds[name])
        cpu = max(judges.CPU_PATIENCE_LEAST, judges.CPU_PATIENCE * self.cpu[name])
        first = runner.run(self.tests[name].alone(case), wall, cpu)
        steady = self.tests[name].suites & judges.STEADY
        if not first.failed or steady or first.how == "hangs":
            return first.how
        second = runner.run(self.tests[name].alone(first.how), wall, cpu)
        return first.how if second.failed else ""


def figures(records):
    """{file: Counter of outcomes}"""
    found = collections.defaultdict(collections.Counter)
    for record in records:
        found[record["file"]][record["outcome"]] += 1
    return found
