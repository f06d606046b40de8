"""Nothing goes in; `tests/golden/images/` comes out: image files of rare kinds, written byte by byte without Pillow.

Each is a few pixels whose stored numbers are the constants below, so that a test knows what must come out of it.
Run `python -m tests.golden.make_images` in the repository to make them again; the bytes do not change.
"""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).with_name("images")
WIDTH, HEIGHT = 4, 2
GREY16 = (0, 1, 128, 129, 32768, 257 * 77, 65534, 65535)
COLOUR16 = tuple(tuple((7919 * (3 * i + c) + 257 * 40 * i) % 65536 for c in range(3)) for i in range(8))
ALPHA16 = (0, 65535, 257 * 128, 257 * 64, 65535, 0, 257 * 200, 257)
GREY12 = (0, 1, 16, 2048, 2049, 4000, 4094, 4095)
IDS2, IDS4 = (0, 1, 2, 3, 3, 2, 1, 0), (0, 1, 2, 11, 15, 7, 8, 9)
LAB = ((100, 0, 0), (0, 0, 0), (50, 40, 30), (53, 0, 0), (70, -30, 40), (40, 20, -50), (75, 10, -20), (40, -30, 20))
INKS = {"C": (60, -20, -30), "M": (50, 50, 0), "Y": (90, 0, 70), "K": (0, 0, 0)}  # CIELAB of each ink, full, alone
CMYK = ((0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255), (0, 0, 0, 0), (0,) * 4, (0,) * 4)
SHORT, LONG, UNDEFINED = 3, 4, 7


def packed(numbers: Sequence[int], bits: int, order: str = ">") -> bytes:
    """Whole numbers of the given width, rows of WIDTH numbers padded to whole bytes."""
    if bits >= 8:
        letters = {8: "B", 16: "H", 32: "I"}
        return struct.pack(f"{order}{len(numbers)}{letters[bits]}", *numbers) if bits != 12 else _packed12(numbers)
    rows = [numbers[i : i + WIDTH] for i in range(0, len(numbers), WIDTH)]
    return b"".join(_bits(row, bits) for row in rows)


