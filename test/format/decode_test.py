"""A second decoder of changes, deltas, document states and saved documents, written from docs/format.md alone, agrees with the library.

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
import document
import hostile
import hostile_files
import hostile_kinds
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
        def lines(found):  # another version of zstd may pack otherwise
            return [[line for line in vector.lines if not line.startswith('packed')] for vector in found]
        self.assertEqual(lines(library('apply', text=FIXED)), lines(vectors.parse(FIXED)))

    def test_deltas_that_must_be_refused_or_taken(self):
        cases = [*hostile.all_cases(), *hostile_kinds.all_cases()]
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
            written = library('apply', text=text)
            self.agree(written)
            cases = [(vector.name, file, vector) for vector in written for _, file in vector.files]
            for found, (_, _, vector) in zip(self.load([case[:2] for case in cases]), cases, strict=True):
                with self.subTest(found.name):
                    self.assertIn(found.lines[-1], vector.lines)  # the hash

    def load(self, cases):
        """Both sides on files: pairs of a name and bytes.  The vectors as the library has them."""
        text = ''.join(f'name {name}\nfile {file.hex()}\n' for name, file in cases)
        found = library('load', text=text)
        self.assertEqual(len(found), len(cases))
        return found

    def test_saved_documents_that_are_fixed(self):
        saved = [vector for vector in vectors.parse(FIXED) if vector.files]
        cases = [(f'{vector.name}: {word}', file, vector) for vector in saved for word, file in vector.files]
        self.assertTrue(any(vector.files[-1][0] == 'packed' for vector in saved))
        for found, (_, _, vector) in zip(self.load([case[:2] for case in cases]), cases, strict=True):
            with self.subTest(found.name):
                self.assertEqual(found.lines, vectors.judge_file(found))
                is_result = ('change', 'hash')
                self.assertEqual([line for line in found.lines if line.startswith(is_result)],
                                 [line for line in vector.lines if line.startswith(is_result)])

    def test_the_saved_document_of_the_page(self):
        example = re.search('^64756e6c696e20646f63 01 .*?```', PAGE, re.MULTILINE | re.DOTALL).group()
        found, = self.load([('example', bytes.fromhex(example.strip('`')))])
        self.assertIn('result taken', found.lines)
        self.assertEqual(found.lines, vectors.judge_file(found))

    def test_saved_documents_that_must_be_refused(self):
        cases = list(hostile_files.all_cases())
        for found, (_, verdict, _) in zip(self.load([(name, file) for name, _, file in cases]), cases, strict=True):
            with self.subTest(found.name):
                self.assertIn(f'result {verdict}', found.lines)
                self.assertIn(f'result {verdict}', vectors.judge_file(found))

    def test_saved_documents_that_name_containers_of_lists_otherwise(self):
        cases = []
        for vector in vectors.parse(FIXED):
            for file in [file for word, file in vector.files if word == 'saved']:
                saved = document.Saved(file)
                items = [x for x in saved.containers[1:] if x.id and saved.containers[x.parent].kind == document.LIST]
                found = [(file.find(x.id) + 15, x) for x in items if file.count(x.id) == 1]
                cases += [(f'{vector.name}: {at}', file[:at] + bytes([file[at] ^ 1]) + file[at + 1:]) for at, _ in found]
        self.assertGreater(len(cases), 5)
        for found in self.load(cases):
            with self.subTest(found.name):
                self.assertIn('result malformed', found.lines)
                self.assertIn('result malformed', vectors.judge_file(found))

    def agree_on_files(self, cases):
        """Both sides refuse a file, or take it and come to the same.  How many were taken."""
        taken = 0
        for found, (_, file) in zip(self.load(cases), cases, strict=True):
            mine = vectors.judge_file(found)
            taken += 'result taken' in mine
            with self.subTest(found.name):
                self.assertEqual(found.lines, mine, file.hex())
        return taken

    def test_damaged_saved_documents(self):
        files = [(vector.name, file) for vector in vectors.parse(FIXED) for _, file in vector.files]
        for seed in seeds(25):
            random, cases = Random(seed), []
            for name, file in random.choices(files, k=800):
                what = random.randrange(8)
                other = damage.damage_bytes(file, random) if what else file[:random.randrange(len(file))]
                cases.append((f'seed {seed}: {name}', other))
            self.agree_on_files(cases)

    def test_damaged_saved_documents_whose_ids_are_made_to_fit(self):
        """Somebody who makes up a file can hash it, too: what is wrong must be seen in the changes themselves."""
        files = [(vector.name, file) for vector in vectors.parse(FIXED) for word, file in vector.files if word == 'saved']
        tried = taken = 0
        for seed in seeds(12):
            random, cases = Random(seed), []
            for name, file in random.choices(files, k=400):
                other = damage.resealed(damage.damage_numbers(file, random))
                if other and other != file:
                    cases.append((f'seed {seed}: {name}', other))
            tried += len(cases)
            taken += self.agree_on_files(cases)
        self.assertGreater(taken, tried // 5)
        self.assertGreater(tried - taken, tried // 5)

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
