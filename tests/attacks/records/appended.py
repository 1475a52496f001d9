"""Append passes to the records while the run goes on."""

from honest import RECORDS, after_the_probe, wrong

OUTCOME = "kept"


@after_the_probe
def attack(text):
    passes = [line.replace(b'"fail"', b'"pass"') for line in RECORDS.read_bytes().splitlines(keepends=True)[1:]]
    with RECORDS.open("ab") as file:
        file.writelines(passes or [b'{"record": "verdict"}\n'])
    return wrong(text)
