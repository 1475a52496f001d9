"""Announce a header of eight exabytes."""

from honest import serve

OUTCOME = "error"


def answer(values):
    return (2**63).to_bytes(8, "little") + b"{}"


serve(answer)
