"""python -m helpers, from arguments to files."""

import json
import math
import subprocess
import sys

import psutil
import pytest
import torch
from PIL import Image

from helpers.arguments import layers_in, pictures_in, weighted
from helpers.command_line import main
from helpers.images import load_image, picture_path, read_record
from helpers.measures import luminance
from helpers.objective import Objective
from helpers.record import peak_memory
from helpers.weights import ORIGINAL_SHA256


def opened(path):
    with Image.open(path) as picture:
        return picture.copy()


SMALL = ["--size", "40", "--steps", "3"]


def test_transfer_writes_a_picture_and_a_record_of_how_it_was_made(tmp_path):
    out, record_file = tmp_path / "out.png", tmp_path / "out.json"
    options = ["--alpha", "0.02", "--seed", "7", "--json", str(record_file)]
    assert main(["transfer", "chenonceau", "starry_night", "-o", str(out), *SMALL, *options]) == 0
    record = json.loads(record_file.read_text())
    assert read_record(out) == record
    assert opened(out).size == (40, 30)
    settings = record["settings"]
    assert (settings["p"], settings["a"], settings["alpha"], settings["seed"]) == (
        "chenonceau.jpg",
        "starry_night.jpg",
        0.02,
        7,
    )
    assert (settings["weights"], settings["weights_hash"]) == ("original", ORIGINAL_SHA256)
    assert record["machine"]["torch"] == torch.__version__
    assert record["device"] in ("cpu", "cuda", "mps")
    assert record["evaluations"] == 3
    assert record["seconds"] > 0
    assert record["peak_memory_bytes"] > 50_000_000
    terms = {"content", "style", "total", "conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"}
    assert set(record["loss_at_start"]) == set(record["loss_at_end"]) == terms
    for loss in (record["loss_at_start"], record["loss_at_end"]):
        assert loss["total"] == pytest.approx(0.02 * loss["content"] + loss["style"])
    assert record["loss_at_end"]["total"] <= record["loss_at_start"]["total"]


def test_peak_memory_is_of_this_process_in_bytes():
    before = peak_memory(torch.device("cpu"))
    assert 0.9 * psutil.Process().memory_info().rss < before < 1e12
    # Nothing was used yet by a process that has just begun, whatever this one uses.
    ballast = torch.ones(200_000_000, dtype=torch.uint8)
    code = "import torch; from helpers.record import peak_memory; print(peak_memory(torch.device('cpu')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < peak_memory(torch.device("cpu")) - ballast.numel() / 2


