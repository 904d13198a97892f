"""Fig. 2b: the three losses through training, and what the shared representation feels of them.

``python -m analysis.loss_scales --task lever_pull`` collects the losses of all runs. The paper argues from their scale:
the reward loss is two orders of magnitude smaller than the observation loss. Scale alone moves no parameter, so the
gradients at the shared parameters are measured too, of every model before and after its training, on windows that none
has trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.models.segments import draw, unseen_episodes
from analysis.results import schema
from analysis.results.stats import ANY, OVER_SEEDS, SHARE, seed_interval, show
from analysis.results.tasks import task_facts
from analysis.runs import gather, methods, sizes, study
from hdream_core.agent import Agent, make_agent
from hdream_core.runs.gradients import gradient_norms
from hdream_core.support.randomness import own_randomness

STUDY = "loss_scales"
ITEM = "Fig. 2b"
ABOUT = "Measure the three losses, and their gradients at the shared parameters."
SIZES = {
    "batches": {"paper": 16, "cpu": 8, "quick": 4, "smoke": 2},
}
EPISODES = 50  # or all that the buffer holds out
LOSSES = ("observation", "reward", "dynamics")
STAGES = ("untrained", "trained")


@dataclass(frozen=True)
class LossScales(study.Study):
    """Collect the losses through training and the gradients that they send (Fig. 2b)."""

    methods: tuple[str, ...] | None = None
    """Methods. Default: w_r=1, the task's balanced weight and harmony."""
    batches: int | None = None
    """Batches of unseen windows, in the size of training, that gradients are measured on."""


def run(job: LossScales) -> Path:
    """Trains, measures, collects and draws; returns the result file."""
    job = study.sized(job, SIZES)
    names = job.methods or (methods.ORIGINAL, task_facts(job.task).balanced, "harmony")
    plan = study.plan(job, STUDY, names)
    if job.plan_only:
        return plan.path
    sha256 = study.train(plan)
    there = sizes.recorded(plan)
    episodes = unseen_episodes(plan, EPISODES if there is None else min(EPISODES, there))
    train = plan.config.train
    found = {}
    for place, agent in plan.agents():
        pixels = int(np.prod(agent.spec.image))
        batches = [draw(job.task, episodes, train.batch, train.length, seed).batch() for seed in range(job.batches)]
        found[place] = _gradients([_untrained(agent), agent], batches)
    layout = {f"gradient_norm/{loss}": ("stage",) for loss in LOSSES}
    result = gather.models(plan, sha256, found, {"stage": np.array(STAGES)}, layout)
    curves = gather.gather(plan.runs, result.attributes)
    result.axes["log_step"] = curves.axes["log_step"]
    wanted = [f"{kind}/{loss}" for kind in ("loss", "weight") for loss in LOSSES]
    result.data |= {name: curves.data[name] for name in wanted if name in curves.data}
    _add_shares(result)
    result.notes["dimensions"] = {"observation": pixels, "reward": 1}
    result.notes["protocol"] = {"batches": job.batches, "windows": train.batch, "episodes": len(episodes)}
    result.notes["final"] = final(result)
    return study.finish(result, plan, lines(result))


def _untrained(agent: Agent) -> Agent:
    """The agent with the weights that its training began from."""
    with own_randomness(agent.config.seed):
        return make_agent(agent.config, agent.spec, agent.device)


def _gradients(stages: Sequence[Agent], batches: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Mean over batches of every loss's gradient norm, ``(stages,)`` each."""
    measured = [[gradient_norms(agent, batch, seed) for seed, batch in enumerate(batches)] for agent in stages]
    names = measured[0][0]
    return {f"gradient_norm/{name}": np.array([[n[name] for n in some] for some in measured]).mean(1) for name in names}


def _add_shares(result: schema.Result) -> None:
    """Each loss's part of the sum of the weighted norms, ``(method, seed, stage)``, sum 1.

    Weighted as last logged, and before training by the constant that the method fixes, or 1, where all learned weights
    start.
    """
    missing = np.full((len(result.axes["method"]), len(result.axes["seed"]), 1), np.nan)  # a loss that no method has
    weights = {}
    for loss in LOSSES:
        last = result.data.get(f"weight/{loss}", ((), missing))[1][..., -1]
        fixed = [result.config[str(method)]["balancer"][f"w_{loss[0]}"] for method in result.axes["method"]]
        first = np.array([1.0 if weight is None else weight for weight in fixed])[:, None]
        weights[loss] = np.stack([np.broadcast_to(first, last.shape), last], -1)
    pull = [result.values(f"gradient_norm/{loss}") * weights[loss] for loss in LOSSES]
    total = np.nansum(pull, axis=0)
    result.data |= {
        f"gradient_share/{loss}": (("method", "seed", "stage"), part / total)
        for loss, part in zip(LOSSES, pull, strict=True)
    }


def final(result: schema.Result) -> dict[str, Any]:
    """Orders of magnitude from reward to observation loss, in the second half of training; and the gradients' shares.

    The mean of the ratio's logarithm: a claim about orders of magnitude is about logarithms, and single small reward
    losses do not make it.
    """
    steps = result.axes["log_step"]
    late = steps > steps[-1] / 2
    table: dict[str, Any] = {"interval": OVER_SEEDS}
    measures = {}
    if "loss/observation" in result.data:
        ratio = result.values("loss/observation") / result.values("loss/reward")
        measures["log10 of L_o / L_r"] = np.log10(ratio)[..., late].mean(-1)  # (method, seed)
    for at, stage in enumerate(STAGES):
        for loss in LOSSES:
            measures[f"gradient share of {loss}, {stage}"] = result.values(f"gradient_share/{loss}")[..., at]
    for name, values in measures.items():
        within = SHARE if "share" in name else ANY
        spans = [seed_interval(one, within=within)._asdict() for one in values]  # of the methods
        table[name] = dict(zip(map(str, result.axes["method"]), spans, strict=True))
    return table


def lines(result: schema.Result) -> list[str]:
    """The ratio of the losses, and the shares of the gradients."""
    text = ["losses in the second half of training, gradients before and after it; [95 % over seeds]"]
    for name, row in result.notes["final"].items():
        if isinstance(row, dict):
            text.append(f"  {name:<42} " + "; ".join(f"{method} {show(found)}" for method, found in row.items()))
    return text


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    study.main(LossScales, run, args)


if __name__ == "__main__":
    main()
