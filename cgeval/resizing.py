"""The pictures of a domain go in; the filter by which all of them are resized comes out.

Label maps are resized with the nearest filter, since a mixture of two classes' colours is the colour of a third; photos
with the bicubic one, which is the reference's.
"""

from collections.abc import Sequence

from cgeval.datasets import Dataset, ImageFile, read_picture
from cgeval.images import Picture, ResizeFilter, distinct_colours

FLAT_COLOURS = 64
FLAT_SHARE = 0.7  # label maps of 64 px and more have 0.8 to 1, photos of 64 grey levels 0.1 to 0.6
LOOKED_AT = 8
LOSSY = (".jpg", ".jpeg")


def filter_for(files: Sequence[ImageFile], *, declared: bool) -> ResizeFilter:
    """Nearest for label maps, declared or recognised by few exact colours in flat areas; else bicubic.

    Raises ImageError for a picture that cannot be looked at.
    """
    return "nearest" if declared or are_flat(files) else "bicubic"


def domain_filter(dataset: Dataset, domain: str) -> ResizeFilter:
    """How a whole domain is resized, decided once by its first split, so that no image decides for itself.

    dataset.toml declares label maps by label_domain = "A" or "B", and by "none" that no domain holds any.
    """
    if dataset.facts.get("label_domain") == "none":
        return "bicubic"
    splits = (split.a if domain == "A" else split.b for split in dataset.splits.values())
    return filter_for(next((files for files in splits if files), ()), declared=dataset.label_domain == domain)


def are_flat(files: Sequence[ImageFile]) -> bool:
    """Whether eight pictures from all over are losslessly stored, in few colours and in flat areas, as label maps are.

    At most 64 colours each, and most pixels like their right neighbour: a dark photo may have as few colours, but
    its sensor's noise makes neighbours differ.
    """
    looked_at = [files[i * len(files) // LOOKED_AT] for i in range(LOOKED_AT)] if len(files) > LOOKED_AT else files
    lossless = all(file.path.suffix.lower() not in LOSSY for file in looked_at)
    return bool(looked_at) and lossless and all(_is_flat(read_picture(file)) for file in looked_at)


def _is_flat(picture: Picture) -> bool:
    alike = (picture[:, 1:] == picture[:, :-1]).all(axis=-1)
    flat = alike.size == 0 or alike.mean() >= FLAT_SHARE
    return bool(flat) and 1 < distinct_colours(picture, FLAT_COLOURS + 1) <= FLAT_COLOURS
