"""Draws one operator after the other onto a graph. Every function takes a `Graph` and a tensor and gives the next."""

import numpy as np

from flatbuffer import ACTIVATIONS, FLOAT32, INT32, PADDINGS, UINT8, Builder


class Graph(Builder):
    """A builder with random numbers, and a record of the options drawn, for reports."""

    def __init__(self, rng):
        super().__init__()
        self.rng = rng
        self.options = []
        # Inputs that a model wants instead of random ones.
        self.samples = None
        # A wild graph draws scales without a look at what follows, for the corners of the arithmetic; a round one draws
        # powers of two, for exact ties.
        self.wild, self.round = rng.random() < 0.07, rng.random() < 0.12

    def pick(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def whole(self, low, high):
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def power(self, low, high):
        """A float32 whose logarithm to base 2 is uniform."""
        return self.tidy(2.0 ** self.rng.uniform(low, high))

    def tidy(self, scale):
        """A scale as float32; of a round graph, the nearest power of two."""
        return np.float32(2.0 ** np.round(np.log2(scale)) if self.round else scale)

    def zero_point(self):
        return self.whole(-128, 127) if self.chance(0.4) else self.whole(-40, 40)

    def activation(self):
        return self.pick(["NONE", "NONE", "RELU", "RELU", "RELU6", "RELU_N1_TO_1"])

    def input(self, shape, scale=None, zero=None):
        scale = self.power(-6, -2) if scale is None else scale
        return self.tensor(shape, scale, self.zero_point() if zero is None else zero, name="input")

    def output(self, shape, scale, zero, spread=60.0, mean=None):
        tensor = self.tensor(shape, scale, zero)
        tensor.mean, tensor.spread = float(zero if mean is None else mean), float(spread)
        return tensor

    def like(self, shape, tensor):
        """A tensor with the scale and zero point of another."""
        return self.output(shape, tensor.scale, tensor.zero, tensor.spread, tensor.mean)

    def layer(self, name, inputs, output, shown=None, **options):
        self.op(name, inputs, [output], **options)
        self.options.append(dict(shown or {}, operator=name, input=list(inputs[0].shape), output=list(output.shape)))
        return output

    def fused(self, activation):
        """Output scale and zero point that suit an activation, so that both its bounds can matter."""
        low, high = {"NONE": (-7, 1), "RELU": (-7, 1), "RELU6": (-5.5, -2.3), "RELU_N1_TO_1": (-6.5, -3.3)}[activation]
        zero = -128 if activation in ("RELU", "RELU6") and self.chance(0.6) else self.zero_point()
        return self.power(low, high), zero


def axis(length, kernel, stride, dilation, padding):
    """Output length of a window along one axis."""
    reach = (kernel - 1) * dilation + 1
    return -(-length // stride) if padding == "SAME" else (length - reach) // stride + 1


def window(g, shape, largest, dilated):
    """Kernel, stride, dilation and padding that fit the shape, and the output's height and width."""
    while True:
        kernel = [g.whole(1, largest), g.whole(1, largest)]
        largest_stride = 3 if g.chance(0.9) else 7
        stride = [g.whole(1, largest_stride), g.whole(1, largest_stride)] if g.chance(0.6) else [1, 1]
        dilation = [g.whole(1, 3), g.whole(1, 3)] if dilated and g.chance(0.25) else [1, 1]
        padding = g.pick(["SAME", "VALID"])
        size = [axis(n, k, s, d, padding) for n, k, s, d in zip(shape[1:3], kernel, stride, dilation)]
        if min(size) > 0:
            return kernel, stride, dilation, padding, size


def weights(g, shape):
    largest = g.pick([1, 1, 4, 40, 127, 127])
    values = g.rng.integers(-largest, largest + 1, shape)
    values[g.rng.random(shape) < g.pick([0, 0.05])] = -128
    values.flat[0] = values.flat[0] or 1
    return values.astype(np.int8)


def weigh(g, x, values, channels, axis, terms, bias_needed=True):
    """The inputs of a weighted sum of so many terms, its output's scale, zero point and spread, its activation."""
    activation = g.activation()
    scale, zero = g.fused(activation)
    root = np.sqrt(np.mean(np.square(values.astype(float)))) * np.sqrt(terms)
    root *= np.sqrt(x.spread**2 + (x.mean - x.zero) ** 2)
    levels = g.rng.uniform(20, 90) if g.chance(0.8) else g.rng.uniform(90, 250)
    per_channel = g.chance(0.6)
    factor = g.power(-24, 5) if g.wild else levels / max(root, 1.0)
    weight_scale = g.tidy(factor * scale / x.scale)
    if per_channel:
        weight_scale = g.tidy(weight_scale * 2.0 ** g.rng.uniform(-1.5, 1.5, channels))
    tensor = g.tensor(values.shape, weight_scale, data=values, axis=axis)
    bias = None
    if bias_needed or g.chance(0.6):
        drawn = np.clip(np.round(g.rng.normal(0, 60 / factor if g.wild else root, channels)), -(2**29), 2**29)
        bias = g.tensor([channels], np.float32(x.scale) * weight_scale, dtype=INT32, data=drawn)
    shown = {"activation": activation, "per_channel": per_channel, "bias": bias is not None}
    inputs = [x, tensor] if bias is None else [x, tensor, bias]
    return inputs, scale, zero, levels, activation, shown


def conv_2d(g, x, square=False, channels=None):
    kernel, stride, dilation, padding, size = window(g, x.shape, 5, True)
    if square:
        kernel, stride, dilation, padding, size = [3, 3], [1, 1], [1, 1], "SAME", list(x.shape[1:3])
    channels = channels or (x.shape[3] if square else g.whole(1, 9))
    values = weights(g, [channels, *kernel, x.shape[3]])
    inputs, scale, zero, levels, activation, shown = weigh(g, x, values, channels, 0, values[0].size)
    out = g.output([1, *size, channels], scale, zero, levels)
    shown |= {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding}
    return g.layer("CONV_2D", inputs, out, shown, fusedActivationFunction=ACTIVATIONS[activation],
                   padding=PADDINGS[padding], strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
                   dilationWFactor=dilation[1])


def grouped_conv_2d(g, x, groups):
    channels = groups * g.whole(1, 3)
    values = weights(g, [channels, 3, 3, x.shape[3] // groups])
    inputs, scale, zero, levels, activation, shown = weigh(g, x, values, channels, 0, values[0].size)
    out = g.output([*x.shape[:3], channels], scale, zero, levels)
    return g.layer("CONV_2D", inputs, out, shown | {"groups": groups}, padding=PADDINGS["SAME"], strideH=1,
                   strideW=1, dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=ACTIVATIONS[activation])


def depthwise_conv_2d(g, x):
    kernel, stride, dilation, padding, size = window(g, x.shape, 5, True)
    multiplier = g.pick([1, 1, 2, 3, 4])
    channels = x.shape[3] * multiplier
    values = weights(g, [1, *kernel, channels])
    inputs, scale, zero, levels, activation, shown = weigh(g, x, values, channels, 3, kernel[0] * kernel[1],
                                                             bias_needed=False)
    out = g.output([1, *size, channels], scale, zero, levels)
    shown |= {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding, "multiplier": multiplier}
    return g.layer("DEPTHWISE_CONV_2D", inputs, out, shown, depthMultiplier=multiplier,
                   fusedActivationFunction=ACTIVATIONS[activation], padding=PADDINGS[padding], strideH=stride[0],
                   strideW=stride[1], dilationHFactor=dilation[0], dilationWFactor=dilation[1])


def fully_connected(g, x, channels=None):
    # A rank of 4 is flattened; a rank of 2 has rows.
    length = x.shape[-1] if len(x.shape) < 4 else int(np.prod(x.shape))
    rows = int(np.prod(x.shape)) // length
    channels = channels or g.whole(1, 12)
    values = weights(g, [channels, length])
    inputs, scale, zero, levels, activation, shown = weigh(g, x, values, channels, 0, length, bias_needed=False)
    keep = len(x.shape) == 3 and g.chance(0.5)
    out = g.output([*x.shape[:-1], channels] if keep else [rows, channels], scale, zero, levels)
    if len(inputs) == 2 and g.chance(0.5):
        inputs.append(None)
    return g.layer("FULLY_CONNECTED", inputs, out, shown | {"keep_num_dims": keep},
                   fusedActivationFunction=ACTIVATIONS[activation], keepNumDims=keep)


def pool(name, whole=False):
    def draw(g, x):
        kernel, stride, _, padding, size = window(g, x.shape, 4, False)
        if whole:
            kernel, padding, size = list(x.shape[1:3]), "VALID", [1, 1]
        activation = g.activation()
        out = g.like([1, *size, x.shape[3]], x)
        shown = {"kernel": kernel, "stride": stride, "padding": padding, "activation": activation}
        return g.layer(name, [x], out, shown, fusedActivationFunction=ACTIVATIONS[activation],
                       padding=PADDINGS[padding], filterHeight=kernel[0], filterWidth=kernel[1], strideH=stride[0],
                       strideW=stride[1])
    return draw


average_pool_2d, max_pool_2d = pool("AVERAGE_POOL_2D"), pool("MAX_POOL_2D")
global_average_pool_2d = pool("AVERAGE_POOL_2D", whole=True)


def elementwise(g, name, a, b):
    """ADD, SUB or MUL of two tensors that broadcast; either may be a constant."""
    activation = g.activation()
    out_scale, zero = g.fused(activation)
    real = [t.scale * np.sqrt(t.spread**2 + (t.mean - t.zero) ** 2) for t in (a, b)]
    reach = real[0] * real[1] if name == "MUL" else np.hypot(*real)
    levels = g.rng.uniform(20, 80)
    out_scale = g.tidy(out_scale if g.wild else reach / levels)
    out = g.output(np.broadcast_shapes(a.shape, b.shape), out_scale, zero, levels)
    shown = {"activation": activation, "other": list(b.shape), "constant": (a.data is not None, b.data is not None)}
    return g.layer(name, [a, b], out, shown, fusedActivationFunction=ACTIVATIONS[activation])


def operand(g, shape, near=None):
    """A constant of int8."""
    scale = g.power(-7, 0) if near is None else g.tidy(near * 2.0 ** g.rng.uniform(-3, 3))
    return g.tensor(shape, scale, g.zero_point(), data=g.rng.integers(-128, 128, shape))


def with_constant(name):
    def draw(g, x):
        shape = list(x.shape)
        kind = g.pick(["scalar", "one", "same", "same", "some", "some", "some", "vector"])
        other = {"scalar": [], "one": [1] * len(shape), "same": shape, "vector": shape[-1:]}.get(kind)
        if other is None:
            other = [shape[0]] + [n if g.chance(0.5) else 1 for n in shape[1:]]
        constant = operand(g, other, x.scale)
        return elementwise(g, name, *((constant, x) if g.chance(0.25) else (x, constant)))
    return draw


add, mul, sub = with_constant("ADD"), with_constant("MUL"), with_constant("SUB")


def with_number(name):
    """An operator of a tensor and one number, however large a constant the number fills."""
    def draw(g, x):
        shape = g.pick([[], [1] * len(x.shape), x.shape, x.shape[-1:]])
        number = np.full(shape, g.whole(-128, 127))
        if name in ("MAXIMUM", "MINIMUM"):
            constant, out = g.tensor(shape, x.scale, x.zero, data=number), g.like(x.shape, x)
        else:
            constant = g.tensor(shape, g.tidy(x.scale * 2.0 ** g.rng.uniform(-3, 3)), g.zero_point(), data=number)
            if name != "SQUARED_DIFFERENCE":
                return elementwise(g, name, *((constant, x) if g.chance(0.4) else (x, constant)))
            real = x.scale * 140 + abs(float(number.flat[0]) - constant.zero) * constant.scale
            scale = g.tidy(real**2 / 255 * 2.0 ** g.rng.uniform(-3, 0.5))
            out = g.output(x.shape, scale, -128 if g.chance(0.7) else g.zero_point())
        pair = (constant, x) if g.chance(0.4) else (x, constant)
        return g.layer(name, pair, out, {"constant": list(shape), "number": int(number.flat[0])})
    return draw


def prelu(g, x):
    shape = g.pick([[], [1], x.shape[-1:], x.shape[-1:], [1] * (len(x.shape) - 2) + [x.shape[-1]], x.shape[1:]])
    values = g.rng.integers(-128, 128, shape) if g.chance(0.8) else np.full(shape, g.whole(-128, 127))
    slopes = g.tensor(shape, g.power(-10, -6), g.pick([0, g.zero_point()]), data=values)
    scale = x.scale if g.chance(0.2) else g.tidy(x.scale * 2.0 ** g.rng.uniform(-1.5, 1.5))
    return g.layer("PRELU", [x, slopes], g.output(x.shape, scale, g.zero_point()), {"slopes": list(shape)})


def leaky_relu(g, x):
    alpha = float(np.float32(g.pick([0.01, 0.1, 0.2, 0.3, 0.0, 1.0, 1.7, g.rng.uniform(0, 1)])))
    scale = x.scale if g.chance(0.2) else g.tidy(x.scale * 2.0 ** g.rng.uniform(-1.5, 1.5))
    return g.layer("LEAKY_RELU", [x], g.output(x.shape, scale, g.zero_point()), {"alpha": alpha}, alpha=alpha)


def function(name, reach, low, high, least=0.4):
    """A function of one element whose results reach so far: the output's scale is a part of that from 2^low to 2^high."""
    def draw(g, x):
        scale = g.tidy(max(reach(float(x.scale), 127 - x.zero), 1e-6) / 255 * 2.0 ** g.rng.uniform(low, high))
        zero = -128 if g.chance(least) else g.zero_point()
        return g.layer(name, [x], g.output(x.shape, scale, zero))
    return draw


elu = function("ELU", lambda scale, top: scale * 255, -1.5, 1, 0)
exp = function("EXP", lambda scale, top: np.exp(scale * top), -1, 1)
log = function("LOG", lambda scale, top: 6.0, -1, 1.5, 0)
sqrt = function("SQRT", lambda scale, top: np.sqrt(scale * 255), -0.5, 1.5)
rsqrt = function("RSQRT", lambda scale, top: 1 / np.sqrt(scale), -3, 0.5, 0.7)
neg = function("NEG", lambda scale, top: scale * 255, 0, 0, 0)


def absolute(g, x):
    scale = x.scale if g.chance(0.3) else g.tidy(x.scale * 2.0 ** g.rng.uniform(-1.5, 1))
    return g.layer("ABS", [x], g.output(x.shape, scale, -128 if g.chance(0.5) else g.zero_point()))


def gelu(g, x):
    approximate = g.chance(0.5)
    scale = g.tidy(x.scale * 2.0 ** g.rng.uniform(-1.5, 1))
    out = g.output(x.shape, scale, g.zero_point())
    return g.layer("GELU", [x], out, {"approximate": approximate}, approximate=approximate)


def spread_out(name):
    """ADD, SUB or MUL in which the constant is the larger operand."""
    def draw(g, x):
        larger = [n if n > 1 else g.whole(1, 5) for n in x.shape]
        larger[0] = 1
        return elementwise(g, name, x, operand(g, larger, x.scale))
    return draw


def mean(g, x):
    rank = len(x.shape)
    axes = g.pick([[1, 2], [1, 2], [2, 1], [-3, -2], [1], [2]]) if rank == 4 else [1]
    whole = sorted({a % rank for a in axes})
    keep = g.chance(0.5)
    count = int(np.prod([x.shape[a] for a in whole]))
    shape = [1 if a in whole else n for a, n in enumerate(x.shape) if keep or a not in whole]
    same = g.chance(0.4)
    spread = max(x.spread / np.sqrt(count), 1.0)
    scale = x.scale if same else g.tidy(x.scale * 2.0 ** g.rng.uniform(-2, 0.5))
    zero = x.zero if same else g.zero_point()
    out = g.output(shape, scale, zero, spread * x.scale / scale)
    return g.layer("MEAN", [x, g.constant(axes)], out, {"axes": axes, "keep_dims": keep, "same_scale": same},
                   keepDims=keep)


def reduce_max(g, x):
    rank = len(x.shape)
    sides = [[1, 2], [2, 1], [-3, -2], [1], [2], [3], [-1], [1, 2, 3], [1, 3], [2, 3]]
    axes = g.pick(sides if rank == 4 else [[1], [2], [1, 2]])
    whole = {a % rank for a in axes}
    keep = g.chance(0.5)
    shape = [1 if a in whole else n for a, n in enumerate(x.shape) if keep or a not in whole]
    out = g.like(shape, x)
    return g.layer("REDUCE_MAX", [x, g.constant(axes)], out, {"axes": axes, "keep_dims": keep}, keepDims=keep)


def padded(g, x):
    pads = [[g.whole(0, 2), g.whole(0, 2)] if g.chance(p) else [0, 0] for p in (0, 0.9, 0.9, 0.3)[:len(x.shape)]]
    return pads, g.like([n + a + b for n, (a, b) in zip(x.shape, pads)], x)


def pad(g, x):
    pads, out = padded(g, x)
    return g.layer("PAD", [x, g.constant(pads)], out, {"paddings": pads})


def padv2(g, x):
    pads, out = padded(g, x)
    shape = g.pick([[], [1]])
    value = g.tensor(shape, x.scale, x.zero, data=np.full(shape, g.whole(-128, 127)))
    return g.layer("PADV2", [x, g.constant(pads), value], out, {"paddings": pads, "value": int(value.data.flat[0])})


def reshape(g, x, shape=None):
    count = int(np.prod(x.shape))
    if shape is None:
        divisors = [d for d in range(1, count + 1) if count % d == 0]
        height = g.pick(divisors)
        width = g.pick([d for d in divisors if count // height % d == 0])
        shape = g.pick([[1, count], [1, height, count // height], [1, height, width, count // height // width]])
    written = list(shape)
    if g.chance(0.3):
        written[-1] = -1
    inputs = [x, g.constant(written)] if g.chance(0.7) else [x]
    return g.layer("RESHAPE", inputs, g.like(shape, x), {"written": written}, newShape=np.array(written, np.int32))


def squeeze(g, x):
    ones = [a for a, n in enumerate(x.shape) if n == 1 and a > 0]
    axes = [a for a in ones if g.chance(0.7)] or ones[:1]
    shape = [n for a, n in enumerate(x.shape) if a not in axes]
    return g.layer("SQUEEZE", [x], g.like(shape, x), {"axes": axes}, squeezeDims=np.array(axes, np.int32))


def expand_dims(g, x):
    at = g.whole(1, len(x.shape))
    shape = [*x.shape[:at], 1, *x.shape[at:]]
    written = at if g.chance(0.5) else at - len(x.shape) - 1
    return g.layer("EXPAND_DIMS", [x, g.constant(written)], g.like(shape, x), {"axis": written})


def softmax(g, x):
    beta = 1.0 if g.chance(0.6) else float(g.power(-2, 2))
    out = g.output(x.shape, np.float32(1 / 256), -128)
    return g.layer("SOFTMAX", [x], out, {"beta": beta}, beta=beta)


def logistic(g, x):
    return g.layer("LOGISTIC", [x], g.output(x.shape, np.float32(1 / 256), -128, 60, 0))


def tanh(g, x):
    scale, zero = (np.float32(1 / 128), 0) if g.chance(0.7) else (g.power(-8, -6), g.zero_point())
    return g.layer("TANH", [x], g.output(x.shape, scale, zero, 60, 0))


def relu(name):
    def draw(g, x):
        zero = -128 if name != "RELU_N1_TO_1" and g.chance(0.5) else g.zero_point()
        scale = x.scale if g.chance(0.2) else g.tidy(x.scale * 2.0 ** g.rng.uniform(-1.5, 1.5))
        return g.layer(name, [x], g.output(x.shape, scale, zero))
    return draw


def quantize(g, x):
    scale = g.tidy(x.scale * 2.0 ** (g.rng.uniform(-5, 5) if g.wild else g.rng.uniform(-1, 2)))
    return g.layer("QUANTIZE", [x], g.output(x.shape, scale, g.zero_point()))


def concatenation(g, x, others=()):
    """Of a tensor, others, itself and constants, all with one scale."""
    along = g.whole(1, len(x.shape) - 1)
    parts = [x, *others]
    while len(parts) < 2 or (len(parts) < 4 and g.chance(0.5)):
        shape = list(x.shape)
        shape[along] = g.whole(1, 4)
        constant = g.tensor(shape, x.scale, x.zero, data=g.rng.integers(-128, 128, shape))
        parts.insert(g.whole(0, len(parts)), g.pick([x, constant]))
    shape = list(x.shape)
    shape[along] = sum(part.shape[along] for part in parts)
    written = along if g.chance(0.6) else along - len(shape)
    return g.layer("CONCATENATION", parts, g.like(shape, x), {"axis": written, "parts": len(parts)}, axis=written)


def float_or_uint8(g, x, dtype):
    """The edge of a model: a tensor of another type with the same meaning."""
    if dtype == UINT8:
        return g.tensor(x.shape, x.scale, x.zero + 128, dtype=UINT8)
    return g.tensor(x.shape, dtype=FLOAT32)
