"""The talk in a real browser: every slide at three sizes, its notes, the short path, and the live moments."""

import re
import sys
import threading
from pathlib import Path

import pytest

TALK = Path(__file__).resolve().parent.parent.parent / "notebooks" / "talk"
sys.path.insert(0, str(TALK))

import build  # noqa: E402
import present  # noqa: E402

SLIDES = build.read()
MAIN = [slide for slide in SLIDES if not slide.behind]
#: The least in `make test`; the others, a minute each, with `make slow`.
SIZES = [
    pytest.param((1920, 1080), marks=pytest.mark.slow),
    (1366, 768),
    pytest.param((1024, 768), marks=pytest.mark.slow),
]

#: What is wrong with the slide that is shown: a list of sentences.
LOOK = """() => {
  const slide = Reveal.getCurrentSlide(), wrong = [];
  const wide = innerWidth, high = innerHeight, scale = Reveal.getScale();
  const boxes = "h2, h2 span, .stage, .line, .panels, .live, .side, pre";
  const parts = "h2 span, .stage img, .stage figcaption, pre, .line, button, input, .foot";
  for (const box of [slide, ...slide.querySelectorAll(boxes)]) {
    if (box.scrollHeight > box.clientHeight + 2 && box.clientHeight) wrong.push("too high: " + box.className);
    if (box.scrollWidth > box.clientWidth + 2 && box.clientWidth) wrong.push("too wide: " + box.className);
  }
  const stage = slide.querySelector(".stage").getBoundingClientRect();
  for (const part of slide.querySelectorAll(parts)) {
    if (part.hidden) continue;
    const at = part.getBoundingClientRect();
    if (at.left < -1 || at.top < -1 || at.right > wide + 1 || at.bottom > high + 1)
      wrong.push("outside: " + part.tagName + " " + part.className);
    if (part.closest(".stage") && (at.bottom > stage.bottom + 2 || at.top < stage.top - 2))
      wrong.push("over the edge of its place: " + part.tagName);
  }
  const walker = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const box = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || box.closest("aside")) continue;
    const size = parseFloat(getComputedStyle(box).fontSize) * scale * (1920 / Math.min(wide, high * 16 / 9));
    if (size < 20) wrong.push(`${size} px: ${walker.currentNode.data}`);
  }
  const pictures = [...slide.querySelectorAll("img")];
  for (const picture of pictures) {
    if (!picture.alt) wrong.push("no alt");
    if (!picture.complete || !picture.naturalWidth) wrong.push("not loaded: " + picture.alt);
  }
  const area = pictures.filter((p) => !p.hidden).reduce((sum, p) => {
    const at = p.getBoundingClientRect();
    return sum + at.width * at.height;
  }, 0);
  const drawn = slide.querySelector("pre") ? 1 : area / (1920 * 1080 * scale * scale);
  if (drawn < 0.05) wrong.push("a tiny picture: " + drawn);
  for (const language of ["en", "ko"]) {
    const notes = slide.querySelector(`aside.notes .${language}`);
    if (!notes || notes.textContent.length < 30) wrong.push("no notes: " + language);
  }
  return wrong;
}"""


@pytest.fixture(scope="session")
def deck(tmp_path_factory):
    return build.build(tmp_path_factory.mktemp("slides"), paper=False)


def open_deck(page, address):
    page.goto(address)
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    page.wait_for_function("[...document.images].every((picture) => picture.complete)")


