"""File formats and colour profiles: a file → upright sRGB pixels, or one error that says what is wrong."""

import io
import re
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFile, TiffImagePlugin, UnidentifiedImageError
from tqdm.auto import tqdm

from helpers.system.colours import ADOBE_RGB, SRGB, coded_profile, made_profile

#: Most pixels that a byte of the file may stand for, in a picture of more than a few megapixels.
MOST_PIXELS_A_BYTE, FEW_PIXELS = 2000, 8_000_000

#: Formats that Pillow only knows by name, or hands on to other programs.
NOT_READ = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
#: Formats whose further pictures are no previews or layers of the first.
SEVERAL = ("AVIF", "FLI", "GIF", "PNG", "TIFF", "WEBP")

#: EXIF orientation → what turns the picture upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

JPEG = "Preview on a Mac, Photos on Windows or heif-convert on Linux can save it as JPEG"

#: The start of a file, as it is, → what the file is and what to do about it.
STARTS = {
    b"\xff\x0a": "a JPEG XL picture; save it as JPEG or PNG",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture; save it as JPEG or PNG",
    b"%PDF": "a PDF; save the page as PNG",
    b"%!PS": "a PostScript drawing; save it as PNG",
    b"<svg": "an SVG drawing; save it as PNG",
    b"<?xml": "an SVG drawing or another XML file; save the picture as PNG",
    b"<!doctype html": "a web page; download the picture itself",
    b"<html": "a web page; download the picture itself",
    b"PK\x03\x04": "a ZIP archive; unpack it first",
}
BRANDS = {
    **dict.fromkeys(("heic", "heix", "heim", "heis", "hevc", "hevx"), f"a HEIC picture; {JPEG}"),
    **dict.fromkeys(("isom", "iso2", "mp41", "mp42", "qt", "M4V"), "a video; save one picture of it as PNG"),
    "crx": "a camera's raw picture; save it as JPEG",
}


#: A profile's colour space → the mode of the pictures that it fits.
MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}


class Refused(ValueError):
    """A picture that is not used, with the sentence that says why."""


def read_picture(path: Path, most_pixels: int) -> Image.Image:
    """Read a file as an upright picture in sRGB, transparent parts on white.

    Args:
        path: Of a file that exists.
        most_pixels: A picture of more is refused before it is decoded.

    Returns:
        Mode RGB. Of an animation, the first picture.

    Raises:
        Refused: With a sentence that names the file, whatever is wrong with it.
    """
    name = repr(str(path))
    try:
        with warnings.catch_warnings():
            # What Pillow warns about is metadata, which costs no picture, and sizes, which have limits here.
            warnings.simplefilter("ignore")
            try:
                return _decoded(path, path, most_pixels)
            except (Refused, Image.DecompressionBombError):
                raise
            except Exception:
                bare = _bare(path)
                if bare is None:
                    raise
                picture = _decoded(path, bare, most_pixels)
                say(f"{name}: its metadata is damaged and left out")
                return picture
    except Refused:
        raise
    except Image.DecompressionBombError as error:
        raise Refused(too_large(path, "hundreds of millions of pixels", most_pixels)) from error
    except Exception as error:  # plugins raise whatever their decoders meet
        if isinstance(error, OSError) and error.errno is not None:
            raise Refused(f"{name} cannot be read: {error.strerror}") from error
        if kind := kind_of(path):
            raise Refused(f"{name} is not a picture that can be read: it is {kind}") from error
        if isinstance(error, UnidentifiedImageError) and not _starts_like_a_picture(path):
            raise Refused(f"{name} is not a picture that can be read; use JPEG or PNG") from error
        why = str(error) or type(error).__name__
        why = "only its start is that of a picture" if isinstance(error, UnidentifiedImageError) else why
        raise Refused(f"{name} is damaged ({why}); copy or download it again") from error


def too_large(path: Path, size: str, most_pixels: int) -> str:
    """Return the sentence about a picture of too many pixels."""
    return f"{str(path)!r} has {size}, more than {most_pixels:,} pixels in all; shrink it first"


