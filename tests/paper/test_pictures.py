"""The paper's pictures: fetched from a real server on loopback that misbehaves in every usual way."""

import hashlib
import io
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

import pytest
import requests

from helpers.command_line import main
from helpers.images import picture_path
from helpers.paper import pictures as paper_images
from helpers.paper.panels import source_path
from helpers.paper.pictures import PAPER_IMAGES, fetch, is_pinned, local_path, paper_image

CONTENTS = picture_path("ducks").read_bytes()
HALF = len(CONTENTS) // 2


class Server(ThreadingHTTPServer):
    """Answers by path, and remembers every path with the range that was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []

    def address(self, path):
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path, wanted = self.path.strip("/"), self.headers.get("Range")
        self.server.asked.append((path, wanted))
        if path == "500":
            return self.send_error(500)
        if path.startswith("to/"):
            self.send_response(302)
            self.send_header("Location", unquote(path.removeprefix("to/")))
            self.send_header("Content-Length", "0")
            return self.end_headers()
        contents = {"wrong": CONTENTS[::-1]}.get(path, CONTENTS)
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if path == "no_ranges":
            first, wanted = 0, None
        if first >= len(contents):
            return self.send_error(416)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(contents) - first))
        self.end_headers()
        # A server that breaks off half-way promises all bytes and sends some.
        self.wfile.write(contents[first:HALF] if path == "half" else contents[first:])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NST_CACHE", str(tmp_path))
    return tmp_path / "paper_images"


@pytest.fixture
def at(server):
    """Return a picture of the paper that the server has at these paths."""

    def image(*paths):
        addresses = tuple(map(server.address, paths))
        digest = hashlib.sha256(CONTENTS).hexdigest()
        return replace(PAPER_IMAGES[0], sha256=digest, addresses=addresses)

    return image


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_picture_is_fetched_once(at, server, folder):
    path = fetch(at("ok"))
    assert path.read_bytes() == CONTENTS
    assert is_pinned(at("ok"))
    assert fetch(at("ok")) == path
    assert server.asked == [("ok", None)]
    assert names(folder) == ["Tuebingen_Neckarfront.jpg"]


@pytest.mark.parametrize(
    ("path", "answer"),
    [("500", "the server answered 500"), ("wrong", "has not the sha256 it should have")],
)
def test_an_address_that_fails_is_named_and_leaves_nothing_behind(at, folder, path, answer):
    with pytest.raises(ConnectionError, match=f"127.0.0.1:.*{answer}.*everything else works without it"):
        fetch(at(path))
    assert names(folder) == []


def test_the_next_address_is_tried(at, server):
    assert fetch(at("500", "wrong", "half", "ok")).read_bytes() == CONTENTS
    assert [path for path, _ in server.asked] == ["500", "wrong", "half", "ok"]


def test_half_a_file_is_no_picture_and_the_next_call_goes_on_from_it(at, server, folder):
    with pytest.raises(ConnectionError, match=r"broke off half-way.*The [0-9,]+ bytes that arrived are kept"):
        fetch(at("half"))
    assert names(folder) == ["Tuebingen_Neckarfront.jpg.part"]
    assert local_path(at("half")) is None
    assert fetch(at("ok")).read_bytes() == CONTENTS
    (_, first), (_, second) = server.asked
    assert first is None
    assert HALF - 4096 < int(second.removeprefix("bytes=").removesuffix("-")) <= HALF
    assert names(folder) == ["Tuebingen_Neckarfront.jpg"]


def test_a_server_without_ranges_starts_over(at, folder):
    folder.mkdir()
    (folder / "Tuebingen_Neckarfront.jpg.part").write_bytes(CONTENTS[:HALF])
    assert fetch(at("no_ranges")).read_bytes() == CONTENTS


@pytest.mark.parametrize("part", [b"another picture", CONTENTS[::-1], CONTENTS + b"more"])
def test_a_first_half_that_does_not_fit_is_fetched_again(at, folder, part):
    folder.mkdir()
    (folder / "Tuebingen_Neckarfront.jpg.part").write_bytes(part)
    assert fetch(at("ok")).read_bytes() == CONTENTS
    assert names(folder) == ["Tuebingen_Neckarfront.jpg"]


def test_a_part_that_is_whole_needs_nothing_more(at, folder):
    folder.mkdir()
    (folder / "Tuebingen_Neckarfront.jpg.part").write_bytes(CONTENTS)
    assert fetch(at("ok")).read_bytes() == CONTENTS


def test_without_a_network_it_says_so_and_how_to_go_on(folder):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    image = replace(PAPER_IMAGES[0], addresses=(f"http://127.0.0.1:{port}/x.jpg",))
    with pytest.raises(ConnectionError, match=r"no connection.*copy the file to .*Tuebingen_Neckarfront.jpg"):
        fetch(image)


@pytest.mark.parametrize(
    "other", ["file:///etc/hostname", "ftp://127.0.0.1/x", "https://127.0.0.1/x", "data:,x"]
)
def test_a_redirect_to_another_protocol_is_not_followed(other, at, server, folder):
    with pytest.raises(ConnectionError, match="it sends to another protocol, which is not followed"):
        fetch(at(f"to/{quote(other, safe='')}"))
    assert len(server.asked) == 1
    assert names(folder) == []


def test_from_https_no_redirect_leads_to_http(at, server, folder, monkeypatch):
    def send(self, request, **options):
        answer = requests.Response()
        answer.status_code, answer.headers["Location"] = 302, server.address("ok")
        answer.url, answer.request, answer.raw = request.url, request, io.BytesIO()
        return answer

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    with pytest.raises(ConnectionError, match="it sends to another protocol"):
        fetch(replace(at("ok"), addresses=("https://127.0.0.1/x.jpg",)))
    assert server.asked == []


def test_a_redirect_within_the_protocol_is_followed(at, server):
    assert fetch(at(f"to/{quote(server.address('ok'), safe='')}")).read_bytes() == CONTENTS


def test_a_file_of_too_many_bytes_is_cut_off_and_not_kept(at, folder, monkeypatch):
    monkeypatch.setattr(paper_images, "MOST_BYTES", HALF)
    with pytest.raises(ConnectionError, match=f"more than {HALF:,} bytes came; they were not kept"):
        fetch(at("ok"))
    assert names(folder) == []


def test_a_users_own_file_is_used_and_never_overwritten(at, server, folder):
    folder.mkdir()
    own = picture_path("citrus").read_bytes()
    (folder / "Tuebingen_Neckarfront.jpg").write_bytes(own)
    assert fetch(at("ok")).read_bytes() == own
    assert not is_pinned(at("ok"))
    assert source_path("tuebingen_neckarfront").read_bytes() == own
    assert server.asked == []


def test_a_users_damaged_file_is_refused(at, folder):
    folder.mkdir()
    (folder / "Tuebingen_Neckarfront.jpg").write_bytes(CONTENTS[:HALF])
    with pytest.raises(ValueError, match="is damaged"):
        fetch(at("ok"))


def test_a_picture_without_an_address_can_be_copied_in(folder):
    image = paper_image("composition_vii")
    assert (image.sha256, image.addresses) == (None, ())
    with pytest.raises(FileNotFoundError, match="no known address; copy a file of yours to"):
        fetch(image)
    folder.mkdir()
    (folder / "composition_vii.jpg").write_bytes(CONTENTS)
    assert fetch(image).read_bytes() == CONTENTS


def test_the_four_known_files_are_pinned_to_a_commit_and_a_hash():
    gatys = "leongatys/PytorchNeuralStyleTransfer", "be6c8e2b35568669a5a0ac10b66c912207ad355d/Images"
    johnson = "jcjohnson/neural-style", "07c4b8299f8fbdafec0c514fc820ff1d7ff62e46/examples/inputs"
    known = {
        "tuebingen_neckarfront": (
            *(*gatys, "Tuebingen_Neckarfront.jpg"),
            "e67d1869f01fd805385c681a80d9ebcf0f70ea4a5fe6127f0606bb1c7f4bf506",
        ),
        "vangogh_starry_night": (
            *(*gatys, "vangogh_starry_night.jpg"),
            "228bebf0dd424ea4f740d8d88a67f2960424c166e638086c1ec529260d2e3832",
        ),
        "shipwreck": (
            *(*johnson, "shipwreck.jpg"),
            "4f7cf34e3cd4a5daaf3f421f059ca9a01aaa2a3afd7243d6670c9c8bc001a213",
        ),
        "the_scream": (
            *(*johnson, "the_scream.jpg"),
            "f3075cddeb974a9ee1d6418f7f33fd05185a7ac7dcb4288bd2805d499a9dcaee",
        ),
    }
    for name, (repository, folder, file, digest) in known.items():
        image = paper_image(name)
        assert image.sha256 == digest
        raw, other = image.addresses
        assert raw == f"https://raw.githubusercontent.com/{repository}/{folder}/{file}"
        assert other == f"https://github.com/{repository}/raw/{folder}/{file}"
    with pytest.raises(ValueError, match="unknown picture of the paper 'femme_nue_assise'"):
        paper_image("femme_nue_assise")


def test_the_command_goes_on_after_a_failure_and_reports_it(at, monkeypatch, capsys):
    shipwreck = replace(at("ok"), name="shipwreck", file="shipwreck.jpg")
    images = (at("500"), shipwreck, paper_image("composition_vii"))
    monkeypatch.setattr(paper_images, "PAPER_IMAGES", images)
    assert main(["paper-images"]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("error: tuebingen_neckarfront could not be fetched")
    assert "shipwreck: shipwreck.jpg, its sha256 is right" in printed.out
    assert "composition_vii has no known address" in printed.out
    assert main(["figure", "1", "--pictures", "paper"]) == 2
    assert capsys.readouterr().err.startswith("error: tuebingen_neckarfront is not here yet")
