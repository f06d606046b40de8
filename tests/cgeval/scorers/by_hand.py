"""What a scorer should see, with numpy alone: a network that looks at single pixels, and logits enlarged bilinearly."""

from dataclasses import replace

import numpy as np
import torch

from cgeval.labels import Label, LabelSet
from cgeval.scorers.scorer import Scorer
from cgeval.scorers.store import ScorerFile, ScorerInfo

CLASSES, OUTPUTS = 3, 5  # two outputs more than classes, and both are void
MEAN, STD = 127.5, 64.0
WEIGHTS = np.random.default_rng(5).normal(size=(OUTPUTS, 3)).astype(np.float32)
LABELS = LabelSet("three", tuple(Label(i, name, (i, i, i), train_id=i) for i, name in enumerate("abc")))
INFO = ScorerInfo(
    name="pixels",
    kind="smp",
    arguments={},
    labels=LABELS,
    outputs=OUTPUTS,
    size_px=(24, 16),
    protocol="scorer-size",
    mean=(MEAN,) * 3,
    std=(STD,) * 3,
    channels="RGB",
    stride=1,
    trained_on={},
    validation={},
    source={},
    parameters=WEIGHTS.size,
    producer="a test",
    created_at="2024-11-25T00:00:00Z",
)


class Pixels(torch.nn.Module):
    """Logits of each pixel by its colour alone."""

    def __init__(self):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.from_numpy(WEIGHTS), requires_grad=False)

    def forward(self, images):
        return torch.einsum("oc,nchw->nohw", self.weights, images)


def pixel_scorer(**changes):
    return Scorer(ScorerFile(None, replace(INFO, **changes)), Pixels())


def logits_of(photo):
    """float [outputs, h, w] of a photo uint8 [h, w, 3]."""
    return np.einsum("oc,hwc->ohw", WEIGHTS, (photo.astype(np.float32) - MEAN) / STD)


def classes_of(logits, width, height):
    """The class map of logits [outputs, h, w]: enlarged, the highest, and what is no class void."""
    down, across = _shares(logits.shape[1], height), _shares(logits.shape[2], width)
    full = np.einsum("yh,ohw,xw->oyx", down, logits, across)
    return np.minimum(full.argmax(axis=0), CLASSES)


def _shares(before, after):
    """[after, before]: how much of each old place a new one is; a place's middle is at its half."""
    shares = np.zeros((after, before))
    for i in range(after):
        middle = max((i + 0.5) * before / after - 0.5, 0.0)
        low = int(middle)
        shares[i, low] += 1 - (middle - low)
        shares[i, min(low + 1, before - 1)] += middle - low
    return shares
