"""A scorer's file says all that measuring needs, without torch; it is whole or not there; what is wrong is said."""

import errno
import hashlib
import json
import os
import pickle
import struct
import subprocess
import sys
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgeval.errors import OutputError, WeightsError
from cgeval.labels import KNOWN, Label, LabelSet
from cgeval.scorers import store
from cgeval.scorers.store import (
    DIGEST_KEY,
    FILE,
    INFO_KEYS,
    KEY,
    ScorerInfo,
    find_scorers,
    fitting,
    open_scorer,
    read_header,
    refuse_damaged,
    refuse_other_classes,
    write_scorer,
)

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

CAMVID = KNOWN["camvid11"]
INFO = ScorerInfo(
    name="camvid",
    kind="smp",
    arguments={"architecture": "unet", "encoder": "resnet18"},
    labels=CAMVID,
    outputs=11,
    size_px=(480, 352),
    protocol="scorer-size",
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
    channels="RGB",
    stride=32,
    trained_on={"dataset": "camvid", "split": "train", "n": 367, "digest": "00"},
    validation={"pixel_accuracy": {"value": 0.9, "low": 0.88, "high": 0.92}, "n": 101},
    source={},
    parameters=12,
    producer="cgeval 0.1.0",
    created_at="2024-11-25T00:00:00Z",
)


def tensors():
    return {"head.weight": torch.arange(9.0).reshape(3, 3), "head.bias": torch.zeros(3)}


def write(folder, **changes):
    overwrite = changes.pop("overwrite", False)
    return write_scorer(folder, tensors(), replace(INFO, **changes), overwrite=overwrite)


def visible(folder):
    return sorted(path.name for path in folder.iterdir())


def written_by_hand(path, header=None, *, metadata=None, text=None, body=b"\0" * 48):
    """A safetensors file made with struct and json alone."""
    if header is None:
        header = {"head.bias": {"dtype": "F32", "shape": [12], "data_offsets": [0, 48]}}
        header |= {"__metadata__": {KEY: content_of_info() if metadata is None else metadata}}
    text = json.dumps(header).encode() if text is None else text
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def content_of_info(**changes):
    return json.dumps(json.loads(store._text(INFO)) | changes)


def refused(path, *words):
    """Read the file; the error must be one sentence that holds these words and the file's name."""
    with pytest.raises(WeightsError) as caught:
        read_header(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(path) in sentence
    for word in words:
        assert word in sentence


# Writing and reading


def test_what_is_read_is_what_was_written(tmp_path):
    made = write(tmp_path / "scorers" / "camvid")
    assert made.path == tmp_path / "scorers" / "camvid" / FILE
    assert made.info == read_header(made.path) == INFO
    assert visible(made.path.parent) == [FILE]


def test_the_tensors_are_read_by_any_reader_of_the_format(tmp_path):
    from safetensors.torch import load_file

    loaded = load_file(write(tmp_path).path)
    assert loaded.keys() == tensors().keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors().items())


def test_the_identity_is_the_sha256_of_the_file(tmp_path):
    made = write(tmp_path)
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()


def test_an_identity_that_was_asked_for_stays_and_travels_to_other_processes(tmp_path):
    made = write(tmp_path)
    before = made.sha256
    write(tmp_path, name="another", overwrite=True)
    sent = pickle.loads(pickle.dumps(made))
    assert sent == made
    assert sent.sha256 == made.sha256 == before != open_scorer(tmp_path).sha256


def test_the_tensors_are_not_digested_before_it_is_asked_for(tmp_path, monkeypatch):
    write(tmp_path / "camvid")
    monkeypatch.setattr(store, "sha256_file", None)
    assert len(find_scorers(tmp_path)[0]) == 1
    assert open_scorer(tmp_path / "camvid").info == INFO


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("../../outside", "outside"),
        ("my streets (2)", "my-streets-2-"),
        ("Straße", "Stra-e"),
        (".hidden", "hidden"),
        ("城市", "scorer"),
        ("a\0b", "a-b"),
        ("x" * 255, "x" * 100),
        ("camvid_v1.2+b-3", "camvid_v1.2+b-3"),
    ],
)
def test_a_name_is_written_in_letters_that_any_path_may_hold(tmp_path, folder, name):
    assert write(tmp_path, name=folder).info.name == name


