"""Image files and arrays go in; pictures that a page holds in itself come out, as data URIs.

A run's small PNG files are put in as they are, byte by byte. What is larger than 256 px, or heavier than the room that
there is for each, is made smaller: label maps stay PNG, photos become JPEG.
"""

import base64
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cgeval.errors import CgevalError
from cgeval.images import Picture, encode_png, image_size, read_rgb, resize

MOST_PX = 256
MOST_BYTES = 48 * 1024  # of a PNG that is put in as it is; a photo of 128 px has some 35 KB
FLAT_COLOURS = 64  # a picture with more is no label map, and JPEG takes less room for it
JPEG_QUALITY = 92

Size = tuple[int, int]


@dataclass(frozen=True)
class Shown:
    """A picture in the page. uri: all of it; text: what it shows; changed: it is not the file as it was sealed."""

    uri: str
    text: str
    size_px: Size
    changed: bool = False


@dataclass(frozen=True)
class Missing:
    """Where a picture should be. why: a few words."""

    why: str


Cell = Shown | Missing


def sealed_file(path: Path, sha256: str, text: str, most_bytes: int) -> Cell:
    """The file as it is, if it has at most so many bytes and 256 px; else made smaller.

    Missing, with the reason, where it is gone, broken, or not the one that was sealed.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return Missing("the file is gone")
    if hashlib.sha256(data).hexdigest() != sha256:
        return Missing("changed after it was sealed")
    try:
        width, height = image_size(path)
        if max(width, height) <= MOST_PX and len(data) <= most_bytes:
            return Shown(_uri(data, "png"), text, (width, height))
        picture = read_rgb(path)
    except CgevalError as error:
        return Missing(str(error))
    fitted = resize(picture, *_fitted(width, height), "lanczos" if _is_photo(picture) else "nearest")
    return embedded(fitted, text, changed=True)


def embedded(picture: Picture, text: str, *, changed: bool = False) -> Shown:
    """uint8 [h, w, 3]: label maps as PNG, photos as JPEG without a loss of colour's resolution."""
    size = (picture.shape[1], picture.shape[0])
    if not _is_photo(picture):
        return Shown(_uri(encode_png(picture), "png"), text, size, changed)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return Shown(_uri(buffer.getvalue(), "jpeg"), text, size, changed)


def _is_photo(picture: Picture) -> bool:
    return Image.fromarray(picture).getcolors(FLAT_COLOURS) is None


def _fitted(width: int, height: int) -> Size:
    times = min(1.0, MOST_PX / max(width, height))
    return max(1, round(width * times)), max(1, round(height * times))


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
