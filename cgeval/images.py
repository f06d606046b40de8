"""Image files of any usual kind go in; uint8 sRGB arrays come out, and back. The only place that opens an image.

Outside networks an image is uint8 [height, width, 3] sRGB; inside, float32 [3, height, width] in [-1, 1].
"""

import io
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

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
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")  # by content; the suffix may lie, but no program is run (EPS)
PNG_START = b"\x89PNG\r\n\x1a\n"
TIFF_STARTS = (b"II*\0", b"MM\0*")
# What Pillow's decoders raise on files that are cut off or altered, as found by altering files at random.
BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError, struct.error)


def find_images(folder: Path) -> list[Path]:
    """Every image file below the folder in natural order (2 before 10); none where there is no folder.

    Hidden files and __MACOSX are passed over; links are followed, and a link to a missing file is found, so that
    whoever reads it can name it.
    """
    if not folder.is_dir():
        return []
    found = _walk(folder, frozenset({folder.resolve()}))
    return sorted(found, key=lambda path: natural_key(path.relative_to(folder).as_posix()))


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
    through its own profile where it has one that works, and RGB is taken as sRGB, as the reference does; 16-bit
    greyscale is scaled by 1/257, and of 16-bit colour the high byte is taken, at most one level less. Of several
    frames or pages the first is read. Floating-point pictures and 32-bit integers have no agreed range and are
    refused.
    """
    with _opened(path) as image:
        _refuse_scaled_key(image, path)
        eight_bit = _eight_bit_grey(image, path) if image.mode in SIXTEEN_BIT else image
        upright = ImageOps.exif_transpose(eight_bit)
        return np.asarray(_to_rgb(upright, path), dtype=np.uint8).copy()


def read_ids(path: Path) -> Ids:
    """int32 [height, width] of the whole numbers in a label map, as they are stored at any depth.

    Raises ImageError for a colour picture, and for a TIFF that counts from white, whose numbers may mean either.
    """
    with _opened(path) as image:
        if image.mode not in {"L", "P", "1", "I", *SIXTEEN_BIT}:
            raise ImageError(
                f"{path} is a colour picture (mode {image.mode}): a label map of ids has one channel; "
                "colour-coded maps are read with a label set."
            )
        if _is_white_zero(image):
            raise ImageError(f"{path} is a TIFF in which 0 is white: save the label map as PNG.")
        ids = np.asarray(image).astype(np.int32)
        stretch = {2: 85, 4: 17}.get(_bits(image, path), 1) if image.mode == "L" else 1  # Pillow makes them 0 .. 255
        stored: Ids = ids // stretch
        return stored


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as shown (EXIF rotation applied), from the header alone."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = _stored_size(image)
            may_turn = image.format != "PNG" or "exif" in image.info  # else Pillow would decode it all to look
            sideways = may_turn and image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise ImageError(_reason(path, error)) from None
    return (height, width) if sideways else (width, height)


def image_mode(path: Path) -> str:
    """PIL's name for what a pixel is ("RGB", "L", "P", "I;16"), from the header alone; raises ImageError."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return str(image.mode)
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise ImageError(_reason(path, error)) from None


@dataclass(frozen=True)
class Header:
    """What a file says of itself. format: such as "JPEG" (a phone's MPO too); mode: PIL's, such as "RGB" or "I;16".

    see_through: some pixel is transparent; metadata: those there of "EXIF", "XMP", "comment"; profile: name of the
    ICC profile, None without one.
    """

    format: str
    mode: str
    see_through: bool
    metadata: tuple[str, ...]
    profile: str | None


def image_header(path: Path) -> Header:
    """Format, mode, transparency and metadata of an image file; raises ImageError naming the file."""
    with _opened(path) as image:
        exif = image.getexif()
        texts = image.text if isinstance(image, PngImagePlugin.PngImageFile) else {}
        there = {
            "EXIF": bool(exif) and (image.format != "TIFF" or 0x8769 in exif),
            "XMP": "xmp" in image.info or any("xmp" in key for key in texts),
            "comment": bool(image.info.get("comment")) or any("xmp" not in key for key in texts),
        }
        format_name = "JPEG" if image.format == "MPO" else str(image.format)
        kinds = tuple(kind for kind, present in there.items() if present)
        return Header(format_name, image.mode, _is_see_through(image), kinds, _profile_name(image))


def resize(image: NDArray[Any], width: int, height: int, filter: ResizeFilter) -> NDArray[Any]:
    """The picture squashed to the size with PIL's filter; nearest: the pixel under each new pixel's centre.

    Raises ImageError for a map of ids [h, w] with any other filter.
    """
    if image.ndim == 2 and filter != "nearest":
        raise ImageError(
            f"a map of ids cannot be resized with the filter {filter!r}: it would invent ids; use 'nearest'."
        )
    if image.shape[:2] == (height, width):
        return image
    if filter == "nearest":  # PIL's sums up steps, so that where two pixels are equally near, chance decides
        rows = (np.arange(height) + 0.5) * image.shape[0] / height
        columns = (np.arange(width) + 0.5) * image.shape[1] / width
        nearest: NDArray[Any] = image[rows.astype(np.intp)[:, None], columns.astype(np.intp)[None, :]]
        return nearest
    return np.asarray(Image.fromarray(image).resize((width, height), FILTERS[filter]))


