# SPDX-License-Identifier: GPL-2.0-or-later
"""What real systems boot from: found where Debian's packages put it, or made of what they hold."""
import os
import shutil
import subprocess

from machine import run

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.join(HERE, '..', '..')
GUEST = os.path.realpath(os.environ.get('RINGFENCE_GUEST', os.path.join(ROOT, 'guest')))
GRUB_MODULES = '/usr/lib/grub/i386-pc'


class Missing(Exception):
    """A system cannot be tried here; says what is missing, and which package has it."""


def installed(path, package):
    if not os.path.exists(path):
        raise Missing(f"Debian's package {package} is not installed")
    return path


def fetched(*names):
    """Files below guest/systems, which tests/guest-image/fetch fills."""
    paths = [os.path.join(GUEST, 'systems', name) for name in names]
    if not all(os.path.exists(p) for p in paths):
        run(os.path.join(ROOT, 'tests/guest-image/fetch'), 'systems', stdin=subprocess.DEVNULL)
    return paths if len(paths) > 1 else paths[0]


def grub_cd(name, entry, files):
    """A CD whose GRUB starts entry, lines of its configuration; files: {name below /boot: path}."""
    installed(GRUB_MODULES, 'grub-pc-bin')
    for program, package in (('grub-mkrescue', 'grub-common'), ('xorriso', 'xorriso'),
                             ('mformat', 'mtools')):
        if not shutil.which(program):
            raise Missing(f"Debian's package {package} is not installed")
    folder = os.path.join(GUEST, 'systems', name + '.cd')
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, 'boot/grub'))
    for target, path in files.items():
        shutil.copy(path, os.path.join(folder, 'boot', target))
    with open(os.path.join(folder, 'boot/grub/grub.cfg'), 'w', encoding='utf-8') as f:
        f.write('set timeout=0\nmenuentry it {\n' + entry + '}\n')
    image = os.path.join(GUEST, 'systems', name + '.iso')
    run('grub-mkrescue', '-d', GRUB_MODULES, '-o', image + '.new', folder)
    os.replace(image + '.new', image)
    return image
