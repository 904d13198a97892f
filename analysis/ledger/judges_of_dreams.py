"""Judges of what trained models dream: events that altered actions avert, rewards that do not come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.ledger.verdicts import (
    MISSING,
    NOT_MEASURED,
    NOT_REPRODUCED,
    NOT_SHOWN,
    REPRODUCED,
    Finding,
    Judge,
    Shelf,
    balanced,
    compared,
    methods_of,
)
from analysis.results.schema import Result
from analysis.results.stats import known, read_interval, show
from analysis.results.tasks import task_facts
from analysis.results.wrong_dreams import probe_cannot_tell
from analysis.runs.methods import IMPLICIT, ORIGINAL

MISSES = 0.05  # by so much more may the balanced model miss what happens
ALL = 0.95  # models that miss so many have none left to lose


def wrong_dreams(event: str, wrong: str, margin: float = 0.0) -> Judge:
    """Whether the balanced model has fewer wrong dreams, and not by dreaming of nothing.

    A model that never dreams of the event has no hallucinations. So fewer of them, with either weight, count only if
    that model's misses are shown to be no more, within ``MISSES``. Where both models miss nearly ``ALL``, their misses
    show nothing. A probe that sees motion where there is none cannot tell what a dream has.
    """

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result, other in _branched(shelf):
            if event == "object" and (words := probe_cannot_tell(result)):
                findings.append(Finding(words, NOT_MEASURED, name, result.attributes["scale"]))
                continue
            row = result.notes["final"].get(f"{event}/{wrong}_rate", {})
            if other not in row:
                continue
            cells = [f"{m} {show(row[m]['over_seeds'])}" for m in (other, ORIGINAL)]
            spans = [read_interval(row[other][f"paired_over_{over}"]) for over in ("seeds", "episodes")]
            words = f"{', '.join(cells)}, {row['cases']} cases of {row['episodes']} episodes"
            words += _counts_from(result, other) if event == "object" else ""
            finding = compared(name, result, words, spans, -1, margin)
            if wrong == "miss" and min(row[m]["over_seeds"]["mean"] for m in (other, ORIGINAL)) > ALL:
                finding = replace(finding, ours=f"{finding.ours}; both miss nearly all", verdict=NOT_SHOWN)
            if wrong != "miss" and finding.verdict in (REPRODUCED, NOT_REPRODUCED):
                fewer, more = (other, ORIGINAL) if finding.verdict == REPRODUCED else (ORIGINAL, other)
                if not _no_more_misses(result, event, other, fewer == other):
                    said = f"{finding.ours}; but that {fewer} does not miss more than {more} is not shown"
                    finding = replace(finding, ours=said, verdict=NOT_SHOWN)
            findings.append(finding)
        return findings or [MISSING]

    return judge


def _no_more_misses(result: Result, event: str, other: str, of_other: bool) -> bool:
    """Whether the misses of a method, or those of w_r = 1, are shown to be no more than the other's."""
    misses = result.notes["final"].get(f"{event}/miss_rate", {}).get(other, {})
    spans = [misses.get(f"paired_over_{over}", {}) for over in ("seeds", "episodes")]
    ends = [span.get("high" if of_other else "low") for span in spans]
    return all(known(end) and (end if of_other else -end) < MISSES for end in ends)


def _counts_from(result: Result, other: str) -> str:
    """The motion that counts, which each model's probe sets by its own errors."""
    if "object/quiet" not in result.data:
        return ""
    task = task_facts(result.attributes["task"])
    quiet = task.reported_per_length * result.values("object/quiet").mean(1)  # (method,)
    each, unit = dict(zip(methods_of(result), quiet, strict=True)), task.reported_length
    return f", motion counts from {', '.join(f'{each[m]:.2g} {unit} with {m}' for m in (other, ORIGINAL))}"


def discrimination(event: str) -> Judge:
    """Whether the balanced model knows better which actions avert an event, see ``wrong_dreams.discrimination``."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result, other in _branched(shelf):
            row = result.notes["final"].get(f"{event}/discrimination", {})
            if other in row:
                cells = [f"{m} {show(row[m]['over_seeds'])}" for m in (other, ORIGINAL)]
                spans = [read_interval(row[other][f"paired_over_{over}"]) for over in ("seeds", "episodes")]
                findings.append(
                    compared(
                        name,
                        result,
                        f"{', '.join(cells)}, {row['cases']} branches of {row['episodes']} episodes",
                        spans,
                        1,
                    )
                )
        return findings or [MISSING]

    return judge


def _branched(shelf: Shelf) -> list[tuple[str, Result, str]]:
    """Results of the study of branches, each with its file's name and its task's balanced method."""
    found = shelf.of("counterfactual")
    return [(n, r, balanced(r)) for n, r in found if r.notes["final"]["reference"] == ORIGINAL]


def frames(shelf: Shelf) -> list[Finding]:
    """Whether dreams that only the balanced model has right are more frequent than the reverse (Fig. 3).

    In windows whose true reward moves, and in those where it does not.
    """
    findings = []
    for name, result in shelf.of("finding2"):
        if methods_of(result) != [ORIGINAL, balanced(result)]:
            continue
        for split in ("moving", "still"):
            row = result.notes["final"][split]
            if not row["windows"]:
                continue
            cells = [f"only {m} right {show(row[f'only {which} right']['over_seeds'])}"
                     for which, m in zip(("second", "first"), reversed(methods_of(result)), strict=True)]  # fmt: skip
            spans = [read_interval(row["difference"][f"over_{over}"]) for over in ("seeds", "episodes")]
            words = f"{', '.join(cells)} of {row['windows']} windows, true reward {split}"
            findings.append(compared(name, result, words, spans, 1))
    return findings or [MISSING]


def made_up(shelf: Shelf) -> list[Finding]:
    """Whether the original model dreams more often of rewards that do not come.

    In windows whose true reward does not move. Fig. 3's own case is part of them, those whose reward is low; a rule on
    that part would have come after it was seen to change the answer (``docs/results.md``).
    """
    findings = []
    for name, result in shelf.of("finding2"):
        row = result.notes["final"]["still"]
        if methods_of(result) != [ORIGINAL, balanced(result)] or "difference in made up" not in row:
            continue
        cells = [f"{m} {show(row[f'made up by {which}']['over_seeds'])}"
                 for which, m in zip(("first", "second"), methods_of(result), strict=True)]  # fmt: skip
        spans = [read_interval(row["difference in made up"][f"over_{over}"]) for over in ("seeds", "episodes")]
        words = f"rewards made up, {', '.join(cells)} of {row['windows']} windows, true reward still"
        findings.append(compared(name, result, words, spans, 1))
    return findings or [MISSING]


def without_observations(shelf: Shelf) -> list[Finding]:
    """Whether (w_r = 100, w_o = 1) predicts rewards better than (w_r = 100, w_o = 0) (E.10)."""
    findings = []
    for name, result in shelf.of("reward_mse"):
        final = result.notes["final"]
        if IMPLICIT not in final or final["reference"] != "w_r=100":
            continue
        spans = [read_interval(final[IMPLICIT][f"paired_over_{over}"]) for over in ("seeds", "episodes")]
        cells = [f"w_o = {w} {show(final[m]['over_seeds'])}" for w, m in ((0, IMPLICIT), (1, "w_r=100"))]
        episode = result.values("window/episode")
        words = f"{', '.join(cells)}, {len(episode)} segments of {len(np.unique(episode))} episodes"
        findings.append(compared(name, result, words, spans, 1))
    return findings or [MISSING]
