"""Run everything that needs a GPU, from a bare checkout, in the Python that is there: `python -m conformance.runners.gpu`."""
