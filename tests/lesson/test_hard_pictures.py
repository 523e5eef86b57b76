"""Pictures that are hard to read: of other colour spaces, with odd metadata, and damaged ones."""

import base64
import importlib.util
import io
import random
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin, features

from helpers.images import from_pil, load_image, save_image, to_pil
from helpers.system.colours import made_profile

ROOT = Path(__file__).resolve().parents[2]
HARD = ROOT / "tests" / "data" / "hard_pictures"

#: The matrices from light in red, green and blue to XYZ, as each colour space's definition has them, and
#: the exponent of its curve. The first four have the white D65, the other two D50.
SPACES = {
    "sRGB": [(0.41239, 0.35758, 0.18048), (0.21264, 0.71517, 0.07219), (0.01933, 0.11919, 0.95053)],
    "Display P3": [(0.48657, 0.26567, 0.19822), (0.22897, 0.69174, 0.07929), (0.0, 0.04511, 1.04394)],
    "Adobe RGB": [(0.57667, 0.18556, 0.18823), (0.29734, 0.62736, 0.07529), (0.02703, 0.07069, 0.99134)],
    "BT.2020": [(0.63696, 0.14462, 0.16888), (0.26270, 0.67800, 0.05930), (0.0, 0.02807, 1.06099)],
    "sRGB, D50": [(0.43607, 0.38515, 0.14307), (0.22249, 0.71687, 0.06061), (0.01392, 0.09708, 0.71410)],
    "ProPhoto": [(0.79767, 0.13519, 0.03135), (0.28804, 0.71187, 0.00009), (0.0, 0.0, 0.82521)],
}
P3 = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
PROFILES = {
    "Display P3": made_profile(P3),
    "Adobe RGB": made_profile((0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 2.2),
    "ProPhoto": made_profile((0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001), 1.8),
}
COLOURS = [(230, 40, 31), (90, 160, 60), (40, 70, 200), (255, 255, 255), (128, 128, 128), (250, 220, 120)]


#: An AVIF picture whose table of contents was overwritten.
DAMAGED_AVIF = base64.b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAA"
    "AAAAAAAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAABLAAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAQEA"
    "AGF2MDFDb2xvcgAAAABqaXBycAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAAGAAAABIAAAAQcGl4aQAAAAADCAgIAAAADGF2MUOBAAwA"
    "AAAAE2NvbHJuY2x4AAEADQAGgAAAABdpcG1hAAAAAAAAAAEAAQQBAoMEAAABNG1kYXQSAAoJGBEvFogIaDQgMpwCFMeHhmUCCCCe"
    "UAAAAM+xFdGmmoZko5/WkcBxhO/X1SDCNtuPGf8+bZ13IlqngvFI0ODtUkQ7teloFe8mJwqohxBb1pG0Xjpwb/LBVGEgp6WAIckl"
    "WN5euLuK6byyZmiTrFMjtufS6kgD7rScMUEMeIRfUGlTVMDn2ltkrWfzD5o1YKXLzVmXCopjyaotNlw1fiLuXIyqKm4XDn6frzj/"
    "ANTOkEHPMpqCT1pc6ZIeKk9eg5+pCj3gVLcqM0FRseYfoDDnybdPgqs8th5k+c1kuxoctkizWx0a444l4HfyCXDNJvTn/FG/2KcM"
    "Uls/UX1zkb7xnvwwng7vm/znJ9P3YKmNV0wcLSVxMAuVpeY2qr4CQ4k5Rh9HMzBjjsA="
)


def light(values):
    """The curve of sRGB, from 0-255 to light."""
    v = np.asarray(values) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def in_space(colours, space):
    """The values that stand for these sRGB colours in another space."""
    srgb = "sRGB, D50" if space == "ProPhoto" else "sRGB"
    linear = light(colours) @ (np.linalg.inv(SPACES[space]) @ SPACES[srgb]).T
    linear = linear.clip(0, 1)
    if space in ("Display P3", "BT.2020"):
        v = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    else:
        v = linear ** (1 / {"Adobe RGB": 2.2, "ProPhoto": 1.8}[space])
    return (v * 255).round().astype(np.uint8)


def pixels(path, size=None):
    """Every pixel of a file as it is loaded, (n, 3), 0-255."""
    return np.asarray(to_pil(load_image(path, size))).reshape(-1, 3).astype(int)


