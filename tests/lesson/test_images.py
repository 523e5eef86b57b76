"""Pictures in and out, and the table of sources."""

import hashlib
import re
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers import images
from helpers.images import (
    FOLDER,
    from_pil,
    load_image,
    picture_names,
    picture_path,
    read_record,
    save_image,
    to_array,
    to_pil,
)

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def test_every_picture_is_in_the_table_of_sources_with_its_hash():
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in (FOLDER / "SOURCES.md").read_text(encoding="utf-8").splitlines()
        if re.match(r"\| (content|style)/", line)
    ]
    listed = {row[0]: row for row in rows}
    files = {f"{path.parent.name}/{path.name}": path for path in FOLDER.glob("[cs]*/*")}
    assert set(listed) == set(files)
    assert len(files) == 8
    for name, path in files.items():
        assert len(listed[name]) == 7, name
        assert listed[name][-1] == f"`{hashlib.sha256(path.read_bytes()).hexdigest()}`", name
        assert all(listed[name]), f"{name} lacks an author, a licence or an attribution"


def test_pictures_are_found_by_name():
    assert picture_names("content") == ["chenonceau", "picos_de_europa", "red_panda"]
    assert len(picture_names("style")) == 5
    assert set(picture_names()) == set(picture_names("content")) | set(picture_names("style"))
    assert picture_path("ducks").name == "ducks.jpg"
    with pytest.raises(ValueError, match="unknown kind 'photo'"):
        picture_names("photo")


def test_a_missing_picture_is_named_with_what_there_is():
    with pytest.raises(FileNotFoundError, match=r"no picture 'nowhere.jpg'.*chenonceau"):
        load_image("nowhere.jpg")


def saved(tmp_path, picture, name="picture.png", **options):
    picture.save(tmp_path / name, **options)
    return tmp_path / name


def test_pixels_are_rgb_between_0_and_1(tmp_path):
    picture = Image.new("RGB", (2, 1))
    picture.putdata([(255, 51, 0), (0, 102, 255)])
    x = load_image(saved(tmp_path, picture))
    assert x.shape == (1, 3, 1, 2)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x[0, :, 0].T, torch.tensor([[1.0, 0.2, 0.0], [0.0, 0.4, 1.0]]))


# EXIF orientation: how the corners red, green, blue, white of the upright picture lie in the file.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", STORED)
def test_photographs_come_upright(orientation, tmp_path):
    upright = Image.new("RGB", (3, 2), WHITE)
    upright.putpixel((0, 0), RED)
    upright.putpixel((2, 0), GREEN)
    upright.putpixel((0, 1), BLUE)
    turn = STORED[orientation]
    stored = upright.transpose(turn) if turn is not None else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    x = load_image(saved(tmp_path, stored, exif=exif))
    assert to_pil(x).tobytes() == upright.tobytes()


def palette(transparent=False):
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *BLUE])
    picture.putdata([0, 1])
    if transparent:
        picture.info["transparency"] = 0
    return picture


