"""A .caffemodel of either format gives its arrays back to the bit; anything else gives one sentence, and no memory."""

import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cgeval.errors import WeightsError
from cgeval.networks import caffemodel
from cgeval.networks.caffemodel import read_caffemodel
from tests.cgeval.networks import caffe_writer as caffe

RANDOM = np.random.default_rng(3)
LAYERS = {
    "conv1_1": (
        RANDOM.standard_normal((4, 3, 3, 3)).astype(np.float32),
        RANDOM.standard_normal(4).astype(np.float32),
    ),
    "upscore2": (RANDOM.standard_normal((2, 3, 4, 4)).astype(np.float32),),
}
FORMATS = {"V1": caffe.net_v1, "V2": caffe.net_v2}
SHAPES = {"packed": caffe.shape_packed, "unpacked": caffe.shape_unpacked, "old": caffe.shape_old}
DATA = {"packed": caffe.packed, "unpacked": caffe.unpacked}


@pytest.fixture
def read(tmp_path):
    def read_bytes(data):
        path = tmp_path / "fcn.caffemodel"
        path.write_bytes(data)
        return read_caffemodel(path)

    return read_bytes


@pytest.fixture
def outcome(read):
    def arrays_or_sentence(data):
        try:
            return read(data), ""
        except WeightsError as error:
            return {}, str(error)

    return arrays_or_sentence


@pytest.fixture
def refusal(read):
    def sentence(data):
        with pytest.raises(WeightsError) as caught:
            read(data)
        text = str(caught.value)
        assert text.endswith(".")
        assert "\n" not in text
        return text

    return sentence


def one_layer(*blob_fields, name=b"a"):
    """A V2 file with one layer with one blob of these bytes."""
    return caffe.chunk(100, caffe.chunk(1, name) + caffe.chunk(7, b"".join(blob_fields)))


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, arrays in expected.items():
        assert len(found[name]) == len(arrays)
        for ours, theirs in zip(found[name], arrays, strict=True):
            assert ours.dtype == np.float32
            assert ours.shape == theirs.shape
            np.testing.assert_array_equal(ours, theirs)


# What is read


def test_the_bytes_of_a_small_file_mean_what_the_format_says(read):
    data = bytes.fromhex(
        "0a 03 46 43 4e"  # name: "FCN"
        "a2 06 1b"  # layer (100), 27 bytes
        "0a 02 66 63"  # name: "fc"
        "3a 15"  # blobs (7), 21 bytes
        "2a 0c 00 00 80 3f 00 00 00 40 00 00 c0 bf"  # data (5), packed: 1, 2, -1.5
        "3a 05 0a 03 01 01 03"  # shape (7): dim (1), packed: 1, 1, 3
    )
    found = read(data)
    assert list(found) == ["fc"]
    np.testing.assert_array_equal(found["fc"][0], np.array([[[1.0, 2.0, -1.5]]], np.float32))


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("version", FORMATS)
def test_either_format_gives_the_arrays_back(read, version, shape, data):
    found = read(FORMATS[version](LAYERS, shape=SHAPES[shape], data=DATA[data]))
    old = {
        name: tuple(array.reshape((1,) * (4 - array.ndim) + array.shape) for array in arrays)
        for name, arrays in LAYERS.items()
    }
    assert_same(found, old if shape == "old" else LAYERS)


def test_layers_without_arrays_are_left_out_and_the_order_is_the_files(read):
    layers = dict.fromkeys(("z", "a", "m"), LAYERS["upscore2"])
    assert list(read(caffe.net_v2(layers))) == ["z", "a", "m"]


def test_arrays_can_be_written_to_and_are_aligned_so_that_torch_may_share_them(read):
    for array in read(caffe.net_v2(LAYERS))["conv1_1"]:
        assert array.flags.writeable
        assert array.flags.aligned


def test_data_in_several_pieces_packed_or_not_is_one_array(read):
    pieces = caffe.packed(5, [1, 2]) + caffe.unpacked(5, [3]) + caffe.packed(5, []) + caffe.packed(5, [4])
    found = read(one_layer(pieces, caffe.shape_packed((2, 2))))
    np.testing.assert_array_equal(found["a"][0], [[1, 2], [3, 4]])


def test_long_runs_of_unpacked_numbers_are_read_in_parts(read, monkeypatch):
    monkeypatch.setattr(caffemodel, "MOST_RECORDS", 1000)
    values = RANDOM.standard_normal(12_345).astype(np.float32)
    data = caffe.unpacked(5, values) + caffe.shape_packed(values.shape) + caffe.unpacked(6, values)
    np.testing.assert_array_equal(read(one_layer(data))["a"][0], values)