def saved(tmp_path, picture, name="picture.png", **options):
    picture.save(tmp_path / name, **options)
    return tmp_path / name


def row(values):
    return Image.fromarray(np.array(values, dtype=np.uint8)[None])


# Colours.


def test_a_display_p3_photograph_comes_as_srgb():
    x = load_image(HARD / "display_p3.png")
    assert np.abs(x[0, :, 60, 75].numpy() * 255 - (230, 40, 31)).max() <= 1


@pytest.mark.parametrize("name", ["picture.png", "picture.tif"])
@pytest.mark.parametrize("space", PROFILES)
def test_colours_of_wide_spaces_come_as_srgb(space, name, tmp_path):
    values = in_space(COLOURS, space)
    assert np.abs(values - np.array(COLOURS)).max() > 20
    path = saved(tmp_path, row(values), name, icc_profile=PROFILES[space])
    # A step of 1 in a wider space is up to 2 in sRGB.
    assert np.abs(pixels(path) - COLOURS).max() <= (2 if space == "ProPhoto" else 1)


def test_a_profile_is_followed_in_jpeg_webp_palette_and_transparent_pictures(tmp_path):
    icc, (wide,) = PROFILES["Display P3"], in_space([(230, 40, 31)], "Display P3")
    plain = Image.new("RGB", (16, 16), tuple(map(int, wide)))
    clear = plain.convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    for picture, name, options in (
        (plain, "a.jpg", {"quality": 100}),
        (plain, "a.webp", {"lossless": True}),
        (plain.quantize(2), "a.png", {}),
        (clear, "b.png", {}),
    ):
        found = pixels(saved(tmp_path, picture, name, icc_profile=icc, **options))
        assert np.abs(found[5] - (230, 40, 31)).max() <= 2, name
        assert name != "b.png" or tuple(found[0]) == (255, 255, 255)


def test_a_picture_in_memory_is_converted_too_and_only_once():
    picture = row(in_space(COLOURS, "Adobe RGB"))
    picture.info["icc_profile"] = PROFILES["Adobe RGB"]
    assert np.abs(np.asarray(to_pil(from_pil(picture)))[0].astype(int) - COLOURS).max() <= 1


