"""Put bytes into a text that are no UTF-8."""

from honest import sealed_bytes

OUTCOME = "refused"


def attack(records):
    return sealed_bytes(records, b'"quantity": "', b'"quantity": "\xff\xfe')
