"""Sizes and two batches go in; what the PyTorch reference computes for them comes out, in plain eager PyTorch.

The oracle of the tests and the other side of the benchmarks: a transcription, in our own words and without
`cyclegan`, of the networks and of one training step of junyanz/pytorch-CycleGAN-and-pix2pix ("the reference").
Names are the reference's: G_A translates A to B, and D_A judges domain B, since it is G_A's opponent. ReLUs
work in place, biases that a norm cancels are computed, and nothing shares a call, as there.
"""

import random
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

LOSSES = ("D_A", "G_A", "cycle_A", "idt_A", "D_B", "G_B", "cycle_B", "idt_B")
LEARNING_RATE, BETAS = 2e-4, (0.5, 0.999)

MakeNorm = Callable[[int], nn.Module]
Choice = Callable[[], int | None]


class PlainBlock(nn.Module):
    """A residual block at `width` channels; with dropout its second convolution is layer 6 instead of 5."""

    def __init__(self, width: int, dropout: bool) -> None:
        super().__init__()
        noise = [nn.Dropout(0.5)] if dropout else []
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
            nn.ReLU(True),
            *noise,
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the same shape."""
        return x + self.conv_block(x)  # type: ignore[no-any-return]


class PlainNetwork(nn.Module):
    """Layers one after the other under the name `model`, as the reference stores every network."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, C, H, W] to what the last layer gives."""
        return self.model(x)  # type: ignore[no-any-return]


class PlainUnet(nn.Module):
    """The outermost level under the name `model` once more."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = PlainNetwork(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, 3, H, W] to the same shape."""
        return self.model(x)  # type: ignore[no-any-return]


class PlainSkip(PlainNetwork):
    """One level of the U-Net: its input stands beside the result in the channels.

    The leaky ReLU at the head works in place, so what stands beside is already leaky; the ReLU that follows on
    the level outside makes that no difference.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, 2 C, H, W]."""
        return torch.cat([x, self.model(x)], 1)


def plain_resnet(blocks: int, width: int = 64, *, dropout: bool = False) -> PlainNetwork:
    """The ResNet generator with instance norm, RGB to RGB."""
    w, norm = width, nn.InstanceNorm2d
    return PlainNetwork(
        nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), norm(w), nn.ReLU(True),
        nn.Conv2d(w, 2 * w, 3, 2, 1), norm(2 * w), nn.ReLU(True),
        nn.Conv2d(2 * w, 4 * w, 3, 2, 1), norm(4 * w), nn.ReLU(True),
        *[PlainBlock(4 * w, dropout) for _ in range(blocks)],
        nn.ConvTranspose2d(4 * w, 2 * w, 3, 2, 1, 1), norm(2 * w), nn.ReLU(True),
        nn.ConvTranspose2d(2 * w, w, 3, 2, 1, 1), norm(w), nn.ReLU(True),
        nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh(),
    )  # fmt: skip


def plain_patchgan(width: int = 64, *, channels: int = 3, norm: MakeNorm = nn.InstanceNorm2d) -> PlainNetwork:
    """The 70 x 70 discriminator; convolutions before a batch norm have no bias."""
    w, bias = width, _has_bias(norm)
    return PlainNetwork(
        nn.Conv2d(channels, w, 4, 2, 1), nn.LeakyReLU(0.2, True),
        nn.Conv2d(w, 2 * w, 4, 2, 1, bias=bias), norm(2 * w), nn.LeakyReLU(0.2, True),
        nn.Conv2d(2 * w, 4 * w, 4, 2, 1, bias=bias), norm(4 * w), nn.LeakyReLU(0.2, True),
        nn.Conv2d(4 * w, 8 * w, 4, 1, 1, bias=bias), norm(8 * w), nn.LeakyReLU(0.2, True),
        nn.Conv2d(8 * w, 1, 4, 1, 1),
    )  # fmt: skip


def plain_unet(downs: int, width: int = 64, *, dropout: bool = True, norm: MakeNorm = nn.BatchNorm2d) -> PlainUnet:
    """The U-Net generator: 8 halvings for 256 px, 7 for 128; dropout in its levels of 8 * width channels."""
    w, bias = width, _has_bias(norm)
    level: nn.Module = PlainSkip(
        nn.LeakyReLU(0.2, True), nn.Conv2d(8 * w, 8 * w, 4, 2, 1, bias=bias),
        nn.ReLU(True), nn.ConvTranspose2d(8 * w, 8 * w, 4, 2, 1, bias=bias), norm(8 * w),
    )  # fmt: skip
    sizes = [(8, 8)] * (downs - 5) + [(4, 8), (2, 4), (1, 2)]
    for position, (outer, inner) in enumerate(sizes):
        noise = [nn.Dropout(0.5)] if dropout and position < downs - 5 else []
        level = PlainSkip(
            nn.LeakyReLU(0.2, True), nn.Conv2d(outer * w, inner * w, 4, 2, 1, bias=bias), norm(inner * w),
            level,
            nn.ReLU(True), nn.ConvTranspose2d(2 * inner * w, outer * w, 4, 2, 1, bias=bias), norm(outer * w), *noise,
        )  # fmt: skip
    first, last = nn.Conv2d(3, w, 4, 2, 1, bias=bias), nn.ConvTranspose2d(2 * w, 3, 4, 2, 1)
    return PlainUnet(first, level, nn.ReLU(True), last, nn.Tanh())


