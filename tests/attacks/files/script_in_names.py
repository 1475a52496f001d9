"""Name an implementation with a script, and with what ends the elements and texts of HTML, SVG and Markdown."""

from honest import renamed

OUTCOME = "shown"


def attack(records):
    return renamed(
        records, "</title></script>--><script>alert(1)</script>'\"|`]]>](javascript:alert(1))<img src=x onerror=alert(1)>"
    )
