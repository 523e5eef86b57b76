"""The pictures of the paper, fetched when asked for and kept in the user's cache folder.

They are not part of the project. Whoever has them already copies them into ``folder()`` under the
file names below. Picasso's *Femme nue assise* (E in the paper's Figure 2) is not offered: it is in
copyright until the end of 2043 in many countries.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests

from helpers.images import load_image
from helpers.system.files import cache_folder

_GATYS = "leongatys/PytorchNeuralStyleTransfer", "be6c8e2b35568669a5a0ac10b66c912207ad355d", "Images"
_JOHNSON = "jcjohnson/neural-style", "07c4b8299f8fbdafec0c514fc820ff1d7ff62e46", "examples/inputs"

#: Seconds to wait for a server to answer, and for its next bytes.
TIMEOUT = (10, 30)

#: More than any of the files has, in bytes; what goes on sending is cut off.
MOST_BYTES = 20_000_000


@dataclass(frozen=True)
class PaperImage:
    """One picture of the paper.

    Attributes:
        name: What the command line calls it.
        file: Its file in ``folder()``.
        sha256: Of the file, or None where no file is known well enough to be pinned.
        addresses: Where to fetch it, best first.
        credit: Title, author, year and what is known of its licence.
    """

    name: str
    file: str
    sha256: str | None
    addresses: tuple[str, ...]
    credit: str


def _at(repository, commit, folder, file) -> tuple[str, ...]:
    return (
        f"https://raw.githubusercontent.com/{repository}/{commit}/{folder}/{file}",
        f"https://github.com/{repository}/raw/{commit}/{folder}/{file}",
    )


PAPER_IMAGES = (
    PaperImage(
        "tuebingen_neckarfront",
        "Tuebingen_Neckarfront.jpg",
        "e67d1869f01fd805385c681a80d9ebcf0f70ea4a5fe6127f0606bb1c7f4bf506",
        _at(*_GATYS, "Tuebingen_Neckarfront.jpg"),
        "Neckarfront in Tübingen, photo by Andreas Praefcke; its licence is on its page at Wikimedia Commons",
    ),
    PaperImage(
        "shipwreck",
        "shipwreck.jpg",
        "4f7cf34e3cd4a5daaf3f421f059ca9a01aaa2a3afd7243d6670c9c8bc001a213",
        _at(*_JOHNSON, "shipwreck.jpg"),
        "J. M. W. Turner (1775–1851), The Shipwreck of the Minotaur, public domain",
    ),
    PaperImage(
        "vangogh_starry_night",
        "vangogh_starry_night.jpg",
        "228bebf0dd424ea4f740d8d88a67f2960424c166e638086c1ec529260d2e3832",
        _at(*_GATYS, "vangogh_starry_night.jpg"),
        "Vincent van Gogh (1853–1890), The Starry Night, 1889, public domain",
    ),
    PaperImage(
        "the_scream",
        "the_scream.jpg",
        "f3075cddeb974a9ee1d6418f7f33fd05185a7ac7dcb4288bd2805d499a9dcaee",
        _at(*_JOHNSON, "the_scream.jpg"),
        "Edvard Munch (1863–1944), The Scream, 1893, public domain where copyright ends 70 years after death",
    ),
    PaperImage(
        "composition_vii",
        "composition_vii.jpg",
        None,
        (),
        "Wassily Kandinsky (1866–1944), Composition VII, 1913, Tretyakov Gallery, public domain where "
        "copyright ends 70 years after death; no file is pinned: search Wikimedia Commons for "
        "'Kandinsky Composition VII'",
    ),
)


def folder() -> Path:
    """Return where the pictures are kept; it need not exist yet."""
    return cache_folder() / "paper_images"


def paper_image(name: str) -> PaperImage:
    """Return what is known of a picture.

    Raises:
        ValueError: If the name is none of ``PAPER_IMAGES``.
    """
    for image in PAPER_IMAGES:
        if image.name == name:
            return image
    names = ", ".join(image.name for image in PAPER_IMAGES)
    raise ValueError(f"unknown picture of the paper {name!r}; choose from {names}")


def local_path(image: PaperImage) -> Path | None:
    """Return the picture's file if it is here, fetched or copied in, else None."""
    path = folder() / image.file
    return path if path.is_file() else None


