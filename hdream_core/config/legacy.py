"""Migrates configs that earlier versions wrote to the current form.

Before schema 2 there was one agent and one kind of environment. ``model`` and ``behavior`` were at the top level, and
``env`` named no suite.
"""

from __future__ import annotations

from typing import Any

from hdream_core.envs import registry
from hdream_core.spec import ActionSpec, Spec
from hdream_core.support.errors import ConfigError

_MOVED = ("model", "behavior")
_SPECS = {
    "metaworld": Spec((64, 64, 3), ActionSpec("continuous", 4), 500),
    "miniature": Spec((32, 32, 3), ActionSpec("continuous", 2), 50),
}


def current_name(name: str) -> str:
    """Returns the current name of a setting: the earlier ``model.depth`` is now ``agent.model.depth``."""
    return f"agent.{name}" if name.partition(".")[0] in _MOVED else name


def migrate(data: dict[str, Any]) -> dict[str, Any]:
    """Returns the nested values of a config in the current form; unchanged if they already are."""
    if "agent" in data or not any(name in data for name in _MOVED):
        return data
    data = dict(data)
    agent: dict[str, Any] = {"name": "dreamerv2"}
    agent |= {name: data.pop(name) for name in _MOVED if name in data}
    suite = registry.find(data.get("task", "lever_pull"))
    settings = suite.settings.__dataclass_fields__
    env = {name: value for name, value in data.get("env", {}).items() if name in settings}
    balancer = dict(data.get("balancer", {}))
    if agent.get("model", {}).get("discount_head") and balancer.get("kind", "fixed") != "fixed":
        balancer["w_discount"] = None  # earlier versions balanced the discount loss like the others
    return data | {"agent": agent, "env": {"suite": suite.name} | env, "balancer": balancer}


def spec_of_task(task: str) -> Spec:
    """Returns the environment's spec for a run, buffer or export that is older than the field.

    Raises:
        ConfigError: if the task is newer than such files.
    """
    suite = registry.find(task).name
    if suite not in _SPECS:
        raise ConfigError(f"a file of {task} must contain the environment's description (spec), and this one does not")
    return _SPECS[suite]
