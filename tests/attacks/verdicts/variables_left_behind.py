"""Set the variables that Python, the loader and the suite read at their start, for the processes to come."""

import os

from honest import parse

OUTCOME = "pass"


def attack(text):
    os.environ.update(
        GAUGEBLOCK_TEXT_SECONDS="1e9",
        GAUGEBLOCK_CALL_SECONDS="1e9",
        LD_PRELOAD="/nowhere.so",
        OMP_NUM_THREADS="1000",
        PYTHONHOME="/nowhere",
        PYTHONPATH="/nowhere",
        PYTEST_ADDOPTS="--collect-only",
    )
    return parse(text)
