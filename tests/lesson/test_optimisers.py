"""L-BFGS and Adam on functions whose minima are known, and beside PyTorch's own."""

import itertools

import pytest
import torch

from helpers.optimisers import (
    AdamState,
    LBFGSState,
    Steps,
    adam,
    coarse_first,
    history_length,
    lbfgs,
    minimise,
)


def run(pictures, loss_of, most):
    """Let an optimiser make so many evaluations, or fewer if it ends, and return its losses."""
    losses, x = [], next(pictures)
    while x is not None and len(losses) < most:
        loss, gradient = value_and_gradient(loss_of, x)
        losses.append(loss)
        x = pictures.send((loss, gradient))
    return losses


def value_and_gradient(loss_of, x):
    x = x.detach().requires_grad_()
    loss = loss_of(x)
    return loss.item(), torch.autograd.grad(loss, x)[0]


def same(v):
    return v


def state(x=None, history=20):
    x = start() if x is None else x
    return LBFGSState(x, Steps(x, history))


@pytest.fixture
def valley(generator):
    """A quadratic 1000 times as steep in some directions as in others, with its minimum at 0.3."""
    steepness = torch.logspace(0, 3, 3 * 8 * 8, dtype=torch.float64)[torch.randperm(192, generator=generator)]
    return lambda x: (steepness.view(1, 3, 8, 8) * (x - 0.3) ** 2).sum()


def start():
    return torch.zeros(1, 3, 8, 8, dtype=torch.float64)


def test_lbfgs_finds_the_bottom_of_a_long_valley(valley):
    losses = run(lbfgs(state(), same), valley, 150)
    assert min(losses) < 1e-6 * losses[0]


def test_lbfgs_takes_no_more_evaluations_than_pytorchs(valley):
    ours = run(lbfgs(state(), same), valley, 60)
    x, theirs = start().requires_grad_(), []

    def closure():
        loss, x.grad = value_and_gradient(valley, x)
        theirs.append(loss)
        return loss

    options = {"max_iter": 60, "max_eval": 60, "tolerance_grad": 0, "tolerance_change": 0, "history_size": 20}
    torch.optim.LBFGS([x], line_search_fn="strong_wolfe", **options).step(closure)
    assert len(theirs) >= 60
    assert min(ours) < 1.5 * min(theirs)


def test_nearly_every_evaluation_of_lbfgs_lowers_the_loss(valley):
    losses = run(lbfgs(state(), same), valley, 80)
    assert sum(b < a for a, b in itertools.pairwise(losses)) > 0.9 * len(losses)


def test_the_first_step_moves_pixels_by_5_grey_levels_whatever_the_unit_of_the_loss():
    for unit in (1e-9, 1.0, 1e9):
        pictures = lbfgs(state(history=5), same)
        first = next(pictures)
        second = pictures.send((unit, torch.full_like(first, unit)))
        assert (second - first).abs().mean().item() == pytest.approx(5 / 255)


def test_no_step_moves_pixels_by_more_than_25_grey_levels_on_average():
    tried = []

    def nearly_straight(x):  # its minimum is hundreds of units away
        tried.append(x.detach().clone())
        return (1e-3 * x**2 - x).sum()

    run(lbfgs(state(history=5), same), nearly_straight, 8)
    moves = [(b - a).abs().mean().item() for a, b in itertools.pairwise(tried)]
    assert max(moves) == pytest.approx(25 / 255)


def test_lbfgs_ends_where_no_step_lowers_the_loss():
    losses = run(lbfgs(state(history=5), same), lambda x: (x**2).sum(), 200)
    assert len(losses) < 50


def test_lbfgs_goes_back_from_a_cliff():
    def cliff(x):  # infinite just beside the minimum at 0.015
        return torch.where(x > 0.0175, torch.inf, (x - 0.015) ** 2).sum()

    losses = run(lbfgs(state(history=5), same), cliff, 60)
    assert max(losses[1:]) == float("inf")
    assert min(losses) < 1e-3 * losses[0]


