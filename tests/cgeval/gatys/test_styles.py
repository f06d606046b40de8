"""What an image or a whole collection looks like to a network, and which images stand for it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval.datasets import ImageFile
from cgeval.errors import DataError, ImageError
from cgeval.gatys.gram import gram
from cgeval.gatys.styles import (
    Look,
    average_style,
    device_of,
    nearest_to_centres,
    representatives,
    resized,
    style_of,
    to_tensor,
)
from cgeval.images import write_png
from tests.cgeval.gatys.small_vgg import pictures, small_vgg

LAYERS = ("relu1_1", "relu3_1")
CPU = torch.device("cpu")


def written(folder, batch):
    """The pictures as files 0.png, 1.png, ..."""
    for i, picture in enumerate(batch):
        write_png(folder / f"{i}.png", picture)
    return [ImageFile(str(i), folder / f"{i}.png") for i in range(len(batch))]


def averaged(network, files, look, **others):
    return average_style(network, files, look, **{"name": "all", "kind": "collection", **others})


def test_the_average_of_a_stream_is_the_average_of_all_at_once(tmp_path):
    network, batch = small_vgg(), pictures(5, 24, 24)
    style = averaged(network, written(tmp_path, batch), Look(LAYERS, 24))
    with torch.no_grad():
        features = network(to_tensor(batch, CPU), LAYERS)
    assert (style.n, style.name, style.kind) == (5, "all", "collection")
    for layer in LAYERS:
        torch.testing.assert_close(style.grams[layer], gram(features[layer]).mean(dim=0), rtol=1e-5, atol=1e-6)


def test_the_order_of_a_collection_does_not_matter(tmp_path):
    network, files = small_vgg(), written(tmp_path, pictures(4, 24, 24))
    one, other = (averaged(network, order, Look(LAYERS, 24)) for order in (files, files[::-1]))
    assert one.digest == other.digest
    for layer in LAYERS:
        torch.testing.assert_close(one.grams[layer], other.grams[layer], rtol=1e-6, atol=0)


def test_the_digest_tells_other_pictures_and_other_sizes(tmp_path):
    network, files = small_vgg(), written(tmp_path, pictures(3, 24, 24))
    styles = [averaged(network, part, Look(LAYERS, px)) for part, px in ((files, 24), (files[:2], 24), (files, 20))]
    assert len({style.digest for style in styles}) == 3


def test_a_style_at_a_coarser_scale_is_that_of_the_smaller_picture():
    network, picture = small_vgg(), pictures(1, 24, 32)[0]
    style = style_of(network, picture, ("relu1_1", "relu1_1@0.5", "relu3_1@0.5"), "strokes")
    small = resized(to_tensor(picture[None], CPU), 0.5)
    assert small.shape == (1, 3, 12, 16)
    with torch.no_grad():
        features = network(small, LAYERS)
    assert list(style.grams) == ["relu1_1", "relu1_1@0.5", "relu3_1@0.5"]
    torch.testing.assert_close(style.grams["relu1_1@0.5"], gram(features["relu1_1"])[0])
    torch.testing.assert_close(style.grams["relu3_1@0.5"], gram(features["relu3_1"])[0])


def test_one_picture_is_a_collection_of_one(tmp_path):
    network, batch = small_vgg(), pictures(1, 24, 24)
    alone = style_of(network, batch[0], LAYERS, "x")
    listed = averaged(network, written(tmp_path, batch), Look(LAYERS, 24), kind="image")
    assert alone.digest == listed.digest
    for layer in LAYERS:
        torch.testing.assert_close(alone.grams[layer], listed.grams[layer])


def test_a_look_keeps_the_shape_or_squashes(tmp_path):
    (file,) = written(tmp_path, pictures(1, 20, 40))
    assert Look(LAYERS, 20).read(file).shape == (10, 20, 3)
    assert Look(LAYERS, 20, squashed=True).read(file).shape == (20, 20, 3)


def test_each_image_is_told_and_may_end_the_work(tmp_path):
    network, files = small_vgg(), written(tmp_path, pictures(3, 24, 24))
    seen = []
    averaged(network, files, Look(LAYERS, 24), seen=lambda: seen.append(1))
    assert len(seen) == 3

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        averaged(network, files, Look(LAYERS, 24), seen=stop)


def test_nothing_and_broken_files_are_refused(tmp_path):
    network = small_vgg()
    with pytest.raises(DataError, match="the style 'all' has no images"):
        averaged(network, [], Look(LAYERS, 24))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"broken\.png"):
        averaged(network, [ImageFile("broken", tmp_path / "broken.png")], Look(LAYERS, 24))


def test_images_that_stand_for_a_collection_come_from_its_groups_the_largest_first(tmp_path):
    network = small_vgg()
    flat = [np.full((24, 24, 3), level, np.uint8) for level in (20, 24, 28)]
    rough = list(np.random.default_rng(0).integers(0, 256, (5, 24, 24, 3), dtype=np.uint8))
    files = written(tmp_path, flat[:2] + rough + flat[2:])
    chosen = representatives(network, files, 2, Look((*LAYERS, "relu1_1@0.5"), 24))
    assert chosen[0] in files[2:7]
    assert chosen[1] in (files[0], files[1], files[7])
    assert chosen == representatives(network, files, 2, Look(LAYERS, 24)), "the coarse scales do not matter"
    with pytest.raises(DataError, match="9 representative images are wanted of 8"):
        representatives(network, files, 9, Look(LAYERS, 24))


def test_the_representative_of_all_is_the_one_nearest_to_the_mean():
    points = np.array([[0.0, 0.0], [10.0, 0.0], [4.0, 1.0], [0.0, 9.0]])
    assert nearest_to_centres(points, 1) == [2]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_representatives_are_different_images_and_always_the_same(data):
    count = data.draw(st.integers(1, 12))
    rows = data.draw(st.lists(st.tuples(*[st.integers(-3, 3)] * 2), min_size=count, max_size=12))
    points = np.array(rows, dtype=float)
    chosen = nearest_to_centres(points, count)
    assert len(set(chosen)) == count
    assert chosen == nearest_to_centres(points, count)


def test_a_network_says_where_it_is():
    assert device_of(small_vgg()) == CPU
