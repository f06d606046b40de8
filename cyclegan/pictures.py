"""Sample images and logged losses go in; a captioned grid and a loss plot, as people look at them, come out."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cgeval.files import write_atomic

Picture = NDArray[np.uint8]
GAP_PX = 4
CAPTION_PX = 20
SHOWN_PX = 128
SHOWN_POINTS = 400


def sample_grid(columns: Mapping[str, Sequence[Picture]]) -> Picture:
    """One column of uint8 HWC pictures of equal size per caption; white gaps; captions above.

    Pictures below 128 px are shown larger, each pixel as a square of whole pixels.
    """
    captions = list(columns)
    first = columns[captions[0]]
    times = max(1, SHOWN_PX // max(first[0].shape[:2]))
    height, width = (side * times for side in first[0].shape[:2])
    size = (len(captions) * (width + GAP_PX) + GAP_PX, CAPTION_PX + len(first) * (height + GAP_PX))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for x, caption in enumerate(captions):
        left = GAP_PX + x * (width + GAP_PX)
        draw.text((left + width / 2, CAPTION_PX / 2), caption, fill="black", anchor="mm", font=font)
        for y, picture in enumerate(columns[caption]):
            larger = np.repeat(np.repeat(picture, times, axis=0), times, axis=1)
            sheet.paste(Image.fromarray(larger), (left, CAPTION_PX + y * (height + GAP_PX)))
    return np.asarray(sheet)


def plot_losses(rows: Sequence[Mapping[str, float]], names: Sequence[str], path: Path) -> None:
    """Write a PNG of every loss term over the steps, adversarial terms above, the others below.

    Of a long log each point is the mean of a few neighbouring rows, so that a curve stays a curve.
    """
    from matplotlib.figure import Figure

    groups, each = _groups(names), -(-len(rows) // SHOWN_POINTS)
    figure = Figure(figsize=(9, 2.6 * len(groups) + 0.4), layout="constrained")
    for axes, (title, members) in zip(figure.subplots(len(groups), 1, squeeze=False)[:, 0], groups, strict=True):
        for name in members:
            steps, values = curve(rows, name, each)
            axes.plot(steps, values, label=name, linewidth=1.2, marker="." if len(steps) == 1 else None)
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("step" if each < 2 else f"step (a point is the mean of {each} rows of the log)")
        axes.set_ylabel("loss, weighted")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, ncols=4, frameon=False)
    buffer = BytesIO()
    figure.savefig(buffer, dpi=110, format="png")
    write_atomic(path, buffer.getvalue())


def curve(rows: Sequence[Mapping[str, float]], name: str, each: int) -> tuple[list[float], list[float]]:
    """Steps and values of one term; `each` neighbouring rows that have it are averaged into a point at their last."""
    told = [(row["step"], row[name]) for row in rows if name in row]
    parts = [told[first : first + each] for first in range(0, len(told), each)] if each > 0 else []
    return [part[-1][0] for part in parts], [sum(value for _, value in part) / len(part) for part in parts]


def _groups(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    adversarial = [name for name in names if name.startswith(("gan_", "disc_"))]
    others = [name for name in names if name not in adversarial]
    titled = [("adversarial terms", adversarial), ("reconstruction terms", others)]
    return [(title, members) for title, members in titled if members]
