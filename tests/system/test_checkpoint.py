"""A run in a file: taken up again it ends as if it had never been stopped, and nothing else is taken up."""

import itertools
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers import record, synthesis
from helpers.network import VGG19
from helpers.optimisers import OPTIMISERS
from helpers.synthesis import Run
from helpers.system import checkpoint as module

SETTINGS = {"alpha": 1e-2, "precision": "float32", "evaluations": 30, "content_layer": "conv3_1"}


def new_run(network, p, a, **settings):
    return Run(network, p, a, **{**SETTINGS, **settings})


@pytest.fixture(scope="module")
def whole(vgg19, p, a):
    """The results of runs that were never stopped."""
    return {o: new_run(vgg19, p, a, optimiser=o).to_the_end(progress=False) for o in OPTIMISERS}


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("n", random.Random(7).sample(range(1, 30), 5))
def test_a_run_taken_up_again_ends_with_the_same_picture_bit_for_bit(
    n, optimiser, whole, vgg19, p, a, tmp_path
):
    file = tmp_path / "run.pt"
    first = new_run(vgg19, p, a, optimiser=optimiser, checkpoint=file, every=1e9)
    list(itertools.islice(first, n))
    first.save()
    again = new_run(vgg19, p, a, optimiser=optimiser, checkpoint=file, resume=True)
    assert again.result.evaluations == n
    result = again.to_the_end(progress=False)
    assert torch.equal(result.image, whole[optimiser].image)
    assert result.history == whole[optimiser].history
    assert result.gradient_ratios == whole[optimiser].gradient_ratios
    assert (result.best, result.stopped) == (whole[optimiser].best, "finished")


IN_A_PROCESS_OF_ITS_OWN = """
import sys, torch
from helpers.images import load_image
from helpers.network import VGG19
from helpers.synthesis import Run
p, a = load_image("chenonceau", 96), load_image("starry_night", 96)
file, out, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
settings = {"alpha": 1e-2, "precision": "float32", "evaluations": 30, "checkpoint": file, "every": 1e9}
run = Run(VGG19(), p, a, **settings, resume=first > 0)
assert run.result.evaluations == first
for now in run:
    if now.number == last:
        run.save()
        break
torch.save(run.result.image, out)
"""


def test_the_same_in_processes_of_their_own(tmp_path):
    def part(name, first, last):
        command = [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN, str(tmp_path / f"{name}.pt")]
        subprocess.run([*command, str(tmp_path / f"{name}.x"), str(first), str(last)], check=True)
        return torch.load(tmp_path / f"{name}.x", weights_only=True)

    part("parts", 0, 11)
    part("parts", 11, 19)
    assert torch.equal(part("parts", 19, 31), part("whole", 0, 31))


def test_it_is_saved_by_itself_every_so_many_seconds(vgg19, p, a, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(
        module.Checkpoint, "save", lambda self, state: saved.append(state["result"]["stopped"])
    )
    monkeypatch.setattr(module.time, "monotonic", lambda: 0.0)
    run = new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt", every=5, evaluations=8)
    times = iter([1, 2, 6, 7, 8, 9, 9, 9])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times))
    run.to_the_end(progress=False)
    assert saved == [""] * 6 + ["finished"]  # nobody moved saved_at on


def test_the_best_picture_is_still_the_best_after_a_worse_evaluation(whole, vgg19, p, a, tmp_path):
    totals = whole["lbfgs"].history["total"]
    n = next(i for i in range(1, len(totals)) if totals[i] > min(totals[:i]))  # the next one is worse
    first = new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt", every=1e9)
    list(itertools.islice(first, n))
    first.save()
    again = new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt", resume=True)
    now = next(iter(again))
    assert now.losses["total"] == totals[n]
    assert again.result.best == first.result.best < n
    assert torch.equal(now.image, first.result.image)


