"""Wrong dreams under altered actions: averted, missed and made-up events, and calibration, per reward-loss weight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis.results.schema import Result, load
from analysis.results.tasks import task_facts
from analysis.results.wrong_dreams import Cases, altered, discrimination, of_actions, probe_cannot_tell
from figures.shared import marks, style, words
from figures.shared.wrong_dreams import blind, frequencies
from hdream_core.support.drawing import Axes, Figure, Line2D

ITEM = "Finding 2 (ours)"
SHOWS = (  # in the paper
    "The paper has only the pictures of Fig. 3. Here recorded states are branched in the simulator, altered "
    "actions are played there and in the dreams, and wrong dreams are counted."
)

NAMES = {
    "recorded": "as recorded",
    "halt": "halt",
    "stop_short": "stop short",
    "displaced": "displaced",
    "mirrored": "mirrored",
}
EVENTS = {"reward": "reward rises", "object": "{} moves"}
HIGH = 2.95  # inches, of an event
UNSEEING = {"marker": "x", "color": "0.4", "markersize": 4}  # a model that ignores actions


class Row(NamedTuple):
    """A row of a panel: a heading, or cases and what a model that ignores actions has of them."""

    text: str
    cases: Cases | None = None
    blind: float = np.nan


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.counterfactual``; returns the PNG's path."""
    source, result = Path(source), load(source)
    unread = probe_cannot_tell(result)  # then there is nothing to draw of the object
    events = [event for event in EVENTS if not (event == "object" and unread)]
    figure = style.figure(style.WIDTH, HIGH * len(events) + 0.7)
    for part, event in zip(np.ravel(figure.subfigures(len(events), 1)), events, strict=True):
        left, right = part.subfigures(1, 2, width_ratios=(1, 1))
        _rates(left.subplots(), result, event)
        upper, lower = right.subplots(2, 1, height_ratios=(1.15, 1))
        _made_up(upper, result, event)
        _calibration(lower, result, event)
    title = f"Wrong dreams under altered actions, {words.task(result)}"
    unseeing = Line2D([], [], linestyle="", label="a model that ignores actions", **UNSEEING)
    style.frame(figure, title, {source: result}, _note(figure, result, unread), [*style.handles(result), unseeing])
    return style.save(figure, out, source.stem)


def _note(figure: Figure, result: Result, unread: str) -> str:
    level, thing = result.notes["protocol"]["thresholds"], words.main_thing(result)
    unit = task_facts(result.attributes["task"]).length
    parts = [
        f"Reward rises: above {level['reward']:.2g}. All branches begin at an untouched {thing}, and altered actions "
        f"never touch it. In brackets: cases.{words.short(result, len(result.axes['branch']), 'branches')}",
        marks.note(figure),
        "Calibration: each seed's probability of each branch and action, weighted as in the record; numbers: how "
        "many; lines: 95 % intervals over episodes, none where there are under five.",
    ]
    if unread:
        parts.append(f"The {thing}'s motion is not drawn: {unread.removeprefix('not judged: ')}.")
    else:
        quiet = result.values("object/quiet")
        parts.append(
            f"The {thing} moves: by over {level['object']:g} {unit}; in dreams, by over {quiet.min():.2g} to "
            f"{quiet.max():.2g} as the probe reads it. Dashed: motion that it sees in seen frames where there is none."
        )
    return " ".join(parts)


def _rates(axes: Axes, result: Result, event: str) -> None:
    """What the altered actions avert and is dreamed nevertheless, what is missed, and whether dreams tell the two."""
    recorded = list(result.axes["alternative"]).index("recorded")
    rows = [Row("dreamed, but averted"), *_by_action(result, event, "averted"), Row("happens, not dreamed")]
    rows += [_row(result, event, "miss", "as recorded", [recorded]), Row("told apart*")]
    rows += [Row("recorded minus altered", discrimination(result, event), 0.0)]
    _rows(axes, result, rows, whole=True)
    axes.set_title(f"{_event(result, event)}: averted or missed")
    axes.set_xlabel("Share of dreams (*difference of two shares, 1 is best)")


