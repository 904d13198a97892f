"""Bars where standard error is a file: lines, few of them."""

from hdream_core.support import progress
from tests.refusals import typed


def test_a_log_file_gets_a_line_a_minute(tmp_path):
    """A run of seconds writes its first and its last line, and nothing that draws over itself."""
    words = ["--task", "mini_lever", "--preset", "smoke", "--train.steps", "400", "--eval.every", "400"]
    done = typed("hdream_core.train", *words, "--folder", tmp_path / "run")
    lines = done.stderr.splitlines()  # what draws over itself is lines, too
    assert done.returncode == 0 and 1 <= len(lines) <= 3 and "400/400" in lines[-1]


def test_lines_come_as_often_as_they_may(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    assert list(progress.progress_bar(range(5), desc="five")) == list(range(5))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 5 and all("five" in line for line in lines)