def test_a_file_that_is_gone_has_no_identity(tmp_path):
    made = write(tmp_path)
    made.path.unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        made.sha256  # noqa: B018


def test_the_json_holds_the_fields_of_scorer_info_and_the_schema(tmp_path):
    from safetensors import safe_open

    with safe_open(write(tmp_path).path, framework="pt") as file:
        metadata = file.metadata()
    assert metadata.keys() == {KEY, DIGEST_KEY}
    content = json.loads(metadata[KEY])
    assert content.keys() == {"schema", *(field.name for field in fields(ScorerInfo))}
    assert INFO_KEYS.keys() == content.keys() - {"schema"}


def test_the_label_set_is_kept_by_content(tmp_path):
    own = LabelSet("my own", (Label(7, "café", (1, 2, 3), False, 0), Label(-1, "void", (0, 0, 0), True, None)))
    info = write(tmp_path, labels=own).info
    assert info.labels == own
    assert info.labels.classes == own.classes


@given(
    st.dictionaries(st.text(), st.recursive(st.integers() | st.text() | st.booleans(), st.lists, max_leaves=5)),
    st.floats(1e-3, 1e6),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", fullmatch=True),
)
def test_arguments_numbers_and_names_come_back_unchanged(arguments, std, name):
    info = replace(INFO, arguments=arguments, std=(std, 1.0, 2.5), name=name, source={"arguments": arguments})
    assert store._info(json.loads(store._text(info)), FILE) == info


def test_what_is_undefined_is_written_as_null(tmp_path):
    assert write(tmp_path, validation={"bus": {"value": float("nan")}}).info.validation == {"bus": {"value": None}}


def test_a_path_among_the_facts_is_written_as_text(tmp_path):
    assert write(tmp_path / "new", source={"file": tmp_path}).info.source == {"file": str(tmp_path)}


def test_a_view_of_a_larger_tensor_and_a_transposed_one_are_written(tmp_path):
    from safetensors.torch import load_file

    weight = torch.arange(12.0).reshape(3, 4)
    made = write_scorer(tmp_path, {"a": weight[1:, :2], "b": torch.nn.Parameter(torch.eye(3, 2).t())}, INFO)
    assert torch.equal(load_file(made.path)["a"], weight[1:, :2])


def test_a_header_needs_no_torch(tmp_path):
    write(tmp_path / "scorers" / "camvid")
    program = (
        "import sys; from pathlib import Path; from cgeval.scorers.store import *\n"
        "files, _ = find_scorers(Path('scorers')); open_scorer('camvid').sha256\n"
        "assert files[0].info.name == 'camvid'\n"
        "print(sorted({'torch', 'safetensors'} & sys.modules.keys()))"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": path}
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


# Whole or not there


def test_a_scorer_is_never_written_over_another(tmp_path):
    made = write(tmp_path)
    before = made.path.read_bytes()
    with pytest.raises(OutputError, match="is a scorer already"):
        write(tmp_path, name="another")
    assert made.path.read_bytes() == before


def test_a_scorer_is_replaced_when_asked(tmp_path):
    write(tmp_path)
    assert write(tmp_path, name="another", overwrite=True).info.name == "another"
    assert visible(tmp_path) == [FILE]


def test_facts_that_contradict_each_other_leave_nothing_behind(tmp_path):
    with pytest.raises(WeightsError, match=r"new/scorer\.safetensors: outputs is 10, which is too few for the 11"):
        write(tmp_path / "new", outputs=10)
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    write(tmp_path)

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write(tmp_path, name="another", overwrite=True)
    assert visible(tmp_path) == [FILE]
    assert read_header(tmp_path / FILE).name == "camvid"


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "file")
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "file" / "below")


