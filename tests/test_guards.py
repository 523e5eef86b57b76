"""The guards in conftest.py: a test that leaves files behind or needs the network does not pass."""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# 192.0.2.1 is reserved for documentation: nothing answers there, should the guard be broken.
OTHERS = """
import socket
from pathlib import Path

def test_tidy(tmp_path):
    (tmp_path / "picture.png").touch()

def test_untidy():
    Path(__file__).with_name("picture.png").touch()

def test_of_this_machine():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()

def test_of_an_address():
    with socket.socket() as s:
        s.settimeout(1)
        try:
            s.connect(("192.0.2.1", 443))
        except Exception:
            pass

def test_of_a_name():
    try:
        socket.create_connection(("example.invalid", 443), timeout=1)
    except Exception:
        pass
"""


def test_untidy_tests_and_tests_that_need_the_network_do_not_pass(tmp_path):
    (tmp_path / "tests").mkdir()
    shutil.copy(HERE / "conftest.py", tmp_path / "tests")
    (tmp_path / "tests" / "test_others.py").write_text(OTHERS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA", str(tmp_path / "tests")]
    report = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True).stdout
    endings = {
        line.split("::")[1].split(" ")[0]: line.split(" ")[0] for line in report.splitlines() if "::" in line
    }
    assert endings == {
        "test_tidy": "PASSED",
        "test_untidy": "ERROR",
        "test_of_this_machine": "PASSED",
        "test_of_an_address": "FAILED",
        "test_of_a_name": "FAILED",
    }, report
    assert "left files behind: ['tests/picture.png']" in report
    assert "tried to reach 192.0.2.1" in report
    assert "tried to reach example.invalid" in report
