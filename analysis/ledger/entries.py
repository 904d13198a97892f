"""Reads the ledger's entries: claims from ``claims.toml``, and later changes from ``changes.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from analysis.ledger import judges, judges_of_dial, judges_of_losses, judges_of_models, judges_without_runs  # noqa: F401  fill JUDGES
from analysis.ledger.verdicts import JUDGES, VERDICTS, Judge
from hdream_core.support.errors import ConfigError
from hdream_core.support.settings import Name, build, call, nearest, settings

CLAIMS, CHANGES = (Path(__file__).parent / name for name in ("claims.toml", "changes.toml"))
GROUPS = {
    "runs": "training runs",
    "algebra": "algebra of the losses",
    "table_2": "arithmetic of Table 2",
    "timing": "timing",
    "not_attempted": "not attempted",
}
SAME = "the same"
Words = Annotated[str, Field(min_length=1, pattern=r"^\S.*\S$|^\S$")]


@settings
class Entry:
    """Holds a claim as in the file, whose head explains the fields."""

    name: Name
    text: Words
    source: Words
    expected: Words
    rule: Words
    judge: Words
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """Holds a claim of the paper: its entry, its group, and the judge that applies its rule."""

    entry: Entry
    group: str
    judge: Judge


@settings
class Change:
    """Holds a change after a result as in the file, whose head explains the fields."""

    text: Words
    claims: list[Name] = field(default_factory=list)
    files: list[Words] = field(default_factory=list)
    without: Words | None = None

    @property
    def footnote(self) -> str:
        """Returns the text, with the verdict without the change."""
        if self.without is None:
            return self.text
        other = self.without if self.without == SAME else f'"{self.without}"'
        return f"{self.text} Without this the verdict would be {other}."

    def concerns(self, claim: str, source: str) -> bool:
        """Returns whether the change is about a row: a claim's name and the result files of ``Finding.source``.

        No change is about a row without a result.
        """
        files = set(source.split(", ")) if source else set()
        return bool(files) and claim in (self.claims or [claim]) and bool(files & set(self.files or files))


def read_claims(path: Path = CLAIMS) -> list[Claim]:
    """Reads the claims, in the order of the file.

    Raises:
        ConfigError: naming the claim that lacks a key, has an unknown one or another's name, or whose judge is unknown
            or takes other arguments.
    """
    claims: dict[str, Claim] = {}
    for group, number, values in _tables(path, GROUPS):
        where = f"{path.name}: claim {values.get('name', f'{number} of [[{group}]]')}: "
        entry = build(Entry, values, where)
        if entry.name in claims:
            raise ConfigError(f"{where}there are two of this name")
        if entry.judge not in JUDGES:
            raise ConfigError(f"{where}there is no judge {entry.judge}{nearest(entry.judge, JUDGES)}")
        judge = call(JUDGES[entry.judge], entry.arguments, f"{where}arguments.")
        claims[entry.name] = Claim(entry, GROUPS[group], judge)
    return list(claims.values())


def read_changes(claims: Iterable[str], path: Path = CHANGES) -> list[Change]:
    """Reads the changes after a result.

    Args:
        claims: names of all claims.
        path: of the file.

    Raises:
        ConfigError: naming the change, by its place in the file, and the key, claim or verdict that is none.
    """
    names, changes = list(claims), []
    for _, number, values in _tables(path, ["change"]):
        where = f"{path.name}: change {number}: "
        changes.append(change := build(Change, values, where))
        for claim in change.claims:
            if claim not in names:
                raise ConfigError(f"{where}there is no claim {claim}{nearest(claim, names)}")
        if change.without not in (None, SAME, *VERDICTS):
            raise ConfigError(f"{where}without is {change.without}; it must be one of {', '.join((SAME, *VERDICTS))}")
    return changes


def _tables(path: Path, groups: Iterable[str]) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Yields the tables of a TOML file of arrays: the array's name, the number in it, and the values."""
    try:
        found = tomllib.loads(path.read_bytes().decode())
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"{path}: {error}") from None
    for group, tables in found.items():
        if group not in groups or not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            raise ConfigError(
                f"{path.name}: {group} is unknown here; there are {', '.join(f'[[{g}]]' for g in groups)}"
            )
        for number, values in enumerate(tables, 1):
            yield group, number, values
