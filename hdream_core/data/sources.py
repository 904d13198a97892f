"""Sources of a trainer's data: an environment to play in, or a fixed buffer. The loop uses both in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from gymnasium.vector import AsyncVectorEnv, VectorEnv

from hdream_core import envs
from hdream_core.agent import Player, replay_module
from hdream_core.config.fields import Config
from hdream_core.data.collector import Collector, store_fields
from hdream_core.data.environments import check_buffer, check_spec, env_options, make_env
from hdream_core.data.minari_layout import read_metadata
from hdream_core.data.offline import open_buffer
from hdream_core.data.replay import Replay, split_episodes
from hdream_core.data.store import EpisodeStore
from hdream_core.envs.vector import make_episodes
from hdream_core.spec import Spec
from hdream_core.support.errors import ConfigError
from hdream_core.support.precision import pick_device
from hdream_core.support.processes import cores

EVAL_SEED = 1_000_000  # added to a run's seed for its evaluation environments; no training episode has such a seed


class DataSource(Protocol):
    """Provides the trainer's data.

    Attributes:
        spec: spec of the environment that the data come from.
        fixed: whether all data exist at the start (offline).
        replay: replay that batches are drawn from.
        heldout: episodes that are never trained on.
        facts: look of the frames and hash of the buffer, which must be the same when a run resumes.
    """

    spec: Spec
    fixed: bool
    replay: Replay
    heldout: Replay | None
    facts: dict[str, str]

    @property
    def between_episodes(self) -> bool:
        """Tells whether ``position`` is all that needs saving."""

    def collect(self, player: Player | None, env_steps: int) -> tuple[int, list[dict[str, float]]]:
        """Gathers experience; returns the environment steps for the clock, and metrics of the episodes that ended."""

    def position(self) -> np.ndarray:
        """Returns what a checkpoint saves of the replay."""

    def rewind(self, position: np.ndarray) -> None:
        """Restores a saved position."""

    def eval_envs(self) -> VectorEnv:
        """Returns the environments for evaluation; makes them at the first call."""

    def close(self) -> None:
        """Ends the processes that were started."""


class _EvalEnvs:
    """Makes evaluation environments when they are needed. Their frames look like the training data's."""

    def __init__(self, config: Config, look: Mapping[str, str]):
        self.config, self.look = config, dict(look)
        self.facts: dict[str, str] = dict(look)
        self._envs: VectorEnv | None = None

    def eval_envs(self) -> VectorEnv:
        """Returns the environments that play the evaluation's episodes, ``eval.at_once`` of them side by side."""
        if self._envs is None:
            config = self.config.eval
            gpu = pick_device(self.config.train.device).type == "cuda"
            several = min(config.at_once or config.episodes, config.episodes)
            processes = gpu and cores() > several > 1 if config.processes is None else config.processes
            options = env_options(self.config, self.look)
            seed = EVAL_SEED + self.config.seed
            self._envs = make_episodes(self.config.task, several, processes, seed=seed, **options)
        return self._envs

    def close(self) -> None:
        """Ends the processes of the environments."""
        if self._envs is not None:
            self._envs.close(**({"terminate": True} if isinstance(self._envs, AsyncVectorEnv) else {}))
            self._envs = None


