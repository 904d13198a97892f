"""Running a shipped notebook in JupyterLab leaves its file as it is."""

import copy
import json
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def settings():
    """What the file of settings has Jupyter do before it saves."""
    found = SimpleNamespace(FileContentsManager=SimpleNamespace())
    runpy.run_path(str(ROOT / "notebooks" / "jupyter_server_config.py"), {"c": found})
    return found.FileContentsManager.pre_save_hook


def ran(path):
    """A notebook as it is after ``Run All``: other counts, outputs, identifiers of controls and times."""
    notebook = nbformat.read(path, 4)
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.execution_count = 100 + number
            cell.outputs = [nbformat.v4.new_output("stream", text="another")]
            cell.metadata["execution"] = {"iopub.execute_input": "2030-01-01"}
    notebook.metadata["widgets"] = {"other": {}}
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_that_was_run_is_saved_to_the_byte(tmp_path, path):
    keep = settings()
    model = {"type": "notebook", "content": ran(path)}
    keep(model, path.name, SimpleNamespace(root_dir=str(path.parent)))
    nbformat.write(nbformat.from_dict(model["content"]), tmp_path / path.name)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_edits_are_saved_and_other_notebooks_left_alone(tmp_path):
    keep, path = settings(), NOTEBOOKS[0]
    notebook = ran(path)
    code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    code.source = "1 + 1"
    notebook.cells.append(nbformat.v4.new_code_cell("2 + 2", execution_count=7))
    keep({"type": "notebook", "content": notebook}, path.name, SimpleNamespace(root_dir=str(path.parent)))
    assert code.source == "1 + 1" and notebook.cells[-1].execution_count == 7
    shutil.copy(path, tmp_path)
    for name in (path.name, "new.ipynb"):
        own = ran(path)
        before = copy.deepcopy(own)
        keep({"type": "notebook", "content": own}, name, SimpleNamespace(root_dir=str(tmp_path)))
        assert own == before
    keep({"type": "file", "content": "text"}, "data/x.txt", SimpleNamespace(root_dir=str(path.parent)))


def test_notebooks_are_written_as_jupyter_writes_them():
    for path in NOTEBOOKS:
        text = json.dumps(json.loads(path.read_text()), indent=1, sort_keys=True, ensure_ascii=False)
        assert path.read_text() == text + "\n", path.name
