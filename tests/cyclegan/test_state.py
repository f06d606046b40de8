"""A checkpoint is plain tensors and numbers, written whole; the index names it; everything else is refused by name."""

import json
import pickle
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval.errors import ConfigError, OutputError, RunError, SchemaError
from cyclegan import state
from cyclegan.config import Checkpoints, TrainConfig, load_config
from cyclegan.step import TrainStep
from tests.cyclegan.conftest import SMALL

CPU = torch.device("cpu")


def content_at(step: int, epoch: int = 0) -> dict[str, object]:
    """The least that counts as a checkpoint."""
    content = {"schema": 1, "config": {}, "step": step, "epoch": epoch, "data_digest": "d", "networks": {}}
    return content | {"optimisers": {}, "processes": [], "best": {}}


def save(folder: Path, step: int, epoch: int = 0, metric: float | None = None, best: bool = False, **rule) -> Path:
    return state.save(folder, content_at(step, epoch), metric=metric, is_best=best, rule=Checkpoints(**rule))


def files(folder: Path) -> list[int]:
    """Steps of the checkpoint files; they must be those of the index."""
    index = state.read_index(folder)
    assert sorted(saved.file for saved in index.saved) == sorted(path.name for path in folder.glob("*.pt"))
    return [saved.step for saved in index.saved]


@pytest.fixture(scope="module")
def trained() -> TrainStep:
    step = TrainStep(load_config("small", SMALL), CPU)
    torch.manual_seed(3)
    for number in range(2):
        real_a, real_b = (torch.rand(1, 3, 32, 32) * 2 - 1 for _ in "ab")
        step(real_a, real_b, step.draws(number))
    return step


def captured(step: TrainStep) -> dict[str, object]:
    return state.capture(step, state.Position(2, 0, "digest", {"value": 0.5, "step": 1.0}), [state.process_state(step)])


# --- one checkpoint


def test_a_checkpoint_is_read_with_weights_only(trained, tmp_path):
    path = state.save(tmp_path, captured(trained), metric=None, is_best=False, rule=Checkpoints())
    content = torch.load(path, weights_only=True)
    assert content["schema"] == 1
    assert content["config"]["networks"]["width"] == 4
    assert set(content["networks"]) == {"gen_ab", "gen_ba", "disc_a", "disc_b"}
    assert (content["step"], content["data_digest"], content["best"]["value"]) == (2, "digest", 0.5)


def test_networks_are_plain_state_dicts_with_the_references_names(trained, tmp_path):
    path = state.save(tmp_path, captured(trained), metric=None, is_best=False, rule=Checkpoints())
    names = list(state.load(path)["networks"]["gen_ab"])
    assert names[0] == "model.1.weight"
    assert "model.10.conv_block.1.weight" in names


def test_what_is_restored_is_what_was_captured(trained, tmp_path):
    path = state.save(tmp_path, captured(trained), metric=None, is_best=False, rule=Checkpoints())
    torch.manual_seed(99)
    other = TrainStep(load_config("small", SMALL), CPU)
    position = state.restore(other, state.load(path))
    assert position == state.Position(2, 0, "digest", {"value": 0.5, "step": 1.0})
    again = state.save(tmp_path / "again", captured(other), metric=None, is_best=False, rule=Checkpoints())
    assert flat(state.load(path)) == flat(state.load(again))


