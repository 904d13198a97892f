"""DreamerV3 against numbers that the authors' own trainer computed (``golden/README.md``)."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from hdream_core.balancers import FixedWeights, Harmony
from hdream_core.dreamerv3 import behavior as acting
from hdream_core.dreamerv3 import distributions
from hdream_core.dreamerv3.behavior import Behavior, ReturnScale, lambda_return
from hdream_core.dreamerv3.config import BehaviorConfig, ModelConfig, RSSMConfig
from hdream_core.dreamerv3.distributions import NormalPolicy, OneHotPolicy, TwoHot, symexp, symlog, unimix
from hdream_core.dreamerv3.world_model import BASE_WEIGHTS, WorldModel
from hdream_core.nets import distributions as latents
from hdream_core.nets.optimizer import Optimizer
from hdream_core.spec import ActionSpec

GOLDEN = Path(__file__).parent / "golden"
LOSSES_WITHIN = 1e-5  # of the number
GRADIENTS_WITHIN = 3e-5  # of an array's largest element
HARMONISED = ("observation", "reward", "dynamics")
OURS = {"rssm.initial": "rssm.initial_deter", "balancer.s.image": "balancer.s.observation"}  # theirs -> our name


def read(name):
    """Returns the file's arrays by name, its scalars, and its settings."""
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  the file is no mapping
        return arrays, *(json.loads(file.metadata()[part]) for part in ("expected", "settings"))


def deviation(ours, theirs):
    """Returns the largest difference, as a share of the largest element."""
    return ((ours.detach() - theirs).abs().max() / theirs.abs().max().clamp(min=1e-30)).item()


def close(ours, theirs, within=LOSSES_WITHIN):
    assert ours.shape == theirs.shape and deviation(ours, theirs) <= within


def group(arrays, kind):
    found = {key.removeprefix(f"{kind}/"): value for key, value in arrays.items() if key.startswith(f"{kind}/")}
    return {OURS.get(name, name): value for name, value in found.items()}


@pytest.fixture
def _nothing_is_drawn(monkeypatch):
    """Makes latents and discrete actions the most probable ones, and continuous actions the policy's means."""

    def most_probable(probs):
        return F.one_hot(probs.argmax(-1), probs.shape[-1]).to(probs.dtype)

    for module in (latents, distributions):
        monkeypatch.setattr(module, "draw_one_hot", most_probable)
    monkeypatch.setattr(acting.NormalPolicy, "sample", lambda policy: policy.mean)


class Authors:
    """One of the two files: our networks with its weights, and its batch."""

    def __init__(self, name):
        self.arrays, self.expected, self.settings = read(name)
        s, weights = self.settings, group(self.arrays, "weights")
        sizes = RSSMConfig(s["deter"], s["units"], s["stoch"], s["classes"])
        config = ModelConfig(sizes, s["cnn_depth"], s["units"], s["layers"], s["continue_detached"])
        batch = group(self.arrays, "batch")
        action = batch["action"]
        shifted = torch.cat([torch.zeros_like(action[:, :1]), action[:, :-1]], 1)  # theirs is taken after the row
        flags = {flag: batch[flag].bool() for flag in ("is_first", "is_terminal")}
        self.batch = batch | flags | {"action": shifted}
        self.model = WorldModel(config, BASE_WEIGHTS, (64, 64, 3), action.shape[-1])
        acts = ActionSpec(s["actions"], action.shape[-1])
        behavior = BehaviorConfig(s["dream_steps"], units=s["units"], layers=s["layers"])
        self.behavior = Behavior(behavior, self.model.rssm.feat_dim, acts)
        parts = ("actor.", "critic.", "slow_critic.")
        low_high = {f"return_scale.{end}": torch.tensor(v) for end, v in s["retnorm_before"].items()}
        self.behavior.load_state_dict({n: w for n, w in weights.items() if n.startswith(parts)} | low_high)
        model = {n: w for n, w in weights.items() if not n.startswith((*parts, "balancer."))}
        self.model.load_state_dict(model)
        self.harmonizers = {n: w for n, w in weights.items() if n.startswith("balancer.")}

    def gradients(self, total, kind, module, prefix=""):
        """Compares the gradients of a total with the file's, by name."""
        parameters = {f"{prefix}{name}": p for name, p in module.named_parameters()}
        theirs = {n: g for n, g in group(self.arrays, kind).items() if n in parameters}
        assert theirs
        found = torch.autograd.grad(total, [parameters[name] for name in theirs], retain_graph=True)
        off = {n: deviation(ours, theirs[n]) for n, ours in zip(theirs, found, strict=True)}
        assert not {name: share for name, share in off.items() if not share <= GRADIENTS_WITHIN}  # nor NaN


