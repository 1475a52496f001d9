"""Answer with the number of another question."""

from honest import found, questions, say

OUTCOME = "error"

for question in questions():
    say({"id": question["id"] + 1, "annotations": found(question["text"])})
