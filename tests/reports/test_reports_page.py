"""Each section says what it should of a made-up run; the same records give the same bytes wherever and whenever rendered."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.engine.mutation import mutants_of
from conformance.records.schema import Verdict, VerdictRecord
from reports.anchors import finding
from reports.merge import load
from reports.page import render
from tests.reports import records_for_tests as made

ROOT = Path(__file__).resolve().parent.parent.parent


def pages_of(folder: Path, body: list[dict[str, Any]] | None = None, **header: Any) -> dict[str, str]:
    """The Markdown pages by their paths without the ending."""
    return markdown_of(render(load([made.write(folder / "run.jsonl", body, **header)])))


def markdown_of(files: dict[str, bytes]) -> dict[str, str]:
    return {path.removesuffix(".md"): text.decode() for path, text in files.items() if path.endswith(".md")}


def records_of(folder: Path) -> list[Path]:
    return [
        made.write(folder / "a.jsonl"),
        made.write_gpu_run(folder / "b.jsonl"),
        made.write_studies(folder / "c.jsonl"),
    ]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return markdown_of(render(load(records_of(tmp_path_factory.mktemp("records")))))


def section(page: str, title: str) -> str:
    _, _, rest = page.partition(f"\n## {title}\n")
    assert rest, f"the page has no section {title!r}"
    return rest.partition("\n## ")[0]


def squeezed(text: str) -> str:
    """Without the padding of the tables, so that a golden row does not depend on its neighbours."""
    return re.sub(r" +", " ", text)


# One golden line is one line, however long.
# ruff: noqa: E501
GOLDEN = {
    ("README", "AdEMAMix"): [
        "**Of other people's, use:** none of those judged here computes the paper.",
        "**Ours:** 3 of 3 implementations of ours that were judged compute the paper.",
        "```python\nfrom gaugeblock.ademamix import AdEMAMix\n```",
        "  - [`optax`](pages/ademamix.optax.md) 0.2.8: it looks like “A planted bug of ADM-06” ([ADM-06](pages/ademamix.optax.md#finding.ademamix.optax.ADM-06)) and “A planted bug of ADM-07” (",
        "  - [`bitsandbytes-32bit`](pages/ademamix.bitsandbytes-32bit.md) 0.50.2: it crashes where “beta3 warms up linearly in half-life” (",
        "- **Fastest right ones here:** `triton`, 5.92× [5.68, 6.10] the speed of `torch`; on `step-1m` (cpu, float32, run A).",
        "- **Not judged here:** [`apple`](pages/ademamix.apple.md).",
        "| Implementation | Averages | Denominator |",
        "| [`heavyball`](pages/ademamix.heavyball.md) | [✗](pages/ademamix.heavyball.md#finding.ademamix.heavyball.ADM-01) | ✓ |",
        "<details><summary>The same of our own 3</summary>",
        "| ADM-01 | definition | One step moves the parameters by the mixed update. | heavyball |",
    ],
    ("README", "Sigmoid attention"): [
        "**Of other people's these are right:** [`triton-sigmoid`](pages/sigmoid_attention.triton-sigmoid.md) 0.1.2.",
    ],
    ("pages/ademamix", "Ranking"): [
        "| Rank | Implementation | Verdict | Margin, float32 | Judged there | Speed, float32 | Definition | Interface | Robustness | Reading |",
        "| 1 | [`numpy`](../pages/ademamix.numpy.md) | computes the paper | 0.0995 | 100 % | 0.140× | 7 met | - | - | - |",
        "| 2 | [`torch`](../pages/ademamix.torch.md) | computes the paper | 0.317 | 85.7 % | 1 (baseline) | 6 met |",
        "| - | [`heavyball`](../pages/ademamix.heavyball.md) 3.2.1 | **differs from the paper** | 1.0004 | 85.7 % | 5.60× | 1 of 6 not met |",
        "| [`apple`](../pages/ademamix.apple.md) | package | no module named 'ademamix'; pip install ademamix |",
        "![3 implementations of AdEMAMix that compute the paper are drawn, with these margins: numpy (0.0995), torch (0.317) and triton",
        "On step-1m, cpu, float32 their speeds are these multiples of the baseline's: triton 5.92, heavyball 5.60, ",
        "](../plots/ademamix.svg)",
    ],
    ("pages/sigmoid_attention", "Ranking"): [
        "- fused-tanh: scores in float32, hardware tanh",
        "| computes the paper | fused-tanh | 0.372 |",
    ],
    ("pages/ademamix", "Requirements"): [
        "| ADM-04 | definition | The slow EMA is not bias-corrected. | Alg. 1 | dividing the whole numerator by 1-beta1^t |",
        "| Id | `numpy` | `torch` | `triton` | `heavyball` | `optax` | `pytorch-optimizer` | `bitsandbytes-32bit` | `apple` |",
        "| **ADM-05** | 0.0933 | 0.306 | 0.379 | 0.514 | 0.672 | **[FAIL inf](../pages/ademamix.pytorch-optimizer.md#finding.ademamix.pytorch-optimizer.ADM-05)** | 0.783 | *n.r.* |",
        "| **ADM-07** | 0.0799 | 0.317 | 0.371 | *unsup.* | **[FAIL 312](../pages/ademamix.optax.md#finding.ademamix.optax.ADM-07)** | 0.466 | **[ERROR](../pages/ademamix.bitsandbytes-32bit.md#finding.ademamix.bitsandbytes-32bit.ADM-07)** | *n.r.* |",
    ],
    ("pages/claims", "Claims: AdEMAMix"): [
        "| **ADM-C1** | The statement of ADM-C1. *(section 4, figure 5)* | 1.95 times | 1.80 times | holds |",
        "| **ADM-C2** | The statement of ADM-C2. *(section 4, figure 5)* | forgets more slowly | forgets as fast | does not hold |",
        "### ADM-C10: undecided",
        "![ADM-C1: The statement of ADM-C1. (cpu, run C): loss against step, 2 lines. AdamW from 2.00 at 0 to 0.243 at 2000 and AdEMAMix",
        "](../plots/claim-ADM-C1.svg)",
        "| Learning rate | 0.00100 |",
        "```sh\npython -m conformance.studies.claims ADM-C1\n```",
    ],
    ("pages/claims", "Claims: RIG annotations"): ["| **RIG-C1** | left out by --quick: it has no short form |"],
    ("pages/claims", "Accuracy: Sigmoid attention"): [
        "3 lines. numpy from 1.00e-7 at 256 to 8.00e-7 at 16384, torch from ",
        "x-transformers (differs) from 1.00e-4 at 256",
        "](../plots/sigmoid_attention-error-against-length.svg)",
        "| `torch` | 3.00e-7 | 6.00e-7 | 9.00e-7 | 2.00e-6 |",
        "| `triton-sigmoid` | Error against length | not run | runs on cuda only |",
    ],
    ("pages/findings", "AdEMAMix"): [
        "| [ADM-06](../pages/ademamix.optax.md#finding.ademamix.optax.ADM-06) | definition | `optax` | 0.2.8 | found in 0.2.8 | - |",
    ],
    ("pages/ademamix.optax", "Verdict"): [
        "| **definition** | differs (2 of 7 requirements) | [ADM-06](#finding.ademamix.optax.ADM-06) and [ADM-07](#finding.ademamix.optax.ADM-07) | what the paper defines: ",
        "Judged by the bounds of the class `strict`: strict",
    ],
    ("pages/ademamix.optax", "Findings"): [
        '### ADM-06: alpha warms up linearly to its end value. <a id="finding.ademamix.optax.ADM-06"></a>',
        "Level: definition. Of 4 judged cases, 2 fail. Worst margin **1.30e4**. It looks like this mistake: “A planted bug of ADM-06”. Source: eq. 5.",
        "| Worst case | `d64-t40`, `float32`, `cpu` |",
        "| Quantity | `update` at `(0, 3)` |",
        "| Got | `0.1000000149011612` |",
        "| Margin | **1.30e4** |",
        "| Resembles | `ademamix/planted`: A planted bug of ADM-06. |",
        "| The requirement catches | a schedule that starts one step late |",
        "```sh\npytest conformance --impl ademamix/optax -k 'ADM-06 and d64-t40'\n```",
    ],
    ("pages/ademamix.bitsandbytes-32bit", "Findings"): [
        "Of 4 judged cases, 4 crash. It raises <code>RuntimeError: expected a tensor of the same size &#124; got &#96;1&#96;</code>.",
        "| Message | <code>RuntimeError: expected a tensor of the same size &#124; got &#96;1&#96;</code> |",
    ],
    ("pages/ademamix.optax", "Margins"): ["| `float32` | 1.30e4 | - | - | - | 14 | - |"],
    ("pages/ademamix.triton", "Speed"): ["| `step-1m` | float32 | cpu | - | 5.92× [5.68, 6.10] | 709 µs | - |"],
    ("pages/ademamix.triton", "Reproduce"): ["python -m pytest conformance --impl ademamix/triton"],
    ("pages/ademamix.triton", "Badge"): ["[![triton](badges/ademamix/triton.svg)](index.html)"],
    ("pages/ademamix", "Speed"): [
        "### `step-1m` on cpu, float32 (run A)",
        "In the same run this machine copies 29.0 GB/s, updates in place 41.0 GB/s and multiplies matrices at 91.0 GFLOP/s.",
        "| `triton` | 5.92× [5.68, 6.10] | computes the paper | 709 µs | 53.3 % | 1.48 Gparameters/s |",
        "| `triton` | faster | [695 µs, 731 µs] | 30 | 0.500 |",
        "| `torch`, A/A | 1.00× [0.970, 1.02] baseline | computes the paper |",
        # Cold and warm side by side, and what newer records say besides.
        "| Implementation | Ratio, cold | Ratio, warm | Verdict | Time, cold | Time, warm | Roofline share, cold | Roofline share, warm | Per second, cold |",
        "| 1.25 ms | 696 µs | 29.6 % | 53.3 % | 798 Mparameters/s |",
        "| `triton` | cold | faster | [1.13 ms, 1.50 ms] | 30 (tight) | 0.500 | 2.50 s | 12.0 MB host | the whole interval lies above 1 |",
        "<details><summary>Warnings of this measurement</summary>",
        "- another process took 40 % of a core: `optax` (cold).",
        "<details><summary>No speed is shown for heavyball</summary>",
        "| `heavyball` (cold) | measuring fault | 12 times faster than the memory allows |",
        "parameters per second against parameters, 3 lines. torch from 7.13e7 at 1000 to ",
        "](../plots/ademamix-scaling-2.svg)",
    ],
    ("pages/sigmoid_attention", "Speed"): [
        "| `torch`, A/A | 1.00× [0.970, 1.02] same | computes the paper |",
        "| `torch` | 1.00× [0.960, 1.03] | computes the paper |",
        "| `x-transformers` | wrong answer | o is off at (0, 3); its answer at this shape and dtype has margin 8.81e4 |",
        "### `forward-1k` on cuda, float32 (run B)",
        "under the measured ceilings of 41.0 GB/s and 91.0 GFLOP/s. ",
        "triton at best 73.7 GFLOP/s at 64.0 FLOP per byte, 81.0 % of the ceiling there",
        "](../plots/sigmoid_attention-roofline.svg)",
    ],
    ("pages/rag", "Speed"): ["None of these runs measured this system."],
    ("pages/suite", "The suite: AdEMAMix"): [
        "- Planted bugs caught: 87.5 % (7/8).",
        "- Left out of that rate: 1 variant proven equivalent to a correct one.",
        "| `bug-of-adm-02` | It has a forgotten correction. | **ADM-02** (inf), ADM-07 (7.50) |",
        "| `late-decay` | Decays after the step. | ADM-05 |",
        "| `reordered` | Multiplies before it adds. | x&#42;y+z is the same in either order of the operands. |",
    ],
    ("pages/suite", "The suite: RIG annotations"): [
        "- False alarms over honest variants: 100 % (1/1).",
        "| `half-caught` | Is caught by one of two. | **RIG-01** (inf), not by **RIG-02** |",
        "| `honest` | Another regex. | RIG-02 (error) |",
    ],
    ("pages/runs", "Environment"): [
        "| CPU | A CPU &#124; of some make |",
        "| Packages | numpy 2.4.0, torch 2.13.0 |",
        "| GPU | memory_gib 80.0, name A GPU |",
    ],
    ("pages/runs", "How to reproduce"): [
        "python -m pytest conformance --device cuda --impl triton",
        "python -m conformance.studies.claims ademamix --device cpu --records=c.jsonl",
        "python -m reports a.jsonl b.jsonl c.jsonl -o report",
    ],
    ("pages/runs", "Record files"): [
        "| A | `a.jsonl` | 1 | 0.1.0 | 313 | 19 | 12 | 0 | 0 | `",
        "| C | `c.jsonl` | 1 | 0.1.0 | 0 | 0 | 31 | 4 | 4 | `",
    ],
}


@pytest.mark.parametrize(("path", "title"), GOLDEN)
def test_sections_say(pages: dict[str, str], path: str, title: str) -> None:
    text = squeezed(section(pages[path], title))
    for line in GOLDEN[path, title]:
        assert squeezed(line) in text, line


def test_every_page_is_linked_from_the_first(pages: dict[str, str]) -> None:
    for path, text in pages.items():
        for target in re.findall(r"\]\(([^)#]*\.md)", text):
            assert os.path.normpath(os.path.join(os.path.dirname(path), target)).removesuffix(".md") in pages, (path, target)
    linked = set(re.findall(r"\]\((pages/[^)#]*)\.md", pages["README"]))
    assert linked == set(pages) - {"README"}


def dangling(pages: dict[str, str]) -> list[str]:
    """Links to findings that lead nowhere, and places that have the same name."""
    links = [link for text in pages.values() for link in re.findall(r"\]\([^)]*#(finding\.[^)]*)\)", text)]
    places = [place for text in pages.values() for place in re.findall(r'<a id="([^"]*)"></a>', text)]
    assert len(places) == len(set(places))
    return [link for link in links if link not in places]


def test_every_red_cell_leads_to_its_finding(pages: dict[str, str]) -> None:
    tables = [section(text, "Requirements").partition("\n\n")[2] for text in pages.values() if "\n## Requirements\n" in text]
    cells = [cell for text in tables for cell in re.findall(r"\*\*(?:\[)?((?:FAIL|ERROR)\b[^|]*)\|", text)]
    assert len(cells) == len(made.FAILURES) + len(made.ERRORS)
    assert all(".md#finding." in cell for cell in cells)
    assert dangling(pages) == []


def test_findings_of_names_that_look_alike_have_places_of_their_own() -> None:
    names = [
        "a/b",
        "a/B",
        "a/b.c",
        "a/b/c",
        "a/b c",
        "a/b-c",
        "a/b\ud800",
        'a/b"><b',
        "a/" + "x" * 99 + "!",
        "a/" + "x" * 99 + "?",
    ]
    places = [finding(name, "R-1") for name in names] + [finding("a", "b.R-1"), finding("a", "b"), finding("", "")]
    assert len(places) == len(set(places))
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", place) for place in places)


def test_headings_are_unique(pages: dict[str, str]) -> None:
    for page in pages.values():
        outside_fences = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
        headings = [line for line in outside_fences.split("\n") if re.match(r"#{1,3} ", line)]
        assert len(headings) == len(set(headings))
        links = re.findall(r"\]\(#([a-z-]+)\)", outside_fences)
        assert set(links) <= {re.sub("[^a-z0-9 -]", "", line[3:].lower()).replace(" ", "-") for line in headings}


def test_every_table_row_has_the_columns_of_its_header(pages: dict[str, str]) -> None:
    rows_of_table: list[int] = []
    for line in [line for page in pages.values() for line in [*page.split("\n"), ""]]:
        if line.startswith("|"):
            rows_of_table.append(line.count("|"))
        else:
            assert len(set(rows_of_table)) <= 1
            rows_of_table = []


def test_many_implementations_are_split_over_tables(tmp_path: Path) -> None:
    names = [f"ademamix/number-{i:02}" for i in range(30)]
    body = [made.result(name, "ADM-01", "d8-t1", "float32", 0.4) for name in names]
    pages = pages_of(tmp_path, body, implementations=[made.implementation(name) for name in names])
    text = section(pages["pages/ademamix"], "Requirements").partition("### Denominator")[0]
    headers = [line for line in text.split("\n") if "`number-" in line]
    assert [line.count("`number-") for line in headers] == [8, 8, 8, 6]


def test_what_was_partly_unsupported_has_a_dagger(tmp_path: Path) -> None:
    body = [
        made.result("ademamix/torch", "ADM-01", "d8-t1", "float32", 0.4, margin=0.25),
        made.result("ademamix/torch", "ADM-01", "d8-t1", "float64", 0.4, verdict=Verdict.UNSUPPORTED, margin=None),
    ]
    assert "| **ADM-01** | 0.250 † |" in squeezed(section(pages_of(tmp_path, body)["pages/ademamix"], "Requirements"))


def test_a_wrong_answer_shows_no_speed_anywhere(tmp_path: Path) -> None:
    lied = made.measurement("ademamix/triton", 7.77, verdict="wrong answer", message="off")
    pages = pages_of(tmp_path, [made.measurement("ademamix/torch", 1.0), lied, *made.verdict_lines()])
    assert not any("7.77" in page for page in pages.values())


def test_a_noisy_run_says_so(tmp_path: Path, pages: dict[str, str]) -> None:
    lines = [
        made.measurement("ademamix/torch", 0.7, decision="baseline", aa=True, ratio_low=0.65, ratio_high=0.98),
        made.result("ademamix/torch", "ADM-01", "d8-t1", "float32", 0.4),
    ]
    noisy = pages_of(tmp_path, lines)
    told = "`torch`, which the others are compared with; the run was noisy, the baseline beside itself 0.700×; on `step-1m` ("
    assert told in section(noisy["README"], "AdEMAMix")
    assert "**This run was noisy:**" in section(noisy["pages/ademamix"], "Speed")
    assert not any("noisy" in page for page in pages.values())


def test_a_difference_that_the_rule_calls_the_same_is_no_noise(tmp_path: Path) -> None:
    lines = [
        made.measurement("ademamix/torch", 0.998, decision="baseline", aa=True, ratio_low=0.997, ratio_high=0.999),
        made.result("ademamix/torch", "ADM-01", "d8-t1", "float32", 0.4),
    ]
    assert not any("noisy" in page for page in pages_of(tmp_path, lines).values())


def test_empty_sections_say_why(tmp_path: Path) -> None:
    pages = pages_of(tmp_path, [])
    assert "No case was judged in these runs, so there can be no finding." in section(pages["pages/findings"], "None")
    assert "None of these runs measured this system." in section(pages["pages/ademamix"], "Speed")
    assert "None of these runs tested the suite by mutants of this system." in pages["pages/suite"]
    assert "it was listed, but not tested on any case" in section(pages["pages/ademamix"], "Ranking")
    bare = pages_of(tmp_path, [], systems=[], requirements=[], implementations=[])
    assert "The records name no implementation" in section(bare["README"], "Summary")


def test_one_kind_of_crash_is_told_once(tmp_path: Path) -> None:
    def crash(requirement: str, message: str) -> dict[str, Any]:
        return made.result(
            *("ademamix/torch", requirement, "d8-t1", "float32", 0.4), verdict=Verdict.ERROR, margin=None, message=message
        )

    body = [crash("ADM-01", "shape [6] at 0xAB"), crash("ADM-02", "shape [12] at 0xCD"), crash("ADM-03", "another")]
    pages = pages_of(tmp_path, body)
    text = section(pages["pages/ademamix.torch"], "Findings")
    both = "".join(f'<a id="finding.ademamix.torch.{id_}"></a>' for id_ in ("ADM-01", "ADM-02"))
    told = f"### 2 requirements, one kind of crash {both}\n\nRequirements: ADM-01, ADM-02. Of 2 judged cases, 2 crash. The first raises "
    assert told in text
    assert text.count("### ") == 2
    assert "[`torch`](pages/ademamix.torch.md) (ours): it crashes in every case that was judged (" in pages["README"]


def judged(name: str, *verdicts: tuple[str, str, Verdict, str], **changes: Any) -> list[dict[str, Any]]:
    """Records of (requirement, case, verdict, the mistake that it resembles), in float32."""
    margins = {Verdict.PASS: 0.5, Verdict.FAIL: 2.0, Verdict.INCONCLUSIVE: 0.5}
    return [
        made.result(
            *(f"ademamix/{name}", requirement, case, "float32", 0.4), verdict=verdict, margin=margins.get(verdict),
            resembles=resembles, **({"resolution": 2.0} if verdict is Verdict.INCONCLUSIVE else {}), **changes,
        )
        for requirement, case, verdict, resembles in verdicts
    ]  # fmt: skip


PASS, FAIL, UNSUPPORTED = Verdict.PASS, Verdict.FAIL, Verdict.UNSUPPORTED


def test_each_level_has_a_sign_and_a_verdict_of_its_own(tmp_path: Path) -> None:
    passes = [(f"ADM-0{n}", "a", PASS, "") for n in range(1, 6)]
    broken = {"interface": "ADM-46", "robustness": "ADM-38", "reading": "ADM-42", "definition": "ADM-15"}
    body = [line for name, id_ in broken.items() for line in judged(name, *passes, (id_, "a", FAIL, ""))]
    body += judged("authors", *passes, ("ADM-18", "a", FAIL, "ademamix/x: 1e-8 inside, as the authors' code does."))
    body += judged("blunt", *passes, ("ADM-06", "a", Verdict.INCONCLUSIVE, ""))
    levels = {"ADM-46": "interface", "ADM-38": "robustness", "ADM-42": "reading"}
    requirements = [
        {"system": "ademamix", "id": id_, "level": levels.get(id_, "definition"), "family": f"Family {id_}",
         "statement": f"Rule {id_}.", "source": "", "catches": ""}
        for id_ in ("ADM-01", "ADM-06", "ADM-15", "ADM-18", "ADM-38", "ADM-42", "ADM-46")
    ]  # fmt: skip
    names = [*broken, "authors", "blunt"]
    kept = [made.implementation(f"ademamix/{name}", "package", name, "1.0") for name in names]
    pages = pages_of(tmp_path, body, requirements=requirements, implementations=kept)
    rows = {line.split("`")[1]: line for line in pages["README"].split("\n") if line.startswith("| [`")}
    assert {name: next(s for s in "✗≈▲◆○?✓" if s in rows[name]) for name in names} == {
        "interface": "▲", "robustness": "◆", "reading": "○", "definition": "✗", "authors": "≈", "blunt": "?",
    }  # fmt: skip
    words = {name: re.search(r"^\*\*(.*?) in 1.0\.\*\*", pages[f"pages/ademamix.{name}"], re.M) for name in names}
    assert {name: found and found[1] for name, found in words.items()} == {
        **dict.fromkeys(("interface", "robustness", "reading", "blunt"), "computes the paper"),
        "definition": "differs from the paper",
        "authors": "differs from the paper, as the authors' code",
    }
    assert "**Compute the paper, but:**" in pages["README"]
    assert re.search(r"`authors`\].*\), as the authors' code\.$", pages["README"], re.M)
    assert "reading`](pages/ademamix.reading.md) 1.0: not met" not in pages["README"]


def test_the_mistake_that_explains_most_failures_is_named(tmp_path: Path) -> None:
    mutant = next(each for each in mutants_of("ademamix") if "ADM-09" in each.killed_by and not each.honest)
    other = next(each for each in mutants_of("ademamix") if each.name != mutant.name and not each.honest)
    body = judged("torch", *((f"ADM-0{n}", "a", PASS, "") for n in range(1, 6)))
    for case, names in (("a", (mutant.name,)), ("b", (mutant.name, other.name)), ("c", (mutant.name,))):
        words = f"{other.name}: {other.sentence}; or {mutant.name}: {mutant.sentence}; or 4 more"
        body += judged("torch", ("ADM-09", case, FAIL, words), candidates=names)
    pages = pages_of(tmp_path, body)
    assert "It looks like one of these mistakes: “" in pages["pages/ademamix.torch"]
    assert "4 more" not in pages["pages/ademamix.torch"]
    sentence = re.escape(mutant.sentence.rstrip("."))
    assert re.search(rf"it looks like “{sentence}” \(\[ADM-09\]", pages["README"].replace("&#42;", "*"))
    assert other.sentence.rstrip(".") not in pages["README"]


def test_what_is_known_is_said_to_be(tmp_path: Path) -> None:
    body = judged("torch", ("ADM-09", "a", FAIL, "")) + [
        {**line, "known": "it is being mended"} for line in judged("torch", ("ADM-10", "a", FAIL, ""))
    ]
    pages = pages_of(tmp_path, body)
    assert "Known: it is being mended." in pages["pages/ademamix.torch"]
    assert [line.count(", known") for line in pages["pages/findings"].split("\n") if "`torch`" in line] == [0, 1]


def test_what_was_hardly_judged_in_a_dtype_has_no_rank(tmp_path: Path) -> None:
    cases = [(f"ADM-0{n}", "a", PASS, "") for n in range(1, 8)]
    body = judged("whole", *cases) + judged("sliver", *cases[:2], *((id_, "a", UNSUPPORTED, "") for id_, *_ in cases[2:]))
    body += [{**line, "dtype": "bfloat16", "margin": 0.01} for line in judged("narrow", *cases)]
    body += [{**line, "dtype": "bfloat16"} for line in judged("elsewhere", *cases)] + judged("elsewhere", *cases[:2])
    names = ["whole", "sliver", "narrow", "elsewhere"]
    pages = pages_of(tmp_path, body, implementations=[made.implementation(f"ademamix/{name}") for name in names])
    ranked = section(pages["pages/ademamix"], "Ranking")
    lines = [squeezed(line) for line in ranked.split("\n") if line.startswith("| ")]
    found = {name: next(line for line in lines if f"[`{name}`]" in line) for name in names}
    assert found["whole"].startswith("| 1 |")
    assert found["narrow"].startswith("| - |")
    assert "| computes the paper | - | - |" in found["narrow"]
    assert found["elsewhere"].startswith("| - |")
    assert "| computes the paper | 0.500 | 28.6 % |" in found["elsewhere"]
    assert found["sliver"].startswith("| - |")
    assert "| **partly judged** | 0.500 | 28.6 % |" in found["sliver"]


def test_readers_of_two_grammars_are_not_compared_nor_with_a_readable_reference(tmp_path: Path) -> None:
    listed = [made.implementation(f"rig/{name}") for name in ("re", "fast", "official", "reference")]
    listed[2] = {**listed[2], "numerical_class": "official"}
    names = ["re", "fast", "official"]
    body = [made.result(f"rig/{each}", "RIG-01", "plain", "", 0.0) for each in (*names, "reference")]
    plain = {"dtype": "", "baseline": "rig/re", "system": "rig"}
    ratios = {"re": 1.0, "fast": 3.3, "official": 7.7}
    timed = [made.measurement(f"rig/{name}", ratios[name], **plain) for name in names]
    pages = pages_of(tmp_path, body + timed, implementations=listed)
    assert "`fast`, 3.30× [3.17, 3.40] the speed of `re`" in pages["README"]
    assert not any("7.70×" in page for page in pages.values())
    assert "it reads another grammar than the baseline" in pages["pages/rig.official"]
    timed = [made.measurement(f"rig/{name}", ratios[name], **{**plain, "baseline": "rig/reference"}) for name in names]
    pages = pages_of(tmp_path, body + timed, implementations=listed)
    assert not any("3.30×" in page for page in pages.values())
    assert "**Fastest right ones here:** `fast`, " in pages["README"]


def test_the_same_margin_is_told_everywhere(tmp_path: Path) -> None:
    body = made.verdict_lines()
    for line in body:
        if (line["implementation"], line["requirement"], line["dtype"]) == ("ademamix/optax", "ADM-06", "float64"):
            line["margin"] = 5e9 if line["verdict"] == "fail" else line["margin"]
    files = render(load([made.write(tmp_path / "run.jsonl", body + made.measurement_lines())]))
    pages = markdown_of(files)
    assert "**differs from the paper** | 1.30e4 |" in squeezed(pages["pages/ademamix"])
    assert "optax (1.30e4)" in pages["pages/ademamix"]
    assert "| `float32` | 1.30e4 |" in squeezed(pages["pages/ademamix.optax"])
    assert "| `float64` | 5.00e9 |" in squeezed(pages["pages/ademamix.optax"])


def test_of_many_killers_a_few_are_named(tmp_path: Path) -> None:
    ids = [f"ADM-{number:02}" for number in range(1, 11)]
    body = [made.mutant("ademamix", "ademamix/all", "Is wrong everywhere.", ["ADM-05"], dict.fromkeys(ids, 2.0), ids)]
    text = section(pages_of(tmp_path, body)["pages/suite"], "The suite: AdEMAMix")
    assert "**ADM-05** (2.00), ADM-01 (2.00), ADM-02 (2.00), ADM-03 (2.00), ADM-04 (2.00), 5 more |" in squeezed(text)


def test_plugs_that_could_not_be_used_are_named(tmp_path: Path) -> None:
    pages = pages_of(tmp_path, [], plug_failures=[{"spec": "kernels.py:attention", "message": "no file"}])
    told = section(pages["pages/runs"], "Environment")
    assert "| Could not be plugged in: `kernels.py:attention` | no file |" in squeezed(told)


def test_how_sharp_the_passes_are_and_what_is_tested_together(tmp_path: Path) -> None:
    sharp = [
        made.result("ademamix/torch", "ADM-01", case, "float32", 0.4, margin=0.5, resolution=resolution, verdict=verdict)
        for case, resolution, verdict in (
            *(("a", 1e-5, Verdict.PASS), ("b", 0.5, Verdict.PASS), ("c", 0.5, Verdict.PASS), ("d", 7.0, Verdict.INCONCLUSIVE)),
        )
    ]
    pairs = {"system": "ademamix", "factors": {"rank": ["0", "1"]}, "combinations": 4, "covered": 190, "possible": 200}
    pairs |= {"triples": 9, "possible_triples": 10}
    pages = pages_of(tmp_path, sharp, interactions=[pairs])
    ranking = squeezed(section(pages["pages/ademamix"], "Ranking"))
    assert "| below 0.001 | 25.0 % (1/4) |" in ranking
    assert "| 0.1 to 1 | 50.0 % (2/4) |" in ranking
    assert "| 1 or more: inconclusive | 25.0 % (1/4) |" in ranking
    assert "95.0 % (190/200) of the possible pairs, in 4 combinations." in pages["pages/suite"]
    assert "three at a time: 90.0 % (9/10) of the triples." in pages["pages/suite"]
    assert "| rank | 0 and 1 |" in squeezed(pages["pages/suite"])


def test_a_clean_run_says_so(tmp_path: Path) -> None:
    body = [made.result("ademamix/torch", "ADM-01", "d8-t1", "float32", 0.4)]
    assert "No deviation was found." in section(pages_of(tmp_path, body)["pages/findings"], "None")


EVIL = "|<img src=x>`\n\n## Owned\n[x](http://e.org)**b**\u202e\x1b["


def evil_records() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Lines and header changes in which every text that a record may hold is hostile."""
    name = f"ademamix/{EVIL}"
    words = dict.fromkeys(("quantity", "worst", "got", "expected", "bound", "message", "resembles"), EVIL)
    body = [
        made.result(
            name, "ADM-01", EVIL, EVIL, 0.4, device=EVIL, verdict=Verdict.FAIL, margin=2.0, reproduce="```\n" + EVIL, **words
        ),
        made.result(name, EVIL, EVIL, EVIL, 0.4, device=EVIL, verdict=Verdict.ERROR, margin=None, message=EVIL),
        made.mutant("ademamix", EVIL, EVIL, [EVIL], {EVIL: 2.0}, [EVIL]),
        made.mutant("ademamix", EVIL + "2", EVIL, [EVIL], {}, [EVIL], verdict="survived"),
        made.measurement(name, 2.0, workload=EVIL, description=EVIL, device=EVIL, unit=EVIL, decision=EVIL, baseline=EVIL),
        made.measurement(name, None, workload=EVIL, device=EVIL, verdict=EVIL, message=EVIL, cache=EVIL),
        *(
            made.measurement(name, 2.0, family=EVIL, scale=scale, scale_name=EVIL, cache=EVIL, reason=EVIL, warnings=[EVIL])
            for scale in (1.0, 10.0)
        ),
        made.claim(
            *(EVIL, "ademamix", "holds"),
            **dict.fromkeys(("statement", "source", "expected", "measured", "unit", "message", "device"), EVIL),
            settings={EVIL: [EVIL, {EVIL: EVIL}]},
            series=[{"label": EVIL, "x": [1, 2], "y": ["inf", 0], "low": None, "high": None}],
            axes={"x": EVIL, "y": EVIL, "log": "xy"},
        ),
        made.claim(EVIL, "ademamix", EVIL, message=EVIL),
        made.curve(name, [1.0, 2.0], name=EVIL, title=EVIL, dtype=EVIL, device=EVIL, settings={EVIL: EVIL}),
        made.curve(name, [], name=EVIL, title=EVIL, verdict=EVIL, message=EVIL),
    ]
    described = {
        **made.implementation(name, EVIL, EVIL, EVIL),
        "numerical_class": EVIL,
        "class_description": EVIL,
        "summary": EVIL,
    }
    header = {
        "suite": EVIL,
        "implementations": [described],
        "requirements": [{"system": "ademamix", "id": "ADM-01", "statement": EVIL, "source": EVIL, "catches": EVIL}],
        "systems": [{"name": "ademamix", "title": EVIL, "paper": EVIL, "requirement_prefix": EVIL}],
        "environment": {EVIL: EVIL, "packages": {EVIL: EVIL}, "gpu": {EVIL: [EVIL]}},
        "options": {"quick": True, "impl": [EVIL], EVIL: EVIL},
    }
    return body, header


