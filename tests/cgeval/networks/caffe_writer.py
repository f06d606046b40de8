"""Layers go in; the bytes of a `.caffemodel` come out, in either wire format, with all that Caffe writes around them.

Written from the wire format's own description, without the reader: key = number << 3 | wire type, varints of seven
bits a byte, lengths before messages.
"""

import struct

import numpy as np

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
CONVOLUTION_V1 = 4  # V1LayerParameter.LayerType


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def key(number, wire):
    return varint(number << 3 | wire)


def whole(number, value):
    return key(number, VARINT) + varint(value)


def chunk(number, payload):
    return key(number, LENGTH) + varint(len(payload)) + payload


def float32(number, value):
    return key(number, FIXED32) + struct.pack("<f", value)


def packed(number, values, kind="<f4"):
    return chunk(number, np.asarray(values).astype(kind).tobytes())


def unpacked(number, values, kind="<f4"):
    wire = FIXED32 if kind == "<f4" else FIXED64
    values = np.ravel(values).astype(kind)
    rows = np.empty(values.size, [("key", f"S{len(key(number, wire))}"), ("value", kind)])
    rows["key"], rows["value"] = key(number, wire), values
    return rows.tobytes()


def shape_packed(shape):
    return chunk(7, chunk(1, b"".join(map(varint, shape))))


def shape_unpacked(shape):
    return chunk(7, b"".join(whole(1, dim) for dim in shape))


def shape_old(shape):
    four = (1,) * (4 - len(shape)) + tuple(shape)
    return b"".join(whole(i + 1, dim) for i, dim in enumerate(four))


def blob(array, shape=shape_packed, data=packed):
    """A BlobProto; Caffe writes the shape, which has the higher number, after the data."""
    if shape is shape_old:
        return shape(array.shape) + data(5, array)
    return data(5, array) + shape(array.shape)


def layer_v2(name, arrays, kind="Convolution", **how):
    """A LayerParameter with what surrounds the blobs in real files: bottoms, tops, param, phase, convolution_param."""
    parameter = chunk(6, float32(3, 1.0) + float32(4, 1.0))  # ParamSpec: lr_mult, decay_mult
    settings = chunk(106, whole(1, 64) + chunk(3, varint(100)) + chunk(7, chunk(1, b"gaussian") + float32(6, 0.01)))
    before = chunk(1, name.encode()) + chunk(2, kind.encode()) + chunk(3, b"data") + chunk(4, name.encode())
    weights = b"".join(chunk(7, blob(array, **how)) for array in arrays)
    return before + float32(5, 1.0) + parameter + weights + whole(10, 1) + settings


def layer_v1(name, arrays, kind=CONVOLUTION_V1, **how):
    """A V1LayerParameter: bottoms and tops first, learning rates after the blobs, DimCheckMode behind."""
    before = chunk(2, b"data") + chunk(3, name.encode()) + chunk(4, name.encode()) + whole(5, kind)
    weights = b"".join(chunk(6, blob(array, **how)) for array in arrays)
    return before + weights + float32(7, 1.0) + float32(7, 2.0) + chunk(10, whole(1, 64)) + whole(1002, 0)


def net_v2(layers, **how):
    """A NetParameter as Caffe has written since 2015: name, then a `layer` (100) for each, with and without weights."""
    parts = [chunk(1, b"FCN"), chunk(100, layer_v2("data", (), "Input"))]
    for name, arrays in layers.items():
        parts += [chunk(100, layer_v2(name, arrays, **how)), chunk(100, layer_v2(f"relu_{name}", (), "ReLU"))]
    return b"".join(parts) + chunk(6, whole(1, 1))


def net_v1(layers, **how):
    """A NetParameter of before 2015: name, a `layers` (2) for each, then input, input_dim and force_backward."""
    parts = [chunk(1, b"FCN"), *(chunk(2, layer_v1(name, arrays, **how)) for name, arrays in layers.items())]
    return b"".join(parts) + chunk(3, b"data") + b"".join(whole(4, dim) for dim in (1, 3, 500, 500)) + whole(5, 1)


def random_layers(shapes, seed=0, scale=1.0):
    """float32 arrays of these shapes (layer -> tensor -> shape), normally distributed."""
    random = np.random.default_rng(seed)
    return {
        layer: tuple((scale * random.standard_normal(shape)).astype(np.float32) for shape in tensors.values())
        for layer, tensors in shapes.items()
    }
