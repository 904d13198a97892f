"""Notebooks run top to bottom on shipped data, are committed with their outputs, and keep them when they are run."""

import copy
import json
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import zmq
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

from analysis import notebook
from analysis.notebook import widgets
from figures.page import PAPER

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
RENDERS = {"spurious_correlations"}  # plays in the simulator
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of jupyter_client's event loops


class Client(NotebookClient):
    """Looks for the cell's reply after every message of the kernel.

    nbclient answers what an Output widget shows (`widgets.interact`) on the very socket that awaits the reply, past the
    event loop: a reply that came just before would wake nobody until the time limit (jupyter/nbclient#312).
    """

    def process_message(self, *args):
        try:
            return super().process_message(*args)
        finally:
            self.kc.shell_channel.socket.get(zmq.EVENTS)


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=p.stem, marks=[pytest.mark.render] if p.stem in RENDERS else []) for p in NOTEBOOKS]
)
def test_notebook_runs(path):
    notebook = nbformat.read(path, as_version=4)
    Client(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))


EXPLORER = """
%matplotlib inline
from analysis import notebook
from analysis.notebook import widgets
explorer = notebook.Explorer.shipped("lever_pull")
found = explorer.rollout(0, 0, 5, 9)
controls, output = widgets.spurious_correlations(explorer, horizon=9).children
(stretch, start, context), push, agents = *(box.children for box in controls.children[:2]), controls.children[2]
print(*(control.comm.comm_id for control in (stretch, start, context, *push)))
"""
AGAIN = "assert (explorer.rollout(0, 0, 5, 9).true_image == found.true_image).all()"


def answers(client, *messages: str) -> list[tuple[str, dict]]:
    """What the kernel sends of some messages until it is done with all, by type."""
    waits, found = set(messages), []
    while waits:
        sent = client.get_iopub_msg(timeout=120)
        if sent["parent_header"].get("msg_id") in waits:
            found.append((sent["msg_type"], sent["content"]))
            if sent["content"].get("execution_state") == "idle":
                waits.remove(sent["parent_header"]["msg_id"])
    return found


def moved(client, comm: str, value: float, subshell: str) -> str:
    """Sends that a slider was let go, as JupyterLab sends it: to a thread of the kernel beside the cells'."""
    data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
    message = client.session.msg("comm_msg", {"comm_id": comm, "data": data})
    message["header"]["subshell_id"] = subshell
    client.shell_channel.send(message)
    return message["header"]["msg_id"]


@pytest.mark.slow
@pytest.mark.render
def test_controls_play_again_and_again_beside_the_cells():
    manager, client = start_new_kernel(cwd=str(NOTEBOOKS[0].parent.parent))
    try:
        shown = answers(client, client.execute(EXPLORER))
        assert "error" not in dict(shown), shown
        sliders = next(content["text"] for kind, content in shown if kind == "stream").split()
        client.control_channel.send(client.session.msg("create_subshell_request"))
        subshell = client.get_control_msg(timeout=60)["content"]["subshell_id"]
        for value in (2, 1):  # each control twice, after a cell and beside one
            for number, slider in enumerate(sliders):
                messages = [moved(client, slider, value / 2 if number > 2 else value, subshell)]
                if number % 3 == 1:
                    messages.append(client.execute(AGAIN))
                found = answers(client, *messages)
                assert not [content["evalue"] for kind, content in found if kind == "error"]
                assert "display_data" in dict(found)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_with_its_outputs(path):
    """A page that renders notebooks shows the pictures without running anything."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert path.stat().st_size < 3e6
    shown = [str(output) for cell in code for output in cell.outputs]
    assert not [text for text in shown if "site-packages" in text or "/tmp/" in text]  # nothing of where it ran


def test_figures_of_all_shipped_results_are_in_the_committed_notebook():
    """After new results: run ``notebooks/reproduce_figures.ipynb`` and commit it with its outputs."""
    text = (NOTEBOOKS[0].parent / "reproduce_figures.ipynb").read_text()
    shipped = sorted((NOTEBOOKS[0].parent.parent / "figures" / "data").glob("*.h5"))
    assert len(shipped) > 20 and [path.name for path in shipped if path.name not in text] == []


def test_every_item_of_the_paper_is_reproduced_in_a_cell_of_its_own():
    notebook = nbformat.read(next(path for path in NOTEBOOKS if path.stem == "reproduce_figures"), as_version=4)
    shown = [cell.source for cell in notebook.cells if cell.source.startswith("show(")]
    assert shown == [f'show("{study}")' for study in PAPER]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of ipywidgets, on its own classes
def test_tasks_to_choose_from_are_those_that_models_ship_for():
    chooser, _ = widgets.with_task(lambda explorer: widgets.widgets.Label(explorer.task)).children
    assert list(chooser.options) == list(notebook.shipped_tasks())
    assert all(len(models) >= 2 for models in notebook.shipped_tasks().values())


def settings():
    """What the file of settings has Jupyter do before it saves."""
    found = SimpleNamespace(FileContentsManager=SimpleNamespace())
    runpy.run_path(str(NOTEBOOKS[0].parent / "jupyter_server_config.py"), {"c": found})
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
