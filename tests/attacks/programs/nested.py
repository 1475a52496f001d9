"""Answer with lists in lists, a hundred thousand deep."""

import sys

from honest import questions

OUTCOME = "error"

for question in questions():
    sys.stdout.write(f'{{"id": {question["id"]}, "annotations": {"[" * 100_000}{"]" * 100_000}}}\n')
    sys.stdout.flush()
