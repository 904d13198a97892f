"""Configs as JSON holds them."""

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
    """Rebuilds a config from ``to_dict``, of this version or an earlier one.

    A setting that is not there takes its default: a new setting's default is what runs did before there was one.

    Raises:
        ConfigError: naming what is unknown, mistyped or out of bounds.
    """
    if not isinstance(data, dict):
        raise ConfigError("the config must be a mapping")
    try:
        data = legacy.migrate(data)
        agent, env = (data.get(name, {}) for name in ("agent", "env"))
        of_agent = agents.settings_of(agent.get("name", "dreamerv2"))
        of_suite = registry.suite(env.get("suite", "metaworld")).settings
    except (AttributeError, TypeError):
        raise ConfigError("the config's agent and env must be groups of settings") from None
    groups = {"agent": build(of_agent, agent, "agent."), "env": build(of_suite, env, "env.")}
    config = build(Config, data | groups)
    check_weights(config.balancer)
    return config
