"""Every kind of image file comes out as the right uint8 sRGB picture, or is refused with its reason."""

import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from cgeval.errors import ImageError
from cgeval.images import (
    distinct_colours,
    encode_png,
    find_images,
    from_network,
    image_id,
    image_size,
    natural_key,
    read_ids,
    read_rgb,
    resize,
    to_network,
    write_png,
)
from tests.golden import make_images as rare

GOLDEN = rare.FOLDER
CORNERS = np.array(  # red, green, blue and white corners tell every turn and mirroring apart
    [[[255, 0, 0], [9, 9, 9], [0, 255, 0]], [[0, 0, 255], [9, 9, 9], [255, 255, 255]]], dtype=np.uint8
)
TURNS = {  # what EXIF 2.3, tag 274, says must be done to show the stored picture
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def pixel(path: Path) -> tuple[int, ...]:
    return tuple(int(level) for level in read_rgb(path)[0, 0])


def refusal(path: Path, read=read_rgb) -> str:
    with pytest.raises(ImageError) as caught:
        read(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


# Modes


@pytest.mark.parametrize(
    ("mode", "colour", "shown"),
    [
        ("RGB", (10, 20, 30), (10, 20, 30)),
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("1", 0, (0, 0, 0)),
        ("LA", (100, 255), (100, 100, 100)),
        ("LA", (100, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),  # a fifth of black over white
        ("P", 0, (0, 0, 0)),
    ],
)
def test_every_mode_of_png_is_shown_as_a_page_would_show_it(tmp_path, mode, colour, shown):
    assert pixel(saved(tmp_path / "a.png", Image.new(mode, (3, 2), colour))) == shown


@pytest.mark.parametrize("alphas", [3, bytes([255, 255, 255, 0])])
def test_transparent_palette_entries_are_laid_over_white(tmp_path, alphas):
    picture = Image.new("P", (2, 1))
    picture.putpalette([0, 0, 0, 50, 60, 70, 9, 9, 9, 200, 0, 0])
    picture.putpixel((0, 0), 3)
    picture.putpixel((1, 0), 1)
    shown = read_rgb(saved(tmp_path / "a.png", picture, transparency=alphas))
    assert shown.tolist() == [[[255, 255, 255], [50, 60, 70]]]


def test_a_transparent_colour_at_8_bits_is_laid_over_white(tmp_path):
    picture = Image.fromarray(CORNERS)
    shown = read_rgb(saved(tmp_path / "a.png", picture, transparency=(255, 0, 0)))
    assert shown[0, 0].tolist() == [255, 255, 255]
    assert (shown[0, 1:] == CORNERS[0, 1:]).all()


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "PNG", "TIFF"])
def test_lossless_files_come_out_to_the_bit(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert (read_rgb(saved(tmp_path / f"a.{suffix}", Image.fromarray(picture), **options)) == picture).all()


def test_a_picture_is_known_by_its_content_when_its_suffix_lies(tmp_path):
    data = saved(tmp_path / "a.png", Image.fromarray(CORNERS)).read_bytes()
    (tmp_path / "b.jpg").write_bytes(data)
    assert (read_rgb(tmp_path / "b.jpg") == CORNERS).all()


# CMYK


def test_cmyk_without_a_profile_is_inverted_plainly(tmp_path):
    for inks, shown in (((0, 0, 0, 0), (255, 255, 255)), ((255, 0, 0, 0), (0, 255, 255)), ((0, 0, 0, 255), (0, 0, 0))):
        assert pixel(saved(tmp_path / "a.tif", Image.new("CMYK", (2, 2), inks))) == shown
        near = pixel(saved(tmp_path / "a.jpg", Image.new("CMYK", (16, 16), inks), quality=100))
        assert np.abs(np.subtract(near, shown)).max() <= 2


def srgb_of_lab(light: float, a: float, b: float) -> list[float]:
    """CIELAB (D50) to sRGB levels: CIE 15, Bradford-adapted primaries and curve of IEC 61966-2-1."""
    fy = (light + 16) / 116
    xyz = [
        white * (f**3 if f > 6 / 29 else 3 * (6 / 29) ** 2 * (f - 4 / 29))
        for white, f in zip((0.9642, 1.0, 0.8249), (fy + a / 500, fy, fy - b / 200), strict=True)
    ]
    matrix = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = np.clip(np.array(matrix) @ xyz, 0, 1)
    return list(255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def test_cmyk_goes_through_its_own_profile():
    shown = read_rgb(GOLDEN / "cmyk_icc.tif").reshape(8, 3)
    expected = [srgb_of_lab(100, 0, 0), *(srgb_of_lab(*lab) for lab in rare.INKS.values())]
    assert np.abs(shown[:5] - np.array(expected)).max() <= 2
    assert shown[1].tolist() != [0, 255, 255]  # what the cyan would be without the profile


@pytest.mark.parametrize("profile", [b"no profile at all", "sRGB"])
def test_a_cmyk_profile_that_does_not_work_is_passed_over(tmp_path, profile):
    from PIL import ImageCms

    data = profile if isinstance(profile, bytes) else ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert pixel(saved(tmp_path / "a.tif", Image.new("CMYK", (2, 2), (255, 0, 0, 0)), icc_profile=data)) == (
        0,
        255,
        255,
    )


def test_cielab_comes_out_as_srgb():
    shown = read_rgb(GOLDEN / "lab.tif").reshape(8, 3)
    assert np.abs(shown - np.array([srgb_of_lab(*lab) for lab in rare.LAB])).max() <= 3


# EXIF


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_comes_out_upright_and_its_size_is_known_from_the_header(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[274] = orientation
    large = np.kron(CORNERS, np.ones((16, 16, 1), dtype=np.uint8))  # large enough to survive JPEG
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(large), exif=exif, **options)
    shown, expected = read_rgb(path), TURNS[orientation](large)
    assert image_size(path) == (expected.shape[1], expected.shape[0])
    assert shown.shape == expected.shape
    assert np.abs(shown[8::16, 8::16].astype(int) - expected[8::16, 8::16]).max() <= (8 if suffix == "jpg" else 0)


def test_a_turned_16_bit_picture_comes_out_upright(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    levels = (np.arange(6, dtype=np.uint16) * 257).reshape(2, 3)
    path = saved(tmp_path / "a.png", Image.fromarray(levels), exif=exif)
    assert read_rgb(path)[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]


# Depths other than 8 bits


def test_the_golden_files_are_what_their_script_makes():
    assert {path.name: path.read_bytes() for path in GOLDEN.iterdir()} == rare.files()


@pytest.mark.parametrize("name", ["grey16.png", "grey16_le.tif", "grey16_be.tif", "grey16_white_is_zero.tif"])
def test_16_bit_grey_is_scaled_and_not_clipped(name):
    expected = [round(level / 257) for level in rare.GREY16]
    assert read_rgb(GOLDEN / name).reshape(8, 3).tolist() == [[level] * 3 for level in expected]


def test_12_bit_grey_is_scaled_by_its_own_white():
    expected = [round(level * 255 / 4095) for level in rare.GREY12]
    assert read_rgb(GOLDEN / "grey12.tif")[..., 0].ravel().tolist() == expected


@pytest.mark.parametrize("name", ["rgb16.png", "rgb16_le.tif", "rgb16_be.tif"])
def test_of_16_bit_colour_the_high_byte_is_taken_which_is_at_most_one_level_less(name):
    shown = read_rgb(GOLDEN / name).reshape(8, 3)
    assert shown.tolist() == [[level >> 8 for level in pixel] for pixel in rare.COLOUR16]
    exact = np.array(rare.COLOUR16) / 257
    assert np.abs(shown - np.rint(exact)).max() <= 1


def test_16_bit_transparency_is_laid_over_white():
    expected = [
        [round(level / 257 * alpha / 65535 + 255 * (1 - alpha / 65535)) for level in pixel]
        for pixel, alpha in zip(rare.COLOUR16, rare.ALPHA16, strict=True)
    ]
    assert np.abs(read_rgb(GOLDEN / "rgba16.png").reshape(8, 3) - np.array(expected)).max() <= 1


def test_channels_beyond_red_green_and_blue_are_left_out():
    shown = read_rgb(GOLDEN / "rgb_and_two_more.tif").reshape(8, 3)
    assert shown.tolist() == [[5 * i, 5 * i + 1, 5 * i + 2] for i in range(8)]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("grey32.tif", "32-bit"),
        ("grey16_signed.tif", "signed"),
        ("grey_float.tif", "floating-point"),
        ("rgb_float.tif", "TIFF of a kind"),
        ("seven_channels.tif", "TIFF of a kind"),
        ("keyed16.png", "one colour as transparent at 16 bits"),
    ],
)
def test_pixels_without_an_agreed_range_are_refused(name, reason):
    assert reason in refusal(GOLDEN / name)


# Several pictures in one file


@pytest.mark.parametrize("suffix", ["webp", "tif", "png"])
def test_of_several_frames_or_pages_the_first_is_read(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:], **options)
    assert pixel(path) == (255, 0, 0)
    assert image_size(path) == (8, 6)


# Files that are no pictures, or no longer


def test_a_truncated_jpeg_is_called_broken(tmp_path, shared_noise):
    path = saved(tmp_path / "a.jpg", shared_noise)
    path.write_bytes(path.read_bytes()[:-200])
    assert "is broken" in refusal(path)
    assert image_size(path) == (64, 48)  # the header is whole


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert "is empty (0 bytes)" in refusal(tmp_path / "a.jpg")
    assert "is empty (0 bytes)" in refusal(tmp_path / "a.jpg", image_size)


def test_a_text_file_called_png_is_no_image(tmp_path):
    (tmp_path / "a.png").write_text("404: not found")
    for read in (read_rgb, read_ids, image_size):
        assert "is not an image of a kind that can be read" in refusal(tmp_path / "a.png", read)


def test_a_drawing_that_a_program_would_have_to_run_is_no_image(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    assert "is not an image" in refusal(tmp_path / "a.png")


def test_a_missing_file_and_a_folder_are_named_as_such(tmp_path):
    assert "does not exist" in refusal(tmp_path / "a.png")
    (tmp_path / "b.png").mkdir()
    assert "is a folder" in refusal(tmp_path / "b.png")


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.new("1", (400, 300)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
    for read in (read_rgb, image_size):
        assert "more pixels than are read (100,000): make it smaller" in refusal(path, read)


def test_a_file_that_may_not_be_read_is_not_called_broken(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.fromarray(CORNERS))

    def denied(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Image, "open", denied)
    assert "cannot be read (Permission denied)" in refusal(path)


@pytest.fixture(scope="module")
def shared_noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8))


def whole_files() -> list[bytes]:
    exif = Image.Exif()
    exif[274] = 6
    small = Image.fromarray(np.random.default_rng(2).integers(0, 256, (7, 9, 3), dtype=np.uint8))
    kinds = [("PNG", small), ("PNG", small.convert("P")), ("JPEG", small), ("JPEG", small.convert("CMYK"))]
    kinds += [("BMP", small), ("WEBP", small), ("GIF", small.convert("P"))]
    contents = []
    for kind, picture in kinds:
        buffer = io.BytesIO()
        picture.save(buffer, kind, **({"exif": exif} if kind not in ("BMP", "GIF") else {}))
        contents.append(buffer.getvalue())
    return contents + [content for name, content in rare.files().items() if "_be" in name or "icc" in name]


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.sampled_from(whole_files()),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    kept=st.floats(0, 1),
)
def test_whatever_happens_to_a_file_it_is_read_or_refused_in_one_sentence(tmp_path, content, changes, kept):
    altered = bytearray(content)
    for place, byte in changes:
        altered[int(place**2 * len(altered))] = byte
    path = tmp_path / "a.png"
    path.write_bytes(altered[: int(len(altered) * kept)] if kept < 0.9 else altered)
    for read in (read_rgb, read_ids, image_size):
        if (found := read_or_refuse(read, path)) is not None and read is read_rgb:
            assert found.dtype == np.uint8
            assert found.ndim == 3
            assert found.shape[2] == 3


