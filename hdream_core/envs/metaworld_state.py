"""A Meta-world environment's whole state as one vector of doubles."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hdream_core.envs.rendering import load_mujoco

mujoco = load_mujoco()

# What resets move in the model itself (a test over all tasks holds this list complete).
_MODEL_ARRAYS = ("body_pos", "body_quat", "site_pos")
_INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION
# Arrays of the simulation's data: an attribute that is a view of one follows the simulation by itself.
_DATA_ARRAYS = ("xpos", "xquat", "xmat", "geom_xpos", "geom_xmat", "site_xpos", "site_xmat", "qpos", "qvel")


class _Slot(NamedTuple):
    """Where one attribute lies in the vector, and how to make it again."""

    name: str
    kind: type
    shape: tuple[int, ...]
    dtype: np.dtype
    part: slice


class StateVector:
    """Saves and restores one environment: integration state, then the model's moved arrays, then attributes.

    The layout is found by trying one reset and one step, which bring all attributes of a task into being, and is the same
    for all instances of a task. None is stored as NaN.
    """

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._physics_size = mujoco.mj_stateSize(environment.model, _INTEGRATION)
        self._pristine = self._moved_by_simulation()
        self._pristine_attributes = {name: _copied(value) for name, value in self._attributes().items()}
        self._slots = self._find_layout()
        self.size = self._slots[-1].part.stop
        self.restore_pristine()

    def save(self) -> np.ndarray:
        """The state, float64 `(size,)`."""
        vector = np.empty(self.size)
        moved = self._moved_by_simulation()
        vector[: len(moved)] = moved
        attributes = self._attributes()
        if len(attributes) != len(self._slots):
            unknown = sorted(attributes.keys() ^ {slot.name for slot in self._slots})
            raise RuntimeError(f"{type(self._environment).__name__}: attributes not in the saved state: {unknown}")
        for slot in self._slots:
            value = attributes[slot.name]
            vector[slot.part] = np.nan if value is None else np.ravel(value)
        return vector

    def restore(self, vector: np.ndarray) -> None:
        """Bring the environment to a saved state."""
        vector = np.asarray(vector, np.float64)
        if vector.shape != (self.size,):
            raise ValueError(
                f"{type(self._environment).__name__}: a saved state has shape ({self.size},), got {vector.shape}"
            )
        self._move_simulation(vector[: self._slots[0].part.start])
        for slot in self._slots:
            setattr(self._environment, slot.name, _decoded(slot, vector[slot.part]))

    def restore_pristine(self) -> None:
        """Bring the environment to how it was constructed, so that a reset cannot depend on what went before."""
        self._move_simulation(self._pristine)
        for name, value in self._pristine_attributes.items():
            setattr(self._environment, name, _copied(value))

    def _moved_by_simulation(self) -> np.ndarray:
        physics = np.empty(self._physics_size)
        mujoco.mj_getState(self._environment.model, self._environment.data, physics, _INTEGRATION)
        return np.concatenate([physics, *(getattr(self._environment.model, n).ravel() for n in _MODEL_ARRAYS)])

    def _move_simulation(self, vector: np.ndarray) -> None:
        model, data = self._environment.model, self._environment.data
        start = self._physics_size
        for name in _MODEL_ARRAYS:
            array = getattr(model, name)
            array[:] = vector[start : start + array.size].reshape(array.shape)
            start += array.size
        physics = np.ascontiguousarray(vector[: self._physics_size])
        mujoco.mj_setState(model, data, physics, _INTEGRATION)
        mujoco.mj_forward(model, data)
        # The forward pass replaced the solver's warm start, which the next step begins from.
        mujoco.mj_setState(model, data, physics, _INTEGRATION)

    def _attributes(self) -> dict[str, Any]:
        """Numbers, arrays of numbers and Nones, less views of the simulation and what Meta-world never changes."""
        return {
            name: value
            for name, value in sorted(vars(self._environment).items())
            if name not in _CONSTANT and self._is_state(value)
        }

    def _is_state(self, value: Any) -> bool:
        if isinstance(value, np.ndarray):
            data = self._environment.data
            return value.dtype.kind in "biuf" and not any(
                np.may_share_memory(value, getattr(data, name)) for name in _DATA_ARRAYS
            )
        return value is None or isinstance(value, (bool, int, float, np.generic))

    def _find_layout(self) -> tuple[_Slot, ...]:
        environment = self._environment
        environment.np_random = np.random.default_rng(0)
        environment._freeze_rand_vec = False
        environment.reset()
        environment.step(np.zeros(4, np.float32))
        slots, start = [], len(self._pristine)
        for name, value in self._attributes().items():
            array = np.asarray(0.0 if value is None else value)  # what is None here is a number later
            slots.append(_Slot(name, type(value), array.shape, array.dtype, slice(start, start + array.size)))
            start += array.size
        return tuple(slots)


# Attributes of gymnasium and of drawing, which nothing in an episode changes.
_CONSTANT = frozenset(
    {"width", "height", "render_mode", "camera_name", "camera_id", "spec", "_np_random", "_np_random_seed", "frame_skip"}
)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _decoded(slot: _Slot, numbers: np.ndarray) -> Any:
    if slot.kind is np.ndarray:
        return None if np.isnan(numbers).all() else numbers.reshape(slot.shape).astype(slot.dtype)
    if np.isnan(numbers[0]):
        return None
    return float(numbers[0]) if slot.kind is type(None) else slot.kind(numbers[0])
