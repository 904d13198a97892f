"""The pages of results and of tuning, and what the README says of results: written from files by templates.

``python -m analysis.report`` fills the templates beside ``analysis/ledger/report/page.py`` with numbers, verdicts and
figures. Conclusions are the templates' sentences; each is written only if the results bear it out, otherwise the
command ends with one line that names its section, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.ledger.report.page import Page, ReportError, Results, render
from analysis.results.schema import SHIPPED
from hdream_core.support import commandline
from hdream_core.support.errors import exit_on_user_error
from hdream_core.support.files import write_atomically

ITEM = "all"
ABOUT = "Write the page of results, and the README's part, from result files."
DOCS = Path("docs")
PAGES = ("results.md", "presets.md")
BEGIN, END = "<!-- report: what came out -->", "<!-- report: end -->"


@dataclass(frozen=True)
class Report:
    """Write docs/results.md, docs/presets.md, and what the README says of the results, from result files."""

    results: Path = SHIPPED
    """Folder of result files."""
    out: Path = DOCS
    """Folder of results.md and presets.md."""
    readme: Path | None = None
    """File that has the README's part between two marked lines. Default: README.md of the current folder, if it has
    such lines and results.md goes to docs."""


def outside(readme: Path | None, out: Path) -> tuple[Path, str, str] | None:
    """Reads what stands before and after the README's part; None if there is no README to write.

    Raises:
        ReportError: if the marked lines are not there, once each and in their order.
    """
    path = readme or Path("README.md")
    if readme is None and (out != DOCS or not path.is_file()):
        return None
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        raise ReportError(f"{path}: not a text in UTF-8") from None
    if readme is None and BEGIN not in text and END not in text:
        return None
    if not text.count(BEGIN) == text.count(END) == 1 or text.index(END) < text.index(BEGIN):
        raise ReportError(f"{path}: needs the lines {BEGIN} and {END} once each, in this order")
    before, _, rest = text.partition(BEGIN)
    return path, f"{before}{BEGIN}\n", END + rest.partition(END)[2]


def run(job: Report) -> list[Path]:
    """Fills both templates, then writes; returns the files."""
    frame, results = outside(job.readme, job.out), Results(job.results)
    texts = {page: render(f"{page.name}.jinja", Page(str(page), results)) for page in map(job.out.joinpath, PAGES)}
    if frame:
        path, before, after = frame
        texts[path] = before + render("readme_results.md.jinja", Page(str(path), results)) + after
    job.out.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        write_atomically(path, text.encode())
    return list(texts)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    with exit_on_user_error():
        written = run(commandline.parse(Report, args, "python -m analysis.report"))
        print(f"written: {', '.join(map(str, written))}")


if __name__ == "__main__":
    main()
