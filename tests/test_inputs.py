"""Bad input to every command: one line, exit status 2, nothing written."""

import importlib
import shutil
import string
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from figures.shared import style
from tests.refusals import one_line
from tests.test_studies import STUDIES

COMMANDS = {
    **{f"analysis.{name}": "study" for name in (*STUDIES.split(), "demo")},
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
    "analysis.examples": "examples",
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
    "examples": [
        *(flag(name, word) for name in ("--suite", "--tasks", "--alone", "--render")),
        *(flag(name, number) for name in ("--episodes", "--steps", "--seed", "--size")),
    ],
    "figure": [word.map(lambda w: [w]), st.just(["nowhere.h5", "--out", "x"])],
    "figures": [flag("--results", word)],
}
WEIGHT = [flag("--methods", word), flag("--methods", st.sampled_from(["w_r=x", "w_r=-1", "w_r=", "w_o=1,w_r=nan"]))]
OWN = {  # flags that a study has beside those of all
    "finding1": [flag("--w-r", number.filter(lambda text: text != LARGE)), flag("--w-r", word)],
    **dict.fromkeys(("loss_scales", "state_regression", "finding2", "counterfactual"), WEIGHT),
}


PLACES = {"study": "--runs runs --results results --out out", "train": "--folder run --quiet", "build": "--out buffer"}


def refused(module: str, words: list[str], monkeypatch, capsys) -> str:
    """The only line that a command says before it ends with status 2; nothing is written."""
    command = importlib.import_module(module)
    capsys.readouterr()
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(sys, "argv", [module, *words])
        style.main(module.partition(".")[2], command.draw) if COMMANDS[module] == "figure" else command.main()
    said = [line for line in capsys.readouterr().err.splitlines() if line.strip() and not line.startswith("measuring")]
    assert len(said) == 1 and not list(Path().iterdir()), (words, said)
    return one_line(stop.value.code, said[0])


@pytest.mark.parametrize("module", COMMANDS)
def test_bad_input_is_one_line(module, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.one_of(unknown, *KINDS[COMMANDS[module]], *OWN.get(module.rpartition(".")[2], [])))
    def try_words(words):
        if COMMANDS[module] in ("study", "build") and "--task" not in words:
            words = ["--task", "mini_lever", *words]
        if COMMANDS[module] == "study" and "--preset" not in words:
            words = ["--preset", "smoke", "--plan-only", *words]
        refused(module, words, monkeypatch, capsys)

    try_words()


