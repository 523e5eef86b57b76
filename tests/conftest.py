import ipaddress
import os
import signal
import socket
from pathlib import Path

import pytest
import torch

from helpers.images import load_image
from helpers.network import VGG19

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = {".git", ".venv", "__pycache__", ".ruff_cache", ".hypothesis", ".ipynb_checkpoints"}


@pytest.fixture(scope="session", autouse=True)
def keeps_nothing_between_runs(tmp_path_factory):
    """Point the cache folder, of this process and of those it starts, to a new empty one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NST_CACHE", str(tmp_path_factory.mktemp("cache")))
        # Fixed, so that pictures compare bit for bit whatever else the machine does.
        patch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
        yield


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


@pytest.fixture
def stop_button():
    """Let Ctrl-C raise KeyboardInterrupt, also where these tests run in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _files():
    found = set()
    for folder, folders, names in os.walk(ROOT):
        # Pruned, not filtered afterwards: .venv alone holds tens of thousands of files.
        folders[:] = [f for f in folders if f not in SKIPPED and not f.endswith(".egg-info")]
        found |= {os.path.relpath(os.path.join(folder, name), ROOT) for name in names}
    return found


@pytest.fixture(autouse=True)
def leaves_no_files_behind():
    before = _files()
    yield
    left = _files() - before
    assert not left, f"the test left files behind: {sorted(left)}"


def _is_here(host):
    if host in (None, "", b"", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# Of the session, so that the networks built above are guarded too.
@pytest.fixture(scope="session", autouse=True)
def needs_no_network():
    """Refuse other machines, looking up their names included; notebook kernels talk over loopback."""

    def only_here(original, host_of):
        def guarded(*arguments, **options):
            if not _is_here(host := host_of(arguments)):
                # No exception that code under test could catch and take for a bad connection.
                pytest.fail(f"a test tried to reach {host}; everything must work offline")
            return original(*arguments, **options)

        return guarded

    def of_address(arguments):  # (socket, address); the address of a Unix socket is a path
        return arguments[1][0] if isinstance(arguments[1], tuple) else None

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, only_here(getattr(socket.socket, name), of_address))
        patch.setattr(socket, "getaddrinfo", only_here(socket.getaddrinfo, lambda arguments: arguments[0]))
        yield
