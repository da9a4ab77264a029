"""Writes small ONNX models with random weights: every operator that is imported, and models that ONNX Runtime has quantised.

models.py FOLDER
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Net:
    """A model while it is made, operator by operator, channels first as PyTorch has them."""

    def __init__(self, shape, seed):
        self.rng = np.random.default_rng(seed)
        self.shape, self.nodes, self.constants, self.count = shape, [], [], 0

    def constant(self, values, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def random(self, *shape, scale=1.0, offset=0.0):
        return self.constant(self.rng.normal(offset, scale, shape))

    def op(self, kind, *inputs, outputs=1, **attributes):
        names = [f"t{self.count + at}" for at in range(outputs)]
        self.count += outputs
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x, i, o, k, group=1, bias=True, **attributes):
        weights = self.random(o, i // group, k, k, scale=(2.0 / (i // group * k * k)) ** 0.5)
        inputs = [x, weights] + ([self.random(o, scale=0.1)] if bias else [])
        return self.op("Conv", *inputs, group=group, **attributes)

    def norm(self, x, c):
        return self.op(
            "BatchNormalization", x, self.random(c, scale=0.1, offset=1.0), self.random(c, scale=0.1),
            self.random(c, scale=0.1), self.constant(self.rng.uniform(0.5, 1.5, c)),
        )

    def head(self, x, c, classes=5):
        pooled = self.op("Flatten", self.op("GlobalAveragePool", x))
        return self.op("Gemm", pooled, self.random(classes, c, scale=c ** -0.5), self.random(classes), transB=1)

    classes = 5

    def save(self, path, output, opset=17):
        graph = helper.make_graph(
            self.nodes, path.stem,
            [helper.make_tensor_value_info("picture", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, self.classes])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def mobile(net):
    """Inverted residuals with batch normalisation and ReLU6, and a softmax."""
    six = net.constant(0.0), net.constant(6.0)
    x = net.op("Clip", net.norm(net.conv("picture", 3, 8, 3, pads=[1] * 4, strides=[2, 2], bias=False), 8), *six)
    y = net.op("Clip", net.norm(net.conv(x, 8, 16, 1, bias=False), 16), *six)
    y = net.op("Clip", net.norm(net.conv(y, 16, 16, 3, group=16, pads=[1] * 4, bias=False), 16), *six)
    x = net.op("Add", x, net.norm(net.conv(y, 16, 8, 1, bias=False), 8))
    return net.op("Softmax", net.head(net.op("Dropout", x), 8), axis=1)


def residual(net):
    """Residual blocks with a max pooling, and a mean over height and width."""
    x = net.op("Relu", net.conv("picture", 3, 8, 3, pads=[1] * 4))
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    y = net.conv(net.op("Relu", net.conv(x, 8, 12, 3, pads=[1] * 4, strides=[2, 2])), 12, 12, 3, pads=[1] * 4)
    x = net.op("Relu", net.op("Add", y, net.conv(x, 8, 12, 1, strides=[2, 2])))
    x = net.op("ReduceMean", x, axes=[2, 3], keepdims=0)
    return net.op("Add", net.op("MatMul", x, net.random(12, 5, scale=0.3)), net.random(5))


def flattened(net):
    """A dense layer on the flattened picture, by computed shapes; pooling windows that are cut off."""
    x = net.op("Relu", net.conv("picture", 3, 6, 3, pads=[0, 1, 1, 0], dilations=[2, 1]))
    x = net.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    x = net.op("AveragePool", x, kernel_shape=[2, 2], pads=[1, 0, 0, 1], count_include_pad=1)
    batch = net.op("Gather", net.op("Shape", x), net.constant(0, np.int64))
    batch = net.op("Unsqueeze", batch, net.constant([0], np.int64))
    x = net.op("Reshape", x, net.op("Concat", batch, net.constant([-1], np.int64), axis=0))
    return net.op("Gemm", x, net.random(6 * 8 * 7, 5, scale=0.05), net.random(5))


def squeezed(net):
    """Parts put together, and gates by squeeze and excitation: swish, hard swish, hard sigmoid."""
    x = net.op("HardSwish", net.conv("picture", 3, 8, 3, auto_pad="SAME_UPPER", strides=[2, 2]))
    a, b = net.op("Relu", net.conv(x, 8, 6, 1)), net.conv(x, 8, 6, 3, pads=[1] * 4)
    b = net.op("Mul", b, net.op("Sigmoid", b))
    x = net.op("Concat", a, b, axis=1)
    s = net.op("ReduceMean", x, axes=[-1, -2], keepdims=1)
    s = net.op("HardSigmoid", net.conv(net.op("Relu", net.conv(s, 12, 4, 1)), 4, 12, 1), alpha=1 / 6, beta=0.5)
    x = net.op("Pad", net.op("Mul", x, s), net.constant([0, 0, 1, 0, 0, 0, 0, 1], np.int64))
    return net.head(net.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), 12)


def shuffled(net):
    """Groups of channels, split, shuffled and put together."""
    x = net.op("Relu", net.conv("picture", 3, 8, 3, pads=[1] * 4, strides=[2, 2]))
    for _ in range(2):
        a, b = net.op("Split", x, net.constant([4, 4], np.int64), outputs=2, axis=1)
        b = net.conv(net.op("Relu", net.conv(b, 4, 4, 1)), 4, 4, 3, group=4, pads=[1] * 4)
        x = net.op("Concat", a, net.op("Relu", net.conv(b, 4, 4, 1)), axis=1)
        x = net.op("Reshape", x, net.constant([1, 2, 4, 8, 8], np.int64))
        x = net.op("Reshape", net.op("Transpose", x, perm=[0, 2, 1, 3, 4]), net.constant([1, 8, 8, 8], np.int64))
    return net.head(net.op("Relu", net.conv(x, 8, 8, 3, group=2, pads=[1] * 4)), 8)


def rectified(net):
    """The other functions, differences, constants of a channel, a normalised picture, one sigmoid."""
    x = net.op("Div", net.op("Sub", "picture", net.constant(np.reshape([0.1, 0.2, 0.3], (3, 1, 1)))),
               net.constant(np.reshape([0.9, 1.1, 1.0], (1, 3, 1, 1))))
    x = net.op("LeakyRelu", net.conv(x, 3, 8, 3, strides=[2, 2]), alpha=0.1)
    x = net.op("PRelu", net.conv(x, 8, 8, 1), net.random(8, 1, 1, scale=0.2))
    x = net.op("Elu", net.conv(x, 8, 8, 1))
    y = net.op("Tanh", net.conv(x, 8, 8, 1))
    x = net.op("Clip", net.op("Sub", x, y), net.constant(-1.0), net.constant(1.5))
    x = net.op("Add", net.op("Mul", x, net.random(8, 1, 1)), net.constant(0.25))
    x = net.op("Sub", net.constant(1.0), net.op("Neg", x))
    return net.op("Sigmoid", net.head(net.op("Identity", x), 8, classes=1))


def channels_last(net):
    """As exporters of TensorFlow write it: the picture turned round at the start, and back before the dense layer."""
    x = net.op("Transpose", "picture", perm=[0, 3, 1, 2])
    x = net.op("Relu", net.conv(x, 3, 6, 3, pads=[0, 0, 1, 1], strides=[2, 2]))
    x = net.op("Reshape", net.op("Transpose", x, perm=[0, 2, 3, 1]), net.constant([-1, 6 * 8 * 8], np.int64))
    return net.op("MatMul", x, net.random(6 * 8 * 8, 5, scale=0.05))


def weighted(net):
    """An exponential below 0 and a dense layer with factors."""
    x = net.op("Elu", net.conv("picture", 3, 8, 3, strides=[2, 2]), alpha=0.5)
    x = net.op("MaxPool", net.op("Elu", net.conv(x, 8, 8, 1), alpha=1.5), kernel_shape=[3, 3], strides=[2, 2])
    return net.op("Gemm", net.op("Flatten", x), net.random(72, 5, scale=0.03), net.random(5), alpha=-1.25, beta=0.5)


class Reader(CalibrationDataReader):
    """Random inputs to calibrate on."""

    def __init__(self, shape):
        rng = np.random.default_rng(5)
        rows = np.arange(shape[-1])
        waves = [np.sin(rng.uniform(-0.6, 0.6) * rows[:, None] + rng.uniform(-0.6, 0.6) * rows) for _ in range(48)]
        self.inputs = iter([1.5 * np.stack(waves[at : at + 3])[None].astype(np.float32) for at in range(0, 48, 3)])

    def get_next(self):
        planes = next(self.inputs, None)
        return None if planes is None else {"picture": planes}


def main(folder):
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    shape = [1, 3, 16, 16]
    for seed, make in enumerate([mobile, residual, flattened, squeezed, shuffled, rectified, channels_last, weighted]):
        net = Net([1, 16, 16, 3] if make is channels_last else shape, seed)
        net.classes = 1 if make is rectified else 5
        net.save(folder / f"{make.__name__}.onnx", make(net))
    quantised = [
        (mobile, True, QuantType.QInt8), (residual, False, QuantType.QUInt8), (residual, True, QuantType.QInt8),
        (flattened, True, QuantType.QUInt8), (shuffled, True, QuantType.QInt8),
    ]
    with tempfile.TemporaryDirectory() as temporary:
        for make, per_channel, activations in quantised:
            plain, source = Path(temporary) / "plain.onnx", Path(temporary) / "float.onnx"
            net = Net(shape, 3)
            net.save(plain, make(net))
            quant_pre_process(plain, source, skip_symbolic_shape=True)
            name = f"{make.__name__}_{'channel' if per_channel else 'tensor'}_{activations.name.lower()}"
            quantize_static(
                source, folder / f"{name}.onnx", Reader(shape), quant_format=QuantFormat.QDQ, per_channel=per_channel,
                activation_type=activations, weight_type=QuantType.QInt8,
            )
        # Weights without a sign whose zero points are 128 are as good as others.
        quantize_static(
            source, folder / "weights_without_a_sign.onnx", Reader(shape), quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QUInt8, extra_options={"WeightSymmetric": True},
        )


if __name__ == "__main__":
    main(sys.argv[1])
