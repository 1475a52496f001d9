"""Answer with bytes that are no UTF-8, and with lone surrogates."""

import sys

from honest import questions

OUTCOME = "error"

for question in questions():
    sys.stdout.buffer.write(b'{"id": %d, "annotations": [{"query": "\xff\\ud800"}]}\n' % question["id"])
    sys.stdout.flush()
