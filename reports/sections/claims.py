"""What the papers say beside what was measured here, in neutral words: a claim is about a setting, and so is a measurement."""

from __future__ import annotations

from conformance.records.schema import ClaimRecord, SystemRecord
from reports.charts.gallery import Gallery
from reports.document import Block, Code, CodeBlock, Details, Emphasis, Inline, Section, Strong, Table, inline
from reports.evidence import Evidence
from reports.numbers import si, significant

INTRODUCTION = inline(
    "What the papers say that can be measured, beside what was measured in these runs. {} and {} are about "
    "the setting in which it was measured, which is given with each claim, and not about the papers' own experiments.",
    Emphasis("Holds"),
    Emphasis("does not hold"),
)
COMMAND = "python -m conformance.studies.claims"
MEASURED = {"holds": "holds", "does not hold": "does not hold", "undecided": "undecided"}
WORDS = MEASURED | {"not run": "not measured", "unsupported": "not measured", "error": "not measured (error)"}


def claims(evidence: Evidence, gallery: Gallery) -> list[Section]:
    """A table per system, then each claim with its plot and its setting."""
    if not evidence.claims:
        said = inline("None of these runs measured what the papers claim ({} does).", Code(COMMAND + " --records=FILE"))
        return [Section("Claims", [said])]
    own = {system: [claim for claim in evidence.claims if claim.system == system.name] for system in evidence.systems}
    return [_system(system, found, gallery) for system, found in own.items() if found]


def _system(system: SystemRecord, own: list[ClaimRecord], gallery: Gallery) -> Section:
    several = len({claim.device for claim in own}) > 1
    rows: list[list[Inline]] = [
        [
            (Strong(claim.id), f" ({claim.device})" if several else ""),
            (f"{claim.statement} ", Emphasis(f"({claim.source})")),
            shown(claim.expected, claim.unit),
            shown(claim.measured, claim.unit),
            verdict(claim) + (" (short form)" if claim.quick else ""),
        ]
        for claim in own
    ]
    headers = ["Id", "Claim, and where the paper makes it", "Paper says", "Measured here", "Verdict"]
    parts: list[Block] = [Table(headers, rows), *(_claim(claim, gallery) for claim in own if claim.verdict in MEASURED)]
    absent = [claim for claim in own if claim.verdict not in MEASURED]
    if absent:
        reasons: list[list[Inline]] = [[Strong(claim.id), claim.message or "no reason was recorded"] for claim in absent]
        parts.append(Details("Not measured, and why", [Table(["Claim", "Reason"], reasons)]))
    return Section(f"Claims: {system.title}", parts)


def _claim(claim: ClaimRecord, gallery: Gallery) -> Section:
    picture = gallery.claim(claim)
    facts = [["Source", claim.source], ["Paper says", shown(claim.expected, claim.unit)]]
    facts.append(["Measured here", shown(claim.measured, claim.unit)])
    facts += [[key.replace("_", " ").capitalize(), _setting(value)] for key, value in sorted(claim.settings.items())]
    facts += [["Device", claim.device or "-"], ["Run", f"{claim.run}, {si(claim.seconds, 's')}"]]
    device = f" --device {claim.device}" if claim.device not in ("", "cpu") else ""
    command = f"{COMMAND} {claim.id}{' --quick' if claim.quick else ''}{device}"
    parts: list[Block] = [claim.message.rstrip(".") + "."] if claim.message else []
    parts += [picture] if picture is not None else []
    details: list[Block] = [Table(["Claim", claim.statement], facts), CodeBlock(command)]
    return Section(
        f"{claim.id}: {verdict(claim)}",
        [*parts, Details("Setting, and the command that measures it again", details)],
    )


def verdict(claim: ClaimRecord) -> str:
    """The verdict in neutral words."""
    return WORDS.get(claim.verdict, claim.verdict)


def shown(value: float | str | None, unit: str) -> str:
    """A number with its unit, or what was said in words."""
    if value is None:
        return "-"
    return (value or "-") if isinstance(value, str) else f"{_number(value)} {unit}".strip()


def _number(value: float) -> str:
    """As it was said: a year or a count keeps its digits, a measurement has three."""
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e6 else significant(value)


def _setting(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return _number(value)
        case list() | tuple():
            return ", ".join(_setting(item) for item in value)
        case dict():
            return ", ".join(f"{key} {_setting(inner)}" for key, inner in sorted(value.items()))
        case _:
            return str(value)
