"""Damaged picture files: each is read, or refused with the one documented error, soon and in little memory.

python benchmarks/fuzz_pictures.py [number of files]
"""

import contextlib
import io
import multiprocessing
import os
import random
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image, ImageCms, PngImagePlugin, features

from helpers.images import load_image
from helpers.system.colours import made_profile
from helpers.system.pictures import Refused

FILES = 30_000
SECONDS, MEGABYTES = 2, 500

#: Numbers at which sizes, counts and offsets go wrong.
EDGES = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def seeds() -> dict[str, list[bytes]]:
    """Return format → whole small files of it, all that this Pillow writes and reads, and some by hand."""
    rgb = Image.radial_gradient("L").resize((24, 18)).convert("RGB")
    rgb.paste((210, 60, 40), (3, 4, 12, 11))
    clear = rgb.convert("RGBA")
    clear.putalpha(rgb.getchannel(0))
    deep = Image.new("I;16", (24, 18), 30_000)
    lab = ImageCms.profileToProfile(
        rgb, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x010E] = 6, 72.0, "a picture"
    gamma = PngImagePlugin.PngInfo()
    gamma.add(b"gAMA", struct.pack(">I", 100_000))
    gamma.add_itxt("words", "some")
    icc = made_profile((0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06))
    tagged, more = {"exif": exif, "icc_profile": icc}, {"save_all": True}
    plan = {
        "PNG": [
            (rgb, tagged), (clear, {}), (rgb.quantize(8), {"transparency": 1}), (rgb.convert("1"), {}),
            (deep, {"transparency": 5}), (rgb, {"pnginfo": gamma}), (rgb, more),
        ],
        "JPEG": [
            (rgb, tagged), (rgb.convert("L"), {}), (rgb.convert("CMYK"), {}), (rgb, {"progressive": True}),
        ],
        "MPO": [(rgb, more)],
        "GIF": [(rgb, more), (rgb.quantize(8), {"transparency": 1})],
        "BMP": [(rgb, {}), (rgb.quantize(8), {}), (rgb.convert("1"), {})],
        "DIB": [(rgb, {})],
        "TIFF": [
            (rgb, tagged), (clear, {"compression": "tiff_lzw"}), (rgb, {"compression": "jpeg"}),
            (rgb, {"compression": "tiff_adobe_deflate"}), (rgb.convert("1"), {"compression": "group4"}),
            (rgb.convert("CMYK"), {"compression": "packbits"}), (lab, {}), (deep, {}), (rgb, more),
            (rgb, {"big_tiff": True}), (rgb.quantize(8), {}),
        ],
        "WEBP": [(rgb, tagged), (clear, {"lossless": True}), (rgb, more)],
        "AVIF": [(rgb, tagged), (clear, {}), (rgb, more)],
        "JPEG2000": [(rgb, {}), (rgb, {"no_jp2": True}), (clear, {"irreversible": True}), (deep, {})],
        "DDS": [
            (rgb, {}), (clear, {}), *((clear, {"pixel_format": bits}) for bits in ("DXT1", "DXT3", "DXT5")),
            (rgb, {"pixel_format": "BC5"}),
        ],
        "PPM": [(rgb, {}), (rgb.convert("L"), {}), (rgb.convert("1"), {}), (rgb.convert("F"), {})],
        "TGA": [(rgb, {}), (clear, {"compression": "tga_rle"}), (rgb.quantize(8), {})],
        "ICO": [(clear, {}), (clear, {"bitmap_format": "bmp"})],
        "PCX": [(rgb, {}), (rgb.quantize(8), {}), (rgb.convert("1"), {})],
        "SGI": [(rgb, {}), (rgb.convert("L"), {})],
        "IM": [(rgb, {}), (rgb.quantize(8), {})],
        "MSP": [(rgb.convert("1"), {})],
        "SPIDER": [(rgb.convert("F"), {})],
        "QOI": [(rgb, {}), (clear, {})],
        "XBM": [(rgb.convert("1"), {})],
        "BLP": [(rgb.quantize(8), {}), (rgb.quantize(8), {"blp_version": "BLP1"})],
        "EPS": [(rgb, {})],
    }  # fmt: skip
    without = {"AVIF": "avif", "WEBP": "webp", "JPEG2000": "jpg_2000"}
    Image.init()
    made = {}
    for kind, pictures in plan.items():
        if kind not in Image.SAVE or (kind in without and not features.check(without[kind])):
            continue
        made[kind] = []
        for picture, options in pictures:
            file = io.BytesIO()
            options = {**options, **({"append_images": [rgb.rotate(180)]} if "save_all" in options else {})}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # formats that Pillow will drop
                picture.copy().save(file, kind, **options)  # a copy, because saving leaves settings behind
            made[kind].append(file.getvalue())
    made |= {kind: [data] for kind, data in _by_hand(rgb, made).items()}
    return made


