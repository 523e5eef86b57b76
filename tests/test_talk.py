"""The talk: its slides, words, minutes, notes, numbers and pictures, and the server beside it."""

import contextlib
import http.client
import io
import json
import re
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.losses import gram_matrix
from helpers.network import STYLE_LAYERS
from helpers.objective import Objective
from helpers.synthesis import white_noise

ROOT = Path(__file__).resolve().parent.parent
TALK = ROOT / "notebooks" / "talk"
sys.path.insert(0, str(TALK))

import build  # noqa: E402
import figure  # noqa: E402
import present  # noqa: E402

SLIDES = build.read()
MAIN = [slide for slide in SLIDES if not slide.behind]
BEHIND = [slide for slide in SLIDES if slide.behind]
HANGUL = re.compile("[가-힣]")

NUMERAL = re.compile(
    r"\d[\d.,/]*(?:e-?\d+)?|\b(?:half|thirds|quarters?|fifths|tenths?|hundredth|thousandth|twice|double[sd]?"
    r"|fortyfold|fourfold|tenfold)\b",
    re.IGNORECASE,
)
#: Digits that state nothing: names of layers, of the network, of equations and papers.
SILENT = re.compile(r"conv\d(?:_\d)?|VGG19|[Ee]quations? \d|Figure \d|from one to five")


def name(slide):
    return slide.title[:40]


def squeezed(text):
    return " ".join(text.split())


def text_of(notebook):
    """Return all words of a notebook: its cells, its printed outputs, its tables and its alt texts."""
    if notebook == "readme":
        return squeezed((ROOT / "README.md").read_text(encoding="utf-8"))
    (path,) = (ROOT / "notebooks").glob(f"{notebook}_*.ipynb")
    pieces = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        pieces.append("".join(cell["source"]))
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            pieces += ["".join(output.get("text", "")), "".join(data.get("text/plain", ""))]
            pieces.append(re.sub(r"<[^>]+>", " ", "".join(data.get("text/html", ""))))
            pieces += [about["alt"] for about in output.get("metadata", {}).values() if "alt" in about]
    return squeezed(" ".join(pieces))


def test_there_are_as_many_slides_as_the_time_allows():
    assert 28 <= len(MAIN) <= 34
    assert 9 <= sum(slide.short is not None for slide in MAIN) <= 10
    assert len(BEHIND) >= 20
    assert SLIDES == MAIN + BEHIND
    said = f"{len(MAIN)} slides for 45 minutes; ten of them", f"behind it {len(BEHIND)} likely questions"
    assert all(words in (ROOT / "README.md").read_text(encoding="utf-8") for words in said)
    assert len({slide.title for slide in SLIDES}) == len(SLIDES)


def test_the_minutes_add_up():
    assert sum(slide.minutes for slide in MAIN) == 45
    assert sum(slide.short or 0 for slide in MAIN) == 15
    assert all(slide.minutes >= (slide.short or 0.5) for slide in MAIN)
    assert not any(slide.minutes or slide.short for slide in BEHIND)


#: Seconds beside the words, which a careful speaker of a second language says at this rate.
WORDS_A_MINUTE, CHANGE, QUESTION, HANDS = 125, 4, 8, 20
#: Seconds of the live moments on two cores: the first is shown twice.
LIVE = {"live grow": 14, "live vote": 3}


def seconds(slide, short=False):
    """Return how long a slide takes when its English notes are read aloud."""
    fields = slide.fields
    last = build.LEAP if short and build.LEAP in fields else "next"
    words = sum(len(fields[field].split()) for field in (*build.NOTES[:-1], last))
    ask = fields["ask"]
    asked = HANDS if re.search(r"\b[Hh]ands?\b|Write down", ask) else QUESTION * max(1, ask.count("?"))
    live = LIVE.get(" ".join(fields["picture"].split()[:2]), 0)
    return 60 * words / WORDS_A_MINUTE + CHANGE + asked + live


@pytest.mark.parametrize("slide", MAIN, ids=name)
def test_the_words_of_a_slide_fit_its_minutes(slide):
    assert abs(seconds(slide) - 60 * slide.minutes) <= 10, f"{seconds(slide) / 60:.2f} minutes"
    if slide.short:
        assert abs(seconds(slide, True) - 60 * slide.short) <= 10, f"{seconds(slide, True) / 60:.2f} minutes"


def test_the_words_of_both_paths_fit_their_time():
    assert 42 * 60 <= sum(map(seconds, MAIN)) <= 45 * 60
    assert 13 * 60 <= sum(seconds(slide, True) for slide in MAIN if slide.short) <= 15 * 60


@pytest.mark.parametrize("slide", MAIN, ids=name)
def test_a_slide_has_at_most_25_words(slide):
    assert len(slide.words) <= 25, slide.words


@pytest.mark.parametrize("slide", BEHIND, ids=name)
def test_behind_the_talk_stands_a_question_with_a_short_answer(slide):
    assert slide.title.endswith("?")
    assert 5 <= len(slide.fields["text"].split()) <= 25