def test_other_files_of_the_folder_stay(tmp_path):
    (tmp_path / "training.pt").write_bytes(b"kept")
    write(tmp_path)
    assert visible(tmp_path) == [FILE, "training.pt"]


# Broken files


def test_a_file_made_by_hand_after_the_format_is_read(tmp_path):
    assert read_header(written_by_hand(tmp_path / FILE)) == INFO


@pytest.mark.parametrize("length", [0, 7, 8, 100, -49, -1])
def test_a_file_cut_anywhere_is_refused(tmp_path, length):
    made = write(tmp_path)
    made.path.write_bytes(made.path.read_bytes()[:length])
    with pytest.raises(WeightsError, match=r"no safetensors file|was cut off"):
        read_header(made.path)


def test_a_file_with_something_behind_it_is_refused(tmp_path):
    made = write(tmp_path)
    made.path.write_bytes(made.path.read_bytes() + b"\0")
    refused(made.path, "where its header says", "changed")


def test_what_is_no_safetensors_file_is_refused_unread(tmp_path):
    (tmp_path / FILE).write_bytes(b"PK\x03\x04" + b"x" * 10_000)
    refused(tmp_path / FILE, "no safetensors file", "cgeval scorer train")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{" * 64, "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[1, 2]", "is list, and a JSON object is expected"),
        (b'{"a": 3}', "where its tensors lie"),
        (b'{"a": {"data_offsets": [0]}}', "where its tensors lie"),
        (b'{"a": {"data_offsets": [0, "x"]}}', "where its tensors lie"),
    ],
)
def test_a_header_that_is_none_is_refused(tmp_path, text, words):
    refused(written_by_hand(tmp_path / FILE, text=text), words)


@pytest.mark.parametrize("metadata", [None, {}, {KEY: 3}, {"format": "pt"}, "text"])
def test_weights_that_are_no_scorer_are_refused(tmp_path, metadata):
    header = {"a": {"dtype": "F32", "shape": [12], "data_offsets": [0, 48]}, "__metadata__": metadata}
    refused(written_by_hand(tmp_path / FILE, header), "no scorer was written into", "cgeval scorer import-caffe")


def test_another_versions_file_is_refused(tmp_path):
    refused(written_by_hand(tmp_path / FILE, metadata=content_of_info(schema=2)), "has schema 2", "reads schema 1")


def test_keys_that_are_unknown_or_missing_are_named(tmp_path):
    refused(written_by_hand(tmp_path / FILE, metadata=content_of_info(colour="red")), "keys (colour)")
    without = {key: value for key, value in json.loads(content_of_info()).items() if key != "stride"}
    refused(written_by_hand(tmp_path / FILE, metadata=json.dumps(without)), "keys (stride)")
    labels = json.loads(content_of_info())["labels"]
    del labels["labels"][0]["ignore"]
    refused(written_by_hand(tmp_path / FILE, metadata=content_of_info(labels=labels)), "keys (labels.labels.ignore)")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outputs": "11"}, "outputs is '11'"),
        ({"outputs": True}, "outputs is True"),
        ({"name": None}, "name is None"),
        ({"name": "../../outside"}, "name is '../../outside', and up to 100 letters, digits and . _ + - are expected"),
        ({"name": "a\0b"}, "letters, digits and . _ + - are expected"),
        ({"name": "a\n"}, "letters, digits and . _ + - are expected"),
        ({"name": ""}, "letters, digits and . _ + - are expected"),
        ({"name": ".."}, "letters, digits and . _ + - are expected"),
        ({"name": "x" * 101}, "up to 100 letters"),
        ({"kind": "onnx"}, "kind is 'onnx', and smp or torchvision or smp-hub or fcn8s is expected"),
        ({"protocol": "mine"}, "paper or scorer-size"),
        ({"channels": "RBG"}, "RGB or BGR"),
        ({"size_px": [480]}, "width and height are expected"),
        ({"size_px": [480, 0]}, "width and height are expected"),
        ({"mean": [1, 2, "3"]}, "three numbers are expected"),
        ({"mean": [1, 2, float("inf")]}, "three numbers are expected"),
        ({"std": [1, 2, 0]}, "three numbers above 0"),
        ({"stride": 0}, "at least 1"),
        ({"parameters": -1}, "at least 1"),
        ({"outputs": 3}, "too few for the 11 classes"),
        ({"labels": {"name": "x", "labels": []}}, "0 scored classes"),
        ({"labels": {"name": "x", "labels": [3]}}, "a label is 3"),
    ],
)
def test_facts_that_cannot_be_are_refused(tmp_path, changes, words):
    refused(written_by_hand(tmp_path / FILE, metadata=content_of_info(**changes)), words)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ({"colour": [1, 2]}, "[red, green, blue] is expected"),
        ({"colour": [1, 2, 256]}, "[red, green, blue] is expected"),
        ({"colour": [1, 2, True]}, "[red, green, blue] is expected"),
        ({"train_id": 5}, "without a gap"),
        ({"id": 1.5}, "id is 1.5"),
        ({"id": 1}, "11 different ids"),
    ],
)
def test_labels_that_cannot_be_are_refused(tmp_path, label, words):
    labels = json.loads(content_of_info())["labels"]
    labels["labels"][0] |= label
    refused(written_by_hand(tmp_path / FILE, metadata=content_of_info(labels=labels)), words)


