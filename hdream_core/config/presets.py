"""Defines the methods, and makes configs from presets and methods.

A preset is a size for a kind of machine; its tables are in the agent's package. A method is an agent with a way to
weigh its losses.
"""

from __future__ import annotations

from typing import Any

from hdream_core.config import agents, legacy
from hdream_core.config.agents import Presets
from hdream_core.config.balancer import check_weights
from hdream_core.config.fields import Config
from hdream_core.envs import registry
from hdream_core.support.errors import ConfigError
from hdream_core.support.settings import nearest, override

# Method -> agent and changes.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "dreamerv2": ("dreamerv2", {"balancer.kind": "fixed"}),
    "harmony": ("dreamerv2", {"balancer.kind": "harmony"}),
    "uw": ("dreamerv2", {"balancer.kind": "uw"}),
    "dwa": ("dreamerv2", {"balancer.kind": "dwa"}),
    "nashmtl": ("dreamerv2", {"balancer.kind": "nashmtl"}),
    "dreamerv3": ("dreamerv3", {"balancer.kind": "fixed"}),
    "harmony_dreamerv3": ("dreamerv3", {"balancer.kind": "harmony"}),
    "dreamerpro": ("dreamerpro", {"balancer.kind": "fixed"}),
    "harmony_dreamerpro": ("dreamerpro", {"balancer.kind": "harmony"}),
    "tdmpc": ("tdmpc", {"balancer.kind": "fixed"}),
    "denoised_mdp": ("denoised_mdp", {"balancer.kind": "fixed"}),
    "harmony_denoised_mdp": ("denoised_mdp", {"balancer.kind": "harmony"}),
}


def presets_for(task: str, method: str = "dreamerv2") -> Presets:
    """Returns the presets that exist for a task and a method's agent.

    Raises:
        ConfigError: if the task or method is unknown, naming those that exist.
    """
    if method not in METHODS:
        raise ConfigError(f"no method {method!r}; there are {', '.join(METHODS)}{nearest(method, METHODS)}")
    return agents.presets_of(METHODS[method][0], registry.find(task).name)


def check_preset(task: str, preset: str, method: str = "dreamerv2") -> Presets:
    """Returns the presets that exist for a task; raises ConfigError, naming them, if ``preset`` is not among them."""
    table = presets_for(task, method)
    if not table:
        able = ", ".join(name for name in METHODS if presets_for(task, name))
        raise ConfigError(f"{method} has no presets for {task}; take one of {able}")
    if preset not in table:
        raise ConfigError(f"no preset {preset!r} for {task}; there are {', '.join(table)}{nearest(preset, table)}")
    return table


def make_config(task: str, preset: str, method: str = "dreamerv2", changes: dict[str, Any] | None = None) -> Config:
    """Makes a config from a preset, then the method, then single changes by dotted name.

    Raises:
        ConfigError: if a task, preset, method or setting is unknown, naming those that exist.
    """
    table = check_preset(task, preset, method)
    agent, method_changes = METHODS[method]
    start = Config(
        task=task,
        preset=preset,
        method=method,
        agent=agents.settings_of(agent)(),
        env=registry.find(task).settings(),
    )
    changes = {legacy.current_name(name): value for name, value in (changes or {}).items()}
    config = override(override(start, table[preset][1] | method_changes), changes)
    check_weights(config.balancer, config.agent.decodes)
    return config