def distinct_colours(image: Picture, limit: int = 257) -> int:
    """Number of different colours, counted up to `limit`."""
    packed = image.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    return min(len(np.unique(packed)), limit)


def encode_png(image: NDArray[Any]) -> bytes:
    """A PNG of uint8 [h, w, 3] or [h, w], or of ids up to 65535 as 8 or 16 bits; the same array, the same bytes."""
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


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """Image files below the folder; above: the folders that lead here, so that a link in a circle ends."""
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "__MACOSX"]
    for entry in shown:
        path = folder / entry.name
        if entry.is_dir():
            real = path.resolve()
            if real not in above:
                yield from _walk(path, above | {real})
        elif path.suffix.lower() in IMAGE_SUFFIXES and (entry.is_file() or entry.is_symlink()):
            yield path


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The decoded image; whatever Pillow cannot make of it, here or in the block, becomes an ImageError."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.load()
            yield image
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise ImageError(_reason(path, error)) from None


def _is_see_through(image: Image.Image) -> bool:
    if image.mode in {"I", "F", *SIXTEEN_BIT} or not image.has_transparency_data:
        return False
    lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
    return bool(lowest != 255)


def _profile_name(image: Image.Image) -> str | None:
    profile = image.info.get("icc_profile")
    if not profile:
        return None
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip() or "unnamed"
    except (ImageCms.PyCMSError, OSError):
        return "unreadable"


def _reason(path: Path, error: Exception) -> str:
    if not path.exists():
        return f"{path} does not exist."
    if path.is_dir():
        return f"{path} is a folder where an image file was expected."
    if path.stat().st_size == 0:
        return f"{path} is empty (0 bytes): fetch or make it again, or remove it."
    if isinstance(error, OSError) and error.errno:
        return f"{path} cannot be read ({error.strerror})."
    if isinstance(error, Image.DecompressionBombError):
        return f"{path} has more pixels than are read ({2 * (Image.MAX_IMAGE_PIXELS or 0):,}): make it smaller."
    if isinstance(error, UnidentifiedImageError) and path.read_bytes()[:4] in TIFF_STARTS:
        return (
            f"{path} is a TIFF of a kind that cannot be read right (such as floating-point colour, or more than four "
            "channels): convert it to grey or RGB of 8 or 16 bits."
        )
    if isinstance(error, UnidentifiedImageError):
        return f"{path} is not an image of a kind that can be read (jpg, png, bmp, tif, webp): remove or convert it."
    return f"{path} is broken ({str(error).rstrip('.')}): fetch or make it again, or remove it."


def _bits(image: Image.Image, path: Path) -> int:
    """Bits per channel as the file stores them; 8 for kinds that have no choice."""
    if image.format == "TIFF":
        return _tag(image, TiffImagePlugin.BITSPERSAMPLE, 1)
    with path.open("rb") as file:
        start = file.read(25)
    return start[24] if start.startswith(PNG_START) else 8


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height before any turn; some versions of Pillow turn the size of a TIFF when they open it."""
    if image.format == "TIFF":
        return _tag(image, TiffImagePlugin.IMAGEWIDTH, 0), _tag(image, TiffImagePlugin.IMAGELENGTH, 0)
    return image.size


def _is_white_zero(image: Image.Image) -> bool:
    return image.format == "TIFF" and _tag(image, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 1) == 0


def _tag(image: Image.Image, number: int, default: int) -> int:
    """A number that a TIFF says of its first channel."""
    found = image.tag_v2.get(number, default) if isinstance(image, TiffImagePlugin.TiffImageFile) else default
    return int(found[0] if isinstance(found, tuple) else found)


def _refuse_scaled_key(image: Image.Image, path: Path) -> None:
    """A PNG may call one level or colour transparent, in units of its own depth; Pillow compares it at 8 bits."""
    keyed = image.format == "PNG" and image.mode not in {"P", "1"} and "transparency" in image.info
    if keyed and _bits(image, path) != 8:
        raise ImageError(
            f"{path} marks one colour as transparent at {_bits(image, path)} bits per channel, which cannot be read "
            "right: flatten it, or convert it to 8 bits."
        )


def _eight_bit_grey(image: Image.Image, path: Path) -> Image.Image:
    """Scaled from the depth that the file has (12 bits, in some TIFFs), black at 0; what it says of itself is kept."""
    white = 2 ** _bits(image, path) - 1
    levels = np.rint(np.asarray(image).astype(np.float64) * (255 / white)).clip(0, 255).astype(np.uint8)
    grey = Image.fromarray(255 - levels if _is_white_zero(image) else levels)  # Pillow inverts the 8-bit ones only
    grey.info = dict(image.info)
    return grey


def _to_rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode in {"I", "F"}:
        kind = "floating-point" if image.mode == "F" else "32-bit or signed"
        raise ImageError(f"{path} has {kind} pixels, whose range is not known: convert it to 8 or 16 bits.")
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
    except (ImageCms.PyCMSError, OSError):  # no profile at all, or not one of CMYK
        return image.convert("RGB")
    return converted if converted is not None else image.convert("RGB")
