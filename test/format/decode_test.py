"""A second decoder of changes, deltas and document states, written from docs/format.md alone, agrees with the library.

Usage: decode_test.py make_vectors vectors.txt.  TEST_SEED, TEST_RUNS choose the random programs of make_vectors.
"""

import pathlib
import subprocess
import sys
import unittest

import vectors

PROGRAM = None
FIXED = None


def library(*arguments, text=''):
    """What make_vectors prints."""
    ran = subprocess.run([PROGRAM, *arguments], input=text, capture_output=True, text=True, check=False)
    if ran.returncode or ran.stderr:  # a sanitizer may only write
        raise AssertionError(f'make_vectors: {ran.returncode}: {ran.stderr[-2000:]}')
    return vectors.parse(ran.stdout)


class Agreement(unittest.TestCase):
    maxDiff = 2000

    def agree(self, found):
        for vector in found:
            with self.subTest(vector.name):
                self.assertEqual(vectors.judge(vector), vector.lines)

    def test_documents_that_the_library_writes(self):
        found = library()
        self.assertGreater(len(found), 20)
        self.agree(found)

    def test_fixed_vectors_here(self):
        self.agree(vectors.parse(FIXED))

    def test_fixed_vectors_in_the_library(self):
        expected = [vector.lines for vector in vectors.parse(FIXED)]
        self.assertEqual([vector.lines for vector in library('apply', text=FIXED)], expected)


if __name__ == '__main__':
    PROGRAM = sys.argv[1]
    FIXED = pathlib.Path(sys.argv[2]).read_text(encoding='utf-8')
    unittest.main(argv=sys.argv[:1])
