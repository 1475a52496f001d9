"""Answer with offsets that are no number, or infinite."""

import sys

from honest import questions

OUTCOME = "error"

for question in questions():
    annotation = '{"query": "q", "value": "v", "start": NaN, "end": Infinity}'
    sys.stdout.write(f'{{"id": {question["id"]}, "annotations": [{annotation}]}}\n')
    sys.stdout.flush()