def test_a_question_is_followed_by_its_answer():
    for slide, after in pairwise(MAIN):
        if slide.title.endswith("?"):
            assert not after.title.endswith("?"), slide.title


@pytest.mark.parametrize("slide", SLIDES, ids=name)
def test_every_slide_has_notes_in_both_languages(slide):
    for field in ("say", "number", "ask") if slide.behind else build.NOTES:
        english, korean = slide.fields[field], slide.fields[f"{field} ko"]
        assert not HANGUL.search(english)
        assert len(HANGUL.findall(korean)) >= 4, korean
        assert len(korean) > len(english) / 5
    if slide.behind:
        assert slide.fields["near"] in {other.title for other in BEHIND} - {slide.title}
    else:
        assert 2 <= len(re.findall(r"[.?](?:\s|$)", slide.fields["say"])) <= 6
    words = r"\d|\b(?:one|two|three|four|five|half|quarter|tenth|twice|fifths|fortyfold)\b"
    assert re.search(words, slide.fields["number"], re.I)


def test_where_the_short_path_leaves_slides_out_another_sentence_leads_on():
    for slide, after in pairwise(MAIN):
        leaves_out = slide.short is not None and after.short is None and slide is not MAIN[-2]
        assert (build.LEAP in slide.fields) == leaves_out, slide.title
        assert bool(HANGUL.search(slide.fields.get("leap ko", ""))) == leaves_out


def test_the_korean_notes_use_the_words_of_the_glossary():
    korean = " ".join(v for s in SLIDES for k, v in s.fields.items() if k.endswith(" ko"))
    glossary = text_of("00")
    for word in (
        "그람 행렬",
        "특징 맵",
        "콘텐츠 손실",
        "스타일 손실",
        "전체 손실",
        "백색 잡음",
        "기울기 비율",
        "가중치",
        "옵티마이저",
    ):
        assert word in glossary
        assert word in korean


@pytest.mark.parametrize("slide", SLIDES, ids=name)
def test_every_number_stands_in_a_notebook_or_is_a_fact(slide):
    lines = (ROOT / "tests" / "facts" / "talk.txt").read_text(encoding="utf-8").splitlines()
    facts = dict(line.split(" | ") for line in lines if line and not line.startswith("#"))
    assert set(facts) <= {each.title for each in SLIDES}
    held = facts.get(slide.title, "") + " "
    for notebook, phrase in slide.sources:
        assert squeezed(phrase) in text_of(notebook), f"notebook {notebook} does not say {phrase!r}"
        held += phrase + " "
    numbers = {n.strip(".,/").lower() for n in NUMERAL.findall(SILENT.sub(" ", held))}
    english = {
        k: v for k, v in slide.fields.items() if k in (*build.NOTES, build.LEAP, "text", "labels", "choices")
    }
    for words in (slide.title, *english.values()):
        for numeral in NUMERAL.findall(SILENT.sub(" ", words)):
            assert numeral.strip(".,/").lower() in numbers, f"{numeral!r} in {words!r}"


@pytest.mark.parametrize("slide", SLIDES, ids=name)
def test_every_picture_is_found(slide):
    for still in (False, True):
        html = build.picture(slide, still)
        assert "<pre>" in html or "<img" in html
        assert html.count("<img") == len(re.findall(r'<img[^>]* alt="[^"]{10,}"', html))
    panels = re.search(r" panels ([\d ]+)$", slide.fields["picture"])
    if panels and slide.labels:
        assert len(slide.labels) == len(panels[1].split())


def test_a_picture_that_nobody_stores_is_an_error():
    with pytest.raises(figure.NotFound, match="stores 0"):
        figure.find('04 "no such picture"')
    with pytest.raises(figure.NotFound, match="no file"):
        figure.find('file images/none.jpg "nothing"')


def test_a_figure_is_cut_into_its_pictures_without_its_captions():
    page = np.full((300, 400, 3), 255, np.uint8)
    corners = [(40, 10), (40, 135), (40, 260), (180, 10), (180, 135)]  # gaps of 5 px, as in the notebooks
    noise = np.random.default_rng(0).integers(-20, 20, (90, 120, 3))
    for i, (top, left) in enumerate(corners):
        page[top : top + 90, left : left + 120] = 20 * (i + 1) + noise
    page[10:20, 10:60:3] = 0  # a title
    page[160:170, 20:100:4] = 0  # a caption
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, "JPEG", quality=74)
    cut = figure.panels(Image.open(buffer))
    assert [round(np.asarray(p).mean() / 20) for p in cut] == [1, 2, 3, 4, 5]
    assert all(abs(p.width - 120) < 6 and abs(p.height - 90) < 6 for p in cut)


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ('05 "Artworks in the first row, photographs in the first column"', 15),
        ('07 "The smaller the tiles, the larger the style loss"', 5),
        ('08 "Clamped inside the loss, the dots stay"', 3),
    ],
)
def test_pictures_with_a_few_grey_pixels_between_them_are_cut_apart(spec, count):
    _, data = figure.find(spec)
    assert len(figure.panels(Image.open(io.BytesIO(data)))) == count


