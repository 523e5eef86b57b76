"""What was passed, kept in a small file of the cache folder: written whole or not at all."""

import json
from datetime import date
from pathlib import Path

from helpers.system.files import cache_folder, whole_file

FILE = "exercises.json"


def load() -> tuple[dict[str, dict], str]:
    """Return what was reached, by the name of the exercise, and a note if the file was damaged.

    A damaged file is put aside under another name, never removed.
    """
    path = cache_folder() / FILE
    try:
        reached = json.loads(path.read_text(encoding="utf-8"))
        if not _is_table(reached):
            raise ValueError("it holds no table of exercises")
        return reached, ""
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, f"{path} could not be read ({error}). Nothing was changed."
    except (ValueError, RecursionError) as error:  # of JSON and of UTF-8 too
        aside, why = _free_name(path), error
    try:
        path.rename(aside)
    except OSError as error:
        return {}, f"{path} could not be read ({why}), nor put aside ({error}). Nothing was changed."
    return {}, (
        f"{path.name} could not be read ({why}). It now lies beside it as {aside.name}, unchanged, and a "
        f"new table begins. To go back, mend it and give it its old name, in {path.parent}."
    )


def _is_table(reached: object) -> bool:
    return isinstance(reached, dict) and all(
        isinstance(entry, dict)
        and isinstance(score := entry.get("score"), int | float)
        and 0 <= score <= 1000
        and isinstance(entry.get("on", ""), str)
        for entry in reached.values()
    )


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")).exists():
        number += 1
    return aside


def save(name: str, score: float = 1.0) -> str:
    """Keep that an exercise was passed, or a self-check's best score; return a note, mostly empty."""
    reached, note = load()  # anew each time: another notebook may have written meanwhile
    if note and (cache_folder() / FILE).exists():
        return note  # not readable and not put aside: leave it alone
    before = reached.get(name, {})
    if before.get("score", -1) >= score:
        return note
    reached[name] = {"score": score, "on": date.today().isoformat()}
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with whole_file(cache_folder() / FILE) as part:
            part.write_text(json.dumps(reached, indent=1, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        return f"Your progress could not be kept ({error})."
    return note
