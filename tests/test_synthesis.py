"""The loop: what it returns, what it leaves alone, and how it ends."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import quick, synthesis
from helpers.images import from_pil, load_image, to_pil
from helpers.network import CONVOLUTION_LAYERS, STYLE_LAYERS, VGG19
from helpers.synthesis import OPTIMISERS, Objective, synthesise, white_noise

FEW = {"evaluations": 6, "progress": False}
SHALLOW = {"content_layer": "conv2_1", "style_layers": ["conv1_1", "conv2_1"]}


def share_left(result):
    totals = result.history["total"]
    return min(totals) / totals[0]


QUICKER = {"conv1_1", "conv2_1", "conv3_1", "conv4_2", "conv5_1"}


@pytest.mark.parametrize(
    "layer",
    [name if name in QUICKER else pytest.param(name, marks=pytest.mark.slow) for name in CONVOLUTION_LAYERS],
)
def test_content_of_every_layer_converges_at_224_px(layer, vgg19, monkeypatch):
    run = run_to_two_percent(vgg19, monkeypatch, p=load_image("chenonceau", 224), content_layer=layer)
    assert share_left(run) < 0.02


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_style_of_every_growing_subset_converges_at_224_px(count, vgg19, monkeypatch):
    a = load_image("starry_night", 224)
    run = run_to_two_percent(vgg19, monkeypatch, a=a, style_layers=STYLE_LAYERS[:count])
    assert share_left(run) < 0.02


def run_to_two_percent(network, monkeypatch, **arguments):
    """Press the stop button as soon as the loss is below 2 % of the first, to save the rest of the run."""
    original, totals = Objective.__call__, []

    def call(self, x):
        if totals and min(totals) < 0.02 * totals[0]:
            raise KeyboardInterrupt
        terms = original(self, x)
        totals.append(terms["total"].item())
        return terms

    monkeypatch.setattr(Objective, "__call__", call)
    return synthesise(network, **arguments, evaluations=200, progress=False)


def test_a_transfer_lowers_both_losses_far_below_those_of_noise(vgg19):
    p, a = load_image("chenonceau", 64), load_image("starry_night", 64)
    run = synthesise(vgg19, p, a, alpha=3e-2, evaluations=60, progress=False)
    content, style = run.history["content"], run.history["style"]
    assert content[run.best] < content[0] / 2
    assert style[run.best] < style[0] / 10


@pytest.mark.parametrize(("form", "normalised"), [("printed", False), ("mean", True)])
def test_the_objective_is_the_papers_equations_written_out(form, normalised, request, p):
    network = request.getfixturevalue("vgg19_normalised" if normalised else "vgg19")
    a, x = load_image("ducks", 40), white_noise(*p.shape[2:])
    weights = {"conv1_1": 0.5, "conv4_1": 2.0}

    def flat(image, layer):
        return network(image, layer)[layer].flatten(2)[0].double().numpy()

    F, P = flat(x, "conv2_2"), flat(p, "conv2_2")
    content, style = ((F - P) ** 2).sum() / 2, 0
    for name, w in weights.items():
        F_l, A_l = flat(x, name), flat(a, name)
        (N, M), M_a = F_l.shape, A_l.shape[1]
        G, A = (np.einsum("ik,jk->ij", features, features) for features in (F_l, A_l))
        style += w * ((G - A * M / M_a) ** 2).sum() / (4 * N**2 * M**2)
    if form == "mean":
        content, style = content * 2 / F.size, style * 4
    terms = Objective(network, p, a, "conv2_2", weights, form, alpha=0.3, beta=7)(x)
    assert terms["content"].item() == pytest.approx(content, rel=1e-4)
    assert terms["style"].item() == pytest.approx(style, rel=1e-4)
    assert terms["total"].item() == pytest.approx(0.3 * content + 7 * style, rel=1e-4)


def test_the_artwork_may_have_another_size_than_the_photograph(vgg19, p):
    run = synthesise(vgg19, p, load_image("ducks", 64), **SHALLOW, evaluations=20, progress=False)
    assert run.image.shape == p.shape
    assert share_left(run) < 0.3


def test_a_start_from_the_artwork_is_the_whole_artwork_resized(vgg19, p):
    a = load_image("ducks", 64)
    run = synthesise(vgg19, p, a, init="style", frames=[0], evaluations=1, progress=False, **SHALLOW)
    small = to_pil(a).resize((p.shape[3], p.shape[2]), Image.Resampling.BILINEAR)
    assert (run.frames[0] - from_pil(small)).abs().max() < 2 / 255


def test_a_caption_names_network_pooling_and_losses(vgg19_normalised, a):
    run = synthesise(
        vgg19_normalised, a=a, form="mean", style_layers="conv1_1", evaluations=1, progress=False
    )
    assert run.caption == "original VGG19, normalised, average pooling, mean losses"


def test_the_returned_picture_is_the_best_one(vgg19, p, a):
    run = synthesise(vgg19, p, a, **SHALLOW, evaluations=25, progress=False)
    again = Objective(vgg19, p, a, **SHALLOW)(run.image)["total"].item()
    # The picture is clipped to [0, 1] at the end, so its loss is not quite the best one.
    assert again == pytest.approx(min(run.history["total"]), rel=0.3)
    assert again < run.history["total"][0] / 5
    assert 0 <= run.image.min() <= run.image.max() <= 1


@pytest.fixture
def passes(monkeypatch):
    """A list that grows by one with every forward pass."""
    original, passes = VGG19.preprocess, []
    monkeypatch.setattr(VGG19, "preprocess", lambda *a: (passes.append(1), original(*a))[1])
    return passes


def test_evaluations_are_counted_exactly(passes, vgg19, p, a):
    run = synthesise(vgg19, p, a, **SHALLOW, evaluations=13, progress=False)
    assert run.evaluations == 13
    assert len(passes) == 13 + 2  # and one pass each for p and a
    assert all(len(values) == 13 for values in run.history.values())


def test_the_network_is_the_same_after_a_run(vgg19, p, a):
    before = vgg19.fingerprint()
    synthesise(vgg19, p, a, **FEW)
    assert vgg19.fingerprint() == before


def test_the_same_seed_gives_the_same_picture_and_another_seed_another(vgg19, p, a):
    one, two, other = (synthesise(vgg19, p, a, seed=s, **SHALLOW, **FEW).image for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert (one - other).abs().mean() > 0.01


def test_total_is_equation_7_of_the_recorded_terms(vgg19, p, a):
    weights = {"conv1_1": 0.3, "conv3_1": 2.0}
    run = synthesise(vgg19, p, a, style_layers=weights, alpha=0.5, beta=3, **FEW)
    for i in range(run.evaluations):
        terms = {name: values[i] for name, values in run.history.items()}
        assert terms["style"] == pytest.approx(sum(w * terms[name] for name, w in weights.items()), rel=1e-5)
        assert terms["total"] == pytest.approx(0.5 * terms["content"] + 3 * terms["style"], rel=1e-5)


@pytest.mark.parametrize("optimiser", synthesis.OPTIMISERS)
def test_gradient_ratio_is_measured_at_the_pixels(optimiser, vgg19, p, a):
    run = synthesise(vgg19, p, a, alpha=0.01, optimiser=optimiser, evaluations=11, progress=False)
    x = white_noise(*p.shape[2:]).requires_grad_()
    terms = Objective(vgg19, p, a)(x)
    content, style = (torch.autograd.grad(terms[k], x, retain_graph=True)[0] for k in ("content", "style"))
    assert [n for n, _ in run.gradient_ratios] == [1, 11]
    assert run.gradient_ratios[0][1] == pytest.approx(0.01 * (content.norm() / style.norm()).item(), rel=1e-3)


def test_measuring_the_gradient_ratio_does_not_change_the_run(vgg19, p, a, monkeypatch):
    runs = []
    for every in (1, 10**9):
        monkeypatch.setattr(synthesis, "RATIO_EVERY", every)
        runs.append(synthesise(vgg19, p, a, **SHALLOW, **FEW))
    assert runs[0].history["total"][:4] == pytest.approx(runs[1].history["total"][:4], rel=1e-3)


def test_frames_are_kept_where_asked_and_never_get_worse(vgg19, p):
    run = synthesise(vgg19, p, content_layer="conv2_1", frames=[0, 3, 10, 20], evaluations=20, progress=False)
    assert sorted(run.frames) == [0, 3, 10, 20]
    torch.testing.assert_close(run.frames[0], white_noise(*p.shape[2:]).clamp(0, 1))
    errors = [(frame - p).square().mean() for _, frame in sorted(run.frames.items())]
    assert errors[0] > errors[2] > errors[3]
    assert torch.equal(run.frames[20], run.image)


def test_a_run_starts_from_noise_p_a_or_any_picture(vgg19, p, a):
    starts = {"content": p, "style": None, "noise": white_noise(*p.shape[2:])}
    for init, start in starts.items():
        frame = synthesise(
            vgg19, p, a, **SHALLOW, init=init, frames=[0], evaluations=1, progress=False
        ).frames[0]
        assert frame.shape == p.shape
        if start is not None:
            torch.testing.assert_close(frame, start.clamp(0, 1))
    own = torch.full_like(p, 0.25)
    frame = synthesise(vgg19, p, a, **SHALLOW, init=own, frames=[0], evaluations=1, progress=False).frames[0]
    assert torch.equal(frame, own)


@pytest.mark.parametrize("winograd", [False, True])
def test_a_pictures_distance_to_itself_is_exactly_0(winograd, vgg19, monkeypatch):
    monkeypatch.setattr(synthesis, "fastest", lambda device: SimpleNamespace(winograd=winograd))
    picture = load_image("chenonceau", 96)
    terms = Objective(vgg19, picture, picture)(picture)
    assert {name: value.item() for name, value in terms.items() if value != 0} == {}


def test_starting_at_the_solution_ends_there(vgg19, p):
    run = synthesise(vgg19, p, content_layer="conv2_1", init="content", evaluations=10, progress=False)
    assert run.stopped == "converged"
    assert (run.image - p).abs().max() < 1e-4


def test_a_style_reconstruction_has_the_size_asked_for(vgg19, a):
    assert synthesise(vgg19, a=a, style_layers="conv1_1", size=(20, 30), **FEW).image.shape == (1, 3, 20, 30)


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_the_unit_of_the_loss_does_not_decide_whether_it_moves(factor, vgg19, a):
    usual, scaled = (
        synthesise(vgg19, a=a, style_layers="conv1_1", beta=b, evaluations=30, progress=False)
        for b in (1.0, factor)
    )
    assert share_left(usual) < 0.05
    assert share_left(scaled) < 0.05


@pytest.mark.parametrize("optimiser", synthesis.OPTIMISERS)
def test_multiplying_alpha_and_beta_by_the_same_number_changes_nothing(optimiser, vgg19, p, a):
    # Powers of two, which floating point multiplies exactly: about 1e-12, 1 and 1e12.
    pictures = [
        synthesise(vgg19, p, a, **SHALLOW, **FEW, optimiser=optimiser, alpha=c / 1024, beta=c).image
        for c in (2.0**-40, 1.0, 2.0**40)
    ]
    assert (pictures[1] - white_noise(*p.shape[2:]).clamp(0, 1)).abs().max() > 0.02
    torch.testing.assert_close(pictures[0], pictures[1], rtol=0, atol=1e-4)
    torch.testing.assert_close(pictures[2], pictures[1], rtol=0, atol=1e-4)


def test_coarse_structures_move_more_only_at_first(vgg19, p, monkeypatch):
    counts = {}
    monkeypatch.setattr(synthesis, "COARSE_EVALUATIONS", 4)
    monkeypatch.setattr(synthesis, "coarse_first", lambda *_: lambda v: counts["run"](v))
    for evaluations in (4, 9):
        calls = []
        counts["run"] = lambda v, calls=calls: calls.append(v) or v
        synthesise(vgg19, p, content_layer="conv1_1", evaluations=evaluations, progress=False)
        counts[evaluations] = len(calls)
    assert counts[4] == counts[9] > 1


def test_what_is_favoured_follows_from_the_deepest_layer(vgg19, p, a, monkeypatch):
    asked = []
    monkeypatch.setattr(synthesis, "coarse_first", lambda shape, device, *how: asked.append(how) or abs)
    for layers in (
        {"a": a, "style_layers": ["conv1_1"]},
        {"p": p, "a": a, **SHALLOW},
        {"p": p, "content_layer": "conv5_1"},
        {"p": p, "content_layer": "conv5_2"},
        {"p": load_image("chenonceau", 160), "content_layer": "conv5_2"},
    ):
        synthesise(vgg19, **layers, evaluations=1, progress=False)
    # conv1_1 sees 3 pixels; conv2_1, after two layers of 3 × 3, pooling and a third, 10; and so on.
    assert asked == [(2 * 3, 1), (2 * 10, 1), (2 * 156, 1), (2 * 188, 1), (2 * 188, 1.5)]


def interrupt(monkeypatch, at, action):
    original, calls = Objective.__call__, []

    def call(self, x):
        terms = original(self, x)
        calls.append(1)
        return action(terms) if len(calls) == at else terms

    monkeypatch.setattr(Objective, "__call__", call)


def test_an_interrupted_run_returns_its_best_picture(vgg19, p, monkeypatch):
    def stop_button(terms):
        raise KeyboardInterrupt

    interrupt(monkeypatch, 8, stop_button)
    run = synthesise(vgg19, p, content_layer="conv2_1", evaluations=50, progress=False)
    assert run.stopped == "interrupted"
    assert run.evaluations == 7
    assert not torch.equal(run.image, white_noise(*p.shape[2:]).clamp(0, 1))
    assert "best picture so far" in str(run)


@pytest.mark.parametrize("optimiser", synthesis.OPTIMISERS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_or_infinity_ends_with_the_last_good_picture_and_says_so(value, optimiser, vgg19, p, monkeypatch):
    interrupt(monkeypatch, 8, lambda terms: {**terms, "total": terms["total"] * value})
    run = synthesise(vgg19, p, content_layer="conv2_1", optimiser=optimiser, evaluations=50, progress=False)
    assert run.stopped == "diverged"
    assert f"{value} at evaluation 8" in run.message
    assert run.image.isfinite().all()
    assert run.best < 7


def test_nan_at_once_returns_the_start(vgg19, p, monkeypatch):
    interrupt(monkeypatch, 1, lambda terms: {**terms, "total": terms["total"] * math.nan})
    run = synthesise(vgg19, p, content_layer="conv2_1", evaluations=50, progress=False)
    assert (run.stopped, run.evaluations) == ("diverged", 1)
    torch.testing.assert_close(run.image, white_noise(*p.shape[2:]).clamp(0, 1))
    assert "nan" in str(run)


def test_a_loss_that_grows_and_grows_ends_the_run(vgg19, p):
    run = synthesise(
        vgg19, p, content_layer="conv2_1", optimiser="adam", learning_rate=50, evaluations=60, progress=False
    )
    assert run.stopped == "diverged"
    assert run.evaluations < 60
    assert "smaller learning rate" in run.message
    assert torch.equal(run.image, white_noise(*p.shape[2:]).clamp(0, 1))  # nothing was better than the start


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_the_last_fifth_of_a_run_in_bfloat16_is_in_float32(vgg19, p, monkeypatch, optimiser):
    original, dtypes = Objective.__call__, []
    monkeypatch.setattr(synthesis, "choose_precision", lambda *_: ("bfloat16", ""))
    monkeypatch.setattr(
        Objective, "__call__", lambda self, x: (dtypes.append(self.dtype), original(self, x))[1]
    )
    run = synthesise(vgg19, p, content_layer="conv2_1", evaluations=10, optimiser=optimiser, progress=False)
    assert dtypes == [torch.bfloat16] * 8 + [torch.float32] * 2
    assert run.evaluations == 10


def test_a_copy_from_a_shallow_layer_has_no_noise_in_fine_colours(vgg19):
    # The layer hardly sees it: with the steps of L-BFGS in bfloat16 the loss was as good as 0, and the
    # copy had 19 dB.
    p = load_image("chenonceau", 80)
    run = synthesise(vgg19, p, content_layer="conv2_1", evaluations=60, progress=False)
    assert ((run.image - p) ** 2).mean().item() < 10**-2.9


def test_adam_lowers_the_loss(vgg19, p):
    run = synthesise(vgg19, p, content_layer="conv2_1", optimiser="adam", evaluations=40, progress=False)
    assert share_left(run) < 0.2


@pytest.mark.parametrize(("options", "levels"), [({}, 5), ({"deviation": 20 / 255}, 20)])
def test_white_noise_has_the_grey_levels_it_should_and_no_neighbours(options, levels):
    x = white_noise(100, 100, seed=3, **options)
    assert (x.std((2, 3)) * 255 / levels - 1).abs().max() < 0.05
    for channel in x[0]:
        pairs = torch.stack([channel[:, :-1].flatten(), channel[:, 1:].flatten()])
        assert abs(torch.corrcoef(pairs)[0, 1]) < 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"evaluations": 0}, "evaluations is 0"),
        ({"optimiser": "sgd"}, "unknown optimiser 'sgd'"),
        ({"init": "white"}, "unknown init 'white'"),
        ({"alpha": -1}, "alpha is -1"),
        ({"beta": math.inf}, "beta is inf"),
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"content_layer": "conv6_1"}, "unknown layer 'conv6_1'"),
        ({"init": torch.rand(1, 3, 9, 9)}, "init has shape"),
        ({"precision": "float8"}, "unknown precision 'float8'; choose from"),
        ({"p": None, "a": None}, "neither p nor a"),
        ({"a": None, "init": "style"}, "init='style' needs that picture"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_computed(arguments, message, passes, vgg19, p, a):
    with pytest.raises(ValueError, match=message):
        synthesise(vgg19, **{"p": p, "a": a, "progress": False, **arguments})
    assert not passes


def test_an_unknown_form_of_the_losses_is_named(vgg19, p):
    with pytest.raises(ValueError, match="unknown form 'gatys'"):
        synthesise(vgg19, p, form="gatys", progress=False)


def test_the_tests_switch_makes_runs_short_and_pictures_small(vgg19, monkeypatch):
    monkeypatch.setattr(quick, "QUICK", True)
    picture = load_image("chenonceau", 500)
    assert max(picture.shape) == 48
    assert (
        synthesise(vgg19, picture, content_layer="conv1_1", evaluations=99, progress=False).evaluations == 4
    )
