"""A scene goes in; its photo and its map of Cityscapes ids come out, painted together from back to front.

Every painter puts a colour, a class id and a depth on the same pixels, so photo and labels agree by construction.
It paints at twice the size: the photo is averaged down, of the ids every second one is kept.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cyclegan.data.streets_scene import CAMERA_M, FAR_M, Colour, Facade, Kind, Scene, Thing

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
SKY, ROAD, PAVEMENT, TERRAIN, BUILDING, WALL, FENCE = 23, 7, 8, 22, 11, 12, 13
POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN, VEGETATION, PERSON, RIDER = 17, 19, 20, 21, 24, 25
CAR, TRUCK, BUS, BICYCLE, STATIC = 26, 27, 28, 33, 4
NOISE_PX = 128


@dataclass(frozen=True)
class Part:
    """One piece of a thing in its own coordinates: where it is, its class, and its colour."""

    mask: Mask
    class_id: int
    colour: Floats


class Canvas:
    """Photo (linear share of light per channel), ids and depth in metres of one picture of `size` pixels, square."""

    def __init__(self, scene: Scene, size: int) -> None:
        self.scene, self.size = scene, size
        self.photo = np.zeros((size, size, 3), np.float32)
        self.ids = np.zeros((size, size), np.uint8)
        self.depth = np.full((size, size), FAR_M, np.float32)
        self.focal = 0.85 * size
        self.centre = (scene.vanishing[0] * size, scene.vanishing[1] * size)
        self.noise = _noise(scene.noise_seed)

    def put(self, place: tuple[slice, slice], part: Part, depth: Floats | float) -> None:
        """Paint a part onto a rectangle of the canvas."""
        self.photo[place][part.mask] = np.broadcast_to(part.colour, (*part.mask.shape, 3))[part.mask]
        self.ids[place][part.mask] = part.class_id
        self.depth[place][part.mask] = np.broadcast_to(np.asarray(depth, np.float32), part.mask.shape)[part.mask]

    def grain(self, u: Floats, v: Floats, amount: float) -> Floats:
        """Smooth noise around 1 at surface coordinates in metres, as a factor [..., 1] on a colour."""
        factor: Floats = (1 + amount * (self.noise_at(v * 16, u * 16) - 0.5))[..., None]
        return factor

    def noise_at(self, rows: Floats, columns: Floats) -> Floats:
        """The noise between its points, weighted from the four around; it repeats every NOISE_PX without a seam."""
        top, left = np.floor(rows), np.floor(columns)
        down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
        y, x = top.astype(np.int64) % NOISE_PX, left.astype(np.int64) % NOISE_PX
        below, beside = (y + 1) % NOISE_PX, (x + 1) % NOISE_PX
        upper = self.noise[y, x] + right * (self.noise[y, beside] - self.noise[y, x])
        lower = self.noise[below, x] + right * (self.noise[below, beside] - self.noise[below, x])
        between: Floats = upper + down * (lower - upper)
        return between

    def rectangle(self, left: float, right: float, top: float, bottom: float) -> tuple[slice, slice] | None:
        """Pixels between these edges that lie on the canvas; None where there are none."""
        x0, x1 = max(0, int(np.floor(left))), min(self.size, int(np.ceil(right)))
        y0, y1 = max(0, int(np.floor(top))), min(self.size, int(np.ceil(bottom)))
        return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None


def paint(scene: Scene, size_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Photo uint8 [size_px, size_px, 3] and ids uint8 [size_px, size_px]."""
    canvas = Canvas(scene, 2 * size_px)
    _sky(canvas)
    _ground(canvas)
    for facade in sorted(scene.facades, key=lambda f: -f.near):
        _facade(canvas, facade)
    for thing in scene.things:
        _thing(canvas, thing)
    light = _lit(canvas)
    small = light.reshape(size_px, 2, size_px, 2, 3).mean((1, 3))
    return _developed(small, scene), canvas.ids[::2, ::2].copy()