def read_or_refuse(read, path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Pillow's, of metadata that it passes over
            return read(path)
    except ImageError as error:
        refused = str(error)
    assert str(path) in refused
    return None


# Label maps


@pytest.mark.parametrize("name", ["ids2.png", "ids4.png", "ids4.tif", "grey16.png", "grey16_be.tif", "grey12.tif"])
def test_ids_are_the_stored_numbers_at_any_depth(name):
    stored = {"ids2": rare.IDS2, "ids4": rare.IDS4, "grey16": rare.GREY16, "grey16_be": rare.GREY16}
    assert read_ids(GOLDEN / name).ravel().tolist() == list(stored.get(name.split(".")[0], rare.GREY12))


def test_ids_of_a_palette_picture_are_the_places_in_the_palette(tmp_path):
    picture = Image.new("P", (3, 1))
    picture.putpalette([70, 130, 180, 128, 64, 128, 0, 0, 142])
    picture.putdata([2, 0, 1])
    assert read_ids(saved(tmp_path / "a.png", picture)).tolist() == [[2, 0, 1]]


def test_a_colour_picture_is_no_map_of_ids(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(CORNERS))
    assert "is a colour picture (mode RGB)" in refusal(path, read_ids)


def test_a_label_map_that_counts_from_white_is_refused():
    assert "0 is white" in refusal(GOLDEN / "ids_white_is_zero.tif", read_ids)


@given(arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 65535)))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_ids_survive_writing_and_reading(tmp_path_factory, ids):
    path = tmp_path_factory.mktemp("ids") / "a.png"
    write_png(path, ids)
    assert (read_ids(path) == ids).all()


