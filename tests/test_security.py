"""Nothing that comes from outside is run, and nothing listens to other machines."""

import ast
import http.client
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import nbformat
import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path for folder in ("helpers", "notebooks", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)

#: Calls that run what they are given, by the end of their name.
RUN_IT = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "shelve.open", "joblib.load",
    "pandas.read_pickle", "pd.read_pickle", "yaml.load", "runpy.run_path", "tempfile.mktemp",
}  # fmt: skip


def dangers(code):
    """Return the calls in Python code that run, or unpickle, what they are given."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            unsafe = name in RUN_IT
            unsafe |= name == "torch.load" and options.get("weights_only") != "True"
            unsafe |= name in ("np.load", "numpy.load") and options.get("allow_pickle", "False") != "False"
            unsafe |= options.get("shell", "False") != "False"
            if unsafe:
                found.append(ast.unparse(node)[:80])
    return found


def code_of(path):
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(
        re.sub(r"(?m)^\s*[%!].*$", "", cell.source) for cell in cells if cell.cell_type == "code"
    )


@pytest.mark.parametrize(
    "path", [*SOURCES, *sorted((ROOT / "notebooks").glob("*.ipynb"))], ids=lambda p: p.name
)
def test_no_code_runs_or_unpickles_what_it_is_given(path):
    assert dangers(code_of(path)) == []


@pytest.mark.parametrize(
    "code",
    ["eval(x)", "torch.load(f)", "torch.load(f, weights_only=False)", "subprocess.run(x, shell=True)",
     "np.load(f, allow_pickle=True)", "os.system(x)", "pickle.load(f)", "yaml.load(f)"],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(code):
    assert dangers(code)
    assert not dangers("torch.load(f, weights_only=True); network.eval(); re.compile(x); np.load(f)")


def command(target):
    """Return the command that a target of the Makefile ends with, as it stands there."""
    # Under `make test` it is a make inside a make, which names its folder before and after its work.
    make = ["make", "--no-print-directory", "-n", target]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True)
    line = done.stdout.replace("\\\n", " ").strip().splitlines()[-1]
    return line.replace(".venv/bin/", f"{Path(sys.executable).parent}/")


def listening(process):
    """Return the addresses at which a process and its children wait for others."""
    family = [process, *process.children(recursive=True)]
    sockets = [socket for each in family for socket in each.net_connections(kind="inet")]
    return [socket.laddr for socket in sockets if socket.status == psutil.CONN_LISTEN]


def answer(address, path, headers=None):
    connection = http.client.HTTPConnection(*address, timeout=60)
    try:
        connection.request("GET", path, headers=headers or {})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.skipif(not shutil.which("make"), reason="it starts them as make does")
@pytest.mark.parametrize("target", ["lab", "studio"])
def test_a_server_listens_to_this_machine_and_answers_no_other_name(target, tmp_path):
    jupyter = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = (
        os.environ | jupyter | {"HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path), "NST_QUICK": "1"}
    )
    line = f"exec {'' if target == 'lab' else 'env '}{command(target)} --no-browser --port=0"
    with (tmp_path / "log.txt").open("w") as log:
        server = psutil.Popen(["sh", "-c", line], cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        addresses = []
        while not addresses and time.monotonic() < end:
            assert server.poll() is None, (tmp_path / "log.txt").read_text()
            addresses = listening(server)
            time.sleep(0.1)
        here = next(address for address in addresses if ":" not in address.ip)
        page = "/lab" if target == "lab" else "/"
        assert answer(here, page) in (200, 302)  # the studio starts its kernel, JupyterLab asks for its token
        socket = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        socket |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        for name in (f"evil.example:{here.port}", f"127.0.0.1.evil.example:{here.port}"):
            # As after DNS rebinding: the other site's name leads here, so that Host and Origin agree.
            foreign = {"Host": name, "Origin": f"http://{name}"}
            assert answer(here, page, foreign) == 403
            assert answer(here, f"/api/kernels/{uuid4()}/channels", foreign | socket) == 403
        assert {address.ip for address in listening(server)} <= {"127.0.0.1", "::1"}
    finally:
        if server.poll() is None:
            for child in server.children(recursive=True):
                child.terminate()
            server.terminate()
        server.wait(timeout=20)
