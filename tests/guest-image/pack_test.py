#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Several that pack the same image at once, as two demos do, do not break each other's."""
import gzip
import os
import subprocess
import tempfile
import unittest

PACK = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'pack')


class Pack(unittest.TestCase):
    def test_at_once(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = os.path.join(folder, 'tree')
            os.mkdir(tree)
            for path, content in ((os.path.join(folder, 'busybox'), b'#!'),
                                  (os.path.join(tree, 'large'), os.urandom(4 << 20))):
                with open(path, 'wb') as f:
                    f.write(content)
            before = sorted(os.listdir(folder))
            output = os.path.join(folder, 'out.gz')
            running = [subprocess.Popen([PACK, output, tree],
                                        env=dict(os.environ, RINGFENCE_GUEST=folder))
                       for _ in range(4)]
            self.assertEqual([process.wait() for process in running], [0] * 4)
            with gzip.open(output) as f:
                self.assertTrue(f.read().startswith(b'070701'))
            self.assertEqual(sorted(os.listdir(folder)), sorted(before + ['out.gz']))


if __name__ == '__main__':
    unittest.main()
