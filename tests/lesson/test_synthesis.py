"""The loop: what it returns, what it leaves alone, and how it ends."""

import itertools
import math
import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import objective, synthesis
from helpers.images import from_pil, load_image, to_pil, white_noise
from helpers.network import CONVOLUTION_LAYERS, STYLE_LAYERS, VGG19
from helpers.objective import ENGINE, Objective
from helpers.optimisers import OPTIMISERS
from helpers.synthesis import Run, synthesise
from helpers.system import quick

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
def test_content_of_every_layer_converges_at_224_px(layer, vgg19):
    run = run_to_two_percent(vgg19, p=load_image("chenonceau", 224), content_layer=layer)
    assert share_left(run) < 0.02


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_style_of_every_growing_subset_converges_at_224_px(count, vgg19):
    a = load_image("starry_night", 224)
    run = run_to_two_percent(vgg19, a=a, style_layers=STYLE_LAYERS[:count])
    assert share_left(run) < 0.02


def run_to_two_percent(network, **arguments):
    """Leave the run as soon as the loss is below 2 % of the first."""
    run = Run(network, **arguments, evaluations=200)
    for now in run:
        if now.losses["total"] < 0.02 * run.result.history["total"][0]:
            break
    return run.result


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


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_gradient_ratio_is_measured_at_the_pixels(optimiser, vgg19, p, a):
    settings = {"alpha": 0.01, "optimiser": optimiser, "precision": "float32"}
    run = synthesise(vgg19, p, a, **settings, evaluations=11, progress=False)
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


def test_a_picture_compared_with_itself_has_a_loss_of_exactly_0(vgg19):
    picture = load_image("chenonceau", 96)
    terms = Objective(vgg19, picture, picture)(picture)
    assert {name: value.item() for name, value in terms.items() if value != 0} == {}


def test_starting_at_the_solution_ends_there(vgg19, p):
    settings = {"content_layer": "conv2_1", "init": "content", "precision": "float32"}
    run = synthesise(vgg19, p, **settings, evaluations=10, progress=False)
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


@pytest.mark.parametrize("optimiser", OPTIMISERS)
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
    monkeypatch.setattr(objective, "coarse_first", lambda *_: lambda v: counts["run"](v))
    for evaluations in (4, 9):
        calls = []
        counts["run"] = lambda v, calls=calls: calls.append(v) or v
        synthesise(vgg19, p, content_layer="conv1_1", evaluations=evaluations, progress=False)
        counts[evaluations] = len(calls)
    assert counts[4] == counts[9] > 1


def test_what_is_favoured_follows_from_the_deepest_layer(vgg19, p, a, monkeypatch):
    asked = []
    monkeypatch.setattr(objective, "coarse_first", lambda shape, device, *how: asked.append(how) or abs)
    for layers in (
        {"a": a, "style_layers": ["conv1_1"]},
        {"p": p, "a": a, **SHALLOW},
        {"p": p, "content_layer": "conv5_1"},
        {"p": p, "content_layer": "conv5_2"},
        {"p": load_image("chenonceau", 160), "content_layer": "conv5_2"},
    ):
        Objective(vgg19, **layers).coarse_first(layers.get("p", a))
    # conv1_1 sees 3 pixels; conv2_1, after two layers of 3 × 3, pooling and a third, 10; and so on.
    assert asked == [(2 * 3, 1), (2 * 10, 1), (2 * 156, 1), (2 * 188, 1), (2 * 188, 1.5)]


def at_evaluation(monkeypatch, n, action):
    """Let the objective's n-th answer be what an action makes of it."""
    original, calls = Objective.__call__, []

    def call(self, x):
        terms = original(self, x)
        calls.append(1)
        return action(terms) if len(calls) == n else terms

    monkeypatch.setattr(Objective, "__call__", call)


def test_the_stop_button_ends_a_run_after_its_evaluation_with_its_best_picture(
    vgg19, p, monkeypatch, stop_button
):
    at_evaluation(monkeypatch, 8, lambda terms: os.kill(os.getpid(), signal.SIGINT) or terms)
    run = synthesise(vgg19, p, content_layer="conv2_1", evaluations=50, progress=False)
    assert (run.stopped, run.evaluations) == ("interrupted", 8)
    assert not torch.equal(run.image, white_noise(*p.shape[2:]).clamp(0, 1))
    assert "Interrupted (SIGINT); this is the best picture so far" in str(run)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # as before the run


def test_the_stop_button_before_there_is_a_picture_is_an_exception_as_usual(
    vgg19, p, monkeypatch, stop_button
):
    at_evaluation(monkeypatch, 1, lambda terms: os.kill(os.getpid(), signal.SIGINT) or terms)
    with pytest.raises(KeyboardInterrupt):
        synthesise(vgg19, p, content_layer="conv2_1", evaluations=50, progress=False)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_or_infinity_ends_with_the_last_good_picture_and_says_so(value, optimiser, vgg19, p, monkeypatch):
    at_evaluation(monkeypatch, 8, lambda terms: {**terms, "total": terms["total"] * value})
    run = synthesise(vgg19, p, content_layer="conv2_1", optimiser=optimiser, evaluations=50, progress=False)
    assert run.stopped == "diverged"
    assert f"{value} at evaluation 8" in run.message
    assert run.image.isfinite().all()
    assert run.best < 7


