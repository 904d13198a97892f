"""Environments under one interface: ``make(task)`` and ``tasks()``. Importing this does not import mujoco."""

from hdream_core.envs.registry import UnknownTaskError, make, tasks

__all__ = ["UnknownTaskError", "make", "tasks"]
