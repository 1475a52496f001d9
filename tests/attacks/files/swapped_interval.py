"""Measure a speed whose interval begins above its end, and does not hold the speed."""

from honest import sealed, verdicts

OUTCOME = "refused"


def attack(records):
    name = verdicts(records)[0]["implementation"]
    speed = {"record": "measurement", "system": "rig", "implementation": name, "workload": "w", "verdict": "measured"}
    return sealed([*records, {**speed, "ratio": 1000.0, "ratio_low": 5.0, "ratio_high": 2.0, "median_s": 1.0}])
