"""Draws operators that move elements, the largest and smallest of two tensors, and products with a constant matrix."""

import numpy as np

import families
import layers


def parts_of(n, g):
    """First index and length of a part of a side."""
    start = g.whole(0, n - 1)
    return start, g.whole(1, n - start)


def slice_(g, x):
    parts = [parts_of(n, g) if n > 1 and g.chance(0.7) else (0, n) for n in x.shape]
    shape = [length for _, length in parts]
    written = [-1 if start + length == n and g.chance(0.3) else length for (start, length), n in zip(parts, x.shape)]
    begin = [start for start, _ in parts]
    inputs = [x, g.constant(begin), g.constant(written)]
    return g.layer("SLICE", inputs, g.like(shape, x), {"begin": begin, "size": written})


def strided_slice(g, x):
    begin, end, stride, shape = [], [], [], []
    masks = {"beginMask": 0, "endMask": 0, "shrinkAxisMask": 0}
    for at, n in enumerate(x.shape):
        start, length = parts_of(n, g) if n > 1 and g.chance(0.8) else (0, n)
        step = g.whole(1, 3) if at and g.chance(0.4) else 1
        stop = start + length
        count = -(-length // step)
        if at and len(shape) > 1 and g.chance(0.15):
            masks["shrinkAxisMask"] |= 1 << at
            step = 1
        else:
            shape.append(count)
            if start == 0 and g.chance(0.4):
                masks["beginMask"] |= 1 << at
                start = g.whole(0, n)
            if stop == n and g.chance(0.4):
                masks["endMask"] |= 1 << at
                stop = g.whole(0, n)
            elif stop == n and g.chance(0.3):
                stop = n + g.whole(1, 5)
            elif stop < n and g.chance(0.3):
                stop -= n
        if start and not masks["beginMask"] >> at & 1 and g.chance(0.3):
            start -= n
        begin.append(start), end.append(stop), stride.append(step)
    inputs = [x, g.constant(begin), g.constant(end), g.constant(stride)]
    shown = {"begin": begin, "end": end, "strides": stride}
    return g.layer("STRIDED_SLICE", inputs, g.like(shape, x), shown | masks, **masks)


def split(g, x):
    """One of the parts, or two of them side by side in the other order."""
    along = g.pick([side for side in range(1, len(x.shape)) if x.shape[side] > 1])
    n = x.shape[along]
    written = g.constant(along if g.chance(0.5) else along - len(x.shape))
    if g.chance(0.5):
        count = g.pick([d for d in range(1, n + 1) if n % d == 0])
        lengths = [n // count] * count
        name, inputs, options = "SPLIT", [written, x], {"numSplits": count}
    else:
        lengths = []
        while sum(lengths) < n:
            lengths.append(g.whole(1, n - sum(lengths)))
        sizes = list(lengths)
        if g.chance(0.3):
            sizes[g.whole(0, len(sizes) - 1)] = -1
        name, inputs, options = "SPLIT_V", [x, g.constant(sizes), written], {"numSplits": len(sizes)}
    parts = [g.like([*x.shape[:along], length, *x.shape[along + 1:]], x) for length in lengths]
    g.op(name, inputs, parts, **options)
    g.options.append({"operator": name, "input": list(x.shape), "axis": along, "lengths": lengths})
    return joined(g, parts, along)


def joined(g, parts, along):
    chosen = [parts[at] for at in g.rng.permutation(len(parts))[:2]]
    if len(chosen) == 1 or g.chance(0.5):
        return chosen[0]
    shape = list(chosen[0].shape)
    shape[along] = sum(part.shape[along] for part in chosen)
    return g.layer("CONCATENATION", chosen, g.like(shape, chosen[0]), {"axis": along, "parts": 2}, axis=along)


def unpack(g, x):
    along = g.whole(1, len(x.shape) - 1)
    shape = [n for side, n in enumerate(x.shape) if side != along]
    parts = [g.like(shape, x) for _ in range(x.shape[along])]
    written = along if g.chance(0.5) else along - len(x.shape)
    g.op("UNPACK", [x], parts, num=len(parts), axis=written)
    g.options.append({"operator": "UNPACK", "input": list(x.shape), "axis": written})
    return joined(g, parts, len(shape) - 1)


def pack(g, x):
    along = g.whole(1, len(x.shape))
    parts = [x]
    while len(parts) < 2 or g.chance(0.4):
        constant = g.tensor(x.shape, x.scale, x.zero, data=g.rng.integers(-128, 128, x.shape))
        parts.insert(g.whole(0, len(parts)), g.pick([x, constant]))
    shape = [*x.shape[:along], len(parts), *x.shape[along:]]
    written = along if g.chance(0.5) else along - len(shape)
    shown, count = {"axis": written, "parts": len(parts)}, len(parts)
    return g.layer("PACK", parts, g.like(shape, x), shown, valuesCount=count, axis=written)


def tile(g, x):
    times = [1] + [g.whole(1, 5) if g.chance(0.6) else 1 for _ in x.shape[1:]]
    shape = [n * m for n, m in zip(x.shape, times)]
    return g.layer("TILE", [x, g.constant(times)], g.like(shape, x), {"multiples": times})


def broadcast_to(g, x):
    shape = [n if n > 1 or not at else g.whole(1, 6) for at, n in enumerate(x.shape)]
    return g.layer("BROADCAST_TO", [x, g.constant(shape)], g.like(shape, x), {"shape": shape})


def transpose(g, x):
    order = [0, *(1 + g.rng.permutation(len(x.shape) - 1))] if g.chance(0.9) else list(g.rng.permutation(len(x.shape)))
    order = [int(side) for side in order]
    shape = [x.shape[side] for side in order]
    if sum(n > 1 for n in shape[:-3]):
        order, shape = list(range(len(shape))), list(x.shape)
    return g.layer("TRANSPOSE", [x, g.constant(order)], g.like(shape, x), {"order": order})


def long_transpose(g, x):
    """Sides of which one is long: what is computed otherwise than a short one."""
    order, shape = [0, 3, 1, 2], [1, x.shape[3], *x.shape[1:3]]
    return g.layer("TRANSPOSE", [x, g.constant(order)], g.like(shape, x), {"order": order})


def extreme(name):
    """Of a tensor and a function of it, or a constant that is as large or is broadcast."""
    def draw(g, x):
        if g.chance(0.4):
            other = g.tensor(x.shape, x.scale, x.zero)
            other.mean, other.spread = x.mean, x.spread
            g.layer("TANH" if g.chance(0.5) else "QUANTIZE", [x], other)
            if g.chance(0.3):
                other = x
        else:
            shape = [1] + [(n if g.chance(0.6) else 1) if n > 1 else g.whole(1, 4) for n in x.shape[1:]]
            other = g.tensor(shape, x.scale, x.zero, data=g.rng.integers(-128, 128, shape))
        pair = (x, other) if g.chance(0.5) else (other, x)
        shape = np.broadcast_shapes(x.shape, other.shape)
        return g.layer(name, pair, g.like(shape, x), {"other": list(other.shape)})
    return draw


def squared_difference(g, x):
    """Of tensors with one scale."""
    shape = [1] + [n if g.chance(0.6) else 1 for n in x.shape[1:]]
    zero = x.zero if g.chance(0.7) else g.zero_point()
    constant = g.tensor(shape, x.scale, zero, data=g.rng.integers(-128, 128, shape))
    scale = g.tidy((x.scale * 255) ** 2 / 255 * 2.0 ** g.rng.uniform(-4, -0.2))
    pair = (constant, x) if g.chance(0.4) else (x, constant)
    out = g.output(x.shape, scale, -128 if g.chance(0.7) else g.whole(-128, -90))
    return g.layer("SQUARED_DIFFERENCE", pair, out, {"other": shape})


def batch_matmul(g, x):
    channels, depth = g.whole(1, 12), x.shape[-1]
    exchanged = g.chance(0.4)
    values = layers.weights(g, [channels, depth] if exchanged else [depth, channels])
    inputs, scale, zero, levels, _, shown = layers.weigh(g, x, values, 1, 0, depth)
    # One scale, no bias and no function.
    shape = [*([1] if g.chance(0.3) else []), *values.shape]
    weights = g.tensor(shape, np.atleast_1d(inputs[1].scale)[0], data=values.reshape(shape))
    out = g.output([*x.shape[:-1], channels], scale, zero, levels)
    return g.layer("BATCH_MATMUL", [x, weights], out, {"adj_y": exchanged, "matrix": shape}, adjY=exchanged)


def long_sides(g):
    return g.input([1, g.whole(5, 9), g.whole(5, 9), g.pick([2, 3, 17])])


# As in families.py.
FAMILIES = [
    ("slice", 12, families.alone(slice_, families.anything)),
    ("strided_slice", 16, families.alone(strided_slice, families.anything)),
    ("split", 14, families.alone(split, lambda g: g.input([1, g.whole(2, 6), g.whole(1, 5), g.whole(1, 12)]))),
    ("unpack", 8, families.alone(unpack)),
    ("pack", 8, families.alone(pack, lambda g: g.pick([families.vector, lambda g: g.input([1, 5, 3])])(g))),
    ("tile", 8, families.alone(tile, families.anything)),
    ("broadcast_to", 4, families.alone(broadcast_to, families.narrow)),
    ("transpose", 14, families.alone(transpose, families.anything)),
    ("long_transpose", 6, families.alone(long_transpose, long_sides)),
    ("maximum_of_two", 10, families.alone(extreme("MAXIMUM"), families.anything)),
    ("minimum_of_two", 10, families.alone(extreme("MINIMUM"), families.anything)),
    ("squared_difference_of_two", 10, families.alone(squared_difference, families.anything)),
    ("batch_matmul", 14, families.alone(batch_matmul, families.dense_source)),
    ("conv+slice", 4, families.chain(layers.conv_2d, slice_)),
    ("transpose+conv", 4, families.chain(transpose, layers.conv_2d)),
]