def png(bits: int, colour_type: int, rows: Sequence[bytes], extra: bytes = b"", width: int = WIDTH) -> bytes:
    """A PNG of the given IHDR bit depth and colour type; its data is stored, not compressed."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + extra + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def tiff(data: bytes, bits: Sequence[int], photometric: int, order: str = "<", **more: tuple[int, bytes]) -> bytes:
    """An uncompressed TIFF 6.0 of one strip. more: t<number>=(type, packed value), for further tags."""
    entries = {
        256: (SHORT, struct.pack(f"{order}H", WIDTH)),
        257: (SHORT, struct.pack(f"{order}H", HEIGHT)),
        258: (SHORT, struct.pack(f"{order}{len(bits)}H", *bits)),
        259: (SHORT, struct.pack(f"{order}H", 1)),
        262: (SHORT, struct.pack(f"{order}H", photometric)),
        273: (LONG, b"----"),
        277: (SHORT, struct.pack(f"{order}H", len(bits))),
        278: (SHORT, struct.pack(f"{order}H", HEIGHT)),
        279: (LONG, struct.pack(f"{order}I", len(data))),
    } | {int(name[1:]): entry for name, entry in more.items()}
    after = 8 + 2 + 12 * len(entries) + 4
    outside = b"".join(value for _, (_, value) in sorted(entries.items()) if len(value) > 4)
    entries[273] = (LONG, struct.pack(f"{order}I", after + len(outside)))
    table, place = b"", after
    for number, (kind, value) in sorted(entries.items()):
        count = len(value) // {SHORT: 2, LONG: 4, UNDEFINED: 1}[kind]
        table += struct.pack(f"{order}HHI", number, kind, count)
        table += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(f"{order}I", place)
        place += len(value) if len(value) > 4 else 0
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    return start + table + b"\0\0\0\0" + outside + data


def cmyk_profile() -> bytes:
    """An ICC 2.1 output profile (ICC.1:1998-09): one 2 x 2 x 2 x 2 table from CMYK to CIELAB, inks on white paper."""
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    table = b"".join(struct.pack(">3H", *_lab16(_overprint(corner))) for corner in corners)
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut = b"mft2\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + struct.pack(">2H", 2, 2)
    lut += struct.pack(">8H", *(0, 65535) * 4) + table + struct.pack(">6H", *(0, 65535) * 3)
    white = struct.pack(">3i", 63190, 65536, 54061)  # D50
    header = struct.pack(">I4sI4s4s4s", 128 + 4 + 12 + len(lut), b"", 0x02100000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white
    return header.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(lut)) + lut


def files() -> dict[str, bytes]:
    """Content of every file by its name."""
    colour = [number for pixel in COLOUR16 for number in pixel]
    with_alpha = [number for pixel, alpha in zip(COLOUR16, ALPHA16, strict=True) for number in (*pixel, alpha)]
    lab = b"".join(struct.pack(">Bbb", round(light * 255 / 100), a, b) for light, a, b in LAB)
    floats = struct.pack("<8f", *(i / 7 for i in range(8)))
    signed = {"t339": (SHORT, struct.pack("<H", 2))}
    return {
        "grey16.png": png(16, 0, _rows(packed(GREY16, 16))),
        "rgb16.png": png(16, 2, _rows(packed(colour, 16))),
        "rgba16.png": png(16, 6, _rows(packed(with_alpha, 16))),
        "keyed16.png": png(16, 2, _rows(packed(colour, 16)), _chunk(b"tRNS", packed(COLOUR16[1], 16))),
        "ids2.png": png(2, 0, _rows(packed(IDS2, 2))),
        "ids4.png": png(4, 0, _rows(packed(IDS4, 4))),
        "ids4.tif": tiff(packed(IDS4, 4), [4], 1),
        "ids_white_is_zero.tif": tiff(packed(IDS4, 8), [8], 0),
        "grey16_le.tif": tiff(packed(GREY16, 16, "<"), [16], 1),
        "grey16_be.tif": tiff(packed(GREY16, 16, ">"), [16], 1, ">"),
        "grey16_white_is_zero.tif": tiff(packed([65535 - v for v in GREY16], 16, "<"), [16], 0),
        "grey12.tif": tiff(packed(GREY12, 12), [12], 1),
        "rgb16_le.tif": tiff(packed(colour, 16, "<"), [16] * 3, 2),
        "rgb16_be.tif": tiff(packed(colour, 16, ">"), [16] * 3, 2, ">"),
        "lab.tif": tiff(lab, [8] * 3, 8),
        "cmyk_icc.tif": tiff(bytes(v for p in CMYK for v in p), [8] * 4, 5, t34675=(UNDEFINED, cmyk_profile())),
        "rgb_and_two_more.tif": tiff(bytes(range(40)), [8] * 5, 2, t338=(SHORT, bytes(4))),
        "seven_channels.tif": tiff(bytes(range(56)), [8] * 7, 1, t338=(SHORT, bytes(12))),
        "grey32.tif": tiff(packed(GREY16, 32, "<"), [32], 1),
        "grey16_signed.tif": tiff(packed(GREY16, 16, "<"), [16], 1, **signed),
        "grey_float.tif": tiff(floats, [32], 1, t339=(SHORT, struct.pack("<H", 3))),
        "rgb_float.tif": tiff(floats * 3, [32] * 3, 2, t339=(SHORT, struct.pack("<3H", 3, 3, 3))),
    }


def _rows(data: bytes) -> list[bytes]:
    length = len(data) // HEIGHT
    return [data[i : i + length] for i in range(0, len(data), length)]


def _bits(row: Sequence[int], bits: int) -> bytes:
    text = "".join(f"{number:0{bits}b}" for number in row)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


def _packed12(numbers: Sequence[int]) -> bytes:
    return b"".join(_bits(numbers[i : i + WIDTH], 12) for i in range(0, len(numbers), WIDTH))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _overprint(inks: Sequence[int]) -> tuple[float, float, float]:
    """CIELAB of inks printed over each other: lightness multiplies, colour adds, black covers."""
    light, a, b = 100.0, 0.0, 0.0
    for amount, (ink_light, ink_a, ink_b) in zip(inks, INKS.values(), strict=True):
        if amount:
            light, a, b = light * ink_light / 100, a + ink_a, b + ink_b
    return (0, 0, 0) if inks[3] else (light, a, b)


def _lab16(lab: Sequence[float]) -> tuple[int, int, int]:
    """The 16-bit CIELAB encoding of ICC version 2: 100 is FF00, and 0 of a and b is 8000."""
    return round(lab[0] / 100 * 0xFF00), round((lab[1] + 128) * 256), round((lab[2] + 128) * 256)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, content in files().items():
        (FOLDER / name).write_bytes(content)
