#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The processor's modes: an image of our own prints a line for each of some thousands of cases. The
lines are compared with those that Bochs gave, corrected where it is wrong.

usage: modes_test.py RINGFENCE IMAGE      on the engine ENGINE of the environment
       modes_test.py --bochs IMAGE        what Bochs says now, against the recording
       modes_test.py --record IMAGE       makes the recording

The recording is tests/recordings/modes-bochs.gz. tests/modes/bochs-differs has what is right in
its place, or left open, and why. What needs SeaBIOS, or Bochs, is skipped without it.
"""
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'cli'))
import needs_engine  # pylint: disable=wrong-import-position

RECORDING = os.path.join(HERE, '..', 'recordings', 'modes-bochs.gz')
DIFFERS = os.path.join(HERE, 'bochs-differs')
SEABIOS = '/usr/share/seabios/bios-256k.bin'
BOCHS_BIOS = '/usr/share/bochs/BIOS-bochs-latest'
TIMEOUT = 550
SKIPPED = 77

# One processor of a CPU model that ringfence has, too. The slower the clock, the fewer instructions
# go by while the serial port sends a byte.
BOCHS = '''display_library: term
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=p3_katmai, count=1, ips=1000000, reset_on_triple_fault=0
megs: 16
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path=modes.img, mode=flat, cylinders=1, heads=16, spt=63
boot: disk
com1: enabled=1, mode=file, dev=lines
log: bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
'''


def skip(why):
    print('skipped: ' + why)
    sys.exit(SKIPPED)


def run_ringfence(program, image, engine):
    needs_engine.or_skip(program, engine)
    if not os.path.exists(SEABIOS):
        skip("there is no SeaBIOS: install Debian's package seabios")
    with tempfile.NamedTemporaryFile() as lines:
        run = subprocess.run([program, '-accel', engine, '-cpu', 'pentium3', '-m', '16', '-display',
                              'none', '-no-reboot', '-snapshot', '-hda', image, '-debugcon',
                              'file:' + lines.name, '-device',
                              'isa-debug-exit,iobase=0xf4,iosize=1'], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, check=False, timeout=TIMEOUT)
        print(run.stderr, end='')
        return lines.read().decode()


def run_bochs(image):
    """Its screen needs a terminal, its debugger a command; what it prints is of no interest."""
    if not shutil.which('bochs'):
        skip("there is no Bochs: install Debian's packages bochs and bochs-term")
    # Meson's MALLOC_PERTURB_ would have Bochs meet memory that it relies on to be zero.
    environment = {**os.environ, 'TERM': 'xterm'}
    environment.pop('MALLOC_PERTURB_', None)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(image, os.path.join(folder, 'modes.img'))
        for name, text in (('rc', BOCHS), ('go', 'c\n')):
            with open(os.path.join(folder, name), 'w', encoding='ascii') as f:
                f.write(text)
        subprocess.run(['script', '-qec', 'bochs -q -f rc -rc go', '/dev/null'], cwd=folder,
                       env=environment, stdin=subprocess.DEVNULL,
                       capture_output=True, check=False, timeout=TIMEOUT)
        if not os.path.exists(os.path.join(folder, 'lines')):
            sys.exit('Bochs wrote nothing: is the package bochs-term there, and script?')
        with open(os.path.join(folder, 'lines'), encoding='ascii') as f:
            return f.read()


def cases(text):
    """The lines by case, "AREA: NAME"; a name that comes again is numbered."""
    lines = text.split('\n')
    if lines[:1] != ['modes'] or lines[-2:] != ['end', '']:
        sys.exit('the run did not come to its end; last line: ' + repr(lines[-1] or lines[-2:]))
    found = {}
    for line in lines[1:-2]:
        area, name, result = line.split(': ', 2)
        case, number = f'{area}: {name}', 2
        while case in found:
            case = f'{area}: {name} #{number}'
            number += 1
        found[case] = result
    return found


class Rule:
    """Cases (a regular expression) in which Bochs is not to be followed: `open`, what of the lines
    is left open (another); or `right`, what is to be replaced in its line, and by what."""

    def __init__(self, line):
        try:
            self.case, kind, *self.words = re.split(r'\t+', line)
            self.case = re.compile(self.case)
            self.replace = {'open': self.leave_open, 'right': self.correct}[kind]
            self.pattern = re.compile(self.words[0])
        except (ValueError, KeyError, re.error) as error:
            sys.exit(f'{DIFFERS}: {line!r}: {error}')
        self.line, self.used = line, False

    def leave_open(self, expected, got):
        return self.pattern.sub('', expected), self.pattern.sub('', got)

    def correct(self, expected, got):
        return self.pattern.sub(self.words[1], expected), got

    def apply(self, case, expected, got):
        if expected == got or not self.case.fullmatch(case):
            return expected, got
        changed = self.replace(expected, got)
        self.used |= changed != (expected, got)
        return changed


def rules():
    with open(DIFFERS, encoding='ascii') as f:
        return [Rule(line.rstrip('\n')) for line in f if line.strip() and line[0] != '#']


def compare(expected, got, table, lenient=False):
    """lenient: rules may be without use, for a processor may do as Bochs does."""
    failed = 0
    for case in sorted(expected.keys() | got.keys()):
        want, have = expected.get(case, 'nothing'), got.get(case, 'nothing')
        for rule in table:
            want, have = rule.apply(case, want, have)
        if want != have:
            failed += 1
            print(f'{case}\n  want {want}\n  got  {have}')
    for rule in table:
        if not rule.used and not lenient:
            failed += 1
            print(f'nothing differs any more by the rule {rule.line!r}: take it out')
    print(f'{len(expected)} cases, {failed} failed')
    return failed


def main(args):
    if len(args) != 2:
        sys.exit(__doc__)
    if args[0] == '--record':
        text = run_bochs(args[1])
        cases(text)
        with open(RECORDING, 'wb') as f:
            f.write(gzip.compress(text.encode(), mtime=0))
        return 0
    with gzip.open(RECORDING, 'rt', encoding='ascii') as f:
        expected = cases(f.read())
    if args[0] == '--bochs':
        return bool(compare(expected, cases(run_bochs(args[1])), []))
    engine = os.environ.get('ENGINE', 'interp')
    got = cases(run_ringfence(*args, engine))
    return bool(compare(expected, got, rules(), lenient=engine.startswith('kvm')))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
