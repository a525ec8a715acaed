# SPDX-License-Identifier: GPL-2.0-or-later
"""The systems, and what each has to show."""
import collections

import os

import debian
import media
from machine import Failed, Machine, expect

# emulator: its path; picture: where the last screen goes, or None.
Run = collections.namedtuple('Run', 'emulator engine picture')
# long: takes more than a minute.
System = collections.namedtuple('System', 'name title long run')


def machine_of(run, *arguments):
    return Machine(run.emulator, '-accel', run.engine, *arguments)


def finish(run, machine):
    if run.picture:
        machine.picture(run.picture)


def memtest(run):
    """All tests but the last, which waits for memory to forget, in the least memory."""
    iso = media.installed('/usr/lib/memtest86+/memtest86+ia32.iso', 'memtest86+')
    with machine_of(run, '-m', '8', '-cdrom', iso, '-boot', 'd') as m:
        screen = m.wait_for('Test #10', 600)
        expect(screen, r'Memory  :\s+8MB', r'Errors: 0\s')
        finish(run, m)


def grub_shell(run, *medium):
    with machine_of(run, '-m', '32', *medium) as m:
        m.wait_for('Press enter to boot', 120)
        m.type('c')
        m.wait_for('grub>', 60)
        m.type('ls\n')
        finish(run, m)
        return m.wait_for('(', 60)


def grub_cd(run):
    iso = media.installed('/usr/lib/grub-rescue/grub-rescue-cdrom.iso', 'grub-rescue-pc')
    expect(grub_shell(run, '-cdrom', iso, '-boot', 'd'), r'\(cd\)')


def grub_floppy(run):
    image = media.installed('/usr/lib/grub-rescue/grub-rescue-floppy.img', 'grub-rescue-pc')
    expect(grub_shell(run, '-fda', image, '-snapshot', '-boot', 'a'), r'\(fd0\)')


def ipxe(run):
    """To its shell: it has no network device to boot from."""
    iso = media.installed('/usr/lib/ipxe/ipxe.iso', 'ipxe')
    with machine_of(run, '-m', '64', '-cdrom', iso, '-boot', 'd') as m:
        m.wait_for('Press Ctrl-B', 120)
        m.key('ctrl-b')
        m.wait_for('iPXE>', 60)
        m.type('echo ${version}\n')
        expect(m.wait_for('iPXE> echo', 60), 'Features:.*HTTP')
        finish(run, m)


def gnumach(run):
    """The kernel alone, which looks at the machine and then misses the rest of the Hurd."""
    kernel = media.fetched('gnumach.gz')
    iso = media.grub_cd('gnumach', '\tmultiboot /boot/gnumach.gz\n', {'gnumach.gz': kernel})
    with machine_of(run, '-m', '64', '-cdrom', iso, '-boot', 'd') as m:
        screen = m.wait_for('No bootstrap code loaded', 120)
        expect(screen, 'PCI BIOS revision 2.10', 'PIIX3.*DMA Bus Mastering',
               r'ide1: BM-DMA at', 'ATAPI CDROM drive', 'FDC 0 is a post-1991 82077')
        finish(run, m)


def installer(run):
    """The text installer, to its first question."""
    linux, initrd = media.fetched('installer-linux', 'installer-initrd.gz')
    iso = media.grub_cd('installer', '\tlinux /boot/linux vga=normal nomodeset\n'
                        '\tinitrd /boot/initrd.gz\n', {'linux': linux, 'initrd.gz': initrd})
    with machine_of(run, '-m', '512', '-cdrom', iso, '-boot', 'd') as m:
        screen = m.wait_for('Select a language', 600)
        expect(screen, 'English', 'Go Back')
        finish(run, m)


PROGRAM = r"""printf '#include <stdio.h>\nint main() { printf("%%d\\n", 6 * 7); }\n' >a.c"""


def debian_disk(run):
    """Debian installs itself, boots from its disk, compiles a program, and powers off."""
    folder = os.path.join(media.GUEST, 'systems')
    disk = os.path.join(folder, 'debian.img')
    debian.first_stage(os.path.join(folder, 'debian'))
    debian.make_disk(disk, os.path.join(folder, 'debian'))
    linux, initrd = debian.kernel()
    with machine_of(run, '-m', '512', '-hda', disk, '-kernel', linux, '-initrd', initrd,
                    '-append', 'quiet', '-vga', 'std') as m:
        expect(m.wait_for('installed: ', 3600), 'installed: 0')
        m.wait_for_end(120)
    with machine_of(run, '-m', '512', '-hda', disk) as m:
        m.wait_for('login:', 600)
        m.type('root\n')
        m.wait_for('root@ringfence', 120)
        m.type(PROGRAM + '\n')
        m.type('tcc a.c -o a && ./a && echo "it" ran\n')
        expect(m.wait_for('it ran', 120), r'\n42\n')
        finish(run, m)
        m.type('poweroff\n')
        m.wait_for_end(300)
    check = debian.check_disk(disk)
    if check.returncode:
        raise Failed('e2fsck: ' + check.stdout)


SYSTEMS = [
    System('memtest', 'memtest86+ from its CD, with 8 MiB', False, memtest),
    System('grub-cd', "GRUB's rescue CD, to its shell", False, grub_cd),
    System('grub-floppy', "GRUB's rescue floppy, to its shell", False, grub_floppy),
    System('ipxe', "iPXE's CD, to its shell", False, ipxe),
    System('gnumach', 'GNU Mach from a CD by GRUB', False, gnumach),
    System('installer', "Debian 12's installer from a CD by GRUB", True, installer),
    System('debian', 'Debian, which installs itself and boots from its disk', True, debian_disk),
]
