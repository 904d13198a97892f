"""Fig. 2b: the three losses through training, and their gradients at the shared parameters.

``python -m analysis.loss_scales --task lever_pull`` collects the losses of all runs. The paper argues from their size:
the reward loss is two orders of magnitude smaller than the observation loss. Parameters follow gradients, not losses.
So the gradients at the shared parameters are measured too, for every model before and after its training, on windows
that no model has trained on. Runs of preset ``long`` measure them while they train, on their own data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from analysis.models.segments import draw, unseen_episodes
from analysis.results import comparisons, measures, schema
from analysis.results.measures import BALANCED, losses_of
from analysis.results.stats import OVER_SEEDS, SHARE, show
from analysis.results.tasks import task_facts
from analysis.runs import gather, methods, sizes, study
from hdream_core.agent import Agent, make_agent
from hdream_core.config.balancer import WEIGHTS
from hdream_core.runs.gradients import gradient_norms
from hdream_core.support.randomness import own_randomness

STUDY = "loss_scales"
ITEM = "Fig. 2b"
ABOUT = "Measure the three losses, and their gradients at the shared parameters."
SIZES = {"batches": {"paper": 16, "cpu": 8, "quick": 4, "smoke": 2}}
EPISODES = 50  # or all held-out episodes of the buffer, if there are fewer
STAGES = ("untrained", "trained")


@dataclass(frozen=True)
class LossScales(study.Study):
    """Collect the losses through training and their gradients (Fig. 2b)."""

    methods: tuple[str, ...] | None = None
    """Methods. Default: w_r=1, the task's balanced weight and harmony."""
    batches: int | None = None
    """Batches of held-out windows that gradients are measured on, as large as in training."""


def run(job: LossScales) -> Path:
    """Trains the models, measures gradients, writes and draws the result; returns the result file."""
    job = study.sized(job, SIZES)
    names = job.methods or (methods.ORIGINAL, task_facts(job.task).balanced, "harmony")
    plan = study.plan(job, STUDY, names)
    if job.plan_only:
        return plan.path
    sha256 = study.train(plan)
    recorded = sizes.recorded(plan)
    episodes = unseen_episodes(plan, EPISODES if recorded is None else min(EPISODES, recorded))
    train = plan.config.train
    norms = {}
    for index, agent in plan.agents():
        pixels = int(np.prod(agent.spec.image))
        batches = [draw(job.task, episodes, train.batch, train.length, seed).batch() for seed in range(job.batches)]
        norms[index] = _gradients([_untrained(agent), agent], batches)
    losses = [loss for loss in BALANCED if any(f"gradient_norm/{loss}" in found for found in norms.values())]
    layout = {f"gradient_norm/{loss}": ("stage",) for loss in losses}
    result = gather.models(plan, sha256, norms, {"stage": np.array(STAGES)}, layout)
    curves = gather.gather(plan.runs, result.attributes)
    result.axes["log_step"] = curves.axes["log_step"]
    wanted = [f"{kind}/{loss}" for kind in ("loss", "weight") for loss in losses]
    result.data |= {name: curves.data[name] for name in wanted if name in curves.data}
    _add_shares(result)
    _add_shares_in_training(result, curves)
    result.notes["dimensions"] = {"observation": pixels, "reward": 1} if "observation" in losses else {"reward": 1}
    result.notes["protocol"] = {"batches": job.batches, "windows": train.batch, "episodes": len(episodes)}
    result.notes["final"] = final(result)
    return study.finish(result, plan, lines(result))


def _untrained(agent: Agent) -> Agent:
    """Returns the agent with the weights that its training began with."""
    with own_randomness(agent.config.seed):
        return make_agent(agent.config, agent.spec, agent.device)


