"""The 26 games of Atari 100K, with colour frames, seeded episodes and restorable states.

Importing this module loads no emulator: ale_py loads when the first game is made.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import gymnasium
import numpy as np
from pydantic import Field

from hdream_core.envs.suite import EnvConfig, FrameSize, Suite, whole_number
from hdream_core.support.settings import settings

GAMES = (
    *("alien", "amidar", "assault", "asterix", "bank_heist", "battle_zone", "boxing", "breakout", "chopper_command"),
    *("crazy_climber", "demon_attack", "freeway", "frostbite", "gopher", "hero", "james_bond", "kangaroo", "krull"),
    *("kung_fu_master", "ms_pacman", "pong", "private_eye", "qbert", "road_runner", "seaquest", "up_n_down"),
)
_ROMS = {"james_bond": "jamesbond"}  # where the emulator writes a name otherwise
NOOPS = 30  # an episode begins after 0 to 29 frames of doing nothing
LIMIT, LIMITS = 108_000, {"atari_chopper_command": 5400}  # frames: of every game but those listed
SCREEN = 210, 160
_HEAD = 6  # a saved state begins with seed, episode, frames, last action, frames of it to play again, and a length
_BYTES = 6  # of the emulator's state in one number, which float64 holds exactly
_NUMBERS = 1300  # that hold the emulator's state
_PLACES = 256 ** np.arange(_BYTES)


@settings
class AtariConfig(EnvConfig):
    """Settings of the Atari games. The defaults are those of the authors' released code."""

    suite: Literal["atari"] = "atari"
    """Suite of the task."""
    action_repeat: Annotated[int, Field(ge=2, le=100)] = 4
    """Frames that one action lasts; the picture is the maximum of the last two."""
    limit: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Frames after which an episode ends; 0: 108,000, and 5,400 in Chopper Command."""
    limit_is_terminal: bool = True
    """Whether the end by this limit counts as terminal, as in the authors' code. Gymnasium would call it truncated."""
    size: FrameSize = 64
    """Height and width of a frame in pixels."""


TASKS = tuple(f"atari_{game}" for game in GAMES)
SUITE = Suite(
    "atari", TASKS, AtariConfig, "hdream_core.envs.atari:Atari", extra="atari", usual_length=5000, scripted=False
)