@pytest.mark.parametrize("write", [caffe.packed, caffe.unpacked])
def test_double_data_goes_before_data_as_in_caffe(read, write):
    data = caffe.packed(5, [1, 2]) + write(8, [0.1, 1e300], "<f8") + caffe.shape_packed((2,))
    np.testing.assert_array_equal(read(one_layer(data))["a"][0], np.array([0.1, np.inf], np.float32))


@pytest.mark.parametrize(("number", "kind"), [(0, "<f8"), (1, "<f4"), (2, "<f2")])
def test_raw_data_of_nvidias_caffe_is_read_in_each_precision(read, number, kind):
    raw = caffe.whole(10, number) + caffe.packed(12, [0.5, -2.0], kind) + caffe.shape_packed((2,))
    np.testing.assert_array_equal(read(one_layer(raw))["a"][0], np.array([0.5, -2.0], np.float32))


def test_the_old_four_lengths_go_before_the_shape_as_in_caffe(read):
    data = caffe.packed(5, [1, 2]) + caffe.shape_packed((2,)) + caffe.shape_old((1, 2))
    assert read(one_layer(data))["a"][0].shape == (1, 1, 1, 2)


def test_an_array_without_axes_is_one_number(read):
    found = read(one_layer(caffe.packed(5, [7]) + caffe.chunk(7, b"")))
    assert found["a"][0].shape == ()


def test_unknown_fields_of_every_wire_type_are_stepped_over(read):
    strange = (
        caffe.whole(900, 2**63)
        + caffe.float32(901, 1.0)
        + caffe.key(902, caffe.FIXED64)
        + bytes(8)
        + caffe.chunk(903, b"\xff" * 200)
    )
    blob = strange + caffe.packed(5, [1]) + strange + caffe.shape_packed((1,)) + strange
    layer = strange + caffe.chunk(7, blob) + strange + caffe.chunk(1, b"late") + strange
    assert list(read(strange + caffe.chunk(100, layer) + strange)) == ["late"]


def test_what_protobuf_itself_writes_is_read(read):
    net, layers = protobuf_net()
    assert_same(read(net.SerializeToString()), layers)


def protobuf_net():
    """A NetParameter of the protobuf package with both kinds of layers, from a schema that is made here."""
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="caffe_for_a_test.proto", package="caffe_for_a_test")

    def message(name, *fields):
        made = file.message_type.add(name=name)
        for field, number, type_, label, packed in fields:
            type_name = f".caffe_for_a_test.{type_}" if isinstance(type_, str) else None
            added = made.field.add(name=field, number=number, label=label, type_name=type_name)
            added.type = kind.TYPE_MESSAGE if type_name else type_
            added.options.packed = packed

    one, many = kind.LABEL_OPTIONAL, kind.LABEL_REPEATED
    message("BlobShape", ("dim", 1, kind.TYPE_INT64, many, True))
    message(
        "BlobProto",
        ("shape", 7, "BlobShape", one, False),
        ("data", 5, kind.TYPE_FLOAT, many, True),
        ("num", 1, kind.TYPE_INT32, one, False),
        ("channels", 2, kind.TYPE_INT32, one, False),
        ("height", 3, kind.TYPE_INT32, one, False),
        ("width", 4, kind.TYPE_INT32, one, False),
    )
    message("V1", ("name", 4, kind.TYPE_STRING, one, False), ("blobs", 6, "BlobProto", many, False))
    message("V2", ("name", 1, kind.TYPE_STRING, one, False), ("blobs", 7, "BlobProto", many, False))
    message("Net", ("layers", 2, "V1", many, False), ("layer", 100, "V2", many, False))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    net = message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe_for_a_test.Net"))()
    old = net.layers.add(name="conv1_1").blobs.add(num=1, channels=1, height=2, width=3)
    old.data.extend(range(6))
    new = net.layer.add(name="fc6_cs").blobs.add()
    new.shape.dim.extend((300, 1))
    new.data.extend(range(300))
    arrays = (np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3), np.arange(300, dtype=np.float32).reshape(300, 1))
    return net, dict(zip(("conv1_1", "fc6_cs"), ((array,) for array in arrays), strict=True))


