"""The systems that are tested. A new system is one line here and one package on each layer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """``name`` is also the name of the system's package on every layer."""

    name: str
    title: str
    paper: str
    requirement_prefix: str


SYSTEMS: tuple[System, ...] = (
    System("ademamix", "AdEMAMix", "arXiv:2409.03137", "ADM"),
    System("sigmoid_attention", "Sigmoid attention", "arXiv:2409.04431", "SIG"),
    System("rig", "RIG annotations", "arXiv:2409.13741", "RIG"),
    System("rag", "RAG query lists", "arXiv:2409.13741", "RAG"),
)
SYSTEM_NAMES = tuple(system.name for system in SYSTEMS)


def system_named(name: str) -> System:
    """The system of that name; ValueError names the known ones."""
    if name not in SYSTEM_NAMES:
        raise ValueError(f"unknown system {name!r}; expected one of {', '.join(SYSTEM_NAMES)}")
    return SYSTEMS[SYSTEM_NAMES.index(name)]
