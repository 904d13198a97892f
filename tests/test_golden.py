"""DreamerV2 against numbers that the authors' own trainer computed, in both kernel forms (``golden/README.md``)."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.balancers import FixedWeights, Harmony
from hdream_core.dreamerv2.behavior import Behavior
from hdream_core.dreamerv2.config import BehaviorConfig, ModelConfig, RSSMConfig
from hdream_core.dreamerv2.tuned import imagination, scan
from hdream_core.dreamerv2.tuned.kernels import PLAIN, TUNED_CPU
from hdream_core.dreamerv2.world_model import WorldModel
from hdream_core.nets import distributions

GOLDEN = Path(__file__).parent / "golden"
BALANCERS = {"fixed": FixedWeights, "harmony": Harmony}
LOSSES_WITHIN = 1e-5  # of the loss
GRADIENTS_WITHIN = 3e-5  # of an array's largest element


class Numbers(NamedTuple):
    """Losses by name, and gradients by parameter's name."""

    losses: dict[str, float]
    gradients: dict[str, Tensor]


def build(balancer: str, kernels) -> nn.ModuleDict:
    """Returns model, behaviour and balancer at the files' sizes.

    Whatever is no size is left at its default, the paper's value, so that the files check it as far as they tell.
    """
    rssm = RSSMConfig(deter=32, hidden=32, stoch=4, classes=4)
    config = BehaviorConfig(hidden=48)
    weigh = BALANCERS[balancer]()
    model = WorldModel(ModelConfig(rssm, depth=4, hidden=48), weigh.names, (64, 64, 3), 4, config.gamma, kernels)
    behavior = imagination.FusedBehavior if kernels.fused_imagination else Behavior
    return nn.ModuleDict({"model": model, "behavior": behavior(config, model.rssm.feat_dim, 4), "balancer": weigh})


def read(balancer: str) -> tuple[dict[str, dict[str, Tensor]], Numbers]:
    """Returns the arrays of a file by kind and name, and the numbers to find again."""
    arrays: dict[str, dict[str, Tensor]] = {"weights": {}, "batch": {}, "gradient": {}}
    with safe_open(GOLDEN / f"dreamerv2_{balancer}.safetensors", "pt") as file:
        losses = json.loads(file.metadata()["expected"])
        for key in file.keys():  # noqa: SIM118  the file is no mapping
            kind, _, name = key.partition("/")
            arrays[kind][name] = file.get_tensor(key)
    first = arrays["batch"]["is_first"].bool()
    arrays["batch"] |= {"is_first": first, "is_terminal": torch.zeros_like(first)}
    return arrays, Numbers(losses, arrays.pop("gradient"))


def update(parts: nn.ModuleDict, batch: dict[str, Tensor], names) -> Numbers:
    """Returns all losses on a batch, and the gradients of the named parameters, each of the loss that trains it."""
    losses, post, _ = parts["model"].losses(batch)
    total, _ = parts["balancer"](losses)
    actor, critic, _ = parts["behavior"].losses(parts["model"], post.detach().flatten())
    parameters, gradients = dict(parts.named_parameters()), {}
    trained_by = {("model.", "balancer."): total, "behavior.actor.": actor, "behavior.critic.": critic}
    for part, loss in trained_by.items():
        chosen = [name for name in names if name.startswith(part)]
        found = torch.autograd.grad(loss, [parameters[name] for name in chosen], retain_graph=True)
        gradients |= dict(zip(chosen, found, strict=True))
    losses |= {"total": total, "actor": actor, "critic": critic}
    return Numbers({name: loss.item() for name, loss in losses.items()}, gradients)


@pytest.fixture
def _nothing_is_drawn(monkeypatch):
    """Makes latents the most probable classes and actions the policy's means, wherever a kernel form draws them."""

    def most_probable(probs):
        return F.one_hot(probs.argmax(-1), probs.shape[-1]).to(probs.dtype)

    for module in (distributions, scan):
        monkeypatch.setattr(module, "draw_one_hot", most_probable)
    monkeypatch.setattr(distributions.TruncatedNormal, "rsample", lambda policy: policy.loc)
    mean_and_slopes = lambda loc, scale: (loc, torch.ones_like(loc), torch.zeros_like(scale))  # noqa: E731
    monkeypatch.setattr(imagination, "sample", mean_and_slopes)


def both(balancer: str, kernels) -> tuple[Numbers, Numbers]:
    """Returns our numbers and the authors'."""
    arrays, theirs = read(balancer)
    parts = build(balancer, kernels)
    parts.load_state_dict(arrays["weights"])
    return update(parts, arrays["batch"], theirs.gradients), theirs


def deviation(ours: Tensor, theirs: Tensor) -> float:
    """Returns the largest difference, as a share of the largest element."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.mark.parametrize("kernels", [PLAIN, TUNED_CPU], ids=["plain", "tuned"])
@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.usefixtures("_nothing_is_drawn")
def test_losses_and_gradients_are_the_authors(balancer, kernels):
    ours, theirs = both(balancer, kernels)
    assert ours.losses == pytest.approx(theirs.losses, rel=LOSSES_WITHIN)
    off = {name: deviation(ours.gradients[name], gradient) for name, gradient in theirs.gradients.items()}
    assert not {name: share for name, share in off.items() if not share <= GRADIENTS_WITHIN}  # nor NaN
