"""Where it was run, from which files the page was rendered, how to do it again, and what the words mean."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from conformance.records.io import KINDS
from reports.document import Block, BulletList, Code, CodeBlock, Emphasis, Inline, Section, Strong, Table, inline, joined
from reports.evidence import Evidence, Source
from reports.numbers import si, significant


def meanings() -> list[Block]:
    """What the verdicts and the margin mean."""
    return [
        inline(
            "A {} is the largest error divided by its bound over the elements of an outcome: the bound is how far an honest "
            "implementation of the same declared numerical class may be off at that very element, derived by rounding "
            "analysis and not tuned. Up to 1 passes, above 1 fails; 0 is exact, and {} is a wrong text, a wrong shape, or a "
            "value that is not a number. The verdicts:",
            *(Strong("margin"), Emphasis("inf")),
        ),
        BulletList(
            [
                inline("{} and {}: the case was tested, and the margin decided.", Strong("pass"), Strong("fail")),
                inline("{}: it raised an exception where it had declared no gap.", Strong("error")),
                inline(
                    "{}: a declared gap. It is neither a pass nor a fail, and it lowers the coverage.", Strong("unsupported")
                ),
                inline(
                    "{}: something outside the implementation was missing, a package or a device, or it was left out on "
                    "request.",
                    Strong("not run"),
                ),
            ]
        ),
        inline(
            "An implementation {} when it passed at least one case and none failed or crashed. Its {} is the share of all "
            "cases (requirement, case and dtype) that the suite has for its system in which it was judged: quick runs, and "
            "runs of a few requirements, leave most of them out. That a case passed says that no difference was found there, "
            "not that there is none anywhere.",
            *(Strong("conforms"), Strong("coverage")),
        ),
    ]


def environment(evidence: Evidence) -> list[Section]:
    """One table per run."""
    return [Section(f"Run {source.label}", [_run(source)]) for source in evidence.sources]


def reproduction(evidence: Evidence) -> list[Block]:
    """The commands, for each run and for the page."""
    commands = [f"# run {source.label}\n{_command(source)}" for source in evidence.sources]
    names = " ".join(shlex.quote(source.name) for source in evidence.sources)
    return [CodeBlock("\n".join([*commands, f"# this page\npython -m reports {names} -o report"]))]


def record_files(evidence: Evidence) -> list[Block]:
    """What the page was rendered from; the digests say whether you hold the same files."""
    rows: list[list[Inline]] = [
        [
            *(source.label, Code(source.name), str(source.header.schema), source.header.suite),
            *(str(source.line_counts[kind]) for kind in KINDS),
            Code(source.digest),
        ]
        for source in evidence.sources
    ]
    headers = ["Run", "File", "Schema", "Suite", "Verdicts", "Mutants", "Measurements", "Claims", "Curves"]
    return [
        Table([*headers, "SHA-256 of its lines"], rows, "llllrrrrrl"),
        "The digest is the one in each file's last line, over all lines before it. The same records render to the same bytes, "
        "in whatever order they are given.",
    ]


def _run(source: Source) -> Table:
    header, footer = source.header, source.footer
    rows: list[list[Inline]] = [["Started", header.started or "-"], ["Finished", footer.finished or "-"]]
    rows += [["Took", si(footer.seconds, "s")]] if footer.seconds is not None else []
    rows += [["Exit code", Code(str(footer.exit))]] if footer.exit is not None else []
    for key, value in header.environment.to_json().items():
        rows.append([TITLES.get(key, key.replace("_", " ").capitalize()), _value(value)])
    rows += [[("Option ", Code(key)), _value(value)] for key, value in header.options.to_json().items() if value]
    rows += [[("Could not be plugged in: ", Code(failure.spec)), failure.message] for failure in header.plug_failures]
    return Table([f"Run {source.label}", Code(source.name)], rows)


TITLES = {
    **{"cpu": "CPU", "memory_gib": "Memory (GiB)", "gpu": "GPU", "threads": "Threads in force"},
    **{"affinity": "Processors allowed (affinity)", "commit": "Commit of the suite"},
}


def _value(value: object) -> Inline:
    if value is None or value in ({}, [], ""):
        return "none"
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return significant(value)
        case Mapping():
            return joined(", ", [(f"{name} ", _value(inner)) for name, inner in sorted(value.items())])
        case list():
            return joined(", ", [Code(str(item)) for item in value])
        case _:
            return str(value)


def _command(source: Source) -> str:
    options = source.header.options
    words = ["python", "-m", "pytest", "conformance"]
    if options.command in ("claims", "curves"):
        words = ["python", "-m", f"conformance.studies.{options.command}", *(options.only or ())]
    words += ["--quick"] * options.quick + ["--thorough"] * bool(options.thorough)
    for name, values in (("device", options.device), ("dtype", options.dtype), ("impl", options.impl)):
        words += [word for value in values for word in (f"--{name}", value)]
    words += ["-k", options.keyword] if options.keyword else []
    words += ["--benchmark-only"] if options.benchmark else []
    return shlex.join([*words, f"--records={source.name}"])
