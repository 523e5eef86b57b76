"""Files of tensors, as torch.save writes them: read as data, in no more memory than the file's own size."""

import pickletools
import re
import zipfile
from pathlib import Path

import torch

#: What a pickle of tensors in dicts and lists calls. PyTorch allows more, ``bytearray(10**10)`` for one.
CALLS = re.compile(
    r"collections OrderedDict|torch(\.cuda)? \w+Storage|torch\.storage \w+Storage"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)"
)


def read_tensors(path: Path, device: torch.device | str = "cpu"):
    """Return what is in a file of tensors, numbers, texts and None, in dicts and lists.

    Args:
        path: Of a file that exists.
        device: Where the tensors come to.

    Raises:
        ValueError: If it is no such file, is damaged, or would take more memory than its own size.
        OSError: If it cannot be read.
    """
    try:
        _check(path)
        return torch.load(path, weights_only=True, map_location=device)
    except Exception as error:  # a damaged pickle leads the unpickler anywhere
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise ValueError(f"{str(path)!r} is no readable file of tensors ({type(error).__name__})") from error


def _check(path: Path) -> None:
    """Refuse archives that expand, and pickles that call anything but what makes tensors."""
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
                if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
                    raise ValueError("an archive that expands")
                pickles = [archive.open(entry) for entry in entries if entry.filename.endswith("data.pkl")]
                _check_calls(pickles)
        else:  # before release 1.6 of PyTorch: a head of three pickles, then the one that calls
            file.seek(0)
            _check_calls([file] * 4)


def _check_calls(pickles) -> None:
    for pickle in pickles:
        for operation, name, _ in pickletools.genops(pickle):
            if operation.name == "GLOBAL" and not CALLS.fullmatch(name):
                raise ValueError(f"a call of {name}")
