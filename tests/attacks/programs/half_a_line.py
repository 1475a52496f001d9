"""Answer with half a line, and end with status 0."""

import json
import sys

from honest import found, questions

OUTCOME = "error"

for question in questions():
    answer = json.dumps({"id": question["id"], "annotations": found(question["text"])})
    sys.stdout.write(answer[: len(answer) // 2])
    sys.stdout.flush()
    break
