"""Runs the training loop: collect (online), update, evaluate, save. The clock counts environment steps, offline too."""

from __future__ import annotations

import io
import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hdream_core.agent import make_agent
from hdream_core.config.fields import Config
from hdream_core.data.prefetch import Prefetcher
from hdream_core.data.replay import Replay
from hdream_core.data.sources import EVAL_SEED, DataSource, make_source
from hdream_core.runs import checkpoint
from hdream_core.runs import folder as run_folder
from hdream_core.runs.async_player import AsyncPlayer
from hdream_core.runs.checkpoint import CheckpointError
from hdream_core.runs.evaluate import heldout_predictions, policy_episodes
from hdream_core.runs.gradients import gradient_norms
from hdream_core.runs.metrics import Metrics
from hdream_core.runs.update_metrics import UpdateMetrics, analytic_weights
from hdream_core.support.cuda_graph import Throttle, capture
from hdream_core.support.errors import ConfigError, Stopped, UserError
from hdream_core.support.files import write_atomically
from hdream_core.support.randomness import rng_state, set_rng_state

PLAY_SEED = 3_000_000  # added to a run's seed for an async player's actions; no other generator has such a seed
GRADIENT_BATCHES = 4  # that a measurement of gradients is a mean over
SKIPPED_IN_A_ROW = 100  # a run stops after so many successive updates that were not finite


class DivergedError(UserError, RuntimeError):
    """Reports losses that stay non-finite; the message is one line for the user."""


Progress = Callable[[int, Mapping[str, float]], None]


