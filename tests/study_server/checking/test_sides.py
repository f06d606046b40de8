from pathlib import Path

import pytest
from PIL import Image

from cgeval.errors import CgevalError
from cgeval.runs import Run
from study_server.checking.sides import REAL, find_sides
from tests.study_server.pictures import photo


def folder_of(path: Path, count: int = 1) -> Path:
    path.mkdir()
    for seed in range(count):
        Image.fromarray(photo(seed)).save(path / f"{seed}.png")
    return path


def make_run(path: Path, names, count: int = 2) -> Path:
    made = Run.create(path, method="cyclegan", dataset={"name": "streets"}, producer={"name": "test", "version": "0"})
    for name in names:
        with made.write_image_set(name, direction="AtoB", split="test", checkpoint=None) as writer:
            for seed in range(count):
                writer.add(str(seed), photo(seed), source=str(seed), target=None)
    return path


def test_a_run_with_one_image_set_is_enough(tmp_path):
    real, fake = find_sides(str(folder_of(tmp_path / "real")), [f"a={make_run(tmp_path / 'run', ['test-AtoB'])}"])
    assert (real.name, fake.name, fake.folder.name) == (REAL, "a", "test-AtoB")
    assert [path.name for path in fake.files] == ["0.png", "1.png"]


def test_a_set_of_a_run_is_named_after_a_colon_for_either_side(tmp_path):
    run = make_run(tmp_path / "run", ["test-AtoB", "test-BtoA"])
    real, fake = find_sides(f"{run}:test-AtoB", [f"a={run}:test-BtoA"])
    assert (real.folder.name, fake.folder.name) == ("test-AtoB", "test-BtoA")


def test_a_folder_with_a_colon_or_an_equals_sign_in_its_name_is_a_folder(tmp_path):
    folder, other = folder_of(tmp_path / "at 12:30"), folder_of(tmp_path / "lambda=10")
    real, fake = find_sides(str(folder), [f"a={other}"])
    assert (real.folder, fake.folder) == (folder, other)


MISTAKES = {
    "several sets": (["a={run}"], "2 image sets (test-AtoB, test-BtoA): name one"),
    "no such set": (["a={run}:val"], "no image set 'val'"),
    "no set yet": (["a={bare}"], "no image set yet"),
    "nowhere": (["a={root}/nowhere"], "not there"),
    "a file": (["a={root}/file.png"], "a file"),
    "no images": (["a={empty}"], "holds no images"),
    "no name": (["{run}"], "NAME=WHERE"),
    "no place": (["a="], "NAME=WHERE"),
    "a strange name": (["a b={run}"], "NAME=WHERE"),
    "called real": (["real={run}:test-AtoB"], "two sides are called 'real'"),
    "called alike": (["a={run}:test-AtoB", "a={run}:test-BtoA"], "two sides are called 'a'"),
    "the real folder": (["a={real}"], "real and a are the same folder"),
    "the real folder by another way": (["a={real}/../real"], "real and a are the same folder"),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("places")
    (root / "file.png").touch()
    (root / "empty").mkdir()
    return {
        "root": root,
        "empty": root / "empty",
        "real": folder_of(root / "real"),
        "run": make_run(root / "run", ["test-AtoB", "test-BtoA"]),
        "bare": make_run(root / "bare", []),
    }


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(mistake, places):
    fakes, sentence = MISTAKES[mistake]
    with pytest.raises(CgevalError) as error:
        find_sides(str(places["real"]), [fake.format(**places) for fake in fakes])
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 1
