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


def sample_grid(columns: Mapping[str, Sequence[Picture]]) -> Picture:
    """One column of uint8 HWC pictures of equal size per caption; white gaps; captions above."""
    captions = list(columns)
    rows = len(columns[captions[0]])
    height, width = columns[captions[0]][0].shape[:2]
    size = (len(captions) * (width + GAP_PX) + GAP_PX, CAPTION_PX + rows * (height + GAP_PX))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for x, caption in enumerate(captions):
        left = GAP_PX + x * (width + GAP_PX)
        draw.text(
            (left + width / 2, CAPTION_PX / 2), caption, fill="black", anchor="mm", font=ImageFont.load_default(12)
        )
        for y, picture in enumerate(columns[caption]):
            sheet.paste(Image.fromarray(picture), (left, CAPTION_PX + y * (height + GAP_PX)))
    return np.asarray(sheet)


def plot_losses(rows: Sequence[Mapping[str, float]], names: Sequence[str], path: Path) -> None:
    """Write a PNG of every loss term over the steps, adversarial terms above, the others below."""
    from matplotlib.figure import Figure

    groups = _groups(names)
    figure = Figure(figsize=(9, 2.6 * len(groups) + 0.4), layout="constrained")
    for axes, (title, members) in zip(figure.subplots(len(groups), 1, squeeze=False)[:, 0], groups, strict=True):
        for name in members:
            steps = [row["step"] for row in rows if name in row]
            axes.plot(steps, [row[name] for row in rows if name in row], label=name, linewidth=1.2)
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("step")
        axes.set_ylabel("loss, weighted")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, ncols=4, frameon=False)
    buffer = BytesIO()
    figure.savefig(buffer, dpi=110, format="png")
    write_atomic(path, buffer.getvalue())


def _groups(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    adversarial = [name for name in names if name.startswith(("gan_", "disc_"))]
    others = [name for name in names if name not in adversarial]
    titled = [("adversarial terms", adversarial), ("reconstruction terms", others)]
    return [(title, members) for title, members in titled if members]
