"""README's gallery: ``python notebooks/studies/gallery.py`` runs its commands and writes their pictures.

Each picture stands in README with the command under it; this script reads the commands from there. Names
given as arguments choose some of them: ``gallery.py keep tiles``.
"""

import re
import shlex
import sys
from pathlib import Path

from helpers.command_line import main

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r"`(transfer [^`]*-o (images/made/gallery/([\w-]+)\.\w+)[^`]*)`")


def commands() -> dict[str, list[str]]:
    """Return the name of each picture to the arguments of its command, in README's order."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return {found[3]: shlex.split(found[1]) for found in COMMAND.finditer(text)}


if __name__ == "__main__":
    for name, arguments in commands().items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            main([str(ROOT / part) if part.startswith("images/") else part for part in arguments])
