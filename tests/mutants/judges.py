# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests that judge mutants: which are about what, in what order they are asked, how one runs.

A test kills a mutant when it fails, crashes or hangs; one that depends on time or threads has to
do so twice, since a busy host is no witness. First asked are the cases
that killed other mutants of the same file or directory, each alone; then whole programs, those that
have killed most in the least time before others.
"""
import collections
import copy
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import threading
import time

# The suites of tests/meson.build that are about what is below a directory, the nearest first; the
# longest name counts.
SUITES = {
    "translator": ["translator", "bt", "fuzz", "guest"],
    "shadowmmu": ["shadowmmu", "bt", "guest"],
    "devices": ["devices", "monitor", "cli", "guest"],
    "monitor/backends": ["monitor", "cli"],
    "monitor/boot": ["monitor", "cli"],
    "monitor/bt": ["bt", "cli", "fuzz", "guest"],
    "monitor/control": ["monitor", "cli"],
    "monitor/gdb": ["monitor", "cli"],
    "monitor/interp": ["interp", "monitor", "bt", "fuzz", "guest"],
    "monitor/kvm": ["monitor", "cli"],
    "monitor/machine": ["monitor", "cli"],
    "monitor/screen": ["monitor", "cli"],
    "monitor/processor": ["monitor", "interp", "bt", "guest", "cli"],
    "monitor/vm": ["monitor", "interp", "bt", "cli", "guest"],
}
# What depends on neither time nor threads.
STEADY = {"translator", "shadowmmu", "devices"}
CASES = 3  # that are asked alone, before whole programs
# The fuzzers' random search and the second opinion of another emulator take minutes; what they
# found is in "regressions".
LEFT_OUT = re.compile(r"^(fuzz|hostile-fuzz.*|guest-unicorn|cli-words|.*-kvm|kvm)$")
KEPT = 65536  # of what a test writes
# Of a test's usual time: what hangs or spins takes more.
PATIENCE, PATIENCE_LEAST = 10, 40
CPU_PATIENCE, CPU_PATIENCE_LEAST = 3, 6

Outcome = collections.namedtuple("Outcome", "failed how seconds cpu text")


def suites_for(file, depth=None):
    """The suites about a file; with a depth only as many, the nearest."""
    folders = [f for f in SUITES if file.startswith(f + "/")]
    return SUITES[max(folders, key=len)][:depth] if folders else []


class Test:
    """One test of meson's: command, environment, suites, and the files of the build it runs."""

    def __init__(self, entry, build):
        self.name, self.command = entry["name"], list(entry["cmd"])
        self.suites = {s.split(":")[-1] for s in entry["suite"]}
        self.environment = dict(entry.get("env") or {})
        self.programs = [os.path.relpath(word, build) for word in self.command
                         if word.startswith(build + os.sep)]
        self.criterion = os.path.basename(self.command[0]).startswith("test_")
        if self.criterion:
            self.command += ["--jobs", "1", "--fail-fast"]

    def key(self, unmutated):
        """Differs when what the test is made of does; unmutated: the digests of programs."""
        whole = hashlib.sha256(" ".join(unmutated[p] for p in self.programs).encode())
        script = self.command[0]
        if not self.criterion and os.path.isfile(script):
            with open(script, "rb") as f:
                whole.update(f.read())
        return whole.hexdigest()

    def alone(self, case):
        """This test with one case, "suite::name", of a Criterion program; else as it is."""
        other = copy.copy(self)
        if self.criterion and re.fullmatch(r"\w+::\w+", case):
            other.command = self.command + ["--filter", case.replace("::", "/")]
        return other


def tests_of(build):
    """{name: Test} of a build directory."""
    text = subprocess.run(["meson", "introspect", "--tests", build], check=True,
                          capture_output=True, text=True).stdout
    tests = [Test(entry, build) for entry in json.loads(text)]
    return {t.name: t for t in tests if not LEFT_OUT.match(t.name)}


class Runner:
    """Runs tests in one build directory, whichever one they were found in."""

    def __init__(self, build, found_in=None):
        self.build, self.found_in = build, found_in or build

    def command(self, test):
        """What runs the test here. Scripts are those of the sources beside the build."""
        return [word.replace(os.path.dirname(self.found_in), os.path.dirname(self.build))
                if word.startswith("/") else word for word in test.command]

    def run(self, test, wall=None, cpu=None):
        def limit():
            if cpu:
                resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 6))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        started, before = time.monotonic(), os.times()
        process = subprocess.Popen(
            self.command(test), cwd=self.build, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=limit,
            start_new_session=True, env={**os.environ, **test.environment})
        tail = collections.deque(maxlen=KEPT // 4096)
        reader = threading.Thread(target=lambda: tail.extend(iter(
            lambda: process.stdout.read1(4096), b"")), daemon=True)
        reader.start()
        try:
            process.wait(wall)
            how = ""
        except subprocess.TimeoutExpired:
            how = "hangs"
        end_session(process)
        reader.join(5)
        process.stdout.close()
        after = os.times()
        text = b"".join(tail).decode(errors="replace")
        failed = bool(how) or process.returncode not in (0, 77)
        if failed and not how:
            how = what_failed(text, process.returncode)
        return Outcome(failed, how,
                       time.monotonic() - started,
                       after.children_user + after.children_system - before.children_user -
                       before.children_system, text)


def end_session(process):
    """Ends what a test has left, in whatever process group: a mutant may forget its children."""
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                session = int(f.read().rsplit(")", 1)[1].split()[3])
            if session == process.pid:
                os.kill(int(entry), signal.SIGKILL)
        except (OSError, IndexError, ValueError):
            continue  # no process, or gone
    process.wait()


def what_failed(text, status):
    """The first thing that a failed test names."""
    for pattern in (r"\[FAIL\] (\w+::\w+)", r"^(FAILED [^\n]{1,80})", r"^FAIL: (\w+)",
                    r"^ERROR: (\w+)", r"^([^\n]*Assertion[^\n]{1,100})"):
        match = re.search(pattern, text, re.M)
        if match:
            return match.group(1)
    return f"exit status {status}"


class Order:
    """What has killed what, and hence which test to ask first."""

    def __init__(self):
        self.lock = threading.Lock()
        self.asked, self.killed = collections.Counter(), collections.Counter()
        self.by_case = collections.defaultdict(collections.Counter)

    def note(self, file, test, how):
        """The test was asked about a mutant of file, and failed as how says, or not: ""."""
        with self.lock:
            for about in (file, os.path.dirname(file)):
                self.asked[about, test] += 1
                self.killed[about, test] += bool(how)
                if re.fullmatch(r"\w+::\w+", how):
                    self.by_case[about][test, how] += 1

    def cases(self, file):
        """[(test, case)] that have killed most, in the file before its directory."""
        with self.lock:
            mine = [key for key, _ in self.by_case[file].most_common(CASES)]
            theirs = [key for key, _ in self.by_case[os.path.dirname(file)].most_common(CASES)]
        return (mine + [key for key in theirs if key not in mine])[:CASES]

    def sort(self, file, tests, seconds):
        """tests, those with the most kills a second first."""
        def worth(name):
            chance = []
            for about in (file, os.path.dirname(file)):
                chance.append((self.killed[about, name] + 0.2) / (self.asked[about, name] + 1))
            return (3 * chance[0] + chance[1]) / (seconds[name] + 0.3)
        with self.lock:
            return sorted(tests, key=lambda name: (-worth(name), name))
