"""Where files are kept between runs, and how a file is written: whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return where to keep files: the environment variable NST_CACHE, or the system's cache folder.

    The folder need not exist yet; whoever writes to it makes it.
    """
    chosen = os.environ.get("NST_CACHE", "")
    folder = at_home(chosen) if chosen else user_cache_path("neural-style-notebooks")
    # Without a home, as in some containers, the system's cache folder is a folder called "~".
    return folder if chosen or folder.is_absolute() else Path(tempfile.gettempdir()) / folder.name


def at_home(path: str | Path) -> Path:
    """Return the path with ~ and ~user as folders; as it is where there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def check_file(path: Path, kind: str, taken: dict[str, Path | None]) -> None:
    """Refuse to write a file that cannot be written, or that another file of the same run is.

    Args:
        path: The file to write.
        kind: What it is, such as ``"-o"``.
        taken: What the other files are, to the files; None counts as not given.

    Raises:
        ValueError: If it is one of them, by whatever name.
        OSError: If its folder is missing or cannot be written to, or its name is too long.
    """
    folder = path.absolute().parent
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {str(path)!r}: it is a folder")
    if not folder.is_dir():
        missing = f"its folder is missing, {str(folder)!r} is no folder"
        raise FileNotFoundError(f"cannot write {str(path)!r}: {missing}")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"cannot write {str(path)!r}: the folder {str(folder)!r} cannot be written to")
    for other, file in taken.items():
        if file is not None and _same(path, file):
            raise ValueError(f"{kind} {str(path)!r} is the file of {other}; it would be lost")


def _same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)  # also through links
    return one.resolve() == other.resolve()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path beside the one wanted to write to; it takes the wanted name once it is whole.

    After an exception nothing is left of it, and an old file of that name stays as it was.

    Raises:
        OSError: If the folder cannot be written to.
    """
    part = path.with_name(f".{path.stem[:80]}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
