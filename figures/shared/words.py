"""Writes titles, labels and footers of a result: its task, the names of its objects, and how it was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from analysis.results.schema import Result, fewer
from analysis.results.tasks import task_facts


def task(result: Result) -> str:
    """Returns a result's task as a title."""
    return name(result.attributes["task"])


def name(task: str) -> str:
    """Returns a task as a title."""
    return task.replace("_", " ").title()


def few(number: int) -> str:
    """Returns a small number as a word."""
    return ("no", "one", "two", "three", "four", "five", "six", "seven")[number]


def thing(result: Result, name: str) -> str:
    """Returns the name of an object of a result's task."""
    return task_facts(result.attributes["task"]).called(name)


def main_thing(result: Result) -> str:
    """Returns the name of the object that the task's reward is about."""
    return thing(result, task_facts(result.attributes["task"]).main)


def squared_unit(result: Result) -> str:
    """Returns the unit of squared distances in a result."""
    return f"{task_facts(result.attributes['task']).reported_length}$^2$"


def short(result: Result, number: int, name: str) -> str:
    """Returns a sentence, after a space, if a result has fewer of something than were asked for; else nothing."""
    text = fewer(result, number, name)
    return f" Only {text}." if text else ""


def caption(title: str, shown: Mapping[Path, Result], note: str) -> str:
    """Returns a figure's caption: what it shows, how to read it, and how it was measured."""
    made = (f"Made by: {result.attributes['command']}" for result in shown.values())
    return plain("\n".join([title, "", *note.splitlines(), *origins(shown), *dict.fromkeys(made)]) + "\n")


def plain(text: str) -> str:
    """Returns a text without matplotlib's marks of formulas."""
    return re.sub(r"\$([^$]*)\$", lambda formula: formula[1].replace("\\", ""), text)


def origins(shown: Mapping[Path, Result]) -> list[str]:
    """Returns how the results of a figure were measured, and their files."""
    texts = dict.fromkeys(map(origin, shown.values()))
    return [*texts, f"Source: {', '.join(path.name for path in shown)}"]


def short_origins(shown: Mapping[Path, Result]) -> str:
    """Returns in few words at which scale the results of a figure were measured."""
    return "; ".join(dict.fromkeys(map(_short_origin, shown.values())))


def _short_origin(result: Result) -> str:
    a, seeds = result.attributes, len(result.axes.get("seed", ()))
    if not seeds:
        return f"Scale: {a['scale']}; nothing trained"
    how = ", ".join(
        filter(None, (f"Scale: {a['scale']}", a.get("mode", ""), "one seed" if seeds == 1 else f"{seeds} seeds"))
    )
    if not a.get("complete", True):
        return f"{how}. RUNS NOT COMPLETE: at {reached(result):,} of {planned(result):,} steps"
    return f"{how}, {length(result)}" if length(result) else how


def origin(result: Result) -> str:
    """Returns scale, size and state of a result in a line."""
    a, seeds = result.attributes, len(result.axes.get("seed", ()))
    if not seeds:
        return f"Scale: {a['scale']}; nothing trained."
    preset = " with ".join(filter(None, (a["preset"], changed(a["command"]))))
    parts = [
        f"Scale: {a['scale']} (preset {preset})",
        a.get("mode", ""),
        f"{seeds} seeds" if seeds > 1 else "one seed, so no intervals over seeds",
        length(result) if a.get("complete", True) else "",
    ]
    text = ", ".join(filter(None, parts)) + "."
    if a.get("complete", True):
        return text
    return f"{text} RUNS NOT COMPLETE: at {reached(result):,} of {planned(result):,} steps."


def changed(command: str) -> str:
    """Returns the settings that a command changes in its preset, without those of logs: ``train.steps=4000``."""
    found, of_set = {}, False  # a command may be several, one after another
    for word in command.split():
        of_set = word == "--set" if word.startswith("--") else of_set
        if of_set and "=" in word and not word.startswith("log."):
            found[word] = None
    return " ".join(found)


def length(result: Result) -> str:
    """Returns the length of runs, offline in updates; empty if it is not known."""
    if not result.config:
        return ""
    steps, updates = f"{planned(result):,} environment steps", 0
    if "updates" in result.data and np.isfinite(result.values("updates")).any():
        updates = int(np.nanmax(result.values("updates")))
    if result.attributes.get("mode") != "offline":
        return f"{steps}, {updates:,} updates" if updates else steps
    each = [config["train"].get("train_every") for config in result.config.values()]
    updates = updates or planned(result) // max(each) if all(each) else updates
    return f"{updates:,} updates (clock: {planned(result):,} steps)" if updates else steps


def planned(result: Result) -> int:
    """Returns the planned environment steps of the longest run of a result."""
    return max(config["train"]["steps"] for config in result.config.values())


def reached(result: Result) -> int:
    """Returns the environment steps of the last evaluation or line of training metrics; 0 if there is none."""
    return int(max((steps[-1] for name in ("step", "log_step") if len(steps := result.axes.get(name, ()))), default=0))


def shown(result: Result) -> float:
    """Returns the last environment step of an axis."""
    whole = planned(result)
    return whole if result.attributes.get("complete", True) else min(whole, 1.1 * reached(result))
