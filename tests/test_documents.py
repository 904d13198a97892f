"""Documents tell the truth: the commands, targets and files that they show exist."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

from analysis.results.schema import load
from tests.test_project import PACKAGES, ROOT


def documents() -> Iterator[tuple[str, str]]:
    """Name and text of each document that shows commands; README.md must be there."""
    yield "README.md", (ROOT / "README.md").read_text()
    for path in [ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("*/README.md")), *sorted(ROOT.glob("docs/*.md"))]:
        if path.parent.name != ".venv":
            yield str(path.relative_to(ROOT)), path.read_text()


def runs_as_command(module: str) -> bool:
    """Whether `python -m module` exists; a module of ours must also do something when it is run."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return False
    if spec is None:
        return False
    if spec.submodule_search_locations is not None:
        return importlib.util.find_spec(f"{module}.__main__") is not None
    ours = module.partition(".")[0] in PACKAGES
    return not ours or "__main__" in Path(str(spec.origin)).read_text()


def test_what_documents_name_exists() -> None:
    """Python commands, make targets, and files that are linked to."""
    modules = ("pytest", "venv", "hdream_core.nets", "analysis.no_such_study")
    assert [runs_as_command(module) for module in modules] == [True, True, False, False]
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    missing = []
    for name, text in documents():
        modules = set(re.findall(r"\bpython3? -m ([A-Za-z_][\w.]*\w)(?!\S*<)", text))
        missing += [(name, f"python -m {module}") for module in modules if not runs_as_command(module)]
        made = set(re.findall(r"(?:`|^\s*(?:\$ )?)make ([a-z][a-z0-9-]*)", text, re.MULTILINE))
        missing += [(name, f"make {target}") for target in made - targets]
        links = {link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in link}
        missing += [(name, link) for link in links if not ((ROOT / name).parent / link).exists()]
    assert missing == []


def test_performance_page_quotes_its_file() -> None:
    files = (ROOT / "analysis/data" / f"performance_{device}.json" for device in ("cpu", "gpu"))
    measured, gpu = (json.loads(file.read_text()) for file in files)
    text = " ".join((ROOT / "docs/performance.md").read_text().split())
    for found, digits in ((measured, 0), (gpu, 1)):
        for part in (found["update"], *found["update"]["parts"].values()):
            if part["floor_s"]:
                times = f"{part['tuned_s'] * 1e3:.{digits}f} | {part['plain_s'] * 1e3:.{digits}f}"
                assert f"| {times} | {part['speedup']:.2f} | {part['tuned_s'] / part['floor_s']:.2f} |" in text
    alone, curves, million = (
        json.loads((ROOT / f"docs/performance_{name}.json").read_text()) for name in ("kernels", "curves", "replay")
    )
    for part in (alone["update"], *alone["update"]["parts"].values()):
        if part["tuned_s"] > 1e-3:
            times = " | ".join(f"{part[key] * 1e3:.1f}" for key in ("tuned_s", "same_precision_s", "plain_s"))
            assert f"| {times} | {part['speedup_of_kernels']:.2f} |" in text
    assert all(f" | {ratio:.3f} |" in text for ratio in alone["kernels"].values())
    curves = curves["curves"]
    assert curves["updates"] == 200 and million["replay"]["steps"] == 1_000_000
    for name in ("float32", "float32_noise"):
        assert f"| {curves[f'{name}_mean']:.1%} | {curves[f'{name}_updates_alike']:.0f} updates |" in text
    threads, replay, render, online = *(measured[name] for name in ("threads", "replay", "render")), gpu["online"]
    for quoted in (
        f"factor of {alone['update']['speedup_of_kernels']:.2f}, and",
        f"together {alone['update']['speedup']:.2f}.",
        f"| {curves['bfloat16_mean']:.1%} | |",
        f"| {curves['bfloat16_noise_mean']:.1%} | |",
        f"{million['memory']['trainer_peak_mb']:.0f} MiB at most",
        f"{1e3 * million['replay']['sample_s']:.0f} ms a batch",
        f"{gpu['harmonizers']['share_of_update']:.1%} of an update",
        f"{online['steps_per_s']:.0f} environment steps",
        f"250,000 steps take {60 * online['hours_of_250000_steps']:.0f} minutes",
        f"{threads['two_runs_advantage']:.2f} times the updates",
        f"at most {threads['batched_model_advantage_at_most']:.2f} times",
        f"{replay['sample_s'] * 1e3:.1f} ms, {replay['share_of_update']:.1%} of an update",
        f"{render['fast_fps']:.0f} / {render['paper_fps']:.1f}, ratio {render['ratio']:.0f}",
        f"{measured['harmonizers']['share_of_update']:.2%} of an update",
    ):
        assert quoted in text


def test_page_of_benchmarks_quotes_its_file() -> None:
    text, found = ((ROOT / "docs" / name).read_text() for name in ("benchmarks.md", "performance_frames.json"))
    for task, measured in json.loads(found)["tasks"].items():
        drawn, played = measured["render"], measured["env"]["fast_steps_per_s"]
        numbers = f"{drawn['fast_fps']:,.0f} | {drawn['paper_fps']:.1f} | {drawn['ratio']:.0f} | {played:,.0f}"
        assert f"| `{task}` | {numbers} |" in text


def test_reproducing_has_the_command_of_every_shipped_result() -> None:
    """Its words as they stand in the file, in any order; ``make`` stands for the same."""
    text = (ROOT / "REPRODUCING.md").read_text()
    size = re.search(r"`SIZE` stands for `([^`]+)`", text)
    assert size
    rows = [sorted(row.replace("SIZE", size[1]).split()) for row in re.findall(r"\| `([^`]+)` \|", text)]
    shipped = sorted((ROOT / "figures" / "data").glob("*.h5"))
    for path in shipped:
        command = str(load(path).attributes["command"]).removeprefix("python -m analysis.")
        assert path.name in text, f"{path.name} has no row"
        by_make = path.name in ("finding1_lever_pull_quick.h5", "finding1_mini_lever_cpu.h5")
        assert by_make or sorted(command.split()) in rows, f"{path.name} was made by {command}"
    assert set(re.findall(r"`(\w+\.h5)`", text)) == {path.name for path in shipped}
