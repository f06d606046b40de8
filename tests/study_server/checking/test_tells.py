"""What sides show is written down here rather than measured; that pixels show it is test_seen.py's to say."""

from dataclasses import replace
from pathlib import Path

import pytest

from cgeval.images import Header
from study_server.checking.findings import AWAY, Severity
from study_server.checking.seen import ImagesSeen, Measures, Seen
from study_server.checking.sides import REAL
from study_server.checking.tells import find_tells

PNG = Header("PNG", "RGB", False, (), None)
ADOBE = Header("PNG", "RGB", False, (), "Adobe RGB (1998)")
PLAIN = Seen("", PNG, 64, 64, "", False, 0, 40.0, Measures(False, 0.0, False, 9.0, 100.0))


def measured(image: Seen, **changes) -> Seen:
    return replace(image, measures=replace(image.measures, **changes))


def side(name: str, *changes, share: float = 1.0, count: int = 52, unreadable: tuple[str, ...] = ()) -> ImagesSeen:
    """Images that differ in name, pixels and, a little, in sharpness; the changes are made to a share of them."""
    images = []
    for i in range(count):
        image = measured(replace(PLAIN, name=f"{name}{i}.png", digest=f"{name}{i}"), sharpness=9.0 + i % 10)
        for change in changes if i < share * count else ():
            image = change(image)
        images.append(image)
    return ImagesSeen(name, Path(name), tuple(images), unreadable)


def with_header(header: Header):
    return lambda image: replace(image, header=header)


def jpeg(step: float):
    return lambda image: measured(image, grid=True, step=step)


def found(real: ImagesSeen, fake: ImagesSeen) -> dict[str, Severity]:
    return {finding.tell: finding.severity for finding in find_tells(real, fake)}


def one(tell: str, real: ImagesSeen, fake: ImagesSeen):
    (finding,) = (finding for finding in find_tells(real, fake) if finding.tell == tell)
    return finding


def test_sides_that_differ_in_names_alone_have_no_tells():
    assert find_tells(side(REAL), side("cyclegan")) == []


# What the pixels tell

TELLS = {
    "size": lambda image: replace(image, width=80),
    "jpeg": jpeg(1.4),
    "colour": lambda image: replace(image, grey=True),
    "depth": lambda image: measured(image, coarse=True),
    "alpha": with_header(Header("PNG", "RGB", True, (), None)),
    "border": lambda image: replace(image, border_px=4),
    "flat": lambda image: replace(image, spread=0.1),
}


@pytest.mark.parametrize("tell", TELLS)
@pytest.mark.parametrize("marked", [REAL, "fake"])
def test_each_tell_of_the_pixels_is_found_on_either_side(tell, marked):
    real, fake = (side(name, TELLS[tell], share=0.9 if name == marked else 0) for name in (REAL, "fake"))
    finding = one(tell, real, fake)
    assert finding.severity is Severity.GIVES_AWAY
    assert finding.right == pytest.approx(0.5 + 47 / 52 / 2)  # 47 of 52 bear it


@pytest.mark.parametrize("tell", TELLS)
def test_what_is_on_both_sides_alike_is_no_tell(tell):
    findings = find_tells(side(REAL, TELLS[tell]), side("cyclegan", TELLS[tell]))
    assert not [f for f in findings if f.right is not None and f.right >= AWAY]


@pytest.mark.parametrize(("share", "severity"), [(0.05, Severity.NOTE), (0.3, Severity.MAY_HELP)])
def test_severity_grows_with_the_pairs_that_a_tell_decides(share, severity):
    assert found(side(REAL, TELLS["colour"], share=share), side("cyclegan"))["colour"] is severity


def test_sizes_that_vary_alike_are_a_note():
    finding = one("size", side(REAL, TELLS["size"], share=0.5), side("x", TELLS["size"], share=0.5))
    assert finding.severity is Severity.NOTE
    assert "vary, alike on both sides" in finding.found


def test_other_proportions_are_said():
    assert "(1.00 to 1 and 1.25 to 1)" in one("size", side(REAL), side("x", TELLS["size"])).found


def test_a_faint_grid_may_help_and_gives_nothing_away():
    assert found(side(REAL, jpeg(0.1)), side("x")) == {"jpeg": Severity.MAY_HELP}


def test_the_side_to_make_again_is_the_one_that_was_jpeg():
    assert "make the real images again" in one("jpeg", side(REAL, jpeg(1.4)), side("x")).todo
    assert "make the images by x again" in one("jpeg", side(REAL), side("x", jpeg(1.4))).todo


def test_images_too_small_for_a_grid_are_in_no_number_of_it():
    small = side(REAL, lambda image: measured(image, grid=None))
    assert find_tells(small, side("x", jpeg(2.0))) == []


def test_blocks_that_stand_out_on_one_side_are_found_when_both_were_jpeg():
    assert found(side(REAL, jpeg(0.6)), side("cyclegan", jpeg(2.0))) == {"blocks": Severity.GIVES_AWAY}


@pytest.mark.parametrize("step", [1.4, 1.0], ids=["alike", "less apart than a screen shows"])
def test_blocks_that_nobody_sees_apart_are_no_tell(step):
    assert find_tells(side(REAL, jpeg(1.4)), side("cyclegan", jpeg(step))) == []


