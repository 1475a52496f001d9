"""Print a word of welcome before the first answer."""

from honest import found, questions, say

OUTCOME = "error"

print("Welcome to the parser!", flush=True)
for question in questions():
    say({"id": question["id"], "annotations": found(question["text"])})
