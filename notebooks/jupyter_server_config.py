"""Settings by which JupyterLab does not change a shipped notebook that is run.

They are for ``jupyter lab notebooks --config notebooks/jupyter_server_config.py``. Without them ``Run All`` and the
autosave change the repository: pictures, counts and identifiers of controls differ from run to run. Source and text
that are edited are saved.
"""

import json
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).resolve().parent


def keep_outputs(model: dict[str, Any], path: str, contents_manager: Any, **_: Any) -> None:
    """Gives a shipped notebook that is about to be saved the outputs that its file has, cell by cell."""
    file = Path(contents_manager.root_dir, path).resolve()
    if model["type"] != "notebook" or file.parent != SHIPPED or not file.exists():
        return
    saved, notebook = json.loads(file.read_text()), model["content"]
    cells = {cell.get("id"): cell for cell in saved["cells"]}
    for cell in notebook["cells"]:
        before = cells.get(cell.get("id"))
        if before is None or cell["cell_type"] != "code" or before["cell_type"] != "code":
            continue
        cell["metadata"] = before["metadata"]
        cell["execution_count"], cell["outputs"] = before["execution_count"], before["outputs"]
    notebook["metadata"] = saved["metadata"]


c.FileContentsManager.pre_save_hook = keep_outputs  # noqa: F821
