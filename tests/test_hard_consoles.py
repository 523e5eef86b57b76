"""Consoles, names and places that are hard: a run that could end well does, and nothing is overwritten."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from helpers.arguments import pictures_in
from helpers.command_line import main
from helpers.images import picture_path
from helpers.system.files import at_home, cache_folder

TINY = ["--size", "32", "--steps", "1"]


def command(arguments, folder, **environment):
    """Run the command line in a process of its own; return its exit code and what it wrote, as bytes."""
    environment = os.environ | {"NST_QUICK": "1"} | environment
    done = subprocess.run(
        [sys.executable, "-m", "helpers", *arguments], cwd=folder, env=environment, capture_output=True
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def photograph(tmp_path):
    file = tmp_path / "mine.png"
    Image.new("RGB", (40, 30), "orange").save(file)
    return file


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "cp932", "ascii", "utf-8"])
def test_no_message_fails_for_want_of_a_letter(encoding, tmp_path):
    name = "Größe α, β 그림 $x$.png"
    arguments = ["content", "chenonceau", "--layer", "conv1_1", "-o", name, *TINY]
    code, out, err = command(arguments, tmp_path, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert code == 0 and (tmp_path / name).exists(), err
    assert out and b"Traceback" not in err
    for help_ in (["figure", "--help"], ["transfer", "--help"]):
        code, out, err = command(help_, tmp_path, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert code == 0 and len(out) > 500, err
    code, out, err = command(["content", "그림", "-o", "x.png"], tmp_path, PYTHONIOENCODING=encoding)
    assert code == 2 and err.startswith(b"error: no picture")


@pytest.mark.parametrize("closed", ["2>&-", "2>&- >&-"])
def test_a_closed_console_costs_no_picture(closed, tmp_path):
    line = (
        f"{sys.executable} -m helpers content chenonceau --layer conv1_1 -o x.png {' '.join(TINY)} {closed}"
    )
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=os.environ | {"NST_QUICK": "1"})
    assert done.returncode == 0 and (tmp_path / "x.png").exists()


def test_json_to_standard_output_is_json_alone(tmp_path, capsys):
    out = str(tmp_path / "x.png")
    assert main(["content", "chenonceau", "--layer", "conv1_1", "-o", out, "--json", "-", *TINY]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["evaluations"] == 1 and "x.png" in said.err


@pytest.mark.parametrize(
    "options",
    [
        ["-o", "mine.png"],
        ["-o", "./mine.png"],
        ["-o", "link.png"],
        ["-o", "x.png", "--json", "mine.png"],
        ["-o", "x.png", "--json", "x.png"],
        ["-o", "x.png", "--checkpoint", "mine.png"],
        ["-o", "x.png", "--json", "run.pt", "--checkpoint", "run.pt"],
    ],
    ids=" ".join,
)
def test_a_file_that_is_needed_is_not_overwritten(options, photograph, monkeypatch, capsys):
    monkeypatch.chdir(photograph.parent)
    os.symlink("mine.png", "link.png")
    before = photograph.read_bytes()
    assert main(["transfer", "mine.png", "starry_night", *options, *TINY]) == 2
    assert "would be lost" in capsys.readouterr().err
    assert photograph.read_bytes() == before and sorted(os.listdir()) == ["link.png", "mine.png"]


def test_what_cannot_be_written_is_said_before_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("helpers.command_line.VGG19", None)  # nothing is computed
    monkeypatch.chdir(tmp_path)
    long = "x" * 300 + ".png"
    assert main(["content", "chenonceau", "-o", long]) == 2 and long in capsys.readouterr().err
    assert main(["content", "chenonceau", "-o", "x.png", "--json", "none/x.json"]) == 2
    assert "none" in capsys.readouterr().err
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: (_ for _ in ()).throw(full))
    assert main(["content", "chenonceau", "-o", "x.png"]) == 2
    assert "cannot be written to (No space left on device)" in capsys.readouterr().err


def test_a_disk_that_becomes_full_leaves_the_old_files_and_is_told_with_the_name(tmp_path):
    (tmp_path / "x.png").write_bytes(b"old")
    limit = "import resource as r, runpy, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "r.setrlimit(r.RLIMIT_FSIZE, (4096, 4096)); runpy.run_module('helpers', run_name='__main__')"
    arguments = ["content", "ducks", "-o", "x.png", "--size", "64", "--steps", "1"]
    environment = os.environ | {"NST_QUICK": ""}
    done = subprocess.run(
        [sys.executable, "-c", limit, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    words = "error: cannot write 'x.png': File too large, nor in the folder for temporary files. "
    words += "A run with --checkpoint can be taken up by --resume\n"
    assert (done.returncode, done.stderr) == (2, words)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
    assert (tmp_path / "x.png").read_bytes() == b"old"


@pytest.mark.parametrize("source", ["", "~nobody_of_this_name/x.png", "a" * 5000, "no\udcffname.png"])
def test_a_picture_that_is_not_there_is_one_clear_error(source, tmp_path, capsys):
    assert main(["transfer", source, "starry_night", "-o", str(tmp_path / "x.png"), *TINY]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("seed", [10**20, -(10**20)])
def test_a_seed_that_no_generator_takes_is_refused(seed, tmp_path, capsys):
    out = str(tmp_path / "x.png")
    assert main(["content", "chenonceau", "-o", out, *TINY, "--seed", str(seed)]) == 2
    assert f"seed is {seed}" in capsys.readouterr().err


def test_names_with_commas_are_one_picture_where_there_is_such_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a,b.jpg", "c.jpg"):
        shutil.copy(picture_path("ducks"), name)
    assert pictures_in("a,b.jpg,c.jpg,starry_night") == ("a,b.jpg", "c.jpg", "starry_night")
    assert pictures_in("ducks,citrus") == ("ducks", "citrus")
    assert pictures_in("a,none.jpg") == ("a", "none.jpg")


def test_a_place_without_a_home_has_a_cache_folder(monkeypatch):
    monkeypatch.delenv("NST_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr("helpers.system.files.user_cache_path", lambda name: at_home("~nobody_here") / name)
    assert cache_folder().is_absolute() and "~" not in str(cache_folder())


def test_dollars_and_commas_in_names_come_through_a_figure(tmp_path):
    shutil.copy(picture_path("ducks"), tmp_path / "cost $5, or $6.jpg")
    arguments = [
        "figure",
        "2",
        "-o",
        "f",
        "--styles",
        "cost $5, or $6.jpg",
        "--content",
        "cost $5, or $6.jpg",
    ]
    code, _, err = command([*arguments, "--steps", "1", "--size", "32"], tmp_path)
    assert code == 0 and (tmp_path / "f" / "figure_2.png").exists(), err
