"""What the end of a run says of one implementation fits on a screen, and begins with what is likeliest wrong."""

from __future__ import annotations

from conformance.engine.diagnosis import Likeliest
from conformance.engine.mutation import mutants_of
from conformance.engine.other_classes import OtherClass
from conformance.engine.selection import checks_of, requirements_of
from conformance.engine.several_causes import SeveralCauses
from conformance.pytest_plugin.implementation_summary import few_lines, likeliest, screen
from conformance.records.schema import Verdict, VerdictRecord

RULES = requirements_of("sigmoid_attention")
STRICT = "as if: A causal query does not see its own position. [causal-strict]"


def failure(requirement: str, *candidates: str, **fields: object) -> VerdictRecord:
    return result(requirement, Verdict.FAIL, margin=7.0, candidates=candidates, **fields)


def result(requirement: str, verdict: Verdict = Verdict.PASS, **fields: object) -> VerdictRecord:
    given: dict[str, object] = {
        "implementation": "sigmoid_attention/theirs", "system": "sigmoid_attention", "case": "one", "dtype": "float32",
        "device": "cpu", "margin": 0.5 if verdict is Verdict.PASS else None, "reproduce": f"pytest {requirement}",
    }  # fmt: skip
    return VerdictRecord(requirement=requirement, verdict=verdict, **{**given, **fields})  # type: ignore[arg-type]


def crash(message: str, case: str = "one") -> VerdictRecord:
    return result("SIG-21", Verdict.ERROR, message=message, case=case)


def test_the_cause_that_explains_most_comes_first() -> None:
    red = [failure("SIG-14", "causal-strict", "no-such-bug"), failure("SIG-33", "causal-strict"), failure("SIG-36")]
    crashes = [crash(f"k.py:8: RuntimeError: a ({n}) must match b (2)", f"case-{n}") for n in range(4, 7)]
    assert [(cause.text, len(cause.explained)) for cause in likeliest([*red, *crashes])] == [
        ("crash: k.py:8: RuntimeError: a (4) must match b (2)", 3),
        (STRICT, 2),
    ]


def test_a_screen_begins_with_verdicts_causes_and_a_command_for_the_first_cause() -> None:
    strict = [failure(id_, "causal-strict") for id_ in ("SIG-16", "SIG-15", "SIG-14")]
    results = [failure("SIG-04"), *strict, result("SIG-05")]
    assert screen(results, RULES, 120)[:9] == [
        "definition  differs (3 of 4 requirements)",
        "interface   not judged",
        "robustness  not judged",
        "reading     differs (1 of 1 requirements); decides nothing",
        "fails       4 of 5 judged test cases. Likeliest causes, each with its share:",
        f"              3  {STRICT}",
        "              1  no planted bug gives these values",
        "reproduce   pytest SIG-14",
        "failed      margin   requirement",
    ]


def test_what_all_failures_of_a_cause_share_is_said() -> None:
    check = next(each for each in checks_of("sigmoid_attention") if each.requirement == "SIG-21")
    grouped = [case.id for case in check.cases if "gqa" in case.needs][:2]
    found = screen([crash("k.py:8: TypeError: no", id_) for id_ in grouped], RULES, 160)
    (line,) = (line for line in found if "TypeError" in line)
    assert line.endswith("k.py:8: TypeError: no (all need gqa; raise NotImplementedError for what is not offered)")


def test_another_class_comes_first_with_what_to_write() -> None:
    other = OtherClass("materialised", "scores are rounded to the input dtype", 2, 2, 0.8)
    found = screen([failure("SIG-04"), failure("SIG-05")], RULES, 200, [other], "attention")
    assert found[5].split("  ")[-1] == (
        "all 2 wrong results vanish under 'materialised' (scores are rounded to the input dtype). If it computes so: "
        'attention.gaugeblock = {"numerical_class": "materialised"}'
    )
    assert not any("no planted bug" in line for line in found)


def test_the_table_shows_the_definition_first_and_the_most_broken_first() -> None:
    results = [failure("SIG-15"), failure("SIG-16"), result("SIG-16", case="other"), failure("SIG-33"), failure("SIG-42")]
    rows = [line.split()[4] for line in screen(results, RULES, 120) if line[:1].isdigit()]
    assert rows == ["SIG-33", "SIG-16", "SIG-42", "SIG-15"]


def test_a_screen_stays_a_screen_whatever_fails() -> None:
    names = [mutant.name for mutant in mutants_of("sigmoid_attention") if not mutant.honest]
    red = [failure(id_, *names[n : n + 9], case=f"case-{n}") for n, id_ in enumerate([*RULES] * 3)]
    other = OtherClass("materialised", "Scores and weights are each rounded to the input dtype. " * 3, 24, 50, 0.8)
    for width in (80, 120, 160):
        lines = screen(red, RULES, width, [other], "attention")
        assert len(lines) <= 30
        assert all(len(line) <= width for line in lines if not line.startswith("reproduce"))
        assert lines[-1].lstrip().startswith(f"and {len(RULES) - 10} more: ")
        assert len(few_lines(red, RULES, width)) <= 6


def test_causes_that_explain_failures_together_are_all_named() -> None:
    red = [failure("SIG-14"), failure("SIG-15"), crash("k.py:8: TypeError: no")]
    strict, head = Likeliest("causal-strict", "Sees less.", 3, 5), Likeliest("last-head", "Loses a head.", 2, 5, ("other",))
    found = screen(red, RULES, 160, several=SeveralCauses((strict, head)))
    at = next(n for n, line in enumerate(found) if line.startswith("fails"))
    assert [line.split() for line in found[at + 1 : at + 5]] == [
        ["3", "as", "if:", "Sees", "less.", "[causal-strict]"],
        ["2", "as", "if:", "Loses", "a", "head.", "[last-head,", "other]"],
        [
            "each",
            "counted",
            "where",
            "the",
            "other",
            "does",
            "not",
            "show;",
            "the",
            "other",
            "failures",
            "have",
            "both",
            "causes",
            "at",
            "once",
        ],
        ["1", "crash:", "k.py:8:", "TypeError:", "no"],
    ]
    fitting = OtherClass("materialised", "scores are stored", 9, 4, 0.5)
    (line,) = (x for x in screen(red, RULES, 160, (), "f", SeveralCauses((strict,), fitting)) if "vanish" in x)
    assert line.split()[:10] == ["4", "of", "9", "that", "were", "judged", "again", "vanish", "under", "'materialised'"]
