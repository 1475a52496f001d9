"""Where it was run, from which files the page was rendered, how to do it again, and what the words mean."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping

from conformance.records.io import KINDS
from conformance.records.schema import JUDGED
from reports.document import Block, BulletList, Code, CodeBlock, Emphasis, Inline, Section, Strong, Table, inline, joined
from reports.evidence import Evidence, Source
from reports.numbers import count, si, significant
from reports.ranking import RIGHT, Status, ranking


def sections(evidence: Evidence) -> list[Section]:
    """The words, then the machines, the commands and the files."""
    return [
        Section("What the words mean", meanings()),
        Section("Environment", environment(evidence)),
        Section("How to reproduce", reproduction(evidence)),
        Section("Record files", record_files(evidence)),
    ]


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


def verdict(evidence: Evidence) -> str:
    """How many compute their paper, and how many do not, in one sentence over all systems."""
    rows = [row for system in evidence.systems for row in ranking(evidence, system.name)]
    aside = sum(row.is_aside for row in rows)
    number = Counter(row.status for row in rows if not row.is_aside)
    right = sum(number[status] for status in RIGHT)
    judged = number.total() - number[Status.NOT_JUDGED]
    if not judged:
        return "No implementation was judged in these runs."
    words = {Status.WRONG: "differ", Status.CRASHES: "crash", Status.PARTLY: "were judged too little to say"}
    rest = [f"{number[status]} {said}" for status, said in words.items() if number[status]]
    rest += [f"{aside} more were judged by their interface alone"] if aside else []
    return "; ".join([f"{right} of {count(judged, 'judged implementation')} compute their paper", *rest]) + "."


def headline(evidence: Evidence) -> Inline:
    """The lines under the title: how much was judged, when, and on what."""
    verdicts = sum(each.verdict in JUDGED for each in evidence.results)
    unusable = sum(len(source.header.plug_failures) for source in evidence.sources)
    plugs = f" {count(unusable, 'plug')} could not be used: see the environment of its run." if unusable else ""
    said = (
        f"Suite {evidence.suite}: {count(verdicts, 'verdict')} on {count(len(evidence.requirements), 'requirement')} "
        f"for {count(len(evidence.implementations), 'implementation')} of {count(len(evidence.systems), 'system')}, "
        f"from {count(len(evidence.sources), 'run')}{period(evidence)}. "
    )
    return said, machines(evidence), plugs


def period(evidence: Evidence) -> str:
    """`` of 2026-11-23``, or from the first day to the last."""
    found = days(evidence)
    if len(found) == 1:
        return f" of {found[0]}"
    return f" from {found[0]} to {found[-1]}" if found else ""


def days(evidence: Evidence) -> list[str]:
    """The days on which runs began, in order."""
    return sorted({source.header.started[:10] for source in evidence.sources} - {""})


def machines(evidence: Evidence) -> Inline:
    """On what it ran, and whether a GPU was there: the first thing that a reader of speeds must know."""
    found = machine_names(evidence)
    where = f"Machine{'s' * (len(found) != 1)}: {'; '.join(found)}."
    on_gpu = any(_on_gpu(source) for source in evidence.sources)
    return where if on_gpu else (where, " ", Strong("Nothing here ran on a GPU."))


def machine_names(evidence: Evidence) -> list[str]:
    """Each machine once, in the order of the runs; with its GPU where that was run on."""
    return list(dict.fromkeys(_machine(source) for source in evidence.sources))


def _machine(source: Source) -> str:
    environment = source.header.environment
    cores = f", {environment.cores} cores" if environment.cores else ""
    gpu = f" with {environment.gpu.name or 'a GPU of unknown make'}" if environment.gpu and _on_gpu(source) else ""
    return f"{environment.cpu or 'a CPU of unknown make'}{cores}{gpu}"


def _on_gpu(source: Source) -> bool:
    """Whether a GPU was asked for, and there."""
    return "cuda" in devices(source) and source.header.environment.gpu is not None


def devices(source: Source) -> list[str]:
    """The devices that a run was asked to be on."""
    return list(source.header.options.device) or ["cpu"]