def test_the_page_needs_nothing_from_outside():
    page = build.deck(SLIDES)
    assert not re.search(
        r"""(?:src|href)\s*=\s*["']?(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import""", page
    )
    assert page.count("<section") == len(SLIDES)


def test_the_loop_on_the_slide_is_the_algorithm(vgg19, p, a):
    code = (TALK / "loop.txt").read_text(encoding="utf-8")
    assert len(code.splitlines()) <= 15
    height, width = p.shape[2:]
    names = {
        "network": vgg19, "p": p, "a": a, "five": STYLE_LAYERS, "white_noise": white_noise, "torch": torch,
        "height": height, "width": width, "alpha": 1e-2, "beta": 1.0, "evaluations": 1,
        "gram": lambda F: gram_matrix(F) / F.shape[2:].numel(),
        "E": lambda G, A: ((G - A) ** 2).sum() / (4 * G.shape[-1] ** 2),
    }  # fmt: skip
    exec(code, names)  # one evaluation: the loss is that of the noise
    total = Objective(vgg19, p, a, alpha=1e-2, engine="plain")(white_noise(height, width))["total"].item()
    assert names["loss"].item() == pytest.approx(total, rel=1e-4)
    later = names | {"evaluations": 12}
    exec(code, later)
    assert later["loss"].item() < total / 2


@pytest.fixture
def desk(vgg19, monkeypatch):
    """A server of a small page, with runs of a few evaluations."""
    monkeypatch.setattr(
        present, "RUNS", {"grow": (32, {"evaluations": 3}), "long": (32, {"evaluations": 5000})}
    )
    moments = present.Moments(lambda: vgg19)
    server = present.serve("the deck", moments=moments)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    moments.close()
    server.shutdown()
    server.server_close()


def ask(port, path, method="GET", **headers):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()


def state(port, what):
    return json.loads(ask(port, f"/state?what={what}", X_Talk="1")[1])


def test_the_server_gives_the_deck_to_this_machine_only(desk):
    assert ask(desk, "/") == (200, b"the deck")
    assert ask(desk, "/?short") == (200, b"the deck")
    assert ask(desk, "/", Host="evil.example")[0] == 403
    assert ask(desk, "/", Host=f"127.0.0.1.evil.example:{desk}")[0] == 403
    assert ask(desk, "/", Origin="http://evil.example")[0] == ask(desk, "/", Origin="null")[0] == 403
    assert ask(desk, "/", Origin=f"http://127.0.0.1:{desk}")[0] == 200
    assert ask(desk, "/../../etc/passwd")[0] == 404
    assert ask(desk, "/", method="POST")[0] == 501


def test_only_the_talks_own_page_starts_a_run(desk):
    assert ask(desk, "/start?what=grow")[0] == 403
    assert ask(desk, "/start?what=grow", X_Talk="1", Sec_Fetch_Site="cross-site")[0] == 403
    assert ask(desk, "/start?what=grow", method="OPTIONS", Origin="http://evil.example")[0] == 501
    assert ask(desk, "/state?what=grow", X_Talk="1")[0] == 404  # none of them started it
    assert ask(desk, "/start?what=none", X_Talk="1")[0] == 404


def test_a_run_grows_and_ends(desk):
    assert ask(desk, "/start?what=grow", X_Talk="1", Sec_Fetch_Site="same-origin")[0] == 200
    deadline = time.monotonic() + 60
    while not (now := state(desk, "grow"))["done"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not now["trouble"]
    assert now["number"] == len(now["losses"]) == 3
    assert min(now["losses"]) < now["losses"][0]
    assert now["picture"].startswith("data:image/jpeg;base64,")


def test_a_new_run_ends_the_one_before(desk):
    ask(desk, "/start?what=long", X_Talk="1")
    while not state(desk, "long")["number"]:
        time.sleep(0.02)
    ask(desk, "/start?what=grow", X_Talk="1")
    deadline = time.monotonic() + 60
    while not state(desk, "grow")["done"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert state(desk, "long")["done"]
    assert state(desk, "long")["number"] < 5000


def test_closing_waits_for_the_run(vgg19, monkeypatch):
    monkeypatch.setattr(present, "RUNS", {"long": (32, {"evaluations": 5000})})
    moments = present.Moments(lambda: vgg19)
    moments.start("long")
    while not moments.state("long")["number"]:
        time.sleep(0.02)
    moments.close()
    assert moments.state("long")["done"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_a_signal_ends_the_server_while_a_run_goes_on(number, code, stop_button):
    command = [sys.executable, str(TALK / "present.py"), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            port = int(re.search(r":(\d+)/", process.stdout.readline())[1])
            ask(port, "/start?what=grow", X_Talk="1")
            while not state(port, "grow")["number"]:
                time.sleep(0.05)
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, errors) == (code, "")
    with pytest.raises(ConnectionError):
        ask(port, "/")
