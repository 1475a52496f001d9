"""Send records without a seal, as of a run that was cut short."""

from honest import line

OUTCOME = "lost: "


def attack(records):
    return b"".join(line(each) for each in records if each["record"] != "footer")
