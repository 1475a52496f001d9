"""Put half of a surrogate pair into a text: JSON can hold it, and no output can."""

from honest import sealed, verdicts

OUTCOME = "shown"


def attack(records):
    verdicts(records)[0]["quantity"] = "\ud83d quantity \udfff"
    return sealed(records)
