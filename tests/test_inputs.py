"""Bad input to every command: one line, exit status 2, nothing written."""

import importlib
import shutil
import string
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from figures.shared import style

STUDIES = """
    finding1 loss_scales state_regression finding2 counterfactual finding3 reward_mse coefficients ablations multitask
    demo
"""
COMMANDS = {
    **{f"analysis.{name}": "study" for name in STUDIES.split()},
    "hdream_core.train": "train",
    "hdream_core.benchmark.__main__": "benchmark",
    "offline_buffers.build": "build",
    "offline_buffers.validate": "folder",
    "offline_buffers.describe": "folder",
    "analysis.status": "runs",
    "analysis.clean": "runs",
    "analysis.collect": "collect",
    "analysis.claims": "claims",
    "analysis.atari_table": "none",
    "figures.__main__": "figures",
    **{f"figures.{name}": "figure" for name in ("finding1", "finding2", "atari_table")},
}
# Words that mean nothing anywhere: no task, preset, number, setting or path begins like this.
word = st.text(string.ascii_letters + string.digits + "._/=~%{}[]()'\" é∞", min_size=1, max_size=12).map("zq".__add__)
LARGE = "9" * 26
number = st.sampled_from(["-1", "nan", "1e9999", "0x3", "one", "", "3.7.1", "१२x", LARGE])
unknown = st.builds(lambda w: [f"--{w}", w], st.text(string.ascii_lowercase, min_size=3, max_size=10).map("zq".__add__))


def flag(name: str, values) -> st.SearchStrategy[list[str]]:
    return values.map(lambda value: [name, value])


STUDY = [
    *(flag(name, word) for name in ("--task", "--preset", "--mode", "--set", "--launcher", "--buffer", "--workers")),
    flag("--seeds", number),
    flag("--workers", number),
    flag("--set", number),
    flag("--set", number.map("train.batch=".__add__)),
    flag("--launcher", st.just("slurm")).filter(lambda _: shutil.which("squeue") is None),
    flag("--set", word.map("train.steps=".__add__)),
    flag("--set", word.map("model.depht=".__add__)),
    flag("--slurm-time", word),
    st.just(["--task"]),
]
KINDS = {
    "study": STUDY,
    "train": [
        *(flag(name, word) for name in ("--task", "--preset", "--method", "--config", "--offline-buffer")),
        *(
            flag(name, number)
            for name in ("--seed", "--train.steps", "--agent.model.depth", "--balancer.w-r", "--eval.windows")
        ),
        st.just(["--method"]),
    ],
    "benchmark": [
        *(flag(name, word) for name in ("--task", "--preset", "--method", "--parts", "--offline-buffer", "--render")),
        flag("--rounds", number),
        flag("--json", word.map("/nowhere/".__add__)),
    ],
    "build": [
        *(flag(name, word) for name in ("--task", "--source", "--render", "--camera")),
        flag("--source", word.map("run:".__add__)),
        *(flag(name, number) for name in ("--steps", "--seed", "--workers")),
    ],
    "folder": [word.map(lambda w: [w]), st.just([])],
    "runs": [flag("--runs", word)],
    "collect": [word.map(lambda w: [w]), flag("--task", word).map(lambda words: ["finding1", *words]), st.just([])],
    "claims": [flag("--results", word)],
    "none": [],
    "figure": [word.map(lambda w: [w]), st.just(["nowhere.h5", "--out", "x"])],
    "figures": [flag("--results", word)],
}
WEIGHT = [flag("--methods", word), flag("--methods", st.sampled_from(["w_r=x", "w_r=-1", "w_r=", "w_o=1,w_r=nan"]))]
OWN = {  # flags that a study has beside those of all
    "finding1": [flag("--w-r", number.filter(lambda text: text != LARGE)), flag("--w-r", word)],
    "loss_scales": WEIGHT,
    "state_regression": WEIGHT,
    "finding2": WEIGHT,
    "counterfactual": WEIGHT,
}


def call(module: str, words: list[str], monkeypatch) -> None:
    """As ``python -m`` does; figures take their words from the process alone."""
    command = importlib.import_module(module)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", [module, *words])
        match COMMANDS[module]:
            case "figures":
                command.main()
            case "figure":
                style.main(module.partition(".")[2], command.draw)
            case _:
                command.main(words)


@pytest.mark.parametrize("module", COMMANDS)
def test_bad_input_is_one_line(module, tmp_path, monkeypatch, capsys, record_property):
    monkeypatch.chdir(tmp_path)
    tried = []

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.one_of(unknown, *KINDS[COMMANDS[module]], *OWN.get(module.rpartition(".")[2], [])))
    def refused(words):
        if COMMANDS[module] in ("study", "build") and "--task" not in words:
            words = ["--task", "mini_lever", *words]
        if COMMANDS[module] == "study" and "--preset" not in words:
            words = ["--preset", "smoke", "--plan-only", *words]
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            call(module, words, monkeypatch)
        said = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        assert stop.value.code == 2 and len(said) == 1 and said[0].startswith("error: "), (words, said)
        assert not list(tmp_path.iterdir()), words
        tried.append(words)

    refused()
    record_property("inputs", len(tried))
