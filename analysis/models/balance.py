"""Applies a balancer to recorded losses, without a world model, to see how its weights move."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from hdream_core.balancers import Balancer


def follow(
    balancer: Balancer, losses: Mapping[str, np.ndarray], lr: float, updates_per_value: int = 1
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Trains a balancer on recorded losses with Adam, as it is trained with a world model.

    Args:
        balancer: changed in place.
        losses: by name, ``(T,)`` each.
        lr: Adam's rate.
        updates_per_value: updates for each recorded value.

    Returns:
        Its weights after each value, and the weights of Eq. 13 for that value, by name, ``(T,)`` each.
    """
    optimizer = torch.optim.Adam(balancer.parameters(), lr, eps=1e-5)
    steps = len(next(iter(losses.values())))
    learned = {name: np.zeros(steps) for name in balancer.names}
    analytic = {name: np.zeros(steps) for name in balancer.names}
    for t in range(steps):
        now = {name: float(losses[name][t]) for name in balancer.names}
        for _ in range(updates_per_value):
            total, _ = balancer({name: torch.tensor(value) for name, value in now.items()})
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        _, weights = balancer({name: torch.tensor(value) for name, value in now.items()})
        for name, weight in balancer.analytic_weights(now).items():
            learned[name][t], analytic[name][t] = float(weights[name]), weight
    return learned, analytic