def test_a_change_on_the_way_is_taken_up_too(vgg19, p, a, tmp_path, monkeypatch):
    # Coarse structures move first after the change, too, and for so long that the cut lies within.
    monkeypatch.setattr(synthesis, "COARSE_EVALUATIONS", 7)

    def changed(run, until=99):
        for now in run:
            if now.number == 4:
                run.change(alpha=0.5, a=a.flip(2), style_layers=["conv1_1"])
            if now.number == until:
                run.save()
                break
        return run.result

    expected = changed(new_run(vgg19, p, a))
    changed(new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt", every=1e9), until=9)
    again = new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt", resume=True).to_the_end(progress=False)
    assert again.changes == expected.changes
    assert torch.equal(again.image, expected.image)


def test_a_run_in_bfloat16_is_taken_up_before_and_after_it_went_over_to_float32(
    vgg19, p, a, tmp_path, monkeypatch
):
    from helpers.engine.choice import Fastest

    monkeypatch.setattr(Fastest, "bfloat16_gain", 2)
    expected = new_run(vgg19, p, a, precision="bfloat16").to_the_end(progress=False)
    for n in (13, 26):
        file = tmp_path / f"{n}.pt"
        run = new_run(vgg19, p, a, precision="bfloat16", checkpoint=file, every=1e9)
        list(itertools.islice(run, n))
        run.save()
        again = new_run(vgg19, p, a, precision="bfloat16", checkpoint=file, resume=True)
        assert again.objective.way.precision == ("bfloat16" if n == 13 else "float32")
        assert torch.equal(again.to_the_end(progress=False).image, expected.image)


def test_a_finished_run_is_there_at_once_and_goes_on_if_more_is_asked(vgg19, p, a, whole, tmp_path):
    file = tmp_path / "run.pt"
    new_run(vgg19, p, a, evaluations=20, checkpoint=file).to_the_end(progress=False)
    again = new_run(vgg19, p, a, evaluations=20, checkpoint=file, resume=True)
    assert list(again) == []
    assert again.result.stopped == "finished"
    more = new_run(vgg19, p, a, checkpoint=file, resume=True).to_the_end(progress=False)
    assert torch.equal(more.image, whole["lbfgs"].image)
    assert more.settings["evaluations"] == 30
    new_run(vgg19, p, a, evaluations=3, checkpoint=file)  # a run that is over may be written over


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 0.5}, "alpha is 0.01 there and 0.5 here"),
        ({"seed": 3}, "seed is 0 there and 3 here; picture start is another"),
        ({"style_layers": ["conv1_1"]}, "style_weights is"),
        ({"optimiser": "adam"}, "optimiser is 'lbfgs' there and 'adam' here"),
        ({"precision": "auto"}, "asked precision is 'float32' there"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(change, message, vgg19, p, a, tmp_path):
    file = saved(new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt"))
    with pytest.raises(ValueError, match=re.escape(message)):
        new_run(vgg19, p, a, **change, checkpoint=file, resume=True)


def saved(run):
    list(itertools.islice(run, 2))
    run.save()
    return run.checkpoint.path


def test_a_checkpoint_of_other_pictures_network_or_code_is_refused(
    vgg19, vgg19_max, p, a, tmp_path, monkeypatch
):
    file = saved(new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt"))

    def resumed(network=vgg19, p=p, a=a):
        return new_run(network, p, a, checkpoint=file, resume=True)

    resumed()
    nearly = p.clone()
    nearly[0, 0, 0, 0] += 1e-3
    with pytest.raises(ValueError, match=r"of another run: picture p is another$"):
        resumed(p=nearly)
    with pytest.raises(ValueError, match="picture a is another"):
        resumed(a=a.flip(3))
    with pytest.raises(ValueError, match="pooling is 'average' there and 'max' here"):
        resumed(network=vgg19_max)
    torch.save(vgg19.state_dict() | {"conv1_1.bias": vgg19.conv1_1.bias + 1}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="weights_hash is another"):
        resumed(network=VGG19(tmp_path / "other.pth"))
    monkeypatch.setattr(module, "code_sha256", lambda: "other code")
    with pytest.raises(ValueError, match="code is another"):
        resumed()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 nor this"])
def test_a_file_that_is_no_checkpoint_is_refused_and_never_written_over(content, vgg19, p, a, tmp_path):
    file = tmp_path / "holiday.jpg"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="no readable checkpoint"):
        new_run(vgg19, p, a, checkpoint=file, resume=True)
    with pytest.raises(FileExistsError, match="is there already"):
        new_run(vgg19, p, a, checkpoint=file)
    assert file.read_bytes() == content


def test_code_in_a_file_is_not_run(vgg19, p, a, tmp_path):
    class Harm:
        def __reduce__(self):
            return Path.touch, (tmp_path / "harm",)

    torch.save({"format": module.FORMAT, "identity": {}, "state": Harm()}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="no readable checkpoint"):
        new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt", resume=True)
    assert not (tmp_path / "harm").exists()


def test_a_cut_checkpoint_is_refused(vgg19, p, a, tmp_path):
    file = saved(new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt"))
    content = file.read_bytes()
    for part in (10, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:part])
        with pytest.raises(ValueError, match="no readable checkpoint"):
            new_run(vgg19, p, a, checkpoint=file, resume=True)


def test_places_that_cannot_be_are_said_before_anything_is_computed(vgg19, p, a, tmp_path, monkeypatch):
    monkeypatch.setattr(VGG19, "preprocess", lambda *_: pytest.fail("the run had begun"))
    with pytest.raises(FileNotFoundError, match="is no folder"):
        new_run(vgg19, p, a, checkpoint=tmp_path / "no" / "run.pt")
    with pytest.raises(FileNotFoundError, match="begin the run without resuming"):
        new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt", resume=True)


def test_an_unfinished_run_is_not_written_over(vgg19, p, a, tmp_path):
    file = saved(new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt"))
    with pytest.raises(FileExistsError, match="resume that run, or remove the file first"):
        new_run(vgg19, p, a, checkpoint=file)


def test_a_save_that_fails_leaves_the_old_checkpoint(vgg19, p, a, tmp_path, monkeypatch):
    run = new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt")
    file = saved(run)
    before = file.read_bytes()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(module.torch, "save", full)
    with pytest.raises(OSError, match="no space"):
        run.save()
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]


@pytest.mark.parametrize("error", [OSError("no space left"), RuntimeError("file write failed")])
def test_a_full_disk_costs_the_checkpoint_and_not_the_run(error, vgg19, p, a, whole, tmp_path, monkeypatch):
    def full(*_):
        raise error

    monkeypatch.setattr(module.torch, "save", full)
    run = new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt", every=0)
    result = run.to_the_end(progress=False)
    assert torch.equal(result.image, whole["lbfgs"].image)
    assert "The checkpoint could not be written" in str(result)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError):  # who asks for it is told
        run.save()


@pytest.mark.parametrize(("saving", "resuming"), [("fast", "plain"), ("plain", "fast")])
def test_a_checkpoint_of_the_other_engine_is_refused(saving, resuming, vgg19, p, a, tmp_path):
    file = saved(new_run(vgg19, p, a, engine=saving, checkpoint=tmp_path / "run.pt"))
    with pytest.raises(ValueError, match=f"engine is '{saving}' there and '{resuming}' here"):
        new_run(vgg19, p, a, engine=resuming, checkpoint=file, resume=True)


def test_a_checkpoint_that_lacks_a_part_is_refused(vgg19, p, a, tmp_path):
    torch.save({"format": module.FORMAT, "state": {}}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="no checkpoint of this program"):
        new_run(vgg19, p, a, checkpoint=tmp_path / "run.pt", resume=True)


def test_every_module_that_a_run_imports_decides_about_pictures():
    folder, found, queue = Path(record.__file__).parent, set(), ["synthesis"]
    while queue:
        name = queue.pop()
        found.add(name)
        text = (folder / f"{name}.py").read_text(encoding="utf-8")
        queue += set(re.findall(r"^from helpers\.(\w+) import", text, re.M)) - found - {"engine"}
    assert found == set(module.DECIDING_MODULES)
    assert Path(synthesis.__file__).name == "synthesis.py"