@pytest.mark.parametrize(("highest", "mode"), [(255, "L"), (256, "I;16"), (65535, "I;16")])
def test_ids_beyond_a_byte_are_written_at_16_bits(highest, mode):
    data = encode_png(np.array([[0, highest]]))
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == mode
        assert np.asarray(image).tolist() == [[0, highest]]


@pytest.mark.parametrize("wrong", [-1, 65536])
def test_ids_that_no_png_holds_are_refused(wrong):
    with pytest.raises(ImageError, match="0 to 65535"):
        encode_png(np.array([[0, wrong]]))


@pytest.mark.parametrize("array", [CORNERS, CORNERS[..., 0], np.arange(6).reshape(2, 3) * 9000])
def test_the_same_array_gives_the_same_bytes(array):
    assert encode_png(array) == encode_png(array.copy(order="F"))


# Resizing


@given(
    ids=arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 300)),
    width=st.integers(1, 20),
    height=st.integers(1, 20),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_resized_label_map_holds_no_id_that_was_not_there(ids, width, height):
    small = resize(ids, width, height, "nearest")
    assert small.shape == (height, width)
    assert small.dtype == ids.dtype
    assert set(small.ravel()) <= set(ids.ravel())


@given(
    picture=arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))),
    width=st.integers(1, 20),
    height=st.integers(1, 20),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_maps_and_pictures_are_resized_by_the_same_nearest(picture, width, height):
    coloured = resize(picture, width, height, "nearest")
    assert (coloured[..., 1] == resize(picture[..., 1], width, height, "nearest")).all()


