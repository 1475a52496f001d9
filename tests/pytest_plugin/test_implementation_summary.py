"""What the end of a run says of one implementation fits on a screen, and begins with what is likeliest wrong."""

from __future__ import annotations

from conformance.engine.selection import requirements_of
from conformance.pytest_plugin.implementation_summary import few_lines, likeliest, screen
from conformance.records.schema import Verdict, VerdictRecord

RULES = requirements_of("sigmoid_attention")
STRICT = "causal-strict: A causal query does not see its own position."
MASK = "no-mask: The mask is ignored."


def failure(requirement: str, resembles: str = "", **fields: object) -> VerdictRecord:
    return result(requirement, Verdict.FAIL, margin=7.0, resembles=resembles, **fields)


def result(requirement: str, verdict: Verdict = Verdict.PASS, **fields: object) -> VerdictRecord:
    given: dict[str, object] = {
        "implementation": "sigmoid_attention/theirs", "system": "sigmoid_attention", "case": "causal", "dtype": "float32",
        "device": "cpu", "margin": 0.5 if verdict is Verdict.PASS else None, "reproduce": f"pytest {requirement}",
    }  # fmt: skip
    return VerdictRecord(requirement=requirement, verdict=verdict, **{**given, **fields})  # type: ignore[arg-type]


def crash(message: str) -> VerdictRecord:
    return result("SIG-21", Verdict.ERROR, message=message)


def test_the_cause_that_explains_most_comes_first_and_explains_nothing_twice() -> None:
    both = f"{MASK}; or {STRICT}; or 4 more"
    red = [failure("SIG-14", MASK), failure("SIG-14", STRICT), failure("SIG-33", STRICT), failure("SIG-33", both)]
    found = [(cause.text, len(cause.explained)) for cause in likeliest([*red, failure("SIG-36")])]
    assert found == [
        ("as if: A causal query does not see its own position. [causal-strict]", 3),
        ("as if: The mask is ignored. [no-mask]", 1),
    ]


def test_crashes_that_differ_in_numbers_alone_are_one_cause() -> None:
    red = [crash("k.py:8: RuntimeError: a (4) must match b (2)"), crash("k.py:8: RuntimeError: a (6) must match b (2)")]
    (cause,) = likeliest(red)
    assert (cause.text, len(cause.explained)) == ("crash: k.py:8: RuntimeError: a (4) must match b (2)", 2)


def test_a_screen_begins_with_verdicts_causes_and_a_command_for_the_first_cause() -> None:
    results = [
        failure("SIG-33"),
        failure("SIG-14", STRICT),
        failure("SIG-16", STRICT),
        result("SIG-04"),
        failure("SIG-15", STRICT),
    ]
    assert screen(results, RULES, 120)[:9] == [
        "definition  differs (3 of 4 requirements)",
        "interface   not judged",
        "robustness  not judged",
        "reading     differs (1 of 1 requirements); decides nothing",
        "fails       4 of 5 judged test cases. Likeliest causes, each with its share:",
        "              3  as if: A causal query does not see its own position. [causal-strict]",
        "              1  no planted bug gives these values",
        "reproduce   pytest SIG-14",
        "failed      margin   requirement",
    ]


def test_the_table_shows_the_definition_first_and_the_most_broken_first() -> None:
    results = [failure("SIG-15"), failure("SIG-16"), result("SIG-16", case="other"), failure("SIG-33"), failure("SIG-42")]
    rows = [line.split()[4] for line in screen(results, RULES, 120) if line[:1].isdigit()]
    assert rows == ["SIG-33", "SIG-16", "SIG-42", "SIG-15"]


def test_a_screen_stays_a_screen_whatever_fails() -> None:
    mutants = [f"bug-{n}: {'This is wrong in a way that takes many words to say. ' * 3}" for n in range(9)]
    red = [failure(id_, mutants[n % 9], case=f"case-{n}") for n, id_ in enumerate([*RULES] * 3)]
    for width in (80, 120, 160):
        lines = screen(red, RULES, width)
        assert len(lines) <= 30
        assert all(len(line) <= width for line in lines if not line.startswith("reproduce"))
        assert lines[-1].lstrip().startswith(f"and {len(RULES) - 10} more: ")
        assert len(few_lines(red, RULES, width)) <= 6
