"""Which models are drawn: operators alone, and chains of two or three."""

import layers as draw
from flatbuffer import FLOAT32, INT8, UINT8


def image(g, largest=8, channels=7, **quantisation):
    """An input whose height, width and channels differ as a rule."""
    return g.input([1, g.whole(1, largest), g.whole(1, largest), g.whole(1, channels)], **quantisation)


def vector(g, rows=False):
    return g.input([g.whole(1, 4) if rows else 1, g.whole(1, 40)])


def anything(g):
    """An input of any rank from 2 to 4."""
    return g.pick([image, image, vector, lambda g: g.input([1, g.whole(1, 9), g.whole(1, 6)])])(g)


def alone(operator, source=image):
    def model(g):
        x = source(g)
        return x, operator(g, x)
    return model


def chain(first, second, source=image):
    def model(g):
        x = source(g)
        return x, second(g, first(g, x))
    return model


def convolution(g, x):
    return g.pick([draw.conv_2d, draw.depthwise_conv_2d])(g, x)


def wide(g):
    """Many channels, on both sides of the multiples that fast kernels take at once."""
    return g.input([1, g.whole(1, 4), g.whole(1, 4), g.whole(8, 40)])


def dense_source(g):
    return g.pick([vector, lambda g: vector(g, rows=True), lambda g: image(g, 3, 4),
                   lambda g: g.input([1, g.whole(1, 4), g.whole(1, 12)])])(g)


def softmax_source(g):
    scale = g.power(-7, 0)
    shape = g.pick([[1, g.whole(1, 40)], [g.whole(2, 4), g.whole(1, 20)], [1, g.whole(1, 4), g.whole(1, 12)],
                    [1, g.whole(1, 3), g.whole(1, 3), g.whole(1, 12)]])
    return g.input(shape, scale=scale)


def squeezable(g):
    shape = [1, g.whole(1, 6), g.whole(1, 6), g.whole(1, 6)]
    shape[g.whole(1, 3)] = 1
    return g.input(shape)


def narrow(g):
    """An input that a larger constant is added to."""
    return g.input([1] + [n if g.chance(0.5) else 1 for n in (g.whole(2, 6), g.whole(2, 6), g.whole(2, 6))])


def residual(name):
    def model(g):
        x = image(g, 6, 5)
        branch = draw.conv_2d(g, x, square=True)
        pair = (x, branch) if g.chance(0.5) else (branch, x)
        return x, draw.elementwise(g, name, *pair)
    return model


def gate(g):
    """Squeeze and excite: a mean over height and width times the tensor."""
    x = image(g, 6, 5)
    shape = [1, 1, 1, x.shape[3]]
    squeezed = g.output(shape, x.scale, x.zero, 10, 0)
    g.layer("MEAN", [x, g.constant([1, 2])], squeezed, {"axes": [1, 2], "keep_dims": True}, keepDims=True)
    pair = (x, squeezed) if g.chance(0.5) else (squeezed, x)
    return x, draw.elementwise(g, g.pick(["MUL", "ADD"]), *pair)


def swish(g):
    x = image(g)
    return x, draw.elementwise(g, "MUL", x, draw.logistic(g, x))


def doubled(g):
    x = anything(g)
    return x, draw.elementwise(g, g.pick(["ADD", "MUL", "SUB"]), x, x)


def positive(g):
    """An input without numbers below 0, where square roots are defined."""
    return image(g, zero=-128)


def gentle(g):
    """An input whose exponentials do not leave all reason."""
    return image(g, scale=g.power(-9, -5))


def difference_to_function(g):
    """A difference of a tensor and a function of it, or the other way round."""
    x = anything(g)
    y = g.pick([draw.tanh, draw.leaky_relu, draw.relu("RELU6"), draw.gelu])(g, x)
    return x, draw.elementwise(g, "SUB", *((x, y) if g.chance(0.7) else (y, x)))


def normalised(g):
    """What a normalisation computes of a variance: a sum with a small number, and the root of it."""
    x = positive(g)
    y = draw.with_number("MAXIMUM")(g, x)
    return x, g.pick([draw.rsqrt, draw.sqrt])(g, y)


