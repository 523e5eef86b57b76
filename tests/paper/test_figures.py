"""The three figures: which panels they have, that each is made once, and what is drawn from them."""

import itertools
import os
import shutil
import signal
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.command_line import main
from helpers.images import load_image, picture_path, read_record, save_image, to_pil
from helpers.losses import PRESETS
from helpers.network import CONVOLUTION_LAYERS
from helpers.objective import Objective
from helpers.paper import panels as panels_module
from helpers.paper.figures import (
    RATIO_PER_DOUBLING,
    FigureSettings,
    figure_panels,
    make_figures,
    papers_own,
    preset_alpha,
)
from helpers.paper.panels import Panel, _pixels, _worker_options, contact_sheet, is_made, make_panels
from helpers.synthesis import Run

FIVE = ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
SMALL = {"size": 32, "evaluations": 2}
SMALL_FIGURE = FigureSettings(options=SMALL)


def quiet(_):
    pass


@pytest.fixture
def runs(monkeypatch):
    """The panels that were really run, in their order."""
    ran, original = [], panels_module.make_panel

    def make_panel(panel, p, a):
        ran.append(panel)
        return original(panel, p, a)

    monkeypatch.setattr(panels_module, "make_panel", make_panel)
    return ran


# --- which panels


@pytest.mark.parametrize(
    ("version", "contents"),
    [("arxiv", FIVE), ("cvpr", ["conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2"])],
)
def test_figure_1_has_five_growing_subsets_and_five_single_layers(version, contents):
    panels = figure_panels(1, FigureSettings(version=version, options=SMALL))
    assert [list(panel.style_layers) for panel in panels[:5]] == [FIVE[:n] for n in range(1, 6)]
    assert [panel.content_layer for panel in panels[5:]] == contents
    assert {(panel.content, panel.style) for panel in panels[:5]} == {(None, "starry_night")}
    assert {(panel.content, panel.style) for panel in panels[5:]} == {("chenonceau", None)}
    assert {panel.pooling for panel in panels} == {"average"}
    assert {panel.preset for panel in panels} == {"printed"}


def test_figure_1_with_all_layers_has_sixteen_of_each():
    panels = figure_panels(1, FigureSettings(all_layers=True, options=SMALL))
    assert [panel.style_layers for panel in panels[:16]] == [CONVOLUTION_LAYERS[:n] for n in range(1, 17)]
    assert [panel.content_layer for panel in panels[16:]] == list(CONVOLUTION_LAYERS)


@pytest.mark.parametrize(
    ("version", "ratios"),
    [
        ("arxiv", {"shipwreck": 1e-3, "vangogh_starry_night": 1e-3, "the_scream": 1e-3}),
        ("arxiv", {"femme_nue_assise": 1e-4, "composition_vii": 1e-4}),
        ("cvpr", {"shipwreck": 1e-3, "vangogh_starry_night": 8e-4, "the_scream": 5e-3}),
        ("cvpr", {"femme_nue_assise": 5e-4, "composition_vii": 5e-4}),
    ],
)
def test_figure_2_gives_each_painting_the_papers_ratio(version, ratios, tmp_path):
    styles = tuple(str(tmp_path / f"{name}.jpg") for name in ratios)
    for style in styles:
        shutil.copy(picture_path("ducks"), style)
    panels = figure_panels(2, FigureSettings(styles=styles, version=version, options=SMALL))
    assert [panel.ratio for panel in panels] == [panel.alpha for panel in panels] == list(ratios.values())
    assert {panel.content_layer for panel in panels} == {"conv4_2"}
    assert {panel.style_layers for panel in panels} == {tuple(FIVE)}


def test_figure_2_shows_the_photograph_in_every_style_of_the_series():
    panels = figure_panels(2, SMALL_FIGURE)
    assert {panel.content for panel in panels} == {"chenonceau"}
    assert {panel.style: panel.ratio for panel in panels} == {
        "citrus": 2e-2,
        "ducks": 1e-3,
        "garden_at_bougival": 1e-3,
        "night_cafe": 1e-3,
        "starry_night": 1e-3,
    }


