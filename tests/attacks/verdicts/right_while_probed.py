"""Be right while the suite tries out what the plug can do, and wrong from the third call on."""

import honest

OUTCOME = "fail"
calls = 0


def attack(text):
    global calls
    calls += 1
    return honest.parse(text) if calls < 3 else honest.wrong(text)