def _noise(seed: int) -> Floats:
    """Tileable smooth noise [128, 128] in [0, 1]: three octaves."""
    rng = np.random.Generator(np.random.Philox(seed))
    total = np.zeros((NOISE_PX, NOISE_PX), np.float32)
    for cells, weight in ((8, 0.5), (32, 0.3), (128, 0.2)):
        grid = rng.random((cells, cells), dtype=np.float32)
        wide = np.kron(grid, np.ones((NOISE_PX // cells, NOISE_PX // cells), np.float32))
        reach = NOISE_PX // cells // 2
        for axis in (0, 1):
            wide = sum((np.roll(wide, shift, axis) for shift in range(-reach, reach + 1)), np.zeros_like(wide)) / (
                2 * reach + 1
            )
        total += weight * wide
    span: Floats = (total - total.min()) / (total.max() - total.min())
    return span


def _sky_colours(scene: Scene) -> tuple[Floats, Floats]:
    """Colours at the zenith and at the horizon."""
    warm = np.float32(scene.light.warmth)
    zenith = np.array([0.30, 0.48, 0.78], np.float32) * (1 - warm) + np.array([0.50, 0.52, 0.66], np.float32) * warm
    horizon = np.array([0.76, 0.84, 0.92], np.float32) * (1 - warm) + np.array([0.96, 0.80, 0.62], np.float32) * warm
    return zenith, horizon


def _sky(canvas: Canvas) -> None:
    size, horizon_y = canvas.size, canvas.centre[1]
    zenith, horizon = _sky_colours(canvas.scene)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    up = np.clip(1 - y / horizon_y, 0, 1)[..., None]
    colour = horizon * (1 - up) + zenith * up
    far = 1 / np.maximum(up[..., 0] + 0.12, 0.12)
    clouds = canvas.noise_at(far * 14, (x / size - 0.5) * far * 34)
    cover = (np.clip(clouds - 0.55, 0, 0.4) * 2.0 * canvas.scene.light.clouds)[..., None]
    everywhere = np.ones((size, size), bool)
    canvas.put((slice(None), slice(None)), Part(everywhere, SKY, colour * (1 - cover) + cover * 0.97), FAR_M)


def _ground(canvas: Canvas) -> None:
    scene, (cx, cy) = canvas.scene, canvas.centre
    top = int(cy) + 1
    y, x = np.mgrid[top : canvas.size, 0 : canvas.size].astype(np.float32)
    z = np.minimum(canvas.focal * CAMERA_M / (y + 0.5 - cy), 4 * FAR_M)
    across = (x + 0.5 - cx) * z / canvas.focal
    place, off = (slice(top, None), slice(None)), np.abs(across)
    asphalt = np.array([0.31, 0.31, 0.33], np.float32) * canvas.grain(across, z / 2, 0.35)
    asphalt = np.where(_markings(scene, across, z)[..., None], np.float32(0.86), asphalt)
    slabs = np.where(((z % 1.2) < 0.07) | ((off % 1.0) < 0.05), 0.82, 1.0)[..., None]
    stone = np.array([0.60, 0.57, 0.54], np.float32) * canvas.grain(across, z / 2, 0.2) * slabs
    kerb = (off < scene.road_half + 0.18)[..., None]
    grass = np.array([0.36, 0.48, 0.20], np.float32) * canvas.grain(across * 3, z, 0.7)
    beside = TERRAIN if scene.verge else PAVEMENT
    canvas.put(place, Part(np.ones_like(off, bool), beside, grass if scene.verge else stone), z)
    canvas.put(place, Part(off < scene.road_half + scene.pavement, PAVEMENT, np.where(kerb, stone * 1.2, stone)), z)
    canvas.put(place, Part(off < scene.road_half, ROAD, asphalt), z)
    canvas.photo[place] *= _shadows(scene, across, z)[..., None]


def _markings(scene: Scene, across: Floats, z: Floats) -> Mask:
    width = 0.09 + z / 400
    dashes = (np.abs(across) < width) & (z % 6 < 3)
    edges = np.abs(np.abs(across) - scene.road_half + 0.45) < width * 0.7
    marks: Mask = dashes | edges
    if scene.crossing is not None:
        stripes = (np.abs(z - scene.crossing) < 1.4) & (across % 1.1 < 0.55)
        marks = marks | stripes
    return marks


def _shadows(scene: Scene, across: Floats, z: Floats) -> Floats:
    """Factor of light on the ground: the facades' shadow from the sun's side, and one below each thing."""
    light = scene.light
    reach = scene.wall_x - 2.6 * (1.1 - light.warmth * 0.5) - 0.8
    shade = np.where(across * light.sun_side > reach, 1 - 0.42 * light.strength, 1).astype(np.float32)
    for thing in scene.things:
        heavy = thing.kind in ("car", "truck", "bus")
        wide, deep = thing.width * (0.62 if heavy else 0.45), 2.2 if heavy else 0.45
        shift = -0.35 * light.sun_side * thing.width
        inside = ((across - thing.x - shift) / wide) ** 2 + ((z - thing.z - deep * 0.6) / deep) ** 2
        shade *= 1 - 0.55 * np.clip(1.5 - inside, 0, 1)
    return shade


def _facade(canvas: Canvas, facade: Facade) -> None:
    """The wall along the street, and the end that faces the camera."""
    scene, (cx, cy), x_wall = canvas.scene, canvas.centre, canvas.scene.wall_x
    if facade.near > 1:
        _front(canvas, facade)
    near_x, far_x = (cx + canvas.focal * facade.side * x_wall / z for z in (facade.near, facade.far))
    top = cy + canvas.focal * (CAMERA_M - facade.height) / facade.near
    bottom = cy + canvas.focal * CAMERA_M / facade.near
    place = canvas.rectangle(min(near_x, far_x), max(near_x, far_x), top, bottom)
    if place is None:
        return
    y, x = np.mgrid[place].astype(np.float32)
    offset = np.maximum((x + 0.5 - cx) * facade.side, 1e-3)
    z = canvas.focal * x_wall / offset
    height = CAMERA_M - (y + 0.5 - cy) * z / canvas.focal
    lit = 1.0 if facade.side != scene.light.sun_side else 1 - 0.3 * scene.light.strength
    inside = (z >= facade.near) & (z <= facade.far)
    canvas.put(place, _surface(canvas, facade, z, height, inside, lit), z)


def _front(canvas: Canvas, facade: Facade) -> None:
    (cx, cy), x_wall, z = canvas.centre, canvas.scene.wall_x, facade.near
    inner, outer = (cx + canvas.focal * facade.side * x / z for x in (x_wall, x_wall + 14))
    rows = (cy + canvas.focal * (CAMERA_M - facade.height) / z, cy + canvas.focal * CAMERA_M / z)
    place = canvas.rectangle(min(inner, outer), max(inner, outer), *rows)
    if place is None:
        return
    y, x = np.mgrid[place].astype(np.float32)
    height = CAMERA_M - (y + 0.5 - cy) * z / canvas.focal
    across = np.abs((x + 0.5 - cx) * z / canvas.focal)
    canvas.put(place, _surface(canvas, facade, across, height, np.ones_like(across, bool), 0.86), z)


def _surface(canvas: Canvas, facade: Facade, along: Floats, height: Floats, inside: Mask, lit: float) -> Part:
    """Texture of a facade at distances along it and heights, in metres."""
    inside = inside & (height >= 0)
    base = np.array(facade.colour, np.float32)
    if facade.material == "hedge":
        bumps = canvas.noise[(height * 20).astype(int) % NOISE_PX, (along * 20).astype(int) % NOISE_PX]
        colour = np.array([0.20, 0.36, 0.13], np.float32) * canvas.grain(along, height, 1.0) * lit
        return Part(inside & (height <= facade.height * (0.8 + 0.4 * bumps)), VEGETATION, colour)
    inside = inside & (height <= facade.height)
    if facade.material == "fence":
        bars = ((along % 0.4) < 0.22)[..., None] | (np.abs(height - facade.height * 0.85) < 0.12)[..., None]
        return Part(inside, FENCE, np.where(bars, np.float32(0.42), np.float32(0.62)) * base * 1.3 * lit)
    if facade.material == "wall":
        joints = np.where(((height % 0.45) < 0.05) | ((along + (height // 0.45) * 0.4) % 0.9 < 0.06), 0.75, 1.0)[
            ..., None
        ]
        return Part(
            inside, WALL, np.float32(0.55) * canvas.grain(along, height, 0.3) * joints * lit * np.ones(3, np.float32)
        )
    return Part(inside, BUILDING, _windows(facade, along, height, base * canvas.grain(along, height, 0.25)) * lit)


def _windows(facade: Facade, along: Floats, height: Floats, plaster: Floats) -> Floats:
    bay, floor = (along - facade.near) / facade.bay, height / facade.storey
    u, v, storey, column = bay % 1, floor % 1, np.floor(floor), np.floor(bay)
    ground = storey < 1
    frame = np.where(
        ground, (np.abs(u - 0.5) < 0.44) & (v < 0.82), (np.abs(u - 0.5) < 0.30) & (np.abs(v - 0.52) < 0.33)
    )
    glass = np.where(
        ground, (np.abs(u - 0.5) < 0.39) & (v < 0.76), (np.abs(u - 0.5) < 0.25) & (np.abs(v - 0.52) < 0.28)
    )
    dice = np.sin(column * 12.9898 + storey * 78.233 + facade.height * 3.7) * 43758.5453
    tint = (0.16 + 0.22 * (dice - np.floor(dice)))[..., None] * np.array([0.9, 1.0, 1.15], np.float32)
    cornice = ((height > facade.height - 0.5) | (np.abs(floor - 1) < 0.05))[..., None]
    colour = np.where(cornice, plaster * 0.8, plaster)
    colour = np.where(frame[..., None], np.minimum(plaster * 1.25, 0.9), colour)
    return np.where(glass[..., None], tint, colour).astype(np.float32)


def _thing(canvas: Canvas, thing: Thing) -> None:
    (cx, cy), scale = canvas.centre, canvas.focal / thing.z
    x, foot = cx + thing.x * scale, cy + CAMERA_M * scale
    half, top = thing.width / 2 * scale, foot - thing.height * scale
    place = canvas.rectangle(x - half, x + half, top, foot)
    if place is None:
        return
    rows, columns = np.mgrid[place].astype(np.float32)
    u, v = (columns + 0.5 - x) / half, (foot - rows - 0.5) / (thing.height * scale)
    shade = 1 - 0.18 * canvas.scene.light.strength * np.clip(u * canvas.scene.light.sun_side, -1, 1)[..., None] * -1
    for part in PAINTERS[thing.kind](canvas, thing, u, v):
        canvas.put(place, Part(part.mask, part.class_id, part.colour * shade), thing.z)


def _flat(mask: Mask, class_id: int, colour: Colour | float) -> Part:
    return Part(mask, class_id, np.broadcast_to(np.asarray(colour, np.float32), (*mask.shape, 3)))


def _vehicle(class_id: int, waist: float, roof: float) -> Callable[[Canvas, Thing, Floats, Floats], Iterator[Part]]:
    """A vehicle from behind: body up to `waist` of its height, cabin narrowing to `roof` of its width."""

    def parts(_canvas: Canvas, thing: Thing, u: Floats, v: Floats) -> Iterator[Part]:
        side = np.abs(u)
        narrowing = 1 - (1 - roof) * np.clip((v - waist) / (1 - waist), 0, 1)
        body = (v > 0.12) & (side < np.where(v < waist, 1 - 0.1 * (v < 0.2), narrowing * 0.97)) & (v < 0.985)
        gloss = 0.75 + 0.45 * v[..., None]
        yield _flat((v < 0.26) & (side > 0.62) & (side < 0.92), class_id, 0.05)
        yield Part(body, class_id, np.asarray(thing.colour, np.float32) * gloss)
        window = (v > waist + 0.04) & (v < 0.9) & (side < narrowing * 0.82)
        yield Part(
            window, class_id, np.array([0.14, 0.18, 0.22], np.float32) + 0.3 * np.clip(v - waist, 0, 1)[..., None]
        )
        lamps = (np.abs(v - waist * 0.78) < 0.07) & (side > 0.68) & (side < 0.9)
        yield _flat(lamps, class_id, (0.85, 0.12, 0.08) if thing.variant < 0.7 else (0.95, 0.93, 0.80))
        yield _flat((np.abs(v - waist * 0.5) < 0.045) & (side < 0.26), class_id, 0.85)

    return parts


def _person(_canvas: Canvas, thing: Thing, u: Floats, v: Floats) -> Iterator[Part]:
    yield from _figure(thing, u, v, PERSON)


def _figure(thing: Thing, u: Floats, v: Floats, class_id: int) -> Iterator[Part]:
    stride = 0.12 + 0.16 * thing.variant
    legs = (v < 0.5) & (np.abs(np.abs(u) - stride * (1 - v)) < 0.17)
    yield _flat(legs, class_id, (0.16, 0.17, 0.24))
    yield _flat((v > 0.44) & (v < 0.84) & (np.abs(u) < 0.34 + 0.22 * np.clip(0.8 - v, 0, 0.3)), class_id, thing.colour)
    yield _flat((u / 0.24) ** 2 + ((v - 0.91) / 0.085) ** 2 < 1, class_id, (0.72, 0.54, 0.44))
    yield _flat(((u / 0.25) ** 2 + ((v - 0.935) / 0.07) ** 2 < 1) & (v > 0.925), class_id, (0.22, 0.16, 0.12))


def _rider(_canvas: Canvas, thing: Thing, u: Floats, v: Floats) -> Iterator[Part]:
    yield _flat((v < 0.40) & (np.abs(u) < 0.11), BICYCLE, 0.08)
    yield _flat((np.abs(v - 0.52) < 0.03) & (np.abs(u) < 0.62), BICYCLE, 0.15)
    yield _flat((v > 0.12) & (v < 0.55) & (np.abs(np.abs(u) - 0.25) < 0.12), RIDER, (0.15, 0.16, 0.22))
    upper = Thing(thing.kind, thing.x, thing.z, thing.width, thing.height, thing.colour, 0.0)
    yield from (part for part in _figure(upper, u, v, RIDER) if not part.mask[v < 0.42].any())


def _tree(canvas: Canvas, thing: Thing, u: Floats, v: Floats) -> Iterator[Part]:
    yield _flat((np.abs(u) < 0.07 + 0.03 * (v < 0.05)) & (v < 0.6), VEGETATION, (0.28, 0.20, 0.14))
    shift = int(thing.variant * NOISE_PX)
    rough = canvas.noise[(v * 60 + shift).astype(int) % NOISE_PX, (u * 40 + shift).astype(int) % NOISE_PX]
    crown = (u / 0.95) ** 2 + ((v - 0.66) / 0.34) ** 2 < 0.62 + 0.62 * rough
    leaf = np.array([0.24, 0.42, 0.14], np.float32) * (1 + 0.25 * (thing.variant - 0.5))
    yield Part(crown & (v > 0.3), VEGETATION, leaf * (0.45 + 0.75 * v + 0.7 * (rough - 0.5))[..., None])


def _lamp(_canvas: Canvas, _thing: Thing, u: Floats, v: Floats) -> Iterator[Part]:
    yield _flat(np.abs(u) < 0.085, POLE, 0.40)
    yield _flat((v > 0.965) & (np.abs(u) < 0.9), POLE, 0.36)
    yield _flat((v > 0.945) & (np.abs(u) > 0.55), POLE, (0.88, 0.86, 0.74))


def _traffic_light(_canvas: Canvas, thing: Thing, u: Floats, v: Floats) -> Iterator[Part]:
    yield _flat((np.abs(u) < 0.13) & (v < 0.78), POLE, 0.36)
    yield _flat((np.abs(u) < 0.52) & (v > 0.72), TRAFFIC_LIGHT, 0.09)
    colours = ((0.95, 0.16, 0.12), (0.95, 0.75, 0.15), (0.20, 0.85, 0.40))
    for number, (height, colour) in enumerate(zip((0.94, 0.86, 0.78), colours, strict=True)):
        on = int(thing.variant * 3) == number
        dim = tuple(0.22 * c for c in colour)
        lamp = (u / 0.32) ** 2 + ((v - height) / 0.036) ** 2 < 1
        yield _flat(lamp, TRAFFIC_LIGHT, colour if on else (dim[0], dim[1], dim[2]))


def _traffic_sign(_canvas: Canvas, thing: Thing, u: Floats, v: Floats) -> Iterator[Part]:
    yield _flat((np.abs(u) < 0.10) & (v < 0.78), POLE, 0.48)
    rise = (v - 0.86) / 0.135
    if thing.variant < 0.4:
        outer, inner = u**2 + rise**2 < 0.95, u**2 + rise**2 < 0.5
        colours: tuple[Colour, Colour] = ((0.82, 0.10, 0.12), (0.93, 0.93, 0.93))
    elif thing.variant < 0.7:
        outer, inner = (np.abs(u) < 0.92) & (np.abs(rise) < 0.95), (np.abs(u) < 0.45) & (np.abs(rise) < 0.45)
        colours = ((0.10, 0.28, 0.66), (0.93, 0.93, 0.93))
    else:
        outer, inner = (
            (rise > -0.9) & (np.abs(u) < (0.95 - rise) / 1.9),
            (rise > -0.6) & (np.abs(u) < (0.5 - rise) / 1.9),
        )
        colours = ((0.82, 0.10, 0.12), (0.95, 0.85, 0.30))
    yield _flat(outer, TRAFFIC_SIGN, colours[0])
    yield _flat(inner, TRAFFIC_SIGN, colours[1])


def _bin(_canvas: Canvas, _thing: Thing, u: Floats, v: Floats) -> Iterator[Part]:
    yield _flat(np.abs(u) < 0.75 + 0.2 * v, STATIC, (0.22, 0.25, 0.24))
    yield _flat(v > 0.88, STATIC, (0.32, 0.36, 0.34))


PAINTERS: dict[Kind, Callable[[Canvas, Thing, Floats, Floats], Iterator[Part]]] = {
    "car": _vehicle(CAR, 0.55, 0.72),
    "truck": _vehicle(TRUCK, 0.34, 1.0),
    "bus": _vehicle(BUS, 0.42, 0.98),
    "person": _person,
    "rider": _rider,
    "tree": _tree,
    "lamp": _lamp,
    "traffic_light": _traffic_light,
    "traffic_sign": _traffic_sign,
    "bin": _bin,
}


def _lit(canvas: Canvas) -> Floats:
    """The photo in the scene's light, with haze by depth."""
    light = canvas.scene.light
    sun = np.array([1.06, 1.0, 0.94], np.float32) * light.warmth + np.array([0.96, 1.0, 1.05], np.float32) * (
        1 - light.warmth
    )
    on_things = (canvas.ids != SKY)[..., None]
    lit = np.where(on_things, canvas.photo * sun * (0.72 + 0.38 * light.strength), canvas.photo)
    haze = (light.haze * np.clip(canvas.depth / FAR_M, 0, 1))[..., None] * on_things
    hazed: Floats = lit * (1 - haze) + _sky_colours(canvas.scene)[1] * haze
    return hazed


def _developed(photo: Floats, scene: Scene) -> NDArray[np.uint8]:
    """Vignette, a little contrast, and sensor noise."""
    size = len(photo)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    vignette = (1 - 0.35 * (x**2 + y**2))[..., None]
    noise = np.random.Generator(np.random.Philox(scene.noise_seed + 1)).normal(0, 0.008, photo.shape).astype(np.float32)
    levels = np.clip(photo * vignette + noise, 0, 1)
    contrasty = levels * levels * (3 - 2 * levels) * 0.35 + levels * 0.65
    developed: NDArray[np.uint8] = np.rint(contrasty * 255).astype(np.uint8)
    return developed
