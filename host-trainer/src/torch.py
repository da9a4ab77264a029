"""Times training steps of PyTorch on one thread for `train-bench`: the network as a line of JSON in; then for each line in,
seconds of a step out."""

import json
import sys
import time

import torch
from torch import nn

torch.set_num_threads(1)
spec = json.loads(sys.stdin.readline())
generator = torch.Generator().manual_seed(0)


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


def activation(name):
    return {"linear": nn.Identity, "relu": nn.ReLU, "relu6": nn.ReLU6, "sigmoid": nn.Sigmoid}[name]()


def conv(inputs, outputs, kernel, stride, batch_norm, act, groups=1):
    symmetric = stride == 1 and kernel % 2 == 1
    layers = [] if symmetric else [Same(kernel, stride)]
    padding = kernel // 2 if symmetric else 0
    layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=not batch_norm))
    if batch_norm:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, activation(act))


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.main = nn.Sequential(
            conv(inputs, outputs, 3, stride, True, "relu"), conv(outputs, outputs, 3, 1, True, "linear")
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else conv(inputs, outputs, 1, stride, False, "linear")

    def forward(self, x):
        return nn.functional.relu(self.main(x) + self.shortcut(x))


def layer(block, inputs):
    kind = block["type"]
    if kind == "conv":
        outputs = block["channels"]
        built = conv(inputs, outputs, block["kernel"], block["stride"], block["batch_norm"], block["activation"])
        return built, outputs
    if kind == "separable":
        act = block["activation"]
        depthwise = conv(inputs, inputs, 3, block["stride"], True, act, groups=inputs)
        return nn.Sequential(depthwise, conv(inputs, block["channels"], 1, 1, True, act)), block["channels"]
    if kind == "residual":
        return Residual(inputs, block["channels"], block["stride"]), block["channels"]
    pools = {"max_pool": nn.MaxPool2d, "average_pool": nn.AvgPool2d}
    return (nn.AdaptiveAvgPool2d(1) if kind == "global_average_pool" else pools[kind](block["size"])), inputs


channels, layers = spec["channels"], []
for block in spec["blocks"]:
    built, channels = layer(block, channels)
    layers.append(built)
layers.append(nn.Flatten())
pixels = torch.randint(0, 256, (spec["batch"], spec["channels"], spec["height"], spec["width"]), generator=generator)
pixels = pixels.float() / 128 - 1
labels = torch.arange(spec["batch"]) % spec["classes"]
with torch.no_grad():
    width = nn.Sequential(*layers).eval()(pixels[:1]).shape[1]
for hidden in spec["hidden"]:
    layers += [nn.Linear(width, hidden), activation(spec["hidden_activation"])]
    width = hidden
net = nn.Sequential(*layers, nn.Linear(width, spec["classes"])).train()
optimizer = torch.optim.Adam(net.parameters())


def step():
    optimizer.zero_grad(set_to_none=True)
    nn.functional.cross_entropy(net(pixels), labels).backward()
    optimizer.step()


for _ in sys.stdin:
    step()
    start, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - start < spec["seconds"]:
        step()
        calls += 1
    print((time.perf_counter() - start) / calls, flush=True)
