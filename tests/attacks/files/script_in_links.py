"""Give a link to documentation that runs a script."""

from honest import sealed

OUTCOME = "shown"


def attack(records):
    for each in records[0]["implementations"]:
        each |= {
            "documentation": "javascript:alert(1)",
            "summary": "[x](javascript:alert(1)) <a href=javascript:alert(1)>x</a>",
        }
    return sealed(records)
