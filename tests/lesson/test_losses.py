"""Equations 1 to 7 against numbers worked out by hand, loops, autograd and finite differences."""

import numpy as np
import pytest
import torch

from helpers import losses
from helpers.losses import (
    content_gradient,
    content_loss,
    equal_weights,
    gram_matrix,
    layer_style_loss,
    style_gradient,
    style_loss,
    style_loss_constant,
    total_loss,
    total_variation,
)
from helpers.network import STYLE_LAYERS

F_SMALL = torch.tensor([[[1.0, 0.0, 2.0], [3.0, 1.0, 0.0]]])  # (1, 2, 3)
A_SMALL = torch.tensor([[[1.0, 1.0, 1.0], [0.0, 2.0, 0.0]]])


def rectified(generator, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=generator, dtype=dtype).relu()


def test_content_loss_of_a_case_worked_out_by_hand():
    # Differences 0, -1, 1, 3, -1, 0: squares add up to 12.
    assert content_loss(F_SMALL, A_SMALL).tolist() == [6.0]
    assert content_loss(F_SMALL, A_SMALL, form="mean").tolist() == [2.0]


def test_gram_matrix_of_a_case_worked_out_by_hand():
    assert gram_matrix(F_SMALL).tolist() == [[[5.0, 3.0], [3.0, 10.0]]]


def test_style_loss_of_a_case_worked_out_by_hand():
    # G - A = [[5 - 3, 3 - 2], [3 - 2, 10 - 4]]: squares 4, 1, 1, 36; N = 2, M = 3.
    G, A = gram_matrix(F_SMALL), gram_matrix(A_SMALL)
    assert layer_style_loss(G, A, 3).item() == pytest.approx(42 / (4 * 4 * 9))
    assert layer_style_loss(G, A, 3, form="mean").item() == pytest.approx(42 / (4 * 9))


def test_style_loss_weights_its_layers():
    features = {"conv1_1": F_SMALL, "conv2_1": 2 * F_SMALL}
    targets = dict.fromkeys(features, (gram_matrix(A_SMALL), 3))
    one = layer_style_loss(gram_matrix(F_SMALL), gram_matrix(A_SMALL), 3)
    two = layer_style_loss(gram_matrix(2 * F_SMALL), gram_matrix(A_SMALL), 3)
    loss = style_loss(features, targets, {"conv1_1": 0.25, "conv2_1": 3.0})
    assert loss.item() == pytest.approx((0.25 * one + 3 * two).item())


def test_total_loss_weights_content_and_style():
    assert total_loss(2.0, 5.0, alpha=3.0, beta=0.1) == 6.5


def test_equal_weights_are_one_over_the_number_of_layers():
    assert equal_weights(STYLE_LAYERS) == dict.fromkeys(STYLE_LAYERS, 0.2)
    assert equal_weights("conv1_1") == {"conv1_1": 1.0}


def test_gram_matrix_agrees_with_a_sum_written_as_loops(generator):
    F = torch.randn(2, 3, 4, 5, generator=generator)
    expected = np.zeros((2, 3, 3))
    for b, i, j in np.ndindex(2, 3, 3):
        expected[b, i, j] = sum(F[b, i, y, x].item() * F[b, j, y, x].item() for y, x in np.ndindex(4, 5))
    np.testing.assert_allclose(gram_matrix(F).numpy(), expected, rtol=1e-5)


def test_gram_matrix_agrees_with_an_einstein_sum(generator):
    F = rectified(generator, 2, 5, 6, 7)
    expected = np.einsum("biyx,bjyx->bij", F.numpy(), F.numpy())
    np.testing.assert_allclose(gram_matrix(F).numpy(), expected, rtol=1e-12)


def test_gram_matrix_ignores_where_things_are(generator):
    F = rectified(generator, 1, 4, 50)
    order = torch.randperm(50, generator=generator)
    torch.testing.assert_close(gram_matrix(F[..., order]), gram_matrix(F))
    assert content_loss(F[..., order], F) > 1


def test_gram_matrix_follows_the_order_of_the_feature_maps(generator):
    F = rectified(generator, 1, 4, 50)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(gram_matrix(F[:, order]), gram_matrix(F)[:, order][:, :, order])


