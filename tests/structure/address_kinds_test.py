#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiler tells address kinds (x86/types.h) apart: what mixes them is refused, what converts
them by name is not. The arguments are the compiler's command."""

import os
import subprocess
import sys
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
COMPILER = sys.argv[1:]

SURROUNDINGS = """
#include "x86/types.h"
#include "shadowmmu/guest_ram.h"
#include "shadowmmu/host_mapping.h"
void take_linear(gva_t);
void take_physical(gpa_t);
void take_host(hva_t);
void use(struct guest_ram *ram, gva_t linear, gpa_t physical, hva_t host, void *pointer);
void use(struct guest_ram *ram, gva_t linear, gpa_t physical, hva_t host, void *pointer)
{
	%s;
}
"""

RIGHT = (
    "take_linear(linear)",
    "take_physical(physical)",
    "take_host(host)",
    "take_physical(GPA(0xfee00000))",
    "take_physical(gpa_add(gpa_page(physical), gpa_offset(physical)))",
    "take_physical(gpa_of_frame(gpa_frame(physical)))",
    "take_physical(guest_ram_gpa(ram, guest_ram_at(ram, physical)))",
    "static const gpa_t at = GPA(0x1000); take_physical(at)",
    "take_host(hva_add(hva_of(pointer), 16))",
    "take_host(window_at(host, linear))",
)

# What is refused, and a part of the message that says why.
MIXES = (
    ("take_linear(physical)", "incompatible type"),
    ("take_physical(linear)", "incompatible type"),
    ("take_host(physical)", "incompatible type"),
    ("take_physical(host)", "incompatible type"),
    ("take_physical(pointer)", "incompatible type"),
    ("take_physical(0x1000)", "incompatible type"),
    ("take_linear(linear + physical)", "invalid operands"),
    ("take_host(host + physical)", "invalid operands"),
    ("guest_ram_ptr(ram, linear)", "incompatible type"),
    ("take_linear(host)", "incompatible type"),
    ("take_host(linear)", "incompatible type"),
    ("take_host(pointer)", "incompatible type"),
    ("take_host(host + linear)", "invalid operands"),
)


def compile(statement):
    """Whether it compiles, and what the compiler says."""
    done = subprocess.run(COMPILER + ["-std=gnu11", "-D_GNU_SOURCE", "-I", ROOT, "-fsyntax-only",
                                      "-x", "c", "-"], input=SURROUNDINGS % statement, text=True,
                          capture_output=True, env=dict(os.environ, LC_ALL="C"))
    return done.returncode == 0, done.stderr


class AddressKinds(unittest.TestCase):
    def test_right_use_compiles(self):
        for statement in RIGHT:
            with self.subTest(statement):
                compiles, text = compile(statement)
                self.assertTrue(compiles, text)

    def test_mixes_are_refused(self):
        for statement, why in MIXES:
            with self.subTest(statement):
                compiles, text = compile(statement)
                self.assertFalse(compiles)
                self.assertIn(why, text)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