class Atari(gymnasium.Env):
    """Plays one game: the game's own score as reward, not clipped; lives are not used.

    Observations: ``image``, uint8 ``(size, size, 3)``, averaged over areas of the screen; ``state``, float64
    ``(128,)``, the console's memory, 0 to 255. Actions: one-hot vectors over the game's minimal set. Episode k depends
    on ``(seed, k)`` alone: they decide how many frames of doing nothing it begins after. The games define no success,
    so ``success`` is always false.
    """

    render_mode = "rgb_array"
    terminates = True

    def __init__(
        self,
        task: str,
        *,
        seed: int = 0,
        action_repeat: int = 4,
        limit: int = 0,
        limit_is_terminal: bool = True,
        size: int = 64,
    ) -> None:
        """
        Args:
            task: one of ``SUITE.tasks``.
            seed: seed of the sequence of episodes, 0 or more.
            action_repeat, limit, limit_is_terminal, size: as in ``AtariConfig``.

        Raises:
            ValueError: if an option cannot be used, naming it.
        """
        AtariConfig(action_repeat=action_repeat, limit=limit, limit_is_terminal=limit_is_terminal, size=size)
        self.task, self.seed, self.episode = task, whole_number(seed, "seed"), -1
        self.action_repeat, self.limit_is_terminal = action_repeat, limit_is_terminal
        self.time_limit = limit or LIMITS.get(task, LIMIT)
        self.look = {"render": "none", "camera": "none"}
        self._ale = _emulator(task)
        self._actions = self._ale.getMinimalActionSet()
        self._areas = [_area_weights(pixels, size) for pixels in SCREEN]
        self._screens = np.zeros((2, *SCREEN, 3), np.uint8)  # the last one, and the one before
        self._before: list[Any] = []  # emulator's states before the last frames
        self._last_action, self._playing = 0, False
        self.frames = 0  # played in this episode
        self.observation_space = gymnasium.spaces.Dict(
            image=gymnasium.spaces.Box(0, 255, (size, size, 3), np.uint8),
            state=gymnasium.spaces.Box(0, 255, (self._ale.getRAMSize(),), np.float64),
        )
        self.action_space = gymnasium.spaces.Discrete(len(self._actions))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        """Begins the next episode; with ``seed``, episode 0 of it; with ``options={"episode": k}``, episode k."""
        super().reset(seed=seed)
        if seed is not None:
            self.seed, self.episode = whole_number(seed, "seed"), -1
        self.episode = whole_number(options["episode"], "episode") if options else self.episode + 1
        self._begin()
        return self._observe(), {"success": False}

    def _begin(self) -> None:
        rng = np.random.default_rng([self.seed, self.episode])
        self._ale.reset_game()
        for _ in range(int(rng.integers(NOOPS))):
            self._ale.act(0)
            if self._ale.game_over():
                self._ale.reset_game()
        self._ale.getScreenRGB(self._screens[0])
        self._screens[1] = 0  # the first picture is one screen
        self._before, self._last_action, self.frames, self._playing = [], 0, 0, True

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        """Plays an action, a one-hot vector, for ``action_repeat`` frames or to the end of the episode."""
        reward = self.advance(action)
        over, limit = self._ale.game_over(), self.frames >= self.time_limit
        terminated = over or (limit and self.limit_is_terminal)
        self._playing = not (over or limit)
        info = {"success": False, "env_steps": self._played}
        return self._observe(), reward, terminated, limit and not terminated, info

    def advance(self, action: np.ndarray) -> float:
        """Plays an action without drawing the observation; returns the reward of ``step``."""
        choice = self._choice(action)
        if not self._playing:
            raise RuntimeError(f"{self.task}: the episode is over or has not begun; call reset first")
        self._before, self._last_action, self._played = [], choice, 0
        reward = 0.0
        while self._played < self.action_repeat and self.frames < self.time_limit and not self._ale.game_over():
            self._before = [*self._before[-1:], self._ale.cloneState()]
            reward += self._frame()
            self._played += 1
            self.frames += 1
        return reward

    def _frame(self) -> float:
        """Plays a frame of the last action, and keeps its screen beside the one before."""
        reward = self._ale.act(self._actions[self._last_action])
        self._screens[1] = self._screens[0]
        self._ale.getScreenRGB(self._screens[0])
        return float(reward)

    def _choice(self, action: np.ndarray) -> int:
        action, count = np.asarray(action), len(self._actions)
        if action.shape != (count,) or not np.isfinite(action).all() or sorted(action)[-2:] != [0, 1]:
            raise ValueError(f"{self.task}: an action is a one-hot vector of {count} numbers, got {action!r:.80}")
        return int(action.argmax())

    def _observe(self) -> dict:
        return {"image": self.render_image(), "state": self._ale.getRAM().astype(np.float64)}

    def render_image(self, render: str | None = None) -> np.ndarray:
        """Draws the maximum of the last two screens, uint8 (size, size, 3); ``render`` is ignored."""
        screen = self._screens.max(0).astype(np.float32)
        rows, columns = self._areas
        return np.rint(np.einsum("ih,hwc,jw->ijc", rows, screen, columns, optimize=True)).astype(np.uint8)

    def save_state(self) -> np.ndarray:
        """Returns everything that the future depends on, float64 ``(1306,)``.

        It holds the emulator's state from before the last two frames, which are played again to draw the picture.
        """
        emulator = (self._before[0] if self._before else self._ale.cloneState()).serialize()
        head = [self.seed, self.episode, self.frames, self._last_action, len(self._before), len(emulator)]
        padded = np.frombuffer(emulator.ljust(_NUMBERS * _BYTES, b"\0"), np.uint8)
        return np.array([*head, *(padded.reshape(-1, _BYTES).astype(np.int64) @ _PLACES)], np.float64)

    def restore_state(self, state: np.ndarray) -> dict:
        """Restores a saved state, seed and episode included; returns its observation.

        Raises:
            ValueError: if it is no saved state of a game.
        """
        import ale_py

        state = np.asarray(state, np.float64)
        if state.shape != (shape := (_HEAD + _NUMBERS,)):
            raise ValueError(f"{self.task}: a saved state has shape {shape}, got {state.shape}")
        self.seed, self.episode, frames, action, again, length = (int(x) for x in state[:_HEAD])
        self._begin()
        if not again:
            return self._observe()
        digits = state[_HEAD:].astype(np.int64)[:, None] // _PLACES % 256
        self._ale.restoreState(ale_py.ALEState(digits.astype(np.uint8).tobytes()[:length]))
        self.frames, self._last_action, self._screens[:] = frames, action, 0
        for _ in range(again):
            self._before = [*self._before[-1:], self._ale.cloneState()]
            self._frame()
        self._playing = not (self._ale.game_over() or self.frames >= self.time_limit)
        return self._observe()


def _emulator(task: str) -> Any:
    """Loads a game. Without sticky actions it is deterministic."""
    import ale_py

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    game = task.removeprefix("atari_")
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)  # it has no effect once the game is loaded
    ale.loadROM(ale_py.roms.get_rom_path(_ROMS.get(game, game)))
    return ale


def _area_weights(pixels: int, size: int) -> np.ndarray:
    """Returns the weights ``(size, pixels)`` that average a line of ``pixels`` over ``size`` areas of equal length."""
    edges = np.arange(size + 1) * (pixels / size)
    left, right = np.arange(pixels), np.arange(1, pixels + 1)
    overlap = np.minimum(edges[1:, None], right) - np.maximum(edges[:-1, None], left)
    return (overlap.clip(min=0) * (size / pixels)).astype(np.float32)