def test_figure_3_has_a_row_for_each_subset_and_a_column_for_each_ratio():
    panels = figure_panels(3, SMALL_FIGURE)
    assert [(len(panel.style_layers), panel.alpha) for panel in panels] == [
        (n, ratio) for n in range(1, 6) for ratio in (1e-5, 1e-4, 1e-3, 1e-2)
    ]
    assert {panel.content_layer for panel in panels} == {"conv4_2"}
    assert all(list(panel.style_layers) == FIVE[: len(panel.style_layers)] for panel in panels)
    few = figure_panels(3, FigureSettings(ratios=(0.5, 0.25), options=SMALL))
    assert [panel.alpha for panel in few] == [0.5, 0.25] * 5


def test_with_the_papers_own_pictures_each_figure_takes_those_that_are_here(tmp_path, monkeypatch):
    monkeypatch.setenv("NST_CACHE", str(tmp_path))
    (tmp_path / "paper_images").mkdir()

    def copy_in(*files):
        for file in files:
            shutil.copy(picture_path("ducks"), tmp_path / "paper_images" / file)

    def styles(number):
        return papers_own(SMALL_FIGURE, number).styles

    copy_in("vangogh_starry_night.jpg")
    with pytest.raises(FileNotFoundError, match="tuebingen_neckarfront is not here yet"):
        styles(1)
    copy_in("Tuebingen_Neckarfront.jpg", "the_scream.jpg")
    assert styles(1) == styles(3) == ("vangogh_starry_night",)
    assert styles(2) == ("vangogh_starry_night", "the_scream")
    copy_in("composition_vii.jpg")
    assert styles(3) == ("composition_vii",)
    panels = figure_panels(2, papers_own(SMALL_FIGURE, 2))
    assert {panel.content for panel in panels} == {"tuebingen_neckarfront"}
    assert [panel.alpha for panel in panels] == [1e-3, 1e-3, 1e-4]


def test_the_ratio_is_converted_by_preset_and_if_asked_by_size():
    assert preset_alpha(1e-3, "printed") == 1e-3
    for name, preset in PRESETS.items():
        assert preset_alpha(1e-3, name) == pytest.approx(preset.alpha / preset.beta)
    panels = figure_panels(3, FigureSettings(options=SMALL | {"preset": "normalised"}))
    assert [panel.alpha for panel in panels[:4]] == [1e-3, 1e-2, 0.1, 1.0]
    assert preset_alpha(1e-3, "printed", size=256, as_at=512) == pytest.approx(1e-3 * RATIO_PER_DOUBLING)
    assert preset_alpha(1e-3, "printed", 128, as_at=512) == pytest.approx(
        1e-3 * RATIO_PER_DOUBLING**2, rel=1e-5
    )
    assert preset_alpha(1e-3, "normalised", size=256, as_at=512) == 0.1


def test_as_at_makes_up_for_the_size(vgg19):
    ratios, sizes = [], (64, 128, 256)
    for size in sizes:
        p, a = load_image("chenonceau", size), load_image("starry_night", size)
        run = Run(vgg19, p, a, alpha=preset_alpha(1e-3, "printed", size, as_at=512), precision="float32")
        ratios.append(next(iter(run)).gradient_ratio)
    for smaller, larger in itertools.pairwise(ratios):
        assert 0.7 < larger / smaller < 1.4


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (4, {}, "unknown figure 4"),
        (1, {"version": "iccv"}, "unknown version 'iccv'"),
        (1, {"content": "nowhere.jpg"}, "no picture 'nowhere.jpg'"),
        (1, {"styles": ("the_scream",)}, "the_scream is not here yet"),
        (2, {"ratios": (1.0, 2.0)}, "2 values of α/β"),
        (3, {"ratios": (0.0,)}, "α/β is 0.0"),
        (3, {"as_at": 0}, "as_at is 0"),
        (1, {"options": {"size": 10}}, "too small for 'conv5_2'"),
        (1, {"options": {"evaluations": 0}}, "evaluations is 0"),
        (1, {"options": {"preset": "fast"}}, "unknown preset 'fast'"),
        (1, {"options": {"pooling": "median"}}, "unknown pooling 'median'"),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(number, change, message, tmp_path, runs):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        make_figures([number], replace(SMALL_FIGURE, **change), tmp_path / "out", report=quiet)
    assert runs == []
    assert not (tmp_path / "out").exists()


