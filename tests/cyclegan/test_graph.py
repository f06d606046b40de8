"""A step as a CUDA graph: what warming up does must be undone. The graph itself needs a GPU."""

import pytest
import torch

from cyclegan.config import load_config
from cyclegan.graph import GraphedStep
from cyclegan.step import TrainStep
from tests.cyclegan.conftest import SMALL


def images(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.rand(1, 3, 32, 32, generator=generator) * 2 - 1 for _ in "ab")
    return a, b


@pytest.mark.parametrize("steps_before", [0, 4])
def test_warming_up_leaves_no_trace(steps_before):
    """For a fresh step, whose moments the warm-up makes, and for one that has learned, as after a resume."""
    step, twin = (TrainStep(load_config("small", SMALL), torch.device("cpu")) for _ in range(2))
    for number in range(steps_before):
        for one in (step, twin):
            one(*images(number), one.draws(number))
    graphed = GraphedStep(step)
    before = graphed._state()
    saved = [tensor.clone() for tensor in before]
    for _ in range(3):
        step(*images(9), step.draws(9))
    graphed._put_back(before, saved)
    assert all(map(torch.equal, graphed._state(), GraphedStep(twin)._state())) or steps_before == 0
    for number in range(steps_before, steps_before + 3):
        one, other = step(*images(number), step.draws(number)), twin(*images(number), twin.draws(number))
        assert torch.equal(one, other), f"step {number}"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_graphed_step_is_the_eager_one():
    device = torch.device("cuda")
    eager, captured = (
        TrainStep(load_config("small", [*SMALL, "compute.device=cuda", f"compute.cuda_graph={graph}"]), device)
        for graph in ("false", "true")
    )
    graphed = GraphedStep(captured)
    for number in range(6):
        real_a, real_b = (image.to(device) for image in images(number))
        for step in (eager, captured):
            step.set_learning_rate(2e-4 / (1 + number))
        one, other = eager(real_a, real_b, eager.draws(number)), graphed(real_a, real_b, captured.draws(number))
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