def _gradients(stages: Sequence[Agent], batches: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Returns the gradient norm of every loss, a mean over batches, ``(stages,)`` each."""
    measured = [[gradient_norms(agent, batch, seed) for seed, batch in enumerate(batches)] for agent in stages]
    names = measured[0][0]
    return {
        f"gradient_norm/{name}": np.array([[norms[name] for norms in stage] for stage in measured]).mean(1)
        for name in names
    }


def _add_shares(result: schema.Result) -> None:
    """Adds each loss's share of the sum of the weighted norms, ``(method, seed, stage)``; the shares add up to 1.

    After training the weights are those logged last. Before training they are the same if they are fixed, else the
    constants that the method fixes, or 1, where all learned weights start.
    """
    missing = np.full((len(result.methods), len(result.axes["seed"]), 1), np.nan)  # for a loss that no method has
    weights, losses = {}, losses_of(result)
    settings = {loss: name for name, loss in WEIGHTS.items()}
    for loss in losses:
        last = result.data.get(f"weight/{loss}", ((), missing))[1][..., -1]
        balancers = [result.config[method]["balancer"] for method in result.methods]
        start = [
            row if b["kind"] == "fixed" else np.full_like(row, b.get(settings.get(loss)) or 1.0)
            for row, b in zip(last, balancers, strict=True)
        ]
        weights[loss] = np.stack([start, last], -1)
    weighted = [result.values(f"gradient_norm/{loss}") * weights[loss] for loss in losses]
    total = np.nansum(weighted, axis=0)
    result.data |= {
        f"gradient_share/{loss}": (("method", "seed", "stage"), part / total)
        for loss, part in zip(losses, weighted, strict=True)
    }


def _add_shares_in_training(result: schema.Result, curves: schema.Result) -> None:
    """Adds what runs measured of gradients while they trained, if they did, and the policies' scores meanwhile.

    Shares are ``(method, seed, gradient_step)``; for methods that learn their weights, also what they would be with
    those of Eq. 13. Weights are those logged last before a measurement.
    """
    if "gradient_step" not in curves.axes:
        return
    for axis in ("gradient_step", "step"):
        result.axes[axis] = curves.axes[axis]
    policies = [name for name in measures.POLICIES if name in curves.data]
    norms = [name for loss in losses_of(result) if (name := f"gradient_curve/{loss}") in curves.data]
    result.data |= {name: curves.data[name] for name in [*policies, *norms]}
    steps, logged = curves.axes["gradient_step"], curves.axes["log_step"]
    line = np.maximum(np.searchsorted(logged, steps, side="right") - 1, 0)
    for kind, name in (("weight", "gradient_share_curve"), ("analytic_weight", "analytic_share_curve")):
        if not any(f"{kind}/{loss}" in curves.data for loss in BALANCED):
            continue
        losses = [norm.partition("/")[2] for norm in norms]
        missing = np.full((*curves.values(norms[0]).shape[:2], len(logged)), np.nan)
        weights = [curves.data.get(f"{kind}/{loss}", ((), missing))[1][..., line] for loss in losses]
        pulls = np.stack([curves.values(norm) for norm in norms]) * np.stack(weights)
        with np.errstate(invalid="ignore"):
            parts = pulls / np.where(np.isfinite(pulls).any(0), np.nansum(pulls, 0), np.nan)
        axes = ("method", "seed", "gradient_step")
        result.data |= {f"{name}/{loss}": (axes, part) for loss, part in zip(losses, parts, strict=True)}


def final(result: schema.Result) -> dict[str, Any]:
    """Returns intervals over seeds of log10(L_o / L_r) in the second half of training, and of the gradients' shares."""
    table: dict[str, Any] = {"interval": OVER_SEEDS}
    if (orders := measures.of_losses(result).get(measures.ORDERS)) is not None:
        table[measures.ORDERS] = comparisons.by_method(result, orders)
    for at, stage in enumerate(STAGES):
        for loss in losses_of(result):
            shares = result.values(f"gradient_share/{loss}")[..., at]
            table[f"gradient share of {loss}, {stage}"] = comparisons.by_method(result, shares, SHARE)
    for loss in losses_of(result):
        if (name := f"gradient_share_curve/{loss}") in result.data:
            means = result.values(name).mean(-1)
            table[f"gradient share of {loss} in training"] = comparisons.by_method(result, means, SHARE)
    return table


def lines(result: schema.Result) -> list[str]:
    """Formats the ratio of the losses, and the shares of the gradients."""
    text = ["losses in the second half of training, gradients before and after it; [95 % over seeds]"]
    for name, row in result.notes["final"].items():
        if isinstance(row, dict):
            text.append(f"  {name:<42} " + "; ".join(f"{method} {show(value)}" for method, value in row.items()))
    return text


main = partial(study.main, LossScales, run)

if __name__ == "__main__":
    main()