# --- a panel and its key


def test_a_panel_is_known_by_the_contents_of_its_pictures_not_by_their_names(tmp_path):
    copy, other = tmp_path / "castle.jpg", tmp_path / "chenonceau.jpg"
    shutil.copy(picture_path("chenonceau"), copy)
    shutil.copy(picture_path("picos_de_europa"), other)
    panel = Panel("chenonceau", content_layer="conv1_1")
    assert Panel(str(copy), content_layer="conv1_1").key == panel.key
    assert Panel(str(other), content_layer="conv1_1").key != panel.key


@pytest.mark.parametrize(
    "change",
    [
        {"content": "red_panda"},
        {"style": "ducks"},
        {"content_layer": "conv3_1"},
        {"style_layers": ("conv1_1",)},
        {"alpha": 0.5},
        {"preset": "normalised"},
        {"pooling": "max"},
        {"size": 40},
        {"evaluations": 3},
        {"seed": 1},
        {"precision": "float32"},
    ],
)
def test_every_setting_that_changes_the_picture_changes_the_key(change):
    panel = Panel("chenonceau", "starry_night", "conv4_2", ("conv1_1", "conv2_1"), 0.1, 0.1)
    assert replace(panel, **change).key != panel.key


def test_changed_code_and_other_weights_change_the_key(monkeypatch, tmp_path, vgg19):
    panel = Panel("chenonceau", content_layer="conv1_1")
    weights = tmp_path / "weights.pt"
    state = vgg19.state_dict()
    torch.save(state | {"conv1_1.bias": state["conv1_1.bias"] + 1}, weights)
    assert Panel("chenonceau", content_layer="conv1_1", weights=str(weights)).key != panel.key
    monkeypatch.setattr(panels_module, "code_sha256", lambda: "other code")
    assert Panel("chenonceau", content_layer="conv1_1").key != panel.key


def test_every_setting_of_a_panel_is_tested_above():
    tested = {"content", "style", "content_layer", "style_layers", "alpha", "preset", "weights", "pooling"}
    tested |= {"size", "evaluations", "seed", "precision"}
    assert {field.name for field in fields(Panel)} - tested == {"ratio", "hashes"}


def test_a_panels_file_says_how_it_was_made(tmp_path):
    panel = figure_panels(3, SMALL_FIGURE)[9]
    make_panels([panel], tmp_path, report=quiet)
    record = read_record(tmp_path / panel.file)
    assert record["panel"] == panel.description()
    settings = record["settings"]
    assert settings["pooling"] == "average"
    assert settings["style_weights"] == dict.fromkeys(FIVE[:3], pytest.approx(1 / 3))
    assert (settings["alpha"], settings["beta"], settings["content_layer"]) == (1e-4, 1, "conv4_2")
    assert (settings["p"], settings["a"], settings["width"]) == ("chenonceau", "starry_night", 32)


# --- made once


