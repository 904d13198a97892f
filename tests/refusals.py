"""Commands that end with one line."""

import pytest


def refused(capsys, command, words, *named, status: int = 2) -> str:
    """The one line that a command ends with, called with its words; it names what it is about."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        command(words)
    said = capsys.readouterr().err
    assert stop.value.code == status and said.startswith("error: ") and said.count("\n") == 1, said
    assert all(str(name) in said for name in named), said
    return said
