"""Defines probes, which read positions off features: the paper's MLP, a linear one, and a constant (C.4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdream_core.support.precision import pick_device
from hdream_core.support.randomness import own_randomness

LARGEST = 10.0  # standard deviations; features are clipped here
RIDGE = 1.0  # strength of the linear probe's regularisation, on standardised features


@dataclass(frozen=True)
class ProbeConfig:
    hidden: int = 400
    """Units per layer of the MLP (C.4)."""
    layers: int = 4
    """Hidden layers of the MLP (C.4)."""
    updates: int = 2000
    """Updates of the MLP."""
    batch: int = 256
    """Steps per update."""
    lr: float = 1e-3
    """Adam's learning rate; it falls to 0 along a cosine."""


class Scale:
    """Standardises columns by the training rows' mean and standard deviation, and back.

    Values are clipped to ``LARGEST``. A latent class that is rare in the training rows has hardly any deviation, and a
    row with that class would come out in the millions.
    """

    def __init__(self, values: np.ndarray):
        self.mean, self.std = values.mean(0), values.std(0) + 1e-6

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return np.clip((values - self.mean) / self.std, -LARGEST, LARGEST).astype(np.float32)

    def back(self, values: np.ndarray) -> np.ndarray:
        """Returns values in their own units."""
        return values * self.std + self.mean


class MLPProbe:
    """Fits the paper's MLP with the mean squared error (C.4) on standardised features and targets.

    Args:
        x: ``(M, F)`` features.
        y: ``(M, D)`` targets.
        config: sizes and training.
        seed: of the weights and of the batches.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, config: ProbeConfig, seed: int):
        import torch
        from torch.nn import functional as F

        from hdream_core.nets.mlp import MLP

        self.x_scale, self.y_scale = Scale(x), Scale(y)
        self.device = pick_device()
        inputs, targets = (torch.from_numpy(a).to(self.device) for a in (self.x_scale(x), self.y_scale(y)))
        rng = np.random.default_rng(seed)
        with own_randomness(seed):
            self.net = MLP(x.shape[1], y.shape[1], config.hidden, config.layers).to(self.device)
        optimizer = torch.optim.Adam(self.net.parameters(), config.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.updates)
        for _ in range(config.updates):
            chosen = torch.from_numpy(rng.integers(0, len(x), config.batch)).to(self.device)
            loss = F.mse_loss(self.net(inputs[chosen]), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Returns predictions ``(..., D)`` for features ``(..., F)``, always in float32, as it was fitted."""
        import torch

        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            return self.y_scale.back(self.net(torch.from_numpy(self.x_scale(x)).to(self.device)).cpu().numpy())


class LinearProbe:
    """Fits ridge regression on standardised features; same interface as ``MLPProbe``."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        from sklearn.linear_model import Ridge

        self.x_scale = Scale(x)
        # It is ill-conditioned in float32. No second copy: C.4's segments take 15 GB at full size.
        self.ridge = Ridge(RIDGE, copy_X=False).fit(self.x_scale(x).astype(np.float64), y)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Returns predictions ``(..., D)`` for features ``(..., F)``."""
        flat = self.ridge.predict(self.x_scale(x).reshape(-1, x.shape[-1]))
        return flat.reshape(*x.shape[:-1], -1)


class ConstantProbe:
    """Predicts the targets' mean over the training rows, the best constant."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self.mean = y.mean(0)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Returns predictions ``(..., D)`` for features ``(..., F)``."""
        return np.broadcast_to(self.mean, (*x.shape[:-1], len(self.mean)))
