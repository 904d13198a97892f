"""Fills a template from result files; a sentence that they do not bear out stops it."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from analysis.ledger.judged import judged
from analysis.ledger.page import environment, headline
from analysis.ledger.report import runs, texts
from analysis.ledger.verdicts import REPRODUCED, VERDICTS
from analysis.results import comparisons
from analysis.results.schema import Result, files_of, load
from analysis.results.stats import Interval
from analysis.results.tasks import task_facts
from hdream_core.support import untrusted
from hdream_core.support.errors import UserError
from hdream_core.support.words import counted

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent
FILTERS = (texts.ends, texts.gap, texts.interval, texts.mean, texts.percent, texts.task, texts.thing, texts.variant)
FUNCTIONS = (comparisons.mean_of, comparisons.ratio, texts.constant_error, texts.difference, texts.each, texts.end_of,
             texts.head, texts.noted, texts.of_variant, texts.row)  # fmt: skip
CALLS = ("at", "demand", "figure", "headline", "reproduced", "result", "section", "trained", "trial", "value",
         "verdict", "verdicts")  # fmt: skip
TRIALS = "analysis/data/trials.csv"  # every evaluation of the trials that presets were tuned by


class Trial(NamedTuple):
    """What the runs of a trial of tuning came to.

    Attributes:
        evaluations: how many there are.
        success, return_: their means.
        last: highest return of a run's last evaluation.
        steps: at which the longest run was evaluated last.
    """

    evaluations: int
    success: float
    return_: float
    last: float
    steps: int


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
        """Writes a line for each group of claims that share their verdicts: these first, then what the paper says."""
        said: dict[str, list[str]] = {}
        for claim in claims:
            rows = self.results.rows(claim)
            said.setdefault(self._told(rows), []).append(rows.iloc[0]["claim"])
        return "\n".join(f"- {told}: {'; '.join(what)}." for told, what in said.items())

    def _told(self, rows: pd.DataFrame) -> str:
        """The verdicts on a claim, with their places; the most frequent one is that elsewhere."""
        labels, most = rows["result"].map(self._label), rows["verdict"].mode()[0]
        parts = [
            f"**{told}** ({', '.join(_counted(labels[rows['verdict'] == told], labels))})"
            for told in VERDICTS
            if told != most and told in set(rows["verdict"])
        ]
        return ", ".join([*parts, f"elsewhere **{most}**"]) if parts else f"**{most}**"

    def _label(self, files: str) -> str:
        """What a row of the ledger was measured on."""
        found = [self.results.load(file.removesuffix(".h5")) for file in files.split(", ") if file.endswith(".h5")]
        return " and ".join(_place(result) for result in found if "seed" in result.axes)

    def figure(self, title: str, *file: str) -> str:
        """Shows a study's figure, and says at which scale it was measured."""
        result = self.result(*file)
        seeds = len(result.axes.get("seed", ()))
        how = f", {counted(seeds, 'seed')}" if seeds else ""
        return f"![{title} (scale: {result.attributes['scale']}{how})](figures/{stem(*file)}.png)"

    def trained(self) -> list[list[str]]:
        """Rows of the table of what was trained, see ``runs.table``."""
        return runs.table({path.stem: self.results.load(path.stem) for path in files_of(self.results.folder)})

    def trial(self, name: str, since: int = 0) -> Trial:
        """What came of the runs of a trial, of their evaluations from a step on."""
        import pandas as pd

        rows = pd.read_csv(resources.files("analysis") / "data" / "trials.csv")
        rows = rows[rows["run"].str.startswith(f"{name}/") & (rows["step"] >= since)]
        if not len(rows):
            raise ReportError(f"{self}: no trial {name} in {TRIALS}")
        last = rows.sort_values("step").groupby("run").last()["return"]
        return Trial(len(rows), rows["success"].mean(), rows["return"].mean(), last.max(), int(rows["step"].max()))

    def headline(self) -> str:
        """Says of how many claims what came out, as the ledger does."""
        return headline(self.results.ledger())

    def reproduced(self, kind: str) -> int:
        """Counts the claims of a kind that every result reproduces."""
        rows = self.results.ledger()
        return int((rows["verdict"] == REPRODUCED)[rows["kind"] == kind].groupby(rows["name"]).all().sum())


def _place(result: Result) -> str:
    """The task, the data if they are unseen, and the preset unless it is the common one."""
    task, preset = result.attributes["task"], result.attributes["preset"]
    unseen = " unseen" if result.notes.get("protocol", {}).get("data") == "unseen" else ""
    return texts.task(task) + unseen + ("" if preset == "cpu" else f" at preset {preset}")


def _counted(some: pd.Series, of: pd.Series) -> list[str]:
    """Places, each with the number of its comparisons that are among ``some`` where it has others, too."""
    counts = {label: ((some == label).sum(), (of == label).sum()) for label in dict.fromkeys(some)}
    return [label if n == total else f"{label} {n} of {total}" for label, (n, total) in counts.items()]


def render(template: str, page: Page) -> str:
    """Fills a template.

    Args:
        template: file beside this one.
        page: what it may call.

    Raises:
        ReportError: naming the section, if a result is missing, lacks what is asked for, or says something else.
    """
    import jinja2

    filling = environment(FOLDER)
    filling.filters |= {function.__name__: function for function in FILTERS}
    filling.globals |= {function.__name__: function for function in FUNCTIONS}
    filling.globals |= {name: getattr(page, name) for name in CALLS}
    filling.globals |= {"names": texts.NAMES, "meta": tuple(texts.NAMES)[:3]}
    filling.globals |= {"balanced": {task: task_facts(task).balanced for task in texts.NAMES}}
    with untrusted.expecting(page, ReportError):
        try:
            return filling.get_template(template).render()
        except jinja2.UndefinedError as error:
            raise ReportError(f"{page}: {error}") from error
