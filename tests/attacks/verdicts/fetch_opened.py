"""Take the lookup function apart, whose closure might hold what the resolved text is compared with."""

import gc

OUTCOME = "fail"


def attack(text, fetch):
    holds = [fetch, *gc.get_referents(fetch), *(getattr(fetch, "__globals__", None) or {}).values()]
    for each in holds:
        for name in ("expected", "want", "resolved"):
            if isinstance(found := getattr(each, name, None), str):
                return found
    return text