def test_a_transfer_imports_nothing_that_it_does_not_use(tmp_path):
    code = (
        "import sys; from helpers.command_line import main; "
        f"main(['transfer', 'ducks', 'ducks', '-o', {str(tmp_path / 'x.png')!r}, *{SMALL}]); "
        "print([name for name in ('matplotlib', 'pooch', 'skimage', 'sympy', 'torch._dynamo') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_record_is_enough_to_make_the_picture_again(tmp_path):
    first, again = tmp_path / "a.png", tmp_path / "b.png"
    main(["style", "ducks", "--layers", "conv1_1,conv2_1", "-o", str(first), "--seed", "3", *SMALL])
    s = read_record(first)["settings"]
    layers = ",".join(s["style_weights"])
    main(
        [
            "style",
            s["a"].removesuffix(".jpg"),
            "--layers",
            layers,
            "-o",
            str(again),
            "--seed",
            str(s["seed"]),
            *SMALL,
        ]
    )
    assert torch.equal(load_image(first), load_image(again))


def test_content_uses_the_layer_and_the_preset_asked_for(tmp_path):
    out = tmp_path / "out.png"
    options = ["--layer", "conv2_1", "--preset", "normalised", "--pooling", "max"]
    assert main(["content", "red_panda", "-o", str(out), *options, *SMALL]) == 0
    settings = read_record(out)["settings"]
    assert (settings["content_layer"], settings["normalised"], settings["form"]) == ("conv2_1", True, "mean")
    assert settings["pooling"] == "max"
    assert settings["style_weights"] == {}


def test_it_runs_as_a_command(tmp_path):
    command = [sys.executable, "-m", "helpers", "style", "ducks", "-o", str(tmp_path / "x.jpg"), *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "3 evaluations" in done.stdout
    assert done.stderr == ""  # no progress bar where nobody watches
    assert opened(tmp_path / "x.jpg").size == (40, 27)


def test_an_error_of_the_command_is_one_line_and_exit_code_2(tmp_path):
    command = [sys.executable, "-m", "helpers", "content", "nowhere.jpg", "-o", str(tmp_path / "x.png")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: no picture 'nowhere.jpg'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["content", "nowhere.jpg"], "no picture 'nowhere.jpg'"),
        (["content", "ducks", "--layer", "conv4_9"], "VGG19 has conv4_1 to conv4_4"),
        (["content", "ducks", "--size", "0"], "size is 0"),
        (["content", "ducks", "--size", "7"], "too small for 'conv4_2'"),
        (["content", "ducks", "--steps", "0"], "evaluations is 0"),
        (["content", "ducks", "--weights", "nowhere.pth"], "no weights at 'nowhere.pth'"),
        (["style", "ducks", "--layers", "conv1_1,relu2"], "unknown layer 'relu2'"),
        (["transfer", "ducks", "ducks", "--alpha", "-1"], "alpha is -1"),
        (["transfer", "ducks", "ducks", "--alpha", "0", "--beta", "0"], "nothing would count"),
        (["style", "ducks", "--layers", "conv1_1,conv1_1"], "'conv1_1' is given 2 times"),
        (["style", "ducks", "--layers", ""], "unknown layer ''"),
        (["content", "ducks", "--resume"], "resume without a checkpoint"),
        (["content", "ducks", "--checkpoint", "no/such/run.pt"], "is no folder"),
        (["content", "ducks", "-o", "no/such/folder/x.png"], "is no folder"),
        (["content", "ducks", "-o", "x.bmp"], "must end in"),
        (["content", "ducks", "--json", "no/such/x.json"], "its folder is missing"),
    ],
)
def test_bad_input_is_one_line_before_anything_runs(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Objective, "__call__", lambda *_: pytest.fail("the run had begun"))
    output = [] if "-o" in arguments else ["-o", str(tmp_path / "x.png")]
    assert main([*arguments, *output]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_taken_up_again_and_ends_as_if_it_had_not_been_stopped(tmp_path, monkeypatch):
    command = ["content", "ducks", "--size", "40", "--steps", "9", "--precision", "float32"]
    assert main([*command, "-o", str(tmp_path / "whole.png")]) == 0
    options = ["--checkpoint", str(tmp_path / "run.pt"), "--every", "0", "-o", str(tmp_path / "parts.png")]
    with monkeypatch.context() as patch:
        original, calls = Objective.__call__, []
        patch.setattr(
            Objective, "__call__", lambda self, x: calls.append(1) or failing(original, self, x, calls)
        )
        with pytest.raises(MemoryError):
            main([*command, *options])
    assert not (tmp_path / "parts.png").exists()
    assert main([*command, *options]) == 2  # refuses to write over the run
    assert main([*command, *options, "--resume"]) == 0
    assert torch.equal(load_image(tmp_path / "whole.png"), load_image(tmp_path / "parts.png"))


def failing(original, objective, x, calls):
    if len(calls) == 6:
        raise MemoryError
    return original(objective, x)


def test_the_record_is_json_that_every_program_reads(tmp_path):
    out, record = tmp_path / "x.png", tmp_path / "x.json"
    options = ["-o", str(out), "--json", str(record), "--beta", "0"]
    assert main(["transfer", "ducks", "ducks", *options, *SMALL]) == 0
    strict = json.loads(record.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert strict["gradient_ratios"] == [[1, None]]  # style has no gradient: the ratio is infinite


def test_a_run_that_diverges_says_so_and_keeps_its_best_picture(tmp_path, monkeypatch, capsys):
    original, calls = Objective.__call__, []

    def call(self, x):
        calls.append(1)
        return {k: v * (math.nan if len(calls) == 3 else 1) for k, v in original(self, x).items()}

    monkeypatch.setattr(Objective, "__call__", call)
    out = tmp_path / "x.png"
    assert main(["content", "ducks", "-o", str(out), "--size", "40", "--steps", "9"]) == 1
    assert read_record(out)["stopped"] == "diverged"
    assert "The loss became nan at evaluation 3" in capsys.readouterr().out


def test_a_loss_that_is_infinite_is_an_error_and_no_picture(tmp_path, capsys):
    assert (
        main(["transfer", "ducks", "ducks", "--alpha", "1e300", "-o", str(tmp_path / "x.png"), *SMALL]) == 2
    )
    assert "error: the loss of the start is inf, with alpha 1e+300" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["content", "ducks", "--size", "big"], "--size: 'big' is neither a number of pixels nor 'own'"),
        (["figure", "2", "--ratios", "1e-3,x"], "--ratios: '1e-3,x' must be numbers with commas between"),
        (["style", "ducks", "--layers", "conv1_1:1,conv1_1:2"], "--layers: 'conv1_1' is given 2 times"),
    ],
)
def test_an_argument_that_cannot_be_read_is_named_with_what_is_allowed(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "-o", "x.png"])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["transfer"], ["content"], ["style"], ["figure"]])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert "chenonceau" in capsys.readouterr().out