def test_a_folder_in_the_files_place_is_said(tmp_path):
    (tmp_path / FILE).mkdir()
    refused(tmp_path / FILE, "cannot be read")


# Finding


def test_a_scorer_is_opened_by_folder_by_file_and_by_name(tmp_path, monkeypatch):
    made = write(tmp_path / "scorers" / "camvid")
    monkeypatch.chdir(tmp_path)
    for name in (made.path, str(made.path.parent), "scorers/camvid", "camvid"):
        assert open_scorer(name).info == INFO
    assert open_scorer("camvid", made.path.parents[1]).path == made.path


def test_a_dataset_of_the_same_name_does_not_stand_in_the_way(tmp_path, monkeypatch):
    write(tmp_path / "scorers" / "camvid")
    (tmp_path / "camvid" / "train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert open_scorer("camvid").info == INFO


def test_a_wrong_name_is_answered_with_those_there_are(tmp_path):
    for name in ("streets", "camvid"):
        write(tmp_path / name)
    with pytest.raises(
        WeightsError, match=r"no scorer 'camvld', and in .* there are camvid, streets: name one"
    ) as error:
        open_scorer("camvld", tmp_path)
    assert "`cgeval scorer train DATASET scorers/NAME`" in str(error.value)


def test_where_there_is_none_the_ways_to_one_are_named(tmp_path):
    with pytest.raises(
        WeightsError, match=r"none in .*scorers yet: `cgeval scorer train .* `cgeval scorer import-caffe"
    ):
        open_scorer("camvid", tmp_path / "scorers")
    (tmp_path / "training").mkdir()
    with pytest.raises(WeightsError, match=r"training holds no scorer\.safetensors"):
        open_scorer(tmp_path / "training", tmp_path)


def test_a_caffemodel_is_answered_with_the_command_that_imports_it(tmp_path):
    (tmp_path / "fcn.caffemodel").write_bytes(b"\n\x03abc")
    with pytest.raises(WeightsError, match=r"import-caffe .*fcn\.caffemodel scorers/NAME"):
        open_scorer(tmp_path / "fcn.caffemodel")


def test_one_broken_scorer_hides_no_other(tmp_path):
    for name in ("b", "a", "deep/c"):
        write(tmp_path / name, name=name)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / FILE).write_bytes(b"")
    found, broken = find_scorers(tmp_path)
    assert [file.info.name for file in found] == ["a", "b", "deep-c"]
    assert len(broken) == 1
    assert "broken" in str(broken[0])


