"""Fills a template from result files; a sentence that they do not bear out stops it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.ledger.judged import judged
from analysis.results.schema import Result, files_of, load
from analysis.results.stats import Interval
from analysis.results.tasks import task_facts
from analysis.templates import texts, values
from hdream_core.support import untrusted
from hdream_core.support.errors import UserError
from hdream_core.support.words import counted

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent
FILTERS = (texts.ends, texts.gap, texts.interval, texts.percent, texts.task, texts.thing, texts.variant)
FUNCTIONS = (texts.head, texts.row, values.constant_error, values.difference, values.noted, values.of_variant,
             values.over_seeds, values.ratio, values.variants)  # fmt: skip
OURS = ("(ours)", "(exploratory)")  # ends of claims that the paper does not make, as ``ledger.page`` has them


class ReportError(UserError, ValueError):
    """A page cannot be written from the results; the message names its section."""


def stem(study: str, task: str = "", preset: str = "cpu") -> str:
    """Names a result's file as studies do; the name of a study alone is that of one without a task."""
    return f"{study}_{task}_{preset}" if task else study


class Results:
    """The results in a folder, and the ledger that they give; each is read when it is first asked for."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.load = cache(lambda name: load(folder / f"{name}.h5"))
        self.ledger = cache(lambda: judged(folder))

    def rows(self, claim: str, *file: str) -> pd.DataFrame:
        """The ledger's rows of a claim, or those of them that a result file, named as for ``stem``, speaks to."""
        rows = self.ledger()[self.ledger()["name"] == claim]
        if file:
            rows = rows[rows["result"].map(lambda files: f"{stem(*file)}.h5" in files.split(", "))]
        if not len(rows):
            raise ReportError(f"the ledger has no row on {claim} of {stem(*file) if file else 'any result'}")
        return rows


class Page:
    """What a template may call besides the filters: results, verdicts, demands."""

    def __init__(self, name: str, results: Results):
        self.name, self.results, self.title = name, results, ""

    def __str__(self) -> str:
        return f"{self.name}, section {self.title!r}"

    def section(self, title: str) -> str:
        """Writes a heading; what fails beneath it is said to be of this section."""
        self.title = title
        return f"## {title}"

    def at(self, title: str) -> str:
        """Begins a section that has no heading."""
        self.title = title
        return ""

    def demand(self, condition: object, sentence: str) -> str:
        """Writes a sentence if the results bear it out.

        Raises:
            ReportError: naming the sentence, if they do not.
        """
        if not condition:
            raise ReportError(f"{self}: the results do not bear out {sentence!r}")
        return sentence

    def result(self, *file: str) -> Result:
        """Reads a result file, named as for ``stem``."""
        return self.results.load(stem(*file))

    def verdict(self, claim: str, *file: str) -> str:
        """The verdict on a claim by a result file, or by all; several are joined by a comma."""
        return ", ".join(dict.fromkeys(self.results.rows(claim, *file)["verdict"]))

    def value(self, claim: str, *file: str) -> Interval:
        """The number that a claim is judged by in a result file."""
        first = self.results.rows(claim, *file).iloc[0]
        return Interval(first["mean"], first["low"], first["high"])

    def verdicts(self, *claims: str) -> str:
        """Writes a line for each claim: what the paper says, and the verdict by each result."""
        lines = []
        for claim in claims:
            rows = self.results.rows(claim)
            labels = rows["result"].map(self._label)
            parts = []
            for told, some in labels.groupby(rows["verdict"], sort=False):
                counts = {label: (some == label).sum() for label in dict.fromkeys(some) if label}
                places = [
                    label if n == (labels == label).sum() else f"{label}, {n} of {(labels == label).sum()} comparisons"
                    for label, n in counts.items()
                ]
                parts.append(f"**{told}**" + (f" ({'; '.join(places)})" if places else ""))
            lines.append(f"- {rows.iloc[0]['claim']}: {', '.join(parts)}.")
        return "\n".join(lines)

    def _label(self, files: str) -> str:
        """What a row of the ledger was measured on."""
        found = [self.results.load(file.removesuffix(".h5")) for file in files.split(", ") if file.endswith(".h5")]
        return " and ".join(self._place(result) for result in found if "seed" in result.axes)

    @staticmethod
    def _place(result: Result) -> str:
        a, protocol = result.attributes, result.notes.get("protocol", {})
        unseen = " on unseen episodes" if protocol.get("data") == "unseen" else ""
        preset = "" if a["preset"] == "cpu" else f" with preset {a['preset']}"
        return f"{texts.task(a['task'])}{unseen}{preset}"

    def figure(self, title: str, *file: str) -> str:
        """Shows a study's figure, and says at which scale it was measured."""
        result = self.result(*file)
        seeds = len(result.axes.get("seed", ()))
        how = f", {result.attributes['mode']}, {counted(seeds, 'seed')}" if seeds else ", nothing trained"
        return f"![{title} (scale: {result.attributes['scale']}{how})](figures/{stem(*file)}.png)"

    def trained(self) -> list[list[str]]:
        """Rows of what was trained: task, mode, scale, seeds, updates, and the results that were read off it."""
        groups: dict[tuple[Any, ...], dict[str, Result]] = {}
        for path in files_of(self.results.folder):
            result = load(path) if path.name == "claims.h5" else self.results.load(path.stem)
            if result.config and "mode" in result.attributes:
                a, steps = result.attributes, max(config["train"]["steps"] for config in result.config.values())
                key = (a["task"], a["mode"], a["preset"], a["scale"], len(result.axes["seed"]), steps)
                groups.setdefault(key, {})[path.stem] = result
        return [_run(*key, some) for key, some in sorted(groups.items(), key=lambda pair: (pair[0][3], -len(pair[1])))]

    def claims(self) -> Mapping[str, int]:
        """Counts the paper's claims: all, judged, reproduced by every result that decides them, and by some."""
        rows = self.results.ledger()
        paper = rows[~rows["claim"].str.endswith(OURS)]
        measured = paper[paper["verdict"] != "not measured"].groupby("name")["verdict"]
        hits = measured.agg(lambda verdicts: (verdicts == "reproduced").mean())
        return {"all": paper["name"].nunique(), "judged": len(hits), "reproduced": int((hits == 1).sum()),
                "partly": int(((hits > 0) & (hits < 1)).sum())}  # fmt: skip


