"""L-BFGS over a batch: against torch's own on one image, and against itself on each image alone."""

import pytest
import torch

from cgeval.gatys.optimiser import BatchAdam, BatchLBFGS
from cgeval.gatys.styles import to_tensor
from cgeval.gatys.transfer import Objective
from tests.cgeval.gatys.small_vgg import pictures, quick, small_vgg, style

SHAPE = (3, 7, 9)


def start(count=3, seed=0, dtype=torch.float64):
    return torch.randn((count, *SHAPE), generator=torch.Generator().manual_seed(seed), dtype=dtype)


def valley(x):
    """[n, ...] to [n]: Rosenbrock's curved valley along each vector, so that L-BFGS is busy for long."""
    v = x.flatten(1)
    return (100 * (v[:, 1:] - v[:, :-1] ** 2) ** 2 + (1 - v[:, :-1]) ** 2).sum(dim=1)


def mountain_pass(x):
    """A bowl in some directions and a hilltop in others: down from there, moves go without curvature."""
    v = x.flatten(1)
    return (50 * v[:, ::2] ** 2).sum(dim=1) + (20 * torch.cos(0.1 * v[:, 1::2])).sum(dim=1)


def ours(loss, images, steps, **settings):
    """All positions on the way, [steps, n, ...]."""
    x = images.clone()
    optimiser = BatchLBFGS(x, **{"history": 100, **settings})
    path = []
    for _ in range(steps):
        optimiser.step(x, *there(loss, x))
        path.append(x.clone())
    return torch.stack(path)


def there(loss, x):
    """Losses and gradients."""
    moved = x.clone().requires_grad_()
    losses = loss(moved)
    return losses.detach(), torch.autograd.grad(losses.sum(), moved)[0]


def torchs(loss, image, steps, history=100):
    """The same by torch.optim.LBFGS, for one image."""
    x = image.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([x], max_iter=steps, max_eval=10 * steps, history_size=history)
    path = []

    def closure():
        optimiser.zero_grad()
        path.append(x.detach().clone())
        value = loss(x).sum()
        value.backward()
        return value

    optimiser.step(closure)
    return torch.stack([*path[1:], x.detach()])


@pytest.mark.parametrize("history", [1, 4, 100])
def test_one_image_goes_where_torchs_lbfgs_goes(history):
    image = start(1)
    torch.testing.assert_close(
        ours(valley, image, 40, history=history), torchs(valley, image, 40, history), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("seed", [3, 11])
def test_a_move_without_curvature_makes_no_pair_as_in_torch(seed):
    image = start(1, seed=seed)
    path = torchs(mountain_pass, image, 12, history=3)
    torch.testing.assert_close(ours(mountain_pass, image, 12, history=3), path, rtol=1e-5, atol=1e-5)
    curvatures = [curvature(mountain_pass, *ends) for ends in zip([image, *path[:-1]], path, strict=True)]
    assert curvatures[0] > 1e-10
    assert min(curvatures) <= 1e-10, "else this tests nothing"


def curvature(loss, before, after):
    """The change of the gradient along the move."""
    _, gradient = there(loss, torch.cat([before, after]))
    return float(((gradient[1] - gradient[0]) * (after - before)[0]).sum())


def test_on_a_network_one_image_goes_where_torchs_lbfgs_goes():
    network, settings = small_vgg(), quick("stages=1:1")
    contents = to_tensor(pictures(1), torch.device("cpu")).contiguous()  # torch's takes no other order of memory
    objective = Objective(network, contents, style(network, settings), settings)

    def loss(x):
        return objective(x).total

    mine, theirs = ours(loss, contents, 15), torchs(loss, contents, 15)
    assert float((mine[-1] - contents).abs().mean()) > 1, "it moved by levels"
    torch.testing.assert_close(mine, theirs, rtol=0, atol=0.05)


@pytest.mark.parametrize("loss", [valley, mountain_pass])
def test_a_batch_gives_what_each_image_gives_alone(loss):
    images = start(4, seed=1)
    images[2] *= 0.01  # another scale, another first step, other pairs refused
    together = ours(loss, images, 15, history=5)
    for i in range(4):
        alone = ours(loss, images[i : i + 1], 15, history=5)
        torch.testing.assert_close(together[:, i : i + 1], alone, rtol=1e-6, atol=1e-6)


def test_one_lbfgs_of_torchs_over_the_batch_would_not():
    """The mistake that this module is there for."""
    images = start(2, seed=2)
    coupled = torchs(valley, images, 20)[:, :1]
    assert float((coupled - torchs(valley, images[:1], 20)).abs().max()) > 1e-3


def test_the_order_of_the_images_does_not_matter():
    images, order = start(4, seed=4), [2, 0, 3, 1]
    torch.testing.assert_close(ours(valley, images, 20)[:, order], ours(valley, images[order], 20))


def test_an_image_at_its_minimum_is_done_and_stays_while_others_move():
    images = torch.cat([torch.ones(1, *SHAPE, dtype=torch.float64), start(1, seed=5)])
    x = images.clone()
    optimiser = BatchLBFGS(x, history=5)
    for _ in range(10):
        optimiser.step(x, *there(valley, x))
    assert optimiser.done.tolist() == [True, False]
    assert torch.equal(x[0], images[0])
    torch.testing.assert_close(x[1:], ours(valley, images[1:], 10, history=5)[-1])


def test_an_image_that_arrives_is_done_and_its_neighbour_goes_on():
    def bowls(x):
        bowl = 50 * (x[0] ** 2).sum()
        return torch.stack([bowl, valley(x[1:])[0]]) if len(x) == 2 else valley(x)

    images = start(2, seed=6)
    path = ours(bowls, images, 60)
    assert torch.equal(path[-1, 0], path[20, 0]), "it stays where it is"
    assert float(path[-1, 0].abs().max()) < 1e-6
    torch.testing.assert_close(path[:, 1:], ours(valley, images[1:], 60), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1e6])
