"""Lists what was trained: runs that are alike in all but what was varied, with the results that were read off them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analysis.ledger.report import texts
from analysis.results.schema import Result


def table(results: Mapping[str, Result]) -> list[list[str]]:
    """Rows of a table: task, mode, scale, seeds, updates, result files; by task, in the order of ``texts.NAMES``.

    Args:
        results: by the name of the file, without its suffix; what no runs are behind stays out, as do tests.
    """
    kinds: dict[tuple, dict[str, Result]] = {}
    for name, result in results.items():
        a = result.attributes
        if result.config and a["preset"] != "smoke":
            steps = max(config["train"]["steps"] for config in result.config.values())
            kind = a["task"], a["mode"], a["preset"], a["scale"], len(result.axes["seed"]), steps
            kinds.setdefault(kind, {})[name] = result
    order, rows = [*texts.NAMES, *(kind[0] for kind in kinds)], []
    for kind in sorted(kinds, key=lambda kind: order.index(kind[0])):
        task, mode, preset, scale, seeds, steps = kind
        files = f"*_{task}_{preset}" if len(kinds[kind]) > 1 else next(iter(kinds[kind]))
        name, length = texts.NAMES.get(task, texts.task(task)), _length(steps, [*kinds[kind].values()])
        rows.append([name, mode, scale, str(seeds), length, f"`{files}.h5`"])
    return rows


def _length(steps: int, some: list[Result]) -> str:
    """How many updates a run of so many steps had, or where it was cut off."""
    if not all(result.attributes.get("complete", True) for result in some):
        return f"cut off at {max(int(result.axes['log_step'][-1]) for result in some):,} of {steps:,} steps"
    logged = [result.values("updates") for result in some if "updates" in result.data]
    done = [int(np.nanmax(updates)) for updates in logged if np.isfinite(updates).any()]
    every = max(config["train"]["train_every"] for config in some[0].config.values())
    return f"{max(done, default=steps // every):,}"
