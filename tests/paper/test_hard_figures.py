"""Figures beside another process, after kills, with changed pictures, and where nothing can be written."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from PIL import Image

from helpers.command_line import main
from helpers.images import picture_path
from helpers.paper import panels as panels_module

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills, limits and mounts are those of Unix")
TINY = ["--size", "32", "--steps", "1"]
FILES = ("figure_1.png", "figure_1.pdf", "figure_1.txt")


def begin(folder, number="1", **options):
    command = [sys.executable, "-m", "helpers", "figure", number, "-o", str(folder), *TINY]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def end(process):
    out, err = process.communicate(timeout=300)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def contents(folder):
    """Return the files of a figure by name; they and the panels must be whole."""
    for path in folder.rglob("[!.]*.*"):
        if path.suffix in (".png", ".jpg"):
            with Image.open(path) as picture:
                picture.load()
        assert path.suffix != ".pdf" or path.read_bytes().endswith(b"%%EOF\n"), path
    return {path.name: path.read_bytes() for path in folder.glob("figure_*")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The files of a figure that nobody disturbs, and its seconds."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert end(begin(folder))[0] == 0  # the first fills caches
    shutil.rmtree(folder)
    began = time.monotonic()
    assert end(begin(folder))[0] == 0
    files = contents(folder)
    assert set(files) == {*FILES, "figure_1_contact_sheet.jpg"}
    return files, time.monotonic() - began


@pytest.mark.parametrize("tries", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_two_processes_make_one_figure(tries, tmp_path, undisturbed):
    moment, (files, seconds) = random.Random(tries), undisturbed
    for i in range(tries):
        first = begin(tmp_path / str(i))
        time.sleep(moment.uniform(0, seconds))
        second = begin(tmp_path / str(i))
        assert [end(first)[0], end(second)[0]] == [0, 0]
        assert contents(tmp_path / str(i)) == files


@pytest.mark.parametrize("tries", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_kill_and_the_same_command_again_give_the_same_figure(tries, tmp_path, undisturbed):
    moment, (files, seconds), happened = random.Random(tries), undisturbed, Counter()
    for i in range(tries):
        folder = tmp_path / str(i)
        process = begin(folder)
        time.sleep(moment.uniform(seconds / 3, seconds))
        process.kill()
        process.communicate()
        contents(folder)
        made = len(list(folder.glob("panels/c*.png")) + list(folder.glob("panels/s*.png")))
        happened["panels kept"] += made
        happened["parts left"] += len(list(folder.rglob(".*.part*")))
        code, said, _ = end(begin(folder))
        assert code == 0 and (not made or f"{made} of 10 panels are there already" in said)
        assert contents(folder) == files
        assert not list(folder.rglob(".*")), "what the kill left half written is still there"
    print(dict(happened))


def figure(folder, capsys, *options, number="1"):
    """Make a figure in this process; return the exit code, and what it says of an error."""
    code = main(["figure", number, "-o", str(folder), *TINY, *options])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(("changed", "anew"), [("p.jpg", ["content"] * 5), ("a.jpg", ["style"] * 5)])
def test_a_changed_picture_makes_its_panels_anew_and_no_other(changed, anew, tmp_path, capsys):
    names = {"p.jpg": "chenonceau", "a.jpg": "starry_night"}
    for file, name in names.items():
        shutil.copy(picture_path(name), tmp_path / file)
    options = ["--content", str(tmp_path / "p.jpg"), "--styles", str(tmp_path / "a.jpg")]
    folder = tmp_path / "figures"
    assert figure(folder, capsys, *options) == (0, "")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("panels/*")}
    first = contents(folder)
    shutil.copy(picture_path("ducks"), tmp_path / changed)
    assert figure(folder, capsys, *options) == (0, "")
    new = set(folder.glob("panels/*")) - before.keys()
    assert sorted(path.name.split("_")[0] for path in new) == anew
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert contents(folder)["figure_1.png"] != first["figure_1.png"]
    shutil.copy(picture_path(names[changed]), tmp_path / changed)
    assert figure(folder, capsys, *options) == (0, "")
    assert contents(folder) == first and set(folder.glob("panels/*")) == before.keys() | new


def test_a_picture_that_changes_while_panels_are_made_is_not_taken_for_the_old_one(
    tmp_path, capsys, monkeypatch
):
    photograph = tmp_path / "p.jpg"
    shutil.copy(picture_path("chenonceau"), photograph)
    original = panels_module.make_panel

    def make_panel(panel, p, a):
        if panel.content_layer == "conv2_1":
            shutil.copy(picture_path("ducks"), photograph)
        return original(panel, p, a)

    options = ["--content", str(photograph)]
    with monkeypatch.context() as patch:
        patch.setattr(panels_module, "make_panel", make_panel)
        code, said = figure(tmp_path / "f", capsys, *options)
    assert code == 2 and "p.jpg changed while panels were made" in said
    assert len(list(tmp_path.glob("f/panels/content_p_*"))) == 2
    assert figure(tmp_path / "f", capsys, *options) == (0, "")
    assert len(list(tmp_path.glob("f/panels/content_p_*"))) == 2 + 5


@pytest.mark.parametrize(
    "name",
    ["그" * 80 + ".jpg", "x" * 250 + ".jpg", "no\udcff $letter.jpg"],
    ids=["Korean", "long", "no letter"],
)
def test_names_as_long_as_they_may_be_come_through_a_figure(name, tmp_path, capsys):
    try:
        shutil.copy(picture_path("ducks"), tmp_path / name)
    except OSError:
        pytest.skip("no such names here")
    options = ["--content", str(tmp_path / name), "--styles", str(tmp_path / name)]
    assert figure(tmp_path / "f", capsys, *options, number="2") == (0, "")
    assert (tmp_path / "f" / "figure_2.pdf").exists()


@pytest.mark.parametrize("place", ["file", "file/f", "/proc/f", "/proc", "x" * 300, "protected", "closed"])
def test_a_folder_that_cannot_be_written_to_is_named_before_anything_runs(
    place, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(panels_module, "make_panel", lambda *_: pytest.fail("a run had begun"))
    (tmp_path / "file").touch()
    for folder in ("protected", "closed"):
        (tmp_path / folder).mkdir()
    (tmp_path / "protected" / "figure_1.pdf").touch()
    protected = {"protected": tmp_path / "protected" / "figure_1.pdf", "closed": tmp_path / "closed"}.get(
        place
    )
    if place.startswith("/proc") and sys.platform != "linux":
        pytest.skip("there is no /proc")
    with unchangeable(protected):
        code, said = figure(place, capsys)
    assert code == 2 and said.startswith("error: ") and said.count("\n") == 1 and place in said
    assert len(list(tmp_path.rglob("*"))) == 4


@contextmanager
def unchangeable(path):
    """Protect a file or a folder, also from root, who may do whatever permissions forbid."""
    if path is None:
        yield
    elif os.getuid():
        path.chmod(0o555)
        yield
        path.chmod(0o755)
    else:
        if subprocess.run(["chattr", "+i", path], capture_output=True).returncode:
            pytest.skip("root may write everywhere here")
        yield
        subprocess.run(["chattr", "-i", path], check=True)


@pytest.mark.parametrize("tries", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_a_full_disk_leaves_the_old_figure_and_whole_panels(tries, tmp_path, capsys):
    size, happened = random.Random(tries), Counter()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmp_path]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can make a small disk")
    try:
        for i in range(tries):
            folder = tmp_path / str(i)
            folder.mkdir()
            for name in FILES:
                (folder / name).write_bytes(b"old")
            remount(tmp_path, f"{int(16 * 30 ** size.random())}k")  # 16 to 480 kB; the figure takes 600
            code, said = figure(folder, capsys)
            assert code == 2 and "No space left on device" in said and said.count("\n") == 1
            assert str(folder) in said
            contents(folder / "panels")
            assert all((folder / name).read_bytes() == b"old" for name in FILES)
            assert not list(folder.rglob(".*"))
            happened["before" if "cannot be written to" in said else "later"] += 1
            remount(tmp_path, "4m")
            assert figure(folder, capsys) == (0, "")
            contents(folder)
            shutil.rmtree(folder)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    print(dict(happened))


def remount(folder, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