def say(note: str) -> None:
    """Print a note, in the letters that the console has."""
    try:
        tqdm.write(note)
    except UnicodeEncodeError:
        tqdm.write(note.encode("ascii", "backslashreplace").decode())


def kind_of(path: Path) -> str | None:
    """Return what a file is and what to do about it, from its first bytes, whatever its name says."""
    with open(path, "rb") as file:
        start = file.read(64)
    if not start:
        return "an empty file; copy or download it again"
    if start[4:8] == b"ftyp":
        length = max(8, min(64, int.from_bytes(start[:4], "big")))
        box = start[8:length].decode("latin-1")
        brands = [box[:4].strip(), *(box[i : i + 4].strip() for i in range(8, len(box), 4))]
        return next((BRANDS[brand] for brand in brands if brand in BRANDS), None)
    return next(
        (kind for key, kind in STARTS.items() if start.lstrip().lower().startswith(key.lower())), None
    )


def _starts_like_a_picture(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4).startswith(
            (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")
        )


def _decoded(path: Path, source: Path | io.BytesIO, most_pixels: int) -> Image.Image:
    name = repr(str(path))
    with Image.open(source) as picture:
        if picture.format in NOT_READ:
            raise Refused(f"{name} is a file of the kind {picture.format}, not read here; save it as PNG")
        pixels = picture.width * picture.height
        size = f"{picture.width} × {picture.height} px"
        if pixels > most_pixels:
            raise Refused(too_large(path, size, most_pixels))
        if pixels > max(FEW_PIXELS, MOST_PIXELS_A_BYTE * path.stat().st_size):
            raise Refused(
                f"{name} is damaged (so small a file cannot hold {size}); copy or download it again"
            )
        _prepare(picture)
        _tag_colours(picture, source, name)
        picture.load()
        upright = as_rgb(_upright(picture, name), name)
        if _has_more(picture):
            say(f"{name} is animated or holds several pictures; the first is used")
        return upright


def _has_more(picture: Image.Image) -> bool:
    try:
        return picture.format in SEVERAL and picture.is_animated
    except Exception:  # there is a second picture, and it is damaged; nobody needs it
        return True


def _prepare(picture: ImageFile.ImageFile) -> None:
    """Mend what Pillow would stumble over while it reads the pixels."""
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        end = picture.load_end

        def load_end():
            """Look at the tags as Pillow does once the pixels are there; damaged ones cost no picture."""
            try:
                end()
            except Exception:
                picture._size = picture.im.size

        picture.load_end = load_end
    transparent = picture.info.get("transparency")
    if picture.format == "PNG" and picture.tile and transparent is not None:
        # The transparent colour is told in the file's bits, and the pixels come in 8.
        bits = picture.tile[0][3]
        if bits in ("L;2", "L;4"):
            picture.info["transparency"] = transparent * {"L;2": 85, "L;4": 17}[bits]
        elif bits == "RGB;16B":
            picture.info["transparency"] = tuple(value >> 8 for value in transparent)


def _tag_colours(picture: Image.Image, source: Path | io.BytesIO, name: str) -> None:
    """Give a picture a profile of what its file says of its colours otherwise, as Pillow does not look at it.

    In a PNG codes come before a profile, in an AVIF after it, and everywhere before EXIF's hint.
    """
    info, codes = picture.info, _colour_codes(picture, source)
    if codes and (picture.format == "PNG" or "icc_profile" not in info):
        for key in ("icc_profile", "gamma", "chromaticity"):
            info.pop(key, None)
        try:
            if profile := coded_profile(*codes, grey=picture.mode[:1] in "1LI"):
                info["icc_profile"] = profile
        except ValueError as error:
            say(f"{name}: its colours are not known here ({error}), and are taken for sRGB")
    elif picture.mode == "RGB" and not info.keys() & {"icc_profile", "srgb", "gamma", "chromaticity"}:
        try:
            exif = picture.getexif()
            interoperability = exif.get_ifd(ExifTags.IFD.Exif) and exif.get_ifd(ExifTags.IFD.Interop)
        except Exception:  # no such entry, or a damaged one
            return
        if interoperability.get(ExifTags.Interop.InteropIndex) == "R03":  # how cameras say Adobe RGB
            info["icc_profile"] = made_profile(ADOBE_RGB, 2.2)


def _colour_codes(picture: Image.Image, source: Path | io.BytesIO) -> tuple[int, int] | None:
    """Return the codes of primaries and transfer function at the start of a PNG or AVIF, if there are any."""
    if picture.format not in ("PNG", "AVIF"):
        return None
    start = source.getvalue() if isinstance(source, io.BytesIO) else b""
    if not start:
        with source.open("rb") as file:
            start = file.read(1 << 20)
    if picture.format == "AVIF":
        found = re.search(rb"colrnclx(..)(..)", start, re.DOTALL)
        return found and tuple(int.from_bytes(code, "big") for code in found.groups())
    found = re.search(rb"\0\0\0\x04(cICP(.)(.)..)(....)", start.partition(b"IDAT")[0], re.DOTALL)
    sound = found and struct.pack(">I", zlib.crc32(found[1])) == found[4]
    return (found[2][0], found[3][0]) if sound else None


def _upright(picture: Image.Image, name: str) -> Image.Image:
    """Turn a picture as its EXIF orientation says, and look at no other tag."""
    try:
        method = UPRIGHT.get(picture.getexif().get(ExifTags.Base.Orientation))
    except Exception:
        say(f"{name}: its EXIF data is damaged, so it is not turned")
        return picture
    return picture if method is None else picture.transpose(method)


def as_rgb(picture: Image.Image, name: str = "the picture") -> Image.Image:
    """Turn a picture of any mode into 8-bit sRGB, transparent parts on white.

    Args:
        picture: Any mode; a profile that it carries is used.
        name: What to call it in a note.

    Returns:
        Mode RGB, without profile or other info but "alpha", mode L, where the picture was transparent.

    Raises:
        Refused: If its pixels are floating-point numbers.
    """
    if picture.mode == "F":
        raise Refused("a picture of floating-point pixels has no known range; save it as 8-bit PNG")
    if picture.mode.startswith("I"):
        return _deep_grey(picture, name)
    alpha, icc = None, picture.info.get("icc_profile")
    grey = picture.mode in ("1", "L", "LA", "La")
    profile = icc or _png_profile(picture, grey, name)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
    if picture.mode not in ("CMYK", "LAB"):
        picture = picture.convert("RGB")
    picture = _converted(picture.getchannel(0) if grey else picture, profile, name)
    picture.info = {}
    if alpha is not None:
        picture = Image.composite(picture, Image.new("RGB", picture.size, "white"), alpha)
        picture.info = {"alpha": alpha}
    return picture


def _converted(picture: Image.Image, profile: bytes | None, name: str) -> Image.Image:
    """Turn a picture of mode L, RGB, CMYK or LAB into sRGB; a profile that is of no use is passed over."""
    if profile:
        try:
            return to_srgb(picture, profile)
        except Exception:
            say(f"{name}: its colour profile is damaged or does not fit, so it is left out")
    return to_srgb(picture, None) if picture.mode == "LAB" else picture.convert("RGB")


def _deep_grey(picture: Image.Image, name: str) -> Image.Image:
    """Turn a picture of one channel of 16 bits into RGB; I is how some files of 16 bits are opened."""
    values, white = np.array(picture).astype(np.int64), 65535
    transparent = picture.info.get("transparency")
    clear = values == transparent if isinstance(transparent, int) else None
    if picture.format == "TIFF":
        tags = picture.tag_v2
        white = 4095 if tags.get(258) == (12,) else 65535
        if tags.get(262) == 0 and picture.mode != "I":  # 0 is white
            values = white - values
    values = values.clip(0, white) / white * 255
    profile = picture.info.get("icc_profile") or _png_profile(picture, True, name)
    # A table of 256 greys is enough, because the values between two of them lie on a line.
    steps = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    table = np.asarray(_converted(steps, profile, name))[0].astype(np.float32)
    array = np.stack([np.interp(values, np.arange(256), table[:, k]) for k in range(3)], -1)
    if clear is not None:
        array[clear] = 255
    return Image.fromarray(array.round().clip(0, 255).astype(np.uint8))


def _png_profile(picture: Image.Image, grey: bool, name: str) -> bytes | None:
    """Return a profile of a PNG's own gamma and chromaticities; None if they are those of sRGB."""
    info = picture.info
    if "srgb" in info or not info.keys() & {"gamma", "chromaticity"}:
        return None
    try:
        gamma, colours = info.get("gamma", 0.45455), tuple(info.get("chromaticity", SRGB))
        usual = abs(gamma - 0.45455) < 0.005
        if usual and (grey or np.abs(np.subtract(colours, SRGB)).max() < 0.002):
            return None
        return made_profile(colours, None if usual else 1 / gamma, grey)
    except Exception:
        say(f"{name}: its gamma or chromaticities describe no colours, so they are left out")
        return None


def _bare(path: Path) -> io.BytesIO | None:
    """Return a PNG or JPEG without its damaged metadata; None if it has none, or for other files."""
    data = path.read_bytes() if path.stat().st_size < 500_000_000 else b""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        bare = _bare_png(data)
    else:
        bare = _bare_jpeg(data) if data.startswith(b"\xff\xd8") else None
    return io.BytesIO(bare) if bare and bare != data else None


def _bare_png(data: bytes) -> bytes:
    """Leave out what is no part of the picture, and what says of itself that it is damaged."""
    kept, at = data[:8], 8
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        chunk, at = data[at : at + 12 + length], at + 12 + length
        sound = struct.pack(">I", zlib.crc32(chunk[4:-4])) == chunk[-4:]
        if kind == b"iCCP" and sound:
            try:
                zlib.decompress(chunk[8:-4].partition(b"\0")[2][1:])
            except zlib.error:
                sound = False
        if kind[:1].isupper() or (
            sound and kind in (b"tRNS", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"eXIf")
        ):
            kept += chunk
    return kept


def _bare_jpeg(data: bytes) -> bytes:
    """Leave out comments and every application's segment but JFIF's and Adobe's, which tell the colours."""
    kept, at = data[:2], 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data) and data[at + 1] != 0xDA:
        length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if not (0xE1 <= data[at + 1] <= 0xEF or data[at + 1] == 0xFE) or data[at + 1] == 0xEE:
            kept += data[at : at + length]
        at += length
    return kept + data[at:]


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Turn a picture's colours into sRGB: relative colorimetric, with black point compensation.

    Args:
        picture: Mode L, RGB, CMYK or LAB.
        profile: Its ICC profile; None only with LAB, whose numbers say what they mean.

    Returns:
        Mode RGB. A picture whose profile is that of sRGB comes back with its own numbers.

    Raises:
        ValueError: If the profile is for pictures of another mode.
        Exception: Of many kinds, if the profile is damaged.
    """
    source = (
        ImageCms.createProfile("LAB")
        if profile is None
        else ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    )
    if profile is not None and MODES.get(source.xcolor_space.strip()) != picture.mode:
        raise ValueError(f"a profile for {source.xcolor_space.strip()} in a picture of {picture.mode}")
    transform = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        picture.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if picture.mode in ("L", "RGB") and _changes_nothing(transform, picture.mode):
        return picture.convert("RGB")
    return ImageCms.applyTransform(picture, transform)


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Tell whether no colour of a grid moves by more than 1 of 255, which is rounding."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    grid = Image.fromarray(grid) if mode == "RGB" else Image.fromarray(steps[None])
    moved = np.asarray(ImageCms.applyTransform(grid, transform)).astype(int)
    return np.abs(moved - np.asarray(grid.convert("RGB"))).max() <= 1
