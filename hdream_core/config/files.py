"""Converts configs to and from the nested values of JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from hdream_core.config import agents, legacy
from hdream_core.config.balancer import check_weights
from hdream_core.config.fields import Config
from hdream_core.envs import registry
from hdream_core.support.errors import ConfigError
from hdream_core.support.settings import build


def to_dict(config: Config) -> dict[str, Any]:
    """Returns a config as nested plain values."""
    return dataclasses.asdict(config)


def from_dict(data: Any) -> Config:
    """Rebuilds a config from ``to_dict`` of this version or an earlier one.

    A missing setting takes its default: the default of a new setting is what runs did before it existed.

    Raises:
        ConfigError: naming what is unknown, mistyped or out of bounds.
    """
    if not isinstance(data, dict):
        raise ConfigError("the config must be a mapping")
    try:
        data = legacy.migrate(data)
        agent, env = (data.get(name, {}) for name in ("agent", "env"))
        agent_class = agents.settings_of(agent.get("name", "dreamerv2"))
        env_class = registry.suite(env.get("suite", "metaworld")).settings
    except (AttributeError, TypeError):
        raise ConfigError("the config's agent and env must be groups of settings") from None
    groups = {"agent": build(agent_class, agent, "agent."), "env": build(env_class, env, "env.")}
    config = build(Config, data | groups)
    if (suite := registry.find(config.task).name) != config.env.suite:
        raise ConfigError(f"env.suite is {config.env.suite}, but {config.task} is a task of {suite}")
    check_weights(config.balancer, config.agent.decodes)
    return config
