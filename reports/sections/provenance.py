"""Where it was run, from which files the page was rendered, how to do it again, and what the words mean."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from conformance.records.io import KINDS
from reports.markup import block, code, plain, table
from reports.merging import Evidence, Source
from reports.numbers import si, significant

MEANINGS = """\
A **margin** is the largest error divided by its bound over the elements of an outcome: the bound is how far an honest
implementation of the same declared numerical class may be off at that very element, derived by rounding analysis and not
tuned. Up to 1 passes, above 1 fails; 0 is exact, and *inf* is a wrong text, a wrong shape, or a value that is not a number.
The verdicts:

- **pass** and **fail**: the case was put, and the margin decided.
- **error**: it raised an exception where it had declared no gap.
- **unsupported**: a declared gap. It is neither a pass nor a fail, and it lowers the coverage.
- **not run**: something outside the implementation was missing, a package or a device, or it was left out on request.

An implementation **conforms** when it passed at least one case and none failed or crashed. Its **coverage** is the share of
all cases (requirement, case and dtype) that the suite has for its system in which it was judged: quick runs, and runs of a
few requirements, leave most of them out. That a case passed says that no difference was found there, not that there is none
anywhere."""


def environment(evidence: Evidence) -> str:
    """One table per run."""
    return "\n\n".join(_run(source) for source in evidence.sources)


def reproduction(evidence: Evidence) -> str:
    """The commands, for each run and for the page."""
    commands = [f"# run {source.label}\n{_command(source)}" for source in evidence.sources]
    names = " ".join(shlex.quote(source.name) for source in evidence.sources)
    commands.append(f"# this page\npython -m reports {names} -o report")
    return block("\n".join(commands), "sh")


def meanings(evidence: Evidence) -> str:
    """What the verdicts and the margin mean."""
    return MEANINGS


def record_files(evidence: Evidence) -> str:
    """What the page was rendered from; the digests say whether you hold the same files."""
    rows = []
    for source in evidence.sources:
        counts = source.line_counts
        rows.append(
            [
                source.label,
                code(source.name),
                plain(str(source.header.get("schema", "?"))),
                plain(str(source.header.get("suite", "?"))),
                *(str(counts[kind]) for kind in KINDS),
                code(source.digest),
            ]
        )
    headers = ["Run", "File", "Schema", "Suite", "Verdicts", "Planted bugs", "Measurements", "Claims", "Curves"]
    headers.append("SHA-256 of its lines")
    note = (
        "The digest is the one in each file's last line, over all lines before it. The same records render to the same bytes, "
        "in whatever order they are given."
    )
    return f"{table(headers, rows, 'llllrrrrrl')}\n\n{note}"


def _run(source: Source) -> str:
    header, footer = source.header, source.footer
    rows: list[list[str]] = [["Started", plain(str(header.get("started", "-")))]]
    rows.append(["Finished", plain(str(footer.get("finished", "-")))])
    seconds = footer.get("seconds")
    if isinstance(seconds, (int, float)):
        rows.append(["Took", si(seconds, "s")])
    if footer.get("exit") is not None:
        rows.append(["Exit code", code(str(footer["exit"]))])
    rows += [[plain(_title(key)), _value(key, value)] for key, value in _fields(header.get("environment"))]
    rows += [[f"Option {code(key)}", _value(key, value)] for key, value in _fields(header.get("options")) if value]
    for failure in header.get("plug_failures") or []:
        if isinstance(failure, Mapping):
            rows.append(
                [f"Could not be plugged in: {code(str(failure.get('spec', '')))}", plain(str(failure.get("message", "")))]
            )
    return f"### Run {source.label}\n\n" + table([f"Run {source.label}", code(source.name)], rows)


_FIRST = (
    *("platform", "cpu", "cores", "memory_gib", "gpu", "python", "packages"),
    *("threads", "affinity", "pinned", "commit"),
)
_TITLES = {
    "cpu": "CPU",
    "gpu": "GPU",
    "memory_gib": "Memory (GiB)",
    "packages": "Packages",
    "threads": "Threads in force",
    "affinity": "Processors allowed (affinity)",
    "pinned": "Pinned",
    "commit": "Commit of the suite",
}


def _fields(mapping: Any) -> list[tuple[str, Any]]:
    if not isinstance(mapping, Mapping):
        return []
    rank = {name: place for place, name in enumerate(_FIRST)}
    fields = [(str(key), value) for key, value in mapping.items()]
    return sorted(fields, key=lambda item: (rank.get(item[0], len(rank)), item[0]))


def _title(key: str) -> str:
    return _TITLES.get(key, key.replace("_", " ").capitalize())


def _value(key: str, value: Any) -> str:
    if value is None or value in ({}, [], ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return significant(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(str(name))} {_value(str(name), inner)}" for name, inner in sorted(value.items()))
    if isinstance(value, list):
        return ", ".join(code(str(item)) for item in value)
    return plain(str(value))


def _command(source: Source) -> str:
    options = source.header.get("options")
    options = options if isinstance(options, Mapping) else {}
    study = options.get("command")
    if study in ("claims", "curves"):
        words = [
            "python",
            "-m",
            f"conformance.studies.{study}",
            *(shlex.quote(str(name)) for name in options.get("only") or []),
        ]
    else:
        words = ["python", "-m", "pytest", "conformance"]
    if options.get("quick"):
        words.append("--quick")
    if options.get("thorough"):
        words.append("--thorough")
    for name in ("device", "dtype", "impl"):
        values = options.get(name) or []
        for value in values if isinstance(values, list) else [values]:
            words += [f"--{name}", shlex.quote(str(value))]
    if options.get("keyword"):
        words += ["-k", shlex.quote(str(options["keyword"]))]
    if options.get("benchmark"):
        words.append("--benchmark-only")
    return " ".join([*words, shlex.quote(f"--records={source.name}")])