@pytest.mark.parametrize(
    ("picture", "name", "pixels"),
    [
        (Image.new("L", (2, 1), 51), "grey.png", [(51,) * 3] * 2),
        (Image.new("1", (2, 1), 1), "bit.png", [WHITE] * 2),
        (palette(), "palette.png", [RED, BLUE]),
        (palette(transparent=True), "transparent.png", [WHITE, BLUE]),
        (Image.new("RGBA", (2, 1), (255, 0, 0, 0)), "clear.png", [WHITE] * 2),
        (Image.new("RGBA", (2, 1), (0, 0, 0, 51)), "veil.png", [(204,) * 3] * 2),
        (Image.new("LA", (2, 1), (0, 0)), "grey-clear.png", [WHITE] * 2),
        (Image.new("CMYK", (2, 1), (255, 0, 0, 0)), "print.tif", [(0, 255, 255)] * 2),
        (Image.fromarray(np.full((1, 2), 51 * 257, np.uint16)), "deep.png", [(51,) * 3] * 2),
        (Image.fromarray(np.full((1, 2), 65535, np.uint16)), "deep.tif", [WHITE] * 2),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_kind_of_picture_comes_out_right(picture, name, pixels, tmp_path):
    transparency = picture.info.get("transparency")
    options = {} if transparency is None else {"transparency": transparency}
    x = load_image(saved(tmp_path, picture, name, **options))
    assert to_pil(x).tobytes() == bytes(value for pixel in pixels for value in pixel)


@settings(deadline=None, max_examples=40)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    size=st.integers(1, 90),
    mode=st.sampled_from(["RGB", "L", "RGBA", "LA", "P", "CMYK", "1", "I;16"]),
)
def test_any_picture_becomes_a_tensor_of_the_size_asked_for(width, height, size, mode, tmp_path_factory):
    picture = Image.effect_noise((width, height), 100)
    picture = (
        Image.new(mode, (width, height), 9999) if mode == "I;16" else picture.convert("RGB").convert(mode)
    )
    folder = tmp_path_factory.getbasetemp()
    x = load_image(saved(folder, picture, "any.tif" if mode == "CMYK" else "any.png"), size)
    assert x.shape[:2] == (1, 3)
    assert max(x.shape[2:]) == size
    assert abs(x.shape[3] - size * width / max(width, height)) <= 1
    assert abs(x.shape[2] - size * height / max(width, height)) <= 1
    assert 0 <= x.min() <= x.max() <= 1


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_eight_bit_pictures_survive_the_way_there_and_back(width, height, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(to_pil(from_pil(Image.fromarray(pixels)))), pixels)


def noisy(tmp_path, name):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    return saved(tmp_path, Image.fromarray(pixels), name)


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png"])
def test_a_truncated_file_is_called_damaged(name, tmp_path):
    path = noisy(tmp_path, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="is damaged"):
        load_image(path)


def test_a_file_that_is_no_picture_is_called_so(tmp_path):
    (tmp_path / "notes.jpg").write_text("not a picture")
    with pytest.raises(ValueError, match="is not a picture"):
        load_image(tmp_path / "notes.jpg")


def test_an_absurdly_large_picture_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MOST_PIXELS", 1000)
    with pytest.raises(ValueError, match="60 × 60 px, more than 1,000 pixels"):
        load_image(noisy(tmp_path, "large.png"))


def test_pillows_own_alarm_about_size_becomes_the_same_error(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match="shrink it first"):
        load_image(noisy(tmp_path, "bomb.png"))


@pytest.mark.parametrize("size", [0, -1, 5000, 2.5, "large"])
def test_a_size_that_makes_no_sense_is_named(size):
    with pytest.raises(ValueError, match=r"size is .*; it must be a whole number from 1 to 4096"):
        load_image("ducks", size)


def test_floating_point_pictures_have_no_known_range(tmp_path):
    with pytest.raises(ValueError, match="no known range"):
        load_image(saved(tmp_path, Image.new("F", (4, 4), 0.5), "float.tif"))


def test_values_outside_the_range_are_clipped_on_the_way_out():
    assert to_array(torch.tensor([-1.0, 0.5, 2.0]).view(1, 3, 1, 1)).tolist() == [[[0.0, 0.5, 1.0]]]


@pytest.mark.parametrize(
    ("tensor", "message"),
    [(torch.zeros(2, 3, 4, 4), "shape"), (torch.full((1, 3, 2, 2), float("nan")), "NaN")],
)
def test_tensors_that_are_no_picture_are_refused(tensor, message):
    with pytest.raises(ValueError, match=message):
        to_pil(tensor)


def test_a_png_carries_its_record(tmp_path):
    record = {"settings": {"α": 0.001}, "loss": [1.5, 2]}
    path = save_image(torch.rand(1, 3, 4, 5), tmp_path / "x.png", record)
    assert read_record(path) == record
    save_image(torch.rand(1, 3, 4, 5), tmp_path / "plain.png")
    with pytest.raises(ValueError, match="carries no record"):
        read_record(tmp_path / "plain.png")


def test_bad_outputs_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"must end in .png, .jpg or .webp"):
        save_image(torch.rand(1, 3, 4, 4), tmp_path / "x.txt")
    with pytest.raises(FileNotFoundError, match="is no folder"):
        save_image(torch.rand(1, 3, 4, 4), tmp_path / "nowhere" / "x.png")


def test_a_save_that_fails_leaves_the_old_picture_and_no_other_file(tmp_path, monkeypatch):
    path = save_image(torch.zeros(1, 3, 4, 4), tmp_path / "x.png")
    old = path.read_bytes()

    def fails(self, target, **options):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fails)
    with pytest.raises(OSError, match="disk full"):
        save_image(torch.ones(1, 3, 4, 4), path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def claiming(tmp_path, width, height):
    """A PNG whose header promises so many pixels, and that holds none."""
    path, data = tmp_path / "claim.png", b"\x89PNG\r\n\x1a\n"
    for kind, content in ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b"")):
        data += (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("side", [10_955, 100_000])
def test_a_header_that_promises_too_many_pixels_is_enough_to_refuse_a_file(side, tmp_path):
    with pytest.raises(ValueError, match="more than 120,000,000 pixels in all; shrink it first"):
        load_image(claiming(tmp_path, side, side))


def test_just_below_the_limit_only_the_missing_pixels_are_complained_about(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MOST_PIXELS", 90 * 90)
    with pytest.raises(ValueError, match="is damaged"):
        load_image(claiming(tmp_path, 90, 90))


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png"])
def test_a_file_cut_anywhere_is_an_error_that_is_explained(name, tmp_path):
    path = noisy(tmp_path, name)
    whole = path.read_bytes()
    for length in [*range(0, 200, 9), *range(200, len(whole) - 100, 997)]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"is damaged|is not a picture"):
            load_image(path)


@pytest.mark.parametrize(("name", "error"), [("x.png", 0.3), ("X.PNG", 0.3), ("x.jpg", 5), ("x.webp", 5)])
def test_a_saved_picture_is_read_back_as_it_was(name, error, tmp_path):
    x = load_image("red_panda", 200)
    back = load_image(save_image(x, tmp_path / name))
    assert back.shape == x.shape
    assert (back - x).abs().mean() * 255 < error


def test_a_tensor_that_is_no_picture_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="NaN or infinite"):
        save_image(torch.full((1, 3, 2, 2), float("inf")), tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []
