"""Where files are kept between runs, and how a file is written: whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return where to keep files: the environment variable NST_CACHE, or the system's cache folder.

    The folder need not exist yet; whoever writes to it makes it.
    """
    chosen = os.environ.get("NST_CACHE", "")
    return Path(chosen).expanduser() if chosen else user_cache_path("neural-style-notebooks")


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
