"""A real browser, and a real JupyterLab on loopback with copies of the notebooks."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "notebooks"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_collection_modifyitems(items):
    """Mark what lies here, and skip it where there is no browser, except where it must be there."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not CHROMIUM and not os.environ.get("NST_BROWSER"):
                item.add_marker(pytest.mark.skip(reason="no chromium here: apt-get install chromium"))


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Without a sandbox only as root, as in a container: there Chromium refuses to start with one.
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page that fails the test at its end if it asked another host, or wrote an error into the console."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page, errors, strangers = context.new_page(), [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: strangers.append(request.url) if _is_far(request.url) else None)
    yield page
    context.close()
    assert not strangers, f"the page asked other hosts: {strangers}"
    assert not errors, errors


def _is_far(url):
    here = r"(file|data|blob|about|chrome-extension):|(https?|wss?)://(127\.0\.0\.1|localhost)[:/]"
    return not re.match(here, url)


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory):
    """The folder that the JupyterLab of the tests shows."""
    return tmp_path_factory.mktemp("lab") / "notebooks"


@pytest.fixture(scope="session")
def wait_for_address():
    """How to find the address that a server writes into its log."""
    return _address


@pytest.fixture(scope="session")
def lab(lab_folder):
    """The address of a JupyterLab that shows copies of the notebooks, trusted as `make lab` trusts them."""
    folder, home = lab_folder, lab_folder.parent
    shutil.copytree(NOTEBOOKS, folder, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    environment = os.environ | {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "NST_QUICK": "1",
    }
    jupyter = [sys.executable, "-m", "jupyter"]
    trusted = [*jupyter, "trust", *map(str, folder.glob("*.ipynb"))]
    subprocess.run(trusted, env=environment, check=True, capture_output=True)
    log = home / "log.txt"
    command = [*jupyter, "lab", "--no-browser", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"]
    command += ["--IdentityProvider.token=test", f"--ServerApp.root_dir={folder}", "--allow-root"]
    with log.open("w") as file:
        server = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield _address(server, log)
    finally:
        server.terminate()
        server.wait(timeout=20)


def _address(server, log):
    import time

    for _ in range(600):
        found = re.search(r"http://127\.0\.0\.1:\d+/", log.read_text(encoding="utf-8"))
        if found:
            return found[0]
        assert server.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.1)
    pytest.fail("JupyterLab did not start:\n" + log.read_text(encoding="utf-8"))
