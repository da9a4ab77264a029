"""Models whose outputs change when a multiplier is computed with another precision, or rounded another way."""

import numpy as np

from flatbuffer import INT32, PADDINGS

EVERY_VALUE = np.arange(-128, 128).astype(np.int8).reshape(1, 256)


def q31(real):
    """Mantissa and shift of a positive real factor."""
    fraction, shift = np.frexp(np.float64(real))
    mantissa = int(np.floor(fraction * 2**31 + 0.5))
    return (mantissa // 2, int(shift) + 1) if mantissa == 2**31 else (mantissa, int(shift))


def scaled(values, real):
    """Whole numbers times a factor, rounded twice, as most operators do."""
    mantissa, shift = q31(real)
    products = (np.asarray(values, np.int64) << max(shift, 0)) * mantissa
    nudged = products + np.where(products >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))
    mask = (1 << max(-shift, 0)) - 1
    return (high >> max(-shift, 0)) + ((high & mask) > (mask >> 1) + (high < 0))


def shown(values, zero):
    return np.clip(values + zero, -128, 127)


def ratio_source(g, factor):
    """An input of all values and an output scale for which the ratio in float32 and in float64 give other bytes.

    `factor` is a whole number that the values are multiplied with first.
    """
    while True:
        x = g.input([1, 256], scale=np.float32(2.0 ** g.rng.uniform(-6, -2)))
        second = np.float32(2.0 ** g.rng.uniform(-6, 0)) if factor != 1 else np.float32(1)
        near = float(x.scale) * float(second) * factor * 2 * g.whole(1, 200) / g.whole(1, 100)
        scale, zero = np.float32(near * (1 + g.whole(-2, 2) * 2.0**-24)), g.whole(-128, 100)
        values = (EVERY_VALUE.astype(int) - x.zero) * factor
        single = np.float32(np.float32(x.scale * second) / scale)
        double = float(x.scale) * float(second) / float(scale)
        if (shown(scaled(values, single), zero) != shown(scaled(values, double), zero)).any():
            g.samples = [EVERY_VALUE]
            return x, second, scale, zero
        g.graph.tensors.pop()


def function(name, **options):
    """An operator of one input that scales it by the ratio of two scales."""
    def model(g):
        x, _, scale, zero = ratio_source(g, 1)
        return x, g.layer(name, [x], g.output(x.shape, scale, zero), **options)
    return model


def mean_of_one(g):
    """A mean over a single row, which is nothing but the ratio of the scales."""
    x, _, scale, zero = ratio_source(g, 1)
    g.graph.tensors[x.index].shape = np.array([1, 1, 1, 256], np.int32)
    x.shape, g.samples = (1, 1, 1, 256), [EVERY_VALUE.reshape(1, 1, 1, 256)]
    return x, g.layer("MEAN", [x, g.constant([1, 2])], g.output([1, 1, 1, 256], scale, zero), keepDims=True)


def product(g):
    factor = g.pick([3, 5, 7])
    x, second, scale, zero = ratio_source(g, factor)
    constant = g.tensor([1, 1], second, -20, data=np.full([1, 1], factor - 20))
    return x, g.layer("MUL", [x, constant], g.output(x.shape, scale, zero), fusedActivationFunction=0)


def near_ties(name):
    """A weighted sum that is all bias, every bias next to half a step of the output."""
    def model(g):
        channels = 16
        dense = name == "FULLY_CONNECTED"
        x = g.input([1, 2] if dense else [1, 1, 1, channels if name == "DEPTHWISE_CONV_2D" else 2])
        per_channel = g.chance(0.5)
        scale = g.power(-7, 1)
        exponent = g.rng.uniform(*g.pick([(-22, -18), (-22, -18), (-18, -1)]))
        weight_scale = np.float32(scale / x.scale * 2.0**exponent)
        if per_channel:
            weight_scale = np.float32(weight_scale * 2.0 ** g.rng.uniform(-1, 1, channels))
        steps = g.rng.integers(-128, 128, channels) + 0.5
        bias = np.clip(np.round(steps * float(scale) / (float(x.scale) * np.float64(weight_scale))), -(2**30), 2**30)
        shape = {"FULLY_CONNECTED": [channels, 2], "CONV_2D": [channels, 1, 1, 2]}.get(name, [1, 1, 1, channels])
        weights = g.tensor(shape, weight_scale, data=np.zeros(shape), axis=3 if name == "DEPTHWISE_CONV_2D" else 0)
        biases = g.tensor([channels], np.float32(x.scale) * weight_scale, dtype=INT32, data=bias)
        out = g.output([1, channels] if dense else [1, 1, 1, channels], scale, g.whole(-30, 30))
        options = {} if dense else {"padding": PADDINGS["VALID"], "strideH": 1, "strideW": 1, "dilationHFactor": 1,
                                    "dilationWFactor": 1}
        if name == "DEPTHWISE_CONV_2D":
            options["depthMultiplier"] = 1
        return x, g.layer(name, [x, weights, biases], out, {"per_channel": per_channel}, **options)
    return model


FAMILIES = [
    ("sharp_quantize", 8, function("QUANTIZE")),
    ("sharp_relu", 8, function("RELU")),
    ("sharp_leaky_relu", 8, function("LEAKY_RELU", alpha=1.0)),
    ("sharp_abs", 8, function("ABS")),
    ("sharp_mean", 8, mean_of_one),
    ("sharp_mul", 8, product),
    ("sharp_conv_2d", 8, near_ties("CONV_2D")),
    ("sharp_depthwise_conv_2d", 8, near_ties("DEPTHWISE_CONV_2D")),
    ("sharp_fully_connected", 16, near_ties("FULLY_CONNECTED")),
]