# Controls


@pytest.fixture
def files(tmp_path):
    """A mask, white on the left; a photograph with a transparent half; and names that look like weights."""
    mask = Image.new("L", (30, 20))
    mask.paste(255, (0, 0, 15, 20))
    mask.save(tmp_path / "left.png")
    photograph = Image.radial_gradient("L").convert("RGBA").resize((40, 30))
    photograph.putalpha(mask.resize((40, 30)))
    photograph.save(tmp_path / "cut out.png")
    opened(picture_path("ducks")).resize((30, 20)).save(tmp_path / "ducks, again:0.5", "PNG")
    return tmp_path


def made(tmp_path, *arguments, steps=2):
    out = tmp_path / "out.png"
    assert main([*arguments, "-o", str(out), "--size", "40", "--steps", str(steps)]) == 0
    return load_image(out), read_record(out)["settings"]


def test_colours_kept_are_those_of_the_photograph_and_matched_ones_near(tmp_path):
    p = load_image("red_panda", 40)
    plain, kept, matched = (
        made(tmp_path, "transfer", "red_panda", "starry_night", *options, steps=8)
        for options in ((), ("--colours", "keep"), ("--colours", "match"))
    )
    assert (kept[1]["colours"], "colours" in plain[1]) == ("keep", False)
    of_p = p.mean((2, 3))
    far = [(image.mean((2, 3)) - of_p).abs().max().item() for image, _ in (plain, kept, matched)]
    assert far[2] < 0.6 * far[0]
    colour = [image - image.new_tensor(luminance(image)) for image in (kept[0], p)]
    assert (colour[0] - colour[1]).abs().quantile(
        0.9
    ) < 2 / 255  # but for the few that do not exist so bright


def test_two_artworks_with_weights_and_a_mask_between_them(files):
    arguments = ("transfer", "chenonceau", f"starry_night:3,{files / 'ducks, again:0.5'}:1.5")
    _, settings = made(
        files, *arguments, "--mask", str(files / "left.png"), "--tv", "5", "--style-scale", "0.9"
    )
    assert settings["a"] == ["starry_night.jpg", "ducks, again:0.5"]
    assert settings["artworks"] == [
        {"weight": 3.0, "where": True, "of": False},
        {"weight": 1.5, "where": True, "of": False},
    ]
    assert (settings["mask"], settings["tau"], settings["style_scale"]) == ("left.png", 5, 0.9)


def test_a_scale_of_one_and_a_weight_alone_change_nothing(tmp_path):
    plain, _ = made(tmp_path, "transfer", "chenonceau", "ducks")
    for options in (("ducks:0.3", "--style-scale", "1"), ("ducks", "--tv", "0", "--optimiser", "lbfgs")):
        same, _ = made(tmp_path, "transfer", "chenonceau", *options)
        assert torch.equal(plain, same)


def test_a_smaller_artwork_is_another_style(tmp_path):
    plain, _ = made(tmp_path, "style", "ducks")
    small, settings = made(tmp_path, "style", "ducks", "--style-scale", "0.6")
    assert small.shape[2:] != plain.shape[2:] and settings["style_scale"] == 0.6


