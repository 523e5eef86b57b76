"""Pictures: file → (1, 3, H, W) tensor of RGB in [0, 1] → file; and those that a run starts from."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch.nn.functional import interpolate

from helpers.system.colours import made_profile
from helpers.system.files import at_home, check_file, whole_file
from helpers.system.pictures import as_rgb, read_picture
from helpers.system.quick import quick_size

FOLDER = Path(__file__).resolve().parent.parent / "images"

#: Largest side in pixels that a picture is resized to, and most pixels read from a file.
LARGEST_SIDE = 4096
MOST_PIXELS = 120_000_000

#: Standard deviation of the white noise that a run starts from: 5 of 255 grey levels. With 20, style
#: and transfer take a fifth to four fifths more evaluations to the same loss; content takes as many.
NOISE = 5 / 255

#: Y of the colour space YIQ as a sum of red, green and blue.
LUMINANCE = (0.299, 0.587, 0.114)

INITS = ("noise", "content", "style")

#: The entry of a PNG's text fields that holds how the picture was made.
RECORD_KEY = "neural style record"

#: The EXIF tag ImageDescription.
DESCRIPTION = 0x010E

#: Most characters of a record in a JPEG, whose metadata ends at 65,533 bytes with their heads.
MOST_IN_JPEG = 65_000


def picture_names(kind: str | None = None) -> list[str]:
    """Return the names of the series' own pictures.

    Args:
        kind: ``"content"`` for photographs, ``"style"`` for artworks, None for both.

    Raises:
        ValueError: If the kind is neither.
    """
    if kind not in (None, "content", "style"):
        raise ValueError(f"unknown kind {kind!r}; choose 'content' or 'style'")
    return sorted(path.stem for path in FOLDER.glob(f"{kind or '[cs]*'}/*.jpg"))


def picture_path(source: str | Path) -> Path:
    """Return the file of one of the series' pictures, or of any path.

    Raises:
        FileNotFoundError: If it is neither a name nor a file.
    """
    for path in FOLDER.glob("[cs]*/*.jpg"):
        if path.stem == str(source):
            return path
    path = at_home(source)
    if not path.is_file():
        raise FileNotFoundError(
            f"no picture {str(source)!r}: give the path of a file, or one of {', '.join(picture_names())}"
        )
    return path


def load_image(source: str | Path, size: int | None = None) -> torch.Tensor:
    """Read a picture as a tensor.

    Photographs come upright (EXIF orientation), transparent pictures on white,
    and greyscale, palette, CMYK, Lab and 16-bit pictures as 8-bit RGB. Colours
    come as sRGB: an embedded profile is followed, and a PNG's own gamma. Of an
    animation the first picture is used, and a note says so; metadata that is
    damaged is left out.

    Args:
        source: A name from ``picture_names()`` or the path of a file that Pillow reads.
        size: Length of the longer side in pixels after resizing, 1 to 4096; a
            smaller picture is enlarged. By default the size in the file.

    Returns:
        (1, 3, H, W), float32, RGB in [0, 1].

    Raises:
        FileNotFoundError: If there is no such picture.
        ValueError: If the file is no picture, is damaged or too large, or the size is out of range.
            No other exception, whatever the file holds.
    """
    if size is not None and not (isinstance(size, int) and 1 <= size <= LARGEST_SIDE):
        raise ValueError(f"size is {size!r}; it must be a whole number from 1 to {LARGEST_SIDE}")
    path = picture_path(source)
    return from_pil(read_picture(path, MOST_PIXELS), quick_size(size))


def from_pil(picture: Image.Image, size: int | None = None) -> torch.Tensor:
    """Turn a PIL picture into a tensor.

    Args:
        picture: Any mode.
        size: Length of the longer side in pixels after resizing; by default unchanged.

    Returns:
        (1, 3, H, W), float32, RGB in [0, 1].
    """
    array = np.array(_resized(as_rgb(picture), size), dtype=np.float32) / 255  # (H, W, 3)
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()


def load_mask(source: str | Path, size: int | None = None) -> torch.Tensor:
    """Read a picture as a mask, (1, 1, H, W): 1 where it is white, 0 where black; see ``load_image``."""
    return load_image(source, size).mean(1, keepdim=True)


def load_alpha(source: str | Path, size: int | None = None) -> torch.Tensor | None:
    """Read how opaque a picture is: 1 where it is, 0 where it is transparent.

    Args and errors: as those of ``load_image``.

    Returns:
        (1, 1, H, W), in [0, 1], of the size that ``load_image`` returns; None if it is opaque everywhere.
    """
    alpha = read_picture(picture_path(source), MOST_PIXELS).info.get("alpha")
    if alpha is None or alpha.getextrema()[0] == 255:
        return None
    return torch.from_numpy(np.array(_resized(alpha, quick_size(size)), dtype=np.float32) / 255)[None, None]


def _resized(picture: Image.Image, size: int | None) -> Image.Image:
    """Return the picture with a longer side of so many pixels."""
    if size is None or max(picture.size) == size:
        return picture
    scale = size / max(picture.size)
    new_size = [max(1, round(side * scale)) for side in picture.size]
    return picture.resize(new_size, Image.Resampling.LANCZOS)


def to_array(image: torch.Tensor) -> np.ndarray:
    """Turn a tensor into an array that Matplotlib and scikit-image take.

    Args:
        image: (1, 3, H, W) or (3, H, W), RGB; values outside [0, 1] are clipped.

    Returns:
        (H, W, 3), float32 in [0, 1].

    Raises:
        ValueError: If the shape is another or a value is NaN or infinite.
    """
    if image.ndim == 4 and image.shape[0] == 1:
        image = image[0]
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"image has shape {tuple(image.shape)}; it must be (1, 3, H, W)")
    if not torch.isfinite(image).all():
        raise ValueError("image holds NaN or infinite values")
    return image.detach().float().cpu().clamp(0, 1).permute(1, 2, 0).numpy()


def to_pil(image: torch.Tensor) -> Image.Image:
    """Turn a tensor into a PIL picture of 8 bits a channel.

    Args:
        image: (1, 3, H, W) or (3, H, W), RGB; values outside [0, 1] are clipped.
    """
    return Image.fromarray((to_array(image) * 255).round().astype(np.uint8))


def save_image(
    image: torch.Tensor, path: str | Path, record: dict | None = None, alpha: torch.Tensor | None = None
) -> Path:
    """Write a picture, marked as sRGB. The file appears whole or not at all.

    Args:
        image: (1, 3, H, W), RGB; values outside [0, 1] are clipped.
        path: Ends in .png, .jpg, .jpeg or .webp, in a folder that exists.
        record: How the picture was made; kept in a PNG's text, or in the description (EXIF) of the others.
            A JPEG has no room for more than 64 KB, and is then written without.
        alpha: How opaque it is, (1, 1, H, W), or None for everywhere. A JPEG has no transparency.

    Returns:
        The path.

    Raises:
        ValueError: If the ending is another, the tensor is no picture, or a JPEG is to be transparent.
        FileNotFoundError: If the folder is missing.
    """
    path = check_output(path, transparent=alpha is not None)
    picture = to_pil(image)
    if alpha is not None:
        picture.putalpha(Image.fromarray((alpha[0, 0].cpu().numpy() * 255).round().astype(np.uint8)))
    options = {"quality": 92, "icc_profile": made_profile()}
    text = None if record is None else f"{RECORD_KEY}: {json.dumps(record)}"
    if text and (len(text) < MOST_IN_JPEG or path.suffix.lower() == ".webp"):
        options["exif"] = Image.Exif()
        options["exif"][DESCRIPTION] = text
    if path.suffix.lower() == ".png":
        text = PngImagePlugin.PngInfo()
        text.add(b"sRGB", b"\x01")  # relative colorimetric
        if record is not None:
            text.add_itxt(RECORD_KEY, json.dumps(record))
        options = {"pnginfo": text}
    with whole_file(path) as part:
        picture.save(part, **options)
    return path


def check_output(path: str | Path, transparent: bool = False) -> Path:
    """Return the path if a picture could be saved there, so that a long run does not end in vain.

    Raises:
        ValueError: If the ending names no format that can be written.
        FileNotFoundError: If the folder is missing.
    """
    path = at_home(path)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ValueError(f"cannot save {str(path)!r}: the name must end in .png, .jpg or .webp")
    if transparent and path.suffix.lower() in (".jpg", ".jpeg"):
        raise ValueError(f"cannot save {str(path)!r}: a JPEG cannot be transparent; end it in .png or .webp")
    check_file(path, "the picture", {})
    return path


def read_record(path: str | Path) -> dict:
    """Return how a picture was made, as stored in it by ``save_image``.

    It is data that anybody may have written: nothing in it is run, and a reader checks each value.

    Raises:
        FileNotFoundError: If there is no such picture.
        ValueError: If the file is no picture, or carries no record or a damaged one.
    """
    file = picture_path(path)
    try:
        with Image.open(file) as picture:
            text = picture.info.get(RECORD_KEY, "")  # a PNG's; its text and getexif would decode the pixels
            looked = picture.format != "PNG" or "exif" in picture.info
            description = str(picture.getexif().get(DESCRIPTION, "")) if looked else ""
        if description.startswith(f"{RECORD_KEY}: "):
            text = description.removeprefix(f"{RECORD_KEY}: ")
        record = json.loads(text) if text else None
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        raise ValueError(f"{str(path)!r} is no picture with a record, or is damaged ({error})") from error
    if not isinstance(record, dict):
        raise ValueError(f"{str(path)!r} carries no record of how it was made")
    return record


def white_noise(height: int, width: int, seed: int = 0, deviation: float = NOISE) -> torch.Tensor:
    """Return Gaussian white noise around the mean colour of ImageNet.

    Args:
        height: In pixels.
        width: In pixels.
        seed: Any whole number.
        deviation: Standard deviation; by default 5 of 255 grey levels.

    Returns:
        (1, 3, H, W), RGB, nearly all of it in [0, 1].
    """
    generator = torch.Generator().manual_seed(seed)
    mean = torch.tensor([0.485, 0.458, 0.408]).view(1, 3, 1, 1)
    return mean + deviation * torch.randn(1, 3, height, width, generator=generator)


def start_picture(p, a, init: str | torch.Tensor, size: tuple[int, int] | None, seed: int) -> torch.Tensor:
    """Return the picture that a run starts from, (1, 3, H, W), of p's size if there is p.

    Args: as those of ``synthesise``.

    Raises:
        ValueError: If there is no such start, or it does not fit p.
    """
    if isinstance(init, torch.Tensor):
        if p is not None and init.shape != p.shape:
            raise ValueError(f"init has shape {tuple(init.shape)}, p {tuple(p.shape)}; they must agree")
        if not torch.isfinite(init).all():
            raise ValueError("init holds NaN or infinite values")
        return init.detach().clone()
    if init not in INITS:
        raise ValueError(f"unknown init {init!r}; choose from {INITS} or give a picture")
    source = {"noise": None, "content": p, "style": a}[init]
    if init != "noise" and source is None:
        raise ValueError(f"init={init!r} needs that picture, and it is not given")
    height, width = p.shape[2:] if p is not None else size or a.shape[2:]
    if source is None:
        return white_noise(height, width, seed)
    return fitted(source, height, width)


def fitted(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return a copy of a picture, (1, 3, H, W), resized to this height and width."""
    if image.shape[2:] == (height, width):
        return image.clone()
    return interpolate(image, size=(height, width), mode="bilinear", antialias=True)
