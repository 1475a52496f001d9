"""What the papers say beside what was measured here, in neutral words: a claim is about a setting, and so is a measurement."""

from __future__ import annotations

from reports.gallery import Gallery
from reports.markup import block, fold, plain, table
from reports.merging import Evidence, System
from reports.numbers import listing, si, significant
from reports.studied import PaperClaim

INTRODUCTION = (
    "What the papers say that can be measured, beside what was measured in these runs. *Holds* and *does not hold* are about "
    "the setting in which it was measured, which stands with each claim, and not about the papers' own experiments."
)
WORDS = {
    "holds": "holds",
    "does not hold": "does not hold",
    "undecided": "undecided",
    "not run": "not measured",
    "unsupported": "not measured",
    "error": "not measured (error)",
}
MEASURED = ("holds", "does not hold", "undecided")


def claims(evidence: Evidence, gallery: Gallery) -> str:
    """A table per system, then each claim with its plot and its setting."""
    if not evidence.claims:
        return (
            "None of these runs measured what the papers claim (`python -m conformance.studies.claims --records=FILE` does)."
        )
    parts = [INTRODUCTION]
    for system in evidence.systems:
        own = [claim for claim in evidence.claims if claim.system == system.name]
        if own:
            parts.append(_system(system, own, gallery))
    return "\n\n".join(parts)


def _system(system: System, own: list[PaperClaim], gallery: Gallery) -> str:
    headers = ["Id", "Claim, and where it stands", "Paper says", "Measured here", "Verdict"]
    several = len({claim.device for claim in own}) > 1
    rows = [
        [
            f"**{plain(claim.id)}**" + (f" ({plain(claim.device)})" if several else ""),
            f"{plain(claim.statement)} *({plain(claim.source)})*",
            shown(claim.expected, claim.unit),
            shown(claim.measured, claim.unit),
            verdict(claim) + (" (short form)" if claim.quick else ""),
        ]
        for claim in own
    ]
    parts = [f"### Claims: {plain(system.title)}", table(headers, rows)]
    parts += [_claim(claim, gallery) for claim in own if WORDS.get(claim.verdict) in MEASURED]
    absent = [claim for claim in own if WORDS.get(claim.verdict) not in MEASURED]
    if absent:
        reasons = [[f"**{plain(claim.id)}**", plain(claim.message) or "no reason was recorded"] for claim in absent]
        parts.append(fold("Not measured, and why", table(["Claim", "Reason"], reasons)))
    return "\n\n".join(parts)


def _claim(claim: PaperClaim, gallery: Gallery) -> str:
    parts = [f"#### {plain(claim.id)}: {verdict(claim)}"]
    if claim.message:
        parts.append(plain(claim.message).rstrip(".") + ".")
    picture = gallery.claim(claim)
    if picture is not None:
        parts.append(picture.markdown)
    facts = [["Claim", plain(claim.statement)], ["Source", plain(claim.source)]]
    facts += [["Paper says", shown(claim.expected, claim.unit)], ["Measured here", shown(claim.measured, claim.unit)]]
    facts += [
        [plain(key.replace("_", " ").capitalize()), plain(_setting(value))] for key, value in sorted(claim.settings.items())
    ]
    facts += [["Device", plain(claim.device) or "-"], ["Run", f"{claim.run}, {si(claim.seconds, 's')}"]]
    device = f" --device {claim.device}" if claim.device not in ("", "cpu") else ""
    command = block(f"python -m conformance.studies.claims {claim.id}{' --quick' if claim.quick else ''}{device}", "sh")
    parts.append(fold("Setting, and the command that measures it again", f"{table(facts[0], facts[1:])}\n\n{command}"))
    return "\n\n".join(parts)


def verdict(claim: PaperClaim) -> str:
    """The verdict in neutral words."""
    return WORDS.get(claim.verdict) or plain(claim.verdict)


def shown(value: float | str | None, unit: str) -> str:
    """A number with its unit, or what was said in words."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return plain(value) or "-"
    return f"{_number(value)} {plain(unit)}".strip()


def _number(value: float) -> str:
    """As it was said: a year or a count keeps its digits, a measurement has three."""
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e6 else significant(value)


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(_setting(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_setting(inner)}" for key, inner in sorted(value.items()))
    return str(value)


def tally(evidence: Evidence, system: str) -> str:
    """``2 hold, 1 does not``: one line for the summary; empty where none was measured."""
    own = [claim for claim in evidence.claims if claim.system == system]
    words = []
    for name, one, many in (
        ("holds", "holds", "hold"),
        ("does not hold", "does not", "do not"),
        ("undecided", "undecided", "undecided"),
    ):
        ids = [plain(claim.id) for claim in own if claim.verdict == name]
        if ids:
            words.append(f"{len(ids)} {one if len(ids) == 1 else many} ({listing(dict.fromkeys(ids))})")
    return listing(words)