def _by_hand(rgb: Image.Image, made: dict[str, list[bytes]]) -> dict[str, bytes]:
    """Return a file of some of the formats that Pillow reads and does not write."""
    width, height = rgb.size
    grey, pixels = rgb.convert("L").tobytes(), rgb.tobytes()
    cards = ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", f"NAXIS1  = {width}", f"NAXIS2  = {height}", "END"]
    cards = "".join(card.replace("= ", "= " + " " * 18).ljust(80) for card in cards)
    dots = "\n".join(f'"{"ab" * (width // 2)}",' for _ in range(height))
    pixar = bytearray(1024)
    pixar[:4], pixar[416:420] = b"\x80\xe8\0\0", struct.pack("<HH", height, width)
    pixar[424:428] = struct.pack("<HH", 14, 2)
    chunk = struct.pack("<IHH", 22 + width * height, 0xF1FA, 1) + bytes(8)
    chunk += struct.pack("<IH", 6 + width * height, 16) + grey
    flic = struct.pack("<IHHHHHHI", 128 + len(chunk), 0xAF12, 1, width, height, 8, 3, 70).ljust(128, b"\0")
    cursor = bytearray(made["ICO"][-1])
    cursor[2] = 2
    icon = io.BytesIO()
    rgb.convert("RGBA").resize((16, 16)).save(icon, "PNG")
    icon = b"icp4" + struct.pack(">I", 8 + len(icon.getvalue())) + icon.getvalue()
    return {
        "SUN": struct.pack(">8I", 0x59A66A95, width, height, 24, len(pixels), 1, 0, 0) + pixels,
        "XPM": f'/* XPM */\nstatic char * p[] = {{\n"{width} {height} 2 1",\n"a c #ff0000",\n"b c #0000ff",\n'
        f"{dots}\n}};\n".encode(),
        "FITS": cards.ljust(2880).encode() + grey.ljust(2880, b"\0"),
        "PSD": b"8BPS" + struct.pack(">H6xHIIHHIIIH", 1, 3, height, width, 8, 3, 0, 0, 0, 0) + pixels,
        "DCX": struct.pack("<III", 0x3ADE68B1, 12, 0) + made["PCX"][0],
        "PIXAR": bytes(pixar) + pixels,
        "FLI": flic + chunk,
        "CUR": bytes(cursor),
        "ICNS": b"icns" + struct.pack(">I", 8 + len(icon)) + icon,
        "XVTHUMB": f"P7 332\n#END_OF_COMMENTS\n{width} {height} 255\n".encode() + grey,
        "GBR": struct.pack(">5I4sI", 30, 2, width, height, 1, b"GIMP", 10) + b"a\0" + grey,
    }


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return a file with one to three faults: wrong bytes, a wrong number, a piece too few or too many."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        # Heads are short, and hold what decides: every second fault lies in the first 128 bytes.
        at = chance.randrange(max(1, min(len(data), chance.choice((128, len(data))))))
        fault = chance.randrange(7)
        if fault == 0:
            for _ in range(chance.randint(1, 8)):
                if data:
                    data[chance.randrange(len(data))] = chance.randrange(256)
        elif fault == 1:
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif fault == 2:
            width = chance.choice((1, 2, 4))
            edge = chance.choice(EDGES) & (256**width - 1)
            data[at : at + width] = edge.to_bytes(width, chance.choice(("big", "little")))
        elif fault == 3:
            del data[at:]
        elif fault == 4:
            data[at:at] = chance.randbytes(chance.randint(1, 40))
        elif fault == 5:
            length = chance.randint(1, 40)
            data[at : at + length] = bytes(len(data[at : at + length]))
        else:
            del data[at : at + chance.randint(1, 40)]
    data = bytes(data)
    # A PNG whose sums do not fit is refused at once; with sums that fit the faults get further.
    return _with_sums(data) if data.startswith(b"\x89PNG") and chance.random() < 0.7 else data


