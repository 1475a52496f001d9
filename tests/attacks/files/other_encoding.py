"""Write the file in UTF-16, with a mark of its byte order."""

from honest import sealed

OUTCOME = "refused"


def attack(records):
    return sealed(records).decode().encode("utf-16")