@given(
    layers=st.dictionaries(
        st.text(min_size=1, max_size=20),
        st.lists(st.lists(st.integers(1, 5), max_size=5), min_size=1, max_size=3),
        min_size=1,
        max_size=4,
    ),
    version=st.sampled_from(list(FORMATS)),
    shape=st.sampled_from(["packed", "unpacked"]),
    data=st.sampled_from(list(DATA)),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_layers_come_back_as_they_were(read, layers, version, shape, data):
    arrays = {
        name: tuple(RANDOM.standard_normal(one).astype(np.float32) for one in shapes) for name, shapes in layers.items()
    }
    assert_same(read(FORMATS[version](arrays, shape=SHAPES[shape], data=DATA[data])), arrays)


# What is refused


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>", "web page"),
        (b"\n\n  <HTML><HEAD><TITLE>404</TITLE></HEAD>", "web page"),
        ("\ufeff<html lang='de'>Größe</html>".encode(), "web page"),
        (b"<html>Gr\xf6\xdfe</html>", "web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 537\n", "git lfs pull"),
        (b'name: "FCN"\nlayer {\n  name: "data"\n}\n', "prototxt"),
        (b'# made by net.py\n\nlayers {\n  name: "data"\n}\n', "prototxt"),
        (b'net: "train_val.prototxt"\nbase_lr: 1e-14\n', "prototxt"),
        (b"Moved Permanently", "a text that begins with 'moved permanently'"),
        (b'{"error": "gone"}', "a text that begins with"),
        (b"PK\x03\x04\0\0\x08\x08", ".pth"),
        (b"\x80\x02\x8a\nl\xfc\x9c", ".pth"),
        (b"\x89HDF\r\n\x1a\n\0\0", "HDF5"),
        (b"\x1f\x8b\x08\0", "unpack"),
        (b"x" * 257 + b"ustar\x0000", "unpack"),
        (b"\x93NUMPY\x01\0", "NumPy"),
        (b'\x08\x01\0\0\0\0\0\0{"a":{"dtype"', "safetensors"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"\x08\xa0\x8d\x06\x12\x0eiter.caffemodel", ".solverstate"),
        (bytes(1000), "zeros"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_a_file_of_another_kind_is_named(refusal, head, word):
    assert word in refusal(head)


def test_a_network_that_describes_layers_without_weights_is_named(refusal):
    assert "3 layers and holds no weights" in refusal(caffe.net_v2({"conv1_1": ()}))


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_no_caffemodel(refusal, seed):
    refusal(np.random.default_rng(seed).bytes(5000))


def test_a_missing_file_a_folder_and_a_device_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        read_caffemodel(tmp_path / "none.caffemodel")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_caffemodel(tmp_path / ("x" * 300))
    with pytest.raises(WeightsError, match="is a folder"):
        read_caffemodel(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WeightsError, match="is no file"):
        read_caffemodel(tmp_path / "pipe")


def test_a_file_that_was_cut_off_after_some_layers_is_named(refusal):
    text = refusal(caffe.net_v2(LAYERS)[:-100])
    assert "was cut off or damaged" in text
    assert "bytes promised at byte" in text


@pytest.mark.parametrize("version", FORMATS)
def test_wherever_a_file_is_cut_it_is_refused_or_holds_whole_layers(outcome, version):
    layers = {"a": (np.ones((2, 3), np.float32), np.ones(2, np.float32)), "b": (np.zeros(1, np.float32),)}
    data = FORMATS[version](layers, data=caffe.unpacked)
    for length in range(len(data)):
        found, sentence = outcome(data[:length])
        assert bool(found) != bool(sentence)
        assert_same(found, {name: layers[name] for name in found})


@pytest.mark.parametrize(
    ("blob", "word"),
    [
        (caffe.packed(5, [1, 2, 3]) + caffe.shape_packed((2, 2)), "the shape 2x2 and 3 values"),
        (caffe.packed(5, [1, 2, 3]), "the shape of one number and 3 values"),
        (caffe.shape_packed((0, 2**62)), "0x4611686018427387904 and 0 values"),
        (caffe.packed(5, [1]) + caffe.shape_packed((2**63, 2**63, 2**63)), "and 1 values"),
        (caffe.packed(5, [1]) + caffe.shape_packed((1,) * 33), "no shape"),
        (caffe.packed(5, [1]) + caffe.shape_packed((1,) * 30) * 4, "the shape 1x1x"),
        (caffe.packed(5, [1]) + caffe.chunk(7, caffe.float32(1, 1.0)), "no shape"),
        (caffe.packed(5, [1]) + caffe.float32(7, 1.0), "no message"),
        (caffe.chunk(5, b"12345") + caffe.shape_packed((1,)), "no row of 4-byte numbers"),
        (caffe.unpacked(5, [1.0], "<f8") + caffe.shape_packed((1,)), "no 4-byte numbers"),
        (caffe.whole(5, 1) + caffe.shape_packed((1,)), "no 4-byte numbers"),
        (caffe.whole(10, 3) + caffe.chunk(12, bytes(4)) + caffe.shape_packed((1,)), "raw data of type 3"),
        (caffe.key(5, 3), "no field"),
        (caffe.key(5, 4), "no field"),
        (caffe.key(0, 0) + b"\x01", "no field"),
        (b"\xff" * 11, "no whole number"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_an_array_that_contradicts_itself_is_named_with_its_layer(refusal, blob, word):
    text = refusal(caffe.net_v2(LAYERS) + one_layer(blob, name=b"fc6_cs"))
    assert word in text
    assert "layer 'fc6_cs'" in text


def test_a_file_larger_than_protocol_buffers_can_be_is_refused_unread(tmp_path):
    path = tmp_path / "sparse.caffemodel"
    with path.open("wb") as file:
        file.write(caffe.chunk(100, caffe.chunk(1, b"a")))
        file.truncate(1 << 31)
    with pytest.raises(WeightsError, match="has 2 GiB or more"):
        read_caffemodel(path)


def test_a_layer_that_has_weights_twice_is_refused(refusal):
    assert "layer 'conv1_1' has weights twice" in refusal(caffe.net_v2(LAYERS) + caffe.net_v1(LAYERS))


def test_a_name_cannot_break_the_sentence(refusal):
    assert r"'a\n\x1b[31m'" in refusal(caffe.net_v2(LAYERS) + one_layer(caffe.packed(5, [1, 2]), name=b"a\n\x1b[31m"))


def test_a_name_of_a_megabyte_is_refused(refusal):
    assert "no name" in refusal(one_layer(name=b"x" * (1 << 20)))


@pytest.mark.parametrize("promised", [1 << 33, 1 << 62, (1 << 64) - 1])
def test_a_length_beyond_the_file_is_refused_before_anything_is_allocated(refusal, promised):
    blob = caffe.shape_packed((promised // 4,)) + caffe.key(5, caffe.LENGTH) + caffe.varint(promised)
    layer = caffe.chunk(1, b"a") + caffe.key(7, caffe.LENGTH) + caffe.varint(len(blob)) + blob
    tracemalloc.start()
    try:
        text = refusal(caffe.chunk(100, layer))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert f"{promised} bytes promised" in text
    assert peak < 1 << 20


def test_a_file_is_read_into_its_arrays_and_not_held_besides(tmp_path):
    array = np.ones((1 << 20, 4), np.float32)
    path = tmp_path / "large.caffemodel"
    path.write_bytes(caffe.net_v2({"a": (array,), "b": (array,)}))
    tracemalloc.start()
    try:
        found = read_caffemodel(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(one.nbytes for arrays in found.values() for one in arrays) == 2 * array.nbytes
    assert peak < 2 * array.nbytes + (1 << 20)


def test_a_file_of_endless_small_fields_is_refused_in_time(refusal, monkeypatch):
    monkeypatch.setattr(caffemodel, "MOST_FIELDS", 100)
    assert "more than 100 fields" in refusal(caffe.whole(7, 1) * 101)


def test_a_file_that_becomes_shorter_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "shrinking.caffemodel"
    array = np.ones(1 << 20, np.float32)
    path.write_bytes(caffe.net_v2({"a": (array,)}))
    whole = caffemodel._Source.numbers

    def shrinking(source, *arguments):
        os.truncate(path, 1 << 20)
        return whole(source, *arguments)

    monkeypatch.setattr(caffemodel._Source, "numbers", shrinking)
    with pytest.raises(WeightsError, match="became shorter"):
        read_caffemodel(path)


SMALL = {name: FORMATS[name]({"a": (np.ones((2, 3), np.float32), np.ones(2, np.float32))}) for name in FORMATS}


@given(
    version=st.sampled_from(list(FORMATS)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.floats(0.5, 1),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_give_arrays_or_one_sentence_and_nothing_else(outcome, version, changes, cut):
    data = bytearray(SMALL[version])
    for place, byte in changes:
        data[int(place * (len(data) - 1))] = byte
    found, sentence = outcome(bytes(data[: int(cut * len(data))]))
    assert bool(found) != bool(sentence)
    assert "\n" not in sentence
    assert all(array.dtype == np.float32 and array.size for arrays in found.values() for array in arrays)


@given(data=st.binary(max_size=200))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_arrays_or_one_sentence_and_nothing_else(outcome, data):
    for wrapped in (data, caffe.chunk(100, data), one_layer(data)):
        found, sentence = outcome(wrapped)
        assert bool(found) != bool(sentence)
        assert "\n" not in sentence
