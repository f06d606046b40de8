from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from cgeval.errors import DataError, ImageError
from cgeval.images import Header, image_header, read_rgb
from study_server.checking.measures import luma, sharpness
from study_server.checking.seen import ImagesSeen, Seen, each, look, look_at
from study_server.checking.sides import Side
from tests.study_server.pictures import framed, greyed, photo, through_jpeg

PNG = Header("PNG", "RGB", False, (), None)


def seen(picture: np.ndarray) -> Seen:
    return look("a.png", PNG, picture, measure=True)


def folder_of(path: Path, count: int) -> Path:
    path.mkdir()
    for seed in range(count):
        Image.fromarray(photo(seed)).save(path / f"{seed}.png")
    return path


def side_of(folder: Path) -> Side:
    return Side("cyclegan", folder, tuple(sorted(folder.iterdir())))


# One image


def test_a_plain_photo_shows_none_of_the_marks():
    image = seen(photo(0))
    assert not any((image.grey, image.framed, image.flat, image.measures.grid, image.measures.coarse))
    assert (image.name, image.size, image.header) == ("a.png", "64x64", PNG)
    assert image.measures.sharpness == sharpness(luma(photo(0)))
    assert image.measures.brightness == pytest.approx(luma(photo(0)).mean())


MARKS = {
    "grey": (greyed, lambda image: image.grey),
    "framed": (framed, lambda image: image.framed),
    "flat": (lambda picture: np.full_like(picture, 127), lambda image: image.flat),
    "grid": (lambda picture: through_jpeg(picture, 75), lambda image: image.measures.grid),
    "coarse": (lambda picture: picture & 0xE0, lambda image: image.measures.coarse),
}


@pytest.mark.parametrize("mark", MARKS)
def test_each_mark_is_seen_in_every_picture_that_bears_it_and_in_no_other(mark):
    change, shows = MARKS[mark]
    for seed in range(5):
        assert shows(seen(change(photo(seed))))
        assert not shows(seen(photo(seed)))


def test_blocks_step_where_there_is_a_grid_and_are_nothing_where_there_is_none():
    strong, faint, none = (seen(p).measures for p in (through_jpeg(photo(0), 30), through_jpeg(photo(0), 97), photo(0)))
    assert strong.step > faint.step
    assert faint.grid
    assert (none.grid, none.step) == (False, 0.0)


def test_a_small_image_is_not_asked_for_a_grid():
    assert seen(photo(0, 40)).measures.grid is None


def test_a_flat_image_is_no_frame():
    image = seen(np.full((64, 64, 3), 127, np.uint8))
    assert image.border_px > 0
    assert not image.framed


def test_width_comes_before_height():
    assert seen(photo(0)[:, :48]).size == "48x64"


# One side


def test_progress_counts_every_file_and_the_unreadable_are_named(tmp_path):
    folder = folder_of(tmp_path / "images", 3)
    (folder / "empty.png").touch()
    steps: list[int] = []
    images = look_at(side_of(folder), 200, 0, steps.append)
    assert (sum(steps), len(images.images), len(images.measured)) == (4, 3, 3)
    assert (images.name, images.folder) == ("cyclegan", folder)
    assert len(images.unreadable) == 1
    assert "empty.png is empty" in images.unreadable[0]


def test_the_seed_draws_the_sample(tmp_path):
    side = side_of(folder_of(tmp_path / "images", 12))

    def sampled(seed: int) -> list[str]:
        return [image.name for image in look_at(side, 4, seed, lambda _: None).images if image.measures]

    assert sampled(1) == sampled(1) != sampled(2)
    assert len(sampled(1)) == 4


def test_names_are_those_below_the_folder(tmp_path):
    folder_of(tmp_path / "val", 1)
    side = Side("a", tmp_path, (tmp_path / "val" / "0.png",))
    assert [image.name for image in look_at(side, 1, 0, lambda _: None).images] == ["val/0.png"]


def test_a_side_of_which_nothing_can_be_read_is_an_error(tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match="none of the 1 image files"):
        look_at(side_of(tmp_path), 1, 0, lambda _: None)


def test_each_asks_every_image_the_real_side_first():
    one, other = (ImagesSeen(name, Path(), (seen(photo(0)[:size]),)) for name, size in (("real", 48), ("a", 64)))
    assert each(lambda image: image.height, one, other) == ([48], [64])


# What a file says of itself


def test_headers_tell_format_mode_transparency_and_metadata(tmp_path):
    picture = Image.fromarray(photo(0, 32))
    exif = Image.Exif()
    exif[0x010F] = "maker"
    text = PngInfo()
    text.add_text("Comment", "made by hand")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    hole = picture.convert("RGBA")
    hole.putpixel((3, 3), (0, 0, 0, 0))
    picture.save(tmp_path / "exif.jpg", exif=exif, comment="by hand", icc_profile=srgb)
    picture.save(tmp_path / "text.png", pnginfo=text)
    picture.save(tmp_path / "plain.tif")
    picture.convert("RGBA").save(tmp_path / "opaque.png")
    hole.save(tmp_path / "hole.png")
    picture.quantize(16).save(tmp_path / "key.png", transparency=0)
    Image.fromarray(np.arange(1024, dtype=np.uint16).reshape(32, 32)).save(tmp_path / "deep.png")
    told = {path.name: image_header(path) for path in tmp_path.iterdir()}
    assert (told["exif.jpg"].format, told["exif.jpg"].metadata) == ("JPEG", ("EXIF", "comment"))
    assert "sRGB" in told["exif.jpg"].profile
    assert told["text.png"].metadata == ("comment",)
    assert told["plain.tif"] == Header("TIFF", "RGB", False, (), None)
    assert [told[f"{name}.png"].see_through for name in ("opaque", "hole", "key")] == [False, True, True]
    assert told["deep.png"].mode.startswith("I;16")


def test_a_header_that_cannot_be_read_names_the_file(tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"empty\.png is empty"):
        image_header(tmp_path / "empty.png")


def test_a_transparent_picture_is_seen_as_it_lies_over_white(tmp_path):
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    path = tmp_path / "clear.png"
    image = look("clear.png", image_header(path), read_rgb(path), measure=True)
    assert image.header.see_through
    assert image.measures.brightness == pytest.approx(255)