def test_the_direction_is_that_of_the_inverse_hessian_written_out(generator):
    n, steps = 3 * 2 * 2, Steps(torch.zeros(1, 3, 2, 2, dtype=torch.float64), 3)
    scale = torch.linspace(1, 2, n, dtype=torch.float64)  # a preconditioner that is no multiple of 1
    pairs = []
    for _ in range(3):
        s = torch.randn(n, dtype=torch.float64, generator=generator)
        y = s + 0.3 * torch.randn(n, dtype=torch.float64, generator=generator)
        assert s @ y > 0
        steps.remember(s.view(1, 3, 2, 2), y.view(1, 3, 2, 2))
        pairs.append((s, y))
    s, y = pairs[-1]
    H = (s @ y) / (y @ (scale * y)) * torch.diag(scale)
    for s, y in pairs:  # the BFGS update, Nocedal and Wright, equation 6.17
        V = torch.eye(n) - torch.outer(y, s) / (s @ y)
        H = V.T @ H @ V + torch.outer(s, s) / (s @ y)
    g = 1e-3 * torch.randn(n, dtype=torch.float64, generator=generator)
    x = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    pictures = lbfgs(LBFGSState(x, steps), lambda v: scale.view_as(v) * v)
    next(pictures)
    tried = pictures.send((1.0, g.view(1, 3, 2, 2).clone())).flatten()
    torch.testing.assert_close(tried, -H @ g)


@pytest.mark.parametrize("optimiser", [lbfgs, adam])
def test_a_new_generator_with_the_same_state_goes_on_to_the_last_bit_wherever_it_is_made(optimiser, valley):
    def ripples(x):  # so that many steps have to be shortened, some of them several times
        return valley(x) + 20 * (150 * x).sin().square().sum()

    def new():
        at = state() if optimiser is lbfgs else AdamState(start())
        return at, same if optimiser is lbfgs else 0.02

    whole, tries = run(optimiser(*new()), ripples, 40), set()
    for evaluations in range(40):
        at, how = new()
        first = run(optimiser(at, how), ripples, evaluations)
        tries.add(getattr(at, "tries", None))
        assert first + run(optimiser(at, how), ripples, 40 - evaluations) == whole
    assert optimiser is adam or max(tries) >= 2


def test_what_was_remembered_serves_a_later_start(valley):
    at = state()
    run(lbfgs(at, same), valley, 40)
    assert len(at.steps) == 20
    known = run(lbfgs(LBFGSState(start() + 0.25, at.steps), same), valley, 10)
    anew = run(lbfgs(state(start() + 0.25), same), valley, 10)
    assert min(known) < min(anew)


def test_steps_saved_and_restored_are_the_same_at_the_same_places(valley):
    at, other = state(), Steps(start(), 20)
    run(lbfgs(at, same), valley, 33)
    other.restore(at.steps.saved())
    assert len(other) == len(at.steps) == 20
    for (s, y, rho), (s_2, y_2, rho_2) in zip(at.steps, other, strict=True):
        assert torch.equal(s, s_2) and torch.equal(y, y_2) and rho == rho_2
    # A sum may end in other digits where the numbers begin at another place of a cache line.
    assert all(s.data_ptr() % 64 == y.data_ptr() % 64 == 0 for s, y, _ in steps_of_odd_size())


def steps_of_odd_size():
    x = torch.rand(1, 3, 5, 7)
    steps = Steps(x, 3)
    for _ in range(3):
        steps.remember(x, x)
    return steps


