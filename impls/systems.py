"""The systems that are tested. A new system is one line here and one package on each layer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """``name`` is also the name of the system's package on every layer; ``usage`` is the line that imports ours."""

    name: str
    title: str
    paper: str
    requirement_prefix: str
    usage: str


SYSTEMS: tuple[System, ...] = (
    System("ademamix", "AdEMAMix", "arXiv:2409.03137", "ADM", "from gaugeblock.ademamix import AdEMAMix"),
    System(
        "sigmoid_attention",
        "Sigmoid attention",
        "arXiv:2409.04431",
        "SIG",
        "from gaugeblock.sigmoid_attention import sigmoid_attention",
    ),
    System("rig", "RIG annotations", "arXiv:2409.13741", "RIG", "from gaugeblock.rig import parse"),
    System("rag", "RAG query lists", "arXiv:2409.13741", "RAG", "from gaugeblock.rag import parse"),
)
SYSTEM_NAMES = tuple(system.name for system in SYSTEMS)


def system_named(name: str) -> System:
    """The system of that name; ValueError names the known ones."""
    if name not in SYSTEM_NAMES:
        raise ValueError(f"unknown system {name!r}; expected one of {', '.join(SYSTEM_NAMES)}")
    return SYSTEMS[SYSTEM_NAMES.index(name)]
