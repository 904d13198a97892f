"""Figures are drawn from result files alone, and say of them what is so."""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

import figures.finding1
from analysis.results import comparisons
from analysis.results.schema import load, save
from analysis.results.stats import Interval
from analysis.results.wrong_dreams import altered
from figures import coefficients, gallery
from figures.page import FIGURES, PAPER
from figures.shared import forest, marks, style, words, wrong_dreams
from hdream_core.balancers import analytic_weight
from tests.test_project import LIGHT
from tests.test_reading import FINAL

# Of hdream_core a figure needs what reads result files without trust and command lines; none needs torch or mujoco.
FREE = (
    "assert not {'torch', 'mujoco', 'matplotlib.pyplot', 'seaborn'} & set(sys.modules);"
    f"assert {{m for m in sys.modules if m.startswith('hdream_core')}} <= {LIGHT}"
)


def test_all_figures_are_redrawn_without_torch(tmp_path):
    """The shipped results through the command: every one of them, a page that shows them, and no torch."""
    code = (
        "import runpy, sys; sys.argv = ['figures', '--out', sys.argv[1]];"
        "runpy.run_module('figures', run_name='__main__');"
        f"{FREE}"
    )
    command, root = [sys.executable, "-c", code, str(tmp_path)], style.SHIPPED.parent.parent
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    shipped = {path.stem for path in style.SHIPPED.glob("*.h5")} | {"coefficients_cpu"}
    shipped |= {"fig2_lever_pull", "fig3_lever_pull", "fig22", "fig23"}
    assert shipped == {path.stem for path in tmp_path.glob("*.png")} == {path.stem for path in tmp_path.glob("*.txt")}
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".pdf", ".txt", ".md"}
    for path in tmp_path.glob("*.png"):
        with Image.open(path) as image:
            assert image.height < 1000, path.name
    page = (tmp_path / "README.md").read_text()
    assert all(f"({name}.png)" in page for name in shipped) and "In the paper" in page
    committed = style.SHIPPED.parent.parent / "docs" / "figures" / "README.md"
    assert committed.read_text() == page, "after new results: python -m figures --out docs/figures"
    for path in tmp_path.glob("*.txt"):
        assert (committed.parent / path.name).read_text() == path.read_text(), path.name
    first = [line for line in page.splitlines() if line.startswith("![")]
    assert first[:2] == ["![fig2_lever_pull](fig2_lever_pull.png)", "![fig3_lever_pull](fig3_lever_pull.png)"]
    of_sweep = [line for line in first if "finding1" in line]
    assert "lever_pull" in of_sweep[0]
    assert "mini_lever" in of_sweep[-2] and "mini_moves" in of_sweep[-1]  # miniatures come last
    assert len(done.stdout.splitlines()) == len(shipped) + 1


def texts(figure):
    """Without the places where lines were wrapped."""
    return [" ".join(text.get_text().split()) for text in figure.findobj(Text)]


def cut(found, seeds):
    """A result with some of its seeds, as the study would make it."""
    axes = found.axes | {"seed": found.axes["seed"][seeds]}
    data = {
        name: (of, np.take(values, seeds, of.index("seed")) if "seed" in of else values)
        for name, (of, values) in found.data.items()
    }
    found = comparisons.add(replace(found, axes=axes, data=data, notes=dict(found.notes)))
    found.notes["final"] = FINAL[found.attributes["study"]](found)
    return found


@pytest.mark.parametrize("path", sorted(style.SHIPPED.glob("*.h5")), ids=lambda path: path.stem)
def test_one_seed_is_drawn_and_no_interval_over_seeds_claimed(tmp_path, drawn, path):
    found = load(path)
    if "seed" not in found.axes:
        return
    import_module(f"figures.{found.attributes['study']}").draw(save(cut(found, [0]), tmp_path / path.name), tmp_path)
    (figure,) = drawn
    assert any("one seed" in text and found.attributes["scale"] in text for text in texts(figure))
    assert "one seed, so no intervals over seeds" in figure.caption
    assert "over seeds (Student t)" not in figure.caption and "small dots" not in figure.caption
    assert figure.get_figwidth() <= style.WIDTH
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
    assert min(sizes) >= style.SMALL


def test_a_panel_of_nothing_gives_way_to_the_comparison(tmp_path, drawn):
    path = style.SHIPPED / "finding1_lever_pull_cpu.h5"
    figures.finding1.draw(path, tmp_path)
    (figure,) = drawn
    found = texts(figure)
    assert "Policy: success" not in found and "No episode of any evaluation succeeds" in figure.caption
    for method in ("w_r=10", "w_r=100", "w_o=0,w_r=100", "harmony"):
        for span in comparisons.difference(load(path), "window/error", method, "w_r=1"):
            assert forest.short(span, 2) in found


