"""Collects the provenance of a run or a result: code, packages, device."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

PACKAGES = ("torch", "numpy", "scipy", "h5py", "h5netcdf", "gymnasium", "mujoco", "metaworld", "dm_control")


def git_state() -> tuple[str, bool]:
    """Returns the source tree's commit and whether it has uncommitted changes; ``("unknown", False)`` outside git."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)  # fails for a copy that pip put into another project
        commit = _git("rev-parse", "HEAD").strip()
        return commit, bool(_git("status", "--porcelain", "--untracked-files=no").strip())
    except (OSError, subprocess.CalledProcessError):
        return "unknown", False


def _git(*args: str) -> str:
    folder = Path(__file__).parent
    return subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=True).stdout


def package_versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "absent"
    return versions


def device_name(name: str = "auto") -> str:
    """Returns the GPU's name, or the processor's model and core count.

    Args:
        name: ``train.device`` of a config.
    """
    import torch

    from hdream_core.support.precision import pick_device

    device = pick_device(name)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = f"{names[0]}, {len(names)} cores" if names else model
    return model
