"""How a result's metrics are called in its file: variable, dimensions, ``long_name`` and ``units``.

In memory a metric has a name in groups, ``loss/reward``. In the file the metrics of one kind are one variable, and what
tells them apart is a dimension: ``loss_value`` along ``loss``. A pattern's words in braces are such dimensions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

STEPS = "environment steps"
SHARE = "share"
SQUARED = "{length}^2"  # of a task's positions as reported, e.g. cm^2


class Kind(NamedTuple):
    """One variable of a file: its name and what it is."""

    variable: str
    long_name: str
    units: str = ""


# Labels of the dimensions that patterns have, those that come first; of those in CLOSED there are no others.
LABELS: dict[str, tuple[str, ...]] = {
    "loss": ("observation", "reward", "dynamics"),
    "part": ("model", "actor", "critic"),
    "features": ("posterior", "open_loop"),
    "event": ("reward", "object"),
    "split": ("all", "moving", "still", "still and low"),
    "kind": (
        *("only second right", "only first right", "both wrong", "both right"),
        *("made up by first", "made up by second"),
        *("made up by first, second right", "made up by second, first right"),
        *("difference", "difference in made up"),
    ),
    "stage": ("untrained", "trained"),
}
LABELLED = ("{variant}", "{object}", "{other}")  # parts of paths in the notes, with the labels that a result has
CLOSED = ("features", "event", "split", "kind", "stage")

KINDS: dict[str, Kind] = {
    # what policies and models score while they train
    "return": Kind("return", "episode return of the policy"),
    "success": Kind("success", "episodes of the policy that succeed", SHARE),
    "reward_error": Kind("reward_error", "squared reward error of held-out dreams, mean over windows"),
    "reward_error_median": Kind("reward_error_median", "squared reward error of held-out dreams, median over windows"),
    "return_rank_correlation": Kind("return_rank_correlation", "rank correlation of dreamed and true return"),
    # what updates log: means since the line before
    "loss/total": Kind("total_loss", "what the world model's optimiser minimises"),
    "loss/actor": Kind("actor_loss", "what the actor's optimiser minimises"),
    "loss/critic": Kind("critic_loss", "what the critic's optimiser minimises"),
    "loss/{loss}": Kind("loss_value", "loss of the world model, not weighted"),
    "weight/{loss}": Kind("weight", "weight of the loss"),
    "weight_min/{loss}": Kind("weight_min", "least weight of the loss since the line before"),
    "weight_max/{loss}": Kind("weight_max", "greatest weight of the loss since the line before"),
    "analytic_weight/{loss}": Kind("analytic_weight", "weight by Eq. 13 for the loss's running mean"),
    "grad_norm/{part}": Kind("grad_norm", "gradient norm of an optimiser's parameters, before clipping"),
    "skipped/{part}": Kind("skipped", "updates left out since the line before", "updates"),
    "updates": Kind("updates", "updates so far", "updates"),
    "imagined_reward": Kind("imagined_reward", "reward in imagined rollouts"),
    "kl": Kind("kl", "KL divergence of posterior from prior", "nats"),
    "policy_entropy": Kind("policy_entropy", "entropy of the policy in imagined rollouts", "nats"),
    "target": Kind("target", "the critic's target in imagined rollouts"),
    "value": Kind("value", "the critic's value in imagined rollouts"),
    "balancer/solver_failures": Kind("balancer_solver_failures", "updates so far that NashMTL's solver failed at"),
    # held-out windows
    "window/error": Kind("window_error", "squared reward error of a held-out window's dream"),
    "window/dreamed_return": Kind("window_dreamed_return", "sum of a window's dreamed rewards"),
    "window/true_return": Kind("window_true_return", "sum of a window's true rewards"),
    "window/episode": Kind("window_episode", "episode that a window is from"),
    "dreamed_reward": Kind("dreamed_reward", "dreamed reward"),
    "true_reward": Kind("true_reward", "true reward"),
    "case/window": Kind("case_window", "window that stands for a kind of dream"),
    "case/seeds": Kind("case_seeds", "seeds whose dreams of that window are of the kind"),
    "picture/true": Kind("picture_true", "true frames of the case's window"),
    "picture/dreamed": Kind("picture_dreamed", "frames as seen, then dreamed, by the first seed's models"),
    # gradients at the parameters that all losses share
    "gradient_norm/{loss}": Kind("gradient_norm", "norm of the loss's gradient at the shared parameters"),
    "gradient_share/{loss}": Kind("gradient_share", "part of the sum of the weighted gradient norms", SHARE),
    # positions read off representations
    "mlp/{features}": Kind("mlp_error", "squared distance of positions, MLP probe", SQUARED),
    "linear/{features}": Kind("linear_error", "squared distance of positions, linear probe", SQUARED),
    "shuffled/{features}": Kind("shuffled_error", "squared distance of positions, probe of shuffled features", SQUARED),
    "constant/{features}": Kind("constant_error", "squared distance of positions, the best constant", SQUARED),
    # altered actions
    "{event}/averted_rate": Kind("averted_rate", "events dreamed that the altered actions avert", SHARE),
    "{event}/hallucination_rate": Kind("hallucination_rate", "events dreamed where none happens", SHARE),
    "{event}/miss_rate": Kind("miss_rate", "events that happen and are not dreamed", SHARE),
    "{event}/brier": Kind("brier", "squared error of the dreamed probability"),
    "{event}/discrimination": Kind("discrimination", "dreamed probability as recorded minus as altered"),
    "{event}/probability": Kind("probability", "share of a branch's dreams in which the event happens", SHARE),
    "{event}/happened": Kind("happened", "whether the event truly happens"),
    "{event}/error": Kind("error", "error of the branch's dream: reward squared, object's displacement absolute"),
    "{event}/bias": Kind("bias", "dreamed minus true"),
    "{event}/highest": Kind("highest", "highest dreamed reward, mean over dreams"),
    "{event}/highest_true": Kind("highest_true", "highest true reward"),
    "{event}/floor": Kind("floor", "seen windows without motion in which the probe has some", SHARE),
    "{event}/seen": Kind("seen", "seen windows with motion in which the probe has some", SHARE),
    "{event}/probe_error": Kind("probe_error", "root mean squared distance of the probe", "{plain}"),
    "{event}/quiet": Kind("quiet", "the probe's threshold of motion", "{plain}"),
    "reference/{event}/averted_rate": Kind("reference_averted_rate", "averted_rate of a reference predictor", SHARE),
    "reference/{event}/hallucination_rate": Kind(
        "reference_hallucination_rate", "hallucination_rate of a reference predictor", SHARE
    ),
    "reference/{event}/miss_rate": Kind("reference_miss_rate", "miss_rate of a reference predictor", SHARE),
    "branch/episode": Kind("branch_episode", "episode that a branch is from"),
    "branch/weight": Kind("branch_weight", "windows of the record that a branch stands for, relative to an even draw"),
    # Atari
    "score": Kind("score", "score of the game, as printed"),
    "human_normalised": Kind("human_normalised", "score, 0 for random play and 1 for a human's"),
}

# Of paths to intervals in the notes: their parts, beside the names of metrics.
NOTED: dict[str, Kind] = {
    "{features}": Kind("mlp_error", "squared distance of positions, MLP probe", SQUARED),
    "gradient share of {loss}, {stage}": Kind("gradient_share", "part of the sum of weighted gradient norms", SHARE),
    "{split}": Kind("", ""),
    "{kind}": Kind("dreams", "dreams of a kind", SHARE),
    "final": Kind("", ""),
    "means": Kind("mean", "mean over seeds"),
    "ends": Kind("end", "in the last line of training metrics"),
    "differences": Kind("difference", "a variant minus another, seed by seed"),
    "corrected": Kind("corrected_difference", "a larger reward weight minus w_r = 1, seed by seed"),
    "ratios": Kind("ratio", "a variant over another, seed by seed"),
    "area/{metric}": Kind("area", "mean over all evaluations"),
    "variance/area/{metric}": Kind("variance_of_area", "variance over seeds of the mean over all evaluations"),
    "all positions/{features}": Kind("all_positions", "sum over positions of squared distances", SQUARED),
    "moving positions/{features}": Kind("moving_positions", "mean over positions that move", SQUARED),
    "log10 of L_o / L_r": Kind("log10_loss_ratio", "log10 of observation loss over reward loss, late in training"),
    "least over greatest weight": Kind("least_over_greatest_weight", "least weight over greatest"),
    "learned over analytic/{loss}": Kind("learned_over_analytic", "weight over that of Eq. 13"),
    "over_seeds": Kind("over_seeds", "over training seeds"),
    "over_episodes": Kind("over_episodes", "over held-out episodes"),
    "paired_over_seeds": Kind("paired_over_seeds", "minus that of the first variant, over training seeds"),
    "paired_over_episodes": Kind("paired_over_episodes", "minus that of the first variant, over held-out episodes"),
}

DIMENSIONS: dict[str, tuple[str, str]] = {  # long_name and units
    "variant": ("what is compared: a way to weigh the losses, or a method", ""),
    "other": ("variant to compare with", ""),
    "metric": ("what policies are evaluated by", ""),
    "seed": ("training seed", ""),
    "step": ("step of an evaluation", STEPS),
    "log_step": ("step of a line of training metrics", STEPS),
    "loss": ("loss of the world model", ""),
    "part": ("part of the agent that has an optimiser", ""),
    "features": ("features that a probe reads", ""),
    "event": ("what may happen", ""),
    "window": ("held-out window", ""),
    "horizon": ("step of a dream", ""),
    "episode": ("held-out episode", ""),
    "object": ("whose position", ""),
    "probe_seed": ("fit of the probe", ""),
    "alternative": ("actions played", ""),
    "branch": ("state that actions branch from", ""),
    "reference": ("predictor to compare with", ""),
    "stage": ("before or after training", ""),
    "case": ("kind of dream", ""),
    "kind": ("kind of dream; or the first kind minus the second, and made up by first minus by second", ""),
    "split": ("windows by what the true reward does", ""),
    "frame": ("step of the window", ""),
    "bound": ("mean and ends of the interval", ""),
}


def _expression(pattern: str) -> re.Pattern[str]:
    """That matches the names of a pattern; each dimension is a group."""
    parts = re.split(r"\{(\w+)\}", pattern)
    for i, name in enumerate(parts):
        closed = "|".join(map(re.escape, LABELS.get(name, ())))
        parts[i] = f"(?P<{name}>{closed if name in CLOSED else '[^/]+'})" if i % 2 else re.escape(name)
    return re.compile("".join(parts))


_METRICS, _NOTED = ({pattern: _expression(pattern) for pattern in kinds} for kinds in (KINDS, NOTED))


def kind_of(name: str, noted: bool = False) -> tuple[str, Mapping[str, str]]:
    """The pattern that a metric's name fits, with its labels by dimension; the name itself where none is known.

    Args:
        name: of the metric.
        noted: whether it may as well be another part of a path in the notes.
    """
    for expressions in (_METRICS, _NOTED) if noted else (_METRICS,):
        if name in expressions:
            return name, {}
        for pattern, expression in expressions.items():
            if found := expression.fullmatch(name):
                return pattern, found.groupdict()
    return name, {}


def named(pattern: str) -> Kind:
    """The variable of a pattern; of one that is not known, by its own words."""
    if pattern in LABELLED:
        return Kind("", "")
    words = Kind(re.sub(r"\W+", "_", pattern).strip("_"), pattern.replace("/", ", "))
    return KINDS.get(pattern) or NOTED.get(pattern) or words
