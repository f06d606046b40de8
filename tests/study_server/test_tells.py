import io
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from scipy.fft import dctn

from cgeval.errors import ImageError
from cgeval.images import Header, find_images, image_header, read_rgb, resize
from study_server.tells import (
    AWAY,
    COSINES,
    GRID,
    REAL,
    ImagesSeen,
    Seen,
    Severity,
    block_step,
    border,
    digest,
    find_tells,
    is_coarse,
    jpeg_grid,
    look,
    luma,
    right_by_amount,
    right_by_kind,
    right_by_mark,
    sharpness,
)

PNG = Header("PNG", "RGB", False, (), None)
ADOBE = Header("PNG", "RGB", False, (), "Adobe RGB (1998)")


def photo(seed: int, size: int = 128) -> np.ndarray:
    """A picture with about the spectrum of a soft photo (amplitude f ** -1.5) and some colour."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    frequency[0, 0] = 1
    channels = []
    shared = rng.normal(size=(size, size))
    for _ in range(3):
        noise = shared + 0.3 * rng.normal(size=(size, size))
        field = np.fft.ifft2(np.fft.fft2(noise) / frequency**1.5).real
        channels.append(110 + 45 * (field - field.mean()) / field.std())
    return np.clip(np.rint(np.stack(channels, axis=2)), 0, 255).astype(np.uint8)


def through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def lead(picture: np.ndarray) -> float:
    return jpeg_grid(luma(picture))[0]


@cache
def seen(pixels: bytes, shape: tuple[int, ...]) -> Seen:
    """Looked at once, since many tests show the same pictures."""
    return look("", PNG, np.frombuffer(pixels, np.uint8).reshape(shape), measure=True)


def side(name: str, pictures, header: Header = PNG, **also) -> ImagesSeen:
    looks = [replace(seen(p.tobytes(), p.shape), name=f"{name}{i}.png", header=header) for i, p in enumerate(pictures)]
    return ImagesSeen(name, tuple(looks), **also)


@pytest.fixture(scope="module")
def reals():
    return [photo(seed, 64) for seed in range(52)]


@pytest.fixture(scope="module")
def fakes():
    return [photo(1000 + seed, 64) for seed in range(52)]


def found(real: ImagesSeen, fake: ImagesSeen) -> dict[str, Severity]:
    return {finding.tell: finding.severity for finding in find_tells(real, fake)}


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
            blocks = [dctn(grey[y : y + 8, x : x + 8].astype(float), norm="ortho") for y, x in corners]
            shares[row, column] = np.mean(np.abs(blocks) < 0.5)
    best, second = np.sort(shares.ravel())[:-3:-1]
    measured, origin = jpeg_grid(grey)
    assert measured == pytest.approx(best - second, abs=2e-3)
    assert origin == np.unravel_index(shares.argmax(), shares.shape)


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 95, 98])
def test_a_decoded_jpeg_is_found_in_its_pixels_alone(quality):
    assert lead(through_jpeg(photo(1), quality)) >= GRID


@given(down=st.integers(0, 7), right=st.integers(0, 7))
@settings(max_examples=12, deadline=None)
def test_a_crop_moves_the_grid_and_does_not_hide_it(down, right):
    measured, origin = jpeg_grid(luma(through_jpeg(photo(2), 85)[down:, right:]))
    assert measured >= GRID
    assert origin == (-down % 8, -right % 8)


def chequered(period: int) -> np.ndarray:
    """What a transposed convolution leaves: a pattern of its stride on top of the picture."""
    pattern = np.random.default_rng(period).integers(-4, 5, (period, period, 1))
    tiled = np.tile(pattern, (128 // period, 128 // period, 1))
    return np.clip(photo(4).astype(int) + tiled, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        photo(0),
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
    def step(quality):
        grey = luma(through_jpeg(photo(8), quality))
        return block_step(grey, (0, 0))

    steps = [step(quality) for quality in (98, 90, 75, 50, 30)]
    assert steps == sorted(steps)
    assert steps[0] < 0.5 < steps[3]


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


def test_a_frame_counts_and_a_white_sky_does_not(reals):
    framed, letterboxed, sky = (reals[0].copy() for _ in range(3))
    framed[:3] = framed[-3:] = framed[:, :3] = framed[:, -3:] = 255
    letterboxed[:5] = letterboxed[-7:] = 0
    sky[:20] = 255
    assert [border(luma(picture)) for picture in (reals[0], framed, letterboxed, sky)] == [0, 3, 5, 0]


def test_palettes_and_few_bits_are_coarse_and_photos_are_not():
    picture = photo(0)
    palette = np.asarray(Image.fromarray(picture).quantize(64).convert("RGB"))
    assert [is_coarse(p) for p in (picture, palette, picture & 0xF8, picture & 0xFE)] == [False, True, True, True]
    assert not is_coarse(picture[:32, :32])  # too small to have many


def test_blur_lowers_sharpness_and_light_does_not():
    picture = photo(0)
    blurred = resize(resize(picture, 64, 64, "area"), 128, 128, "bilinear")
    assert sharpness(luma(blurred)) < 0.6 * sharpness(luma(picture))
    assert sharpness(luma(picture // 2 + 60)) == pytest.approx(sharpness(luma(picture // 2)), rel=1e-3)


def test_the_digest_is_of_pixels_and_shape(tmp_path, reals):
    Image.fromarray(reals[0]).save(tmp_path / "one.png", compress_level=1)
    Image.fromarray(reals[0]).save(tmp_path / "other.bmp")
    assert digest(read_rgb(tmp_path / "one.png")) == digest(read_rgb(tmp_path / "other.bmp"))
    assert digest(reals[0]) != digest(reals[0].reshape(32, 128, 3))


# How many pairs would be right

amounts = st.lists(st.integers(0, 8).map(float), min_size=1, max_size=12)


@given(real=amounts, fake=amounts)
def test_right_by_amount_is_the_share_of_pairs_with_ties_halved(real, fake):
    pairs = [1.0 if r > f else 0.5 if r == f else 0.0 for r in real for f in fake]
    area, low, high = right_by_amount(real, fake)
    assert area == pytest.approx(np.mean(pairs))
    assert 0 <= low <= area <= high <= 1


def test_the_interval_is_hanley_and_mcneils():
    """By hand for area 0.8, 20 and 20: Q1 = 0.66667, Q2 = 0.71111, standard error 0.07102."""
    area, low, high = right_by_amount([2.0] * 12 + [1.0] * 8, [1.0] * 20)
    assert area == pytest.approx(0.8)
    assert (area - low) / 1.96 == pytest.approx(0.07102, abs=1e-5)
    assert (high - area) / 1.96 == pytest.approx(0.07102, abs=1e-5)


@given(
    real=st.lists(st.sampled_from("abc"), min_size=1, max_size=20),
    fake=st.lists(st.sampled_from("abc"), min_size=1, max_size=20),
)
def test_right_by_kind_is_what_the_best_rule_gets(real, fake):
    """For each pair of kinds, the rule picks the arrangement that is more likely, and is right that often."""
    p, q = ({kind: side.count(kind) / len(side) for kind in "abc"} for side in (real, fake))
    best = sum(max(p[a] * q[b], p[b] * q[a]) for a in "abc" for b in "abc") / 2
    frequent = all(
        real.count(kind) + fake.count(kind) == 0 or real.count(kind) + fake.count(kind) >= 0.05 * len(real + fake)
        for kind in "abc"
    )
    assert not frequent or right_by_kind(real, fake) == pytest.approx(best)


@given(real=st.lists(st.booleans(), min_size=1, max_size=15), fake=st.lists(st.booleans(), min_size=1, max_size=15))
def test_a_mark_is_a_kind_of_two(real, fake):
    assert right_by_mark(np.mean(real), np.mean(fake)) == pytest.approx(right_by_kind(real, fake))


def test_sizes_that_no_two_images_share_are_nobodys_mark():
    assert right_by_kind([f"{i}x1" for i in range(100)], [f"{i}x2" for i in range(100)]) == 0.5
    assert right_by_kind([f"{i}x1" for i in range(100)], ["256x256"] * 100) == 1.0


# What is found


def test_sides_that_differ_in_names_alone_have_no_tells(reals, fakes):
    assert find_tells(side(REAL, reals), side("cyclegan", fakes)) == []


def changed(pictures, share, change):
    return [change(picture) if i < share * len(pictures) else picture for i, picture in enumerate(pictures)]


def framed(picture):
    return np.pad(picture[4:-4, 4:-4], ((4, 4), (4, 4), (0, 0)))


def greyed(picture):
    return np.repeat(picture[..., :1], 3, axis=2)


TELLS = {
    "size": lambda p: resize(p, 80, 64, "bicubic"),
    "jpeg": lambda p: through_jpeg(p, 75),
    "colour": greyed,
    "depth": lambda p: p & 0xE0,
    "border": framed,
    "flat": lambda p: np.full_like(p, 127),
}


@pytest.mark.parametrize("tell", TELLS)
@pytest.mark.parametrize("marked", ["real", "fake"])
def test_each_tell_of_the_pixels_is_found_on_either_side(tell, marked, reals, fakes):
    change = TELLS[tell]
    a, b = (changed(p, 0.9 if marked == who else 0, change) for who, p in (("real", reals), ("fake", fakes)))
    assert found(side(REAL, a), side("cyclegan", b))[tell] is Severity.GIVES_AWAY


@pytest.mark.parametrize("tell", TELLS)
def test_what_is_on_both_sides_alike_is_no_tell(tell, reals, fakes):
    a, b = ([TELLS[tell](p) for p in pictures] for pictures in (reals, fakes))
    findings = find_tells(side(REAL, a), side("cyclegan", b))
    assert not [f for f in findings if f.right is not None and f.right >= AWAY]


@pytest.mark.parametrize(("share", "severity"), [(0.05, Severity.NOTE), (0.3, Severity.MAY_HELP)])
def test_severity_grows_with_the_pairs_that_a_tell_decides(share, severity, reals, fakes):
    assert found(side(REAL, changed(reals, share, greyed)), side("cyclegan", fakes))["colour"] is severity


def test_a_faint_grid_may_help_and_gives_nothing_away(reals, fakes):
    assert found(side(REAL, [through_jpeg(p, 97) for p in reals]), side("x", fakes))["jpeg"] is Severity.MAY_HELP


def test_blocks_that_stand_out_on_one_side_are_found_when_both_were_jpeg(reals, fakes):
    a, b = [through_jpeg(p, 92) for p in reals], [through_jpeg(p, 40) for p in fakes]
    findings = found(side(REAL, a), side("cyclegan", b))
    assert findings["blocks"] is Severity.GIVES_AWAY
    assert "jpeg" not in findings


def test_a_fake_that_is_a_real_image_spoils_the_study(reals, fakes):
    assert found(side(REAL, reals), side("x", [*fakes, reals[7]]))["copies"] is Severity.SPOILS


def test_repeats_within_a_side_are_named(reals, fakes):
    finding = find_tells(side(REAL, [*reals, reals[7]]), side("x", fakes))[0]
    assert (finding.tell, finding.severity) == ("repeats", Severity.MAY_HELP)
    assert "real7.png = real52.png" in finding.found


def test_fifty_pairs_are_enough_and_forty_nine_are_not(reals, fakes):
    assert "pairs" not in found(side(REAL, reals[:50]), side("x", fakes))
    finding = find_tells(side(REAL, reals), side("x", fakes[:49]))[0]
    assert (finding.tell, finding.severity) == ("pairs", Severity.SPOILS)
    assert "49 pairs" in finding.found


def test_unreadable_files_are_named(reals, fakes):
    finding = find_tells(side(REAL, reals), side("x", fakes, unreadable=("b.png is empty.",)))[0]
    assert (finding.tell, finding.severity) == ("unreadable", Severity.SPOILS)
    assert "b.png" in finding.found


def test_blur_and_light_are_notes_with_an_interval(reals, fakes):
    soft = [resize(resize(p, 32, 32, "area"), 64, 64, "bilinear") // 2 for p in fakes]
    findings = {f.tell: f for f in find_tells(side(REAL, reals), side("x", soft))}
    for tell, word in (("sharpness", "sharper"), ("brightness", "brighter")):
        assert findings[tell].severity is Severity.NOTE
        assert f"Real images are {word}" in findings[tell].found
        assert "interval" in findings[tell].found


@pytest.mark.parametrize(
    ("header", "tell", "severity"),
    [
        (Header("JPEG", "RGB", False, (), None), "format", Severity.NOTE),
        (Header("WEBP", "RGB", False, (), None), "format", Severity.MAY_HELP),
        (Header("PNG", "P", False, (), None), "depth", Severity.NOTE),
        (Header("PNG", "RGBA", True, (), None), "alpha", Severity.GIVES_AWAY),
        (Header("PNG", "RGB", False, ("EXIF",), None), "metadata", Severity.NOTE),
        (Header("PNG", "RGB", False, (), "sRGB IEC61966-2.1"), "metadata", Severity.NOTE),
        (ADOBE, "profile", Severity.MAY_HELP),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_headers_tell(header, tell, severity, reals, fakes):
    assert found(side(REAL, reals, header), side("cyclegan", fakes))[tell] is severity


def test_metadata_and_srgb_profiles_on_both_sides_are_no_tells(reals, fakes):
    header = Header("PNG", "RGB", False, ("EXIF", "comment"), "sRGB IEC61966-2.1")
    assert find_tells(side(REAL, reals, header), side("x", fakes, header)) == []


def test_opaque_alpha_is_no_tell_of_its_own(reals, fakes):
    assert set(found(side(REAL, reals), side("x", fakes, Header("PNG", "RGBA", False, (), None)))) == {"depth"}


def test_every_sentence_carries_its_numbers_and_says_what_to_do(reals, fakes):
    a = side(REAL, [through_jpeg(greyed(framed(p)), 75) for p in reals], ADOBE)
    b = side("x", [resize(p, 80, 64, "bicubic") for p in fakes])
    findings = find_tells(a, b)
    assert len(findings) >= 5
    assert [f.severity for f in findings] == sorted((f.severity for f in findings), key=list(Severity).index)
    for finding in findings:
        assert "52" in finding.found, finding
        assert finding.found.endswith(".")
        assert finding.todo.endswith(".")


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
