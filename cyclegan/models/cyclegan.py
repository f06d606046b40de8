"""CycleGAN (Zhu et al. 2017, arXiv 1703.10593): two generators, two discriminators, a cycle.

The paper's symbols: X = A, Y = B, G = gen_ab, F = gen_ba, D_Y = disc_b, D_X = disc_a.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from cyclegan import losses
from cyclegan.config import ObjectiveName, TrainConfig
from cyclegan.image_pool import ImagePool
from cyclegan.models.generators import build_generator
from cyclegan.models.translator import Losses, Made, Panel, Phase, StepDraws, Translator, in_one_call, pooled
from cyclegan.networks import patchgan


@dataclass(frozen=True)
class Terms:
    """Which terms of the objective are on.

    forward_cycle: |gen_ba(gen_ab(A)) - A|; backward_cycle: |gen_ab(gen_ba(B)) - B| (paper, section 5.1.4, where
    "forward" starts from the source domain, here always A).
    """

    gan: bool
    forward_cycle: bool
    backward_cycle: bool


OBJECTIVES: dict[ObjectiveName, Terms] = {
    "full": Terms(gan=True, forward_cycle=True, backward_cycle=True),
    "cycle_alone": Terms(gan=False, forward_cycle=True, backward_cycle=True),
    "gan_alone": Terms(gan=True, forward_cycle=False, backward_cycle=False),
    "gan_forward_cycle": Terms(gan=True, forward_cycle=True, backward_cycle=False),
    "gan_backward_cycle": Terms(gan=True, forward_cycle=False, backward_cycle=True),
}


class CycleGan(Translator):
    """The paper's method, its ablations by the objective's name."""

    directions = {"AtoB": "gen_ab", "BtoA": "gen_ba"}  # noqa: RUF012
    panels = (
        Panel("real A", "real_a"),
        Panel("fake B", "fake_b"),
        Panel("cycle A", "cycle_a"),
        Panel("real B", "real_b"),
        Panel("fake A", "fake_a"),
        Panel("cycle B", "cycle_b"),
    )

    def __init__(self, config: TrainConfig) -> None:
        self.objective = config.objective
        self.terms = OBJECTIVES[config.objective.name]
        self.identity_a = config.objective.identity_weight * config.objective.cycle_weight_a
        self.identity_b = config.objective.identity_weight * config.objective.cycle_weight_b
        self.exact_batching = config.networks.norm == "instance"
        self.networks = nn.ModuleDict(
            {"gen_ab": build_generator(config.networks), "gen_ba": build_generator(config.networks)}
        )
        generators = Phase("generators", ("gen_ab", "gen_ba"), ("disc_a", "disc_b"), self._generator_losses)
        self.pools = nn.ModuleDict()
        self.phases: tuple[Phase, ...] = (generators,)
        if self.terms.gan:
            self._add_discriminators(config)

    def _add_discriminators(self, config: TrainConfig) -> None:
        net = config.networks
        for name in ("disc_a", "disc_b"):
            norm = "none" if config.objective.gan == "wgan_gp" else net.norm
            self.networks[name] = patchgan(width=net.disc_width, layers=net.disc_layers, norm=norm)
            self.pools[name] = ImagePool(config.optimiser.pool_size, config.data.crop_px)
        self.phases += (Phase("discriminators", ("disc_a", "disc_b"), (), self._discriminator_losses),)

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Terms that are on, the discriminators' last."""
        on = {
            "gan_ab": self.terms.gan,
            "gan_ba": self.terms.gan,
            "cycle_a": self.terms.forward_cycle,
            "cycle_b": self.terms.backward_cycle,
            "identity_a": self.identity_a > 0,
            "identity_b": self.identity_b > 0,
            "disc_a": self.terms.gan,
            "disc_b": self.terms.gan,
        }
        return tuple(name for name, is_on in on.items() if is_on)

    def make(self, real_a: Tensor, real_b: Tensor) -> Made:
        """Translations, cycles and identity images; translation and identity share one call of each generator."""
        made = {"real_a": real_a, "real_b": real_b}
        gen_ab, gen_ba = self.networks["gen_ab"], self.networks["gen_ba"]
        if self.identity_b > 0:
            made["fake_b"], made["identity_b"] = in_one_call(gen_ab, real_a, real_b, exact=self.exact_batching)
        else:
            made["fake_b"] = gen_ab(real_a)
        if self.identity_a > 0:
            made["fake_a"], made["identity_a"] = in_one_call(gen_ba, real_b, real_a, exact=self.exact_batching)
        else:
            made["fake_a"] = gen_ba(real_b)
        if self.terms.forward_cycle:
            made["cycle_a"] = gen_ba(made["fake_b"])
        if self.terms.backward_cycle:
            made["cycle_b"] = gen_ab(made["fake_a"])
        return made

    def show(self, real_a: Tensor, real_b: Tensor) -> Made:
        """Both translations and both cycles, whatever the objective trains."""
        gen_ab, gen_ba = self.networks["gen_ab"], self.networks["gen_ba"]
        fake_b, fake_a = gen_ab(real_a), gen_ba(real_b)
        made = {"real_a": real_a, "fake_b": fake_b, "cycle_a": gen_ba(fake_b)}
        return made | {"real_b": real_b, "fake_a": fake_a, "cycle_b": gen_ab(fake_a)}

    def _generator_losses(self, made: Made, _draws: StepDraws) -> Losses:
        kind, weights = self.objective.gan, self.objective
        terms: Losses = {}
        if self.terms.gan:
            terms["gan_ab"] = losses.generator_loss(kind, self.networks["disc_b"](made["fake_b"]))
            terms["gan_ba"] = losses.generator_loss(kind, self.networks["disc_a"](made["fake_a"]))
        for name, weight, real in (
            ("cycle_a", weights.cycle_weight_a, "real_a"),
            ("cycle_b", weights.cycle_weight_b, "real_b"),
            ("identity_a", self.identity_a, "real_a"),
            ("identity_b", self.identity_b, "real_b"),
        ):
            if name in made:
                terms[name] = weight * losses.absolute_difference(made[name], made[real])
        return terms

    def _discriminator_losses(self, made: Made, draws: StepDraws) -> Losses:
        return {
            "disc_a": self._discriminator_loss("disc_a", made["real_a"], made["fake_a"], draws),
            "disc_b": self._discriminator_loss("disc_b", made["real_b"], made["fake_b"], draws),
        }

    def _discriminator_loss(self, name: str, real: Tensor, new_fake: Tensor, draws: StepDraws) -> Tensor:
        network, kind = self.networks[name], self.objective.gan
        fake = pooled(self.pools, name, new_fake, draws)
        loss = losses.discriminator_loss(kind, *in_one_call(network, real, fake, exact=self.exact_batching))
        if kind == "wgan_gp":
            loss = loss + self.objective.gradient_penalty * losses.gradient_penalty(network, real, fake, draws.mix)
        return loss
