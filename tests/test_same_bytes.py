"""Two runs with plain kernels write the metrics that the code wrote before the agent became a contract, to the byte.

Sums of floats differ between processors and libraries, and one sampled latent that falls elsewhere changes all that
follows. So bytes are compared where ``golden/metrics_machine.json`` describes this machine, and the first losses
elsewhere.
"""

import hashlib
import json
from pathlib import Path

import pytest

from hdream_core.runs.metrics import read_metrics
from hdream_core.support.provenance import package_versions
from hdream_core.train import main

GOLDEN = Path(__file__).parent / "golden"
PLAIN = ["--train.kernels", "plain", "--train.precision", "float32", "--train.threads", "1", "--quiet"]


def this_machine() -> dict[str, str]:
    """What decides the last bits of a sum: packages, and the processor with what it can do."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().split("\n\n")[0].splitlines() if cpuinfo.exists() else []
    kinds = ("model name", "cpu family", "model\t", "stepping", "flags")
    processor = "\n".join(line for line in lines if line.startswith(kinds))
    packages = {name: package_versions()[name] for name in ("torch", "numpy", "mujoco", "metaworld")}
    return packages | {"processor": hashlib.sha256(processor.encode()).hexdigest()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "flags"),
    [
        pytest.param(
            "metrics_lever_pull_smoke",
            ["--task", "lever_pull", "--preset", "smoke", "--env.render", "fast"],
            marks=pytest.mark.render,
        ),
        (
            "metrics_mini_lever_2000",
            ["--task", "mini_lever", "--preset", "cpu", "--method", "harmony", "--train.steps", "2000"],
        ),
    ],
)
def test_metrics_have_the_bytes_of_before(tmp_path, name, flags):
    main([*flags, *PLAIN, "--folder", str(tmp_path)])
    golden, now = GOLDEN / f"{name}.jsonl", tmp_path / "metrics.jsonl"
    if this_machine() == json.loads((GOLDEN / "metrics_machine.json").read_text()):
        assert now.read_bytes() == golden.read_bytes()
    first = [next(line for line in read_metrics(path) if line["kind"] == "train") for path in (golden, now)]
    assert list(first[0]) == list(first[1])
    for loss in ("observation", "reward", "dynamics"):
        assert first[1][f"loss/{loss}"] == pytest.approx(first[0][f"loss/{loss}"], rel=0.05)