def go_to(page, title):
    page.evaluate(
        """(title) => Reveal.slide(Reveal.getSlides().findIndex(
            (s) => s.querySelector("h2").textContent.startsWith(title)))""",
        title,
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_slide_fits(page, deck, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    open_deck(page, deck.as_uri())
    assert page.evaluate("Reveal.getTotalSlides()") == len(SLIDES)
    wrong = {}
    for i, slide in enumerate(SLIDES):
        page.evaluate(f"Reveal.slide({i})")
        assert page.evaluate("Reveal.getCurrentSlide().querySelector('h2').textContent") == slide.title
        if found := page.evaluate(LOOK):
            wrong[slide.title] = found
    assert not wrong


def test_the_look_finds_what_does_not_fit(page, deck):
    open_deck(page, deck.as_uri())
    assert not page.evaluate(LOOK)
    page.evaluate("Reveal.getCurrentSlide().querySelector('.line').textContent = 'word '.repeat(200)")
    page.evaluate("Reveal.getCurrentSlide().querySelector('figcaption').style.fontSize = '18px'")
    page.evaluate("Reveal.getCurrentSlide().querySelector('img').alt = ''")
    found = " ".join(page.evaluate(LOOK))
    assert "too high: line" in found
    assert "18 px" in found
    assert "no alt" in found


def test_the_arrow_key_walks_the_whole_talk(page, deck):
    open_deck(page, deck.as_uri())
    titles = []
    for _ in MAIN:
        titles.append(page.evaluate("Reveal.getCurrentSlide().querySelector('h2').textContent"))
        page.keyboard.press("ArrowRight")
    assert titles == [slide.title for slide in MAIN]


def test_the_short_path_has_ten_slides_and_all_answers(page, deck):
    open_deck(page, deck.as_uri())
    page.click("text=15 minutes")
    page.wait_for_function("location.search === '?short' && window.Reveal && Reveal.isReady()")
    path = [slide.title for slide in MAIN if slide.short]
    shown = page.evaluate("Reveal.getSlides().map((s) => s.querySelector('h2').textContent)")
    assert shown == path + [slide.title for slide in SLIDES if slide.behind]
    assert page.evaluate("Reveal.getCurrentSlide().querySelector('.foot').textContent") == f"1 / {len(path)}"
    assert (
        page.locator("section:not(.behind) .notes .en .next").count() == 3
    )  # the others have one of their own
    assert page.locator("section .notes .en .leap").count() == len(path) - 3
    seconds = page.evaluate(
        "Reveal.getSlides().filter((s) => !s.matches('.behind')).reduce((n, s) => n + +s.dataset.timing, 0)"
    )
    assert seconds == 900


def test_the_speaker_view_shows_notes_in_both_languages(page, deck):
    open_deck(page, deck.as_uri())
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    speaker = popup.value
    speaker.wait_for_selector("#language")
    speaker.wait_for_selector(".speaker-controls-notes .value .en")
    page.keyboard.press("ArrowRight")
    value = speaker.locator(".speaker-controls-notes .value")
    speaker.wait_for_function("document.querySelector('.value').textContent.includes('Leon Gatys')")
    assert "Say" in value.inner_text() and not re.search("[가-힣]", value.inner_text())
    speaker.keyboard.press("k")
    assert re.search("[가-힣]", value.inner_text()) and "Say" not in value.inner_text()
    speaker.click("#language")
    assert not re.search("[가-힣]", value.inner_text())
    speaker.close()


def test_all_notes_are_seen_at_once(page, deck):
    open_deck(page, deck.as_uri())
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    speaker = popup.value
    speaker.set_viewport_size({"width": 1366, "height": 768})
    speaker.wait_for_selector("#language")
    for language in ("", " ko"):
        longest = max(MAIN, key=lambda slide: sum(len(slide.fields[n + language]) for n in build.NOTES))
        for slide in (longest, MAIN[-1]):
            go_to(page, slide.title)
            speaker.wait_for_function(
                "(say) => document.querySelector('.value').textContent.includes(say)", arg=slide.fields["say"]
            )
            assert speaker.evaluate(
                "(({scrollHeight, clientHeight}) => scrollHeight <= clientHeight)"
                "(document.querySelector('#speaker-controls'))"
            ), slide.title
        speaker.keyboard.press("k")
    speaker.close()


def test_from_a_file_the_stored_result_takes_over_and_says_so(page, deck):
    open_deck(page, deck.as_uri())
    go_to(page, "Watch it grow")
    page.keyboard.press("r")
    says = page.locator(".present .says")
    page.wait_for_function("document.querySelector('.present .says').textContent.includes('after 5 eval')")
    assert "Stored result" in says.inner_text() and "No computation runs" in says.inner_text()
    page.locator(".present .at").fill("11")
    assert "after 100 evaluations" in says.inner_text()
    seen = page.locator(".present .screen img:visible")
    assert seen.count() == 1 and seen.get_attribute("data-n") == "100"


@pytest.fixture
def served(deck, monkeypatch):
    """The deck from its server, with short runs of small pictures."""
    runs = {
        "grow": (32, {"evaluations": 60}),
        "vote": (32, {"alpha": 0.0, "init": "content", "evaluations": 40}),
    }
    monkeypatch.setattr(present, "RUNS", runs)
    moments = present.Moments()
    moments.warm_up()
    server = present.serve(deck.read_text(encoding="utf-8"), moments=moments)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", moments
    moments.close()
    server.shutdown()
    server.server_close()


def test_a_picture_grows_on_the_slide(page, served):
    open_deck(page, served[0])
    go_to(page, "Watch it grow")
    before = page.locator(".present .screen img:visible").get_attribute("src")
    page.keyboard.press("r")
    page.wait_for_function(
        "document.querySelector('.present .says').textContent.includes('evaluation 60 of 60')"
    )
    assert "Live" in page.locator(".present .says").inner_text()
    assert page.locator(".present .screen img:visible").get_attribute("src") != before
    assert len(page.locator(".present polyline").get_attribute("points").split()) == 60
    assert not page.evaluate(LOOK)


def test_the_audience_votes_and_the_run_answers(page, served):
    open_deck(page, served[0])
    go_to(page, "No content loss")
    choice = page.locator(".present .choices button").nth(1)
    for _ in range(3):
        choice.click()
    choice.click(modifiers=["Shift"])
    assert choice.locator("b").inner_text() == "2"
    page.keyboard.press("r")
    page.wait_for_function(
        "document.querySelector('.present .says').textContent.includes('evaluation 40 of 40')"
    )


def test_a_run_in_trouble_gives_way_to_the_stored_result(page, served, monkeypatch):
    monkeypatch.setitem(present.RUNS, "grow", (32, {"evaluations": -1}))
    open_deck(page, served[0])
    go_to(page, "Watch it grow")
    page.keyboard.press("r")
    page.wait_for_function("document.querySelector('.present .says').textContent.includes('did not answer')")
    assert "Stored result" in page.locator(".present .says").inner_text()


def test_the_handout_prints(deck):
    page = deck.parent / "handout.html"
    page.write_text(build.handout(SLIDES[:3]), encoding="utf-8")
    assert build.print_pdf(page, deck.parent / "handout.pdf")
    pdf = (deck.parent / "handout.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 3
