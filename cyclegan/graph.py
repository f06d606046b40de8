"""A `TrainStep` on a CUDA device goes in; the same step as one captured CUDA graph comes out.

At batch 1 a GPU finishes the arithmetic of a step in a third of the time that the host needs to launch it; a
graph is launched once. Capturing needs a few real steps to warm up, so the state is put back afterwards.
"""

import torch
from torch import Tensor

from cyclegan.image_pool import Draws
from cyclegan.models.translator import StepDraws
from cyclegan.step import TrainStep

WARM_UP_STEPS = 3


class GraphedStep:
    """Call it like the `TrainStep` that it holds; shapes must stay those of the first call."""

    def __init__(self, step: TrainStep) -> None:
        self.step = step
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, real_a: Tensor, real_b: Tensor, draws: StepDraws) -> Tensor:
        """One step; the returned losses are a copy that later steps leave alone."""
        if self.graph is None:
            self._capture(real_a, real_b, draws)
        assert self.graph is not None
        for static, new in zip(self.inputs, _tensors(real_a, real_b, draws), strict=True):
            static.copy_(new)
        self.graph.replay()
        return self.losses.clone()

    def _capture(self, real_a: Tensor, real_b: Tensor, draws: StepDraws) -> None:
        static_a, static_b, static_draws = real_a.clone(), real_b.clone(), _copied(draws)
        self.inputs = _tensors(static_a, static_b, static_draws)
        before = self._state()
        saved, random = [tensor.clone() for tensor in before], torch.cuda.get_rng_state(self.step.device)
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_STEPS):
                self.step(static_a, static_b, static_draws)
        torch.cuda.current_stream().wait_stream(side)
        self._put_back(before, saved)
        torch.cuda.set_rng_state(random, self.step.device)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.losses = self.step(static_a, static_b, static_draws)

    def _state(self) -> list[Tensor]:
        translator = self.step.translator
        tensors = [*translator.networks.parameters(), *translator.networks.buffers(), *translator.pools.buffers()]
        return tensors + self._optimiser_state()

    def _optimiser_state(self) -> list[Tensor]:
        optimisers = self.step.optimisers.values()
        return [t for optimiser in optimisers for state in optimiser.state.values() for t in state.values()]

    @torch.no_grad()
    def _put_back(self, tensors: list[Tensor], saved: list[Tensor]) -> None:
        """State that the warm-up created (Adam's moments of a fresh run) goes back to zero, the rest to what it was."""
        known = {id(tensor) for tensor in tensors}
        for tensor, value in zip(tensors, saved, strict=True):
            tensor.copy_(value)
        for tensor in self._optimiser_state():
            if id(tensor) not in known:
                tensor.zero_()


def _tensors(real_a: Tensor, real_b: Tensor, draws: StepDraws) -> list[Tensor]:
    pools = [t for d in draws.pools.values() for t in (d.slot, d.use_stored, d.store_new)]
    return [real_a, real_b, *pools, draws.mix]


def _copied(draws: StepDraws) -> StepDraws:
    pools = {name: Draws(d.slot.clone(), d.use_stored.clone(), d.store_new.clone()) for name, d in draws.pools.items()}
    return StepDraws(pools, draws.mix.clone())