TOLD = [
    ("analysis.finding1 --preset cpuu", "did you mean cpu"),
    ("analysis.finding1 --set model.dept=3", "model.depth"),
    ("analysis.finding1 --set model.depth", "expected name=value"),
    ("analysis.finding1 --set model.depth=x", "must be a whole number"),
    ("analysis.finding1 --w-r 1 1", "different values"),
    ("analysis.finding1 --w-r -5", "w_r is -5.0; it must be above 0"),
    ("analysis.finding1 --set seed=4", "use its own flag"),
    ("analysis.finding1 --set balancer.w_o=0", "use its own flag"),
    ("analysis.finding1 --seeds -1", "seed is -1"),
    ("analysis.finding1 --mode offline --buffer nowhere", "no complete buffer"),
    ("analysis.finding1 --task mini_levr", "did you mean mini_lever"),
    ("analysis.finding1 --set train.steps=40", "nothing would be learned"),
    ("analysis.finding1 --set train.steps=40 --launcher none", "nothing would be learned"),
    ("analysis.finding2 --methods w_r=1", "two methods are compared"),
    ("analysis.finding2 --methods w_r=1 harmonyy", "no method 'harmonyy'"),
    ("analysis.finding2 --tolerance -1", "--tolerance -1 --share 0.8: above 0"),
    ("analysis.finding2 --share 3 --plan-only", "a share is at most 1"),
    ("analysis.state_regression --folds 3", "--folds 3 of --episodes 2"),
    ("analysis.state_regression --folds 1 --plan-only", "--folds 1 of --episodes 2: at least 2"),
    ("analysis.state_regression --methods w_r=x", "'x' is not a number"),
    ("analysis.reward_mse --mode online", "add --mode offline"),
    ("analysis.ablations --methods w_r=1 harmony,w_r=10 --plan-only", "harmony learns its weights"),
    ("analysis.ablations --methods w_r=1,w_r=10 --plan-only", "w_r is given twice"),
    ("analysis.ablations --methods harmony,unrectified --plan-only", "harmony and unrectified are two methods"),
    ("analysis.multitask --methods w_r=1 uw,w_d=1 --plan-only", "uw learns its weights"),
    ("hdream_core.train --task mini_levr", "mini_lever"),
    ("hdream_core.train --preset smok", "did you mean smoke"),
    ("hdream_core.train --method harmonie", "did you mean harmony"),
    ("hdream_core.train --method dreamerv9", "did you mean dreamerv"),
    ("hdream_core.train --balancer.w-r -1", "w_r is -1.0; it must be above 0"),
    ("hdream_core.train --balancer.w-r 0", "balancer.w_r is 0"),
    ("hdream_core.train --method harmony --balancer.w-r 10", "harmony learns"),
    ("hdream_core.train --offline-buffer nowhere", "no complete buffer"),
    ("hdream_core.train --train.steps 44", "nothing would be learned"),
    ("hdream_core.train --train.length 60", "train.length is 60"),
    ("hdream_core.train --train.device gpu", "such as cuda:1"),
    ("hdream_core.train --train.device cuda:77", "PyTorch sees"),
    ("hdream_core.train --seed 1000000", "seed is 1000000"),  # an evaluation's
    ("hdream_core.train --agent.model.lr nan", "model.lr is nan"),
    ("hdream_core.train --config nowhere", "cannot be read"),
    ("hdream_core.train --config nowhere --method harmony", "leave out --task"),
    ("hdream_core.benchmark.__main__ --preset cpuu", "no preset 'cpuu'"),
    ("hdream_core.benchmark.__main__ --task mini_leverr", "mini_lever"),
    ("hdream_core.benchmark.__main__ --method harmny", "harmony"),
    ("hdream_core.benchmark.__main__ --rounds 0", "must be from 1"),
    ("hdream_core.benchmark.__main__ --json /nowhere/b.json", "no folder /nowhere"),
    ("hdream_core.benchmark.__main__ --json /", "is a folder"),
    ("hdream_core.benchmark.__main__ --offline-buffer /nowhere --parts replay", "/nowhere"),
    ("offline_buffers.build --source expert", "take scripted, random or run:PATH"),
    ("offline_buffers.build --source run:nowhere", "not a run's folder"),
    ("offline_buffers.build --steps 0", "steps is 0; it must be from 1"),
    ("offline_buffers.build --task mini_levr", "mini_lever"),
    ("offline_buffers.build --seed -1", "seed is -1"),
    ("offline_buffers.build --seed 1000000", "seed is 1000000"),  # an evaluation's
    ("offline_buffers.build --workers -1", "workers is -1"),
    *(  # what only episodes that are played have
        (f"offline_buffers.build --source run:somewhere {flags}", f"{flags}: cannot be used with --source")
        for flags in ("--steps 250000", "--seed 0", "--render auto", "--camera corner", "--workers 2")
    ),
]


@pytest.mark.parametrize(("typed", "told"), TOLD, ids=[typed for typed, _ in TOLD])
def test_the_line_says_what_is_wrong(typed, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    module, *words = typed.split()
    kind = COMMANDS[module]
    if not {"--task", "--config"} & set(words):
        words = ["--task", "mini_lever", *words]
    if kind in ("study", "train") and not {"--preset", "--config"} & set(words):
        words = ["--preset", "smoke", *words]
    assert told in refused(module, [*words, *PLACES.get(kind, "").split()], monkeypatch, capsys)
