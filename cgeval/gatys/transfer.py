"""Content images and a style go in; stylised images come out, and how much of the loss was left (Gatys et al.).

The story of `stylise`: from coarse to fine, see what the contents look like to the network, start from what the stage
before gave, and let the optimiser move each image of the batch by the gradient of its own loss.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cgeval.errors import ConfigError, NonFiniteLossError
from cgeval.gatys.colours import with_colours_of
from cgeval.gatys.gram import content_loss, gram, style_loss, total_variation
from cgeval.gatys.optimiser import BatchAdam, BatchLBFGS, Optimiser
from cgeval.gatys.settings import GatysSettings, gram_key
from cgeval.gatys.styles import Style, device_of, resized, to_tensor
from cgeval.networks.features import FeatureNetwork

Pictures = NDArray[np.uint8]
NOISE_MEAN = (123.68, 116.779, 103.939)  # of ImageNet
FIRST_MOVE = 0.1  # of a level, on average: far above what float32 resolves of 255, below what can be seen
MOST_GROWTH = 2.0  # of a loss by one step; without a limit some pictures are lost, more often the smaller they are
LOOK_EVERY = 10  # steps; on a GPU a look at the losses waits for all that was asked of it


@dataclass(frozen=True)
class Progress:
    """How far a batch is. done: share of the work, 0 to 1; loss: mean of the images' losses when last looked at."""

    done: float
    loss: float


Tick = Callable[[Progress], None]


@dataclass(frozen=True)
class Stylised:
    """uint8 [n, h, w, 3], and for each image the loss that was left at the full size: all, and its weighted parts."""

    images: Pictures
    losses: tuple[float, ...]
    content_losses: tuple[float, ...]
    style_losses: tuple[float, ...]


@dataclass(frozen=True)
class Parts:
    """Weighted losses of each image, [n]; variation is 0 where it has no weight."""

    content: Tensor
    style: Tensor
    variation: Tensor

    @property
    def total(self) -> Tensor:
        """What is lowered."""
        return self.content + self.style + self.variation


