"""A picture's record, in every format that is written, and as a stranger may have changed it."""

import random

import pytest
import torch
from PIL import Image

from helpers.images import RECORD_KEY, load_image, read_record, save_image
from helpers.widgets.recipe import recipe

RECORD = {"settings": {"p": "그림 α.jpg", "alpha": 1e-3, "style_weights": {"conv1_1": 0.2}}, "stopped": None}


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "webp"])
def test_every_format_carries_the_record(ending, tmp_path):
    file = save_image(load_image("ducks", 40), tmp_path / f"x.{ending}", RECORD)
    assert read_record(file) == RECORD
    assert load_image(file).shape == load_image("ducks", 40).shape
    with pytest.raises(ValueError, match="carries no record"):
        read_record(save_image(load_image("ducks", 40), tmp_path / f"y.{ending}"))


@pytest.mark.parametrize(("ending", "kept"), [("png", True), ("webp", True), ("jpg", False)])
def test_a_record_that_is_too_long_costs_no_picture(ending, kept, tmp_path):
    record = RECORD | {"gradient_ratios": [[n, 1 / 3] for n in range(5000)]}
    file = save_image(load_image("ducks", 40), tmp_path / f"x.{ending}", record)
    assert load_image(file).shape[3] == 40
    if kept:
        assert read_record(file) == record


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_a_mutated_file_is_a_record_or_one_clear_error(ending, tmp_path):
    whole = save_image(torch.zeros(1, 3, 8, 8), tmp_path / f"x.{ending}", RECORD).read_bytes()
    file, generator = tmp_path / f"mutated.{ending}", random.Random(0)
    read = refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(generator.randint(1, 8)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        file.write_bytes(data[: generator.randint(1, len(data))] if generator.random() < 0.2 else data)
        try:
            record = read_record(file)
            read += 1
        except ValueError:
            refused += 1
            continue
        with pytest.raises(ValueError):  # not the record of a whole transfer
            recipe(record)
    assert read and refused and read + refused == 400


@pytest.mark.parametrize("text", ["[1]", "null", "{", '"words"', "[" * 100_000])
def test_what_is_no_record_is_refused(text, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = f"{RECORD_KEY}: {text}"
    Image.new("RGB", (4, 4)).save(tmp_path / "x.webp", exif=exif)
    with pytest.raises(ValueError, match="record"):
        read_record(tmp_path / "x.webp")
