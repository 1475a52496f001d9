"""Report an error whose text clears the screen and draws a summary of passes."""

from honest import questions, say

OUTCOME = "error"

for question in questions():
    say({"id": question["id"], "error": "\x1b[2J\x1b[H\x9b31m 8 passed\r\n\u202e dessap 8"})
