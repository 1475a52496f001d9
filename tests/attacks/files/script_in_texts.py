"""Put scripts, Markdown and escape sequences of terminals into every text of every verdict."""

from honest import sealed, verdicts

OUTCOME = "shown"
TEXT = "\x1b[2J\x1b]8;;https://evil.example\x07 \u202e</script><script>alert(1)</script>```\n# passed | x\n[x](javascript:x)"


def attack(records):
    for each in verdicts(records):
        each |= dict.fromkeys(("quantity", "worst", "got", "expected", "bound", "message", "resembles", "reproduce"), TEXT)
    return sealed(records)