def test_the_size_of_the_loss_does_not_matter(size):
    """With torch's absolute thresholds a small loss never takes a pair, and the image stands still."""
    images = start(1, seed=7)
    expected = ours(valley, images, 25)
    torch.testing.assert_close(ours(lambda x: size * valley(x), images, 25), expected, rtol=1e-6, atol=1e-8)
    assert float((torchs(lambda x: 1e-12 * valley(x), images, 25)[-1] - images).abs().max()) < 1e-6


def test_an_image_whose_first_moves_show_no_curvature_is_not_thrown_out_of_sight():
    """Under a large loss torch goes by its whole gradient then, millions of levels far."""

    def hole(x):  # curved downwards outside, upwards inside
        return 1e9 - 1e9 / (1 + (x.flatten(1) ** 2).sum(dim=1) / 900)

    image = 5 * start(1, seed=8)
    theirs, mine = torchs(hole, image, 3), ours(hole, image, 25)
    assert float(theirs[1].abs().max()) > 1e5
    assert float(mine.abs().max()) < 100
    assert float(hole(mine[-1])) < 1e-2 * float(hole(image))


def test_a_move_to_a_much_larger_loss_is_taken_back_but_for_a_tenth():
    def walled(x):  # no gradient tells of the wall before it is hit
        return valley(x) + torch.where(x.flatten(1)[:, 0] < 3, 1e9, 0.0)

    images = start(2, seed=12)
    images[1].view(-1)[0] = 3.001
    x, path, losses = images.clone(), [images], []
    optimiser = BatchLBFGS(x, history=5, most_growth=2.0)
    for _ in range(12):
        found, gradients = there(walled, x)
        optimiser.step(x, found, gradients)
        losses.append(float(found[1]))
        path.append(x.clone())
    hit = next(i for i, loss in enumerate(losses) if loss > 1e9)
    before, there_it_was, after = (each[1] for each in path[hit - 1 : hit + 2])
    torch.testing.assert_close(after, before + (there_it_was - before) / 10)
    alone = ours(walled, images[:1], 12, history=5, most_growth=2.0)
    torch.testing.assert_close(torch.stack(path[1:])[:, :1], alone, rtol=1e-6, atol=1e-9)


def test_a_loss_that_is_no_number_is_taken_back_and_its_neighbour_does_not_notice():
    def pit(x):
        return torch.where((x.flatten(1).norm(dim=1) < 3)[:, None], torch.nan, x.flatten(1)).square().sum(dim=1)

    images = torch.cat([start(1, seed=13), start(1, seed=14)])

    def both(x):
        return torch.cat([pit(x[:1]), valley(x[1:])])

    x = images.clone()
    optimiser = BatchLBFGS(x, history=5)
    for _ in range(10):
        optimiser.step(x, *there(both, x))
        assert torch.isfinite(x).all()
    torch.testing.assert_close(x[1:], ours(valley, images[1:], 10, history=5)[-1])


def test_float32_is_as_good_as_the_two_loop_recursion():
    images = start(1, seed=9, dtype=torch.float32)
    exact = ours(valley, images.double(), 12)
    mine = (ours(valley, images, 12).double() - exact).abs().max()
    theirs = (torchs(valley, images, 12).double() - exact).abs().max()
    assert float(mine) < 10 * float(theirs) + 1e-6


def test_adam_moves_a_batch_as_each_image_alone():
    images = start(3, seed=10)

    def path(batch):
        x = batch.clone()
        optimiser = BatchAdam(x, learning_rate=0.1)
        for _ in range(5):
            optimiser.step(x, *there(valley, x))
        return x

    together = path(images)
    assert not torch.equal(together, images)
    for i in range(3):
        assert torch.equal(together[i : i + 1], path(images[i : i + 1]))
