"""Makes the environment that a config, a run or a buffer means, and holds a buffer to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hdream_core import envs
from hdream_core.config.fields import Config
from hdream_core.spec import Spec
from hdream_core.support.errors import ConfigError


def env_options(config: Config, look: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the options of a config's environments: its suite's settings, with the look of given data if any."""
    options = {name: value for name, value in vars(config.env).items() if name != "suite" and name[0] != "_"}
    return options | {name: value for name, value in (look or {}).items() if name in options}


def make_env(config: Config, seed: int, look: Mapping[str, Any] | None = None) -> Any:
    """Makes an environment of the config's task and settings, with the look of given data if any."""
    return envs.make(config.task, seed=seed, **env_options(config, look))


def make_env_like(task: str, facts: Mapping[str, Any], seed: int) -> Any:
    """Makes an environment whose frames look as a run's or a buffer's own facts say.

    Args:
        task: of the environment.
        facts: with its look, of ``run_folder.read_provenance`` or a buffer's metadata; what the suite has no setting
            for, or no such value, is left out.
        seed: of its episodes.
    """
    suite, options, known = envs.find(task), {}, _known(facts)
    for name in set(suite.settings.__dataclass_fields__) - {"suite"}:
        try:
            options[name] = getattr(suite.settings(**{name: known[name]}), name)
        except (KeyError, ConfigError):  # an old buffer, say, that does not tell
            continue
    return envs.make(task, seed=seed, **options)


def check_buffer(config: Config, facts: Mapping[str, Any]) -> None:
    """Refuses a buffer of another task, or frames that evaluation would render otherwise."""
    if facts["task"] != config.task:
        raise ConfigError(f"{config.offline_buffer}: holds {facts['task']}, but the run's task is {config.task}")
    known = _known(facts)
    for name, value in env_options(config).items():
        if name in known and value not in ("auto", known[name]):
            raise ConfigError(
                f"{config.offline_buffer}: has {name} {known[name]}, but the run asks for {value}; "
                f"set env.{name}={known[name]}"
            )


def check_spec(spec: Spec, env: Any, where: str) -> None:
    """Raises ConfigError, naming ``where``, if a buffer's frames or actions are not those of its task's ``env``."""
    ours = Spec.of(env)
    if ours.image != spec.image:
        raise ConfigError(f"{where}: has frames of {spec.image}, those of {env.task} are {ours.image}")
    if ours.action != spec.action:
        raise ConfigError(
            f"{where}: has {spec.action.kind} actions of {spec.action.dim} numbers, those of {env.task} are "
            f"{ours.action.kind}, of {ours.action.dim}"
        )


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A run's or a buffer's own facts, with its environment's settings, and what its spec has of them."""
    settings, spec = facts.get("env"), facts.get("spec")
    known = (settings if isinstance(settings, dict) else {}) | dict(facts)
    if isinstance(spec, dict):
        known["action_repeat"] = spec.get("action_repeat")
        if isinstance(image := spec.get("image"), (list, tuple)) and image:
            known["size"] = image[0]
    return known