def test_steps_forget_the_oldest(generator):
    steps = Steps(start(), 3)
    pictures = [torch.rand(start().shape, generator=generator, dtype=torch.float64) for _ in range(5)]
    for picture in pictures:
        steps.remember(picture, 2 * picture)
    assert len(steps) == 3
    for (s, y, rho), picture in zip(steps, pictures[2:], strict=True):
        assert torch.equal(s, picture)
        assert torch.equal(y, 2 * picture)
        assert rho == pytest.approx(1 / (2 * (picture**2).sum().item()), rel=1e-12)


def test_a_step_without_curvature_is_left_out_and_changes_no_other(generator):
    steps = Steps(start(), 2)
    pictures = [torch.rand(start().shape, generator=generator, dtype=torch.float64) for _ in range(2)]
    for picture in pictures:
        steps.remember(picture, picture)
    before = [(s.clone(), y.clone(), rho) for s, y, rho in steps]
    steps.remember(pictures[0], -pictures[0])
    for (s, y, rho), (s_before, y_before, rho_before) in zip(steps, before, strict=True):
        assert torch.equal(s, s_before) and torch.equal(y, y_before) and rho == rho_before


@pytest.mark.parametrize("height", [8, 9])
@pytest.mark.parametrize("width", [10, 11])
def test_coarse_first_is_symmetric_positive_and_favours_coarse_structures(height, width, generator):
    precondition = coarse_first((1, 3, height, width), "cpu", largest=100)
    u, v = (torch.randn(1, 3, height, width, generator=generator) for _ in range(2))
    assert (u * precondition(v)).sum().item() == pytest.approx((v * precondition(u)).sum().item(), rel=1e-4)
    assert (u * precondition(u)).sum() > 0
    wave = torch.cos(torch.arange(width) * 2 * torch.pi / width).expand(1, 3, height, width)
    grain = (torch.arange(height)[:, None] + torch.arange(width)).remainder(2).expand(
        1, 3, height, width
    ) - 0.5
    assert precondition(wave).std() / wave.std() > 2 * precondition(grain).std() / grain.std()


def test_coarse_first_moves_what_is_too_large_no_more_than_the_largest():
    def gains(largest, power=1):
        x = torch.arange(24)
        waves = (torch.cos(x * 2 * torch.pi / period).expand(1, 3, 24, 24) for period in (4, 8, 12, 24))
        return [(coarse_first(w.shape, "cpu", largest, power)(w) / w)[0, 0, 0, 0].item() for w in waves]

    assert gains(8) == pytest.approx([4, 8, 8, 8], rel=1e-4)
    assert gains(100) == pytest.approx([4, 8, 12, 24], rel=1e-4)
    assert gains(100, 2) == pytest.approx([16, 64, 144, 576], rel=1e-4)


def test_adam_goes_where_pytorchs_goes(valley):
    x, pictures = start().requires_grad_(), adam(AdamState(start()), 0.02)
    theirs, ours = torch.optim.Adam([x], lr=0.02), next(pictures)
    for _ in range(12):
        torch.testing.assert_close(ours, x.detach(), rtol=1e-6, atol=1e-9)
        theirs.zero_grad()
        valley(x).backward()
        theirs.step()
        ours = pictures.send(value_and_gradient(valley, ours))


@pytest.mark.parametrize(
    ("side", "length"), [(64, 100), (256, 84), (512, 21), (1024, 10), (2048, 6), (4096, 3)]
)
def test_small_pictures_have_a_long_history_and_large_ones_a_short_one(side, length):
    assert history_length(3 * side // 4, side) == length


def test_minimise_finds_the_lowest_point_of_a_loss_of_ones_own():
    goal = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    x = minimise(lambda x: (x - goal).square().sum(), torch.full_like(goal, 0.5), evaluations=60)
    assert (x - goal).abs().max() < 1e-3


def test_minimise_never_returns_a_higher_loss_and_stays_a_picture():
    start = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))

    def loss(x):
        return (x * 40).sin().sum() + (x - 3).square().sum()

    x = minimise(loss, start, evaluations=30)
    assert loss(x) < loss(start) and x.min() >= 0 and x.max() <= 1