def ink_profile():
    """A profile of CMYK on yellow paper, in which black ink alone darkens, down to a fifth of lightness."""
    nodes = [255 - 204 * k for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    table = bytes(value for L in nodes for value in (L, 128, 128))
    identity = struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    lut = b"mft1\0\0\0\0\x04\x03\x02\0" + identity + bytes(range(256)) * 4 + table + bytes(range(256)) * 3
    paper = b"XYZ \0\0\0\0" + struct.pack(">3i", 55000, 58000, 36000)
    tags = struct.pack(">I4sII4sII", 2, b"A2B1", 156, len(lut), b"wtpt", 156 + len(lut), len(paper))
    head = struct.pack(">II", 156 + len(lut + paper), 0) + b"\x02\x40\0\0scnrCMYKLab " + bytes(12)
    head += b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + tags + lut + paper


def test_cmyk_follows_its_profile_and_without_one_its_inks(tmp_path):
    # The paper is white and the darkest ink is black, whatever they are in the profile.
    for ink, with_profile, without in ((0, 255, 255), (128, 139, 127), (255, 0, 0)):
        picture = Image.new("CMYK", (8, 8), (0, 0, 0, ink))
        tagged = saved(tmp_path, picture, "a.tif", icc_profile=ink_profile())
        assert np.abs(pixels(tagged) - with_profile).max() <= 1
        assert np.abs(pixels(saved(tmp_path, picture, "b.tif")) - without).max() <= 1


def test_grey_pictures_of_8_and_16_bits_follow_a_grey_profile(tmp_path):
    icc = made_profile(gamma=1.0, grey=True)
    deep = Image.fromarray(np.full((2, 2), 51 * 257, np.uint16))
    for picture, name in (
        (Image.new("L", (2, 2), 51), "a.png"),
        (Image.new("LA", (2, 2), (51, 255)), "b.png"),
        (deep, "c.png"),
        (deep, "d.tif"),
    ):
        path = saved(tmp_path, picture, name, icc_profile=icc)
        assert np.abs(pixels(path) - 124).max() <= 1, name  # a fifth of the light


def test_lab_pictures_are_read(tmp_path):
    picture = Image.new("LAB", (2, 2), (138, 209, 198))  # the red of sRGB under D50
    assert np.abs(pixels(saved(tmp_path, picture, "lab.tif")) - (255, 0, 0)).max() <= 6


def png_with(tmp_path, picture, **chunks):
    info = PngImagePlugin.PngInfo()
    for name, content in chunks.items():
        info.add(name.encode(), content)
    return saved(tmp_path, picture, pnginfo=info)


def chromaticities(values):
    return struct.pack(">8I", *(round(value * 100_000) for value in values))


LINEAR, USUAL = struct.pack(">I", 100_000), struct.pack(">I", 45_455)


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16", "P"])
def test_a_png_whose_gamma_is_1_holds_light(mode, tmp_path):
    picture = Image.new("RGB", (2, 2), (51, 51, 51)).convert("RGB" if mode == "I;16" else mode)
    if mode == "I;16":
        picture = Image.fromarray(np.full((2, 2), 51 * 257, np.uint16))
    assert np.abs(pixels(png_with(tmp_path, picture, gAMA=LINEAR)) - 124).max() <= 1


def test_a_png_of_the_usual_gamma_or_marked_srgb_is_left_as_it_is(tmp_path):
    picture = row(COLOURS)
    for chunks in ({"gAMA": USUAL}, {"gAMA": LINEAR, "sRGB": b"\0"}, {"sRGB": b"\1"}):
        assert pixels(png_with(tmp_path, picture, **chunks)).tolist() == [list(c) for c in COLOURS]


def test_a_pngs_chromaticities_are_followed(tmp_path):
    path = png_with(tmp_path, row(in_space(COLOURS, "Display P3")), gAMA=USUAL, cHRM=chromaticities(P3))
    assert np.abs(pixels(path) - COLOURS).max() <= 1


@pytest.mark.parametrize(
    "chunks",
    [
        {"gAMA": bytes(4)},
        {"gAMA": struct.pack(">I", 1)},
        {"cHRM": bytes(32)},
        {"cHRM": chromaticities((0.3, 0.3) * 4)},
    ],
)
def test_numbers_that_describe_no_colours_are_left_out_with_a_note(chunks, tmp_path, capsys):
    path = png_with(tmp_path, row(COLOURS), **chunks)
    assert pixels(path).tolist() == [list(c) for c in COLOURS]
    assert "describe no colours" in capsys.readouterr().out


# What a file says of its colours without a profile.


@pytest.mark.parametrize(("codes", "space"), [((12, 13), "Display P3"), ((9, 14), "BT.2020")])
def test_a_pngs_colour_codes_are_followed_before_all_else(codes, space, tmp_path):
    values = in_space(COLOURS, space)
    assert np.abs(values - np.array(COLOURS)).max() > 20
    chunk = {"cICP": bytes((*codes, 0, 1))}
    for others in ({}, {"gAMA": LINEAR}, {"sRGB": b"\0"}):
        path = png_with(tmp_path, row(values), **chunk, **others)
        assert np.abs(pixels(path) - COLOURS).max() <= 2
    data, icc = path.read_bytes(), PROFILES["ProPhoto"]
    path.write_bytes(data[:33] + chunked(b"iCCP", b"other\0\0" + zlib.compress(icc)) + data[33:])
    assert np.abs(pixels(path) - COLOURS).max() <= 2
    path.write_bytes(data.replace(b"IEND\xae", b"IEND\xaf").replace(b"sRGB", b"tEXt", 1))
    assert np.abs(pixels(path) - COLOURS).max() <= 2  # also where something else is damaged


def test_codes_of_light_and_of_srgb_in_grey_and_colour(tmp_path):
    deep = Image.fromarray(np.full((2, 2), 51 * 257, np.uint16))
    for picture in (Image.new("RGB", (2, 2), (51, 51, 51)), Image.new("L", (2, 2), 51), deep):
        assert np.abs(pixels(png_with(tmp_path, picture, cICP=bytes((1, 8, 0, 1)))) - 124).max() <= 1
        assert (
            np.abs(pixels(png_with(tmp_path, picture, cICP=bytes((1, 13, 0, 1)), gAMA=LINEAR)) - 51).max()
            == 0
        )


@pytest.mark.parametrize(
    ("transfer", "words"), [(16, "PQ, for HDR"), (18, "HLG, for HDR"), (200, "function 200")]
)
def test_colours_for_hdr_are_taken_for_srgb_and_it_is_said(transfer, words, tmp_path, capsys):
    path = png_with(tmp_path, row(COLOURS), cICP=bytes((9, transfer, 0, 1)))
    assert pixels(path).tolist() == [list(c) for c in COLOURS]
    said = capsys.readouterr().out
    assert words in said and "taken for sRGB" in said


def test_a_chunk_of_codes_that_is_damaged_says_nothing(tmp_path):
    path = png_with(tmp_path, row(COLOURS), tEXt=b"a\0\0\0\0\x04cICP\x0c\x0d\0\x01none")
    assert pixels(path).tolist() == [list(c) for c in COLOURS]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_an_avifs_colour_codes_are_followed_where_there_is_no_profile(tmp_path):
    options = {"quality": 100, "subsampling": "4:4:4"}
    wide = Image.fromarray(in_space(COLOURS, "Display P3")[None].repeat(16, 0).repeat(16, 1))
    expected = np.repeat(COLOURS, 16, 0)
    for icc, codes in ((None, (12, 13)), (PROFILES["Display P3"], (9, 14))):
        path = saved(tmp_path, wide, "a.avif", icc_profile=icc, **options)
        data, before = path.read_bytes(), pixels(path)
        data, count = re.subn(rb"(nclx\0).(\0).", rb"\1%c\2%c" % codes, data)
        assert count == 1
        path.write_bytes(data)
        assert np.abs(pixels(path)[: len(expected)] - expected).max() <= 3
        assert (np.abs(pixels(path) - before).max() > 20) == (icc is None)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_adobe_rgb_as_cameras_say_it_is_followed(name, tmp_path):
    options = {"a.jpg": {"quality": 100, "subsampling": 0}, "a.webp": {"lossless": True}}.get(name, {})
    wide = Image.fromarray(in_space(COLOURS, "Adobe RGB")[None].repeat(16, 0).repeat(16, 1))
    expected = np.repeat(COLOURS, 16, 0)
    for index, known in (("R03", True), ("R98", False)):
        tags = Image.Exif()
        tags._ifds[0x8769] = {0xA001: 65535, 0xA005: {1: index, 2: b"0100"}}
        found = pixels(saved(tmp_path, wide, name, exif=tags.tobytes(), **options))[: len(expected)]
        assert (np.abs(found - expected).max() <= 3) == known
    tags = saved(tmp_path, wide, name, exif=tags.tobytes(), icc_profile=PROFILES["Adobe RGB"], **options)
    assert np.abs(pixels(tags)[: len(expected)] - expected).max() <= 3


@pytest.mark.parametrize(
    ("picture", "icc"),
    [
        (Image.new("RGB", (2, 2), (210, 60, 40)), b"no profile at all"),
        (Image.new("RGB", (2, 2), (210, 60, 40)), PROFILES["Adobe RGB"][:300]),
        (Image.new("RGB", (2, 2), (210, 60, 40)), made_profile(gamma=1.0, grey=True)),
        (Image.new("RGB", (2, 2), (210, 60, 40)), ink_profile()),
        (Image.new("L", (2, 2), 51), PROFILES["Adobe RGB"]),
    ],
    ids=["words", "half", "grey", "ink", "colour"],
)
def test_a_profile_that_is_damaged_or_does_not_fit_is_left_out_with_a_note(picture, icc, tmp_path, capsys):
    path = saved(tmp_path, picture, icc_profile=icc)
    assert pixels(path)[0].tolist() == list(picture.convert("RGB").getpixel((0, 0)))
    assert "its colour profile is damaged or does not fit" in capsys.readouterr().out


def test_pictures_without_a_profile_and_with_that_of_srgb_keep_their_numbers(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    nearly = made_profile((0.3127, 0.3290, 0.6402, 0.3301, 0.30, 0.60, 0.15, 0.06))
    for icc in (
        None,
        made_profile(),
        nearly,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    ):
        path = saved(tmp_path, Image.fromarray(noise), icc_profile=icc)
        np.testing.assert_array_equal(np.asarray(to_pil(load_image(path))), noise)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp"])
def test_a_saved_picture_says_that_it_is_srgb(name, tmp_path):
    path = save_image(load_image("ducks", 32), tmp_path / name)
    with Image.open(path) as picture:
        if name == "x.png":
            assert picture.info["srgb"] == 1
        else:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
            assert ImageCms.getProfileDescription(profile).strip() == "sRGB"
    first = path.read_bytes()
    assert save_image(load_image("ducks", 32), path).read_bytes() == first


# Transparency and 16 bits.


def test_the_transparent_grey_of_16_bits_is_white():
    x = load_image(HARD / "grey16_trns.png")
    assert (x[:, :, :60] == 1).all()
    assert (x[:, :, 60:] < 1).any()


def chunked(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def raw_png(tmp_path, width, bits, colour, line, transparent):
    data = b"\x89PNG\r\n\x1a\n" + chunked(b"IHDR", struct.pack(">IIBBBBB", width, 1, bits, colour, 0, 0, 0))
    data += (
        chunked(b"tRNS", transparent) + chunked(b"IDAT", zlib.compress(b"\0" + line)) + chunked(b"IEND", b"")
    )
    (tmp_path / "raw.png").write_bytes(data)
    return tmp_path / "raw.png"


@pytest.mark.parametrize(
    ("bits", "colour", "line", "transparent", "expected"),
    [
        (2, 0, b"\x10", b"\0\x01", [0, 255, 0, 0]),
        (4, 0, b"\x12\x31", b"\0\x02", [17, 255, 51, 17]),
        (8, 0, bytes((9, 7, 0, 1)), b"\0\x07", [9, 255, 0, 1]),
        (16, 0, bytes((9, 9, 7, 7, 0, 0, 1, 1)), b"\x07\x07", [9, 255, 0, 1]),
        (16, 2, b"\x09\x09" * 3 + b"\x07\x08" * 3 + bytes(6) + b"\1\1" * 3, b"\x07\x08" * 3, [9, 255, 0, 1]),
    ],
)
def test_a_transparent_colour_is_white_at_every_depth(bits, colour, line, transparent, expected, tmp_path):
    path = raw_png(tmp_path, 4, bits, colour, line, transparent)
    assert pixels(path)[:, 0].tolist() == expected


def test_a_16_bit_tiff_in_which_0_is_white_is_turned_over(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.array([[0, 65535, 51 * 257]], np.uint16)), "a.tif")
    data = path.read_bytes()
    tag = struct.pack("<HHIH", 262, 3, 1, 1)
    assert data.count(tag) == 1
    path.write_bytes(data.replace(tag, struct.pack("<HHIH", 262, 3, 1, 0)))
    assert pixels(path)[:, 0].tolist() == [255, 0, 204]


def test_the_white_of_a_tiff_of_12_bits_is_white(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.array([[0xF0FF, 0x0000]], np.uint16)), "a.tif")
    data = path.read_bytes()
    tag = struct.pack("<HHIH", 258, 3, 1, 16)
    assert data.count(tag) == 1
    path.write_bytes(data.replace(tag, struct.pack("<HHIH", 258, 3, 1, 12)))
    assert pixels(path)[:, 0].tolist() == [255, 0]


# Metadata.


@pytest.mark.parametrize("name", ["exif_bad_type.jpg", "exif_x_resolution_ascii.jpg"])
def test_odd_exif_costs_neither_the_picture_nor_its_rotation(name):
    with Image.open(HARD / name) as picture:
        width, height = picture.size
        assert picture.getexif()[0x0112] in (6, 8)
    assert load_image(HARD / name).shape == (1, 3, width, height)


def exif(*entries):
    """EXIF data of tags as they are given: (tag, type, count, 4 bytes)."""
    body = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(4)


TURNED = (0x0112, 3, 1, b"\x06\0\0\0")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize(
    "odd",
    [
        (0x011A, 2, 4, b"abc\0"),
        (0x011A, 5, 1, b"\xff\xff\xff\xff"),
        (0x0128, 2, 2, b"x\0\0\0"),
        (0x8769, 4, 1, b"\xff\xff\xff\x7f"),
        (0x8769, 2, 4, b"abc\0"),
        (0x010E, 99, 7, b"abcd"),
        (0x0132, 12, 9, b"\0\0\0\0"),
    ],
)
def test_one_odd_tag_leaves_the_rotation(odd, name, tmp_path):
    path = saved(tmp_path, Image.new("RGB", (8, 4)), name, exif=exif(*sorted([TURNED, odd])))
    assert load_image(path).shape == (1, 3, 8, 4)


@pytest.mark.parametrize(
    "data",
    [
        b"Exif\0\0",
        b"Exif\0\0II",
        b"Exif\0\0no TIFF at all",
        exif(TURNED)[:20],
        exif((0x0112, 2, 4, b"six\0")),
    ],
)
def test_exif_that_cannot_be_read_means_no_rotation(data, tmp_path):
    for name in ("a.jpg", "a.webp", "a.png"):
        path = saved(tmp_path, Image.new("RGB", (8, 4)), name, exif=data)
        assert load_image(path).shape == (1, 3, 4, 8)


@pytest.mark.parametrize("odd", [(2, 4, b"abc\0"), (4, 1, b"\xff" * 4), (3, 2, b"\1\0\2\0")])
def test_odd_tags_of_a_tiff_cost_no_picture(odd, tmp_path):
    tags = {274: 6, 34665: 9}
    path = saved(tmp_path, Image.new("RGB", (8, 4), (9, 8, 7)), "a.tif", tiffinfo=tags)
    data, tag = path.read_bytes(), struct.pack("<HHII", 34665, 4, 1, 9)
    assert data.count(tag) == 1
    path.write_bytes(data.replace(tag, struct.pack("<HHI4s", 34665, *odd)))
    assert load_image(path).shape == (1, 3, 8, 4)
    assert pixels(path)[0].tolist() == [9, 8, 7]


def test_tags_that_pillow_fails_over_leave_a_tiff_its_pixels_and_its_rotation(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.new("RGB", (8, 4), (9, 8, 7)), "a.tif", tiffinfo={274: 6})

    def fails(*arguments, **options):
        raise struct.error("required argument is not an integer")

    monkeypatch.setattr("PIL.ImageOps.exif_transpose", fails)
    assert load_image(path).shape == (1, 3, 8, 4)
    assert pixels(path)[0].tolist() == [9, 8, 7]


def test_a_png_with_damaged_words_or_a_damaged_profile_is_read(tmp_path, capsys):
    info = PngImagePlugin.PngInfo()
    info.add_text("words", "some words")
    path = saved(tmp_path, row(COLOURS), pnginfo=info)
    path.write_bytes(path.read_bytes().replace(b"some words", b"same words"))
    assert pixels(path).tolist() == [list(c) for c in COLOURS]
    assert "its metadata is damaged and left out" in capsys.readouterr().out
    data = saved(tmp_path, row(COLOURS)).read_bytes()
    path.write_bytes(data[:33] + chunked(b"iCCP", b"name\0\x07nonsense") + data[33:])
    assert pixels(path).tolist() == [list(c) for c in COLOURS]


# Damage.


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            r"it is a HEIC picture; Preview on a Mac.* can save it as JPEG",
        ),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", r"it is a HEIC picture"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "it is a video"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "it is a JPEG XL picture"),
        (b"%PDF-1.7\n", "it is a PDF"),
        (b"\n<!DOCTYPE html><html>", "it is a web page; download the picture itself"),
        (b"<svg xmlns='x'>", "it is an SVG drawing"),
        (b"", "it is an empty file"),
        (b"nothing known", "use JPEG or PNG"),
    ],
)
def test_a_file_that_is_something_else_is_called_by_its_name(start, sentence, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(start + (bytes(200) if start else b""))
    with pytest.raises(ValueError, match=r"photo.jpg' is not a picture that can be read.*" + sentence):
        load_image(path)


def test_a_damaged_avif_is_one_error(tmp_path):
    (tmp_path / "a.avif").write_bytes(DAMAGED_AVIF)
    with pytest.raises(ValueError, match=r"a.avif' is damaged .*; copy or download it again"):
        load_image(tmp_path / "a.avif")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.gif", "a.bmp"])
def test_a_picture_of_which_only_the_first_bytes_are_left_is_called_damaged(name, tmp_path):
    path = saved(tmp_path, Image.new("RGB", (8, 8)), name)
    path.write_bytes(path.read_bytes()[:14])
    with pytest.raises(ValueError, match=r"is damaged .*; copy or download it again"):
        load_image(path)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError, MemoryError, NotImplementedError, TypeError, struct.error, OverflowError, IndexError,
        AttributeError, zlib.error, KeyError, AssertionError, ZeroDivisionError, RecursionError, EOFError,
        UnicodeDecodeError("ascii", b"x", 0, 1, "odd"),
    ],
)  # fmt: skip
def test_whatever_a_decoder_raises_is_one_error(error, tmp_path, monkeypatch):
    path = saved(tmp_path, row(COLOURS), "a.gif")

    def load(self):
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(ValueError, match=r"a.gif' is damaged \(.+\); copy or download it again"):
        load_image(path)


