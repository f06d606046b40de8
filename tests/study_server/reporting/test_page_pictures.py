import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgeval.images import read_rgb
from study_server.analysis.closer import ImageRate
from study_server.analysis.intervals import clopper_pearson
from study_server.judged import Judged
from study_server.manifest import STIMULI, Manifest
from study_server.reporting.page_pictures import FEWER_PX, MOST_PX, Shown, extremes
from tests.study_server.reporting.simulated import imported, judged_of
from tests.study_server.small_study import small_study

TRIALS = {"practice": 3, "scored": 10}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    folder = small_study(tmp_path_factory.mktemp("pictures"), pairs=14, trials=TRIALS)
    return judged_of(folder, {"one": (3, 4), "two": (1, 2)})


def manifest_of(judged: Judged) -> Manifest:
    assert judged.manifest is not None
    return judged.manifest


def image(name: str, fooled: int, trials: int) -> ImageRate:
    return ImageRate(name, fooled, trials, clopper_pearson(fooled / trials, trials))


def rates(judged: Judged, fooled: tuple[int, ...], trials: int = 10) -> list[ImageRate]:
    pairs = manifest_of(judged).pairs_of("one")
    return [image(pair.id, each, trials) for pair, each in zip(pairs, fooled, strict=False)]


def pixels(uri: str) -> np.ndarray:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_pictures_are_the_two_halves_of_what_participants_saw(judged: Judged) -> None:
    found = extremes("one", rates(judged, (1, 9, 5, 3)), judged, 2)
    manifest, shown = manifest_of(judged), found.most[0]
    pair = manifest.by_id[shown.rate.image]
    composite = read_rgb(judged.folder / STIMULI / pair.stimulus("right"))
    assert np.array_equal(pixels(shown.fake), composite[:, :16])
    assert np.array_equal(pixels(shown.real), composite[:, 16:])
    assert (shown.fake_name, shown.real_name) == (pair.fake, pair.real)


def test_the_most_and_the_least_convincing_come_first_and_none_twice(judged: Judged) -> None:
    found = extremes("one", rates(judged, (0, 9, 5, 3, 10, 1, 2)), judged, 2)
    assert [each.rate.fooled for each in found.most] == [10, 9, 5]
    assert [each.rate.fooled for each in found.least] == [0, 1, 2]


def test_there_are_at_most_six_of_each(judged: Judged) -> None:
    found = extremes("one", rates(judged, tuple(i % 11 for i in range(14))), judged, 2)
    assert (len(found.most), len(found.least)) == (6, 6)
    assert len({each.rate.image for each in (*found.most, *found.least)}) == 12


def test_images_that_few_have_judged_do_not_come_first(judged: Judged) -> None:
    pairs = manifest_of(judged).pairs_of("one")
    images = [image(pairs[0].id, 1, 1), image(pairs[1].id, 9, 10), image(pairs[2].id, 0, 1), image(pairs[3].id, 1, 20)]
    found = extremes("one", images, judged, 2)
    assert found.most[0].rate.trials == 10
    assert found.least[0].rate.trials == 20


@pytest.mark.parametrize(("arms", "size_px"), [(2, MOST_PX), (5, FEWER_PX)])
def test_large_pictures_are_made_smaller(tmp_path: Path, arms: int, size_px: int) -> None:
    folder = small_study(tmp_path, pairs=14, exposure={"size_px": 130}, trials=TRIALS)
    judged = judged_of(folder, {"one": (3,), "two": (1,)})
    shown = extremes("one", rates(judged, (1, 9)), judged, arms).most[0]
    assert shown.size_px == size_px
    assert pixels(shown.fake).shape == (size_px, size_px, 3)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (Path.unlink, "the file is gone"),
        (lambda path: path.write_bytes(b"nothing"), "changed after the study was built"),
    ],
)
def test_a_picture_that_is_not_as_it_was_built_is_not_shown(tmp_path: Path, spoil: object, why: str) -> None:
    judged = judged_of(small_study(tmp_path, pairs=14, trials=TRIALS), {"one": (3,), "two": (1,)})
    for pair in manifest_of(judged).pairs_of("one"):
        assert callable(spoil)
        spoil(judged.folder / STIMULI / pair.stimulus("left"))
    found = extremes("one", rates(judged, (1, 9)), judged, 2)
    assert [(each.fake, each.why) for each in found.most] == [("", why)]
    assert found.have_pictures


def test_an_imported_study_has_names_alone(judged: Judged) -> None:
    found = extremes("one", [image("x.png", 3, 4), image("y.png", 1, 4)], imported(judged), 2)
    assert not found.have_pictures
    assert isinstance(found.most[0], Shown)
    assert [each.fake_name for each in (*found.most, *found.least)] == ["x.png", "y.png"]