@pytest.mark.parametrize(("arguments", "value"), [({"alpha": 1e300}, "inf"), ({"beta": 1e38}, "inf")])
def test_a_loss_that_is_infinite_at_the_start_is_an_error_that_names_the_weights(
    arguments, value, vgg19, p, a
):
    with pytest.raises(ValueError, match=rf"loss of the start is {value}, with alpha .* and beta"):
        synthesise(vgg19, p, a, **SHALLOW, **arguments, progress=False)


def test_a_loss_that_grows_and_grows_ends_the_run(vgg19, p):
    run = synthesise(
        vgg19, p, content_layer="conv2_1", optimiser="adam", learning_rate=50, evaluations=60, progress=False
    )
    assert run.stopped == "diverged"
    assert run.evaluations < 60
    assert "smaller learning rate" in run.message
    assert torch.equal(run.image, white_noise(*p.shape[2:]).clamp(0, 1))  # nothing was better than the start


@pytest.mark.skipif(ENGINE == "plain", reason="always in float32")
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_the_last_fifth_of_a_run_in_bfloat16_is_in_float32(vgg19, p, monkeypatch, optimiser):
    from helpers.engine import choice

    monkeypatch.setattr(choice.Fastest, "bfloat16_gain", 2)
    settings = {"content_layer": "conv2_1", "optimiser": optimiser, "precision": "bfloat16"}
    run = Run(vgg19, p, **settings, evaluations=10)
    precisions = [run.objective.way.precision]
    precisions += [run.objective.way.precision for _ in run]
    assert precisions == ["bfloat16"] * 8 + ["float32"] * 3  # the last is for an evaluation 11


@pytest.mark.skipif(ENGINE == "plain", reason="always in float32")
def test_adam_keeps_its_means_when_a_run_goes_over_to_float32(vgg19, p, a, monkeypatch):
    from helpers.engine import choice

    monkeypatch.setattr(choice.Fastest, "bfloat16_gain", 2)
    options = {"alpha": 2e-2, "optimiser": "adam", "evaluations": 30}
    run = Run(vgg19, p, a, precision="bfloat16", **options)
    for now in run:
        if now.number == 24:
            assert run.objective.way.precision == "float32" and run._at.n == 24
    totals = run.result.history["total"]
    # Begun anew, Adam's first steps are as long as its rate at every pixel, and the loss jumps.
    assert max(totals[24:]) < 1.1 * totals[23]


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
        pytest.param(
            {"precision": "float8"},
            "unknown precision 'float8'; choose from",
            marks=pytest.mark.skipif(ENGINE == "plain", reason="has no precision to choose"),
        ),
        ({"engine": "steam"}, "unknown engine 'steam'; choose from"),
        ({"engine": "plain", "precision": "bfloat16"}, "'plain' computes in float32"),
        ({"alpha": 0, "beta": 0}, "nothing would count: alpha is 0"),
        ({"a": None, "alpha": 0}, "nothing would count: alpha is 0"),
        ({"style_layers": {"conv1_1": 0}, "alpha": 0}, "nothing would count"),
        ({"style_layers": {"conv1_1": math.nan}}, "weight of conv1_1 is nan"),
        ({"style_layers": ["conv1_1", "conv1_1"]}, "'conv1_1' is given 2 times"),
        ({"style_layers": []}, "no layer given"),
        ({"style_layers": {}}, "no layer given"),
        ({"learning_rate": math.inf}, "learning_rate is inf"),
        ({"init": torch.full((1, 3, 36, 48), math.nan)}, "init holds NaN"),
        ({"resume": True}, "resume without a checkpoint"),
        ({"checkpoint": "run.pt", "every": -1}, "every is -1"),
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


def test_without_the_engine_the_picture_is_nearly_the_same(vgg19, p, a):
    # Rounding grows on the way; a bound for the command's 100 evaluations stands in the README.
    runs = [
        synthesise(vgg19, p, a, alpha=1e-2, precision="float32", engine=e, evaluations=15, progress=False)
        for e in ("fast", "plain")
    ]
    totals = [run.history["total"] for run in runs]
    assert totals[0][:8] == pytest.approx(totals[1][:8], rel=1e-3)
    assert totals[0] == pytest.approx(totals[1], rel=1e-2)  # Winograd's convolutions round more
    assert (runs[0].image - runs[1].image).abs().mean() < 0.3 / 255


# --- a run held in one's own hands


def new_run(vgg19, p, a, **settings):
    return Run(
        vgg19, p, a, **{"alpha": 1e-2, "precision": "float32", "evaluations": 20, **SHALLOW, **settings}
    )


