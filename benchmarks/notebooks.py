"""Run the notebooks in ways that readers do: cells twice, in any order, from the middle, in odd places.

    python benchmarks/notebooks.py                      every notebook, every way, small and short
    python benchmarks/notebooks.py --notebooks 00 02 --ways twice order --seeds 3

A cell ends well, or with a NameError for a name that only an earlier cell defines. Whatever came before,
Run All in the same kernel must then pass.
"""

import argparse
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import nbformat
from jupyter_client.manager import KernelManager

ROOT = Path(__file__).resolve().parent.parent
NAMES = ["00", "01", "02", "03", "04", "05", "06", "07", "08"]


class Kernel:
    """A fresh kernel in a folder of the project, which may be a copy.

    Args:
        root: The project that it imports from.
        prefix: Words before the kernel's command, such as those of ``taskset``.
        full: Run at full size.
        environment: Variables that differ; None for one that is not set.
    """

    def __init__(self, root: Path = ROOT, prefix: list[str] = (), full: bool = False, **environment):
        self.manager = KernelManager(kernel_name="python3")
        self.manager.kernel_spec.argv[:1] = [*prefix, sys.executable]
        closed = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
        quick = {} if full else {"NST_QUICK": "1"}
        wanted = os.environ | {"PYTHONPATH": str(root)} | quick | closed | environment
        wanted = {name: value for name, value in wanted.items() if value is not None}
        self.manager.start_kernel(cwd=str(root / "notebooks"), env=wanted)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, cell, timeout: int = 600) -> tuple[str, str, str]:
        """Return the name and the words of the cell's error, both empty if there is none, and its stderr."""
        told = []

        def hook(message):
            if message["content"].get("name") == "stderr":
                told.append(message["content"]["text"])

        reply = self.client.execute_interactive(cell.source, timeout=timeout, output_hook=hook)["content"]
        return reply.get("ename", ""), reply.get("evalue", ""), "".join(told)

    def all(self, cells) -> None:
        """Run all cells in their order; none may fail, nor write to stderr."""
        for i, cell in enumerate(cells):
            name, words, stderr = self.run(cell)
            assert not name and not stderr, f"cell {i}: {name}: {words}{stderr}\n{cell.source}"

    def peak(self) -> int:
        """Return the most memory that the process has had, in bytes."""
        status = Path(f"/proc/{self.manager.provisioner.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def code_cells(name: str, checks: bool = False) -> list:
    """Return a notebook's code cells; checks of what the text says are true at full size only."""
    (path,) = (ROOT / "notebooks").glob(f"{name}_*.ipynb")
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return [cell for cell in cells if checks or "check" not in cell.metadata.get("tags", ())]


def some_names_missing(kernel: Kernel, cells: list, order: list[int]) -> int:
    """Run cells in some order, then all; return how many ended with a NameError that was to be expected."""
    missing, wrong = 0, []
    for i in order:
        name, words, _ = kernel.run(cells[i])
        wanted = re.fullmatch(r"name '(\w+)' is not defined", words)
        earlier = "\n".join(cell.source for cell in cells[:i])
        if name == "NameError" and wanted and re.search(rf"\b{wanted[1]}\b", earlier):
            missing += 1
        elif name:
            wrong.append(f"cell {i}: {name}: {words}\n{cells[i].source}")
    kernel.all(cells)
    assert not wrong, "\n".join(wrong)
    return missing


def twice(name: str, seed: int) -> str:
    """Each cell twice."""
    cells = code_cells(name)
    with Kernel() as kernel:
        kernel.all([cell for cell in cells for _ in range(2)])
    return f"{2 * len(cells)} cells"


def order(name: str, seed: int) -> str:
    """Cells in a random order in a fresh kernel, then Run All."""
    cells = code_cells(name)
    places = list(range(len(cells)))
    random.Random(f"{name} {seed}").shuffle(places)
    with Kernel() as kernel:
        return f"{some_names_missing(kernel, cells, places)} NameErrors in {len(cells)} cells"


def backwards(name: str, seed: int) -> str:
    """Run All, then each cell from the last to the first, then Run All."""
    cells = code_cells(name)
    with Kernel() as kernel:
        kernel.all(cells)
        assert not some_names_missing(kernel, cells, range(len(cells))[::-1])
    return f"{len(cells)} cells"


def restart(name: str, seed: int) -> str:
    """The first half, a restart, from the middle to the end, then Run All."""
    cells = code_cells(name)
    middle = random.Random(f"{name} {seed}").randrange(len(cells) // 4, 3 * len(cells) // 4)
    with Kernel() as kernel:
        kernel.all(cells[:middle])
        kernel.manager.restart_kernel(now=True)
        kernel.client.wait_for_ready(timeout=60)
        missing = some_names_missing(kernel, cells, range(middle, len(cells)))
    return f"from cell {middle}: {missing} NameErrors"


def a_copy(folder: Path) -> Path:
    """Copy what the notebooks need."""
    for part in ("helpers", "images", "notebooks"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def place(name: str, seed: int) -> str:
    """A project in a folder with spaces and letters of several scripts."""
    with tempfile.TemporaryDirectory() as folder:
        root = a_copy(Path(folder) / "한글 폴더 with spaces, 50 % & #1")
        with Kernel(root, NST_CACHE=str(root / "캐시 cache")) as kernel:
            kernel.all(code_cells(name))
    return "works"


def read_only(name: str, seed: int) -> str:
    """Neither the notebook's folder nor the cache folder can be written to; or there is none."""
    said = []
    with tempfile.TemporaryDirectory() as folder:
        root = a_copy(Path(folder) / "project")
        (root / "cache").mkdir()
        for path in (root, *root.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)
        # Without this right permissions hold for root too.
        prefix = ["setpriv", "--bounding-set=-dac_override"] if os.getuid() == 0 else []
        for cache in ("cache", "none"):
            with Kernel(root, prefix, NST_CACHE=str(root / cache)) as kernel:
                for i, cell in enumerate(code_cells(name)):
                    error, words, stderr = kernel.run(cell)
                    if error or stderr:
                        said.append(f"{cache} {i}: {error or 'stderr'} {words} {stderr}")
        assert not list((root / "cache").iterdir()), "it was written to"
        for path in (root, *root.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)
    # What cannot be written is named, and so is what is missing for that.
    named = [re.search(r"PermissionError|NameError|no picture '.*/(cache|none)/", words) for words in said]
    assert all(named), "; ".join(said)
    return "; ".join(said) or "works"


def one_core(name: str, seed: int) -> str:
    """One core, and nothing else is said about threads."""
    with Kernel(prefix=["taskset", "-c", "0"], OMP_NUM_THREADS=None) as kernel:
        kernel.all(code_cells(name))
    return "works"


def memory(name: str, seed: int) -> str:
    """Full size, checks included, and the most memory that the kernel has had: less than 4 GB."""
    with Kernel(full=True) as kernel:
        began = time.monotonic()
        kernel.all(code_cells(name, checks=True))
        peak = kernel.peak()
    assert peak < 4e9
    return f"{peak / 1e9:.2f} GB, {time.monotonic() - began:.0f} s"


WAYS = {way.__name__: way for way in (twice, order, backwards, restart, place, read_only, one_core, memory)}


def main() -> int:
    """Try what the arguments ask for, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--notebooks", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--seeds", type=int, default=1, help="orders and places to restart, of each notebook")
    arguments = parser.parse_args()
    count = Counter()
    for name in arguments.notebooks:
        for way in arguments.ways:
            seeds = arguments.seeds if way in ("order", "restart") else 1
            for seed in range(seeds):
                began = time.monotonic()
                try:
                    said = WAYS[way](name, seed)
                    count["well"] += 1
                except AssertionError as error:
                    said = f"WRONG: {error}"
                    count["wrong"] += 1
                print(f"{name} {way} {seed}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    print(dict(count))
    return 1 if count["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
