"""Saves a Meta-world task's whole state as one float64 vector, and restores it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hdream_core.envs.opengl import load_mujoco

mujoco = load_mujoco()

_INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION
# Arrays of the model that resets change; a test over all tasks checks that the list is complete.
_MODEL_ARRAYS = ("body_pos", "site_pos")
# Arrays of the simulation of which tasks keep views. Such attributes change with the simulation, so none is saved.
_DATA_ARRAYS = ("xpos", "xquat", "xmat", "geom_xpos", "geom_xmat", "site_xpos", "site_xmat", "qpos", "qvel")
# Attributes of gymnasium and of Meta-world's own renderer, which nothing in an episode changes.
_CONSTANT = frozenset("width height render_mode camera_name camera_id spec frame_skip _np_random_seed".split())


class _Slot(NamedTuple):
    """Holds the position of one attribute in the vector, and its type."""

    name: str
    kind: type
    shape: tuple[int, ...]
    dtype: np.dtype
    part: slice


class TaskState:
    """Saves and restores one task: integration state, then the model's arrays that resets change, then attributes.

    One reset and one step at construction create all attributes and so the layout, which is the same for all instances
    of a task. None is stored as NaN.
    """

    def __init__(self, task: Any) -> None:
        self._task = task
        self._physics_size = mujoco.mj_stateSize(task.model, _INTEGRATION)
        self._pristine = self._simulation()
        self._pristine_attributes = {name: _copied(value) for name, value in self._attributes().items()}
        self._slots = self._find_slots()
        # ``save`` skips these: attributes with a slot, and those that are not numeric.
        not_numeric = (name for name, value in vars(task).items() if not _is_numeric(value))
        self._checked = _CONSTANT.union(not_numeric, (slot.name for slot in self._slots))
        self.size = self._slots[-1].part.stop
        self.restore_pristine()

    def save(self) -> np.ndarray:
        """Returns the state, float64 ``(size,)``."""
        vector = np.empty(self.size)
        vector[: len(self._pristine)] = self._simulation()
        attributes = vars(self._task)
        new = [name for name in attributes.keys() - self._checked if self._is_state(attributes[name])]
        if new:
            raise RuntimeError(f"{type(self._task).__name__}: a saved state has no slot for {new}")
        for slot in self._slots:
            value = attributes[slot.name]
            vector[slot.part] = np.nan if value is None else np.ravel(value)
        return vector

    def restore(self, vector: np.ndarray) -> None:
        """Restores a saved state, float64 ``(size,)``."""
        self._set_simulation(vector[: len(self._pristine)])
        for slot in self._slots:
            setattr(self._task, slot.name, _decoded(slot, vector[slot.part]))

    def restore_pristine(self) -> None:
        """Restores the state at construction, so that a reset cannot depend on earlier episodes."""
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
        """Returns the task's numbers, numeric arrays and Nones by name, without views of the simulation."""
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
            array = np.asarray(0.0 if value is None else value)  # an attribute that is None now becomes a number later
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
