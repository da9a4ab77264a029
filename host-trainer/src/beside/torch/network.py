"""A configuration's network in PyTorch, for pixels less 128; `read` takes its description as a line of JSON."""

import json
import sys

import torch
from torch import nn

torch.set_num_threads(1)


class Same(nn.Module):
    """TensorFlow's SAME padding, which puts the odd row and column last."""

    def __init__(self, kernel, stride):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x):
        pads = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return nn.functional.pad(x, pads) if any(pads) else x


class Normalise(nn.Module):
    """Pixels less 128 by mean and deviation, each 0 to 1."""

    def __init__(self, mean, std):
        super().__init__()
        by_channel = lambda values: torch.tensor(values).reshape(1, -1, 1, 1)
        self.register_buffer("scale", 1 / (255 * by_channel(std)))
        self.register_buffer("offset", (128 / 255 - by_channel(mean)) / by_channel(std))

    def forward(self, x):
        return x * self.scale + self.offset


def activation(name):
    return {"linear": nn.Identity, "relu": nn.ReLU, "relu6": nn.ReLU6, "sigmoid": nn.Sigmoid}[name]()


class Conv(nn.Module):
    """Convolution, batch-norm or bias, activation. What normalises pixels does so after the padding."""

    def __init__(self, spec, inputs, outputs, kernel, stride, batch_norm, act, groups=1, normalise=None):
        super().__init__()
        symmetric = stride == 1 and kernel % 2 == 1 and normalise is None
        padding = kernel // 2 if symmetric else 0
        before = [] if symmetric else [Same(kernel, stride)]
        before += [] if normalise is None else [normalise]
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=not batch_norm)
        after = [nn.BatchNorm2d(outputs, eps=spec["epsilon"])] if batch_norm else []
        self.layers = nn.Sequential(*before, conv, *after, activation(act))

    def forward(self, x):
        return self.layers(x)


class Residual(nn.Module):
    def __init__(self, spec, inputs, outputs, stride):
        super().__init__()
        self.main = nn.Sequential(
            Conv(spec, inputs, outputs, 3, stride, True, "relu"), Conv(spec, outputs, outputs, 3, 1, True, "linear")
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else Conv(spec, inputs, outputs, 1, stride, False, "linear")

    def forward(self, x):
        return nn.functional.relu(self.main(x) + self.shortcut(x))


def layer(spec, block, inputs, normalise):
    kind = block["type"]
    if kind == "conv":
        outputs, kernel, stride = block["channels"], block["kernel"], block["stride"]
        act = block["activation"]
        return Conv(spec, inputs, outputs, kernel, stride, block["batch_norm"], act, 1, normalise), outputs
    if kind == "separable":
        act, outputs = block["activation"], block["channels"]
        depthwise = Conv(spec, inputs, inputs, 3, block["stride"], True, act, inputs, normalise)
        return nn.Sequential(depthwise, Conv(spec, inputs, outputs, 1, 1, True, act)), outputs
    if kind == "residual":
        return Residual(spec, inputs, block["channels"], block["stride"]), block["channels"]
    pools = {"max_pool": nn.MaxPool2d, "average_pool": nn.AvgPool2d}
    return (nn.AdaptiveAvgPool2d(1) if kind == "global_average_pool" else pools[kind](block["size"])), inputs


def build(spec):
    channels, layers = spec["channels"], []
    normalise = Normalise(spec["mean"], spec["std"])
    if not spec["blocks"] or spec["blocks"][0]["type"] not in ("conv", "separable"):
        layers.append(normalise)
        normalise = None
    for block in spec["blocks"]:
        built, channels = layer(spec, block, channels, normalise)
        layers.append(built)
        normalise = None
    layers.append(nn.Flatten())
    with torch.no_grad():
        pixels = torch.zeros(1, spec["channels"], spec["height"], spec["width"])
        width = nn.Sequential(*layers).eval()(pixels).shape[1]
    for hidden in spec["hidden"]:
        layers += [nn.Linear(width, hidden), activation(spec["hidden_activation"])]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, spec["classes"])).train()


def read():
    return json.loads(sys.stdin.buffer.readline())
