"""The paper's own arrangements of panels, and what users choose of every figure: width, letters, formats, captions."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from analysis.results.measures import LOSSES
from analysis.results.schema import ResultError, load
from figures import fig2, fig3, fig22, fig23, finding1
from figures.shared import choice, options, style
from tests.test_figures import texts

DATA = style.SHIPPED


def panels(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def some(tmp_path, *names):
    """A folder with some of the shipped results."""
    folder = tmp_path / "results"
    folder.mkdir()
    for name in names:
        (folder / f"{name}.h5").write_bytes((DATA / f"{name}.h5").read_bytes())
    return folder


def command(*args, **options):
    return subprocess.run([sys.executable, "-m", *map(str, args)], capture_output=True, text=True, **options)


def test_figure_2_has_its_three_panels_side_by_side(drawn, tmp_path):
    assert fig2.draw(DATA, tmp_path).name == "fig2_lever_pull.png"
    (figure,) = drawn
    a, b, c = panels(figure)
    assert [axes.get_title()[:3] for axes in (a, b, c)] == ["(a)", "(b)", "(c)"]
    assert len({round(axes.get_position().y1, 3) for axes in (a, b, c)}) == 1  # side by side
    assert b.get_yscale() == "log" and c.get_yscale() == "linear"
    assert figure.get_figwidth() == 5.5 and figure.get_figheight() < 3
    heights = [bar.get_height() for bar in c.patches]
    lever = load(DATA / "state_regression_lever_pull_cpu.h5").values("mlp/posterior")
    assert heights[:2] == pytest.approx(lever.mean((1, 2, 3, 4)))  # all three objects move
    assert len(heights) == 2 * 3  # the weights on each task
    loss = load(DATA / "loss_scales_lever_pull_cpu.h5").values("loss/reward")[0].mean(0)
    assert any(len(line.get_ydata()) == len(loss) and np.allclose(line.get_ydata(), loss) for line in b.lines)
    assert any("reduced" in text for text in texts(figure))
    for name in ("finding1_lever_pull_cpu.h5", "loss_scales_lever_pull_cpu.h5", "state_regression_hammer_cpu.h5"):
        assert name in figure.caption


def test_a_panel_without_a_result_says_so_and_the_others_are_drawn(drawn, tmp_path):
    fig2.draw(some(tmp_path, "loss_scales_hammer_cpu"), tmp_path, "hammer")
    (figure,) = drawn
    empty = [text for text in texts(figure) if "no result of" in text]
    assert len(empty) == 2 and "finding1 on hammer" in empty[0] and "state_regression on hammer" in empty[1]
    assert "State regression" not in figure.caption and "loss_scales_hammer_cpu.h5" in figure.caption


def test_figure_3_is_one_trajectory_with_its_rewards_marked(drawn, tmp_path):
    fig3.draw(DATA, tmp_path)
    (figure,) = drawn
    result = load(DATA / "finding2_lever_pull_cpu.h5")
    frames, context = result.axes["frame"], result.notes["protocol"]["context"]
    assert len(panels(figure)) == 3 * len(frames)
    window = int(result.values("case/window")[0])
    truth, dreams = result.values("true_reward")[window], result.values("dreamed_reward")[:, 0, window]
    shown = np.reshape([axes.get_xlabel() for axes in panels(figure)], (3, len(frames)))
    for row, rewards in zip(shown, (truth, *dreams), strict=True):
        for text, frame in zip(row, frames, strict=True):
            if frame < context:
                assert not text
                continue
            reward = rewards[frame - context]
            assert text.startswith(f"{reward:z.1f}")
            marks = {"\N{CHECK MARK}", "\N{MULTIPLICATION X}"} & set(text)
            right = abs(reward - truth[frame - context]) <= result.notes["protocol"]["tolerance"]
            assert marks == (set() if rewards is truth else {"\N{CHECK MARK}"} if right else {"\N{MULTIPLICATION X}"})
    assert any("\N{MULTIPLICATION X}" in text for text in shown[1])


@pytest.mark.parametrize("module", [fig22, fig23])
def test_a_panel_a_task_begins_with_lever_pull(drawn, tmp_path, module):
    module.draw(DATA, tmp_path)
    module.draw(DATA, tmp_path, ["hammer"])
    rows, alone = drawn
    more = ["Coffee Button"] * (module is fig22)
    assert [axes.get_title() for axes in panels(rows)] == ["Lever Pull", "Handle Pull Side", "Hammer", *more]
    assert [axes.get_title() for axes in panels(alone)] == ["Hammer"]
    if module is fig23:
        result = load(DATA / "coefficients_lever_pull_cpu.h5")
        ends = {round(float(line.get_ydata()[-1]), 6) for line in panels(rows)[0].lines}
        assert {round(float(result.values(f"weight/{loss}")[0, :, -1].mean()), 6) for loss in LOSSES} <= ends


def test_the_fullest_result_is_drawn_and_a_preset_names_another():
    found = choice.results_of(DATA, "finding1")
    assert choice.best(found, "finding1", "lever_pull")[0].name == "finding1_lever_pull_cpu.h5"  # quick has one seed
    found = choice.results_of(DATA, "finding1", preset="quick")
    assert choice.best(found, "finding1", "lever_pull")[0].name == "finding1_lever_pull_quick.h5"
    found = choice.results_of(DATA, "state_regression")
    assert choice.best(found, "state_regression", "hammer")[0].name == "state_regression_hammer_cpu.h5"
    with pytest.raises(ResultError, match="fig"):
        choice.results_of(DATA / "figures", "finding1")


@pytest.mark.parametrize("name", ["fig2", "fig3", "fig22", "fig23"])
def test_figures_of_the_paper_are_commands(tmp_path, name):
    studies = {"fig2": "state_regression", "fig3": "finding2", "fig22": "finding1", "fig23": "coefficients"}
    folder = some(tmp_path, f"{studies[name]}_hammer_cpu")
    flags = ("--results", folder, "--out", tmp_path / "out", "--task", "hammer", "--width", 3.25, "--font-size", 6)
    done = command(f"figures.{name}", *flags, "--format", "png", "pdf", "svg", check=True)
    picture = tmp_path / "out" / f"{name}_hammer.png"
    assert done.stdout.split() == [str(picture)]
    with Image.open(picture) as image:
        assert image.width == pytest.approx(3.25 * 150, abs=1)
    assert picture.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert ElementTree.parse(picture.with_suffix(".svg")).getroot().tag.endswith("svg")
    text = picture.with_suffix(".txt").read_text()
    for words in (f"{studies[name]}_hammer_cpu.h5", "Scale: reduced", "3 seeds", f"figures.{name} --task hammer"):
        assert words in text
    assert load(folder / f"{studies[name]}_hammer_cpu.h5").attributes["command"] in text


def test_captions_go_where_they_are_asked_to(tmp_path, drawn):
    source = DATA / "finding1_lever_pull_cpu.h5"
    for caption in ("file", "inside", "none"):
        with options.using(options.Options(caption=caption)):
            finding1.draw(source, tmp_path)
    file, inside, none = (" ".join(texts(figure)) for figure in drawn)
    for told in ("train.steps=4000", source.name, "Large dots"):
        assert told in inside and told not in file and told not in none
    assert all("reduced" in text for text in (file, inside, none))  # the scale is never away
    assert drawn[1].get_figheight() > drawn[0].get_figheight()


@pytest.mark.parametrize(("caption", "beside"), [("file", True), ("none", False), ("inside", False)])
def test_a_caption_is_a_file_only_where_it_is_one(tmp_path, caption, beside):
    with options.using(options.Options(formats=("svg",), caption=caption)):
        assert finding1.draw(DATA / "finding1_lever_pull_quick.h5", tmp_path).suffix == ".svg"
    assert {path.suffix for path in tmp_path.iterdir()} == {".svg", *([".txt"] if beside else [])}


def test_letters_grow_together(drawn, tmp_path):
    for size in (8, 12):
        with options.using(options.Options(font_size=size)):
            finding1.draw(DATA / "finding1_lever_pull_cpu.h5", tmp_path)
    usual, large = ([text.get_fontsize() for text in figure.findobj(Text) if text.get_text()] for figure in drawn)
    assert min(large) == pytest.approx(1.5 * min(usual)) and max(large) == pytest.approx(1.5 * max(usual))


def test_captions_explain_only_what_is_drawn(drawn, tmp_path):
    finding1.draw(DATA / "finding1_handle_pull_side_cpu.h5", tmp_path)  # an interval goes on beyond the axis
    finding1.draw(DATA / "finding1_lever_pull_cpu.h5", tmp_path)
    finding1.draw(DATA / "finding1_lever_pull_paper.h5", tmp_path)  # one seed
    arrow, whole, one = (figure.caption for figure in drawn)
    assert "an arrow" in arrow and "an arrow" not in whole and "Large dots" in whole
    assert not {"dots", "arrow", "bands", "episodes (bootstrap)"} & set(one.split()) and "thin" not in one.lower()


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("figures.fig2", "--task", "no_such_task"), "no_such_task"),
        (("figures.fig22", "--task", "lever_pull", "no_such_task"), "no_such_task"),
        (("figures.fig3", "--results", "no/folder"), "no/folder"),
        (("figures.fig23", "--preset", "huge"), "figures/data"),
        (("figures", "--results", "no/folder"), "no/folder"),
        (("figures", "--results", DATA.parents[1] / "docs"), "docs"),
        (("figures.fig2", "--width", "0"), "--width"),
        (("figures.fig2", "--width", "nan"), "--width"),
        (("figures", "--font-size", "1000"), "--font-size"),
        (("figures.finding1", "--format", "bmp"), "--format"),
        (("figures", "--caption", "elsewhere"), "--caption"),
    ],
)
def test_bad_choices_are_one_line(tmp_path, args, named):
    bad = command(*args, "--out", tmp_path / "out")
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1 and named in bad.stderr
    assert not (tmp_path / "out").exists()


def test_a_damaged_result_of_another_study_is_in_nobodys_way(tmp_path):
    folder = some(tmp_path, "coefficients_hammer_cpu", "finding1_hammer_cpu")
    whole = (folder / "finding1_hammer_cpu.h5").read_bytes()
    (folder / "finding1_hammer_cpu.h5").write_bytes(whole[:2000])
    fig23.draw(folder, tmp_path / "out")
    with pytest.raises(ResultError, match=r"finding1_hammer_cpu\.h5"):
        fig22.draw(folder, tmp_path / "out")


def test_the_list_of_figures_begins_with_the_papers():
    done = command("figures", "--help", check=True)
    names = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("  python -m figures.")]
    assert names[:4] == [f"figures.{name}" for name in ("fig2", "fig3", "fig22", "fig23")]
