"""Call an answer wrong, and give its speed all the same."""

from honest import sealed, verdicts

OUTCOME = "shown"


def attack(records):
    name = verdicts(records)[0]["implementation"]
    speed = {"record": "measurement", "system": "rig", "implementation": name, "workload": "w", "verdict": "wrong answer"}
    return sealed([*records, {**speed, "ratio": 5.0, "ratio_low": 4.0, "ratio_high": 6.0, "median_s": 1.0}])
