"""Declare a summary and a link that run a script."""

from honest import parse

OUTCOME = "harmless"


def attack(text):
    return parse(text)


attack.gaugeblock = {
    "summary": "\x1b[2J<script>alert(1)</script>|\n# x\u202e",
    "documentation": "javascript:alert(1)//<script>alert(1)</script>",
}
