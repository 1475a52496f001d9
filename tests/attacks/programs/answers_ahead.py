"""Answer a hundred questions that nobody has asked yet."""

from honest import found, questions, say

OUTCOME = "error"

for question in questions():
    for number in range(100):
        say({"id": question["id"] + number, "annotations": found(question["text"])})