def _run(task: str, mode: str, preset: str, scale: str, seeds: int, steps: int, some: Mapping[str, Result]) -> list[str]:
    """A row of ``Page.trained``."""
    logged = [result.values("updates") for result in some.values() if "updates" in result.data]
    done = [np.nanmax(updates) for updates in logged if np.isfinite(updates).any()]
    every = next(iter(next(iter(some.values())).config.values()))["train"]["train_every"]
    if not all(result.attributes.get("complete", True) for result in some.values()):
        reached = max(int(result.axes["log_step"][-1]) for result in some.values())
        many = f"cut off at {reached:,} of {steps:,} steps"
    else:
        many = f"{int(max(done, default=steps // every)):,}"
    studies = dict.fromkeys(name.replace(f"_{task}_{preset}", "") for name in some)
    files = f"`{'`, `'.join(studies)}`, each `_{task}_{preset}.h5`" if len(studies) > 1 else f"`{next(iter(some))}.h5`"
    return [texts.task(task), mode, scale, str(seeds), many, files]


def render(template: str, page: Page, **known: object) -> str:
    """Fills a template.

    Args:
        template: file beside this one.
        page: what it may call.
        known: further names.

    Raises:
        ReportError: naming the section, if a result is missing, lacks what is asked for, or says something else.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {function.__name__: function for function in FILTERS}
    environment.globals |= {function.__name__: function for function in FUNCTIONS}
    calls: Sequence[str] = ("at", "claims", "demand", "figure", "result", "section", "trained", "value", "verdict",
                            "verdicts")  # fmt: skip
    environment.globals |= {name: getattr(page, name) for name in calls} | known
    environment.globals |= {"names": texts.NAMES, "meta": tuple(texts.NAMES)[:3]}
    environment.globals |= {"balanced": {task: task_facts(task).balanced for task in texts.NAMES}}
    with untrusted.expecting(page, ReportError):
        try:
            return environment.get_template(template).render()
        except jinja2.UndefinedError as error:
            raise ReportError(f"{page}: {error}") from error
