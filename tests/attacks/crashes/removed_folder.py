"""Remove the working directory's every file, and sit in a folder that is gone."""

import os
import shutil
import tempfile

from honest import after_the_probe, parse

OUTCOME = "pass"


@after_the_probe
def attack(text):
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    shutil.rmtree(folder)
    return parse(text)
