"""Return an object of which every attribute, its class and its length are traps."""

from honest import after_the_probe

OUTCOME = "error"


class Trap:
    @property
    def __class__(self):
        raise SystemExit(0)

    def __getattr__(self, name):
        return self

    def __len__(self):
        return -1

    def __repr__(self):
        raise SystemExit(0)

    def __iter__(self):
        raise SystemExit(0)


@after_the_probe
def attack(text):
    return Trap()
