"""The one folder outside the project in which files are kept between runs."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return where to keep files: the environment variable NST_CACHE, or the system's cache folder.

    The folder need not exist yet; whoever writes to it makes it.
    """
    chosen = os.environ.get("NST_CACHE", "")
    return Path(chosen).expanduser() if chosen else user_cache_path("neural-style-notebooks")
