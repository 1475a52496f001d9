"""Raise an error whose text, representation and arguments raise errors themselves."""

from honest import after_the_probe

OUTCOME = "error"


class Nasty(BaseException):
    def __str__(self):
        raise Nasty

    __repr__ = __str__

    def __getattribute__(self, name):
        raise Nasty


@after_the_probe
def attack(text):
    raise Nasty
