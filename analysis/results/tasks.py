"""Lists facts about tasks that analysis and figures need; it imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TaskFacts:
    """Holds facts about a task; the defaults fit any task of Meta-world."""

    balanced: str = "w_r=100"
    """Method with C.4's "balanced weight"; where C.4 names none, it is that of Lever Pull."""
    things: Mapping[str, str] = field(default_factory=dict)
    """Names of ``object`` and ``object2``."""
    main: str = "object"
    """Object that the hand is to move; studies of positions and of motion are about it."""
    hand: str = "hand"
    """Position that moves it."""
    length: str = "m"
    """Unit of the positions in ``state``."""
    reported_length: str = "cm"
    """Unit that errors of positions are reported in."""
    reported_per_length: float = 100.0
    """Factor from ``length`` to ``reported_length``."""
    moved: float = 0.05
    """Displacement from which on an object counts as moved, in units of ``length``."""
    touched: float = 0.002
    """Displacement from which on it counts as touched, in units of ``length``."""
    settled: int = 0
    """Row of an episode from which on an untouched object rests. Before, it falls or springs after the reset."""
    ends: bool = False
    """Whether an episode ends as soon as the object is reached or moved, so that nothing follows that."""

    def called(self, name: str) -> str:
        """Returns the name of an object."""
        return self.things.get(name, name)


MINIATURE = TaskFacts(
    main="lever", hand="tip", length="px", reported_length="px", reported_per_length=1.0, moved=3.0, touched=0.01
)
FACTS = {  # in the order in which figures show them
    "lever_pull": TaskFacts(things={"object": "lever"}),
    "handle_pull_side": TaskFacts("w_r=10", {"object": "handle"}),
    "hammer": TaskFacts("w_r=10", {"object": "hammer", "object2": "nail"}, settled=20),  # it springs up by 3 cm
    "twin_reach_target": TaskFacts(main="target", hand="tip", ends=True),
    "twin_push_button": TaskFacts(main="button", hand="tip", moved=0.003, touched=0.0005, ends=True),
    "mini_lever": MINIATURE,
    "mini_moves": MINIATURE,
    "mini_dial": MINIATURE,
}
SHOWN = {"metaworld": ("lever_pull", "handle_pull_side", "hammer", "sweep_into", "push", "assembly")}  # in Fig. 10


def task_facts(task: str) -> TaskFacts:
    """Returns the facts about a task, by the paper's name."""
    return FACTS.get(task, TaskFacts())
