"""Name the machine, its packages and the suite with scripts and escape sequences."""

from honest import sealed

OUTCOME = "shown"
TEXT = "\x1b[2J<script>alert(1)</script>|\n# x"


def attack(records):
    environment = records[0]["environment"]
    environment |= {"cpu": TEXT, "platform": TEXT, "python": TEXT, "commit": TEXT, "packages": {TEXT: TEXT}}
    records[0]["started"] = TEXT
    return sealed(records)