def test_a_second_call_makes_nothing_and_a_changed_setting_makes_what_it_changes(tmp_path, runs):
    assert make_panels(figure_panels(1, SMALL_FIGURE), tmp_path, report=quiet) == len(runs) == 10
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    said = []
    assert make_panels(figure_panels(1, SMALL_FIGURE), tmp_path, report=said.append) == 0
    assert said == ["10 of 10 panels are there already"]
    other = FigureSettings(version="cvpr", options=SMALL)
    assert make_panels(figure_panels(1, other), tmp_path, report=quiet) == 5
    assert [panel.content_layer for panel in runs[10:]] == [f"conv{n}_2" for n in range(1, 6)]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name in before} == before


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path):
    contents = bytearray(path.read_bytes())
    contents[-100] ^= 1  # in the pixels
    path.write_bytes(contents)


def empty(path):
    path.write_bytes(b"")


def without_its_record(path):
    save_image(load_image(path), path)


def of_another_panel(path):
    record = read_record(path)
    record["panel"]["seed"] = 5
    save_image(load_image(path), path, record)


def of_other_pixels(path):
    save_image(load_image(path).flip(3), path, read_record(path))


@pytest.mark.parametrize(
    "damage", [os.remove, cut, flip_a_bit, empty, without_its_record, of_another_panel, of_other_pixels]
)
def test_a_damaged_panel_is_made_again_and_no_other(damage, tmp_path, runs):
    panels = figure_panels(1, SMALL_FIGURE)[5:8]
    make_panels(panels, tmp_path, report=quiet)
    whole = load_image(tmp_path / panels[1].file)
    damage(tmp_path / panels[1].file)
    assert not is_made(panels[1], tmp_path)
    contact_sheet(panels, tmp_path, tmp_path / "sheet.jpg")  # which grows while others are made
    del runs[:]
    assert make_panels(panels, tmp_path, report=quiet) == 1
    assert runs == [panels[1]]
    assert torch.equal(load_image(tmp_path / panels[1].file), whole)


def interrupt_at(call_number, monkeypatch):
    original, calls = Objective.__call__, []

    def call(self, x):
        calls.append(1)
        if len(calls) == call_number:
            raise KeyboardInterrupt
        return original(self, x)

    monkeypatch.setattr(Objective, "__call__", call)


