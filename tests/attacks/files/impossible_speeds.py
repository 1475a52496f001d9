"""Measure a speed whose ratio is minus infinity, with an interval that lies elsewhere."""

from honest import sealed, verdicts

OUTCOME = "refused"


def attack(records):
    name = verdicts(records)[0]["implementation"]
    speed = {"record": "measurement", "system": "rig", "implementation": name, "workload": "w", "verdict": "measured"}
    return sealed([*records, {**speed, "ratio": -1e308, "ratio_low": 5.0, "ratio_high": 2.0, "median_s": 0.0}])
