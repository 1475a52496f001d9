"""The systems that are judged. A new system is one line here and one room on each storey."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """``name`` is also the name of the system's room (a package) on every storey."""

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


def system_named(name: str) -> System:
    """The system of that name; ValueError names the known ones."""
    for system in SYSTEMS:
        if system.name == name:
            return system
    raise ValueError(f"unknown system {name!r}; expected one of {', '.join(s.name for s in SYSTEMS)}")
