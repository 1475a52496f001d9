"""Install a tracer and a profiler that end the process at the first line of the suite's."""

import os
import sys

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    def trace(frame, event, argument):
        if "conformance" in frame.f_code.co_filename:
            os._exit(0)
        return trace

    sys.setprofile(trace)
    return []
