"""What the analysis knows of a task, in one place; figures may ask, so no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TaskFacts:
    """Facts about a task; the defaults are those of any task of Meta-world."""

    balanced: str = "w_r=100"
    """C.4's "balanced weight"; where C.4 names none we take Lever Pull's."""
    things: Mapping[str, str] = field(default_factory=dict)
    """What ``object`` and ``object2`` are."""
    main: str = "object"
    """The object that the hand is to move, which studies of positions and of motion look at."""
    hand: str = "hand"
    """What moves it."""
    length: str = "m"
    """Unit of the positions in ``state``."""
    reported_length: str = "cm"
    """Unit that errors of positions are reported in."""
    reported_per_length: float = 100.0
    """Factor from the one to the other."""
    moved: float = 0.05
    """Displacement from which on an object counts as moved, in units of ``length``; the study reports a probe's error
    beside it."""
    touched: float = 0.002
    """Displacement from which on it counts as touched: the first sign of motion."""
    settled: int = 0
    """Row of an episode from which on an untouched object rests; until then it falls or springs where the reset put
    it."""

    def called(self, name: str) -> str:
        """What an object is."""
        return self.things.get(name, name)


FACTS = {
    "lever_pull": TaskFacts(things={"object": "lever"}),
    "handle_pull_side": TaskFacts("w_r=10", {"object": "handle"}),
    "hammer": TaskFacts("w_r=10", {"object": "hammer", "object2": "nail"}, settled=20),  # it springs up by 3 cm
    "mini_lever": TaskFacts(
        main="lever", hand="tip", length="px", reported_length="px", reported_per_length=1.0, moved=3.0, touched=0.01
    ),
}


def task_facts(task: str) -> TaskFacts:
    """Of a task by the paper's name."""
    return FACTS.get(task, TaskFacts())
