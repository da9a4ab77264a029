"""Small Keras models, quantised by TFLiteConverter: what the ordinary exporter writes."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from keras import layers

import litert


def pick(rng, choices):
    return choices[int(rng.integers(len(choices)))]


def separable(rng, x):
    x = layers.DepthwiseConv2D(3, strides=pick(rng, [1, 2]), padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    return layers.Conv2D(int(rng.integers(2, 9)), 1)(x)


def strided(rng, x):
    # The padding that PyTorch-like models write in front of a strided convolution.
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    return layers.Conv2D(5, 3, strides=2, activation="relu")(x)


def residual(rng, x):
    y = layers.Conv2D(x.shape[-1], 3, padding="same")(x)
    return layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(y)]))


def gated(rng, x):
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return layers.Multiply()([x, layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(y)])


def inception(rng, x):
    a = layers.Conv2D(3, 1, activation="relu")(x)
    b = layers.Conv2D(2, 3, padding="same", activation="relu")(x)
    return layers.Concatenate()([a, b])


def classifier(rng, x):
    x = pick(rng, [layers.GlobalAveragePooling2D(), layers.Flatten()])(x)
    return layers.Dense(int(rng.integers(2, 12)), activation=pick(rng, ["softmax", "sigmoid", "relu", None]))(x)


def pooled(rng, x):
    kind = pick(rng, [layers.AveragePooling2D, layers.MaxPooling2D])
    x = kind(pick(rng, [2, 3, (2, 1)]), strides=pick(rng, [1, 2]), padding=pick(rng, ["same", "valid"]))(x)
    return layers.Dense(4, activation="relu")(layers.Flatten()(x))


def activated(rng, x):
    x = layers.Conv2D(4, (3, 2), dilation_rate=pick(rng, [1, 2]), padding="same")(x)
    return layers.Activation(pick(rng, ["tanh", "sigmoid", "relu6", "silu"]))(x)


def perceptron(rng, x):
    x = layers.BatchNormalization()(layers.Dense(int(rng.integers(3, 17)))(x))
    return layers.Dense(int(rng.integers(2, 17)))(layers.ReLU()(x))


def series(rng, x):
    x = layers.Conv1D(4, 3, padding=pick(rng, ["same", "valid"]), activation="relu")(x)
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


def grouped(rng, x):
    return layers.Conv2D(4, 3, groups=2, padding="same", activation="relu")(x)


def arithmetic(rng, x):
    return layers.Rescaling(float(rng.uniform(0.3, 2)), offset=float(rng.uniform(-1, 1)))(x)


IMAGE, VECTOR, SERIES = (7, 6, 4), (19,), (12, 5)
KINDS = [
    (separable, IMAGE), (strided, IMAGE), (residual, IMAGE), (gated, IMAGE), (inception, IMAGE), (classifier, IMAGE),
    (pooled, IMAGE), (activated, IMAGE), (perceptron, VECTOR), (series, SERIES), (grouped, IMAGE), (arithmetic, IMAGE),
]
EDGES = [tf.int8, tf.int8, tf.float32, tf.uint8]


def network(rng, kind, shape):
    """A network with random weights and batch norms; with a fixed batch of one, or an open one."""
    keras.utils.set_random_seed(int(rng.integers(2**31)))
    source = keras.Input(batch_shape=(pick(rng, [1, None]), *shape))
    model = keras.Model(source, kind(rng, source))
    model.set_weights([w + rng.normal(0, 0.3, w.shape).astype(w.dtype) ** 2 for w in model.get_weights()])
    return model


def convert(rng, model, shape, edges, per_tensor):
    data = [rng.normal(0, 1, (1, *shape)).astype(np.float32) for _ in range(8)]
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x] for x in data)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type, converter.inference_output_type = edges
    converter._experimental_disable_per_channel = per_tensor
    return bytes(converter.convert())


def quantisation(graph, index):
    tensor = graph.Tensors(index)
    parameters = tensor.Quantization()
    return float(parameters.Scale(0)), int(parameters.ZeroPoint(0)), [max(1, n) for n in tensor.ShapeAsNumpy()]


def described(graph, model):
    """Operators with their inputs' and outputs' shapes, in order."""
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    for at in range(graph.OperatorsLength()):
        op = graph.Operators(at)
        shape = lambda index: [int(n) for n in np.atleast_1d(graph.Tensors(int(index)).ShapeAsNumpy())]
        code = model.OperatorCodes(op.OpcodeIndex()).BuiltinCode()
        yield {"operator": names[code], "input": shape(op.Inputs(0)), "output": shape(op.Outputs(0))}


def int8_behind(graph, index, operators, output):
    """The int8 tensor behind an edge: the edge itself, or the other side of the QUANTIZE or DEQUANTIZE."""
    if graph.Tensors(index).Type() == schema.TensorType.INT8:
        return index
    near, far = ("Outputs", "Inputs") if output else ("Inputs", "Outputs")
    for at in range(graph.OperatorsLength()):
        op = graph.Operators(at)
        if operators[at]["operator"] in ("QUANTIZE", "DEQUANTIZE") and getattr(op, near)(0) == index:
            return getattr(op, far)(0)
    raise AssertionError("an edge that is not int8 has no QUANTIZE or DEQUANTIZE beside it")


def generate(seed, count, tally):
    for number in range(count):
        rng = np.random.default_rng([seed, 1000, number])
        kind, shape = KINDS[number % len(KINDS)]
        edges = (pick(rng, EDGES), pick(rng, EDGES))
        model = network(rng, kind, shape)
        data = convert(rng, model, shape, edges, per_tensor=rng.random() < 0.25)
        file = schema.Model.GetRootAs(data, 0)
        graph = file.Subgraphs(0)
        operators = list(described(graph, file))
        ends = [int8_behind(graph, int(graph.Inputs(0)), operators, False),
                int8_behind(graph, int(graph.Outputs(0)), operators, True)]
        (in_scale, in_zero, in_shape), (out_scale, out_zero, _) = (quantisation(graph, end) for end in ends)
        inputs = litert.samples(rng, in_shape, in_zero, 3)
        name = f"keras_{kind.__name__}"
        chain = "keras " + "+".join(entry["operator"] for entry in operators)
        try:
            outputs = litert.run(data, inputs, [(in_scale, in_zero), (out_scale, out_zero)])
        except litert.Refused as error:
            tally["refused", chain, str(error).splitlines()[0][:100]] += 1
            continue
        tally["inside", chain] += litert.inside(outputs, operators, out_scale, out_zero)
        tally["models", chain] += 1
        yield litert.Model(name, data, inputs, outputs, operators, "keras")
