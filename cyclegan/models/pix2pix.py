"""pix2pix (Isola et al. 2017, arXiv 1611.07004): a conditional GAN with an L1 term, for paired data.

One generator, in the direction that the configuration names. Dropout stays on and batch norm uses the single
image's statistics when it translates (section 3.4).
"""

import torch
from torch import Tensor, nn

from cgeval.errors import ConfigError
from cyclegan import losses
from cyclegan.config import TrainConfig
from cyclegan.models.generators import build_generator
from cyclegan.models.translator import Losses, Made, Panel, Phase, StepDraws, Translator, in_one_call
from cyclegan.networks import patchgan


class Pix2Pix(Translator):
    """Generator and conditional PatchGAN; the discriminator learns first in each step, as in the reference."""

    needs_pairs = True
    noisy_at_test = True

    def __init__(self, config: TrainConfig) -> None:
        if config.objective.name != "full":
            raise ConfigError(
                f"objective.name = {config.objective.name!r} belongs to cyclegan; pix2pix has only 'full'."
            )
        if config.optimiser.pool_size:
            raise ConfigError(
                "pix2pix judges a fake beside its own input, so it has no pool: set optimiser.pool_size=0."
            )
        net, forwards = config.networks, config.direction == "AtoB"
        self.objective = config.objective
        self.source, self.target = ("a", "b") if forwards else ("b", "a")
        self.generator = "gen_ab" if forwards else "gen_ba"
        self.discriminator = f"disc_{self.target}"
        self.exact_batching = net.norm == "instance"
        self.directions = {config.direction: self.generator}
        norm = "none" if config.objective.gan == "wgan_gp" else net.norm
        judge = patchgan(in_channels=6, width=net.disc_width, layers=net.disc_layers, norm=norm)
        self.networks = nn.ModuleDict({self.generator: build_generator(net), self.discriminator: judge})
        self.pools = nn.ModuleDict()
        self.phases = (
            Phase("discriminators", (self.discriminator,), (), self._discriminator_losses),
            Phase("generators", (self.generator,), (self.discriminator,), self._generator_losses),
        )
        self.panels = (
            Panel(f"input {self.source.upper()}", f"real_{self.source}"),
            Panel(f"fake {self.target.upper()}", f"fake_{self.target}"),
            Panel(f"real {self.target.upper()}", f"real_{self.target}"),
        )

    @property
    def loss_names(self) -> tuple[str, ...]:
        """The discriminator's, the adversarial and the L1 term."""
        return (self.discriminator, f"gan_{self.source}{self.target}", "l1")

    def make(self, real_a: Tensor, real_b: Tensor) -> Made:
        """The translation of the source."""
        made = {"real_a": real_a, "real_b": real_b}
        made[f"fake_{self.target}"] = self.networks[self.generator](made[f"real_{self.source}"])
        return made

    def show(self, real_a: Tensor, real_b: Tensor) -> Made:
        """As `make`, one image at a time, since batch norm uses the single image's statistics."""
        each = [self.make(real_a[i : i + 1], real_b[i : i + 1]) for i in range(len(real_a))]
        return {key: torch.cat([made[key] for made in each]) for key in each[0]}

    def _discriminator_losses(self, made: Made, draws: StepDraws) -> Losses:
        source, network = made[f"real_{self.source}"], self.networks[self.discriminator]
        real = torch.cat([source, made[f"real_{self.target}"]], 1)
        fake = torch.cat([source, made[f"fake_{self.target}"].detach()], 1)
        scores = in_one_call(network, real, fake, exact=self.exact_batching)
        loss = losses.discriminator_loss(self.objective.gan, *scores)
        if self.objective.gan == "wgan_gp":
            penalty = losses.gradient_penalty(network, real, fake, draws.mix)
            loss = loss + self.objective.gradient_penalty * penalty
        return {self.discriminator: loss}

    def _generator_losses(self, made: Made, _draws: StepDraws) -> Losses:
        source, fake = made[f"real_{self.source}"], made[f"fake_{self.target}"]
        scores = self.networks[self.discriminator](torch.cat([source, fake], 1))
        distance = losses.absolute_difference(fake, made[f"real_{self.target}"])
        return {
            f"gan_{self.source}{self.target}": losses.generator_loss(self.objective.gan, scores),
            "l1": self.objective.l1_weight * distance,
        }
