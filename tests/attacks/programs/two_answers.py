"""Answer each question twice, so that every later answer belongs to an earlier question."""

from honest import found, questions, say

OUTCOME = "error"

for question in questions():
    for _ in range(2):
        say({"id": question["id"], "annotations": found(question["text"])})
