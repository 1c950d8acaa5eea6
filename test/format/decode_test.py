"""A second decoder of changes, deltas and document states, written from docs/format.md alone, agrees with the library.

Usage: decode_test.py make_vectors vectors.txt docs/format.md.  TEST_SEED, TEST_RUNS choose the random programs of make_vectors.
"""

import os
import pathlib
import re
import subprocess
import sys
import unittest
from random import Random

import author
import damage
import hostile
import vectors
from delta import canonical
from msgpack import read

PAGE = None
PROGRAM = None
FIXED = None


def library(*arguments, text=''):
    """What make_vectors prints."""
    ran = subprocess.run([PROGRAM, *arguments], input=text, capture_output=True, text=True, check=False)
    if ran.returncode or ran.stderr:  # a sanitizer may only write
        raise AssertionError(f'make_vectors: {ran.returncode}: {ran.stderr[-2000:]}')
    return vectors.parse(ran.stdout)


def seeds(usual):
    """As test/support/support.h has it: TEST_SEED=n runs that one alone, TEST_FIRST=n begins there."""
    if 'TEST_SEED' in os.environ:
        return [int(os.environ['TEST_SEED'])]
    first = int(os.environ.get('TEST_FIRST', 1))
    return range(first, first + int(os.environ.get('TEST_RUNS', usual)))


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

    def test_deltas_that_must_be_refused_or_taken(self):
        cases = list(hostile.all_cases())
        text = ''.join(vectors.unparse(name, hostile.DOCUMENT, deltas) for name, _, deltas in cases)
        for (_, verdict, _), vector in zip(cases, library('apply', text=text), strict=True):
            with self.subTest(vector.name):
                self.assertEqual(vector.verdict(), verdict)
                self.assertEqual(vectors.judge(vector), vector.lines)

    def test_the_example_of_the_page(self):
        example = bytes.fromhex(re.search('^96 c410 07.*$', PAGE, re.MULTILINE).group())
        self.assertEqual(canonical(read(hostile.change()), []), example)

    def test_documents_that_no_replica_would_write(self):
        for seed in seeds(10):
            random = Random(seed)
            text = ''.join(vectors.unparse(f'seed {seed}: {i}', hostile.DOCUMENT, author.deltas(random)) for i in range(5))
            self.agree(library('apply', text=text))

    def test_damaged_deltas(self):
        documents = [vector for vector in vectors.parse(FIXED) if vector.deltas]
        for seed in seeds(20):
            random, text = Random(seed), ''
            for vector in random.choices(documents, k=20):
                deltas = list(vector.deltas)
                at = random.randrange(len(deltas))
                deltas[at] = damage.damaged(deltas[at], random)
                text += vectors.unparse(f'seed {seed}: {vector.name}', vector.document, deltas)
            self.agree(library('apply', text=text))


if __name__ == '__main__':
    PROGRAM = sys.argv[1]
    FIXED, PAGE = (pathlib.Path(path).read_text(encoding='utf-8') for path in sys.argv[2:4])
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
