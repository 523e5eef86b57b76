"""python -m helpers, from arguments to files."""

import json
import math
import subprocess
import sys

import psutil
import pytest
import torch
from PIL import Image

from helpers.command_line import main
from helpers.images import load_image, read_record
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


@pytest.mark.parametrize("command", [[], ["transfer"], ["content"], ["style"], ["figure"]])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert "chenonceau" in capsys.readouterr().out
