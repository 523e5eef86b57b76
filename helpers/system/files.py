"""Where files are kept between runs, and how a file is written: whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

import psutil
from platformdirs import user_cache_path

#: Bytes that a folder must have room for before a run begins: no picture with its record is much smaller.
LEAST_ROOM = 4096


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
        OSError: If its folder is missing, full or cannot be written to, its name is too long, or the file
            that is there is protected.
    """
    folder = path.absolute().parent
    with suppress(FileNotFoundError, NotADirectoryError):
        path.stat()  # a name that is too long shows here
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {str(path)!r}: it is a folder")
    if not folder.is_dir():
        missing = f"its folder is missing, {str(folder)!r} is no folder"
        raise FileNotFoundError(f"cannot write {str(path)!r}: {missing}")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"cannot write {str(path)!r}: the file that is there is protected")
    try:  # permissions alone do not tell of full disks, quotas, and folders such as /proc
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(LEAST_ROOM))
    except OSError as error:
        why = f"the folder {str(folder)!r} cannot be written to ({error.strerror})"
        raise type(error)(f"cannot write {str(path)!r}: {why}") from error
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

    After an exception nothing is left of it, and an old file of that name stays as it was. What a process
    that was killed has left of it is removed by the next one that writes it.

    Raises:
        OSError: If the file cannot be written, as on a full disk; with the wanted name.
    """
    head, tail = f".{path.stem[:40]}.", f".part{path.suffix}"
    part = path.with_name(f"{head}{os.getpid()}{tail}")
    for left in path.parent.glob(f"{escape(head)}*{escape(tail)}"):
        process = left.name.removeprefix(head).removesuffix(tail)
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            with suppress(OSError):
                left.unlink()
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise type(error)(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
