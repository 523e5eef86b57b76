import os
import socket
from pathlib import Path

import pytest
import torch

from helpers.images import load_image
from helpers.network import VGG19

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = {".git", ".venv", "__pycache__", ".ruff_cache", ".hypothesis", ".ipynb_checkpoints"}


@pytest.fixture(scope="session")
def vgg19():
    return VGG19()


@pytest.fixture(scope="session")
def vgg19_max():
    return VGG19(pooling="max")


@pytest.fixture(scope="session")
def vgg19_normalised():
    return VGG19(normalised=True)


@pytest.fixture(scope="session")
def p():
    return load_image("chenonceau", 48)


@pytest.fixture(scope="session")
def a():
    return load_image("starry_night", 48)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def _files():
    found = set()
    for folder, folders, names in os.walk(ROOT):
        # Pruned, not filtered afterwards: .venv alone holds tens of thousands of files.
        folders[:] = [f for f in folders if f not in SKIPPED and not f.endswith(".egg-info")]
        found |= {os.path.relpath(os.path.join(folder, name), ROOT) for name in names}
    return found


@pytest.fixture(autouse=True)
def leaves_no_files_behind(request):
    before = _files()
    yield
    left = _files() - before
    assert not left, f"the test left files behind: {sorted(left)}"


@pytest.fixture(autouse=True)
def needs_no_network(monkeypatch):
    """Refuse connections to other machines; notebook kernels talk over loopback."""
    connect = socket.socket.connect

    def only_here(self, address):
        if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "::1", "localhost")):
            raise AssertionError(f"a test tried to reach {address[0]}; everything must work offline")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)
