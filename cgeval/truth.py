"""A label map and a label set go in; the map's ids, or its map of scored classes, come out: the truth of a score.

Maps hold ids, or colours of the set's palette; what would be read wrong is refused with the likely reason.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import DataError, ImageError
from cgeval.images import Picture, image_mode, read_ids, read_rgb
from cgeval.labels import CHANNEL, LabelSet

COLOUR_MODES = frozenset({"RGB", "RGBA", "RGBX", "LA", "PA", "CMYK", "YCbCr", "HSV", "LAB", "La", "RGBa"})


def read_label_ids(path: Path, labels: LabelSet) -> NDArray[np.int32]:
    """int32 [h, w], ids of the set: as stored, or found by colour where the map is a colour picture.

    Raises ImageError or DataError naming the file: a JPEG, colours of another palette or blurred ones, unknown ids.
    """
    ids = _ids(path, labels)
    if not labels.knows(ids):
        raise _unknown(labels, ids, path)
    return ids


def read_truth(path: Path, labels: LabelSet) -> NDArray[np.uint8]:
    """uint8 [h, w], the class map of a label map of ids or colours: 0 .. K - 1 the scored classes, K void.

    Raises ImageError or DataError naming the file, in one sentence.
    """
    ids = _ids(path, labels)
    try:
        return labels.class_map(ids)
    except DataError:
        raise _unknown(labels, ids, path) from None


def is_colour_coded(path: Path) -> bool:
    """Whether the file holds colours and not ids, from its header."""
    return image_mode(path) in COLOUR_MODES


def _ids(path: Path, labels: LabelSet) -> NDArray[np.int32]:
    """What the map says, whether or not the set has all of its ids."""
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise ImageError(f"{path} is a JPEG, which changes ids and colours: label maps are expected as PNG.")
    mode = image_mode(path)
    if mode in COLOUR_MODES:
        return _by_colour(labels, read_rgb(path), path)
    ids = read_ids(path)
    if mode == "P":
        colours = read_rgb(path)
        if _is_colour_picture(labels, ids, colours):
            return _by_colour(labels, colours, path)
        if not labels.knows(ids):
            raise _unknown(labels, ids, path)
        _refuse_other_palette(labels, ids, colours, path)
    return ids


def _unknown(labels: LabelSet, ids: NDArray[np.int32], path: Path) -> DataError:
    unknown = sorted(set(np.unique(ids).tolist()) - labels.by_id.keys())
    reason = (
        "16-bit maps count objects (gtFine's instanceIds): take the maps of label ids"
        if unknown[-1] > 255
        else "it was resized with an interpolating filter, or is in another label set: take the original maps, or name "
        "the right set with --label-set"
    )
    ids_told = f"the id {unknown[0]}" if len(unknown) == 1 else f"{len(unknown)} ids, such as {unknown[0]},"
    return DataError(f"{path} holds {ids_told} that label set {labels.name!r} does not have: {reason}.")


def _by_colour(labels: LabelSet, colours: Picture, path: Path) -> NDArray[np.int32]:
    try:
        return labels.ids_of(colours)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _is_colour_picture(labels: LabelSet, ids: NDArray[np.int32], colours: Picture) -> bool:
    """Whether a palette's colours, and not its numbers, are what the label set knows.

    Programs that shrink PNG files turn a colour-coded map into a palette in any order, whose numbers are no ids.
    """
    if _is_grey(colours):
        return False
    known = {_packed(label.colour) for label in labels.labels}
    pairs = _palette_in_use(ids, colours)
    agree = all(i in labels.by_id and _packed(labels.by_id[i].colour) == colour for i, colour in pairs)
    return not agree and all(colour in known for _, colour in pairs)


def _refuse_other_palette(labels: LabelSet, ids: NDArray[np.int32], colours: Picture, path: Path) -> None:
    """Raise DataError where a map of ids shows each of them in another colour than the set's: it is in another set.

    Grey says nothing, and neither does black, which nearly every palette begins with.
    """
    if _is_grey(colours):
        return
    pairs = [(_packed(labels.by_id[i].colour), colour) for i, colour in _palette_in_use(ids, colours)]
    if not any(ours == colour != 0 for ours, colour in pairs):
        raise DataError(
            f"{path}: the palette's colours are not those of {labels.name!r}: name the label set that these maps are "
            "in, or store them without a palette."
        )


def _is_grey(colours: Picture) -> bool:
    return bool((colours == colours[..., :1]).all())


def _packed(colour: Any) -> int:
    return int(np.array(colour, dtype=np.int64) @ CHANNEL)


def _palette_in_use(ids: NDArray[np.int32], colours: Picture) -> list[tuple[int, int]]:
    """Each id in the map with the colour, as one number, that the file shows it in."""
    return [divmod(int(pair), 1 << 24) for pair in np.unique((ids.astype(np.int64) << 24) | colours @ CHANNEL)]
