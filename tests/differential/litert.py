"""Runs a model with LiteRT's reference kernels on inputs of int8."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

ACTIVATED = {"RELU": (0, None), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1),
             "RELU_0_TO_1": (0, 1)}


class Refused(Exception):
    """LiteRT takes no such model."""


class Model:
    """A file, inputs and expected outputs, all as int8, and what a report says about them."""

    def __init__(self, name, data, inputs, outputs, options, made_by):
        self.name, self.data, self.inputs, self.outputs = name, data, inputs, outputs
        self.options, self.made_by = options, made_by


# Operators that LiteRT has no reference kernel of: their one kernel is among the optimised ones.
UNREFERENCED = ("ELU",)


def run(data, samples, behind, resolver=OpResolverType.BUILTIN_REF):
    """Runs a file on int8 samples.

    Edges of float and uint8 are crossed here, and must be crossed without loss; `behind` is scale and zero point of the
    int8 tensors behind the input and the output.
    """
    try:
        interpreter = Interpreter(model_content=data, experimental_op_resolver_type=resolver, num_threads=1)
        interpreter.allocate_tensors()
        (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
        outputs = []
        for sample in samples:
            interpreter.set_tensor(source["index"], outwards(sample.reshape(source["shape"]), source, *behind[0]))
            interpreter.invoke()
            outputs.append(inwards(interpreter.get_tensor(target["index"]), target, *behind[1]))
        return outputs
    except (RuntimeError, ValueError) as error:
        raise Refused(str(error)) from error


def outwards(values, edge, scale, zero):
    if edge["dtype"] == np.int8:
        return values
    if edge["dtype"] == np.uint8:
        return (values.astype(np.int16) + 128).astype(np.uint8)
    return np.float32(scale) * (values.astype(np.float32) - np.float32(zero))


def inwards(values, edge, scale, zero):
    if edge["dtype"] == np.int8:
        return values
    if edge["dtype"] == np.uint8:
        return (values.astype(np.int16) - 128).astype(np.int8)
    whole = np.round(values / np.float32(scale)).astype(np.int32) + zero
    if (np.float32(scale) * (whole - zero).astype(np.float32) != values).any():
        raise Refused("an edge of float loses bits")
    return whole.astype(np.int8)


def samples(rng, shape, zero, count):
    """Inputs: uniform, of extremes only, around the zero point, and constant."""
    def around():
        return np.clip(np.round(rng.normal(zero, rng.uniform(2, 40), shape)), -128, 127)
    kinds = [lambda: rng.integers(-128, 128, shape), lambda: rng.choice([-128, 127], shape), around,
             lambda: np.full(shape, rng.choice([-128, 127, zero]))]
    return [kinds[k]().astype(np.int8) for k in range(count)]


def inside(outputs, options, scale, zero):
    """Share of the outputs strictly between the bounds of the last operator's activation."""
    last = options[-1]
    low, high = ACTIVATED.get(last.get("activation", last["operator"]), (None, None))
    bound = [-128 if low is None else max(-128, zero + round(float(low / scale))),
             127 if high is None else min(127, zero + round(float(high / scale)))]
    values = np.concatenate([o.ravel() for o in outputs]).astype(int)
    return float(np.mean((values > bound[0]) & (values < bound[1])))
