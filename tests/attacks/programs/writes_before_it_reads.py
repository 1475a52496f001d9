"""Write megabytes of empty lines before reading the question, so that both sides wait for each other to read."""

import sys

from honest import found, questions, say

OUTCOME = "error"

sys.stdout.write("\n" * 4_000_000)
sys.stdout.flush()
for question in questions():
    say({"id": question["id"], "annotations": found(question["text"])})