@pytest.fixture(params=["dreamerv3", "dreamerv3_metaworld"])
def authors(request, _nothing_is_drawn):
    return Authors(request.param)


def test_losses_are_the_authors(authors):
    losses, post, metrics = authors.model.losses(authors.batch)
    names = {"observation": "image", "reward": "reward", "continue": "cont", "dynamics": "dyn"}  # dyn equals rep
    assert {n: losses[n].item() for n in names} == pytest.approx(
        {ours: authors.expected[theirs] for ours, theirs in names.items()}, rel=LOSSES_WITHIN
    )
    close(post.deter, authors.arrays["expected/posterior_deter"])
    close(post.stats, authors.arrays["expected/posterior_logit"])
    chosen = post.stoch.unflatten(-1, post.stats.shape[-2:]).argmax(-1)
    assert torch.equal(chosen, authors.arrays["expected/posterior_stoch"].long())
    close(authors.model.reward(post.feat), authors.arrays["expected/reward_mean"])
    frame = authors.model.decoder(post.feat[0, :1])[0].movedim(0, -1) + 0.5
    close(frame, authors.arrays["expected/decoded_0_0"])
    assert metrics["kl"].item() > 0


def test_totals_and_gradients_are_the_authors(authors):
    losses, _, _ = authors.model.losses(authors.batch)
    total, _ = FixedWeights.of(BASE_WEIGHTS)(losses)
    assert total.item() == pytest.approx(authors.expected["base_total"], rel=LOSSES_WITHIN)
    authors.gradients(total, "gradient_base", authors.model)
    for factor, more in ((5 / 6, 0.0), (1.0, F.softplus(torch.tensor(-0.4)).item() / 6)):  # released, Eq. 5
        harmony = Harmony(BASE_WEIGHTS, fixed={"continue": 1.0}, regularised={"dynamics": factor})
        harmony.load_state_dict({n.removeprefix("balancer."): w for n, w in authors.harmonizers.items()})
        harmonious, _ = harmony(losses)
        assert harmonious.item() == pytest.approx(authors.expected["harmony_total"] + more, rel=LOSSES_WITHIN)
        authors.gradients(harmonious, "gradient_harmony", authors.model)
        slopes = torch.autograd.grad(harmonious, [harmony.s[name] for name in HARMONISED], retain_graph=True)
        theirs = [authors.expected[f"d_harmony_total/s_{n}"] for n in ("image", "reward", "dynamics")]
        theirs[2] += (1 - factor) * 0 + (factor - 5 / 6) * torch.sigmoid(torch.tensor(-0.4)).item()
        assert [s.item() for s in slopes] == pytest.approx(theirs, rel=GRADIENTS_WITHIN)


def test_behavior_is_the_authors(authors):
    _, post, _ = authors.model.losses(authors.batch)
    start = post.detach().flatten()
    goes_on = (~authors.batch["is_terminal"]).float().flatten()
    imagined = authors.behavior.imagine(authors.model, start)
    arrays = group(authors.arrays, "expected")
    deter = start.deter.shape[-1]
    close(imagined.feat[..., :deter], arrays["dream_deter"])
    close(imagined.action, arrays["dream_action"][:-1])
    actor, critic, metrics = authors.behavior.imagined_losses(authors.model, imagined, goes_on)
    assert actor.item() == pytest.approx(authors.expected["actor_loss"], rel=LOSSES_WITHIN)
    assert critic.item() == pytest.approx(authors.expected["critic_loss"], rel=LOSSES_WITHIN)
    assert metrics["target"].item() == pytest.approx(arrays["dream_return"].mean().item(), rel=LOSSES_WITHIN)
    assert metrics["imagined_reward"].item() == pytest.approx(arrays["dream_reward"].mean().item(), rel=1e-4)
    scale = authors.behavior.return_scale
    after = [authors.expected[f"retnorm_{end}_after"] for end in ("low", "high")]
    assert [scale.low.item(), scale.high.item()] == pytest.approx(after, rel=LOSSES_WITHIN)
    authors.gradients(actor, "gradient_actor", authors.behavior)
    authors.gradients(critic, "gradient_critic", authors.behavior)


