#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Disk images of other formats than raw and NBD servers, as users name them; and that no qemu-nbd
stays behind.

usage: image_test.py RINGFENCE [unittest arguments]

ENGINE in the environment chooses the engine. What needs qemu-utils, nasm or SeaBIOS is
skipped without it, with the reason; all of it in a build without libnbd.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

import cli_test
import disk_test
import needs_engine

FORMATS = ('qcow2', 'vmdk', 'vdi', 'vpc', 'vhdx', 'qed', 'qcow', 'parallels')
WITHOUT = 'which this ringfence was built without'


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children') as f:
        return [int(word) for word in f.read().split()]


def is_there(pid):
    """A zombie is not: nobody may be there to wait for it."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except OSError:
        return False


class Images(disk_test.Disks):
    test_ways_to_name_a_disk = test_images_that_will_not_do = test_grub_from_a_cd = None

    def setUp(self):
        super().setUp()
        if not shutil.which('qemu-nbd'):
            needs_engine.skip(self, "Debian's package qemu-utils is not installed")
        run = subprocess.run([cli_test.PROGRAM, '-hda', 'nbd:unix:/nodir/x', '-display', 'none'],
                             capture_output=True, text=True, check=False)
        if WITHOUT in run.stderr:
            needs_engine.skip(self, 'this build has no libnbd')

    def converted(self, kind):
        path = os.path.join(self.dir, 'disk.' + kind)
        subprocess.run(['qemu-img', 'convert', '-O', kind, self.image(), path], check=True)
        return path

    def seventh_of(self, path, kind):
        raw = os.path.join(self.dir, 'back')
        subprocess.run(['qemu-img', 'convert', '-f', kind, '-O', 'raw', path, raw], check=True)
        return self.seventh(raw)

    def halting(self, *args):
        """A machine that has begun to run, and waits."""
        process = self.start(self.command(cli_test.SERIAL_A + cli_test.HALT, *args, '-serial',
                                          'stdio'), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        cli_test.until(process.stdout.fileno(), b'A', process)
        return process

    def expect_end_of(self, pid):
        end = time.monotonic() + cli_test.TIMEOUT
        while is_there(pid):
            self.assertLess(time.monotonic(), end, 'qemu-nbd is still there')
            time.sleep(0.01)

    def test_formats(self):
        for kind in FORMATS:
            with self.subTest(kind):
                path = self.converted(kind)
                self.expect_boot(0x21, '-drive', f'file={path},format={kind}')
                self.assertEqual(self.seventh_of(path, kind), b'changed')

    def test_images_that_are_left_alone(self):
        path = self.converted('qcow2')
        drive = f'file={path},format=qcow2'
        self.expect_boot(0x21, '-snapshot', '-drive', drive)
        self.expect_boot(7, '-drive', drive + ',readonly=on')
        self.assertEqual(self.seventh_of(path, 'qcow2'), b'\0' * 7)

    def test_commas_in_names(self):
        path = os.path.join(self.dir, 'a,b.qcow2')
        os.rename(self.converted('qcow2'), path)
        self.expect_boot(0x21, '-drive', f'file={path.replace(",", ",,")},format=qcow2')

    def test_formats_that_are_not_said(self):
        for kind in ('qcow2', 'vmdk', 'vdi', 'vpc', 'vhdx', 'qed'):
            path = self.converted(kind)
            self.refused(f'-drive file={path},format={kind}', path)
        self.refused("'format=qcow9' is not available; formats are raw, qcow2", '-drive',
                     f'file={path},format=qcow9')

    def test_wrong_images(self):
        path = self.converted('qcow2')
        self.refused('as format=vmdk: ', '-drive', f'file={path},format=vmdk')
        os.truncate(path, 60)
        self.refused('as format=qcow2: ', '-drive', f'file={path},format=qcow2')
        self.refused("'/nodir/x': No such file", '-drive', 'file=/nodir/x,format=qcow2')
        self.refused('is a directory', '-drive', f'file={self.dir},format=vdi')
        self.refused('neither a file nor a disk', '-drive', 'file=/dev/null,format=vdi')
        self.refused('format=vdi has no meaning', '-drive', 'file=nbd:h:1,format=vdi')

    def test_no_qemu_nbd(self):
        before, os.environ['PATH'] = os.environ['PATH'], self.dir
        try:
            self.refused('qemu-utils', '-drive', f'file={self.path("disk", b"x")},format=vdi')
        finally:
            os.environ['PATH'] = before

    def test_an_image_is_one_machines(self):
        path = self.converted('qcow2')
        process = self.halting('-drive', f'file={path},format=qcow2')
        self.refused('lock', '-drive', f'file={path},format=qcow2')
        self.refused('in use by another', '-drive', f'file={path},format=raw')
        process.kill()
        process.wait()

    def test_no_server_stays(self):
        path = self.converted('qcow2')
        for number in (signal.SIGTERM, signal.SIGKILL):
            process = self.halting('-drive', f'file={path},format=qcow2')
            servers = children(process.pid)
            self.assertEqual(len(servers), 1)
            process.send_signal(number)
            process.wait()
            self.expect_end_of(servers[0])
        self.assertEqual([name for name in os.listdir('/tmp')
                          if re.fullmatch('ringfence-[^-]{6}', name)
                          and os.stat('/tmp/' + name).st_uid == os.getuid()], [])

    def test_the_terminal_does_not_end_the_server(self):
        path = self.converted('qcow2')
        process = self.halting('-drive', f'file={path},format=qcow2')
        server = children(process.pid)[0]
        self.assertNotEqual(os.getpgid(server), os.getpgid(process.pid))
        process.terminate()
        process.wait()

    def test_a_server_that_is_killed(self):
        path = self.converted('qcow2')
        process = self.start([cli_test.PROGRAM, '-accel', cli_test.ENGINE, '-nographic', '-m', '16',
                              '-boot', 'menu=on,splash-time=100', '-drive',
                              f'file={path},format=qcow2,readonly=on', '-S'],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, bufsize=0)
        out = process.stdout.fileno()
        while not children(process.pid):
            time.sleep(0.01)
        process.stdin.write(b'\x01c')
        cli_test.until(out, b'(ringfence)', process)
        os.kill(children(process.pid)[0], signal.SIGKILL)
        process.stdin.write(b'cont\n')
        cli_test.until(out, b'(ringfence)', process)
        process.stdin.write(b'\x01c')
        cli_test.until(out, b'could not read the boot disk', process)
        process.stdin.write(b'\x01x')
        said = process.stderr.read()
        self.assertEqual(process.wait(cli_test.TIMEOUT), 0)
        self.assertEqual(said.count(b'its server is gone'), 1, said)

    def serve(self, path, *how):
        server = self.start(['qemu-nbd', '-t', '-f', 'raw', *how, path])
        return server

    def test_servers_of_others(self):
        path, socket = self.image(), os.path.join(self.dir, 'socket')
        server = self.serve(path, '-k', socket, '-x', 'a disk')
        while not os.path.exists(socket):
            self.assertIsNone(server.poll())
            time.sleep(0.01)
        self.expect_boot(0x21, f'nbd:unix:{socket}:exportname=a disk')
        self.assertEqual(self.seventh(path), b'changed')
        self.expect_boot(0x21, '-drive', f'file=nbd+unix:///a%20disk?socket={socket},format=raw')
        self.refused('cannot connect', f'nbd:unix:{socket}:exportname=another')
        self.assertIsNone(server.poll())
        server.terminate()
        server.wait()


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cli_test.PROGRAM = sys.argv.pop(1)
    needs_engine.or_skip(cli_test.PROGRAM, cli_test.ENGINE)
    unittest.main()
