"""Name two implementations so that they differ only in what a file's name cannot hold, or in case."""

import copy

from honest import sealed, verdicts

OUTCOME = "shown"


def attack(records):
    name = verdicts(records)[0]["implementation"]
    other = name.replace("honest", "hoNEst")
    header = next(each for each in records if each["record"] == "header")
    row = next(each for each in header["implementations"] if each["name"] == name)
    header["implementations"].append({**copy.deepcopy(row), "name": other})
    own = [each for each in verdicts(records) if each["implementation"] == name]
    return sealed([*records, *({**each, "implementation": other} for each in own)])