def test_an_actor_changes_no_world_model_and_reinforce_needs_no_gradient_of_it(authors):
    _, post, _ = authors.model.losses(authors.batch)
    imagined = authors.behavior.imagine(authors.model, post.detach().flatten())
    assert imagined.feat.requires_grad == (authors.settings["actions"] == "continuous")


@pytest.fixture(scope="module")
def parts():
    return read("dreamerv3_behavior")


def test_two_hot_is_the_authors(parts):
    arrays = parts[0]
    logits = arrays["twohot/logits"].clone().requires_grad_()
    found = TwoHot(logits)
    close(found.bins, arrays["twohot/bins"])
    close(found.mean, arrays["twohot/mean"], 3e-5)
    nll = found.nll(arrays["twohot/target"])
    close(nll, arrays["twohot/nll"])
    slope, mean_slope = (torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (nll.mean(), found.mean.sum()))
    close(slope, arrays["twohot/d_mean_nll_d_logits"], GRADIENTS_WITHIN)
    close(mean_slope, arrays["twohot/d_sum_mean_d_logits"], 1e-4)
    close(symlog(arrays["symlog/x"]), arrays["symlog/symlog"])
    close(symexp(arrays["symexp/x"]), arrays["symexp/symexp"])


def test_the_range_of_returns_is_the_authors(parts):
    arrays, scale = parts[0], ReturnScale()
    for returns, (offset, expected) in zip(
        arrays["retnorm/returns"], arrays["retnorm/offset_scale"].tolist(), strict=True
    ):
        assert scale(returns).item() == pytest.approx(expected, rel=LOSSES_WITHIN)
        assert scale.low.item() == pytest.approx(offset, rel=LOSSES_WITHIN)


def test_returns_are_the_authors(parts):
    arrays, _, settings = parts
    gamma, goes_on = settings["gamma"], arrays["returns/cont"]
    found = lambda_return(arrays["returns/reward"], arrays["returns/value"], gamma * goes_on[1:], settings["lambda_"])
    close(found, arrays["returns/ret"])
    close((gamma * goes_on).cumprod(0) / gamma, arrays["returns/weight"])


def test_policies_are_the_authors(parts):
    arrays = parts[0]
    discrete = OneHotPolicy(unimix(arrays["actor/logits"], 0.01))
    close(discrete.log_probs.exp(), arrays["actor_discrete/probs_unimix"])
    close(discrete.log_prob(arrays["actor/action"]), arrays["actor_discrete/log_prob"])
    close(discrete.entropy(), arrays["actor_discrete/entropy"])
    mean = torch.tanh(arrays["actor/mean_raw"])
    std = (acting.MAX_STD - acting.MIN_STD) * torch.sigmoid(arrays["actor/std_raw"] + 2) + acting.MIN_STD
    close(std, arrays["actor_continuous/std"])
    continuous = NormalPolicy(mean, std)
    close(continuous.entropy(), arrays["actor_continuous/entropy"])
    close(continuous.log_prob(arrays["actor_continuous/action"]), arrays["actor_continuous/log_prob"])


@pytest.mark.parametrize(("part", "fused"), [("model", True), ("model", False), ("actor", True)])
def test_optimisers_are_the_authors(parts, part, fused):
    arrays, _, settings = parts
    own = settings[f"adam_{part}"]
    p = torch.nn.Parameter(arrays["adam/start"].clone())
    optimizer = Optimizer([p], own["clip"], fused, own["lr"], own["eps"], 0.0)
    for gradient, after, norm in zip(
        arrays["adam/gradients"],
        arrays[f"adam_{part}/parameters"],
        arrays[f"adam_{part}/gradient_norm"],
        strict=True,
    ):
        metrics = optimizer.step((p * gradient).sum())
        assert metrics["grad_norm"].item() == pytest.approx(norm.item(), rel=LOSSES_WITHIN)
        assert (p.detach() - after).abs().max() <= 1e-3 * own["lr"]
