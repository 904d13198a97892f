"""Makes the environment of a config, a run or a buffer, and checks that a buffer fits it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hdream_core import envs
from hdream_core.config.fields import Config
from hdream_core.spec import Spec
from hdream_core.support.errors import ConfigError


def env_options(config: Config, look: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the options of a config's environments: its suite's settings, with the look of given data, if any."""
    options = {name: value for name, value in vars(config.env).items() if name != "suite" and name[0] != "_"}
    return options | {name: value for name, value in (look or {}).items() if name in options}


def make_env(config: Config, seed: int, look: Mapping[str, Any] | None = None) -> Any:
    """Makes an environment of the config's task and settings, with the look of given data, if any."""
    return envs.make(config.task, seed=seed, **env_options(config, look))


def make_env_like(task: str, facts: Mapping[str, Any], seed: int) -> Any:
    """Makes an environment whose frames look like those of a run or a buffer.

    Args:
        task: name of the task.
        facts: provenance of a run or metadata of a buffer, with the look. Options that the suite does not have, or
            whose value it does not allow, are ignored.
        seed: seed of the episodes.
    """
    suite, options, recorded = envs.find(task), {}, _recorded_options(facts)
    for name in set(suite.settings.__dataclass_fields__) - {"suite"}:
        try:
            options[name] = getattr(suite.settings(**{name: recorded[name]}), name)
        except (KeyError, ConfigError):  # for example in an old buffer, which does not record it
            continue
    return envs.make(task, seed=seed, **options)


def check_buffer(config: Config, facts: Mapping[str, Any]) -> None:
    """Refuses a buffer of another task, or one whose frames evaluation would render differently."""
    if facts["task"] != config.task:
        raise ConfigError(f"{config.offline_buffer}: holds {facts['task']}, but the run's task is {config.task}")
    recorded = _recorded_options(facts)
    for name, value in env_options(config).items():
        if name in recorded and value not in ("auto", recorded[name]):
            was, asked = (",".join(each) if isinstance(each, tuple) else each for each in (recorded[name], value))
            raise ConfigError(
                f"{config.offline_buffer}: has {name} {was}, but the run asks for {asked}; set env.{name}={was}"
            )


def check_spec(spec: Spec, env: Any, where: str) -> None:
    """Raises ConfigError, naming ``where``, if a buffer's frames or actions differ from those of its task's ``env``."""
    expected = Spec.of(env)
    if expected.image != spec.image:
        raise ConfigError(f"{where}: has frames of {spec.image}, but those of {env.task} are {expected.image}")
    if expected.action != spec.action:
        raise ConfigError(
            f"{where}: has {spec.action.kind} actions of {spec.action.dim} numbers, but those of {env.task} are "
            f"{expected.action.kind}, of {expected.action.dim}"
        )


def _recorded_options(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of the environment that a run or a buffer recorded, directly or in its spec."""
    settings, spec = facts.get("env"), facts.get("spec")
    recorded = (settings if isinstance(settings, dict) else {}) | dict(facts)
    if isinstance(spec, dict):
        recorded["action_repeat"] = spec.get("action_repeat")
        if isinstance(image := spec.get("image"), (list, tuple)) and image:
            recorded["size"] = image[0]
    return {name: tuple(value) if isinstance(value, list) else value for name, value in recorded.items()}  # of JSON