def is_pinned(image: PaperImage) -> bool:
    """Return whether the file that is here is the one whose sha256 is known."""
    path = local_path(image)
    return bool(path and image.sha256) and pooch.file_hash(str(path), "sha256") == image.sha256


def fetch(image: PaperImage) -> Path:
    """Return the picture's file, fetched unless it is here.

    Every address is tried in turn. A download that breaks off goes on where it stopped, at the
    next address or at the next call. The file gets its name only when its sha256 is right.
    A file that the user copied in is left as it is, whatever its sha256.

    Args:
        image: One of ``PAPER_IMAGES``.

    Raises:
        ConnectionError: If no address gives the file; says what each of them answered.
        FileNotFoundError: If no address is known.
        ValueError: If the file that is here is no picture or is damaged.
    """
    if path := local_path(image):
        load_image(path, 16)
        return path
    target = folder() / image.file
    if not image.addresses:
        raise FileNotFoundError(f"{image.name} has no known address; copy a file of yours to {str(target)!r}")
    pooch.get_logger().setLevel("WARNING")  # it would announce every address on stderr
    answers = []
    for address in image.addresses:
        download = _Resuming(target.with_name(target.name + ".part"))
        try:
            return _retrieve(image, address, download)
        except (requests.RequestException, ValueError) as error:
            answers.append(f"{urlsplit(address).netloc}: {_reason(error)}")
    kept = download.part.stat().st_size if download.part.exists() else 0
    raise ConnectionError(
        f"{image.name} could not be fetched ({'; '.join(answers)}). "
        + (f"The {kept:,} bytes that arrived are kept, and the next call goes on from them. " if kept else "")
        + f"Try again, or copy the file to {str(target)!r}; everything else works without it"
    )


def _retrieve(image, address, download) -> Path:
    options = {"known_hash": image.sha256, "fname": image.file, "path": folder(), "downloader": download}
    try:
        path = pooch.retrieve(address, **options)
    except ValueError:  # the sha256 is wrong
        download.part.unlink(missing_ok=True)
        if not download.resumed:
            raise
        # The fault may lie in the half that was here before, so once more from the first byte.
        path = pooch.retrieve(address, **options)
    download.part.unlink(missing_ok=True)
    return Path(path)


class _TooLarge(requests.RequestException):
    """More bytes came than any of the files has."""


class _Resuming:
    """A downloader for pooch that keeps what it got and goes on from there."""

    def __init__(self, part: Path):
        self.part, self.resumed = part, False

    def __call__(self, url, output_file, _pooch):
        have = self.part.stat().st_size if self.part.exists() else 0
        # Without "identity" a server may send compressed bytes, which cannot be counted on from.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.Session() as session:
            # With one protocol only, no redirect is followed from https to http, or to a file.
            scheme = f"{urlsplit(url).scheme}://"
            session.adapters = {scheme: session.adapters[scheme]}
            answer = session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
            if answer.status_code == 416:  # nothing after what is here: perhaps all of it is here
                self.resumed = True
            else:
                answer.raise_for_status()
                self.resumed = answer.status_code == 206
                with open(self.part, "ab" if self.resumed else "wb") as file:
                    for chunk in answer.iter_content(4096):
                        file.write(chunk)
                        if file.tell() > MOST_BYTES:
                            break
                if self.part.stat().st_size > MOST_BYTES:
                    self.part.unlink()
                    raise _TooLarge
        shutil.copyfile(self.part, output_file)


def _reason(error: Exception) -> str:
    """Return in a few words what went wrong; the exceptions of requests fill several lines."""
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off half-way"
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "it sends to another protocol, which is not followed"
    if isinstance(error, _TooLarge):
        return f"more than {MOST_BYTES:,} bytes came; they were not kept"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, ValueError) and "hash" in str(error).lower():
        return "the file has not the sha256 it should have; it was not kept"
    return type(error).__name__
