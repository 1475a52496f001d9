"""Each section says what it should of a made-up run; the same records give the same bytes wherever and whenever rendered."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.records.schema import Verdict, VerdictRecord
from reports.anchors import finding
from reports.merge import load
from reports.page import render
from tests.reports import records_for_tests as made

ROOT = Path(__file__).resolve().parent.parent.parent


def page_of(folder: Path, body: list[dict[str, Any]] | None = None, **header: Any) -> str:
    path = made.write(folder / "run.jsonl", body, **header)
    return render(load([path]))["README.md"].decode()


def records_of(folder: Path) -> list[Path]:
    return [
        made.write(folder / "a.jsonl"),
        made.write_gpu_run(folder / "b.jsonl"),
        made.write_studies(folder / "c.jsonl"),
    ]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("records")
    files = render(load(records_of(folder)))
    return files["README.md"].decode()


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
    "Summary": [
        "**9 of 15 judged implementations conform; 5 do not and 1 crashes.**",
        "| **AdEMAMix** | 3 of 7 | `triton`, 5.92× `torch` | 3 | 1 | 1 |",
        "| **RIG annotations** | 1 of 2 | not measured | 1 | - | - |",
        "- **Conform (worst margin in float32; up to 1 passes):** `numpy` (0.0995), `torch` (0.317, 85.7 % judged) and `triton` (0.417).",
        "- `heavyball` 3.2.1: [ADM-01](#finding.ademamix.heavyball.ADM-01) by a margin of 1.0004, “One step moves the parameters by the mixed update”.",
        "by a margin of 1.30e4, “alpha warms up linearly to its end value”; also [ADM-07](#finding.ademamix.optax.ADM-07).",
        "- **Conform exactly:** `regex`.",
        "- `optax` 0.2.8: [ADM-06](#finding.ademamix.optax.ADM-06), “alpha warms up linearly to its end value”; ",
        "- `bitsandbytes-32bit` 0.50.2: [ADM-07](#finding.ademamix.bitsandbytes-32bit.ADM-07), “beta3 warms up linearly in half-life”.",
        "- **Not judged:** `apple`; the ranking says why.",
        "- **Fastest that conforms:** `triton`, 5.92× [5.68, 6.10] the speed of `torch` on `step-1m` (cpu, float32, run A).",
        "- **Fastest that conforms:** no speed was measured in these runs.",
        "- **Paper claims:** 1 holds (ADM-C1), 1 does not (ADM-C2) and 1 undecided (ADM-C10).",
    ],
    "Ranking": [
        "| Implementation | Verdict | In float32 | Worst margin | Speed | Pass | Fail | Error | Unsup. | Coverage |",
        "| `numpy` | conforms | 0.0995 | 0.108 | 0.140× | 28 | - | - | - | 100 % |",
        "| 1 (baseline) |",
        "| `heavyball` 3.2.1 | **does not conform** | - | 1.0004 | 5.60× | 22 | 2 | - | 4 | 85.7 % |",
        "| `triton` | conforms | fused-tanh | 0.406 |",
        "| `apple` | package | no module named 'ademamix'; pip install ademamix |",
        "- fused-tanh: scores in float32, hardware tanh",
        "| Implementation | Verdict | Worst margin | Pass | Fail | Coverage |",
    ],
    "Margin and speed": [
        "![Worst margin and speed of 7 implementations of AdEMAMix, speed on step-1m, cpu, float32. Conform: numpy (margin 0.0995, ",
        "](plots/sigmoid_attention.svg)",
    ],
    "Paper claims": [
        "| **ADM-C1** | The statement of ADM-C1. *(section 4, figure 5)* | 1.95 times | 1.80 times | holds |",
        "| **ADM-C2** | The statement of ADM-C2. *(section 4, figure 5)* | forgets more slowly | forgets as fast | does not hold |",
        "#### ADM-C10: undecided",
        "![ADM-C1: The statement of ADM-C1. (cpu, run C): loss against step, 2 lines. AdamW from 2.00 at 0 to 0.243 at 2000 and AdEMAMix",
        "](plots/claim-ADM-C1.svg)",
        "| Learning rate | 0.00100 |",
        "```sh\npython -m conformance.studies.claims ADM-C1\n```",
        "| **RIG-C1** | left out by --quick: it has no short form |",
    ],
    "Accuracy against length": [
        "3 lines. numpy from 1.00e-7 at 256 to 8.00e-7 at 16384, torch from ",
        "x-transformers (fails) from 1.00e-4 at 256",
        "](plots/sigmoid_attention-error-against-length.svg)",
        "| `torch` | 3.00e-7 | 6.00e-7 | 9.00e-7 | 2.00e-6 |",
        "| `triton-sigmoid` | Error against length | not run | runs on cuda only |",
    ],
    "Requirements": [
        "| ADM-04 | The slow EMA is not bias-corrected. | Alg. 1 | dividing the whole numerator by 1-beta1^t |",
        "| Id | `numpy` | `torch` | `triton` | `heavyball` | `optax` | `pytorch-optimizer` | `bitsandbytes-32bit` | `apple` |",
        "| **ADM-05** | 0.0933 | 0.306 | 0.379 | 0.514 | 0.672 | **[FAIL inf](#finding.ademamix.pytorch-optimizer.ADM-05)** | 0.783 | *n.r.* |",
        "<details><summary>lines: no requirement is broken; the margins</summary>",
        "| **ADM-07** | 0.0799 | 0.317 | 0.371 | *unsup.* | **[FAIL 312](#finding.ademamix.optax.ADM-07)** | 0.466 | **[ERROR](#finding.ademamix.bitsandbytes-32bit.ADM-07)** | *n.r.* |",
    ],
    "Findings": [
        "### `ademamix/optax` 0.2.8",
        '#### ADM-06: alpha warms up linearly to its end value. <a id="finding.ademamix.optax.ADM-06"></a>',
        "Of 4 judged cases, 2 fail. Worst margin **1.30e4**. It looks like this mistake: “A planted bug of ADM-06”. Source: eq. 5.",
        "| Worst case | `d64-t40`, `float32`, `cpu` |",
        "| Quantity | `update` at `(0, 3)` |",
        "| Got | `0.1000000149011612` |",
        "| Margin | **1.30e4** |",
        "| Resembles | `ademamix/planted`: A planted bug of ADM-06. |",
        "| The requirement catches | a schedule that starts one step late |",
        "```sh\npytest conformance --impl ademamix/optax -k 'ADM-06 and d64-t40'\n```",
        "Of 4 judged cases, 4 crash. It raises <code>RuntimeError: expected a tensor of the same size &#124; got &#96;1&#96;</code>.",
        "| Message | <code>RuntimeError: expected a tensor of the same size &#124; got &#96;1&#96;</code> |",
    ],
    "Speed": [
        "#### `step-1m` on cpu, float32 (run A)",
        "In the same run this machine copies 29.0 GB/s, updates in place 41.0 GB/s and multiplies matrices at 91.0 GFLOP/s.",
        "| `triton` | 5.92× [5.68, 6.10] | conforms | 709 µs | 53.3 % | 1.48 Gparameters/s |",
        "| `triton` | faster | [695 µs, 731 µs] | 30 | 0.500 |",
        "| `torch`, A/A | 1.00× [0.970, 1.02] baseline | conforms |",
        "| `torch`, A/A | 1.00× [0.970, 1.02] same | conforms |",
        "| `torch` | 1.00× [0.960, 1.03] | conforms |",
        "| `x-transformers` | wrong answer | o is off at (0, 3); its answer at this shape and dtype has margin 8.81e4 |",
        "#### `forward-1k` on cuda, float32 (run B)",
        "None of these runs measured this system.",
        # Cold and warm side by side, and what newer records say besides.
        "| Implementation | Ratio, cold | Ratio, warm | Verdict | Time, cold | Time, warm | Roofline share, cold | Roofline share, warm | Per second, cold |",
        "| 1.25 ms | 696 µs | 29.6 % | 53.3 % | 798 Mparameters/s |",
        "| `triton` | cold | faster | [1.13 ms, 1.50 ms] | 30 (tight) | 0.500 | 2.50 s | 12.0 MB host | the whole interval lies above 1 |",
        "- another process took 40 % of a core: `optax` (cold).",
        "<details><summary>No speed is shown for heavyball</summary>",
        "| `heavyball` (cold) | measuring fault | 12 times faster than the memory allows |",
        "triton 53.3 %; heavyball (fails) 50.4 %; ",
        "](plots/ademamix-shares.svg)",
        "under the measured ceilings of 41.0 GB/s and 91.0 GFLOP/s. ",
        "triton at best 73.7 GFLOP/s at 64.0 FLOP per byte, 81.0 % of the ceiling there",
        "](plots/sigmoid_attention-roofline.svg)",
        "parameters per second against parameters, 3 lines. torch from 7.13e7 at 1000 to ",
        "](plots/ademamix-scaling-2.svg)",
    ],
    "Mutants": [
        "- Planted bugs caught: 87.5 % (7/8).",
        "- Left out of that rate: 1 variant proven equivalent to a correct one.",
        "- False alarms over honest variants: 100 % (1/1).",
        "![Which of 7 requirements of AdEMAMix caught which of 8 planted bugs; caught in all: 87.5 % (7/8). Survived: late-decay. ",
        "](plots/ademamix-bugs.svg)",
        "| `bug-of-adm-02` | It has a forgotten correction. | **ADM-02** (inf), ADM-07 (7.50) |",
        "| `half-caught` | Is caught by one of two. | **RIG-01** (inf), not by **RIG-02** |",
        "| `late-decay` | Decays after the step. | ADM-05 |",
        "| `reordered` | Multiplies before it adds. | x&#42;y+z is the same in either order of the operands. |",
        "| `honest` | Another regex. | RIG-02 (error) |",
    ],
    "Environment": [
        "| CPU | A CPU &#124; of some make |",
        "| Packages | numpy 2.4.0, torch 2.13.0 |",
        "| GPU | memory_gib 80.0, name A GPU |",
    ],
    "How to reproduce": [
        "python -m pytest conformance --device cuda --impl triton",
        "python -m conformance.studies.claims ademamix --device cpu --records=c.jsonl",
        "python -m reports a.jsonl b.jsonl c.jsonl -o report",
    ],
    "Record files": [
        "| A | `a.jsonl` | 1 | 0.1.0 | 313 | 19 | 12 | 0 | 0 | `",
        "| C | `c.jsonl` | 1 | 0.1.0 | 0 | 0 | 31 | 4 | 4 | `",
    ],
    "What the words mean": ["A **margin** is the largest error divided by its bound"],
}


@pytest.mark.parametrize("title", GOLDEN)
def test_a_section_says(title: str, page: str) -> None:
    text = squeezed(section(page, title))
    for line in GOLDEN[title]:
        assert squeezed(line) in text


def test_every_link_of_the_contents_has_its_heading(page: str) -> None:
    links = re.findall(r"\]\(#([a-z-]+)\)", page)
    headings = [line[3:].lower().replace(" ", "-") for line in page.split("\n") if line.startswith("## ")]
    assert links == headings


def dangling(page: str) -> list[str]:
    """Links to findings that lead nowhere, and places that have the same name."""
    links = re.findall(r"\]\(#(finding\.[^)]*)\)", page)
    places = re.findall(r'<a id="([^"]*)"></a>', page)
    assert len(places) == len(set(places))
    return [link for link in links if link not in places]


def test_every_red_cell_leads_to_its_finding(page: str) -> None:
    cells = re.findall(r"\*\*(?:\[)?((?:FAIL|ERROR)\b[^|]*)\|", section(page, "Requirements").partition("\n\n")[2])
    assert len(cells) == len(made.FAILURES) + len(made.ERRORS)
    assert all("](#finding." in cell for cell in cells)
    assert dangling(page) == []


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


def test_headings_are_unique(page: str) -> None:
    outside_fences = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    headings = [line for line in outside_fences.split("\n") if re.match(r"#{1,3} ", line)]
    assert len(headings) == len(set(headings))


def test_every_table_row_has_the_columns_of_its_header(page: str) -> None:
    rows_of_table: list[int] = []
    for line in [*page.split("\n"), ""]:
        if line.startswith("|"):
            rows_of_table.append(line.count("|"))
        else:
            assert len(set(rows_of_table)) <= 1
            rows_of_table = []


def test_many_implementations_are_split_over_tables(tmp_path: Path) -> None:
    names = [f"ademamix/number-{i:02}" for i in range(30)]
    body = [made.result(name, "ADM-01", "d8-t1", "float32", 0.4) for name in names]
    text = section(page_of(tmp_path, body, implementations=[made.implementation(name) for name in names]), "Requirements")
    headers = [line for line in text.split("\n") if "`number-" in line]
    assert [line.count("`number-") for line in headers] == [8, 8, 8, 6]


def test_what_was_partly_unsupported_has_a_dagger(tmp_path: Path) -> None:
    body = [
        made.result("ademamix/torch", "ADM-01", "d8-t1", "float32", 0.4, margin=0.25),
        made.result("ademamix/torch", "ADM-01", "d8-t1", "float64", 0.4, verdict=Verdict.UNSUPPORTED, margin=None),
    ]
    assert "| **ADM-01** | 0.250 † |" in squeezed(section(page_of(tmp_path, body), "Requirements"))


def test_a_wrong_answer_shows_no_speed_anywhere(tmp_path: Path) -> None:
    lied = made.measurement("ademamix/triton", 7.77, verdict="wrong answer", message="off")
    page = page_of(tmp_path, [made.measurement("ademamix/torch", 1.0), lied, *made.verdict_lines()])
    assert "7.77" not in page


def test_a_noisy_run_says_so(tmp_path: Path, page: str) -> None:
    lines = [
        made.measurement("ademamix/torch", 0.7, decision="baseline", aa=True, ratio_low=0.65, ratio_high=0.98),
        made.result("ademamix/torch", "ADM-01", "d8-t1", "float32", 0.4),
    ]
    noisy = page_of(tmp_path, lines)
    assert "`torch`, the baseline itself, on `step-1m` (cpu, float32, run A); the run was noisy, " in section(noisy, "Summary")
    assert "**This run was noisy:**" in section(noisy, "Speed")
    assert "noisy" not in page


def test_a_difference_that_the_rule_calls_the_same_is_no_noise(tmp_path: Path) -> None:
    lines = [
        made.measurement("ademamix/torch", 0.998, decision="baseline", aa=True, ratio_low=0.997, ratio_high=0.999),
        made.result("ademamix/torch", "ADM-01", "d8-t1", "float32", 0.4),
    ]
    assert "noisy" not in page_of(tmp_path, lines)


def test_empty_sections_say_why(tmp_path: Path) -> None:
    page = page_of(tmp_path, [])
    assert "No case was judged in these runs, so there can be no finding." in section(page, "Findings")
    assert "None of these runs measured a speed." in section(page, "Speed")
    assert "None of these runs tested the suite by its mutants." in section(page, "Mutants")
    assert "No implementation was judged, so there is nothing to draw." in section(page, "Margin and speed")
    assert "it was listed, but not tested on any case" in section(page, "Ranking")
    bare = page_of(tmp_path, [], systems=[], requirements=[], implementations=[])
    assert "The records name no system" in section(bare, "Summary")


def test_one_kind_of_crash_is_told_once(tmp_path: Path) -> None:
    def crash(requirement: str, message: str) -> dict[str, Any]:
        return made.result(
            *("ademamix/torch", requirement, "d8-t1", "float32", 0.4), verdict=Verdict.ERROR, margin=None, message=message
        )

    body = [crash("ADM-01", "shape [6] at 0xAB"), crash("ADM-02", "shape [12] at 0xCD"), crash("ADM-03", "another")]
    text = section(page_of(tmp_path, body), "Findings")
    both = "".join(f'<a id="finding.ademamix.torch.{id_}"></a>' for id_ in ("ADM-01", "ADM-02"))
    told = f"#### 2 requirements, one kind of crash {both}\n\nRequirements: ADM-01, ADM-02. Of 2 judged cases, 2 crash. The first raises "
    assert told in text
    assert text.count("#### ") == 2
    assert "- `torch`: in every judged case, of 3 requirements." in page_of(tmp_path, body)


def test_of_many_killers_a_few_are_named(tmp_path: Path) -> None:
    ids = [f"ADM-{number:02}" for number in range(1, 11)]
    body = [made.mutant("ademamix", "ademamix/all", "Is wrong everywhere.", ["ADM-05"], dict.fromkeys(ids, 2.0), ids)]
    text = section(page_of(tmp_path, body), "Mutants")
    assert "**ADM-05** (2.00), ADM-01 (2.00), ADM-02 (2.00), ADM-03 (2.00), ADM-04 (2.00), 5 more |" in squeezed(text)


def test_plugs_that_could_not_be_used_are_named(tmp_path: Path) -> None:
    page = page_of(tmp_path, [], plug_failures=[{"spec": "kernels.py:attention", "message": "no file"}])
    assert "| Could not be plugged in: `kernels.py:attention` | no file |" in squeezed(section(page, "Environment"))


def test_a_clean_run_says_so(tmp_path: Path) -> None:
    body = [made.result("ademamix/torch", "ADM-01", "d8-t1", "float32", 0.4)]
    assert "No deviation was found." in section(page_of(tmp_path, body), "Findings")


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


def test_hostile_records_neither_inject_nor_break_anything(tmp_path: Path, page: str) -> None:
    body, header = evil_records()
    files = render(load([made.write(tmp_path / "evil.jsonl", body, **header)]))
    out = files["README.md"].decode()
    assert "\x1b" not in out
    assert "\u202e" not in out
    # Commands stand in fences, where nothing is markup but the fence itself.
    unfenced = re.sub(r"^(`{3,})sh\n.*?^\1$", "", out, flags=re.DOTALL | re.MULTILINE)
    assert "<img" not in unfenced
    assert "http://e" not in unfenced
    assert "\n## Owned" not in unfenced
    titles = re.compile(r"^## (.*)$", flags=re.MULTILINE)
    assert titles.findall(unfenced) == titles.findall(page)
    test_every_table_row_has_the_columns_of_its_header(unfenced)
    assert dangling(unfenced) == []
    svg = files["plots/ademamix.svg"].decode()
    assert "<img" not in svg
    assert "\x1b" not in svg


def test_names_of_folders_stay_out(tmp_path: Path) -> None:
    assert str(tmp_path) not in page_of(tmp_path)


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
    assert set(here) == {
        "README.md",
        "index.html",
        *(f"plots/{s['name']}{kind}.svg" for s in made.SYSTEMS for kind in ("", "-bugs")),
        *(f"plots/ademamix-{kind}.svg" for kind in ("shares", "scaling", "scaling-2")),
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
    page = page_of(tmp_path, body, implementations=[made.implementation(n, "package", "optax", v) for n, v in listed])
    said = squeezed(section(page, "Findings"))
    assert "optax`: 0.2.9, 0.2.10, 0.2.11 were judged." in said
    assert "Fixed in 0.2.10, wrong in 0.2.9: ADM-01, ADM-02 (1 of 2 cases)." in said
    assert "Wrong since 0.2.10, right in 0.2.9: ADM-03." in said
    assert "Fixed in 0.2.11, wrong in 0.2.10: ADM-03." in said
    apart = page_of(tmp_path, body, implementations=[made.implementation(n, "package", n, v) for n, v in listed])
    assert "were judged" not in section(apart, "Findings")