def _made_up(axes: Axes, result: Result, event: str) -> None:
    _rows(axes, result, _by_action(result, event, "hallucination"))
    if event == "object":
        for i, method in enumerate(result.methods):
            level = result.values("object/floor")[i].mean()
            axes.axvline(level, color=style.color(method, i), linewidth=0.8, dashes=(4, 2))
    axes.set_title("Dreamed, does not happen")
    axes.set_xlabel("Share of dreams")


def _event(result: Result, event: str) -> str:
    text = EVENTS[event].format(words.main_thing(result))
    return text[0].upper() + text[1:]


def _by_action(result: Result, event: str, wrong: str) -> list[Row]:
    """A row for each alternative, and for all that alter something."""
    names = [str(name) for name in result.axes["alternative"]]
    rows = [_row(result, event, wrong, NAMES[name], [j]) for j, name in enumerate(names)]
    return [*rows, _row(result, event, wrong, "all altered", altered(result))]


def _row(result: Result, event: str, wrong: str, text: str, which: Sequence[int]) -> Row:
    return Row(text, of_actions(result, event, wrong, which), blind(result, event, wrong, which))


def _rows(axes: Axes, result: Result, rows: Sequence[Row], whole: bool = False) -> None:
    """Headings and rows, the methods beside each other; a row without a case is left out."""
    rows = [row for row in rows if row.cases is None or len(row.cases.episode)]
    found = [row.cases for row in rows if row.cases]
    episodes = [cases.over_episodes(i)[1:] for cases in found for i in range(len(cases.wrong))]
    unseeing = [row.blind for row in rows if np.isfinite(row.blind)]
    seeds = (cases.seeds.ravel() for cases in found)
    shown = np.concatenate([[0.0, 1.0 if whole else 0.0], unseeing, *seeds, *episodes])
    spans = marks.ends(cases.over_seeds(i) for cases in found for i in range(len(cases.wrong)))
    marks.limit(axes, shown, "x", spans=spans)
    axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    methods = result.methods
    for at, (_, cases, unseen) in enumerate(rows):
        for i, method in enumerate(methods if cases else []):
            place, color = at + (i - (len(methods) - 1) / 2) * 0.36, style.color(method, i)
            spans = cases.over_seeds(i), cases.over_episodes(i)
            marks.spread(axes, place, cases.seeds[i], spans[0], color, "x", spans[1], aside=-0.16)
        if np.isfinite(unseen):
            axes.plot(unseen, at, clip_on=False, linestyle="", **UNSEEING)
    texts = [f"{text} ({len(cases.episode):,})" if cases else text for text, cases, _ in rows]
    axes.set_yticks(range(len(rows)), texts)
    for text, row in zip(axes.get_yticklabels(), rows, strict=True):
        text.set(style="normal" if row.cases else "italic")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)


def _calibration(axes: Axes, result: Result, event: str) -> None:
    """True frequency of the event by the probability that is dreamed, as weighted in the record."""
    axes.plot((0, 1), (0, 1), color="0.7", linewidth=0.8)
    axes.set(xlim=(-0.09, 1.09), ylim=(-0.04, 1.52))
    for i, method in enumerate(result.methods):
        color = style.color(method, i)
        for at, span, count in frequencies(result, event, i):
            place = at + 0.02 * (2 * i - 1)
            marks.whisker(axes, place, span, color, linewidth=1, label="_calibration")
            axes.plot(place, span.mean, "o", color=color, markersize=3.5)
            axes.text(at, 1.5 - 0.21 * i, f"{count:,}", color=color, fontsize=style.small(), ha="center", va="top")
    axes.set_xlabel("Dreamed probability")
    axes.set_ylabel("True frequency")
    axes.set_yticks((0, 0.5, 1))
    axes.set_title("Calibration, all actions")


if __name__ == "__main__":
    style.main("counterfactual", draw)
