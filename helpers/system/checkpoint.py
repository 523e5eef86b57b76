"""A run in a file, from which it can be taken up again: written whole or not at all, read as data.

A checkpoint says what it is a checkpoint of: pictures, network, settings and code. Of anything else it
is refused, because the run would end with a picture that no settings describe.
"""

import contextlib
import hashlib
import platform
import reprlib
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import get_args, get_origin

import torch

from helpers.system.files import at_home, whole_file
from helpers.system.tensors import read_tensors

#: Modules of which a change may change pictures, beside those of the engine.
DECIDING_MODULES = (
    "images", "weights", "network", "controls", "losses", "objective", "optimisers", "record", "saved",
    "synthesis",
)  # fmt: skip
FORMAT = "neural style checkpoint, version 1"


@lru_cache(maxsize=1)
def code_sha256() -> str:
    """Return a hash of all code that decides about pictures."""
    here = Path(__file__).parent.parent
    files = [here / f"{module}.py" for module in DECIDING_MODULES] + sorted(here.glob("engine/*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def picture_sha256(image: torch.Tensor | None) -> str | None:
    """Return a hash of a picture's pixels; None for no picture."""
    if image is None:
        return None
    return hashlib.sha256(image.detach().cpu().contiguous().numpy().tobytes()).hexdigest()[:16]


def identity(settings: dict, **pictures: torch.Tensor | None) -> dict:
    """Return what must be the same for a run to be taken up: pictures, settings, code and machine.

    Args:
        settings: Of the run; how many evaluations it makes may differ.
        pictures: Name to picture or None.
    """
    same = {name: value for name, value in settings.items() if name != "evaluations"}
    same |= {f"picture {name}": picture_sha256(image) for name, image in pictures.items()}
    return same | {"code": code_sha256(), "torch": str(torch.__version__), "machine": platform.machine()}


def has_form(value, form, like: torch.Tensor) -> bool:
    """Return whether what was read from a file is what a type annotation says.

    Args:
        value: Anything.
        form: Such as ``dict[str, list[float]]`` or ``torch.Tensor | None``; a dict from name to form stands
            for a dict of just these names.
        like: What the shape and the type of every tensor must be.
    """
    if isinstance(form, dict):
        named = isinstance(value, dict) and value.keys() == form.keys()
        return named and all(has_form(value[name], each, like) for name, each in form.items())
    kind, parts = get_origin(form) or form, get_args(form)
    if kind is UnionType:
        return any(has_form(value, part, like) for part in parts)
    if not isinstance(value, (int, float) if kind is float else kind):
        return False
    if kind is torch.Tensor:
        return (value.shape, value.dtype) == (like.shape, like.dtype)
    if kind is tuple and parts and parts[-1] is not ...:
        return len(value) == len(parts) and all(map(has_form, value, parts, [like] * len(parts)))
    if kind is dict and parts:
        return all(has_form(item, tuple[parts], like) for item in value.items())
    return not parts or all(has_form(each, parts[0], like) for each in value)


class Checkpoint:
    """The file in which a run saves itself from time to time.

    Args:
        path: The file, in a folder that exists; without one nothing is saved.
        every: Seconds between two times.
        run_identity: What ``identity`` returns.
        resume: Whether to go on from what is there.

    Raises:
        FileNotFoundError: If the folder is missing, or nothing is there to go on from.
        FileExistsError: If a file is there that is not to be gone on from, unless that run is over.
        ValueError: If ``every`` is no number of seconds, or the run to resume has no checkpoint.
    """

    def __init__(self, path: str | Path | None, every: float, run_identity: dict, resume: bool):
        """Look at the file before anything is computed."""
        if not every >= 0:
            raise ValueError(f"every is {every!r}; it must be a number of seconds")
        if path is None and resume:
            raise ValueError("resume without a checkpoint to resume from; name its file")
        self.path = None if path is None else at_home(path)
        self.every, self.identity, self.saved_at = every, run_identity, time.monotonic()
        if self.path is None or resume:
            return
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"checkpoint {str(path)!r}: {str(self.path.parent)!r} is no folder")
        if self.path.exists() and not self._is_over():
            raise FileExistsError(
                f"checkpoint {str(path)!r} is there already; resume that run, or remove the file first"
            )

    def load(self, device: torch.device) -> dict:
        """Return the state that was saved, with its tensors on a device.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is no checkpoint, or one of another run; says what differs.
        """
        if not self.path.is_file():
            raise FileNotFoundError(f"no checkpoint {str(self.path)!r}; begin the run without resuming")
        there = _read(self.path, device)
        with self.taken_up():
            names = [n for n in {**there["identity"], **self.identity} if self._differs(there, n)]
            words = "; ".join(self._difference(there["identity"], name) for name in names)
        if names:
            raise ValueError(f"the checkpoint {str(self.path)!r} is of another run: {words}")
        return there["state"]

    @contextlib.contextmanager
    def taken_up(self) -> Iterator[None]:
        """Within it, whatever a state that was changed or damaged leads to is one error.

        Raises:
            ValueError: That the file is no readable checkpoint.
        """
        try:
            yield
        except Exception as error:
            raise ValueError(f"{str(self.path)!r} is no readable checkpoint ({error!r:.80})") from error

    @property
    def is_due(self) -> bool:
        """Whether it is time to save again."""
        return self.path is not None and time.monotonic() - self.saved_at >= self.every

    def save(self, state: dict) -> None:
        """Write tensors, numbers, texts and None, in dicts and lists; the old file stays until it is done.

        Raises:
            OSError: If the file cannot be written.
        """
        self.saved_at = time.monotonic()
        try:
            with whole_file(self.path) as part:
                torch.save({"format": FORMAT, "identity": self.identity, "state": state}, part)
        except RuntimeError as error:  # what PyTorch says of a full disk
            raise OSError(f"cannot write {str(self.path)!r}: is the disk full?") from error

    def save_if_it_can(self, state: dict) -> str:
        """Write the state, or say why it could not be written: a full disk must not cost the run."""
        try:
            self.save(state)
        except OSError as error:
            return f"The checkpoint could not be written ({error}); an older one, if any, is still there."
        return ""

    def _is_over(self) -> bool:
        try:
            return _read(self.path)["state"]["result"]["stopped"] in ("finished", "converged")
        except (ValueError, KeyError, TypeError, OSError):
            return False

    def _differs(self, there, name) -> bool:
        return there["identity"].get(name) != self.identity.get(name)

    def _difference(self, there, name) -> str:
        if name.startswith("picture ") or name in ("code", "weights_hash"):
            return f"{name} is another"
        is_there, is_here = (reprlib.repr(each.get(name)) for each in (there, self.identity))
        return f"{name} is {is_there} there and {is_here} here"


def _read(path: Path, device: torch.device | str = "cpu") -> dict:
    try:
        read = read_tensors(path, device)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is no readable checkpoint ({error.__cause__!r:.80})") from error
    whole = isinstance(read, dict) and {"format", "identity", "state"} <= read.keys()
    whole = whole and isinstance(read["identity"], dict) and isinstance(read["state"], dict)
    if not whole or read["format"] != FORMAT:
        raise ValueError(f"{str(path)!r} is no checkpoint of this program")
    return read
