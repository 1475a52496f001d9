"""Put NUL bytes before each answer, which a file that was cut off begins with."""

import json
import sys

from honest import found, questions

OUTCOME = "error"

for question in questions():
    sys.stdout.write("\0" * 512 + json.dumps({"id": question["id"], "annotations": found(question["text"])}) + "\n")
    sys.stdout.flush()