class Online(_EvalEnvs):
    """Gathers experience by playing in an environment, and stores it in ``<run>/replay``."""

    fixed, heldout = False, None

    def __init__(self, config: Config, folder: Path, rng: np.random.Generator):
        env, train = make_env(config, config.seed), config.train
        super().__init__(config, env.look)
        self.spec = Spec.of(env)
        longest = -(-self.spec.time_limit // self.spec.action_repeat) + 1  # rows of an episode
        if not self.spec.terminates:
            if train.windows == "episode":
                check_windows(config, longest)
            if self.spec.time_limit > _clock_end(config):
                raise ConfigError(
                    f"train.steps is {train.steps}, but an episode of {config.task} takes {self.spec.time_limit} "
                    "steps, so nothing would be learned"
                )
        if train.windows == "stream" and train.capacity < train.length + longest:
            raise ConfigError(
                f"train.capacity is {train.capacity}; windows that cross episodes need {train.length + longest} or "
                "more: a window and the longest episode"
            )
        self.store = EpisodeStore(folder / "replay", store_fields(env))
        self.collector = Collector(env, self.store, rng)
        self.replay = make_replay(config, self.store, None, train.capacity)

    @property
    def between_episodes(self) -> bool:
        """Tells whether no episode is in progress."""
        return self.collector.between_episodes

    def collect(self, player: Player | None, env_steps: int) -> tuple[int, list[dict[str, float]]]:
        """Plays; see ``Collector.collect``."""
        return self.collector.collect(player, env_steps)

    def position(self) -> np.ndarray:
        """Returns the list of episodes, ``EpisodeStore.position``."""
        return self.store.position()

    def rewind(self, position: np.ndarray) -> None:
        """Removes the episodes that were added after a saved position."""
        self.store.rewind(position)


class Offline(_EvalEnvs):
    """Reads a fixed buffer; the clock advances and the data stay."""

    fixed, between_episodes = True, True

    def __init__(self, config: Config):
        buffer = open_buffer(config.offline_buffer or "")
        check_buffer(config, buffer.facts | {"size": buffer.spec.image[0]})
        super().__init__(config, buffer.look)
        self.facts["buffer_sha256"] = buffer.facts["sha256"]
        self.store, self.spec, train = buffer.store, buffer.spec, config.train
        check_spec(self.spec, make_env(config, config.seed, self.look), str(config.offline_buffer))
        if self.store.episodes < 2:
            raise ConfigError(f"{config.offline_buffer}: has one episode; training needs two, one of them held out")
        training, heldout = split_episodes(self.store.episodes, config.eval.heldout_fraction)
        lengths = np.asarray(self.store.lengths)
        rows = lengths[training].sum() if train.windows == "stream" else lengths[training].max()
        check_windows(config, int(rows), int(lengths[heldout].max()))
        self.replay = make_replay(config, self.store, training, None)
        self.heldout = Replay(self.store, heldout)

    def collect(self, player: Player | None, env_steps: int) -> tuple[int, list[dict[str, float]]]:
        """Gathers nothing; the clock advances by ``env_steps``."""
        return env_steps, []

    def position(self) -> np.ndarray:
        """Returns nothing: the buffer does not change."""
        return np.zeros((0, 2), np.int64)

    def rewind(self, position: np.ndarray) -> None:
        """Does nothing: the buffer does not change."""


def make_replay(config: Config, store: EpisodeStore, episodes: np.ndarray | None, capacity: int | None) -> Replay:
    """Makes the replay that a run's batches are drawn from: the agent's own kind, if it has one."""
    train, module = config.train, replay_module(config.agent.name)
    if module is not None:
        return module.REPLAY(config, store, episodes, capacity)
    running = train.windows == "stream" and train.running and not config.offline_buffer
    return Replay(store, episodes, capacity, train.oversample_ends, train.windows, running)


def check_windows(config: Config, rows: int, heldout_rows: int | None = None) -> None:
    """Raises ConfigError if training or held-out windows do not fit.

    Args:
        config: config of the run.
        rows: rows of the longest sequence that a training window is taken from.
        heldout_rows: rows of the longest held-out episode; offline only.
    """
    kind = "episode" if heldout_rows is None else "training episode"
    fits = {"train.length": (config.train.length, kind, rows)}
    if heldout_rows is not None:
        heldout_length = config.eval.context + config.eval.horizon
        fits["eval.context + eval.horizon"] = heldout_length, "held-out episode", heldout_rows
    for name, (length, kind, longest) in fits.items():
        if length > longest:
            raise ConfigError(f"{name} is {length}, but the longest {kind} of {config.task} here has {longest} frames")


def check_source(config: Config) -> None:
    """Checks a config's task, buffer, prefill and device before anything is made for it; raises UserError."""
    envs.find(config.task)
    train = config.train
    if config.offline_buffer:
        check_buffer(config, read_metadata(Path(config.offline_buffer))["hdream"])
    elif train.prefill > _clock_end(config):
        raise ConfigError(
            f"train.prefill is {train.prefill}, but the run ends at step {train.steps}, so nothing would be learned"
        )
    pick_device(train.device)


def _clock_end(config: Config) -> int:
    """Returns the earliest step at which a run's clock can end: a multiple of ``train_every``."""
    return -(-config.train.steps // config.train.train_every) * config.train.train_every


def make_source(config: Config, folder: Path, rng: np.random.Generator) -> DataSource:
    """Opens the fixed buffer that the config names, or else makes its task's environment."""
    return Offline(config) if config.offline_buffer else Online(config, folder, rng)