def test_blur_and_light_are_notes_with_an_interval():
    soft = side("x", lambda image: measured(image, sharpness=3.0, brightness=50.0))
    for tell, word in (("sharpness", "sharper"), ("brightness", "brighter")):
        finding = one(tell, side(REAL), soft)
        assert finding.severity is Severity.NOTE
        assert f"Real images are {word}" in finding.found
        assert "interval" in finding.found
    dark = side(REAL, lambda image: measured(image, brightness=50.0))
    assert "Real images are darker" in one("brightness", dark, side("x")).found


def test_of_few_images_no_tones_are_told():
    few = side("x", lambda image: measured(image, brightness=50.0), count=9)
    assert "brightness" not in found(side(REAL), few)


# What stands in a study's way


def test_a_fake_that_is_a_real_image_spoils_the_study():
    real, fake = side(REAL), side("x")
    copied = replace(fake, images=(*fake.images, replace(PLAIN, name="copy.png", digest=real.images[7].digest)))
    finding = one("copies", real, copied)
    assert finding.severity is Severity.SPOILS
    assert "1 of 53 images by x (real7.png = copy.png)" in finding.found


@pytest.mark.parametrize("whose", [REAL, "x"])
def test_repeats_within_a_side_are_named(whose):
    real, fake = (
        replace(images, images=(*images.images, replace(images.images[7], name="again.png")))
        if images.name == whose
        else images
        for images in (side(REAL), side("x"))
    )
    finding = one("repeats", real, fake)
    assert finding.severity is Severity.MAY_HELP
    assert f"{whose}7.png = again.png" in finding.found


def test_fifty_pairs_are_enough_and_forty_nine_are_not():
    assert "pairs" not in found(side(REAL, count=50), side("x"))
    finding = find_tells(side(REAL), side("x", count=49))[0]
    assert (finding.tell, finding.severity) == ("pairs", Severity.SPOILS)
    assert "49 pairs" in finding.found


def test_unreadable_files_are_named():
    finding = one("unreadable", side(REAL), side("x", unreadable=("b.png is empty.",)))
    assert finding.severity is Severity.SPOILS
    assert "1 (b.png is empty)" in finding.found


# What the files tell


@pytest.mark.parametrize(
    ("header", "tell", "severity"),
    [
        (Header("JPEG", "RGB", False, (), None), "format", Severity.NOTE),
        (Header("WEBP", "RGB", False, (), None), "format", Severity.MAY_HELP),
        (Header("PNG", "P", False, (), None), "depth", Severity.NOTE),
        (Header("PNG", "RGB", False, ("EXIF",), None), "metadata", Severity.NOTE),
        (Header("PNG", "RGB", False, (), "sRGB IEC61966-2.1"), "metadata", Severity.NOTE),
        (ADOBE, "profile", Severity.MAY_HELP),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_headers_tell(header, tell, severity):
    assert found(side(REAL, with_header(header)), side("cyclegan"))[tell] is severity


def test_metadata_and_srgb_profiles_on_both_sides_are_no_tells():
    change = with_header(Header("PNG", "RGB", False, ("EXIF", "comment"), "sRGB IEC61966-2.1"))
    assert find_tells(side(REAL, change), side("x", change)) == []


def test_how_pixels_are_stored_is_not_told_beside_grey_pictures_which_explain_it():
    grey = side("x", with_header(Header("PNG", "L", False, (), None)), TELLS["colour"])
    assert set(found(side(REAL), grey)) == {"colour"}


def test_opaque_alpha_is_no_tell_of_its_own():
    opaque = with_header(Header("PNG", "RGBA", False, (), None))
    assert set(found(side(REAL), side("x", opaque))) == {"depth"}


# How it is said


def test_the_worst_comes_first_and_every_sentence_carries_its_numbers_and_says_what_to_do():
    real = side(REAL, jpeg(1.4), TELLS["colour"], TELLS["border"], with_header(ADOBE))
    findings = find_tells(real, side("x", TELLS["size"]))
    assert len(findings) >= 6
    assert [f.severity for f in findings] == sorted((f.severity for f in findings), key=list(Severity).index)
    for finding in findings:
        assert "52" in finding.found, finding
        assert finding.found.endswith(".")
        assert finding.todo.endswith(".")
        assert "  " not in finding.found + finding.todo


def test_marks_of_a_sample_are_said_to_be_sampled():
    real = side(REAL, jpeg(1.4))
    sampled = replace(real, images=tuple(replace(i, measures=None) for i in real.images[:32]) + real.images[32:])
    assert "20 of 20 sampled real images and 0 of 52 images by x" in one("jpeg", sampled, side("x")).found


def test_of_many_kinds_the_most_frequent_three_are_told():
    widths = [1] * 20 + [2] * 15 + [3] * 10 + [4] * 6 + [5]
    real = side(REAL)
    sizes = tuple(replace(image, width=width) for image, width in zip(real.images, widths, strict=True))
    told = one("size", replace(real, images=sizes), side("x")).found
    assert "1x64 (20), 2x64 (15), 3x64 (10), others (7) among real images; 64x64 (52) among images by x" in told
