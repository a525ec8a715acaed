# SPDX-License-Identifier: GPL-2.0-or-later
"""A private copy of the sources, built; and what becomes of it when one file is mutated.

Nothing is built or changed where the user works. Each job has a copy and a build of its own.
"""
import hashlib
import json
import os
import shutil
import subprocess

SKIPPED = ("build", "guest", ".git", "findings")
# Quick to compile, and no line numbers in what is compared.
MESON = ["-Dbuildtype=plain", "-Doptimization=2", "-Ddebug=false", "-Dtests=enabled",
         "-Dverify=disabled"]


class CannotBuild(Exception):
    """The unmutated sources do not build; says what failed."""


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def source_files(root):
    """The files of the tree, relative to it, without what is built or fetched."""
    found = []
    for folder, folders, names in os.walk(root):
        here = os.path.relpath(folder, root)
        folders[:] = sorted(d for d in folders if d != "__pycache__" and
                            (here != "." or not d.startswith(SKIPPED)))
        found += [os.path.normpath(os.path.join(here, n)) for n in sorted(names)]
    return found


def tree_digest(root, files):
    """One value for all that programs are made of."""
    whole = hashlib.sha256()
    for file in sorted(files):
        if not file.startswith(("docs/", "tests/mutants/")):
            whole.update(f"{file} {digest(os.path.join(root, file))}\n".encode())
    return whole.hexdigest()


def copy_if_other(source, target):
    try:
        if digest(source) == digest(target):
            return
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(source, target)


class Workshop:
    """One copy of the sources and its build, both below directory."""

    def __init__(self, root, directory):
        self.root, self.directory = root, directory
        self.source = os.path.join(directory, "source")
        self.build = os.path.join(directory, "build")
        self.objects, self.unmutated = {}, {}

    def run(self, *command):
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)

    def prepare(self, jobs):
        """Copies what changed, and builds all unless only a mutant is to be undone: then programs
        are made when they are needed."""
        wanted = source_files(self.root)
        for file in wanted:
            copy_if_other(os.path.join(self.root, file), os.path.join(self.source, file))
        for file in set(source_files(self.source)) - set(wanted):
            os.unlink(os.path.join(self.source, file))
        if not os.path.exists(os.path.join(self.build, "build.ninja")):
            result = self.run("meson", "setup", self.build, self.source, *MESON)
            if result.returncode:
                raise CannotBuild(result.stdout[-2000:])
        self.tree = tree_digest(self.source, wanted)
        if not self.recall():
            result = self.run("ninja", "-C", self.build, f"-j{jobs}")
            if result.returncode:
                raise CannotBuild(result.stdout[-2000:])
        self.find_objects()

    def recall(self):
        """Reads what programs are without a mutant; False if the sources were others then."""
        try:
            with open(os.path.join(self.directory, "unmutated.json"), encoding="utf-8") as f:
                kept = json.load(f)
        except (OSError, ValueError):
            return False
        if kept["tree"] == self.tree:
            self.unmutated = kept["digests"]
        return kept["tree"] == self.tree

    def find_objects(self):
        with open(os.path.join(self.build, "compile_commands.json"), encoding="utf-8") as f:
            commands = json.load(f)
        for command in commands:
            path = os.path.normpath(os.path.join(command["directory"], command["file"]))
            file = os.path.relpath(path, self.source)
            self.objects.setdefault(file, []).append(command["output"])

    def program_digest(self, program):
        return digest(os.path.join(self.build, program))

    def remember(self, programs):
        """What programs, files of the build, are without a mutant. Called without one."""
        missing = [p for p in programs if p not in self.unmutated]
        if missing:
            self.make(*missing)
        for program in missing:
            self.unmutated[program] = self.program_digest(program)
        with open(os.path.join(self.directory, "unmutated.json"), "w", encoding="utf-8") as f:
            json.dump({"tree": self.tree, "digests": self.unmutated}, f)

    def contains(self, program, file):
        """Whether what was linked may hold what a file was compiled to, by its symbols. Of names
        that end alike linkers keep the longest: "i8042.c" is the end of "test_devices_i8042.c"."""
        with open(os.path.join(self.build, program), "rb") as f:
            return os.path.basename(file).encode() + b"\0" in f.read()

    def make(self, *targets):
        """Builds targets; False when that fails."""
        return self.run("ninja", "-C", self.build, "-j1", *targets).returncode == 0

    def text(self, file):
        with open(os.path.join(self.root, file), encoding="utf-8") as f:
            return f.read()

    def put(self, file, text):
        with open(os.path.join(self.source, file), "w", encoding="utf-8") as f:
            f.write(text)

    def restore(self, file):
        self.put(file, self.text(file))
        self.make(*self.objects[file])

    def mutate(self, mutant):
        """"made", or why this is no mutant to judge: "same code" or "does not compile"."""
        objects = self.objects[mutant.file]
        before = [o for o in objects if o not in self.unmutated]
        if before:
            self.restore(mutant.file)
            self.remember(before)
        self.put(mutant.file, mutant.apply(self.text(mutant.file)))
        if not self.make(*objects):
            return "does not compile"
        same = all(self.program_digest(o) == self.unmutated[o] for o in objects)
        return "same code" if same else "made"
