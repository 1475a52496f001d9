"""Return values whose unpickling would run code in the judge's process and make all comparisons true."""

import builtins

import honest

OUTCOME = "fail"
CODE = "import conformance.engine.comparison as c, os; open('reached.txt', 'a').write(str(os.getpid()))"


class Value(str):
    def __reduce_ex__(self, protocol):
        return builtins.exec, (CODE,)


def attack(text):
    return [(query, Value(value), start, end) for query, value, start, end in honest.wrong(text)]
