"""Which result files a figure of the paper is drawn from: of each study and task the best that a folder has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.results.schema import SCALES, Result, ResultError, files_of, load
from analysis.results.tasks import FACTS, MINIATURE, task_facts

TASKS = list(FACTS)  # in the paper's order
Found = Mapping[Path, Result]


def place(task: str) -> tuple[bool, int, str]:
    """Returns what sorts tasks: the paper's first, in its order, then others by name, then the miniatures."""
    return task_facts(task) is MINIATURE, TASKS.index(task) if task in TASKS else len(TASKS), task


def results_of(folder: Path, *studies: str, **attributes: Any) -> dict[Path, Result]:
    """Reads the results of some studies in a folder.

    Args:
        folder: of result files.
        studies: whose results.
        attributes: that each result must have, e.g. ``preset="cpu"``; None takes any.

    Raises:
        ResultError: if there is no such folder, or a file that has the name of one of the studies is damaged.
    """
    found = {}
    for path in files_of(folder):
        try:
            result = load(path)
        except ResultError:
            if path.name.startswith(studies):
                raise
            continue
        told = result.attributes
        if told["study"] in studies and all(v in (None, told.get(name)) for name, v in attributes.items()):
            found[path] = result
    return found


def best(found: Found, study: str, task: str) -> tuple[Path, Result] | None:
    """Returns the result of a study and a task that says most: complete, of the largest scale, of most seeds, latest.

    Of several that read positions off a representation it is the paper's protocol, the agents' own episodes.
    """

    def worth(pair: tuple[Path, Result]) -> tuple:
        result = pair[1]
        a, protocol = result.attributes, result.notes.get("protocol", {})
        as_paper = not isinstance(protocol, dict) or protocol.get("data", "agents") == "agents"
        seeds = len(result.axes.get("seed", ()))
        return a.get("complete", True), as_paper, -SCALES.index(a["scale"]), seeds, a["created_utc"], pair[0].name

    fitting = [
        (path, result)
        for path, result in found.items()
        if (result.attributes["study"], result.attributes["task"]) == (study, task)
    ]
    return max(fitting, key=worth, default=None)


def tasks_of(found: Found) -> list[str]:
    """Returns the tasks of some results, in the paper's order."""
    return sorted({result.attributes["task"] for result in found.values()}, key=place)


def demand(found: Found, folder: Path, tasks: list[str], *studies: str) -> None:
    """Raises ResultError, naming the folder and what it has, unless each task has a result of one of the studies."""
    there = tasks_of(found)
    if lost := [task for task in tasks if task not in there] or (not there and ["any task"]):
        named = ", ".join(there) or "none"
        raise ResultError(f"{folder}: holds no result of {' or '.join(studies)} on {', '.join(lost)}; it has: {named}")
