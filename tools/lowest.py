"""Prints the lowest version that pyproject.toml admits of each requirement, as constraints for pip.

PyTorch's is the tested one, from constraints.txt: older builds on PyPI bring gigabytes of CUDA libraries.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTED = ("torch",)


def lowest(project: dict) -> list[str]:
    """Returns ``name==version`` of each requirement and extra of a ``[project]`` table.

    Raises:
        ValueError: naming a requirement that has no lowest version.
    """
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    found = []
    own = f"{project['name']}["  # an extra that another one brings
    for line in dict.fromkeys([*project["dependencies"], *(line for line in extras if not line.startswith(own))]):
        match = re.fullmatch(r"([\w.-]+)>=([\w.]+)(?:,<[\w.]+)?(;.*)?", line)
        if match is None:
            raise ValueError(f"pyproject.toml: {line!r} is not of the form name>=version or name>=version,<version")
        if match[1] not in TESTED:
            found.append(f"{match[1]}=={match[2]}{match[3] or ''}")
    return found


def main() -> None:
    """Entry point."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tested = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.split("==")[0] in TESTED]
    print("\n".join([*lowest(project), *tested]))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"hdream: {error}")