def branch_concatenated(g):
    x = image(g, 6, 5)
    other = g.pick([draw.max_pool_2d, draw.pad])
    while True:
        mark = len(g.graph.tensors), len(g.graph.operators), len(g.options)
        y = other(g, x)
        if y.shape[1:3] == x.shape[1:3]:
            break
        del g.graph.tensors[mark[0]:], g.graph.operators[mark[1]:], g.options[mark[2]:]
    along = 3
    out = g.like([*x.shape[:3], x.shape[3] + y.shape[3]], x)
    return x, g.layer("CONCATENATION", [x, y], out, {"axis": along, "parts": 2}, axis=along)


def grouped(g):
    """A convolution whose weights see a part of the input's channels."""
    groups, part = g.whole(2, 4), g.whole(1, 3)
    x = g.input([1, g.whole(2, 6), g.whole(2, 6), groups * part])
    return x, draw.grouped_conv_2d(g, x, groups)


# Name, number in a corpus of 600, drawing function.
FAMILIES = [
    ("conv_2d", 60, alone(draw.conv_2d)),
    ("depthwise_conv_2d", 50, alone(draw.depthwise_conv_2d)),
    ("grouped_conv_2d", 6, grouped),
    ("wide_conv_2d", 12, alone(lambda g, x: draw.conv_2d(g, x, channels=g.whole(8, 40)), wide)),
    ("wide_depthwise_conv_2d", 8, alone(draw.depthwise_conv_2d, wide)),
    ("wide_fully_connected", 8, alone(lambda g, x: draw.fully_connected(g, x, g.whole(8, 70)),
                                      lambda g: g.input([1, g.whole(40, 600)]))),
    ("fully_connected", 45, alone(draw.fully_connected, dense_source)),
    ("add", 22, alone(draw.add, anything)),
    ("mul", 22, alone(draw.mul, anything)),
    ("add_larger_constant", 6, alone(draw.spread_out("ADD"), narrow)),
    ("mul_larger_constant", 6, alone(draw.spread_out("MUL"), narrow)),
    ("add_or_mul_itself", 8, doubled),
    ("average_pool_2d", 30, alone(draw.average_pool_2d)),
    ("max_pool_2d", 25, alone(draw.max_pool_2d)),
    ("global_average_pool_2d", 6, alone(draw.global_average_pool_2d, lambda g: image(g, 14))),
    ("mean", 32, alone(draw.mean)),
    ("mean_rank_3", 8, alone(draw.mean, lambda g: g.input([1, g.whole(1, 20), g.whole(1, 6)]))),
    ("pad", 14, alone(draw.pad)),
    ("padv2", 10, alone(draw.padv2)),
    ("reshape", 10, alone(draw.reshape, anything)),
    ("squeeze", 6, alone(draw.squeeze, squeezable)),
    ("expand_dims", 6, alone(draw.expand_dims, lambda g: g.pick([vector, lambda g: g.input([1, 5, 3])])(g))),
    ("softmax", 24, alone(draw.softmax, softmax_source)),
    ("logistic", 12, alone(draw.logistic, anything)),
    ("tanh", 10, alone(draw.tanh, anything)),
    ("relu", 8, alone(draw.relu("RELU"), anything)),
    ("relu6", 8, alone(draw.relu("RELU6"), anything)),
    ("relu_n1_to_1", 6, alone(draw.relu("RELU_N1_TO_1"), anything)),
    ("quantize", 12, alone(draw.quantize, anything)),
    ("concatenation", 20, alone(draw.concatenation)),
    ("conv+add", 12, residual("ADD")),
    ("conv+mul", 4, residual("MUL")),
    ("mean+mul_or_add", 6, gate),
    ("logistic+mul", 4, swish),
    ("pool_or_pad+concatenation", 6, branch_concatenated),
    ("pad+conv", 10, chain(draw.pad, convolution)),
    ("conv+relu6", 5, chain(convolution, draw.relu("RELU6"))),
    ("conv+max_pool", 6, chain(convolution, draw.max_pool_2d)),
    ("conv+average_pool", 6, chain(convolution, draw.average_pool_2d)),
    ("conv+mean", 6, chain(convolution, draw.mean)),
    ("conv+quantize", 4, chain(convolution, draw.quantize)),
    ("depthwise+conv", 8, chain(draw.depthwise_conv_2d, draw.conv_2d)),
    ("concatenation+conv", 6, chain(draw.concatenation, convolution)),
    ("conv+fully_connected", 6, chain(draw.conv_2d, draw.fully_connected, lambda g: image(g, 4, 4))),
    ("reshape+fully_connected", 6, chain(draw.reshape, draw.fully_connected, lambda g: image(g, 3, 4))),
    ("fully_connected+softmax", 8, chain(draw.fully_connected, draw.softmax, dense_source)),
    ("fully_connected+logistic", 4, chain(draw.fully_connected, draw.logistic, dense_source)),
    ("fully_connected+fully_connected", 5, chain(draw.fully_connected, draw.fully_connected, vector)),
    ("average_pool+reshape", 4, chain(draw.average_pool_2d, draw.reshape)),
    ("add+mul", 4, chain(draw.add, draw.mul)),
    ("reduce_max", 24, alone(draw.reduce_max)),
    ("reduce_max_rank_3", 6, alone(draw.reduce_max, lambda g: g.input([1, g.whole(1, 20), g.whole(1, 6)]))),
    ("conv+reduce_max", 4, chain(convolution, draw.reduce_max)),
    ("sub", 24, alone(draw.sub, anything)),
    ("sub_larger_constant", 6, alone(draw.spread_out("SUB"), narrow)),
    ("conv+sub", 12, residual("SUB")),
    ("function+sub", 10, difference_to_function),
    ("sub_number", 8, alone(draw.with_number("SUB"), anything)),
    ("add_number", 6, alone(draw.with_number("ADD"), anything)),
    ("mul_number", 6, alone(draw.with_number("MUL"), anything)),
    ("maximum", 6, alone(draw.with_number("MAXIMUM"), anything)),
    ("minimum", 6, alone(draw.with_number("MINIMUM"), anything)),
    ("squared_difference", 12, alone(draw.with_number("SQUARED_DIFFERENCE"), anything)),
    ("prelu", 24, alone(draw.prelu)),
    ("leaky_relu", 12, alone(draw.leaky_relu, anything)),
    ("elu", 10, alone(draw.elu, anything)),
    ("elu+abs", 4, chain(draw.elu, draw.absolute, anything)),
    ("gelu", 14, alone(draw.gelu, anything)),
    ("relu_0_to_1", 6, alone(draw.relu("RELU_0_TO_1"), gentle)),
    ("abs", 8, alone(draw.absolute, anything)),
    ("neg", 4, alone(draw.neg, anything)),
    ("exp", 10, alone(draw.exp, gentle)),
    ("log", 8, alone(draw.log, positive)),
    ("log_of_any", 4, alone(draw.log, anything)),
    ("sqrt", 8, alone(draw.sqrt, positive)),
    ("rsqrt", 14, alone(draw.rsqrt, positive)),
    ("maximum+root", 6, normalised),
    ("conv+function", 10, chain(convolution, lambda g, x: g.pick([draw.leaky_relu, draw.gelu, draw.prelu])(g, x))),
    ("function+abs", 4, chain(draw.tanh, draw.absolute)),
]


def with_edges(g, model):
    """Builds a model, in some cases between an edge of float or uint8 at either side; gives the file's ends."""
    outer = [g.pick([FLOAT32, UINT8]) if g.chance(0.08) else INT8 for _ in range(2)]
    x, y = model(g)
    ends = [x, y]
    if outer[0] != INT8:
        ends[0] = draw.float_or_uint8(g, x, outer[0])
        g.op("QUANTIZE", [ends[0]], [x])
        g.graph.operators.insert(0, g.graph.operators.pop())
    if outer[1] != INT8:
        ends[1] = draw.float_or_uint8(g, y, outer[1])
        g.op("DEQUANTIZE" if outer[1] == FLOAT32 else "QUANTIZE", [y], [ends[1]])
    return x, y, ends
