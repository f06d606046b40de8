"""The pool of earlier fakes does what Shrivastava et al. describe, image by image."""

import numpy as np
import torch

from cyclegan.image_pool import ImagePool, draw


def images(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).contiguous()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_fills_first_and_returns_the_new_images():
    pool = ImagePool(3, 2)
    for step, value in enumerate([1.0, 2.0, 3.0]):
        assert pool.exchange(images(value), draw(3, step, 1, rng())).unique() == value
    assert pool.images[:, 0, 0, 0].tolist() == [1, 2, 3]


def test_afterwards_swaps_or_passes_through_exactly():
    pool, stream = ImagePool(3, 2), rng(1)
    held: list[float] = []
    swaps = 0
    for step in range(400):
        draws = draw(3, step, 1, stream)
        out = pool.exchange(images(float(step)), draws)[0, 0, 0, 0].item()
        if len(held) < 3:
            held.append(float(step))
            assert out == step
        elif draws.use_stored.item():
            slot = int(draws.slot)
            assert out == held[slot]
            held[slot] = float(step)
            swaps += 1
        else:
            assert out == step
        assert pool.images[: len(held), 0, 0, 0].tolist() == held
    assert 160 < swaps < 240


def test_slots_are_uniform():
    slots = [int(draw(50, 100 + i, 1, rng(i)).slot) for i in range(5000)]
    counts = np.bincount(slots, minlength=50)
    assert counts.min() > 60
    assert counts.max() < 145


def test_images_of_one_batch_are_taken_in_turn():
    one, other, stream = ImagePool(2, 2), ImagePool(2, 2), rng(3)
    values = [float(i) for i in range(8)]
    draws = draw(2, 0, 8, stream)
    together = one.exchange(images(*values), draws)
    alone = [
        other.exchange(
            images(v), type(draws)(draws.slot[i : i + 1], draws.use_stored[i : i + 1], draws.store_new[i : i + 1])
        )
        for i, v in enumerate(values)
    ]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(one.images, other.images)


def test_size_zero_passes_through_without_gradient():
    new = images(1.0).requires_grad_()
    out = ImagePool(0, 2).exchange(new, draw(0, 10, 1, rng()))
    assert torch.equal(out, new)
    assert not out.requires_grad
