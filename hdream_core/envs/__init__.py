"""Environments under one interface: ``make(task)``, ``tasks()``, ``suites()``. Importing this loads no simulator."""

from hdream_core.envs.contract import Branchable, CapabilityError, Env, Located, Scripted, require
from hdream_core.envs.registry import UnknownTaskError, find, make, positions, suites, tasks

__all__ = [
    "Branchable",
    "CapabilityError",
    "Env",
    "Located",
    "Scripted",
    "UnknownTaskError",
    "find",
    "make",
    "positions",
    "require",
    "suites",
    "tasks",
]
