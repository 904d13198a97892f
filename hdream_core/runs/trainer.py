"""The loop: collect (online), update, evaluate, save. One for online and offline; the clock is environment steps."""

from __future__ import annotations

import io
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from hdream_core.config.fields import Config
from hdream_core.data.prefetch import Ahead
from hdream_core.data.replay import Replay
from hdream_core.data.sources import EVAL_SEED, Source, make_source
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.dreamerv2.player import Understudy
from hdream_core.runs import checkpoint
from hdream_core.runs import folder as run_folder
from hdream_core.runs.evaluate import heldout_dreams, policy_episodes
from hdream_core.runs.metrics import Logger
from hdream_core.runs.resume import resume, state_of
from hdream_core.support.cuda_graph import Pace
from hdream_core.support.errors import UserError
from hdream_core.support.files import write_atomically

PLAY_SEED = 3_000_000  # added to a run's seed for an understudy's actions: no other generator has such a seed
SKIPPED_IN_A_ROW = 100  # updates that were not finite, after which a run stops


class DivergedError(UserError, RuntimeError):
    """Losses stay non-finite; the message is one line for the user."""


class Stopped(Exception):
    """The run was asked to save itself and end."""


Progress = Callable[[int, Mapping[str, float]], None]


class Trainer:
    """A run in a folder; constructing it on a folder with a checkpoint continues that run (on a CPU, to the bit).

    The folder receives ``metrics.jsonl``, ``checkpoint.pt``, online ``replay/``, offline ``heldout.npz`` with the last
    evaluation window by window, and ``done`` when the run is complete.

    Args:
        config: of the run.
        folder: of the run.
        progress: called with the clock and the latest evaluation.
        stop: when set, the run saves itself as soon as it can and raises ``Stopped``; what it ends with is the same.
    """

    def __init__(
        self, config: Config, folder: Path, progress: Progress | None = None, stop: threading.Event | None = None
    ):
        self.config, self.folder, self.stop = config, folder, stop or threading.Event()
        self.progress = progress or (lambda step, latest: None)
        if config.train.threads:
            torch.set_num_threads(config.train.threads)
        # Named generators, all saved in the checkpoint; torch's own serves the model: weights, latents, and actions
        # where no understudy plays.
        torch.manual_seed(config.seed)
        self.env_rng, replay_rng = (np.random.default_rng([config.seed, i]) for i in range(2))
        self.source: Source = make_source(config, folder, self.env_rng)
        run_folder.record(folder, self.source.facts)
        self.agent = DreamerV2(config, self.source.image_size, self.source.action)
        pin = self.agent.device.type == "cuda"
        self.batches = Ahead(self.source.replay, replay_rng, config.train.batch, config.train.length, pin)
        self.pace = Pace(self.agent.device)
        self.logger = Logger(folder, config.log.tensorboard)
        self.step = 0  # environment steps
        self.window: dict[str, list[torch.Tensor]] = defaultdict(list)  # metrics since the last line
        self.latest: dict[str, float] = {}
        self.wall_seconds, self._since = 0.0, time.monotonic()
        beside = not config.offline_buffer and self.agent.kernels.recorded
        self.understudy = Understudy(self.agent.player, PLAY_SEED + config.seed) if beside else None
        self._wants_checkpoint, self._saved = False, -1  # the latter: step of the latest checkpoint
        resume(self)

    def run(self) -> None:
        """Trains to ``config.train.steps``, or returns at once if that is done.

        Raises:
            Stopped: if asked to stop, once the run has saved itself.
            DivergedError: if losses stay non-finite.
        """
        try:
            self._run()
        finally:
            self.logger.close()
            self.source.close()

    def _run(self) -> None:
        c, total = self.config, self.config.train.steps
        while self.step < total:
            if due(self.step, c.eval.every, c.train.train_every):
                self._evaluate(last=False)
            self._advance()
            if due(self.step, c.log.every, c.train.train_every):
                self._log()
            if self.stop.is_set() or due(self.step, c.log.checkpoint_every, c.train.train_every):
                self._wants_checkpoint = True
            # Between episodes nothing of the environment needs saving; offline that is always.
            if self._wants_checkpoint and self.source.between_episodes:
                self._save()
                if self.stop.is_set():
                    raise Stopped(f"{self.folder}: saved at step {self.step}")
        # Every evaluation follows the checkpoint of its step, so that a resumed run writes its line once.
        if self._saved != self.step:
            self._save()
        self._evaluate(last=True)
        run_folder.mark_done(self.folder, self.wall())

    def _advance(self) -> None:
        """Moves the clock by ``train_every`` environment steps: experience, then an update.

        A GPU gets the update first and learns while the environment is played with the weights from before it, which
        play in either order. The order shows in one thing: a new episode is drawn from one update later.
        """
        train = self.config.train
        random = self.step < self.source.prefill
        beside = None if random else self.understudy
        if beside is not None:
            beside.refresh()
            self._learn(1)
        finished = self.source.collect(None if random else beside or self.agent.player, train.train_every)
        self.step += train.train_every
        if finished:
            self.logger.write("episode", self.step, finished)
        if self.step < self.source.prefill:
            return
        if beside is None:
            self._learn(train.pretrain if random else 1)
        self.progress(self.step, self.latest)

    def _learn(self, updates: int) -> None:
        for _ in range(updates):
            for name, value in self.agent.update(next(self.batches)).items():
                self.window[name].append(value)
            self.pace.keep()

    def _log(self) -> None:
        """Writes the mean of every metric since the last line, and what the balancer's weights would settle at."""
        if not self.window:
            return
        stacked = {name: torch.stack(values) for name, values in self.window.items()}
        means = {name: _finite_mean(values) for name, values in stacked.items()}
        # Extremes of weights are a finding of their own (D.2), which means would hide; counts go on from the start.
        for name, values in stacked.items():
            if name.startswith("weight/"):
                means |= {f"weight_min/{name[7:]}": float(values.min()), f"weight_max/{name[7:]}": float(values.max())}
            elif name.startswith("balancer/"):
                means[name] = float(values[-1])
            elif name.startswith("skipped/"):
                means[name] = float(values.sum())
        means |= self._analytic({name: means[f"loss/{name}"] for name in self.agent.balancer.names})
        self.logger.write("train", self.step, means | {"updates": self.agent.updates})
        self._check_finite(stacked)
        self.window.clear()

    def _analytic(self, losses: dict[str, float]) -> dict[str, float]:
        """Where the balancer's weights would settle; NaN where they would nowhere, as at a loss of nothing."""
        fit = all(0 < loss < math.inf for loss in losses.values())
        found = self.agent.balancer.analytic_weights(losses if fit else dict.fromkeys(losses, 1.0))
        return {f"analytic_weight/{name}": weight if fit else math.nan for name, weight in found.items()}

    def _check_finite(self, window: Mapping[str, torch.Tensor]) -> None:
        """Raises DivergedError, naming the loss, if too many updates in a row have been left out.

        The weights are those from before them: an update that is not finite changes nothing.
        """
        for name, optimizer in self.agent.optimizers.items():
            if optimizer.skipped < SKIPPED_IN_A_ROW:
                continue
            bad = [key[5:] for key, values in window.items() if key.startswith("loss/") and not values[-1].isfinite()]
            what = f"{bad[0]} loss" if bad else f"gradient of the {name}"
            raise DivergedError(
                f"{self.folder}: the {what} was not finite in {int(optimizer.skipped)} updates in a row, up to step "
                f"{self.step}; the last checkpoint holds the weights from before"
            )

    def _evaluate(self, last: bool) -> None:
        seed = EVAL_SEED + self.step
        values = policy_episodes(self.agent, self.source.eval_envs(), seed)
        if self.source.heldout is not None:
            values |= self._evaluate_dreams(self.source.heldout, seed, last)
        self.latest = values
        self.logger.write("eval", self.step, values)
        self.progress(self.step, values)

    def _evaluate_dreams(self, heldout: Replay, seed: int, last: bool) -> dict[str, float]:
        config = self.config.eval
        windows = config.final_windows if last else config.windows
        dreams = heldout_dreams(self.agent, heldout, config, windows, seed)
        if last:
            found = io.BytesIO()
            np.savez(found, **vars(dreams))
            write_atomically(self.folder / "heldout.npz", found.getvalue())
        return dreams.summary()

    def _save(self) -> None:
        checkpoint.save(self.folder, state_of(self))
        run_folder.record(self.folder, {"checkpoints": "yes"})  # to start over is one thing, to have lost them another
        self._wants_checkpoint, self._saved = False, self.step

    def wall(self) -> float:
        """Seconds that the run has taken, in all its processes."""
        return self.wall_seconds + time.monotonic() - self._since


def _finite_mean(values: torch.Tensor) -> float:
    """Mean of the finite values; NaN if there is none."""
    return float(values[values.isfinite()].mean())


def due(step: int, every: int, stride: int) -> bool:
    """Whether a clock that moves by ``stride`` has just passed a multiple of ``every`` (0 counts)."""
    return step % every < stride