def test_a_batch_of_two_is_two_single_pictures(generator):
    F, P = rectified(generator, 2, 3, 4, 4), rectified(generator, 2, 3, 4, 4)
    singles = [content_loss(F[i : i + 1], P[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(content_loss(F, P), torch.cat(singles))
    G, A = gram_matrix(F), gram_matrix(P)
    singles = [layer_style_loss(G[i : i + 1], A[i : i + 1], 16) for i in range(2)]
    torch.testing.assert_close(layer_style_loss(G, A, 16), torch.cat(singles))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gram_matrix_of_half_precision_is_float32_and_does_not_overflow(dtype):
    G = gram_matrix(torch.full((1, 2, 100, 100), 300.0, dtype=dtype))
    assert G.dtype == torch.float32
    assert G[0, 0, 0].item() == pytest.approx(300**2 * 100 * 100)  # float16 ends at 65,504


def test_gram_matrix_stays_float32_under_autocast(generator):
    F = torch.rand(1, 8, 1000, generator=generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        G = gram_matrix(F)
    torch.testing.assert_close(G.double(), F.double() @ F.double().mT, rtol=1e-5, atol=0)


def gradients_by_autograd(loss, z):
    z = z.clone().requires_grad_()
    F = z.relu()
    return torch.autograd.grad(loss(F).sum(), [z, F])


def test_equation_2_is_the_gradient_before_the_relu(generator):
    z, P = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64), rectified(generator, 2, 3, 5)
    before, after = gradients_by_autograd(lambda F: content_loss(F, P), z)
    torch.testing.assert_close(content_gradient(z.relu(), P), before, rtol=0, atol=1e-10)
    torch.testing.assert_close(content_gradient(z.relu(), P, before_relu=False), after, rtol=0, atol=1e-10)


def test_equation_6_is_the_gradient_before_the_relu(generator):
    z = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)
    A = gram_matrix(rectified(generator, 1, 3, 7))
    loss = lambda F: layer_style_loss(gram_matrix(F), A, 5, 7)  # noqa: E731
    before, after = gradients_by_autograd(loss, z)
    torch.testing.assert_close(style_gradient(z.relu(), A, 7), before, rtol=0, atol=1e-10)
    torch.testing.assert_close(style_gradient(z.relu(), A, 7, before_relu=False), after, rtol=0, atol=1e-10)


def test_printed_equation_2_is_not_the_gradient_after_the_relu():
    F, P = torch.tensor([[[0.0, 2.0]]]), torch.tensor([[[1.0, 1.0]]])
    assert content_gradient(F, P).tolist() == [[[0.0, 1.0]]]
    assert content_gradient(F, P, before_relu=False).tolist() == [[[-1.0, 1.0]]]


def test_gradients_agree_with_finite_differences(generator):
    F, P, h = rectified(generator, 1, 2, 3) + 0.1, rectified(generator, 1, 2, 3), 1e-6
    A = gram_matrix(P)
    for loss, gradient in (
        (lambda F: content_loss(F, P), content_gradient(F, P)),
        (lambda F: layer_style_loss(gram_matrix(F), A, 3), style_gradient(F, A)),
    ):
        for i, j in np.ndindex(2, 3):
            step = torch.zeros_like(F)
            step[0, i, j] = h
            slope = (loss(F + step) - loss(F - step)).item() / (2 * h)
            assert slope == pytest.approx(gradient[0, i, j].item(), rel=1e-5, abs=1e-8)


def test_an_artwork_laid_twice_side_by_side_has_the_same_style(generator):
    F = rectified(generator, 1, 4, 6, 5)
    twice = torch.cat([F, F], dim=3)
    assert layer_style_loss(gram_matrix(F), gram_matrix(twice), 30, 60).item() == pytest.approx(0, abs=1e-20)
    assert layer_style_loss(gram_matrix(F), gram_matrix(twice), 30).item() > 1e-3


def test_the_two_forms_differ_by_known_constants(generator):
    F, P = rectified(generator, 1, 4, 6), rectified(generator, 1, 4, 6)
    G, A = gram_matrix(F), gram_matrix(P)
    mean, printed = content_loss(F, P, "mean").item(), content_loss(F, P).item()
    assert mean == pytest.approx(printed * 2 / (4 * 6))
    mean, printed = layer_style_loss(G, A, 6, form="mean").item(), layer_style_loss(G, A, 6).item()
    assert mean == pytest.approx(4 * printed)


def test_constants_between_gram_forms_agree_with_each_form_written_out(generator):
    N, M = 4, 6
    F, P = rectified(generator, 1, N, M), rectified(generator, 1, N, M)
    D = F[0] @ F[0].T - P[0] @ P[0].T
    E = layer_style_loss(gram_matrix(F), gram_matrix(P), M).item()
    tutorial_F, tutorial_P = (X.reshape(1 * N, M) for X in (F, P))
    tutorial = tutorial_F @ tutorial_F.T / (1 * N * M) - tutorial_P @ tutorial_P.T / (1 * N * M)
    written_out = {
        "printed": (D**2).sum() / (4 * N**2 * M**2),
        "mean of G/M": ((D / M) ** 2).mean(),
        "mean of G/(N·M)": ((D / (N * M)) ** 2).mean(),
        "mean of G/(B·N·M)": (tutorial**2).mean(),
    }
    assert set(written_out) == set(losses.GRAM_FORMS)
    for form, loss in written_out.items():
        assert loss.item() == pytest.approx(style_loss_constant(form, N) * E)


def test_the_tutorials_form_mixes_the_pictures_of_a_batch(generator):
    F = rectified(generator, 2, 3, 4)
    folded = F.reshape(6, 4) @ F.reshape(6, 4).T
    assert folded[:3, 3:].abs().max() > 0  # products of two different pictures
    torch.testing.assert_close(folded[:3, :3], gram_matrix(F)[0])


def test_five_equal_weights_of_the_tutorial_in_the_papers_units():
    constants = [style_loss_constant("mean of G/(N·M)", N) for N in (64, 128, 256, 512, 512)]
    assert [c / constants[-1] for c in constants] == [64, 16, 4, 1, 1]


def test_presets_pair_each_form_with_its_network():
    printed, normalised = losses.PRESETS["printed"], losses.PRESETS["normalised"]
    assert (printed.form, printed.normalised) == ("printed", False)
    assert (normalised.form, normalised.normalised) == ("mean", True)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="compares position by position"):
        content_loss(torch.zeros(1, 2, 3), torch.zeros(1, 2, 4))
    with pytest.raises(ValueError, match="one layer"):
        layer_style_loss(torch.zeros(1, 2, 2), torch.zeros(1, 3, 3), 4)
    with pytest.raises(ValueError, match="unknown form 'gatys'"):
        content_loss(F_SMALL, F_SMALL, form="gatys")
    with pytest.raises(ValueError, match="'conv5_1' has a weight but no features"):
        style_loss({}, {}, {"conv5_1": 1.0})
    with pytest.raises(ValueError, match="unknown Gram form"):
        style_loss_constant("other", 4)


def test_total_variation_of_a_step_is_counted_once():
    step = torch.zeros(1, 3, 2, 3)
    step[..., 2] = 1  # 6 of the 12 differences to the right are 1, those below are 0
    assert total_variation(step).item() == 6
