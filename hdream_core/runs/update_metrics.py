"""Collects the metrics of updates between two lines of the log, on the device until they are needed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hdream_core.balancers import Balancer


class UpdateMetrics:
    """Collects the metrics of updates, and summarises them for a line of the log.

    Names are those of ``Agent.update``. A line has the mean and the extremes of ``weight/<loss>``, the last value of
    ``balancer/<name>``, the sum of ``skipped/<part>``, and the mean of everything else.

    Attributes:
        not_finite: name of a loss that was not finite at the last update, e.g. ``reward loss``; otherwise empty.
    """

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = defaultdict(list)
        self._skipped: Counter[str] = Counter()  # by part of the agent: successive updates that were skipped
        self.not_finite = ""

    def __bool__(self) -> bool:
        return bool(self._values)

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Adds the scalars of one update; nothing waits for the device."""
        for name, value in metrics.items():
            self._values[name].append(value)

    def means(self) -> dict[str, float]:
        """Returns the numbers of a line: means of the finite values, NaN if there is none."""
        stacked = self._stacked()
        means = {name: float(values[values.isfinite()].mean()) for name, values in stacked.items()}
        # Means would hide extremes of weights, which are one of D.2's findings. Counts start with the run.
        for name, values in stacked.items():
            kind, _, rest = name.partition("/")
            if kind == "weight":
                means |= {f"weight_min/{rest}": float(values.min()), f"weight_max/{rest}": float(values.max())}
            elif kind == "balancer":
                means[name] = float(values[-1])
            elif kind == "skipped":
                means[name] = float(values.sum())
        return means

    def close(self) -> Counter[str]:
        """Empties the collection; returns how many successive updates each part of the agent has skipped."""
        not_finite = ""
        for name, values in self._stacked().items():
            kind, _, rest = name.partition("/")
            if kind == "skipped":
                taken = values.flip(0).eq(0).nonzero()  # the latest update that was not skipped comes first
                self._skipped[rest] = int(taken[0]) if len(taken) else self._skipped[rest] + len(values)
            elif kind == "loss" and not not_finite and not values[-1].isfinite():
                not_finite = f"{rest} loss"
        self.not_finite = not_finite
        self._values.clear()
        return self._skipped

    def state_dict(self) -> dict[str, Any]:
        """Returns what a checkpoint saves, under ``window`` and ``skipped``."""
        return {"window": self._stacked(), "skipped": dict(self._skipped)}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Restores what ``state_dict`` returned; older states lack ``skipped``, which is then 0."""
        self._skipped = Counter({str(name): int(count) for name, count in state.get("skipped", {}).items()})
        self._values.clear()
        for name, values in state["window"].items():
            self._values[name] = list(values.to(device).reshape(len(values)).unbind())

    def _stacked(self) -> dict[str, Tensor]:
        return {name: torch.stack(values) for name, values in self._values.items()}


def analytic_weights(balancer: Balancer, means: Mapping[str, float]) -> dict[str, float]:
    """Returns the weights that a balancer would reach for mean losses; NaN if there are none, as at a loss of 0."""
    losses = {name: means[f"loss/{name}"] for name in balancer.names}
    usable = all(0 < loss < math.inf for loss in losses.values())
    weights = balancer.analytic_weights(losses if usable else dict.fromkeys(losses, 1.0))
    return {f"analytic_weight/{name}": weight if usable else math.nan for name, weight in weights.items()}
