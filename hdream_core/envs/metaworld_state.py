"""A Meta-world task's whole state as one vector of doubles."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hdream_core.envs.opengl import load_mujoco

mujoco = load_mujoco()

_INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION
# What resets move in the model itself; a test over all tasks holds this list complete.
_MODEL_ARRAYS = ("body_pos", "site_pos")
# Arrays of the simulation of which tasks keep views: such an attribute follows the simulation by itself.
_DATA_ARRAYS = ("xpos", "xquat", "xmat", "geom_xpos", "geom_xmat", "site_xpos", "site_xmat", "qpos", "qvel")
# Attributes of gymnasium and of Meta-world's own renderer, which nothing in an episode changes.
_CONSTANT = frozenset("width height render_mode camera_name camera_id spec frame_skip _np_random_seed".split())


class _Slot(NamedTuple):
    """Where in the vector one attribute lies, and what to make of it."""

    name: str
    kind: type
    shape: tuple[int, ...]
    dtype: np.dtype
    part: slice


class TaskState:
    """Saves and restores one task: integration state, then the model's moved arrays, then attributes.

    The layout is found by trying one reset and one step, which bring all attributes into being, and is the
    same for all instances of a task. None is stored as NaN.
    """

    def __init__(self, task: Any) -> None:
        self._task = task
        self._physics_size = mujoco.mj_stateSize(task.model, _INTEGRATION)
        self._pristine = self._simulation()
        self._pristine_attributes = {name: _copied(value) for name, value in self._attributes().items()}
        self._slots = self._find_slots()
        # Neither of these needs a look again: what is in a slot, and what is no number at all.
        others = (name for name, value in vars(task).items() if not _is_numeric(value))
        self._named = _CONSTANT.union(others, (slot.name for slot in self._slots))
        self.size = self._slots[-1].part.stop
        self.restore_pristine()

    def save(self) -> np.ndarray:
        """The state, float64 ``(size,)``."""
        vector = np.empty(self.size)
        vector[: len(self._pristine)] = self._simulation()
        attributes = vars(self._task)
        strange = [name for name in attributes.keys() - self._named if self._is_state(attributes[name])]
        if strange:
            raise RuntimeError(f"{type(self._task).__name__}: no room in a saved state for {strange}")
        for slot in self._slots:
            value = attributes[slot.name]
            vector[slot.part] = np.nan if value is None else np.ravel(value)
        return vector

    def restore(self, vector: np.ndarray) -> None:
        """Bring the task to a saved state, float64 ``(size,)``."""
        self._set_simulation(vector[: len(self._pristine)])
        for slot in self._slots:
            setattr(self._task, slot.name, _decoded(slot, vector[slot.part]))

    def restore_pristine(self) -> None:
        """Bring the task to how it was constructed, so that a reset cannot depend on what went before."""
        self._set_simulation(self._pristine)
        for name, value in self._pristine_attributes.items():
            setattr(self._task, name, _copied(value))

    def _simulation(self) -> np.ndarray:
        physics = np.empty(self._physics_size)
        mujoco.mj_getState(self._task.model, self._task.data, physics, _INTEGRATION)
        return np.concatenate([physics, *(getattr(self._task.model, name).ravel() for name in _MODEL_ARRAYS)])

    def _set_simulation(self, vector: np.ndarray) -> None:
        model, data = self._task.model, self._task.data
        start = self._physics_size
        for name in _MODEL_ARRAYS:
            array = getattr(model, name)
            array[:] = vector[start : start + array.size].reshape(array.shape)
            start += array.size
        physics = np.ascontiguousarray(vector[: self._physics_size])
        mujoco.mj_setState(model, data, physics, _INTEGRATION)
        mujoco.mj_forward(model, data)
        # The forward pass may replace the solver's warm start, from which the next step begins.
        mujoco.mj_setState(model, data, physics, _INTEGRATION)

    def _attributes(self) -> dict[str, Any]:
        """The task's numbers, arrays of numbers and Nones, by name, less views of the simulation."""
        return {
            name: value
            for name, value in sorted(vars(self._task).items())
            if name not in _CONSTANT and self._is_state(value)
        }

    def _is_state(self, value: Any) -> bool:
        if not isinstance(value, np.ndarray):
            return _is_numeric(value)
        views = (np.may_share_memory(value, getattr(self._task.data, name)) for name in _DATA_ARRAYS)
        return _is_numeric(value) and not any(views)

    def _find_slots(self) -> tuple[_Slot, ...]:
        task = self._task
        task.np_random = np.random.default_rng(0)
        task._freeze_rand_vec = False
        task.reset()
        task.step(np.zeros(4, np.float32))
        slots, start = [], len(self._pristine)
        for name, value in self._attributes().items():
            array = np.asarray(0.0 if value is None else value)  # what is None now becomes a number later
            slots.append(_Slot(name, type(value), array.shape, array.dtype, slice(start, start + array.size)))
            start += array.size
        return tuple(slots)


def _is_numeric(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return value is None or isinstance(value, bool | int | float | np.generic)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _decoded(slot: _Slot, numbers: np.ndarray) -> Any:
    if np.isnan(numbers).all():
        return None
    if slot.kind is np.ndarray:
        return numbers.reshape(slot.shape).astype(slot.dtype)
    return float(numbers[0]) if slot.kind is type(None) else slot.kind(numbers[0])
