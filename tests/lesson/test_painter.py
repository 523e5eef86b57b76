import json
from itertools import islice
from pathlib import Path

import pytest
import torch

from helpers.images import load_image
from helpers.objective import Objective
from helpers.painter import LAYERS, Painter, load_painter, random_crops, train

STUDIES = Path(__file__).resolve().parent.parent.parent / "notebooks" / "studies"
STORED = STUDIES / "painter_starry_night.pt"


@pytest.fixture
def painter():
    torch.manual_seed(0)
    painter = Painter()
    torch.nn.init.normal_(painter.paint.weight, std=0.05)  # a new one would leave the photograph as it is
    return painter


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (30, 45), (64, 50)])
def test_a_painting_has_the_size_of_its_photograph_and_is_a_paler_photograph_at_first(painter, size):
    p = torch.rand(2, 3, *size)
    x = painter(p)
    assert x.shape == p.shape and x.min() >= 0 and x.max() <= 1
    assert torch.allclose(Painter()(p), torch.sigmoid(2 * (p - 0.5)))


def test_it_has_about_a_hundred_thousand_weights_and_a_gradient_reaches_each(painter):
    assert 9e4 < sum(w.numel() for w in painter.parameters()) < 1.2e5
    x = painter(torch.rand(1, 3, 32, 32))
    (x * torch.rand_like(x)).sum().backward()
    assert not [name for name, w in painter.named_parameters() if not w.grad.any()]


def test_a_painting_does_not_depend_on_the_others_of_its_batch(painter):
    p = torch.rand(2, 3, 24, 24)
    p[1] *= 10
    assert torch.allclose(painter(p)[:1], painter(p[:1]), atol=1e-5)


def test_what_is_added_to_a_paler_photograph_is_the_same(painter):
    p = torch.rand(1, 3, 32, 32)
    added = [painter(x).logit() - 2 * (x - 0.5) for x in (p, 0.3 + 0.4 * p)]
    assert torch.allclose(*added, atol=1e-2) and added[0].std() > 0.1


def test_crops_have_one_size_lie_inside_and_come_again_with_the_same_seed():
    pictures = [torch.full((1, 3, 40, 60), value) for value in (0.2, 0.7)]
    first, again, other = (list(islice(random_crops(pictures, 32, 2, seed), 6)) for seed in (0, 0, 1))
    assert all(crop.shape == (2, 3, 32, 32) for crop in first)
    assert torch.equal(torch.cat(first), torch.cat(again)) and not torch.equal(
        torch.cat(first), torch.cat(other)
    )
    assert {round(value, 3) for value in torch.cat(first).mean((1, 2, 3)).tolist()} == {0.2, 0.7}


def test_training_lowers_the_loss_and_leaves_the_network_alone(painter, vgg19, a, p):
    before = vgg19.fingerprint()
    crops = random_crops([p], 32, 1)
    losses = [now["total"] for now in train(painter, vgg19, a, crops, steps=40)]
    assert len(losses) == 40
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    assert vgg19.fingerprint() == before


def test_its_loss_is_that_of_the_objective(painter, vgg19, a, p):
    p = p[..., :32, :32]
    objective = Objective(vgg19, p, a, style_layers=LAYERS, form="mean", alpha=1e4)
    with torch.no_grad():
        terms = objective(painter(p))
    now = next(train(painter, vgg19, a, iter([p]), steps=1, alpha=1e4))
    for name, value in now.items():
        assert value == pytest.approx(terms[name].item(), rel=0.03)  # one in bfloat16 where that is faster


def test_the_stored_painter_paints_a_photograph_that_it_never_saw(vgg19):
    record = json.loads((STUDIES / "painter.json").read_text(encoding="utf-8"))
    settings = record["settings"]
    assert STORED.stat().st_size < 1_000_000
    assert settings["held out"] not in settings["trained on"] and record["done"] == settings["steps"]
    painter, p = load_painter(STORED), load_image(settings["held out"], 128)
    a = load_image(settings["artwork"], settings["size of the artwork"])
    objective = Objective(vgg19, p, a, style_layers=LAYERS, form="mean", alpha=settings["alpha"])
    with torch.no_grad():
        assert objective(painter(p))["total"] < 0.5 * objective(p)["total"]