class PlainPool:
    """The last `size` fakes or so; choose() says which stored one to swap for the new one, or None for no swap."""

    def __init__(self, size: int, choose: Choice) -> None:
        self.size, self.choose = size, choose
        self.images: list[Tensor] = []

    def query(self, fakes: Tensor) -> Tensor:
        """[N, 3, px, px] to the images that the discriminator sees in their place."""
        return torch.cat([self._one(fake.detach()[None]) for fake in fakes])

    def _one(self, fake: Tensor) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(fake)
            return fake
        slot = self.choose()
        if slot is None:
            return fake
        old = self.images[slot].clone()
        self.images[slot] = fake
        return old


def fair_choice(size: int, seed: int) -> Choice:
    """With probability 1/2 a slot below `size`, each as likely as the others, else None."""
    rng = random.Random(seed)
    return lambda: rng.randrange(size) if rng.random() > 0.5 else None


class PlainStep:
    """The four networks with their two optimisers and pools; calling it trains them once.

    networks: any modules under the names G_A, G_B, D_A and D_B; pool_choices: for the fakes of B and of A.
    """

    def __init__(
        self,
        networks: dict[str, nn.Module],
        *,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        pool_size: int = 50,
        pool_choices: tuple[Choice, Choice] | None = None,
    ) -> None:
        self.networks, self.cycle_weight, self.identity_weight = networks, cycle_weight, identity_weight
        choices = pool_choices or (fair_choice(pool_size, 0), fair_choice(pool_size, 1))
        self.fake_b_pool, self.fake_a_pool = (PlainPool(pool_size, choice) for choice in choices)
        self.optimiser_g = torch.optim.Adam(self._parameters("G_A", "G_B"), LEARNING_RATE, BETAS)
        self.optimiser_d = torch.optim.Adam(self._parameters("D_A", "D_B"), LEARNING_RATE, BETAS)
        self.mse, self.l1 = nn.MSELoss(), nn.L1Loss()

    def __call__(self, real_a: Tensor, real_b: Tensor) -> dict[str, Tensor]:
        """float32 [N, 3, px, px] in [-1, 1] twice; the eight losses by name, detached, in the order of LOSSES."""
        gen_a, gen_b = self.networks["G_A"], self.networks["G_B"]
        fake_b = gen_a(real_a)
        rec_a = gen_b(fake_b)
        fake_a = gen_b(real_b)
        rec_b = gen_a(fake_a)

        self._freeze_discriminators(True)
        self.optimiser_g.zero_grad()
        losses = self._identity(real_a, real_b)
        losses["G_A"] = self._says(self.networks["D_A"](fake_b), 1.0)
        losses["G_B"] = self._says(self.networks["D_B"](fake_a), 1.0)
        losses["cycle_A"] = self.cycle_weight * self.l1(rec_a, real_a)
        losses["cycle_B"] = self.cycle_weight * self.l1(rec_b, real_b)
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        self.optimiser_g.step()

        self._freeze_discriminators(False)
        self.optimiser_d.zero_grad()
        losses["D_A"] = self._discriminate("D_A", real_b, self.fake_b_pool.query(fake_b))
        losses["D_B"] = self._discriminate("D_B", real_a, self.fake_a_pool.query(fake_a))
        self.optimiser_d.step()
        return {name: losses[name].detach() for name in LOSSES if name in losses}

    def _identity(self, real_a: Tensor, real_b: Tensor) -> dict[str, Tensor]:
        if self.identity_weight == 0:
            return {}
        weight = self.cycle_weight * self.identity_weight
        of_a = weight * self.l1(self.networks["G_A"](real_b), real_b)
        of_b = weight * self.l1(self.networks["G_B"](real_a), real_a)
        return {"idt_A": of_a, "idt_B": of_b}

    def _discriminate(self, name: str, real: Tensor, fake: Tensor) -> Tensor:
        network = self.networks[name]
        on_real = self._says(network(real), 1.0)
        on_fake = self._says(network(fake.detach()), 0.0)
        loss = (on_real + on_fake) * 0.5
        torch.autograd.backward(loss)
        return loss

    def _says(self, scores: Tensor, target: float) -> Tensor:
        return self.mse(scores, torch.full_like(scores, target))  # type: ignore[no-any-return]

    def _freeze_discriminators(self, frozen: bool) -> None:
        for parameter in self._parameters("D_A", "D_B"):
            parameter.requires_grad = not frozen

    def _parameters(self, *names: str) -> Iterator[nn.Parameter]:
        for name in names:
            yield from self.networks[name].parameters()


def plain_networks(blocks: int, width: int = 64, disc_width: int = 64) -> dict[str, nn.Module]:
    """The four networks of CycleGAN by the reference's names, initialised N(0, 0.02) from torch's random state."""
    networks: dict[str, nn.Module] = {
        "G_A": plain_resnet(blocks, width),
        "G_B": plain_resnet(blocks, width),
        "D_A": plain_patchgan(disc_width),
        "D_B": plain_patchgan(disc_width),
    }
    for network in networks.values():
        for layer in network.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(layer.weight, 0.0, 0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    return networks


def _has_bias(norm: MakeNorm) -> bool:
    return norm is nn.InstanceNorm2d
