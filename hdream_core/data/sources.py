"""Where a trainer's data comes from: an environment it plays in, or a fixed buffer. The loop sees one interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gymnasium.vector import AsyncVectorEnv, VectorEnv

from hdream_core import envs
from hdream_core.config.check import check_windows
from hdream_core.config.fields import Config
from hdream_core.data.collector import Collector, store_fields
from hdream_core.data.minari_layout import read_metadata
from hdream_core.data.offline import open_buffer
from hdream_core.data.replay import Replay, split_episodes
from hdream_core.data.store import EpisodeStore
from hdream_core.dreamerv2.player import Player
from hdream_core.envs import registry
from hdream_core.envs.vector import make_episodes
from hdream_core.support.errors import ConfigError
from hdream_core.support.precision import pick_device
from hdream_core.support.processes import cores

EVAL_SEED = 1_000_000  # added to a run's seed for its evaluation environments: no training episode has such a seed

LOOKS = {"render": ("fast", "paper"), "camera": ("corner", "corner2")}  # that environments are asked for


class Source(Protocol):
    """What the trainer asks of its data."""

    image_size: int
    action: int
    prefill: int  # environment steps of random actions before the first update
    replay: Replay
    heldout: Replay | None  # episodes that are never trained on
    facts: dict[str, str]  # render quality, camera, hash of the buffer: what a run must keep to when it resumes

    @property
    def between_episodes(self) -> bool:
        """Whether nothing needs saving but ``position``."""

    def collect(self, player: Player | None, env_steps: int) -> dict[str, float] | None:
        """Gathers experience; facts about an episode if one ended."""

    def position(self) -> np.ndarray:
        """What a checkpoint saves of the replay."""

    def rewind(self, position: np.ndarray) -> None:
        """Goes back to a saved position."""

    def eval_envs(self) -> VectorEnv:
        """Environments for evaluation, made when first asked for."""

    def close(self) -> None:
        """Ends the processes that it has started."""


class _EvalEnvs:
    """Lazily made evaluation environments, shared by both sources; their frames are as the training data's."""

    def __init__(self, config: Config, render: str, camera: str):
        self.config = config
        self.facts = {"render": render, "camera": camera}
        self._envs: VectorEnv | None = None

    def eval_envs(self) -> VectorEnv:
        if self._envs is None:
            config = self.config.eval
            gpu = pick_device().type == "cuda"
            processes = gpu and cores() > config.episodes > 1 if config.processes is None else config.processes
            look = {"render": self.facts["render"], "camera": self.config.env.camera}
            seed = EVAL_SEED + self.config.seed
            self._envs = make_episodes(self.config.task, config.episodes, processes, seed=seed, **look)
        return self._envs

    def close(self) -> None:
        if self._envs is not None:
            self._envs.close(**({"terminate": True} if isinstance(self._envs, AsyncVectorEnv) else {}))
            self._envs = None


class Online(_EvalEnvs):
    """Experience from an environment, kept in ``<run>/replay``."""

    heldout = None

    def __init__(self, config: Config, folder: Path, rng: np.random.Generator):
        env = make_env(config, config.seed, config.env.render)
        super().__init__(config, env.render_quality, env.camera)
        check_windows(config, env.time_limit // env.action_repeat + 1)
        self.image_size, self.action = env.observation_space["image"].shape[0], env.action_space.shape[0]
        self.prefill = config.train.prefill
        self.store = EpisodeStore(folder / "replay", store_fields(env))
        self.collector = Collector(env, self.store, rng)
        self.replay = Replay(self.store, None, config.train.capacity, config.train.oversample_ends)
        if self.prefill < env.time_limit:
            raise ConfigError(
                f"train.prefill is {self.prefill}; it must hold one episode, {env.time_limit} steps or more"
            )

    @property
    def between_episodes(self) -> bool:
        return self.collector.between_episodes

    def collect(self, player: Player | None, env_steps: int) -> dict[str, float] | None:
        return self.collector.collect(player, env_steps)

    def position(self) -> np.ndarray:
        return self.store.position()

    def rewind(self, position: np.ndarray) -> None:
        self.store.rewind(position)


class Offline(_EvalEnvs):
    """A fixed buffer; the clock moves, the data do not."""

    between_episodes = True
    prefill = 0

    def __init__(self, config: Config):
        buffer = open_buffer(config.offline_buffer or "")
        check_buffer(config, buffer.facts)
        super().__init__(config, buffer.facts["render"], buffer.facts["camera"])
        self.facts["buffer_sha256"] = buffer.facts["sha256"]
        self.store = buffer.store
        image, action = (self.store.fields[name].shape for name in ("image", "action"))
        self.image_size, self.action = image[0], action[0]
        check_windows(config, max(self.store.lengths))
        if self.store.episodes < 2:
            raise ConfigError(f"{config.offline_buffer}: has one episode; training needs two, one of them held out")
        train, heldout = split_episodes(self.store.episodes, config.eval.heldout_fraction)
        self.replay = Replay(self.store, train, None, config.train.oversample_ends)
        self.heldout = Replay(self.store, heldout)

    def collect(self, player: Player | None, env_steps: int) -> None:
        return None

    def position(self) -> np.ndarray:
        return np.zeros((0, 2), np.int64)

    def rewind(self, position: np.ndarray) -> None:
        return None


def check_source(config: Config) -> None:
    """Raises what is wrong with a config's task, buffer or prefill, before anything is made for it."""
    registry.find(config.task)
    train = config.train
    if config.offline_buffer:
        check_buffer(config, read_metadata(Path(config.offline_buffer))["hdream"])
    elif train.prefill > -(-train.steps // train.train_every) * train.train_every:  # where the clock ends
        raise ConfigError(
            f"train.prefill is {train.prefill}, but the run ends at step {train.steps}, so nothing would be learned"
        )


def make_source(config: Config, folder: Path, rng: np.random.Generator) -> Source:
    """The fixed buffer that the config names, or else its task's environment."""
    return Offline(config) if config.offline_buffer else Online(config, folder, rng)


def make_env(config: Config, seed: int, render: str) -> Any:
    """An environment of the config's task and camera."""
    return envs.make(config.task, seed=seed, render=render, camera=config.env.camera)


def make_env_like(task: str, facts: Mapping[str, Any], seed: int) -> Any:
    """An environment whose frames look as a run's or a buffer's own facts say; the miniature has one look anyway.

    Args:
        task: of the environment.
        facts: with ``render`` and ``camera``, of ``runs.recorded`` or a buffer's metadata.
        seed: of its episodes.
    """
    look = {name: facts[name] for name, known in LOOKS.items() if facts.get(name) in known}
    return envs.make(task, seed=seed, **look)


def check_buffer(config: Config, facts: dict[str, Any]) -> None:
    """Refuses a buffer of another task, or frames rendered otherwise than evaluation would render them."""
    if facts["task"] != config.task:
        raise ConfigError(f"{config.offline_buffer}: holds {facts['task']}, but the run's task is {config.task}")
    wanted = {"camera": config.env.camera, "render": config.env.render}
    for name, value in wanted.items():
        if value != "auto" and facts[name] not in (value, "none", "numpy"):  # the miniature has one look
            raise ConfigError(
                f"{config.offline_buffer}: frames have {name} {facts[name]}, but the run asks for {value}; "
                f"set env.{name}={facts[name]}"
            )