class Objective:
    """The loss of images of one size against their contents and a style as it looks at that scale."""

    def __init__(
        self, network: FeatureNetwork, contents: Tensor, style: Style, settings: GatysSettings, scale: float = 1.0
    ) -> None:
        self.network, self.settings = network, settings
        keys = {layer: gram_key(layer, scale) for layer in settings.style_layers}
        self.grams = {layer: style.grams[key].to(contents.device) for layer, key in keys.items()}
        with torch.no_grad():
            self.target = network(contents, [settings.content_layer])[settings.content_layer].clone()

    def __call__(self, images: Tensor) -> Parts:
        """float32 [n, 3, h, w] in 0..255, not necessarily within."""
        chosen = self.settings
        features = self.network(images, chosen.layers)
        content = content_loss(features[chosen.content_layer], self.target, chosen.gram)
        style = torch.zeros_like(content)
        for layer, weight in zip(chosen.style_layers, chosen.style_weights, strict=True):
            style = style + weight * style_loss(gram(features[layer]), self.grams[layer], chosen.gram)
        variation = torch.zeros_like(content)
        if chosen.total_variation > 0:
            variation = chosen.total_variation * total_variation(images)
        return Parts(chosen.content_weight * content, chosen.style_weight * style, variation)

    def gradients(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Each image's loss, [n], and its gradient, [n, 3, h, w]: losses of different images share no number."""
        moved = images.detach().requires_grad_()
        losses = self(moved).total
        (found,) = torch.autograd.grad(losses.sum(), moved)
        return losses.detach(), found


def stylise(
    network: FeatureNetwork,
    contents: Pictures,
    style: Style,
    settings: GatysSettings,
    tick: Tick = lambda _: None,
    names: Sequence[str] = (),
) -> Stylised:
    """uint8 [n, h, w, 3] to stylised images of the same size; names: what errors call them.

    Each image comes out as it would alone, up to rounding. tick is called after each step, and may raise to end it all.
    Raises ConfigError for a style without the layers, NonFiniteLossError naming the image, DataError for one too small.
    """
    _refuse_missing(style, settings)
    device = device_of(network)
    full = to_tensor(contents, device)
    images, shares = None, _shares(settings)
    for stage, (begun, ended) in zip(settings.stages, shares, strict=True):
        targets = resized(full, stage.scale)
        objective = Objective(network, targets, style, settings, stage.scale)
        images = _start(targets, settings) if images is None else _enlarged(images, targets)

        def told(share: float, loss: float, begun: float = begun, ended: float = ended) -> None:
            tick(Progress(begun + (ended - begun) * share, loss))

        images = _lower(objective, images, stage.steps, told, names)
    assert images is not None
    with torch.no_grad():
        left = objective(images)
    pictures = with_colours_of(images, full) if settings.keep_colours else images
    return Stylised(_pictures(pictures), *(tuple(part.tolist()) for part in (left.total, left.content, left.style)))


def noise(height: int, width: int, seed: int) -> NDArray[np.float32]:
    """[3, h, w]: evenly drawn with a deviation of 1 level about ImageNet's mean; the same on every machine.

    The notebook's own start from noise, which it has as a comment, is normal with that deviation.
    """
    even = np.random.RandomState(seed).random_sample((3, height, width)) * 2 - 1  # a stream that is frozen
    drawn: NDArray[np.float64] = even * np.sqrt(3.0) + np.array(NOISE_MEAN)[:, None, None]
    return drawn.astype(np.float32)


def _lower(
    objective: Objective, images: Tensor, steps: int, told: Callable[[float, float], None], names: Sequence[str]
) -> Tensor:
    """So many steps, fewer where all images are done before; each image where its loss was lowest on the way."""
    images = images.contiguous(memory_format=torch.channels_last)
    optimiser = _optimiser(images, steps, objective.settings)
    best, least, mean = images.clone(), images.new_full((len(images),), torch.inf), 0.0
    for step in range(steps):
        losses, gradients = objective.gradients(images)
        best, least = _better(best, least, images, losses)
        optimiser.step(images, losses, gradients)
        if step % LOOK_EVERY == 0 or images.device.type == "cpu":
            _refuse_non_finite(least, losses, names)
            mean = float(least.mean())
            if bool(optimiser.done.all()):
                break
        told((step + 1) / steps, mean)
    told(1.0, mean)
    with torch.no_grad():
        return _better(best, least, images, objective(images).total)[0]


def _better(best: Tensor, least: Tensor, images: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
    """Each image and its loss where it is lower than the best before; what is no number is not."""
    lower = losses < least
    return torch.where(lower[:, None, None, None], images, best), torch.where(lower, losses, least)


def _optimiser(images: Tensor, steps: int, settings: GatysSettings) -> Optimiser:
    if settings.optimiser == "adam":
        return BatchAdam(images, learning_rate=settings.learning_rate)
    history = max(1, min(settings.history, steps - 1))  # a stage makes no more pairs
    return BatchLBFGS(
        images,
        history=history,
        learning_rate=settings.learning_rate,
        first_move=FIRST_MOVE,
        most_growth=MOST_GROWTH,
    )


def _start(contents: Tensor, settings: GatysSettings) -> Tensor:
    if settings.start == "content":
        return contents.clone()
    drawn = torch.from_numpy(noise(contents.shape[2], contents.shape[3], settings.seed))
    return drawn.to(contents.device).repeat(len(contents), 1, 1, 1)


def _enlarged(images: Tensor, like: Tensor) -> Tensor:
    if images.shape == like.shape:
        return images
    return functional.interpolate(images, like.shape[2:], mode="bicubic", align_corners=False)


def _shares(settings: GatysSettings) -> list[tuple[float, float]]:
    """Where each stage begins and ends in the whole work, which goes with steps and pixels."""
    works = np.array([stage.steps * stage.scale**2 for stage in settings.stages])
    ends = np.cumsum(works) / works.sum()
    return list(zip([0.0, *ends[:-1].tolist()], ends.tolist(), strict=True))


def _pictures(images: Tensor) -> Pictures:
    levels = images.clamp(0, 255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())


def _refuse_missing(style: Style, settings: GatysSettings) -> None:
    missing = [key for key in settings.gram_keys if key not in style.grams]
    if missing:
        raise ConfigError(
            f"the style {style.name!r} has no Gram matrix of {missing[0]}, only of {', '.join(style.grams)}: make the "
            "style with the same layers and stages."
        )


def _refuse_non_finite(least: Tensor, losses: Tensor, names: Sequence[str]) -> None:
    """Raises NonFiniteLossError for the first image that never had a loss that is a number."""
    bad = (~torch.isfinite(least)).nonzero()
    if len(bad) == 0:
        return
    i = int(bad[0])
    which = names[i] if names else f"image {i + 1} of {len(losses)}"
    raise NonFiniteLossError(
        f"the loss of {which} is {float(losses[i])} from the start: lower style_weight and content_weight, or take "
        "other weights for the network."
    )
