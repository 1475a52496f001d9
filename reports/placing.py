"""Labels find room beside their points without lying on each other: greedy first, then each one again against the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ROUNDS = 4
DISTANCES = (8.5, 13.0, 20.0, 29.0, 40.0, 54.0, 70.0)
DIRECTIONS = tuple(math.radians(angle) for angle in (0, 180, 35, -35, 145, -145, 90, -90, 65, -65, 115, -115))
"""Right and left read best, so they come first and cost least."""


@dataclass(frozen=True)
class Box:
    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """The shared area."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return width * height if width > 0 and height > 0 else 0.0

    def outside(self, frame: Box) -> float:
        """By how far it sticks out of ``frame``."""
        return (
            max(frame.left - self.left, 0.0)
            + max(self.right - frame.right, 0.0)
            + max(frame.bottom - self.bottom, 0.0)
            + max(self.top - frame.top, 0.0)
        )

    def grown(self, by: float) -> Box:
        return Box(self.left - by, self.bottom - by, self.right + by, self.top + by)


@dataclass(frozen=True)
class Anchor:
    """A point and the size of the label that belongs to it."""

    x: float
    y: float
    width: float
    height: float


def place(anchors: Sequence[Anchor], obstacles: Sequence[Box], frame: Box, lines: Sequence[Box] = ()) -> list[Box]:
    """One box per anchor, inside ``frame``. ``obstacles`` are not to be covered; ``lines`` rather not."""
    placed: list[Box | None] = [None] * len(anchors)
    for _ in range(ROUNDS):
        before = list(placed)
        for index, anchor in enumerate(anchors):
            others = [box for place_, box in enumerate(placed) if box is not None and place_ != index]
            placed[index] = min(_candidates(anchor), key=lambda c: (_cost(c, others, obstacles, frame, lines), c[0]))[2]
        if placed == before:
            break
    return [box for box in placed if box is not None]


def _candidates(anchor: Anchor) -> list[tuple[int, float, Box]]:
    """(rank, distance, box), nearest first."""
    found: list[tuple[int, float, Box]] = []
    for distance in DISTANCES:
        for direction in DIRECTIONS:
            cosine, sine = math.cos(direction), math.sin(direction)
            x, y = anchor.x + distance * cosine, anchor.y + distance * sine
            # The side of the box that faces the point is the one that is `distance` away from it.
            left = x - anchor.width * (1 - _step(cosine)) / 2
            bottom = y - anchor.height * (1 - sine) / 2
            found.append((len(found), distance, Box(left, bottom, left + anchor.width, bottom + anchor.height)))
    return found


def _step(cosine: float) -> float:
    """-1, 0 or 1: text starts at the point, ends at it, or is centred on it."""
    return 0.0 if abs(cosine) < 0.2 else math.copysign(1.0, cosine)


def _cost(
    candidate: tuple[int, float, Box], others: Sequence[Box], obstacles: Sequence[Box], frame: Box, lines: Sequence[Box]
) -> float:
    rank, distance, box = candidate
    roomy = box.grown(1.5)
    area = (box.right - box.left) * (box.top - box.bottom)
    return (
        1000 * box.outside(frame)
        # A touch of a neighbour is worse than any distance on the list, and more of it worse still.
        + DISTANCES[-1] * sum(roomy.overlap(other) > 0 for other in others)
        + 400 * sum(roomy.overlap(other) for other in others) / area
        + 300 * sum(box.overlap(obstacle) for obstacle in obstacles) / area
        + 12 * sum(box.overlap(line) > 0 for line in lines)
        + distance
        + 0.4 * (rank % len(DIRECTIONS))
    )