@pytest.mark.parametrize(("before", "after"), [(480, 64), (360, 64), (7, 5), (5, 13), (9, 4), (11, 27), (10, 10)])
def test_nearest_is_pillows_where_no_two_pixels_are_equally_near(before, after):
    assert all((2 * x + 1) * before % (2 * after) for x in range(after) if before != after)
    picture = np.random.default_rng(0).integers(0, 256, (before, before, 3), dtype=np.uint8)
    theirs = Image.fromarray(picture).resize((after, after), Image.Resampling.NEAREST)
    assert (resize(picture, after, after, "nearest") == np.asarray(theirs)).all()


@pytest.mark.parametrize("filter_name", ["bilinear", "bicubic", "lanczos", "area"])
def test_a_label_map_is_never_interpolated(filter_name):
    with pytest.raises(ImageError, match="nearest"):
        resize(np.zeros((4, 4), dtype=np.int32), 2, 2, filter_name)


def test_area_averages_and_bicubic_is_the_references_filter():
    checks = np.kron(np.eye(2), np.ones((2, 2)))[..., None] * np.array([200, 100, 50])
    assert resize(checks.astype(np.uint8), 1, 1, "area").tolist() == [[[100, 50, 25]]]
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    expected = Image.fromarray(noise).resize((17, 13), Image.Resampling.BICUBIC)
    assert (resize(noise, 17, 13, "bicubic") == np.asarray(expected)).all()


