"""A random generator goes in; a street comes out as plain numbers in metres: ground, facades, things, light.

The camera stands at the origin, 1.5 m above the road, and looks along z; X runs to the right, Y upwards.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Colour = tuple[float, float, float]
Kind = Literal["car", "truck", "bus", "person", "rider", "tree", "lamp", "traffic_light", "traffic_sign", "bin"]
CAMERA_M = 1.5
FAR_M = 90.0

FACADES: tuple[Colour, ...] = (
    (0.62, 0.42, 0.34),
    (0.74, 0.66, 0.54),
    (0.58, 0.58, 0.56),
    (0.70, 0.58, 0.42),
    (0.50, 0.36, 0.32),
    (0.78, 0.74, 0.68),
)
PAINTS: tuple[Colour, ...] = (
    (0.75, 0.10, 0.10),
    (0.12, 0.22, 0.50),
    (0.82, 0.82, 0.82),
    (0.16, 0.16, 0.18),
    (0.55, 0.57, 0.60),
    (0.15, 0.36, 0.26),
)
CLOTHES: tuple[Colour, ...] = (
    (0.55, 0.12, 0.16),
    (0.15, 0.25, 0.55),
    (0.65, 0.55, 0.20),
    (0.20, 0.20, 0.22),
    (0.25, 0.45, 0.35),
)
SIZES: dict[Kind, tuple[float, float]] = {  # width, height in metres
    "car": (1.85, 1.5), "truck": (2.5, 3.3), "bus": (2.6, 3.1), "person": (0.75, 1.75), "rider": (0.85, 1.85),
    "tree": (4.2, 6.0), "lamp": (1.3, 6.0), "traffic_light": (0.6, 3.6), "traffic_sign": (0.8, 2.9), "bin": (0.6, 0.95),
}  # fmt: skip


@dataclass(frozen=True)
class Facade:
    """A stretch of one side of the street, from z = near to z = far; `material` decides its class and texture."""

    side: Literal[-1, 1]
    near: float
    far: float
    height: float
    colour: Colour
    material: Literal["building", "wall", "fence", "hedge"]
    storey: float
    bay: float


@dataclass(frozen=True)
class Thing:
    """Something that stands on the ground, seen from the front."""

    kind: Kind
    x: float
    z: float
    width: float
    height: float
    colour: Colour
    variant: float


@dataclass(frozen=True)
class Light:
    """sun_side: where the sun stands; warmth and strength in [0, 1]; haze: share of sky colour at FAR_M."""

    sun_side: Literal[-1, 1]
    warmth: float
    strength: float
    haze: float
    clouds: float


@dataclass(frozen=True)
class Scene:
    """One street. vanishing: place of the vanishing point as a share of the picture's width and height."""

    vanishing: tuple[float, float]
    road_half: float
    pavement: float
    verge: float
    crossing: float | None
    facades: tuple[Facade, ...]
    things: tuple[Thing, ...]
    light: Light
    noise_seed: int

    @property
    def wall_x(self) -> float:
        """Distance of the facades from the middle of the road."""
        return self.road_half + self.pavement + self.verge


def random_scene(rng: np.random.Generator) -> Scene:
    """Draw a street."""
    road_half, pavement = rng.uniform(3.4, 5.0), rng.uniform(1.8, 3.2)
    verge = float(rng.uniform(0.8, 2.5)) if rng.random() < 0.45 else 0.0
    light = Light(_sign(rng), rng.uniform(), rng.uniform(0.55, 1.0), rng.uniform(0.25, 0.6), rng.uniform(0.2, 1.0))
    return Scene(
        (rng.uniform(0.42, 0.58), rng.uniform(0.40, 0.48)),
        road_half,
        pavement,
        verge,
        float(rng.uniform(7, 16)) if rng.random() < 0.3 else None,
        (*_row(rng, -1), *_row(rng, 1)),
        _things(rng, road_half, pavement),
        light,
        int(rng.integers(1 << 31)),
    )


def _sign(rng: np.random.Generator) -> Literal[-1, 1]:
    return 1 if rng.random() < 0.5 else -1


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    red, green, blue = np.clip(np.array(colours[rng.integers(len(colours))]) + rng.normal(0, 0.03, 3), 0.04, 0.95)
    return float(red), float(green), float(blue)


def _row(rng: np.random.Generator, side: Literal[-1, 1]) -> list[Facade]:
    """Facades of one side from the camera to the far end, without gaps."""
    row, near = [], 1.0
    while near < FAR_M:
        far = near + rng.uniform(6, 16)
        chance = rng.random()
        material: Literal["building", "wall", "fence", "hedge"] = (
            "building" if chance < 0.76 else "hedge" if chance < 0.88 else "wall" if chance < 0.94 else "fence"
        )
        height = rng.uniform(6.5, 17) if material == "building" else rng.uniform(1.3, 2.4)
        row.append(
            Facade(side, near, far, height, _pick(rng, FACADES), material, rng.uniform(2.8, 3.6), rng.uniform(1.7, 2.8))
        )
        near = far
    return row


def _things(rng: np.random.Generator, road_half: float, pavement: float) -> tuple[Thing, ...]:
    things = [_thing(rng, "car", side * (road_half - 1.1), z) for side in (-1, 1) for z in _spaced(rng, 6, 45, 6, 0.5)]
    lane = road_half / 2 - 0.3
    for z in _spaced(rng, 9, 60, 14, 0.6):
        kind: Kind = "car" if rng.random() < 0.72 else "truck" if rng.random() < 0.5 else "bus"
        things.append(_thing(rng, kind, lane * _sign(rng) * rng.uniform(0.7, 1), z))
    for side in (-1, 1):
        edge, middle = side * (road_half + 0.4), side * (road_half + pavement / 2)
        trees = rng.random() < 0.6
        things += [_thing(rng, "tree" if trees else "lamp", edge, z) for z in _spaced(rng, 6, 60, 9, 0.8)]
        things += [_thing(rng, "person", middle + rng.normal(0, 0.5), z) for z in _spaced(rng, 5, 35, 5, 0.45)]
        things += [_thing(rng, "traffic_sign", edge, z) for z in _spaced(rng, 6, 40, 16, 0.4)]
        things += [_thing(rng, "traffic_light", edge, z) for z in _spaced(rng, 7, 30, 18, 0.4)]
        things += [_thing(rng, "bin", middle, z) for z in _spaced(rng, 5, 30, 20, 0.25)]
    things += [_thing(rng, "rider", rng.uniform(-0.8, 0.8) * road_half, z) for z in _spaced(rng, 6, 30, 12, 0.4)]
    return tuple(sorted(things, key=lambda thing: -thing.z))


def _spaced(rng: np.random.Generator, first: float, last: float, gap: float, chance: float) -> list[float]:
    """Distances about `gap` apart, each taken with the given chance."""
    places = np.arange(first + rng.uniform(0, gap), last, gap)
    return [float(z + rng.normal(0, gap / 8)) for z in places if rng.random() < chance]


def _thing(rng: np.random.Generator, kind: Kind, x: float, z: float) -> Thing:
    width, height = SIZES[kind]
    scale = rng.uniform(0.88, 1.12)
    colours = CLOTHES if kind in ("person", "rider") else PAINTS
    return Thing(kind, float(x), max(z, 4.0), width * scale, height * scale, _pick(rng, colours), float(rng.random()))
