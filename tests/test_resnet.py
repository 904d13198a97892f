"""The residual encoder and decoder: sizes and outputs worked out by hand, and what BatchNorm does when."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hdream_core.config.presets import make_config
from hdream_core.data.replay import random_batch
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.dreamerv2.resnet import BatchNorm, Residual, ResNetDecoder, ResNetEncoder
from hdream_core.runs.gradients import gradient_norms
from hdream_core.runs.load import export, load_agent
from hdream_core.spec import ActionSpec, Spec
from hdream_core.support.errors import ConfigError
from tests.small import MINI, noise, small_agent

RESNET = {"agent.model.encoder": "resnet"}


def parameters(module) -> int:
    return sum(p.numel() for p in module.parameters())


def layer(c_in: int, c_out: int) -> int:
    """Two 3 x 3 convolutions without bias, two norms, and a projection with its norm where channels change."""
    return 9 * c_in * c_out + 9 * c_out * c_out + 4 * c_out + (c_in != c_out) * (c_in * c_out + 2 * c_out)


def test_parameters_of_the_paper_s_sizes_are_those_counted_by_hand():
    encoder, decoder = ResNetEncoder((64, 64, 3), 48), ResNetDecoder((64, 64, 3), 48, 2048)
    widths = [48, 48, 48, 96, 96, 192, 192]  # in and out of its six layers
    in_encoder = 3 * 48 * 9 + 48 + sum(map(layer, widths[:-1], widths[1:]))
    assert encoder.embed_dim == 4 * 4 * 192 and parameters(encoder) == in_encoder == 1_562_112
    narrowing = sum(layer(c, c) + layer(c, c // 2) for c in (192, 96, 48))
    in_decoder = 2048 * 3072 + 3072 + narrowing + 24 * 3 * 9 + 3
    assert parameters(decoder) == in_decoder == 7_519_227
    agent = DreamerV2(make_config("twin_reach_target", "paper"), Spec((64, 64, 3), ActionSpec("continuous", 8), 400))
    assert parameters(agent.model.encoder) == in_encoder and parameters(agent.model.decoder) == in_decoder


@pytest.mark.parametrize("side", [16, 32, 48, 64, 96])
def test_frames_come_out_as_large_as_they_went_in(side):
    encoder, decoder = ResNetEncoder((side, side, 3), 2), ResNetDecoder((side, side, 3), 2, 5)
    assert encoder(torch.rand(3, 3, side, side)).shape == (3, encoder.embed_dim)
    assert decoder(torch.rand(3, 5)).shape == (3, 3, side, side)


@pytest.mark.parametrize("side", [18, 50, 100])
def test_frames_that_do_not_halve_are_one_line(side):
    config = make_config("lever_pull", "smoke", changes=RESNET | {"env.size": side})
    with pytest.raises(ConfigError, match=rf"agent\.model\.encoder.* {side} ") as caught:
        DreamerV2(config, Spec((side, side, 3), ActionSpec("continuous", 4), 500))
    assert "\n" not in str(caught.value)


def test_batch_norm_is_pytorch_s():
    ours, theirs, x = BatchNorm(4), torch.nn.BatchNorm2d(4), torch.randn(6, 4, 3, 3) * 3 + 1
    for training in (True, True, False):
        for module in (ours, theirs):
            module.train(training)
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.mean, theirs.running_mean)
    torch.testing.assert_close(ours.variance, theirs.running_var)


def test_a_residual_layer_is_what_the_words_say():
    module, x = Residual(2, 3), torch.randn(5, 2, 4, 4)

    def normalised(values):
        mean, variance = values.mean((0, 2, 3), keepdim=True), values.var((0, 2, 3), correction=0, keepdim=True)
        return (values - mean) / (variance + 1e-5).sqrt()

    inner = F.relu(normalised(F.conv2d(x, module.conv1.weight, padding=1)))
    outer = normalised(F.conv2d(inner, module.conv2.weight, padding=1))
    want = F.relu(normalised(F.conv2d(x, module.project.weight)) + outer)
    torch.testing.assert_close(module(x), want, atol=1e-5, rtol=1e-4)


def statistics(agent) -> list[torch.Tensor]:
    return [buffer.clone() for buffer in agent.model.buffers()]


def changed(before, agent) -> bool:
    return any(not torch.equal(old, new) for old, new in zip(before, agent.model.buffers(), strict=True))


def test_statistics_are_learned_in_updates_alone():
    agent = small_agent(**RESNET)
    before = statistics(agent)
    assert before
    frames = np.random.default_rng(0).integers(0, 256, (2, *MINI.image), np.uint8)
    agent.act(frames, None, explore=True)
    agent.features(noise(6))
    agent.open_loop(noise(6), 3)
    gradient_norms(agent, random_batch(2, 6, MINI))
    assert not changed(before, agent)
    agent.update(noise(6))
    assert changed(before, agent) and not agent.training
    assert all(name in agent.training_state()["agent"] for name, _ in agent.named_buffers())


def test_acting_does_not_depend_on_what_else_is_in_the_batch():
    agent = small_agent(**RESNET)
    for seed in range(3):
        torch.manual_seed(seed)
        agent.update(noise(6))
    batch = noise(6)
    alone = agent.model.encode(batch["image"][:1])
    torch.testing.assert_close(agent.model.encode(batch["image"])[:1], alone)
    with_own = agent.model.train().encode(batch["image"][:1])
    agent.model.eval()
    assert not torch.allclose(with_own, alone, atol=1e-3)


@pytest.mark.parametrize("kernels", ["plain", "tuned"])
def test_a_skipped_update_changes_no_statistics(kernels):
    agent = small_agent(**RESNET | {"train.kernels": kernels})
    agent.update(noise(6))
    before, batch = statistics(agent), noise(6)
    batch["reward"][0, 2] = float("nan")
    assert agent.update(batch)["skipped/model"] == 1 and not changed(before, agent)


def test_a_player_s_copy_has_the_statistics():
    agent = small_agent(**RESNET)
    copied = agent.player.copy()
    agent.update(noise(6))
    theirs, ours = copied.parameters(), agent.player.parameters()
    assert len(theirs) == len(ours)
    torch._foreach_copy_(theirs, ours)
    for one, other in zip(copied.model.buffers(), agent.model.buffers(), strict=True):
        assert torch.equal(one, other) and one.data_ptr() != other.data_ptr()


def test_an_exported_agent_predicts_as_the_agent_does(tmp_path):
    agent = small_agent(**RESNET)
    for _ in range(3):
        agent.update(noise(6))
    loaded = load_agent(export(agent, tmp_path / "a.safetensors"))
    image = noise(6)["image"]
    torch.testing.assert_close(loaded.model.encode(image), agent.model.encode(image), atol=0.02, rtol=0.02)


def test_it_runs_in_bfloat16():
    agent = small_agent(**RESNET | {"train.precision": "bfloat16"})
    metrics = agent.update(noise(6))
    assert metrics["skipped/model"] == 0 and torch.isfinite(metrics["loss/observation"])
