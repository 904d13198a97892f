"""What a command's --help looks like."""

from dataclasses import dataclass, field

import pytest

from hdream_core.support import commandline


@dataclass(frozen=True)
class Inner:
    depth: int = 2
    """How deep it goes, in layers,
    none of which is counted twice."""


@dataclass(frozen=True)
class Job:
    inner: Inner = field(default_factory=Inner)
    """A group."""
    where: str = "here"
    """Where it is done: here, or
    nowhere."""
    count: int | None = None
    """How often. Default: twice."""


def test_help_wraps_each_text_at_the_width_alone(capsys):
    with pytest.raises(SystemExit) as stop:
        commandline.parse(Job, ["--help"], "job")
    lines = [line.strip("│ ") for line in capsys.readouterr().out.splitlines()]
    assert stop.value.code == 0
    assert any(line.endswith("Where it is done: here, or nowhere. (default: here)") for line in lines)
    assert "How deep it goes, in layers, none of which is counted twice. (default: 2)" in " ".join(lines)
    assert "How often. None: twice. (default: None)" in " ".join(lines)
    assert not {"nowhere.", "How deep it goes, in layers,"} & set(lines)


def test_words_of_a_command_line_are_those_it_is_parsed_from():
    words = ["--depth", "3"]
    assert commandline.to_args(commandline.parse(Inner, words, "job")) == words
    assert commandline.to_args(Inner()) == []