# Between files and networks


def test_every_level_survives_the_way_into_a_network_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = np.stack([levels, levels.T, 255 - levels], axis=-1)
    inside = to_network(picture)
    assert inside.dtype == np.float32
    assert inside.shape == (3, 16, 16)
    assert (inside.min(), inside.max()) == (-1, 1)
    assert (from_network(inside) == picture).all()


def test_a_networks_output_is_rounded_and_clipped():
    level = np.array([-7, -1, -1 + 0.6 / 127.5, -1 + 0.4 / 127.5, 0.999, 5], dtype=np.float64)
    assert from_network(np.stack([level[None]] * 3))[0, :, 0].tolist() == [0, 0, 1, 0, 255, 255]


# Finding files


def test_images_are_found_at_any_depth_in_natural_order(tmp_path):
    names = ["10.png", "2.JPG", "a/b/1.webp", "a/12.tiff", "a/3.bmp", "1_A.jpeg"]
    hidden = [".thumb.png", ".cache/1.png", "__MACOSX/._1.jpg", "a/._3.bmp", "notes.txt", "png", "a/x.png.part"]
    for name in names + hidden:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert found == ["1_A.jpeg", "2.JPG", "10.png", "a/3.bmp", "a/12.tiff", "a/b/1.webp"]


def test_linked_folders_are_followed_once_and_a_dead_link_is_found_to_be_named(tmp_path):
    (tmp_path / "data" / "in").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far.png").touch()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "in" / "circle").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "dead.png").symlink_to(tmp_path / "gone.png")
    found = find_images(tmp_path / "data")
    assert [path.relative_to(tmp_path / "data").as_posix() for path in found] == ["dead.png", "linked/far.png"]
    assert "does not exist" in refusal(found[0])


def test_a_folder_that_may_not_be_read_is_not_taken_for_empty(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def guarded(path: Path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(PermissionError):
        find_images(tmp_path)


def test_no_folder_holds_no_images(tmp_path):
    assert find_images(tmp_path / "none") == []


@settings(derandomize=True)
@given(st.lists(st.text(alphabet="0123456789ab/._", min_size=1, max_size=8), max_size=8, unique=True))
def test_natural_order_does_not_depend_on_the_order_of_finding(names):
    ordered, found_otherwise = sorted(names, key=natural_key), names[::-1]
    found_otherwise.sort(key=natural_key)
    assert found_otherwise == ordered
    numbers = [int(name) for name in ordered if name.isdecimal()]
    assert numbers == sorted(numbers)


def test_an_id_is_the_path_without_its_suffix(tmp_path):
    assert image_id(tmp_path / "aachen" / "aachen_000.1.png", tmp_path) == "aachen/aachen_000.1"


def test_colours_are_counted_up_to_the_limit():
    assert distinct_colours(CORNERS) == 5
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    assert distinct_colours(noise, 65) == 65


# Real pictures


def test_camvids_label_maps_hold_its_twelve_ids(shared_data):
    folder = shared_data / "camvid" / "val" / "label"
    maps = find_images(folder)[::20]
    assert maps
    assert {int(i) for path in maps for i in np.unique(read_ids(path))} <= set(range(12))


def test_a_real_jpeg_comes_out_as_pillow_decodes_it(shared_data):
    path = find_images(shared_data / "horse2zebra" / "testA")[0]
    assert (read_rgb(path) == np.asarray(Image.open(path).convert("RGB"))).all()
    assert image_size(path) == (256, 256)
