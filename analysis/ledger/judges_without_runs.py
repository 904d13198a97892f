"""Judges claims that take no training run: algebra of the losses, Table 2, and what harmonizers cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from analysis.ledger.verdicts import (
    IN_PART,
    NOT_MEASURED,
    NOT_REPRODUCED,
    NOT_SHOWN,
    REPRODUCED,
    UNDECIDABLE,
    Finding,
    ResultFiles,
    judge,
)
from analysis.results.schema import ResultError, using
from analysis.results.stats import Interval, read_interval, show
from hdream_core import envs
from hdream_core.balancers import Harmony, analytic_weight
from hdream_core.config.presets import make_config, presets_for
from hdream_core.support.settings import flatten

LOSSES = (0.01, 0.3, 1.0, 50.0, 11_000.0)  # expected losses that the closed forms are tried on
CLOSE = 1e-2
ANSWERS = {"yes": REPRODUCED, "no": NOT_REPRODUCED, "in part": IN_PART, "open": UNDECIDABLE}
DATA = Path(__file__).parent.parent / "data"
# Each file that ``docs/performance.md`` reports, and what its number leaves out.
TIMINGS = {
    "performance_cpu.json": "",
    "performance_gpu.json": ": each kernel of theirs started alone, where the update is recorded and started as one; "
    "what they add to that was not measured",
}


def _minimised(rectified: bool, loss: float) -> float:
    """Returns the weight at which the balancer's own total is least for a constant loss."""
    balancer = Harmony(["loss"], rectified)

    @torch.no_grad()
    def total(s: float) -> float:
        balancer.s["loss"].fill_(s)
        return float(balancer({"loss": torch.tensor(loss)})[0])

    return float(np.exp(-minimize_scalar(total, bounds=(-20, 20), method="bounded", options={"xatol": 1e-6}).x))


def _finding(largest: float, more: str, holds: bool) -> Finding:
    text = f"largest relative difference {largest:.1e}{more} for losses from {LOSSES[0]:g} to {LOSSES[-1]:g}"
    return Finding(text, REPRODUCED if holds else NOT_REPRODUCED, value=Interval(largest, np.nan, np.nan))


@judge
def closed_form(files: ResultFiles, rectified: bool) -> Iterator[Finding]:
    """Asks whether the loss of Eq. 5 (``rectified``) or of Eq. 4 is least at the closed form."""
    largest = max(abs(_minimised(rectified, loss) / analytic_weight(loss, rectified) - 1) for loss in LOSSES)
    yield _finding(largest, "", largest < CLOSE)


@judge
def loss_scale(files: ResultFiles, rectified: bool) -> Iterator[Finding]:
    """Asks whether E[L] / sigma* is what Sec. 3 says that it is."""
    stated = {loss: 2 / (1 + (1 + 4 / loss) ** 0.5) if rectified else 1.0 for loss in LOSSES}
    largest = max(abs(loss * _minimised(rectified, loss) / stated[loss] - 1) for loss in LOSSES)
    below_one = max(loss * analytic_weight(loss, rectified) for loss in LOSSES) < 1
    scales = f", scales from {min(stated.values()):.2g} to {max(stated.values()):.4f}" if rectified else ""
    yield _finding(largest, scales, largest < CLOSE and below_one == rectified)


@judge
def bounded(files: ResultFiles) -> Iterator[Finding]:
    """Asks whether the weight of a tiny loss is far smaller with Eq. 5 than with Eq. 4 (Fig. 4, right)."""
    loss = 1e-4
    rectified, plain = (_minimised(flag, loss) for flag in (True, False))
    verdict = REPRODUCED if rectified < plain / 10 else NOT_REPRODUCED
    yield Finding(f"for a loss of {loss:g}: {rectified:.0f} with Eq. 5, {plain:.0f} with Eq. 4", verdict)