def test_a_postscript_drawing_is_refused_before_another_program_is_asked(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.new("RGB", (8, 8)), "a.eps")
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", None)
    with pytest.raises(ValueError, match="a file of the kind EPS, not read here; save it as PNG"):
        load_image(path)


def test_a_few_bytes_that_promise_many_pixels_are_refused(tmp_path):
    path = saved(tmp_path, Image.new("P", (8, 8)), "a.gif")
    data = bytearray(path.read_bytes())
    data[6:10] = struct.pack("<HH", 10_000, 9_000)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="so small a file cannot hold 10000 × 9000 px"):
        load_image(path)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif", "a.avif"])
def test_the_first_of_several_pictures_is_used_and_said(name, tmp_path, capsys):
    first, second = Image.new("RGB", (16, 16), (255, 255, 255)), Image.new("RGB", (16, 16))
    path = saved(tmp_path, first, name, save_all=True, append_images=[second])
    assert pixels(path).min() >= 250
    assert "is animated or holds several pictures; the first is used" in capsys.readouterr().out
    load_image(saved(tmp_path, first, name))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("size", [None, 1, 7, 64])
@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (1, 1), (2, 4000)])
def test_pictures_of_one_row_or_column_are_read(shape, size, tmp_path):
    for name in ("a.png", "a.jpg", "a.gif", "a.tif", "a.webp", "a.bmp"):
        x = load_image(saved(tmp_path, Image.new("RGB", shape, (200, 200, 200)), name), size)
        assert max(x.shape[2:]) == (size or max(shape))
        assert min(x.shape[2:]) >= 1
        assert (x * 255 - 200).abs().max() <= 2, name