def _with_sums(data: bytes) -> bytes:
    data, at = bytearray(data), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(data)


def outcome(path: Path) -> tuple[str, float]:
    """Load a file; return "read", "refused" or what else was raised, and the seconds that it took."""
    began = time.perf_counter()
    try:
        x = load_image(path)
        end = "read" if x.shape[:2] == (1, 3) and 0 <= x.min() <= x.max() <= 1 else "no picture"
    except ValueError as error:
        explained = isinstance(error, Refused) and (path.name in str(error) or "no known range" in str(error))
        end = "refused" if explained else f"ValueError: {error}"
    except Exception as error:
        end = type(error).__name__
    return end, time.perf_counter() - began


def trial(kind: str, files: list[bytes], number: int | None, path: Path) -> tuple[str, float]:
    """Write the damaged file of that number, or a whole one for None, and load it."""
    chance = random.Random(f"{kind} {number}")
    path.write_bytes(files[0] if number is None else damaged(chance.choice(files), chance))
    return outcome(path)


def _work(make: Callable, first: int, last: int, pipe) -> None:
    """Try the files of some numbers, in a process of their own, and tell after each how it ended."""
    import resource  # not there on Windows

    with contextlib.suppress(OSError):  # libtiff complains on the process's own stderr
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with tempfile.TemporaryDirectory() as folder:
        path, attempt = Path(folder) / "damaged.bin", make()
        attempt(None, path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(first, last):
            end, seconds = attempt(number, path)
            pipe.send(
                (number, end, seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
            )
    pipe.send(None)


def run(kind: str, make: Callable, number: int) -> dict:
    """Try so many files of a kind; a process that dies counts as "other" and is started again.

    Args:
        kind: Its name.
        make: Called in the process that tries them; returns what ``trial`` is for a given kind and files.
        number: How many.
    """
    context = multiprocessing.get_context("fork")
    row = {"tried": 0, "read": 0, "refused": 0, "other": [], "seconds": 0.0, "MB": 0.0}
    while row["tried"] < number:
        ours, theirs = context.Pipe()
        child = context.Process(target=_work, args=(make, row["tried"], number, theirs))
        child.start()
        theirs.close()
        with contextlib.suppress(EOFError):
            while told := ours.recv():
                at, end, seconds, megabytes = told
                row["tried"] += 1
                if end in ("read", "refused"):
                    row[end] += 1
                else:
                    row["other"].append(f"{kind} {at}: {end}")
                row["seconds"] = max(row["seconds"], seconds)
                row["MB"] = max(row["MB"], megabytes)
        child.join()
        if row["tried"] < number:
            if not row["tried"] and child.exitcode == 1:
                raise RuntimeError(f"the process for {kind} did not start")
            row["other"].append(f"{kind} {row['tried']}: the process died ({child.exitcode})")
            row["tried"] += 1
    return row


def main(number: int = FILES) -> int:
    """Try so many files, shared out among the formats; print the table; return how many ended otherwise."""
    return table({kind: partial(partial, trial, kind, files) for kind, files in seeds().items()}, number)


def table(made: dict[str, Callable], number: int) -> int:
    """Try so many files, shared out among the kinds; print the table; return how many ended otherwise."""
    began, total = time.perf_counter(), []
    print(f"{'kind':11} {'tried':>6} {'read':>6} {'refused':>7} {'other':>5} {'slowest s':>9} {'peak MB':>7}")
    for place, (kind, make) in enumerate(made.items()):
        share = number // len(made) + (place < number % len(made))
        row = run(kind, make, share)
        total.append(row)
        print(_line(kind, row, len(row["other"])), flush=True)
    other = [line for row in total for line in row["other"]]
    whole = {key: sum(row[key] for row in total) for key in ("tried", "read", "refused")}
    whole |= {key: max(row[key] for row in total) for key in ("seconds", "MB")}
    print(_line("all", whole, len(other)))
    print(f"in {time.perf_counter() - began:.0f} s; limits: {SECONDS} s and {MEGABYTES} MB a file")
    print(*other, sep="\n")
    return len(other) + (whole["seconds"] > SECONDS) + (whole["MB"] > MEGABYTES)


def _line(kind: str, row: dict, other: int) -> str:
    return (
        f"{kind:11} {row['tried']:6} {row['read']:6} {row['refused']:7} {other:5}"
        f" {row['seconds']:9.2f} {row['MB']:7.0f}"
    )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
