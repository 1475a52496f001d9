"""Answer with offsets of five thousand digits."""

import sys

from honest import found, questions, say

OUTCOME = "error"

sys.set_int_max_str_digits(0)
for question in questions():
    annotations = [{**each, "start": 10**5000} for each in found(question["text"])]
    say({"id": question["id"], "annotations": annotations})
