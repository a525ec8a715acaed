# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian system for i386 that installs itself in the machine: debootstrap's first stage unpacks
on the host, and all that runs programs of it, the second stage and GRUB's installation, runs in the
guest. Then the disk boots by itself."""
import glob
import os
import shutil
import subprocess

import media
from machine import Failed, run

SUITE = 'bookworm'
PACKAGES = 'linux-image-686,grub-pc,systemd-sysv,tcc,libc6-dev,e2fsprogs'
DISK_MIB = 2048
PARTITION = 2048  # its first sector
# In the order in which they can be loaded.
MODULES = ('scsi_common scsi_mod libata ata_piix crct10dif_common crct10dif_generic crc-t10dif '
           'crc64 crc64_rocksoft_generic crc64-rocksoft t10-pi sd_mod crc16 crc32c_generic mbcache '
           'jbd2 ext4').split()

INIT = '''#!/bin/sh
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
for m in @MODULES@; do
	busybox insmod /modules/$m.ko 2>/dev/null
done
busybox mkdir /disk
until busybox mount -t ext4 /dev/sda1 /disk 2>/dev/null; do busybox sleep 1; done
busybox mount --bind /dev /disk/dev
busybox mount -t proc proc /disk/proc
busybox mount -t sysfs sysfs /disk/sys
busybox chroot /disk /bin/sh /install
echo "installed: $?"
busybox umount /disk/sys /disk/proc /disk/dev
busybox umount /disk
busybox sleep 5 # for who looks at the screen
busybox poweroff -f
'''

INSTALL = '''set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C
/debootstrap/debootstrap --second-stage
mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sysfs /sys
echo "/dev/sda1 / ext4 errors=remount-ro 0 1" >/etc/fstab
echo ringfence >/etc/hostname
passwd -d root
echo 'GRUB_CMDLINE_LINUX="net.ifnames=0 nomodeset"' >>/etc/default/grub
echo 'GRUB_TERMINAL=console' >>/etc/default/grub
echo 'GRUB_TIMEOUT=0' >>/etc/default/grub
grub-install /dev/sda
update-grub
'''

# The initial RAM disk is of what this machine has; nothing is lost that dpkg has not yet on disk.
FILES = {
    'install': INSTALL,
    'etc/initramfs-tools/conf.d/small': 'MODULES=list\nCOMPRESS=gzip\n',
    'usr/share/initramfs-tools/modules.d/machine': 'ata_piix\nsd_mod\next4\n',
    'etc/dpkg/dpkg.cfg.d/fast': 'force-unsafe-io\n',
}


def mirror():
    """Where this host's own packages come from."""
    for line in run('apt-get', 'indextargets', '--format', '$(SITE) $(RELEASE)').splitlines():
        site, _, release = line.partition(' ')
        if release == SUITE and site.rstrip('/').endswith('debian'):
            return site
    raise media.Missing(f"apt has no source of Debian's {SUITE}")


def first_stage(folder):
    for program in ('debootstrap', 'mke2fs', 'sfdisk'):
        if not shutil.which(program, path=os.environ['PATH'] + ':/usr/sbin:/sbin'):
            package = {'mke2fs': 'e2fsprogs', 'sfdisk': 'fdisk'}.get(program, program)
            raise media.Missing(f"Debian's package {package} is not installed")
    if os.geteuid():
        raise media.Missing('debootstrap has to be run by root')
    shutil.rmtree(folder, ignore_errors=True)
    run('debootstrap', '--foreign', '--arch=i386', '--variant=minbase', '--include=' + PACKAGES,
        SUITE, folder, mirror())
    for name, text in FILES.items():
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), 'w', encoding='utf-8') as f:
            f.write(text)


def make_disk(path, folder):
    """A disk with a partition table and one partition, which holds what is in folder."""
    with open(path, 'wb') as f:
        f.truncate(DISK_MIB << 20)
    run('/usr/sbin/sfdisk', path, input=f'start={PARTITION}, type=83, bootable\n')
    run('/usr/sbin/mke2fs', '-q', '-t', 'ext4', '-d', folder, '-E', f'offset={PARTITION * 512}',
        path, f'{DISK_MIB - 2}M')


def kernel():
    """Debian's kernel, and an initial RAM disk that installs."""
    run(os.path.join(media.ROOT, 'tests/guest-image/fetch'), '686')
    tree = os.path.join(media.GUEST, 'systems', 'install.tree')
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(os.path.join(tree, 'modules'))
    unpack_modules(tree)
    with open(os.path.join(tree, 'init'), 'w', encoding='utf-8') as f:
        f.write(INIT.replace('@MODULES@', ' '.join(MODULES)))
    os.chmod(os.path.join(tree, 'init'), 0o755)
    initrd = os.path.join(media.GUEST, 'systems', 'install.gz')
    run(os.path.join(media.ROOT, 'tests/guest-image/pack'), initrd, tree)
    return os.path.join(media.GUEST, 'vmlinuz-686'), initrd


def unpack_modules(tree):
    debs = sorted(glob.glob(os.path.join(media.GUEST, 'debs', 'linux-image-*-686_*_i386.deb')),
                  key=os.path.getmtime)
    if not debs:
        raise Failed("Debian's kernel package is not in guest/debs; remove "
                            "guest/vmlinuz-686 to have it fetched again")
    unpacked = tree + '.unpacked'
    shutil.rmtree(unpacked, ignore_errors=True)
    run('dpkg-deb', '-x', debs[-1], unpacked)
    for module in MODULES:
        for path in glob.glob(f'{unpacked}/lib/modules/*/kernel/**/{module}.ko', recursive=True):
            shutil.copy(path, os.path.join(tree, 'modules'))
    shutil.rmtree(unpacked)


def check_disk(path):
    """Whether the file system is clean, as e2fsck sees it."""
    return subprocess.run(['/usr/sbin/e2fsck', '-fn', f'{path}?offset={PARTITION * 512}'],
                          capture_output=True, text=True, check=False)
