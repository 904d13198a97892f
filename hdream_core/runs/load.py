"""Loads trained agents from a run's folder or from one exported file, and exports them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hdream_core.agent import Agent, make_agent
from hdream_core.config import legacy
from hdream_core.config.fields import Config
from hdream_core.config.files import from_dict, to_dict
from hdream_core.runs import checkpoint
from hdream_core.runs import folder as run_folder
from hdream_core.runs.checkpoint import CheckpointError, device_errors
from hdream_core.spec import Spec
from hdream_core.support import untrusted
from hdream_core.support.errors import ConfigError
from hdream_core.support.precision import available_device


def load_agent(path: str | Path, device: torch.device | str | None = None) -> Agent:
    """Loads an agent from a run's folder (its latest checkpoint) or from a file that ``export`` wrote.

    Args:
        path: folder or file.
        device: overrides the config's device. By default another device is used if the config's is not available.

    Raises:
        ConfigError: if the folder holds no run.
        CheckpointError: if the file is missing or damaged, or its weights have other shapes than the config says.
    """
    path = Path(path)
    if path.is_dir():
        config = run_folder.read_config(path)
        spec, weights = run_folder.read_spec(path, config.task), _read_checkpoint(path)
    else:
        config, spec, weights = _read_export(path)
    try:
        if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()):
            raise ValueError("it holds more than weights")
        _check_sizes(config, spec, weights)
        agent = make_agent(config, spec, device or available_device(config.train.device))
        missing, unexpected = agent.load_state_dict(weights, strict=False)
        different = unexpected + [name for name in missing if not name.startswith(agent.training_only)]
        if different:
            raise ValueError(f"{different[0]} is in one and not in the other")
    except device_errors():
        raise
    except (IndexError, KeyError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: the weights do not fit the config beside them ({reason})") from None
    return agent.eval()


def export(agent: Agent, path: Path) -> Path:
    """Writes an agent's weights in float16, with its config and its environment's spec, as safetensors.

    The file is small and safe to open. It has no critics, optimisers or data: an exported agent can predict and act but
    not continue training.
    """
    weights = {
        name: value.to("cpu", torch.float16).contiguous()
        for name, value in agent.state_dict().items()
        if not name.startswith(agent.training_only)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = {"config": json.dumps(to_dict(agent.config)), "spec": json.dumps(agent.spec.to_dict())}
    save_file(weights, path, metadata=texts | {"sha256": _digest(texts, weights)})
    return path


def _digest(texts: Mapping[str, str], weights: Mapping[str, Tensor]) -> str:
    """Computes the SHA-256 of an export's content, which reveals flipped bits."""
    digest = hashlib.sha256("".join(texts[name] for name in sorted(texts)).encode())
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _read_checkpoint(folder: Path) -> dict[str, Tensor]:
    state = checkpoint.load_run(folder)
    if state is None:
        raise CheckpointError(f"{folder}: has no checkpoint yet")
    if not isinstance(state, dict) or not isinstance(state.get("agent"), dict):
        raise CheckpointError(f"{folder}: its checkpoint holds no agent")
    return state["agent"]


def _read_export(path: Path) -> tuple[Config, Spec, dict[str, Tensor]]:
    if not path.exists():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, "pt") as file:
            metadata, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        texts = {name: metadata[name] for name in ("config", "spec") if name in metadata}
        if metadata.get("sha256") != _digest(texts, weights):
            raise ValueError("its content is not what was written")
        config = from_dict(untrusted.json_value(texts["config"]))
        if "spec" in texts:
            spec = Spec.from_dict(untrusted.json_value(texts["spec"]))
        else:
            spec = legacy.spec_of_task(config.task)
        return config, spec, {name: _single(values) for name, values in weights.items()}
    except (SafetensorError, ConfigError, KeyError, TypeError, ValueError, OSError) as error:
        raise CheckpointError(f"{path}: not an exported agent ({error})") from None


def _check_sizes(config: Config, spec: Spec, weights: Mapping[str, Any]) -> None:
    """Refuses a config whose agent has other sizes than the weights, before memory for the agent is allocated.

    Weights that are expanded from fewer numbers, or share them, are refused as well.
    """
    stored = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in weights.values()}
    if sum(value.numel() * value.element_size() for value in weights.values()) > sum(stored.values()):
        raise ValueError("they claim more numbers than there are")
    with torch.device("meta"):
        agent = make_agent(config, spec, "meta")
    for name, parameter in agent.state_dict().items():
        if name.startswith(agent.training_only) and name not in weights:
            continue
        if weights[name].shape != parameter.shape:
            shape = tuple(weights[name].shape)
            raise ValueError(f"{name} has shape {shape}, the config says {tuple(parameter.shape)}")


def _single(weights: Tensor) -> Tensor:
    return weights.float() if weights.is_floating_point() else weights
