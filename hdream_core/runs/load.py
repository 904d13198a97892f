"""Trained agents read back, from a run's folder or from one exported file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hdream_core.config.check import check
from hdream_core.config.fields import Config
from hdream_core.config.settings import from_dict
from hdream_core.dreamerv2.agent import DreamerV2, make_balancer
from hdream_core.dreamerv2.networks import ENCODER_KERNELS
from hdream_core.dreamerv2.world_model import WorldModel
from hdream_core.nets.mlp import MLP
from hdream_core.runs import checkpoint
from hdream_core.runs import folder as run_folder
from hdream_core.runs.checkpoint import OUT_OF_LUCK, CheckpointError
from hdream_core.support import untrusted
from hdream_core.support.errors import ConfigError

LEFT_OUT = ("behavior.critic.", "behavior.slow_critic.")  # of an export


def load_agent(path: str | Path, device: torch.device | None = None) -> DreamerV2:
    """The agent of a run's folder, as of its latest checkpoint, or of a file that ``export`` wrote.

    Raises:
        ConfigError: if the folder holds no run.
        CheckpointError: if the file is missing, damaged, or of another shape than its config says.
    """
    path = Path(path)
    if path.is_dir():
        config, weights = run_folder.read_config(path), _of_checkpoint(path)
    else:
        config, weights = _of_export(path)
    try:
        if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()):
            raise ValueError("it holds other things than weights")
        _check_sizes(config, weights)
        agent = DreamerV2(config, *_shapes(weights), device)
        missing, beyond = agent.load_state_dict(weights, strict=False)
        odd = beyond + [name for name in missing if not name.startswith(LEFT_OUT)]
        if odd:
            raise ValueError(f"{odd[0]} is in one and not in the other")
    except OUT_OF_LUCK:
        raise
    except (IndexError, KeyError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: the weights do not fit the config beside them ({reason})") from None
    return agent.eval()


def export(agent: DreamerV2, path: Path) -> Path:
    """Writes an agent's weights in float16 with its config, as safetensors: small, and safe to open.

    Critics, optimisers and data are left out: an exported agent can dream and act but not go on training.
    """
    kept = {name: value for name, value in agent.state_dict().items() if not name.startswith(LEFT_OUT)}
    weights = {name: value.to("cpu", torch.float16).contiguous() for name, value in kept.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    config = json.dumps(dataclasses.asdict(agent.config))
    save_file(weights, path, metadata={"config": config, "sha256": _digest(config, weights)})
    return path


def _digest(config: str, weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of an export's content: flipped bits are weights as well."""
    found = hashlib.sha256(config.encode())
    for name in sorted(weights):
        found.update(name.encode())
        found.update(weights[name].reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def _of_checkpoint(folder: Path) -> dict[str, Tensor]:
    state = checkpoint.load_run(folder)
    if state is None:
        raise CheckpointError(f"{folder}: has no checkpoint yet")
    if not isinstance(state, dict) or not isinstance(state.get("agent"), dict):
        raise CheckpointError(f"{folder}: its checkpoint holds no agent")
    return state["agent"]


def _of_export(path: Path) -> tuple[Config, dict[str, Tensor]]:
    if not path.exists():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, "pt") as file:
            facts, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if facts.get("sha256") != _digest(facts["config"], weights):
            raise ValueError("its content is not what was written")
        config = check(from_dict(untrusted.json_value(facts["config"])))
        return config, {name: _single(values) for name, values in weights.items()}
    except (SafetensorError, ConfigError, KeyError, TypeError, ValueError, OSError) as error:
        raise CheckpointError(f"{path}: not an exported agent ({error})") from None


def _check_sizes(config: Config, weights: Mapping[str, Tensor]) -> None:
    """Refuses a config whose model is not of the weights' size, before memory for it is taken.

    Weights that are expanded from fewer numbers, or share them, are none.
    """
    stored = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in weights.values()}
    if sum(value.numel() * value.element_size() for value in weights.values()) > sum(stored.values()):
        raise ValueError("they claim more numbers than there are")
    balancer = make_balancer(config.balancer, config.model.discount_head)
    size, action = _shapes(weights)
    with torch.device("meta"):
        model = WorldModel(config.model, balancer.names, size, action, config.behavior.gamma)
        actor = MLP(model.rssm.feat_size, 2 * action, config.behavior.hidden, config.behavior.layers)
    for prefix, module in (("model.", model), ("behavior.actor.", actor)):
        for name, parameter in module.named_parameters():
            if weights[prefix + name].shape != parameter.shape:
                found = tuple(weights[prefix + name].shape)
                raise ValueError(f"{prefix}{name} has shape {found}, the config says {tuple(parameter.shape)}")


def _single(weights: Tensor) -> Tensor:
    return weights.float() if weights.is_floating_point() else weights


def _shapes(weights: Mapping[str, Tensor]) -> tuple[int, int]:
    """Image size and number of action dimensions that the weights are made for."""
    layers = len({name for name in weights if name.startswith("model.encoder.convs.") and name.endswith("weight")})
    sizes = [size for size, kernels in ENCODER_KERNELS.items() if len(kernels) == layers]
    if not sizes:
        raise ValueError(f"an encoder of {layers} layers")
    latent = weights["model.rssm.prior_logits.weight"].shape[0]
    return sizes[0], weights["model.rssm.in_layer.weight"].shape[1] - latent
