"""A run and what was prepared go in; RUN/gatys/styles.png comes out: contents, styles and results of all their sets."""

from pathlib import Path

from cgeval.gatys.making.keeping import style_place
from cgeval.gatys.making.pending import FOLDER
from cgeval.gatys.making.preparing import Prepared, Way
from cgeval.gatys.making.sheet import Block, Column, spread, write_sheet
from cgeval.images import Picture, read_rgb
from cgeval.runs import ImageSet, Run

SHEET = "styles.png"


def show_styles(run: Run, prepared: Prepared) -> Path | None:
    """Write it; None, and no picture, where no set is sealed yet."""
    blocks = [block for way in prepared.ways if (block := _block(run, way)) is not None]
    if not blocks:
        return None
    place = run.path / FOLDER / SHEET
    write_sheet(place, blocks)
    return place


def _block(run: Run, way: Way) -> Block | None:
    """One direction: some contents from all over; single styles first and averages last, as in the paper's figures."""
    sets = [each for each in run.image_sets() if each.extra.get("content_sha256") == way.digest]
    sets.sort(key=lambda image_set: (image_set.extra["style"]["n"] > 1, image_set.created_at))
    if not sets:
        return None
    files = [way.contents.files[i] for i in spread(len(way.contents.files))]
    columns = [_column(run, image_set, [file.id for file in files]) for image_set in sets]
    title = f"{way.contents.split} {way.contents.direction}"
    return Block(title, [way.contents.read(file) for file in files], columns)


def _column(run: Run, image_set: ImageSet, ids: list[str]) -> Column:
    rows = {row.id: row.file for row in image_set.rows}
    results = [read_rgb(image_set.path / rows[name]) for name in ids]
    return Column(str(image_set.extra.get("variant", image_set.name)), _preview(run, image_set), results)


def _preview(run: Run, image_set: ImageSet) -> Picture | None:
    style = image_set.name.partition(f"_{image_set.direction}-")[2].removesuffix("-random")
    place = style_place(run.path, style, image_set.direction, ".png")
    return read_rgb(place) if place.is_file() else None