def test_a_link_to_a_scorer_is_found_and_a_hidden_folder_is_not(tmp_path):
    write(tmp_path / "elsewhere" / "x")
    write(tmp_path / "scorers" / ".old")
    (tmp_path / "scorers" / "linked").symlink_to(tmp_path / "elsewhere" / "x")
    found, broken = find_scorers(tmp_path / "scorers")
    assert [file.path.parent.name for file in found] == ["linked"]
    assert broken == []


def test_a_missing_folder_is_answered_with_the_ways_to_a_scorer(tmp_path):
    with pytest.raises(WeightsError, match=r"not there: `cgeval scorer train"):
        find_scorers(tmp_path / "scorers")


# Classes


def test_the_scorers_that_fit_have_the_same_classes_in_the_same_order(tmp_path):
    swapped = LabelSet("swapped", tuple(replace(label, train_id=0) for label in CAMVID.labels[:1]))
    camvid, other = write(tmp_path / "camvid"), write(tmp_path / "other", labels=swapped)
    same = LabelSet("same", tuple(replace(label, id=label.id + 40, colour=(label.id, 0, 0)) for label in CAMVID.labels))
    assert fitting([camvid, other], CAMVID) == fitting([camvid, other], same) == [camvid]
    refuse_other_classes(INFO, same)


def test_train_ids_and_full_ids_of_cityscapes_mean_the_same_classes():
    refuse_other_classes(replace(INFO, labels=KNOWN["cityscapes19"], outputs=19), KNOWN["cityscapes"])


def test_other_classes_are_refused_with_the_first_difference():
    with pytest.raises(WeightsError, match=r"11 classes and label set 'cityscapes' has 19 \(class 0 is 'sky'.*'road'"):
        refuse_other_classes(INFO, KNOWN["cityscapes"])


def test_fewer_classes_and_another_order_are_told_apart():
    shorter = LabelSet("ten", CAMVID.labels[:10])
    with pytest.raises(WeightsError, match=r"has 10 \(class 10 is 'bicyclist' in the scorer and none in the label set"):
        refuse_other_classes(INFO, shorter)
    turned = LabelSet("turned", tuple(replace(label, train_id=10 - label.id) for label in CAMVID.labels[:11]))
    with pytest.raises(WeightsError, match="the same classes in another order"):
        refuse_other_classes(INFO, turned)


# Damage


def test_the_digest_in_the_header_is_that_of_the_bytes_behind_it(tmp_path):
    content = write(tmp_path).path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    assert metadata[DIGEST_KEY] == hashlib.sha256(content[8 + length :]).hexdigest()


@pytest.mark.parametrize("place", [-48, -20, -1])
def test_one_bit_of_the_tensors_that_changed_is_seen(tmp_path, place):
    path = write(tmp_path).path
    refuse_damaged(path)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is damaged: its tensors are not those that were written: restore it"):
        refuse_damaged(path)


def test_a_file_that_holds_no_digest_is_read_as_before(tmp_path):
    path = written_by_hand(tmp_path / FILE, metadata=content_of_info())
    assert read_header(path) == INFO
    refuse_damaged(path)


# What is still in training


@pytest.mark.parametrize("log", ["", '{"step": 20, "loss": 1.0}\n{"step": 49, "loss": 0.5}\n'])
def test_a_training_that_was_begun_says_where_it_stands(tmp_path, log):
    from cgeval.scorers.recipe import Recipe
    from cgeval.scorers.training_state import Begun, write_begun

    folder = tmp_path / "scorers" / "half"
    folder.mkdir(parents=True)
    write_begun(folder, Begun(Recipe(), "camvid", "0" * 64, 270))
    (folder / "log.jsonl").write_text(log)
    for name in (folder, "half"):
        with pytest.raises(WeightsError) as caught:
            open_scorer(name, tmp_path / "scorers")
        assert str(caught.value) == (
            f"{folder} is in training: step {49 if log else 0} of 270; "
            f"go on by `cgeval scorer train DATASET {folder} --resume`."
        )
