"""New fakes go in; a mix of new and earlier fakes for the discriminator comes out (Shrivastava et al. 2017).

Paper, section 4: a buffer of the 50 previously created images. The first `size` images fill it; after that,
with probability 1/2 a random stored image is returned and the new one takes its place, else the new one is
returned and not stored. The draws are a pure function of (seed, step), so the stored images are all the
state there is; slots and choices are tensors, so the exchange can be part of a CUDA graph.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Draws:
    """For each of n new images: the slot it concerns, whether the stored one is used, whether the new one is stored."""

    slot: Tensor
    use_stored: Tensor
    store_new: Tensor


def draw(size: int, seen: int, count: int, rng: np.random.Generator) -> Draws:
    """Decide for `count` new images after `seen` earlier ones; int64 and bool tensors of shape [count] on the host."""
    slot, use_stored, store_new = [], [], []
    for position in range(seen, seen + count):
        filling = position < size
        swap = not filling and size > 0 and bool(rng.random() < 0.5)
        index = int(rng.integers(size)) if size else 0
        slot.append(position if filling else index)
        use_stored.append(swap)
        store_new.append(filling or swap)
    return Draws(torch.tensor(slot), torch.tensor(use_stored), torch.tensor(store_new))


class ImagePool(nn.Module):
    """Up to `size` earlier fakes of shape [3, px, px] in [-1, 1]; size 0 passes images through."""

    images: Tensor

    def __init__(self, size: int, px: int):
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(max(size, 0), 3, px, px))

    @torch.no_grad()
    def exchange(self, new: Tensor, draws: Draws) -> Tensor:
        """Images [N, 3, px, px] for the discriminator; earlier images of the same batch may come back too."""
        if self.size == 0:
            return new.detach()
        return torch.cat([self._exchange_one(new[i : i + 1].detach(), draws, i) for i in range(len(new))])

    def _exchange_one(self, new: Tensor, draws: Draws, i: int) -> Tensor:
        slot = draws.slot[i : i + 1]
        stored = self.images.index_select(0, slot)
        new = new.to(stored.dtype)
        self.images.index_copy_(0, slot, torch.where(draws.store_new[i], new, stored))
        return torch.where(draws.use_stored[i], stored, new)
