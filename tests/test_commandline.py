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


@dataclass(frozen=True)
class Numbers:
    seeds: tuple[int, ...] | None = None
    """Whole numbers, or nothing."""
    weights: tuple[float, ...] = (1.0, 10.0)
    """Numbers."""
    count: int = 1
    """One."""
    level: float | None = None
    """One, or nothing."""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--seeds 0 1 2", Numbers(seeds=(0, 1, 2))),
        ("--seeds 0,1,2", Numbers(seeds=(0, 1, 2))),
        ("--seeds=0-2", Numbers(seeds=(0, 1, 2))),
        ("--seeds 7 0-1,4, 9 --count 2", Numbers(seeds=(7, 0, 1, 4, 9), count=2)),
        ("--seeds -1", Numbers(seeds=(-1,))),
        ("--seeds None", Numbers()),
        ("--weights 1,10 1e2", Numbers(weights=(1.0, 10.0, 100.0))),
        ("--level 3 --count -4", Numbers(level=3.0, count=-4)),
        ("--level None", Numbers()),
    ],
)
def test_lists_of_numbers_take_spaces_commas_and_ranges(words, found):
    read = commandline.parse(Numbers, words.split(), "job")
    assert read == found and commandline.parse(Numbers, commandline.to_args(read), "job") == found
    assert commandline.to_args(Numbers()) == [] and commandline.to_args(Numbers(count=3)) == ["--count", "3"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--seeds x", "'x'"),
        ("--seeds 0,,1", "''"),
        ("--seeds ,", "''"),
        ("--seeds 2-0", "'2-0'"),
        ("--seeds 0-999999999", "'0-999999999'"),
        ("--seeds 1.5", "'1.5'"),
        ("--seeds 1_0", "'1_0'"),
        ("--seeds", "0-2"),
        ("--seeds 1 None", "'None'"),
        ("--weights 1;10", "'1;10'"),
        ("--weights 1-3", "'1-3'"),
        ("--weights", "1,10,100"),
        ("--count 1,2", "'1,2'"),
        ("--count १२", "'१२'"),
        ("--level low", "'low'"),
        ("--weigths 1", "--weights"),  # the nearest
    ],
)
def test_what_is_no_number_is_refused_in_one_short_line(words, named, capsys):
    with pytest.raises(SystemExit) as stop:
        commandline.parse(Numbers, words.split(), "job")
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1 and len(said) < 160
    assert words.split()[0] in said and named in said