@judge
def table_2(files: ResultFiles, check: str) -> Iterator[Finding]:
    """Reports what our check of a sentence about Table 2 says, by the check's name (``results/atari_checks.py``)."""
    for name, result in files.of("atari_table"):
        for row in result.notes["checks"]:
            if row["name"] == check:
                ours = row["ours"]
                if isinstance(ours, dict):
                    ours = "; ".join(f"{key}: {value}" for key, value in ours.items())
                text = "; ".join(str(part) for part in (ours, row["remark"]) if part not in (None, ""))
                yield Finding(text, ANSWERS[row["holds"]], name, "paper")
                return  # one table is enough


@judge
def atari_runs_higher(files: ResultFiles) -> Iterator[Finding]:
    """Asks whether Harmony DreamerV3's aggregates are above DreamerV3's, with intervals over seeds."""
    for name, result in files.of("atari_scores"):
        rows = {kind: result.notes["aggregates"][kind] for kind in ("mean", "median", "iqm")}
        gaps = {kind: read_interval(row["difference"]) for kind, row in rows.items()}
        above = [kind for kind, gap in gaps.items() if gap.low > 0]
        text = "; ".join(f"{kind} {show(Interval(*(100 * end for end in gap)))} points" for kind, gap in gaps.items())
        verdict = REPRODUCED if len(above) == len(gaps) else IN_PART if above else NOT_SHOWN
        yield Finding(text, verdict, name, "paper", gaps["iqm"])


@judge
def atari_runs_matched(files: ResultFiles, count: int) -> Iterator[Finding]:
    """Asks in how many games Harmony DreamerV3 is at least as good, with intervals over seeds."""
    for name, result in files.of("atari_scores"):
        exact, close = (read_interval(result.notes["matched"][tolerance]) for tolerance in ("0", "0.05"))
        inside = any(found.low <= count <= found.high for found in (exact, close))
        verdict = REPRODUCED if exact.mean == count else IN_PART if inside else NOT_REPRODUCED
        yield Finding(f"{show(exact)} of 26; within 5 %, {show(close)}", verdict, name, "paper", exact)


@judge
def cost(files: ResultFiles) -> Iterator[Finding]:
    """Asks whether harmonizers take under 1 % of an update (C.5), in each of the timings that ship."""
    for name, caveat in TIMINGS.items():
        if not (path := DATA / name).exists():
            raise ResultError(f"{path}: is missing, and a claim is judged by it; install hdream again")
        with using(path):
            timing = json.loads(path.read_text())
            share, extra = (float(timing["harmonizers"][key]) for key in ("share_of_update", "extra_s"))
            scale = "paper" if timing["about"]["settings"]["preset"] == "paper" else "reduced"
        text = f"{100 * share:.2f} % of an update, {1000 * extra:.2g} ms on {timing['about']['device']}{caveat}"
        verdict = NOT_MEASURED if caveat else REPRODUCED if share < 0.01 else NOT_REPRODUCED
        yield Finding(text, verdict, name, scale, Interval(share, np.nan, np.nan))


@judge
def added_settings(files: ResultFiles, method: str, reference: str, own: str) -> Iterator[Finding]:
    """Asks whether presets give a method a setting that another does not have (C.3).

    Args:
        files: not read.
        method, reference: methods of the presets.
        own: a setting that nothing but the method reads; it adds one where a preset gives it a value.
    """
    added: dict[str, set[str]] = {"paper": set(), "reduced": set()}
    for task in envs.tasks():
        for preset in presets_for(task, method):
            ours, theirs = (flatten(make_config(task, preset, name)) for name in (method, reference))
            changed = {name for name in ours if ours[name] != theirs[name]} - {"method", "balancer.kind"}
            size = "paper" if preset == "paper" else "reduced"
            added[size] |= changed | ({own} if ours[own] is not None else set())
    told = (f"{size}: {', '.join(sorted(names)) or 'none'}" for size, names in added.items())
    verdict = NOT_REPRODUCED if added["paper"] else IN_PART if added["reduced"] else REPRODUCED
    yield Finding(f"beside the kind of balancer, {'; '.join(told)}", verdict, scale="paper")


@judge
def not_attempted(files: ResultFiles) -> Iterator[Finding]:
    """Finds that a claim was not attempted."""
    yield Finding("not attempted", NOT_MEASURED)
