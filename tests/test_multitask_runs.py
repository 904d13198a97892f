"""UW, DWA and NashMTL in an agent: shared parameters, gradients through the tuned model, and settings."""

import pytest
import torch

from hdream_core.config.balancer import BalancerConfig, make_balancer
from hdream_core.runs import folder as run_folder
from hdream_core.runs.metrics import read_metrics
from hdream_core.support.errors import ConfigError
from hdream_core.train import main
from tests.refusals import SMOKE
from tests.small import MINI, noise, small_agent
from tests.test_multitask import NAMES


def agent_of(kind, **changes):
    torch.manual_seed(0)
    return small_agent(kind, **{"train.precision": "float32"} | changes)


def test_shared_parameters_are_the_models_alone():
    agent = agent_of("nashmtl")
    shared = {id(p) for p in agent.balancer.shared}
    assert not list(agent.balancer.parameters())
    assert {name for name in agent.state_dict() if name.startswith("balancer.")} == {
        f"balancer.{name}" for name in ("weights", "updates", "failures")
    }
    optimised = agent.optimizers["model"].parameters
    assert len(optimised) == len({id(p) for p in optimised}) == len(list(agent.model.parameters()))
    assert shared < {id(p) for p in agent.model.parameters()}
    # Every loss reaches all of them, and no other parameter is reached by every loss.
    named, _, _ = agent.model.losses(noise())
    everything = list(agent.model.parameters())
    reached = [torch.autograd.grad(loss, everything, retain_graph=True, allow_unused=True) for loss in named.values()]
    by_all = {
        id(p)
        for p, *rows in zip(everything, *reached, strict=True)
        if all(row is not None and row.any() for row in rows)
    }
    assert by_all == shared


def test_tuned_path_gives_each_losss_gradient_again_and_again_as_the_plain_one_does():
    found = {}
    for kernels in ("tuned", "plain"):
        agent = agent_of("nashmtl", **{"train.kernels": kernels})
        torch.manual_seed(1)
        named, _, _ = agent.model.losses(noise())
        shared = agent.balancer.shared

        def of(loss, shared=shared):
            return torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)

        first = [of(named[name]) for name in NAMES]
        second = [of(named[name]) for name in NAMES]
        for a, b in zip(first, second, strict=True):
            assert all(map(torch.equal, a, b))
        total, weights = agent.balancer(named)
        for joint, *rows in zip(of(total), *first, strict=True):
            want = sum(weights[name] * row for name, row in zip(NAMES, rows, strict=True))
            torch.testing.assert_close(joint, want, rtol=1e-4, atol=1e-4 * want.abs().max().item())
        found[kernels] = [g for rows in first for g in rows] + [torch.stack([weights[name] for name in NAMES])]
    for a, b in zip(found["tuned"], found["plain"], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * b.abs().max().item())


def test_make_balancer_knows_every_kind():
    uw = make_balancer(BalancerConfig(kind="uw"), (*NAMES, "discount"), MINI.image)
    assert (
        uw.dimensions == {"observation": 3072, "reward": 1}
        and uw.names == (*NAMES, "discount")
        and uw.fixed == {"discount": 1.0}
    )
    dwa = make_balancer(BalancerConfig(kind="dwa", dwa_temperature=3.0, dwa_window=7), NAMES, MINI.image)
    assert (dwa.temperature, dwa.window, len(dwa.history)) == (3.0, 7, 14)
    nashmtl = make_balancer(BalancerConfig(kind="nashmtl", nash_every=4, nash_max_norm=2.0), NAMES, MINI.image)
    assert (nashmtl.every, nashmtl.max_norm) == (4, 2.0)
    assert make_balancer(BalancerConfig(kind="harmony", w_d=1.0), NAMES, MINI.image).fixed == {"dynamics": 1.0}
    for kind, weight in (("harmony", "w_o"), ("harmony", "w_r"), ("uw", "w_d"), ("dwa", "w_r"), ("nashmtl", "w_o")):
        with pytest.raises(ConfigError, match=f"balancer.{weight} is set, but {kind} learns"):
            make_balancer(BalancerConfig(kind=kind, **{weight: 1.0}), NAMES, MINI.image)


def test_a_flag_of_a_balancer_is_that_of_the_run(tmp_path):
    main([*SMOKE, "--method", "dwa", "--balancer.dwa-window", "3", "--folder", str(tmp_path), "--quiet"])
    lines = [line for line in read_metrics(tmp_path / "metrics.jsonl") if line["kind"] == "train"]
    assert run_folder.is_done(tmp_path) and all(None not in line.values() for line in lines)
    assert {line["weight/dynamics"] for line in lines} != {1.0}  # within the preset's few updates
