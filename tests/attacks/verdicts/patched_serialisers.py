"""Replace json, pickle and struct by ones that say what a judge wants to hear."""

import json
import pickle
import struct

import honest

OUTCOME = "fail"


def attack(text):
    json.dumps = lambda *_, **__: "[]"
    pickle.dumps = lambda *_, **__: b"."
    struct.pack = lambda *_: b""
    return honest.wrong(text)