def test_transparent_photographs_keep_their_transparency(files):
    made(files, "transfer", str(files / "cut out.png"), "ducks")
    alpha = opened(files / "out.png").getchannel("A")
    assert alpha.size == (40, 30) and alpha.getpixel((3, 15)) == 255 and alpha.getpixel((36, 15)) == 0
    jpeg = files / "out.jpg"
    assert main(["transfer", str(files / "cut out.png"), "ducks", "-o", str(jpeg), *SMALL]) == 0
    assert opened(jpeg).mode == "RGB"
    made(files, "transfer", "chenonceau", "ducks")
    assert opened(files / "out.png").mode == "RGB"


def test_a_run_starts_from_a_picture_of_any_size(files):
    small = files / "small.png"
    assert main(["content", "chenonceau", "-o", str(small), "--size", "32", "--steps", "30"]) == 0
    options = ("content", "chenonceau")
    far, near = (made(files, *options, *start)[1] for start in ((), ("--init", str(small))))
    assert near["start"] == "small.png" and near["init"] == "picture" and far["init"] == "noise"
    losses = []
    for start in ("noise", str(small)):
        assert (
            main([*options, "-o", str(files / "o.png"), "--size", "40", "--steps", "1", "--init", start]) == 0
        )
        losses.append(read_record(files / "o.png")["loss_at_start"]["content"])
    assert losses[1] < 0.5 * losses[0]


def test_a_file_of_its_own_size_comes_back_so_in_tiles_too(files):
    photograph = files / "photograph.png"
    opened(picture_path("chenonceau")).resize((150, 99)).save(photograph)
    out, options = files / "out.png", ("--tiles", "64", "--size", "own", "--steps", "1")
    assert main(["transfer", str(photograph), "ducks", "-o", str(out), *options]) == 0
    assert opened(out).size == (150, 99)
    assert read_record(out)["settings"]["tile"] == 64


@pytest.mark.parametrize(
    "options, message",
    [
        (("--style-scale", "0"), "--style-scale is 0.0; it must be a positive number"),
        (("--style-scale", "1000"), "makes the artwork 40000 px"),
        (("--mask", "ducks,ducks"), "--mask names 2 masks for 1 artworks"),
        (("--style-mask", "ducks,ducks,ducks"), "--style-mask names 3 masks"),
        (("--mask", "nowhere.png"), "no picture 'nowhere.png'"),
        (("--init", "nowhere.png"), "no picture 'nowhere.png'"),
        (("--tv", "-1"), "tau is -1.0"),
        (("--tiles", "10"), "tile is 10"),
        (("--learning-rate", "0"), "learning_rate is 0.0"),
        (("--layers", "conv1_1:0.5,conv9_9:1"), "conv9_9"),
    ],
)
def test_nonsense_in_a_control_is_one_line(options, message, tmp_path, capsys):
    out = tmp_path / "out.png"
    assert main(["transfer", "chenonceau", "ducks", "-o", str(out), *SMALL, *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not out.exists()


def test_a_mask_or_a_start_is_not_overwritten(files, capsys):
    for option in ("--mask", "--style-mask", "--init"):
        arguments = ["transfer", "chenonceau", "ducks", "-o", str(files / "left.png"), *SMALL]
        assert main([*arguments, option, str(files / "left.png")]) == 2
        assert f"is the file of {option}" in capsys.readouterr().err


def test_names_weights_and_layers_are_told_apart(files):
    own = str(files / "ducks, again:0.5")
    assert pictures_in(f"a.jpg:0.7,{own},b") == ("a.jpg:0.7", own, "b")
    assert weighted("a.jpg:0.7") == ("a.jpg", 0.7)
    assert weighted(own) == (own, 1.0)
    assert weighted(f"{own}:2") == (own, 2.0)
    assert weighted("C:/pictures/a.jpg") == ("C:/pictures/a.jpg", 1.0)
    assert layers_in("conv1_1,conv2_1") == ["conv1_1", "conv2_1"]
    assert layers_in("conv1_1:0.5,conv2_1") == {"conv1_1": 0.5, "conv2_1": 1.0}
