"""A disk that is full: one error with the file's name, the old file stays, and no finished run is lost."""

import errno
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from helpers.command_line import main
from helpers.images import load_image, read_record, save_image
from helpers.system import checkpoint
from helpers.system.files import whole_file

RUN = ["--size", "40", "--steps", "3"]


@pytest.fixture
def full(tmp_path, monkeypatch):
    """A folder in which a file ends after half of its bytes; others have room."""
    folder, write = tmp_path / "full", Path.write_bytes
    folder.mkdir()
    save, store = Image.Image.save, torch.save

    def fill(path, error):
        if Path(path).parent.name == "full":
            write(Path(path), b"half")
            raise error

    def save_picture(self, path, *arguments, **options):
        fill(path, OSError(errno.ENOSPC, "No space left on device"))
        save(self, path, *arguments, **options)

    def save_tensors(value, path):
        fill(path, RuntimeError("unexpected pos 704 vs 598"))
        store(value, path)

    def begin():
        monkeypatch.setattr(Image.Image, "save", save_picture)
        monkeypatch.setattr(checkpoint.torch, "save", save_tensors)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        return folder

    return begin


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_a_picture_that_cannot_be_written_is_named_and_the_old_one_stays(ending, full, tmp_path):
    old = save_image(torch.zeros(1, 3, 8, 8), tmp_path / "full" / f"x.{ending}", {"a": 1})
    before, folder = old.read_bytes(), full()
    with pytest.raises(OSError, match=re.escape(f"cannot write '{old}': No space left on device")):
        save_image(torch.ones(1, 3, 8, 8), old, {"a": 2})
    assert old.read_bytes() == before
    assert list(folder.iterdir()) == [old]


@pytest.mark.parametrize("kind", [OSError, PermissionError, IsADirectoryError])
def test_a_file_that_cannot_be_written_keeps_the_kind_of_its_error(kind, tmp_path):
    path = tmp_path / "x.json"
    path.write_text("old")
    with pytest.raises(kind, match=r"cannot write '.*x.json': no room"), whole_file(path) as part:
        part.write_text("new")
        raise kind(errno.ENOSPC, "no room")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_the_picture_of_a_finished_run_is_kept_elsewhere_and_it_is_said_where(full, tmp_path, capsys):
    folder, room = full(), tmp_path / "room"
    room.mkdir()
    assert main(["style", "ducks", "-o", str(room / "x.png"), *RUN]) == 0
    capsys.readouterr()
    assert main(["style", "ducks", "-o", str(folder / "x.png"), *RUN]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        f"error: cannot write '{folder / 'x.png'}': No space left on device, so the picture"
    )
    assert said.count("\n") == 1
    kept = Path(re.search(r"is now '(.+)'; move it", said)[1])
    assert torch.equal(load_image(kept), load_image(room / "x.png"))
    assert read_record(kept)["evaluations"] == 3
    assert list(folder.iterdir()) == []


def test_with_no_room_anywhere_the_checkpoint_has_the_run(full, tmp_path, capsys, monkeypatch):
    folder, file = full(), tmp_path / "run.pt"
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: str(folder))
    line = ["style", "ducks", "--checkpoint", str(file), *RUN, "-o"]
    assert main([*line, str(folder / "x.png")]) == 2
    assert "nor in the folder for temporary files. A run with --checkpoint" in capsys.readouterr().err
    assert list(folder.iterdir()) == []
    assert main([*line, str(tmp_path / "x.png"), "--resume"]) == 0
    assert read_record(tmp_path / "x.png")["evaluations"] == 3


def test_a_checkpoint_without_room_costs_no_run(full, tmp_path, capsys):
    folder, line = full(), ["style", "ducks", "-o", str(tmp_path / "x.png"), *RUN]
    assert main([*line, "--checkpoint", str(folder / "run.pt"), "--every", "0"]) == 0
    assert f"cannot write '{folder / 'run.pt'}': is the disk full?" in capsys.readouterr().out
    assert list(folder.iterdir()) == []
    assert load_image(tmp_path / "x.png").shape[3] == 40


def test_a_record_without_room_costs_no_picture(full, tmp_path, capsys, monkeypatch):
    folder, write = full(), Path.write_text

    def no_room(self, *arguments, **options):
        if self.parent.name == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", no_room)
    line = ["style", "ducks", "-o", str(tmp_path / "x.png"), *RUN]
    assert main([*line, "--json", str(folder / "x.json")]) == 2
    told = capsys.readouterr()
    assert "3 evaluations" in told.out  # the picture is there
    assert told.err == f"error: cannot write '{folder / 'x.json'}': No space left on device\n"
    assert read_record(tmp_path / "x.png")["evaluations"] == 3