class Trainer:
    """Trains a run in a folder. Constructing it changes no file; ``run`` continues from the latest checkpoint.

    The folder receives ``metrics.jsonl``, ``checkpoint.pt`` and, when the run is complete, ``done``. An online run adds
    ``replay/``, an offline one ``heldout.npz`` with the last evaluation of every window.

    Args:
        config: config of the run.
        folder: folder of the run, with its ``config.json``.
        progress: called with the clock and the latest evaluation.
        stop: when set, the run saves itself as soon as it can and raises ``Stopped``. Its results do not change.
    """

    def __init__(
        self, config: Config, folder: Path, progress: Progress | None = None, stop: threading.Event | None = None
    ):
        self.config, self.folder, self.stop = config, folder, stop or threading.Event()
        self.progress = progress or (lambda step, latest: None)
        if config.train.threads:
            torch.set_num_threads(config.train.threads)
        # Each named generator is saved in the checkpoint. The model uses torch's own: for weights, latents, and actions
        # where no async player acts.
        torch.manual_seed(config.seed)
        self.env_rng, replay_rng = (np.random.default_rng([config.seed, i]) for i in range(2))
        self.source: DataSource = make_source(config, folder, self.env_rng)
        self.agent = make_agent(config, self.source.spec)
        device = self.agent.device
        self.update = capture(self.agent.update, device, self.agent.capturable)
        pin = device.type == "cuda"
        self.batches = Prefetcher(self.source.replay, replay_rng, config.train.batch, config.train.length, pin)
        self.throttle = Throttle(device)
        self.metrics = Metrics(folder, config.log.tensorboard)
        self.step, self.previous = 0, -1  # environment steps, now and where the latest stride began
        self.midway = False  # whether an episode has ended within a stride, whose rest is still to be played
        self.learning = self.source.fixed  # whether updates have begun
        self.due = 0  # updates that wait for the end of the episode
        self.window = UpdateMetrics()  # metrics of updates since the last line
        self.latest: dict[str, float] = {}
        self.before = run_folder.Seconds(0.0, 0.0)  # in earlier processes
        self._since = time.monotonic(), time.process_time()
        asynchronous = not self.source.fixed and self.agent.capturable and pin and config.train.updates == "steady"
        self.async_player = AsyncPlayer(self.agent.player, device, PLAY_SEED + config.seed) if asynchronous else None
        self._resumed, self._wants_checkpoint = False, False
        self._saved = -1  # step of the latest checkpoint

    def run(self) -> None:
        """Trains to ``config.train.steps``, or returns at once if the run is complete.

        Raises:
            Stopped: if asked to stop, after the run has saved itself.
            DivergedError: if losses stay non-finite.
            ConfigError: if the run ends before anything could be learned.
        """
        try:
            if not self._resumed:
                self.resume()
            self._run()
        finally:
            self.metrics.close()
            self.source.close()

    def _run(self) -> None:
        c = self.config
        while self.midway or self.step < c.train.steps:
            if not self.midway and self._passed(c.eval.every):
                self._evaluate(last=False)
            if not self.midway and c.log.gradients_every and self._passed(c.log.gradients_every):
                self._measure_gradients()
            self._advance()
            if not self.midway and self._passed(c.log.every):
                self._log()
            if self.stop.is_set() or (not self.midway and self._passed(c.log.checkpoint_every)):
                self._wants_checkpoint = True
            # Between episodes no state of the environment needs saving. Offline that is always so.
            if self._wants_checkpoint and self.source.between_episodes:
                self._save()
                if self.stop.is_set():
                    raise Stopped(f"{self.folder}: saved at step {self.step}")
        if not self.learning:
            raise ConfigError(
                f"{self.folder}: no window of {c.train.length} steps could be drawn in {self.step} steps, so nothing "
                "was learned; start another run, longer, with a shorter train.length, or with train.windows=stream"
            )
        # Every evaluation comes after the checkpoint of its step, so that a resumed run writes its line once.
        if self._saved != self.step:
            self._save()
        self._evaluate(last=True)
        if c.log.gradients_every:
            self._measure_gradients()
        run_folder.mark_done(self.folder, self.seconds())

    def _passed(self, every: int) -> bool:
        """Tells whether the clock's last stride reached a multiple of ``every`` (0 counts)."""
        return self.step // every > self.previous // every

    def _advance(self) -> None:
        """Advances the clock to the next multiple of ``train_every``, or just beyond: collects steps, then updates.

        With ``train.updates=episode``, updates wait for the end of the episode, or of the run. A stride is left midway
        where an episode ends, so that a run can be saved there; the next call ends it. On a GPU the update is queued
        first and runs while the environment is played with the weights from before it. So either order plays with the
        same weights. It differs in one thing: a new episode is sampled one update later.
        """
        train, learning = self.config.train, self.learning
        asynchronous = self.async_player if learning else None
        begun, resumed = (self.previous, True) if self.midway else (self.step, False)
        if asynchronous is not None and not resumed:
            asynchronous.refresh()
            self._learn(1)
        player = (asynchronous or self.agent.player) if learning else None
        wanted = train.train_every - self.step % train.train_every
        played, episodes = self.source.collect(player, wanted)
        self.previous, self.step, self.midway = begun, self.step + played, played < wanted
        for episode in episodes:
            self.metrics.write("episode", self.step, episode)
        ended = self.source.between_episodes or self.step >= train.steps
        now = ended if train.updates == "episode" else not self.midway
        if learning:
            self.due += asynchronous is None and not self.midway
        elif now and self.step >= train.prefill and self.source.replay.can_sample(train.length):
            self.learning, self.due = True, train.pretrain
        if now:
            self._learn(self.due)
            self.due = 0  # so at every checkpoint, which is why none holds it
        if not self.midway:
            self.progress(self.step, self.latest)

    def _learn(self, updates: int) -> None:
        for done in range(updates):
            metrics = dict(self.update(next(self.batches)))
            self.batches.learned(metrics.pop("priority", None))
            self.window.add(metrics)
            self.throttle.wait()
            if updates > 1:  # during which the clock stands still
                self.progress(self.step, {"learned": (done + 1) / updates})

    def _log(self) -> None:
        """Writes the metrics since the last line; raises DivergedError if too many updates in a row were skipped."""
        if not self.window:
            return
        means = self.window.means()
        means |= analytic_weights(self.agent.balancer, means)
        self.metrics.write("train", self.step, means | {"updates": self.agent.updates})
        for part, count in self.window.close().items():
            if count >= SKIPPED_IN_A_ROW:
                quantity = self.window.not_finite or f"gradient of the {part}"
                raise DivergedError(
                    f"{self.folder}: the {quantity} was not finite in {count} updates in a row, up to step "
                    f"{self.step}; the last checkpoint holds the weights from before"
                )

    def _evaluate(self, last: bool) -> None:
        seed = EVAL_SEED + self.step
        values = policy_episodes(self.agent, self.source.eval_envs(), seed, self.config.eval.episodes)
        if self.source.heldout is not None:
            values |= self._evaluate_predictions(self.source.heldout, seed, last)
        self.latest = values
        self.metrics.write("eval", self.step, values)
        self.progress(self.step, values)

    def _evaluate_predictions(self, heldout: Replay, seed: int, last: bool) -> dict[str, float]:
        config = self.config.eval
        windows = config.final_windows if last else config.windows
        predictions = heldout_predictions(self.agent, heldout, config, windows, seed)
        if last:
            data = io.BytesIO()
            np.savez(data, **vars(predictions))
            write_atomically(self.folder / "heldout.npz", data.getvalue())
        return predictions.summary()

    def _measure_gradients(self) -> None:
        """Writes the gradient norm of every loss at the shared parameters, a mean over batches of their own."""
        if not self.learning:
            return
        train, rng = self.config.train, np.random.default_rng([self.config.seed, 2, self.step])
        batches = [self.source.replay.sample(rng, train.batch, train.length) for _ in range(GRADIENT_BATCHES)]
        norms = [gradient_norms(self.agent, batch, seed) for seed, batch in enumerate(batches)]
        means = {f"gradient_curve/{name}": float(np.mean([norm[name] for norm in norms])) for name in norms[0]}
        self.metrics.write("gradients", self.step, means)

    def _save(self) -> None:
        checkpoint.save(self.folder, self.state_dict())
        run_folder.add_provenance(self.folder, {"checkpoints": "yes"})  # so that missing checkpoints are noticed
        self._wants_checkpoint, self._saved = False, self.step

    def state_dict(self) -> dict[str, Any]:
        """Returns the state that the run needs to continue, between two steps, as if never interrupted."""
        return self.agent.training_state() | {
            "step": self.step,
            "previous_step": self.previous,
            "midway": self.midway,
            "metrics": self.metrics.position(),
            "latest": self.latest,
            **{f"{kind}_seconds": value for kind, value in self.seconds()._asdict().items()},
            **self.window.state_dict(),
            "episodes": torch.from_numpy(self.source.position()),
            "rngs": {"env": rng_state(self.env_rng), "replay": self.batches.state_dict()},
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
            "player_rng": self.async_player.state_dict() if self.async_player else None,
        }

    def resume(self) -> None:
        """Restores the latest checkpoint in the folder, exactly on a CPU, or starts the run if there is none.

        Raises:
            ConfigError: if the run started with other frames or another buffer.
            CheckpointError: if checkpoints are missing, or do not fit this run; nothing is lost then.
        """
        run_folder.add_provenance(self.folder, self.source.facts)
        run_folder.write_spec(self.folder, self.source.spec)
        state = checkpoint.load_run(self.folder, mend=True)
        if state is not None:
            with checkpoint.restoring(self.folder):
                self.load_state_dict(state)
                episodes, metrics = state["episodes"].cpu().numpy(), int(state["metrics"])
            # Removing rows and lines from after the checkpoint comes last, when no error can follow.
            self.source.rewind(episodes)
            with checkpoint.restoring(self.folder):
                self.batches.load_state_dict(state["rngs"]["replay"])
            self.metrics.rewind(metrics)
        elif run_folder.read_provenance(self.folder).get("checkpoints") == "yes":
            raise CheckpointError(f"{self.folder}: its checkpoints are gone; delete the folder to start over")
        else:
            self.metrics.rewind(0)
        self._resumed = True

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores everything in memory except the next batch; files stay as they are."""
        self.agent.load_training_state(state)
        # The optimisers' moments have new addresses, so the graph is captured again.
        self.update = capture(self.agent.update, self.agent.device, self.agent.capturable)
        train, self.step = self.config.train, int(state["step"])
        if not 0 <= self.step < train.steps + train.train_every + self.source.spec.action_repeat:
            raise ValueError(f"it is of step {self.step}")
        self.previous = int(state.get("previous_step", self.step - train.train_every))
        self.midway = bool(state.get("midway", False))
        self.before = run_folder.Seconds(float(state["wall_seconds"]), float(state.get("cpu_seconds", math.nan)))
        self.learning = self.source.fixed or self.agent.updates > 0
        self.latest = {str(name): float(value) for name, value in state["latest"].items()}
        self.window.load_state_dict(state, self.agent.device)
        set_rng_state(self.env_rng, state["rngs"]["env"])
        torch.set_rng_state(state["torch_rng"].cpu())
        if torch.cuda.is_available():
            if state["cuda_rng"] is not None:
                torch.cuda.set_rng_state(state["cuda_rng"].cpu())
            else:  # saved without a GPU: do not repeat the noise of the run's start
                torch.cuda.manual_seed(self.config.seed + self.step)
        player_rng = state.get("player_rng", state.get("understudy_rng"))
        if self.async_player and player_rng is not None:
            self.async_player.load_state_dict(player_rng)
            self.async_player.refresh()

    def seconds(self) -> run_folder.Seconds:
        """Returns what the run has taken, in all its processes."""
        now = time.monotonic(), time.process_time()
        took = (old + end - begin for old, end, begin in zip(self.before, now, self._since, strict=True))
        return run_folder.Seconds(*took)
