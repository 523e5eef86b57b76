"""Run notebooks from fresh kernels and store their outputs.

    python notebooks/run.py            those whose code changed since they were last run
    python notebooks/run.py --all      every one
    python notebooks/run.py NAME ...   these

A notebook stores a hash of its code cells when it is run. A test compares it with the code that
is there, so that no notebook shows outputs of other code than its own.
"""

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
HASH_KEY = "source_sha256"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


def source_hash(notebook: nbformat.NotebookNode) -> str:
    """Return a sha256 of the notebook's code cells in their order."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def execute(path: Path, timeout: int = 1200) -> nbformat.NotebookNode:
    """Run a notebook from a fresh kernel in its folder and return it with outputs and hash."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=timeout, kernel_name="python3", resources=_in(FOLDER))
    client.execute()
    _drop_finished_progress_bars(notebook)
    notebook.metadata[HASH_KEY] = source_hash(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when each cell ran: noise in every diff
    return notebook


def _in(folder: Path) -> dict:
    return {"metadata": {"path": str(folder)}}


def _drop_finished_progress_bars(notebook: nbformat.NotebookNode) -> None:
    """Remove progress bars that closed, and the state of widgets that no cell shows."""
    states = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    shown = set()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            view = output.get("data", {}).get(WIDGET_VIEW)
            if view and "HBoxModel" in states.get(view["model_id"], {}).get("model_name", "HBoxModel"):
                continue
            if view:
                shown.add(view["model_id"])
            kept.append(output)
        cell.outputs = kept
    waiting, used = list(shown), set()
    while waiting:  # a widget's state names its parts as "IPY_MODEL_<id>"
        model = waiting.pop()
        if model in states and model not in used:
            used.add(model)
            text = json.dumps(states[model])
            waiting += [other for other in states if f"IPY_MODEL_{other}" in text]
    # Links between widgets are shown by no cell, but without them a slider moves nothing.
    for model, state in states.items():
        parts = json.dumps(state["state"])
        if "Link" in state["model_name"] and all(
            f"IPY_MODEL_{other}" not in parts or other in used for other in states
        ):
            used.add(model)
    for model in set(states) - used:
        del states[model]


def main() -> int:
    """Run what the arguments ask for; stop at the first notebook that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="notebooks to run; by default those that changed")
    parser.add_argument("--all", action="store_true", help="run every notebook")
    arguments = parser.parse_args()
    paths = [FOLDER / Path(name).name for name in arguments.names] or sorted(FOLDER.glob("*.ipynb"))
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        changed = notebook.metadata.get(HASH_KEY) != source_hash(notebook)
        if not (changed or arguments.all or arguments.names):
            print(f"{path.name}: unchanged since it was run")
            continue
        began = time.perf_counter()
        notebook = execute(path)
        nbformat.write(notebook, path)
        print(
            f"{path.name}: {time.perf_counter() - began:.0f} s, {path.stat().st_size / 1e6:.2f} MB",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
