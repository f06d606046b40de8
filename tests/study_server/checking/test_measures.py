import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.fft import dctn

from cgeval.images import find_images, read_rgb, resize
from study_server.checking.measures import (
    COSINES,
    GRID,
    block_step,
    border,
    digest,
    is_coarse,
    is_grey,
    jpeg_grid,
    luma,
    middle,
    sharpness,
)
from tests.study_server.pictures import framed, greyed, photo, through_jpeg


def lead(picture: np.ndarray) -> float:
    return jpeg_grid(luma(picture))[0]


# The grid of JPEG


def test_our_cosines_are_the_orthonormal_dct():
    block = np.random.default_rng(0).normal(size=(8, 8))
    np.testing.assert_allclose(COSINES @ block @ COSINES.T, dctn(block, norm="ortho"), atol=1e-6)


def test_the_grid_agrees_with_counting_zeros_block_by_block():
    grey = luma(through_jpeg(photo(3, 40), 80)[3:, 5:])
    shares = np.zeros((8, 8))
    for row in range(8):
        for column in range(8):
            corners = [(y, x) for y in range(row, 37 - 7, 8) for x in range(column, 35 - 7, 8)]
            blocks = np.stack([grey[y : y + 8, x : x + 8] for y, x in corners]).astype(float)
            shares[row, column] = np.mean(np.abs(dctn(blocks, axes=(1, 2), norm="ortho")) < 0.5)
    best, second = np.sort(shares.ravel())[:-3:-1]
    measured, origin = jpeg_grid(grey)
    assert measured == pytest.approx(best - second, abs=2e-3)
    assert origin == np.unravel_index(shares.argmax(), shares.shape)


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 95, 98])
def test_a_decoded_jpeg_is_found_in_its_pixels_alone(quality):
    assert lead(through_jpeg(photo(1, 128), quality)) >= GRID


@given(down=st.integers(0, 7), right=st.integers(0, 7))
@settings(max_examples=12, deadline=None)
def test_a_crop_moves_the_grid_and_does_not_hide_it(down, right):
    measured, origin = jpeg_grid(luma(through_jpeg(photo(2, 96), 85)[down:, right:]))
    assert measured >= GRID
    assert origin == (-down % 8, -right % 8)


def chequered(period: int) -> np.ndarray:
    """What a transposed convolution leaves: a pattern of its stride on top of the picture."""
    pattern = np.random.default_rng(period).integers(-4, 5, (period, period, 1))
    tiled = np.tile(pattern, (128 // period, 128 // period, 1))
    return np.clip(photo(4, 128).astype(int) + tiled, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        photo(0, 128),
        np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8),
        resize(photo(5, 64), 128, 128, "bicubic"),
        resize(photo(6, 32), 128, 128, "bilinear"),
        resize(through_jpeg(photo(7, 160), 75), 128, 128, "bicubic"),
        chequered(2),
        chequered(4),
        np.full((128, 128, 3), 90, np.uint8),
    ],
    ids=["photo", "noise", "enlarged", "enlarged four times", "jpeg then resized", "period 2", "period 4", "blank"],
)
def test_what_never_was_jpeg_or_was_resized_has_no_grid(picture):
    assert lead(picture) < GRID


def test_the_step_at_block_edges_is_in_grey_levels():
    rows, columns = np.indices((72, 72)) // 8
    chequers = (100 + 3 * ((rows + columns) % 2)).astype(np.float32)
    assert block_step(chequers, (0, 0)) == pytest.approx(3 * 6 / 7, rel=0.05)
    assert block_step(chequers[5:, 2:], (3, 6)) == pytest.approx(3 * 6 / 7, rel=0.05)
    assert block_step(chequers, (4, 4)) < 0


def test_lower_quality_steps_higher():
    steps = [block_step(luma(through_jpeg(photo(8, 128), quality)), (0, 0)) for quality in (98, 90, 75, 50, 30)]
    assert steps == sorted(steps)
    assert steps[0] < 0.5 < steps[3]


def test_the_middle_is_256_pixels_or_all_there_are():
    grey = np.arange(300 * 100, dtype=np.float32).reshape(300, 100)
    np.testing.assert_array_equal(middle(grey), grey[22:278])


@pytest.mark.slow
def test_the_thresholds_hold_on_real_photos(shared_data):
    """The claims of `jpeg_grid`'s docstring on a sample: photos as JPEG files, and the same resized by bicubic."""
    files = find_images(shared_data / "camvid" / "test" / "photo")[::24]
    files += find_images(shared_data / "horse2zebra" / "testB")[::14]
    photos = [read_rgb(file)[:256, :256] for file in files]
    resized = [resize(picture, size, size, "bicubic") for picture in photos for size in (128, 200)]
    saved = [through_jpeg(picture, quality) for picture in resized[1::2] for quality in (75, 95)]
    assert np.mean([lead(picture) >= GRID for picture in photos]) > 0.9
    assert max(lead(picture) for picture in resized) < GRID
    assert min(lead(picture) for picture in saved) >= GRID


# The other measures


def test_a_frame_counts_and_a_white_sky_does_not():
    letterboxed, sky = photo(0).copy(), photo(0).copy()
    letterboxed[:5] = letterboxed[-7:] = 0
    sky[:20] = 255
    assert [border(luma(picture)) for picture in (photo(0), framed(photo(0)), letterboxed, sky)] == [0, 4, 5, 0]


def test_a_frame_that_jpeg_rippled_still_counts():
    frame = np.pad(photo(0)[12:-12, 12:-12], ((12, 12), (12, 12), (0, 0)), constant_values=200)
    rippled = luma(through_jpeg(frame, 75))
    assert np.ptp(rippled[:8]) > 0
    assert border(rippled) >= 8


def test_grey_is_grey_after_jpeg_too_and_colour_is_not():
    assert [is_grey(p) for p in (greyed(photo(0)), through_jpeg(greyed(photo(0)), 75), photo(0))] == [True, True, False]


def test_palettes_and_few_bits_are_coarse_and_photos_are_not():
    picture = photo(0, 128)
    palette = np.asarray(Image.fromarray(picture).quantize(64).convert("RGB"))
    assert [is_coarse(p) for p in (picture, palette, picture & 0xF8, picture & 0xFE)] == [False, True, True, True]
    assert not is_coarse(palette[:32, :32])  # too small to have many


def test_blur_lowers_sharpness_and_light_does_not():
    picture = photo(0)
    blurred = resize(resize(picture, 32, 32, "area"), 64, 64, "bilinear")
    assert sharpness(luma(blurred)) < 0.6 * sharpness(luma(picture))
    assert sharpness(luma(picture // 2 + 60)) == pytest.approx(sharpness(luma(picture // 2)), rel=1e-3)


def test_sharpness_of_one_lit_pixel_by_hand():
    """A binomial blur takes 3/4 of the pixel away and leaves 1/8 and 1/16 around it; the mean is over 3x3."""
    grey = np.zeros((5, 5), np.float32)
    grey[2, 2] = 16
    assert sharpness(grey) == pytest.approx(np.sqrt((12**2 + 4 * 2**2 + 4 * 1**2) / 9))


def test_the_digest_is_of_pixels_and_shape(tmp_path):
    Image.fromarray(photo(0)).save(tmp_path / "one.png", compress_level=1)
    Image.fromarray(photo(0)).save(tmp_path / "other.bmp")
    assert digest(read_rgb(tmp_path / "one.png")) == digest(read_rgb(tmp_path / "other.bmp"))
    assert digest(photo(0)) != digest(photo(0).reshape(32, 128, 3))
