"""Write passes over the failures in the records, in place."""

from honest import RECORDS, after_the_probe, wrong

OUTCOME = "kept"


@after_the_probe
def attack(text):
    with RECORDS.open("r+b") as file:
        content = file.read().replace(b'"verdict":"fail"', b'"verdict":"pass"')
        file.seek(0)
        file.write(content)
    return wrong(text)