def test_a_note_is_never_an_error_for_want_of_a_letter(tmp_path, monkeypatch):
    path = saved(tmp_path, row(COLOURS), "bébé 아기.png", icc_profile=b"nothing")
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", console)
    assert torch.isfinite(load_image(path)).all()
    console.flush()
    assert b"its colour profile is damaged" in console.buffer.getvalue()


# Files damaged by the thousand; benchmarks/fuzz_pictures.py tries more of them.


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("fuzz_pictures", ROOT / "benchmarks" / "fuzz_pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_whole_files_of_every_format_are_read(fuzz, tmp_path):
    for kind, files in fuzz.seeds().items():
        for data in files:
            (tmp_path / "whole.bin").write_bytes(data)
            end, _ = fuzz.outcome(tmp_path / "whole.bin")
            float_pixels = data.startswith((b"Pf", b"PF")) or kind == "SPIDER"
            assert end == ("refused" if float_pixels or kind == "EPS" else "read"), (kind, end)


def test_files_damaged_anywhere_are_read_or_refused(fuzz, tmp_path, capfd):
    counts, path = {"read": 0, "refused": 0}, tmp_path / "damaged.bin"
    made = fuzz.seeds()
    for kind, files in made.items():
        for number in range(1500 // len(made)):
            end, seconds = fuzz.trial(kind, files, number, path)
            assert end in counts, f"{kind} {number}: {end}"
            assert seconds < fuzz.SECONDS, f"{kind} {number}"
            counts[end] += 1
    assert sum(counts.values()) > 1400
    assert min(counts.values()) > 300  # the faults are neither all too small nor all too large


def test_the_faults_are_always_the_same(fuzz):
    data = fuzz.seeds()["PNG"][0]
    assert fuzz.damaged(data, random.Random(7)) == fuzz.damaged(data, random.Random(7)) != data
