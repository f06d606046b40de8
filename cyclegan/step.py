"""Two batches of real images go in; every network has learned once, and the loss terms come out.

One step is: make the images (`Translator.make`), then for each phase losses -> backward -> Adam. Everything the
step needs arrives as tensors of fixed shape, so the whole step can be captured as one CUDA graph.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan import image_pool
from cyclegan.config import TrainConfig
from cyclegan.distributed import World, average_gradients
from cyclegan.models import TRANSLATORS, Translator
from cyclegan.models.translator import Phase, StepDraws
from cyclegan.networks import initialise
from cyclegan.winograd import shared_weight_transforms

DRAW_STREAM = 0x5EED


class TrainStep:
    """A translator with its optimisers on one device; calling it is one optimiser step of every phase.

    losses: names of the returned terms. The result is a float32 tensor of that length on the device, so that
    nothing waits for it.
    """

    def __init__(self, config: TrainConfig, device: torch.device, world: World | None = None) -> None:
        self.config, self.device, self.world = config, device, world or World()
        self.translator = build_translator(config).to_device(device, config.compute.channels_last)
        self.optimisers = {phase.name: self._adam(phase) for phase in self.translator.phases}
        self.losses = self.translator.loss_names
        if config.compute.compile != "off":
            compile_networks(self.translator, config.compute.compile)

    def __call__(self, real_a: Tensor, real_b: Tensor, draws: StepDraws) -> Tensor:
        """float32 [N, 3, px, px] in [-1, 1] twice, on the device, and the step's random decisions."""
        terms: dict[str, Tensor] = {}
        with shared_weight_transforms(self.translator.networks):
            with self._precision():
                made = self.translator.make(real_a, real_b)
            for phase in self.translator.phases:
                terms |= self._learn(phase, made, draws)
        return torch.stack([terms[name].detach().float() for name in self.losses])

    def set_learning_rate(self, rate: float) -> None:
        """Set the rate of every optimiser, in place where it is a tensor inside a CUDA graph."""
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    def draws(self, step: int) -> StepDraws:
        """The random decisions of step number `step` (from 0): a pure function of the seed, the step and the rank."""
        rng = np.random.Generator(
            np.random.Philox(key=[self.config.seed, DRAW_STREAM], counter=[0, 0, self.world.rank, step])
        )
        count, size = self.config.optimiser.batch_size, self.config.optimiser.pool_size
        pools = {name: image_pool.draw(size, step * count, count, rng) for name in self.translator.pools}
        mix = torch.from_numpy(rng.random((count, 1, 1, 1), dtype=np.float32))
        return to_device(StepDraws(pools, mix), self.device)

    def _learn(self, phase: Phase, made: dict[str, Tensor], draws: StepDraws) -> dict[str, Tensor]:
        optimiser = self.optimisers[phase.name]
        optimiser.zero_grad(set_to_none=True)
        with held(self.translator.networks, phase.holds):
            with self._precision():
                terms = phase.losses(made, draws)
                total = torch.stack([term.float() for term in terms.values()]).sum()
            torch.autograd.backward(total)
        average_gradients((p for group in optimiser.param_groups for p in group["params"]), self.world)
        optimiser.step()
        return terms

    def _adam(self, phase: Phase) -> torch.optim.Adam:
        settings, on_gpu = self.config.optimiser, self.device.type == "cuda"
        networks = [self.translator.networks[name] for name in phase.trains]
        trained = [p for network in networks for p in network.parameters() if p.requires_grad]
        captured = on_gpu and (self.config.compute.cuda_graph or self.config.compute.compile != "off")
        rate: float | Tensor = settings.learning_rate
        if captured:
            rate = torch.tensor(rate, device=self.device)
        fused = self.device.type in ("cpu", "cuda")  # one pass over the memory in place of six
        return torch.optim.Adam(
            trained, lr=rate, betas=(settings.beta1, settings.beta2), fused=fused, capturable=captured
        )

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.compute.precision == "bf16")


def build_translator(config: TrainConfig) -> Translator:
    """The configured translator with freshly initialised weights, a pure function of the seed."""
    translator = TRANSLATORS[config.translator](config)
    generator = torch.Generator().manual_seed(config.seed)
    for name in sorted(translator.networks):
        initialise(translator.networks[name], generator, config.networks.init_std)
    return translator


def compile_networks(translator: Translator, mode: str) -> None:
    """Compile each network's forward in place; names in the state dict stay as they are.

    Once for each of the two or three batch sizes that a step uses: one program for all of them would be slower, and
    the compiler fails on it.
    """
    for network in translator.networks.values():
        network.compile(mode=mode, dynamic=False)


def to_device(draws: StepDraws, device: torch.device) -> StepDraws:
    """The same decisions as tensors on the device."""
    moved = {
        name: image_pool.Draws(d.slot.to(device), d.use_stored.to(device), d.store_new.to(device))
        for name, d in draws.pools.items()
    }
    return StepDraws(moved, draws.mix.to(device))


@contextmanager
def held(networks: nn.ModuleDict, names: tuple[str, ...]) -> Iterator[None]:
    """Hold these networks fixed: gradients pass through them, none is computed for their weights."""
    parameters = [p for name in names if name in networks for p in networks[name].parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