def test_ctrl_c_and_a_call_again_give_the_same_figure(tmp_path, monkeypatch, capsys):
    arguments = ["figure", "1", "--size", "32", "--steps", "2", "-o"]
    assert main([*arguments, str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patch:
        interrupt_at(8, patch)  # in the middle of the fourth panel
        assert main([*arguments, str(tmp_path / "stopped")]) == 130
    assert "finished panels are kept" in capsys.readouterr().err
    stopped = tmp_path / "stopped"
    assert len(list((stopped / "panels").iterdir())) == 3
    assert not (stopped / "figure_1.png").exists()
    assert (stopped / "figure_1_contact_sheet.jpg").exists()
    assert main([*arguments, str(stopped)]) == 0
    assert "3 of 10 panels are there already" in capsys.readouterr().out
    for name in ("figure_1.png", "figure_1.pdf", "figure_1.txt", "figure_1_contact_sheet.jpg"):
        assert (stopped / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_the_time_left_is_told_when_it_can_be_known(tmp_path):
    said = []
    make_panels(
        figure_panels(1, FigureSettings(options={"size": 64, "evaluations": 9})), tmp_path, report=said.append
    )
    assert [line.split(":")[0] for line in said] == [f"{n} of 10" for n in range(1, 11)]
    assert "left" not in said[-1]


# --- on a cluster


@pytest.mark.filterwarnings("default")  # Dask's own warnings are Dask's
def test_a_killed_worker_costs_no_panel(tmp_path):
    distributed = pytest.importorskip("distributed")
    options = {"size": 48, "evaluations": 12}
    panels = figure_panels(2, FigureSettings(options=options)) + figure_panels(
        1, FigureSettings(options=options)
    )
    killed = []
    with panels_module._local_cluster(2) as cluster, distributed.Client(cluster) as client:

        def kill_a_busy_worker(_):
            if killed:
                return
            busy = [address for address, tasks in client.processing().items() if tasks]
            pid = client.run(os.getpid, workers=busy[:1])[busy[0]]
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

        made = make_panels(
            panels,
            tmp_path,
            scheduler=cluster.scheduler_address,
            report=quiet,
            after=kill_a_busy_worker,
        )
        assert killed
        assert killed[0] not in client.run(os.getpid).values()
    assert made == len(panels) == 15
    assert all(is_made(panel, tmp_path) for panel in panels)
    alone = tmp_path / "alone"
    make_panels(panels[5:7], alone, report=quiet)
    for panel in panels[5:7]:
        both = [load_image(folder / panel.file) for folder in (tmp_path, alone)]
        assert (both[0] - both[1]).abs().mean() < 0.02  # the same but for the order of sums


def test_a_worker_with_other_code_refuses(monkeypatch):
    panel = Panel("chenonceau", content_layer="conv1_1")
    monkeypatch.setattr(panels_module, "code_sha256", lambda: "other code")
    with pytest.raises(ValueError, match="has other code than this machine"):
        panels_module._on_worker(panel, None, None, None)


def test_each_worker_gets_one_gpu_where_there_are_several():
    assert [_worker_options(i, 2)["env"] for i in range(3)] == [
        {"CUDA_VISIBLE_DEVICES": "0"},
        {"CUDA_VISIBLE_DEVICES": "1"},
        {"CUDA_VISIBLE_DEVICES": "0"},
    ]
    assert _worker_options(1, 1)["env"] == _worker_options(0, 0)["env"] == {}


def test_without_dask_only_the_cluster_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    arguments = ["figure", "1", "--size", "32", "--steps", "1", "-o", str(tmp_path)]
    for more in (["--workers", "2"], ["--scheduler", "tcp://127.0.0.1:9"]):
        assert main([*arguments, *more]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: --workers and --scheduler need Dask")
        assert error.count("\n") == 1
    assert main(arguments) == 0


def test_workers_must_be_a_number_above_0(tmp_path, capsys):
    assert main(["figure", "1", "--size", "32", "--workers", "0", "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: workers is 0; it must be a whole number above 0\n"


# --- what is drawn


def coloured(panels, folder):
    """Write panels of one colour each, as if they had been made."""
    folder.mkdir(parents=True)
    colours = []
    for i, panel in enumerate(panels):
        colour = torch.tensor([(i % 3) / 2, (i // 3 % 3) / 2, (i // 9) / 3]).view(1, 3, 1, 1)
        terms = dict.fromkeys(("content", "style"), 2.0)
        image = colour.expand(1, 3, 24, 32)
        record = {"panel": panel.description(), "pixels_sha256": _pixels(to_pil(image))}
        record |= {"loss_at_start": terms, "loss_at_end": terms | {"style": 0.5}}
        save_image(image, folder / panel.file, record)
        colours.append(np.round(colour.flatten().numpy() * 255))
    return colours


def places(path, colours):
    """Return where in the figure each colour is, as (row, column) of its middle in parts of the whole."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=float)[::4, ::4]
    found = [np.argwhere(np.abs(pixels - colour).max(2) < 3) for colour in colours]
    return np.array([np.median(places, axis=0) for places in found]) / pixels.shape[:2]


def drawn(number, tmp_path, settings=SMALL_FIGURE):
    panels = figure_panels(number, settings)
    colours = coloured(panels, tmp_path / "panels")
    (path,) = make_figures([number], settings, tmp_path, report=quiet)
    return panels, path, places(path, colours)


def test_figure_1_has_styles_above_and_contents_below_in_the_papers_order(tmp_path):
    _, path, at = drawn(1, tmp_path)
    styles, contents = at[1:5], at[5:]  # the first is black, like the network
    assert (styles[:, 0] < 0.4).all()
    assert (contents[:, 0] > 0.6).all()
    assert (np.diff(styles[:, 1]) > 0.1).all()
    assert (np.diff(contents[:, 1]) > 0.1).all()
    words = path.with_suffix(".txt").read_text(encoding="utf-8")
    assert "Figure 1 of the paper" in words
    assert all(layer in words for layer in FIVE)
    for_print(path)


def test_figure_3_has_subsets_downwards_and_ratios_to_the_right(tmp_path):
    panels, path, at = drawn(3, tmp_path)
    grid = at[1:].reshape(-1, 2)
    rows = np.array([len(panel.style_layers) for panel in panels[1:]])
    columns = np.array([np.log10(panel.ratio) for panel in panels[1:]])
    assert np.corrcoef(grid[:, 0], rows)[0, 1] > 0.99
    assert np.corrcoef(grid[:, 1], columns)[0, 1] > 0.99
    assert "1e-05, 0.0001, 0.001 and 0.01" in path.with_suffix(".txt").read_text(encoding="utf-8")
    for_print(path)


def test_all_layers_stand_in_five_rows_of_blocks(tmp_path):
    settings = FigureSettings(all_layers=True, options=SMALL)
    panels = figure_panels(1, settings)
    colours = coloured(panels, tmp_path / "panels")
    (path,) = make_figures([1], settings, tmp_path, report=quiet)
    at = places(path, colours)[1:]  # the first is black, like the letters
    blocks = np.array([int(layer[4]) for layer in [*CONVOLUTION_LAYERS, *CONVOLUTION_LAYERS][1:]])
    numbers = np.array([int(layer[6]) for layer in [*CONVOLUTION_LAYERS, *CONVOLUTION_LAYERS][1:]])
    assert (at[:15, 1] < 0.5).all() and (at[15:, 1] > 0.5).all()
    assert np.corrcoef(at[:, 0], blocks)[0, 1] > 0.99
    assert np.corrcoef(at[:, 1] % 0.5, numbers)[0, 1] > 0.99
    assert "conv5_4" in path.with_suffix(".txt").read_text(encoding="utf-8")


def test_figure_2_has_the_photograph_first_and_an_artwork_in_every_corner(tmp_path):
    panels, path, at = drawn(2, tmp_path)
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=float)
    assert (np.round(at[1:] * (2, 3) - 0.5) == [(0, 2), (1, 0), (1, 1), (1, 2)]).all()  # C to F
    for (row, column), panel in zip(at[1:], panels[1:], strict=True):
        height, width = pixels.shape[:2]
        corner = pixels[int((row + 0.12) * height), int((column - 0.12) * width)]
        middle = pixels[int(row * height), int(column * width)]
        assert np.abs(corner - middle).max() > 3, panel.style
    for_print(path)


def for_print(path):
    """A figure is for print, for a projector, and for those who cannot see it."""
    words = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
    assert "original VGG19, average pooling, printed losses; 32 px, 2 evaluations, seed 0" in words
    with Image.open(path) as picture:
        assert picture.text["Description"] == words
        assert picture.width >= 2000
    pdf = path.with_suffix(".pdf").read_bytes()
    assert b"/CIDFontType2" in pdf  # letters, not their outlines
    assert b"/Type3" not in pdf


def test_the_command_makes_all_three_figures_in_one_call(tmp_path, capsys):
    coloured_panels = {p.key: p for n in (1, 2, 3) for p in figure_panels(n, SMALL_FIGURE)}
    coloured(coloured_panels.values(), tmp_path / "panels")
    assert main(["figure", "all", "--size", "32", "--steps", "2", "-o", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    # Figure 3 shares one panel with Figure 2: Starry Night, all five layers, 1e-3.
    assert "34 of 34 panels are there already" in printed
    assert {path.name for path in tmp_path.iterdir()} == {"panels"} | {
        f"figure_{n}{end}" for n in (1, 2, 3) for end in (".png", ".pdf", ".txt", "_contact_sheet.jpg")
    }
    assert main(["figure", "1", "--pictures", "paper", "--content", "ducks", "-o", str(tmp_path)]) == 2
    assert "give it or --content and --styles" in capsys.readouterr().err
