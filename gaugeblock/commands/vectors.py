"""``gaugeblock vectors``: test vectors for implementations in any language."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gaugeblock.commands.parser import OneLineParser
from gaugeblock.installation import CannotRun

USAGE = """usage: gaugeblock vectors export DIR [--class SYSTEM=CLASS]
       gaugeblock vectors rig [--flat [utf8|utf16|code_points] | --spans FILE]

export writes vectors of AdEMAMix and sigmoid attention into a folder, as
safetensors and JSON, with a specification; rig prints those of RIG as JSON."""


def main(arguments: Sequence[str]) -> int:
    """Export the vectors of the numeric systems, or print those of RIG."""
    if arguments[:1] == ["rig"]:
        from conformance.rig.__main__ import vectors

        return vectors(arguments[1:])
    if arguments[:1] == ["export"]:
        return export(arguments[1:])
    if arguments and arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    raise CannotRun("expected what first: gaugeblock vectors export DIR, or gaugeblock vectors rig")


def export(arguments: Sequence[str]) -> int:
    """Write the vectors of AdEMAMix and sigmoid attention into a folder."""
    parser = OneLineParser(
        prog="gaugeblock vectors export",
        description="Write test vectors of AdEMAMix and sigmoid attention as safetensors and JSON, with a specification.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="SYSTEM=CLASS",
        help="the numerical class whose bounds are written, where it is not the strict one; repeatable",
    )
    options = parser.parse_args(arguments)
    from gaugeblock.vectors.files import SYSTEMS
    from gaugeblock.vectors.files import export as write

    classes = dict(word.partition("=")[::2] for word in options.classes)
    for system, name in classes.items():
        known = class_names(system) if system in SYSTEMS else ()
        if name not in known:
            expected = f"one of {', '.join(known)}" if known else f"SYSTEM=CLASS with a system of {', '.join(SYSTEMS)}"
            raise CannotRun(f"found --class {system}={name}, expected {expected}")
    counts = write(options.folder, classes)
    size = sum(file.stat().st_size for file in options.folder.iterdir() if file.is_file()) / 1e6
    listed = ", ".join(f"{count} vectors of {system}" for system, count in counts.items())
    print(f"wrote {listed} to {options.folder}, {size:.0f} MB")
    print(f"{options.folder / 'SPECIFICATION.md'} says how to read them")
    return 0


def class_names(system: str) -> tuple[str, ...]:
    """The numerical classes of a system."""
    from importlib import import_module

    return tuple(import_module(f"reference.{system}").NUMERICAL_CLASSES)
