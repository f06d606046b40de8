"""Each protocol looks at a picture at the size that its name says; what a device cannot do is one sentence."""

import numpy as np
import pytest
import torch
from PIL import Image

from cgeval.errors import ConfigError
from cgeval.protocols.forward import Forward
from cgeval.scorers.scorer import Scorer
from cgeval.scorers.store import ScorerFile
from tests.cgeval.scorers.by_hand import CLASSES, INFO, Pixels, classes_of, logits_of, pixel_scorer

CPU = torch.device("cpu")
OWN = INFO.size_px
TRUTHS = [(50, 31), (13, 40), (48, 32), OWN]


def pictures(n=3):
    return list(np.random.default_rng(1).integers(0, 256, (n, 12, 9, 3), dtype=np.uint8))


def brought(picture, size):
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))


def forward_of(protocol, truth_size):
    forward = Forward(pixel_scorer(), protocol, CPU)
    return forward.run([forward.prepare(picture, truth_size) for picture in pictures()], truth_size)


@pytest.mark.parametrize("truth_size", TRUTHS)
def test_paper_enlarges_the_picture_and_looks_at_the_truths_size(truth_size):
    found = forward_of("paper", truth_size)
    expected = [classes_of(logits_of(brought(picture, truth_size)), *truth_size) for picture in pictures()]
    assert np.array_equal(found, expected)
    assert set(np.unique(expected)) == set(range(CLASSES + 1))  # the last of them is void


@pytest.mark.parametrize("truth_size", TRUTHS)
def test_scorer_size_looks_at_the_scorers_size_and_enlarges_the_logits(truth_size):
    found = forward_of("scorer-size", truth_size)
    expected = [classes_of(logits_of(brought(picture, OWN)), *truth_size) for picture in pictures()]
    assert np.array_equal(found, expected)
    assert set(np.unique(expected)) == set(range(CLASSES + 1))
    assert found[0].dtype == np.uint8


def test_the_two_protocols_are_two_numbers():
    maps = [forward_of(protocol, (50, 31)) for protocol in ("paper", "scorer-size")]
    assert 0.01 < np.mean(np.not_equal(*maps)) < 0.5


def test_another_protocol_is_refused():
    with pytest.raises(ConfigError, match="protocol is 'papers', and paper or scorer-size is expected"):
        Forward(pixel_scorer(), "papers", CPU)


class Failing(Pixels):
    """A network that meets an error."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, images):
        raise self.error


def run_into(error, n=3, device=CPU):
    forward = Forward(Scorer(ScorerFile(None, INFO), Failing(error)), "paper", device)
    return forward.run([forward.prepare(picture, (50, 31)) for picture in pictures(n)], (50, 31))


SHORT = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nGPU 0 has 10.00 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 18.00 GiB, other allocations: 1 GiB)."),
]


@pytest.mark.parametrize("error", SHORT)
def test_too_little_memory_is_a_sentence_that_names_the_batch_size(error):
    with pytest.raises(ConfigError) as caught:
        run_into(error)
    assert str(caught.value) == (
        "the memory of 'cpu' does not suffice for a --batch-size of 3 at 50 x 31 px: give a smaller --batch-size, or "
        "--device cpu."
    )
    with pytest.raises(ConfigError, match=r"for a --batch-size of 1 at 50 x 31 px: use --device cpu\.$"):
        run_into(error, n=1)


def test_a_defect_is_not_taken_for_a_lack_of_memory():
    with pytest.raises(RuntimeError, match="shapes differ"):
        run_into(RuntimeError("shapes differ"))


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="has an MPS device")
def test_what_apples_device_cannot_do_is_a_sentence():
    """Here it can do nothing at all: torch itself says so."""
    with pytest.raises(ConfigError, match=r"the scorer cannot run on 'mps' \(.*mps.*\): use --device cpu\.$"):
        run_into(None, device=torch.device("mps"))