def test_hostile_records_neither_inject_nor_break_anything(tmp_path: Path) -> None:
    body, header = evil_records()
    files = render(load([made.write(tmp_path / "evil.jsonl", body, **header)]))
    pages = markdown_of(files)
    unfenced = {}
    for path, out in pages.items():
        assert "\x1b" not in out
        assert "\u202e" not in out
        # Commands stand in fences, where nothing is markup but the fence itself.
        text = unfenced[path] = re.sub(r"^(`{3,})\w+\n.*?^\1$", "", out, flags=re.DOTALL | re.MULTILINE)
        assert "<img" not in text
        assert "http://e" not in text
        assert "\n## Owned" not in text
    test_every_table_row_has_the_columns_of_its_header(unfenced)
    assert dangling(unfenced) == []
    svg = files["plots/ademamix.svg"].decode()
    assert "<img" not in svg
    assert "\x1b" not in svg


def test_names_of_folders_stay_out(tmp_path: Path) -> None:
    assert not any(str(tmp_path) in page for page in pages_of(tmp_path).values())


def render_elsewhere(folder: Path, records: list[Path], name: str, **environment: str) -> dict[str, bytes]:
    folder.mkdir()
    # A matplotlibrc in the working directory is one that matplotlib reads.
    (folder / "matplotlibrc").write_text("font.size: 40\nsvg.fonttype: none\nlines.scale_dashes: False\naxes.facecolor: red\n")
    done = subprocess.run(
        [sys.executable, "-m", "reports", *map(str, records), "-o", name],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    out = folder / name
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_the_same_records_render_to_the_same_bytes_anywhere(tmp_path: Path) -> None:
    records = records_of(tmp_path)
    here = render(load(records))
    first = render_elsewhere(tmp_path / "one", records, "out", PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C")
    second = render_elsewhere(tmp_path / "two", records[::-1], "other", PYTHONHASHSEED="2", TZ="Asia/Tokyo", LC_ALL="C.UTF-8")
    assert {path for path in here if not path.startswith("pages/")} == {
        "README.md",
        "index.html",
        *(f"plots/{s['name']}.svg" for s in made.SYSTEMS if s["name"] != "rag"),  # exact, and not timed
        *(f"plots/ademamix-{kind}.svg" for kind in ("scaling", "scaling-2")),
        *(f"plots/sigmoid_attention-{kind}.svg" for kind in ("roofline", "scaling", "error-against-length")),
        "plots/claim-ADM-C1.svg",
        *(f"badges/{name}.svg" for name, *_ in made.IMPLEMENTATIONS),
    }
    assert first == here
    assert second == here


def release(version: str, verdicts: dict[tuple[str, str], str]) -> list[dict[str, Any]]:
    name = "ademamix/optax" if version == "0.2.11" else f"ademamix/optax-{version}"
    return [
        VerdictRecord(
            implementation=name,
            system="ademamix",
            requirement=requirement,
            case=case,
            dtype="float32",
            device="cpu",
            verdict=Verdict(verdict),
            margin={"pass": 0.5, "fail": 2.0, "error": None}[verdict],
        ).to_json()
        for (requirement, case), verdict in verdicts.items()
    ]


def test_what_a_later_release_fixed_or_broke_is_said(tmp_path: Path) -> None:
    ids = [("ADM-01", "a"), ("ADM-02", "a"), ("ADM-02", "b"), ("ADM-03", "a")]
    body = [
        *release("0.2.11", dict(zip(ids, ("pass", "pass", "error", "pass"), strict=True))),
        *release("0.2.10", dict(zip(ids, ("pass", "pass", "error", "fail"), strict=True))),
        *release("0.2.9", dict(zip(ids, ("fail", "error", "error", "pass"), strict=True))),
    ]
    listed = [("ademamix/optax", "0.2.11"), ("ademamix/optax-0.2.10", "0.2.10"), ("ademamix/optax-0.2.9", "0.2.9")]
    pages = pages_of(tmp_path, body, implementations=[made.implementation(n, "package", "optax", v) for n, v in listed])
    said = squeezed(section(pages["pages/releases"], "AdEMAMix"))
    assert "optax`: 0.2.9, 0.2.10, 0.2.11 were judged." in said
    assert "Fixed in 0.2.10, wrong in 0.2.9: ADM-01, ADM-02 (1 of 2 cases)." in said
    assert "Wrong since 0.2.10, right in 0.2.9: ADM-03." in said
    assert "Fixed in 0.2.11, wrong in 0.2.10: ADM-03." in said
    assert "| definition | `optax-0.2.9` | 0.2.9 | fixed in 0.2.10 |" in squeezed(pages["pages/findings"])
    assert "Right from" not in pages["README"]
    assert "pages/ademamix.optax.md" in pages["README"]
    apart = pages_of(tmp_path, body, implementations=[made.implementation(n, "package", n, v) for n, v in listed])
    assert "were judged" not in apart["pages/releases"]