def flat(value: object) -> object:
    """Tensors as lists, so that == compares all of it."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: flat(item) for key, item in value.items()}
    return [flat(item) for item in value] if isinstance(value, list | tuple) else value


def test_a_capture_does_not_follow_the_networks_afterwards(trained):
    content = captured(trained)
    weight = trained.translator.networks["gen_ab"].model[1].weight
    before = content["networks"]["gen_ab"]["model.1.weight"].clone()
    with torch.no_grad():
        weight.add_(1)
    assert torch.equal(content["networks"]["gen_ab"]["model.1.weight"], before)
    with torch.no_grad():
        weight.sub_(1)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"processes": []}, RunError, "0 process"),
        ({"optimisers": {}}, RunError, "imported weights"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(trained, change, error, words):
    with pytest.raises(error, match=words):
        state.restore(trained, captured(trained) | change)


def test_a_checkpoint_of_other_settings_is_refused_by_their_names(trained):
    content = captured(trained)
    other = TrainStep(
        load_config("small", [*SMALL, "seed=7", "objective.cycle_weight_a=5", "logging.every_steps=9"]), CPU
    )
    with pytest.raises(ConfigError, match=r"other settings \(seed, objective\.cycle_weight_a\)"):
        state.restore(other, content)


def test_settings_that_are_free_may_differ(trained):
    other = TrainStep(load_config("small", [*SMALL, "logging.every_steps=9", "data.path=elsewhere"]), CPU)
    assert state.restore(other, captured(trained)).step == 2


# --- the index and the rules that thin it

EVERY_EPOCH = [(7 * epoch, epoch) for epoch in range(1, 9)]


@pytest.mark.parametrize(
    ("rule", "steps"),
    [
        ({"keep": "last"}, [56]),
        ({"keep": "all"}, [7, 14, 21, 28, 35, 42, 49, 56]),
        ({"keep": "every", "keep_every_epochs": 3}, [21, 42, 56]),
        ({"keep": "every", "keep_every_epochs": 4}, [28, 56]),
        ({"keep": "every", "keep_every_epochs": 20}, [56]),
    ],
)
def test_rules_that_thin(tmp_path, rule, steps):
    for step, epoch in EVERY_EPOCH:
        save(tmp_path, step, epoch, **rule)
        assert files(tmp_path)[-1] == step
    assert files(tmp_path) == steps


def test_saving_within_an_epoch_keeps_one_of_its_checkpoints_not_all(tmp_path):
    """An epoch may last hours, and every_minutes then saves it many times."""
    for step in range(10, 60, 5):
        save(tmp_path, step, step // 10, keep="every", keep_every_epochs=2)
    assert files(tmp_path) == [20, 40, 55]


def test_an_epoch_that_was_not_saved_is_stood_in_for_by_the_next(tmp_path):
    for epoch in range(3, 28, 3):
        save(tmp_path, epoch, epoch, keep="every", keep_every_epochs=10)
    assert files(tmp_path) == [12, 21, 27]


def test_the_best_outlives_the_newest_until_a_better_one_comes(tmp_path):
    save(tmp_path, 1, 1, metric=0.5, best=True, keep="last")
    save(tmp_path, 2, 2, metric=0.7, keep="last")
    save(tmp_path, 3, 3, keep="last")
    assert files(tmp_path) == [1, 3]
    assert state.find(tmp_path, "best").name == "step-00000001.pt"
    save(tmp_path, 4, 4, metric=0.3, best=True, keep="last")
    assert files(tmp_path) == [4]
    save(tmp_path, 5, 5, keep="last")
    assert files(tmp_path) == [4, 5]


def test_saving_the_same_step_again_replaces_it(tmp_path):
    save(tmp_path, 20, 20, keep="every")
    save(tmp_path, 20, 20, metric=0.5, best=True, keep="every")
    assert files(tmp_path) == [20]
    save(tmp_path, 21, 21, keep="every")
    assert files(tmp_path) == [20, 21]


def test_checkpoints_are_found_by_what_people_call_them(tmp_path):
    save(tmp_path, 5, keep="all", best=True)
    save(tmp_path, 9, keep="all")
    assert [state.find(tmp_path, which).name[-4:] for which in ("newest", "best", "5")] == ["9.pt", "5.pt", "5.pt"]
    with pytest.raises(RunError, match=r"no checkpoint '6'; there: 5, 9, newest, best"):
        state.find(tmp_path, "6")
    with pytest.raises(RunError, match=r"no checkpoint 'best'; checkpoints\.best_by .*there: none yet"):
        state.find(tmp_path / "none", "best")


def test_what_a_killed_process_left_is_cleared(tmp_path):
    (tmp_path / ".tmp-step-00000001.pt-x8g2").write_bytes(b"half")
    save(tmp_path, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.json", "step-00000001.pt"]


def test_a_kill_before_the_first_index_is_no_error(tmp_path):
    save(tmp_path, 1)
    (tmp_path / "index.json").unlink()
    assert state.read_index(tmp_path) == state.Index()
    save(tmp_path, 1)
    assert files(tmp_path) == [1]


def test_a_lost_index_is_no_fresh_start(tmp_path):
    save(tmp_path, 1, keep="all")
    save(tmp_path, 2, keep="all")
    (tmp_path / "index.json").unlink()
    with pytest.raises(RunError, match=r"2 checkpoints and no index\.json"):
        state.read_index(tmp_path)


def index_of(tmp_path: Path, change) -> Path:
    save(tmp_path, 5, best=True)
    path = tmp_path / "index.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return tmp_path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda index: index.pop("best"), "best"),
        (lambda index: index.pop("checkpoints"), "checkpoints"),
        (lambda index: index.pop("schema"), "schema"),
        (lambda index: index.update(best="step-00000099.pt"), "not in it"),
        (lambda index: index["checkpoints"][0].update(note="mine"), "note"),
        (lambda index: index["checkpoints"][0].update(step="five"), "no checkpoint"),
        (lambda index: index["checkpoints"][0].update(file="../../elsewhere.pt"), "no checkpoint"),
        (lambda index: index.update(checkpoints=[5]), "edited"),
    ],
)
def test_an_edited_index_is_named(tmp_path, change, words):
    with pytest.raises(RunError, match=rf"index\.json is not a checkpoint index .*{words}"):
        state.read_index(index_of(tmp_path, change))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"schema"'])
def test_an_index_that_is_none_is_named(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(RunError, match=r"index\.json is not a checkpoint index"):
        state.read_index(tmp_path)


def test_another_versions_index_is_named_with_both_numbers(tmp_path):
    with pytest.raises(SchemaError, match=r"schema 2, and this version reads schema 1"):
        state.read_index(index_of(tmp_path, lambda index: index.update(schema=2)))


# --- files that are no checkpoint


@pytest.mark.parametrize("found", [2, None, "1"])
def test_another_versions_checkpoint_is_named_with_both_numbers(tmp_path, found):
    torch.save(content_at(1) | {"schema": found}, tmp_path / "x.pt")
    with pytest.raises(SchemaError, match=rf"schema {found}, and this version reads schema 1"):
        state.load(tmp_path / "x.pt")


@pytest.mark.parametrize("part", ["config", "step", "networks", "processes", "best"])
def test_a_checkpoint_without_a_part_is_named(tmp_path, part):
    content = content_at(1)
    del content[part]
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(RunError, match=rf"not a whole checkpoint \(no {part}\)"):
        state.load(tmp_path / "x.pt")


def test_a_lone_tensor_and_a_missing_file_are_named(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "x.pt")
    with pytest.raises(SchemaError):
        state.load(tmp_path / "x.pt")
    with pytest.raises(RunError, match="is gone"):
        state.load(tmp_path / "none.pt")


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_pickled_classes_are_never_run(tmp_path):
    trace = tmp_path / "was-here"
    (tmp_path / "x.pt").write_bytes(pickle.dumps({"schema": Evil(trace)}, protocol=2))
    torch.save({"schema": Evil(trace)}, tmp_path / "y.pt")
    for name in ("x.pt", "y.pt"):
        with pytest.raises(RunError, match="not a whole checkpoint"):
            state.load(tmp_path / name)
    assert not trace.exists()


WHOLE: list[bytes] = []


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@settings(max_examples=60, deadline=None)
@given(
    place=st.integers(0, 10**6),
    length=st.integers(0, 10**6),
    cut=st.booleans(),
    noise=st.binary(min_size=1, max_size=9),
)
def test_a_damaged_file_is_a_mistake_that_is_named_or_no_damage(tmp_path_factory, place, length, cut, noise):
    if not WHOLE:
        path = tmp_path_factory.mktemp("whole") / "x.pt"
        torch.save(content_at(4), path)
        WHOLE.append(path.read_bytes())
    whole, place = WHOLE[0], place % len(WHOLE[0])
    damaged = whole[:place] if cut else whole[:place] + noise + whole[place + len(noise) :]
    path = tmp_path_factory.getbasetemp() / "damaged.pt"
    path.write_bytes(damaged)
    with suppress(RunError):
        assert isinstance(state.load(path)["step"], int)


# --- places that cannot be written


def test_a_full_disk_leaves_the_older_checkpoint_in_place(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(path: Path, content: object) -> None:
        raise OSError(28, "No space left on device")

    for writer in ("write_atomic", "write_json_atomic"):
        with monkeypatch.context() as patch:
            patch.setattr(state, writer, full)
            with pytest.raises(OutputError, match=r"No space left.*last whole one is step 1\. Free .*--resume"):
                save(tmp_path, 2)
    assert state.load(state.find(tmp_path))["step"] == 1


def test_the_saved_configuration_comes_back(trained):
    found = state.saved_config(captured(trained), Path("x.pt"))
    assert isinstance(found, TrainConfig)
    assert found == trained.config