def test_a_run_gives_an_item_an_evaluation_that_agrees_with_its_history(vgg19, p, a):
    run, best = new_run(vgg19, p, a), math.inf
    for n, now in enumerate(run, 1):
        assert now.number == n == run.result.evaluations
        assert {name: values[-1] for name, values in run.result.history.items()} == now.losses
        assert now.gradient_ratio == run.result.gradient_ratios[(n - 1) // 10][1]
        if now.losses["total"] < best:
            best = now.losses["total"]
            assert Objective(vgg19, p, a, alpha=1e-2, **SHALLOW)(now.image)["total"] < 1.5 * best
    assert (run.result.stopped, n) == ("finished", 20)


def test_driven_by_hand_it_ends_as_synthesise_does_pauses_or_not(vgg19, p, a):
    whole = synthesise(
        vgg19, p, a, alpha=1e-2, precision="float32", evaluations=20, progress=False, **SHALLOW
    )
    run = new_run(vgg19, p, a)
    for part in (3, 1, 9):
        list(itertools.islice(run, part))  # leaves the loop, and takes it up again
    for now in run:
        if now.number == 17:
            run.stop()
    assert (run.result.stopped, run.result.evaluations) == ("interrupted", 17)
    list(run)
    assert run.result.stopped == "finished"
    assert torch.equal(run.result.image, whole.image)
    assert run.result.history == whole.history


def test_an_exception_in_the_middle_of_an_evaluation_costs_that_evaluation_only(vgg19, p, a, monkeypatch):
    def interrupted(terms):
        raise KeyboardInterrupt

    whole = new_run(vgg19, p, a).to_the_end(progress=False)
    run = new_run(vgg19, p, a)
    at_evaluation(monkeypatch, 7, interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(run)
    assert run.result.evaluations == 6
    assert torch.equal(run.to_the_end(progress=False).image, whole.image)


def test_seconds_left_are_those_of_the_evaluations_that_are_left(vgg19, p, a):
    run = new_run(vgg19, p, a)
    assert run.seconds_left() == math.inf
    for now in run:
        expected = (20 - now.number) * run.result.seconds / now.number
        assert run.seconds_left() == pytest.approx(expected, rel=3, abs=1e-9)
    assert run.seconds_left() == 0


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_change_on_the_way_is_noted_and_goes_on_from_the_best_picture(optimiser, vgg19, p, a):
    run = new_run(vgg19, p, a, optimiser=optimiser)
    for now in run:
        if now.number == 8:
            before = now.image
            run.change(alpha=0.5, style_layers={"conv1_1": 1.0, "conv3_1": 2.0})
        if now.number == 9:
            # The ninth evaluation is of the picture that was the best, with the new loss.
            again = Objective(vgg19, p, a, "conv2_1", {"conv1_1": 1.0, "conv3_1": 2.0}, alpha=0.5)(before)
            assert now.losses["total"] == pytest.approx(again["total"].item(), rel=0.3)
    assert run.result.changes == [(8, {"alpha": 0.5, "style_layers": {"conv1_1": 1.0, "conv3_1": 2.0}})]
    history = run.result.history
    assert len(history["conv3_1"]) == len(history["conv2_1"]) == 20
    assert math.isnan(history["conv3_1"][7]) and not math.isnan(history["conv3_1"][8])
    assert math.isnan(history["conv2_1"][8]) and not math.isnan(history["conv2_1"][7])
    assert run.result.best >= 8  # losses before the change do not compare with those after it
    assert history["total"][run.result.best] == min(history["total"][8:])
    assert history["total"][run.result.best] < history["total"][8]


def test_pictures_and_the_network_can_be_changed_on_the_way(vgg19, vgg19_max, p, a):
    run, ducks = new_run(vgg19, p, a), load_image("ducks", 40)
    for now in run:
        if now.number == 5:
            run.change(network=vgg19_max, a=ducks, p=p.flip(3))
    changed = Objective(vgg19_max, p.flip(3), ducks, alpha=1e-2, **SHALLOW)
    assert changed(run.result.image)["total"].item() == pytest.approx(
        run.result.history["total"][run.result.best], rel=0.3
    )
    assert run.result.changes == [(5, {"network": "another", "a": "another", "p": "another"})]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 3}, "cannot change"),
        ({"alpha": -1}, "alpha is -1"),
        ({"alpha": 0, "beta": 0}, "nothing would count"),
        ({"content_layer": "conv9_1"}, "unknown layer"),
        ({"p": torch.rand(1, 3, 20, 20)}, "p has shape"),
    ],
)
def test_a_change_that_cannot_be_leaves_the_run_as_it_was(changes, message, vgg19, p, a):
    whole = new_run(vgg19, p, a).to_the_end(progress=False)
    run = new_run(vgg19, p, a)
    list(itertools.islice(run, 6))
    with pytest.raises(ValueError, match=message):
        run.change(**changes)
    assert run.result.changes == []
    assert torch.equal(run.to_the_end(progress=False).image, whole.image)


def test_a_converged_run_goes_on_after_a_change(vgg19, p, a):
    run = new_run(vgg19, p, a, init="content", beta=0, evaluations=12)
    list(run)
    assert (run.result.stopped, run.result.evaluations) == ("converged", 1)
    run.change(beta=1.0)
    list(run)
    assert run.result.evaluations == 12
