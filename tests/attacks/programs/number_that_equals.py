"""Answer with a truth value or a fraction where the number of the question belongs."""

from honest import found, questions, say

OUTCOME = "error"

for question in questions():
    say({"id": True if question["id"] == 1 else float(question["id"]), "annotations": found(question["text"])})
