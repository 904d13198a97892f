"""Lists the agents by name, with the settings and presets of each. Loads no torch.

Command lines, studies and figures read settings before anything heavy is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType
from typing import Any, ClassVar

from hdream_core.support.errors import ConfigError
from hdream_core.support.settings import nearest, settings

AGENTS = {
    "dreamerv2": "hdream_core.dreamerv2",
    "dreamerv3": "hdream_core.dreamerv3",
    "dreamerpro": "hdream_core.dreamerpro",
    "tdmpc": "hdream_core.tdmpc",
    "denoised_mdp": "hdream_core.denoised_mdp",
}
"""Name of each agent -> its package. The package has two modules: ``config`` (``SETTINGS``, the class of its
settings; ``PAPER`` and ``PRESETS``, tables by suite) and ``agent`` (``AGENT``, the class). It may have ``replay``
(``REPLAY``, how it draws batches) and, for the benchmark, ``parts`` (``parts``, an update's parts; ``without``, agents
that lack one tuned implementation)."""

Presets = dict[str, tuple[str, dict[str, Any]]]
"""Name -> (what it is for, changes to the paper's settings by dotted name)."""


@settings
class AgentConfig:
    """Holds an agent's settings. A subclass begins with ``name: Literal["its name"] = "its name"``.

    Attributes:
        decodes: whether the agent has an observation loss, and with it a decoder of frames.
    """

    decodes: ClassVar[bool] = True

    name: str = ""
    """Name of the agent; the method chooses it."""


def settings_of(name: str) -> type[AgentConfig]:
    """Returns the class of an agent's settings."""
    return module_of(name, "config").SETTINGS


def paper_settings(name: str, suite: str) -> dict[str, Any] | None:
    """Returns the paper's changes to the agent's defaults for a suite, by dotted name; None if it has no such suite."""
    return module_of(name, "config").PAPER.get(suite)


def presets_of(name: str, suite: str) -> Presets:
    """Returns an agent's presets for a suite."""
    return module_of(name, "config").PRESETS.get(suite, {})


def module_of(name: str, module: str) -> ModuleType:
    """Imports a module of an agent's package.

    Raises:
        ConfigError: if the agent is unknown, naming the existing ones.
    """
    if name not in AGENTS:
        raise ConfigError(f"no agent {name!r}; there are {', '.join(AGENTS)}{nearest(name, AGENTS)}")
    return importlib.import_module(f"{AGENTS[name]}.{module}")


def has_module(name: str, module: str) -> bool:
    """Tells whether an agent's package has a module."""
    return importlib.util.find_spec(f"{AGENTS[name]}.{module}") is not None
