"""Image files of any usual kind go in; uint8 sRGB arrays come out, and back. The only place that opens an image.

Outside networks an image is uint8 [height, width, 3] sRGB; inside, float32 [3, height, width] in [-1, 1].
"""

import io
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from cgeval.errors import ImageError
from cgeval.files import write_atomic

Picture = NDArray[np.uint8]
Ids = NDArray[np.int32]
ResizeFilter = Literal["nearest", "bilinear", "bicubic", "lanczos", "area"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
FILTERS: dict[ResizeFilter, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
}
SIXTEEN_BIT = {"I;16", "I;16B", "I;16L", "I;16N"}


def find_images(folder: Path) -> list[Path]:
    """Every image file below the folder in natural order (2 before 10); hidden files and __MACOSX are passed over."""
    found = [path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    shown = [path for path in found if not _is_hidden(path.relative_to(folder))]
    return sorted(shown, key=lambda path: natural_key(path.relative_to(folder).as_posix()))


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sorting key in which runs of digits count as numbers."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


def image_id(path: Path, root: Path) -> str:
    """The path below `root` without its suffix, with forward slashes."""
    return path.relative_to(root).with_suffix("").as_posix()


def read_rgb(path: Path) -> Picture:
    """uint8 [height, width, 3] sRGB, upright; raises ImageError naming the file.

    Greyscale and palettes are expanded; transparency is laid over white, as a page would show it; CMYK goes
    through its own profile where it has one; 16-bit greyscale is scaled by 1/257. Floating-point pictures and
    32-bit integers have no agreed range and are refused.
    """
    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image)
        return np.asarray(_to_rgb(upright, path), dtype=np.uint8).copy()


def read_ids(path: Path) -> Ids:
    """int32 [height, width] of the numbers in a label map; raises ImageError for a colour picture."""
    with _opened(path) as image:
        if image.mode not in {"L", "P", "1", "I", *SIXTEEN_BIT}:
            raise ImageError(
                f"{path} is a colour picture (mode {image.mode}): a label map of ids has one channel; "
                "colour-coded maps are read with a label set."
            )
        return np.asarray(image).astype(np.int32)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as shown (EXIF rotation applied), from the header alone."""
    try:
        with Image.open(path) as image:
            sideways = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            width, height = image.size
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ImageError(_reason(path, error)) from None
    return (height, width) if sideways else (width, height)


def resize(image: NDArray[Any], width: int, height: int, filter: ResizeFilter) -> NDArray[Any]:
    """The picture squashed to the size with PIL's filter; maps of ids only with nearest, else ImageError."""
    if image.ndim == 2 and filter != "nearest":
        raise ImageError(
            f"a map of ids cannot be resized with the filter {filter!r}: it would invent ids; use 'nearest'."
        )
    if image.ndim == 2:
        rows = (np.arange(height) + 0.5) * image.shape[0] / height
        columns = (np.arange(width) + 0.5) * image.shape[1] / width
        return image[rows.astype(np.intp)[:, None], columns.astype(np.intp)[None, :]]
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), FILTERS[filter]))


def distinct_colours(image: Picture, limit: int = 257) -> int:
    """Number of different colours, counted up to `limit`."""
    packed = image.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    return min(len(np.unique(packed)), limit)


def encode_png(image: NDArray[Any]) -> bytes:
    """A PNG of uint8 [h, w, 3] or [h, w], or of ids up to 65535 as 8 or 16 bits; the same array gives the same bytes."""
    if image.dtype != np.uint8:
        low, high = int(image.min(initial=0)), int(image.max(initial=0))
        if low < 0 or high > 65535:
            raise ImageError(f"ids from {low} to {high} do not fit into a PNG, which holds 0 to 65535.")
        image = image.astype(np.uint8 if high < 256 else np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def write_png(path: Path, image: NDArray[Any]) -> None:
    """Write the PNG whole or not at all."""
    write_atomic(path, encode_png(image))


def to_network(image: Picture) -> NDArray[np.float32]:
    """uint8 [h, w, 3] to float32 [3, h, w]: x / 127.5 - 1."""
    scaled = image.astype(np.float32) / np.float32(127.5) - np.float32(1)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def from_network(image: NDArray[np.floating[Any]]) -> Picture:
    """float [3, h, w] in [-1, 1], clipped, to uint8 [h, w, 3], rounded: the exact inverse of `to_network`."""
    levels = (np.clip(image.astype(np.float32), -1, 1) + np.float32(1)) * np.float32(127.5)
    return np.ascontiguousarray(np.rint(levels).astype(np.uint8).transpose(1, 2, 0))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _opened(path: Path) -> Image.Image:
    try:
        image = Image.open(path)
        image.load()
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ImageError(_reason(path, error)) from None
    return image


def _reason(path: Path, error: Exception) -> str:
    if not path.exists():
        return f"{path} does not exist."
    if path.is_dir():
        return f"{path} is a folder where an image file was expected."
    if path.stat().st_size == 0:
        return f"{path} is empty (0 bytes): fetch or make it again, or remove it."
    if isinstance(error, UnidentifiedImageError):
        return f"{path} is not an image of a kind that can be read (jpg, png, bmp, tif, webp): remove or convert it."
    return f"{path} is broken ({str(error).rstrip('.')}): fetch or make it again, or remove it."


def _to_rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode in SIXTEEN_BIT or (image.mode == "I" and image.format == "PNG"):
        levels = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.rint(levels / 257).astype(np.uint8)).convert("RGB")
    if image.mode in {"I", "F"}:
        raise ImageError(
            f"{path} has {'floating-point' if image.mode == 'F' else '32-bit'} pixels, whose range is not known: "
            "convert it to 8 or 16 bits."
        )
    if image.mode == "CMYK":
        return _cmyk_to_rgb(image)
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        page = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(page, layer).convert("RGB")
    return image.convert("RGB")


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:
        return image.convert("RGB")
    return converted if converted is not None else image.convert("RGB")
