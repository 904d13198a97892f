"""Bars where standard error is a file: lines, few of them."""

import subprocess
import sys

from hdream_core.support import progress


def test_a_log_file_gets_a_line_a_minute(tmp_path):
    """A run of seconds writes its first and its last line, and nothing that draws over itself."""
    words = ["--task", "mini_lever", "--preset", "smoke", "--train.steps", "400", "--eval.every", "400"]
    with open(tmp_path / "log", "wb") as log:
        command = [sys.executable, "-m", "hdream_core.train", *words, "--folder", str(tmp_path / "run")]
        assert subprocess.run(command, stdout=subprocess.DEVNULL, stderr=log).returncode == 0
    text = (tmp_path / "log").read_text()
    assert "\r" not in text and 1 <= len(text.splitlines()) <= 3 and "400/400" in text.splitlines()[-1]


def test_lines_come_as_often_as_they_may(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    assert list(progress.progress_bar(range(5), desc="five")) == list(range(5))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 5 and all("five" in line for line in lines)