def test_harmony_is_what_is_judged_among_its_ablations():
    found = load(style.SHIPPED / "ablations_lever_pull_cpu.h5")
    rows = {row.label: row for row in forest.of_dreams(found, "harmony", judged=True).rows}
    error = dict(zip(found.axes["method"], found.values("window/error").mean(-1), strict=True))
    assert "HarmonyDream" not in rows
    np.testing.assert_allclose(rows["Unrectified"].seeds, error["harmony"] - error["unrectified"])


def test_data_set_an_axis_and_an_arrow_says_where_an_interval_goes_on():
    axes = Figure().subplots()
    marks.limit(axes, np.array([1.0, 2.0]), spans=[-50.0, 2.2])
    low, high = axes.get_ylim()
    assert 0 < low < 1 and 2.2 < high < 2.5
    marks.whisker(axes, 0, Interval(1.5, -50.0, 2.2), "k")
    line, arrow = axes.lines
    assert tuple(line.get_ydata()) == (low, 2.2) and arrow.get_marker() == "v" and arrow.get_ydata() == [low]


def test_footer_says_how_long_runs_are_and_what_the_command_changes():
    text = words.origin(load(style.SHIPPED / "finding2_lever_pull_cpu.h5"))
    assert "(preset cpu with train.steps=4000 eval.episodes=5)" in text and "800 updates" in text
    assert "interval" not in text
    cut_off = words.origin(load(style.SHIPPED / "finding1_lever_pull_paper.h5"))
    assert cut_off.endswith("RUNS NOT COMPLETE: at 21,500 of 250,000 steps.") and "log." not in cut_off
    assert words.changed("python -m x --set a=1 b=2 --preset c=3 --set d=4") == "a=1 b=2 d=4"


def test_what_ignores_actions_has_wrong_what_the_altered_ones_avert():
    found = load(style.SHIPPED / "counterfactual_lever_pull_cpu.h5")
    which = altered(found)
    assert wrong_dreams.blind(found, "reward", "averted", which) == 1  # by definition: it dreams the record
    happened, weight = found.values("reward/happened"), found.values("branch/weight")
    (recorded,) = set(range(len(happened))) - set(which)
    cases = [(j, b) for j in which for b in np.flatnonzero(happened[j] == 0)]
    expected = np.average([happened[recorded, b] for _, b in cases], weights=[weight[b] for _, b in cases])
    assert wrong_dreams.blind(found, "reward", "hallucination", which) == pytest.approx(expected)
    bins = list(wrong_dreams.frequencies(found, "reward", 0))
    assert sum(count for *_, count in bins) == np.isfinite(happened).sum() * len(found.axes["seed"])


def test_tasks_share_a_figure_of_coefficients(tmp_path, drawn):
    names = [
        path.name for path in coefficients.of_all_tasks(style.SHIPPED.glob("coefficients*.h5"))["coefficients_cpu"]
    ]
    assert names == [f"coefficients_{task}_cpu.h5" for task in ("lever_pull", "handle_pull_side", "hammer")]
    coefficients.draw_all([style.SHIPPED / name for name in names], tmp_path, "coefficients_cpu")
    coefficients.draw(style.SHIPPED / names[0], tmp_path)
    both, one = (texts(figure) for figure in drawn)
    told = drawn[0].caption
    assert "Lever Pull 1.43 [1.28, 1.58]" in told and "Handle Pull Side 0.68" in told
    assert any("Fig. 4, right" in text for text in both) and not any("Fig. 4, right" in text for text in one)
    assert ", ".join(names) in told


def test_curves_of_figure_4_are_the_balancers_analytic_weights():
    """Figures may not load torch, so Eq. 13 is not at hand there."""
    axes = Figure().subplots()
    coefficients._rectified(axes, {})
    drawn = {line.get_label(): line.get_xydata() for line in axes.lines}
    for label, rectified in (("Eq. 5, rectified", True), ("Eq. 4: $1/L$", False)):
        curve = drawn[label]
        expected = [analytic_weight(loss, rectified) for loss in curve[:, 0]]
        np.testing.assert_allclose(curve[:, 1], expected, rtol=1e-12)
        np.testing.assert_allclose(curve[[0, -1], 0], [1e-4, 1e4], rtol=0.2)


def test_every_study_with_a_figure_is_on_the_page():
    sources = {path.stem: path.read_text() for path in Path(figures.__file__).parent.glob("*.py")}
    assert {name for name, text in sources.items() if "style.main(" in text} == set(PAPER)
    assert {name for name, text in sources.items() if "paper.main(" in text} == set(FIGURES) == set(gallery.FIGURES)
