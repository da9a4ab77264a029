"""Trains on the batches that it is sent. After the network's description come its weights; then lines of JSON, each
followed by float32 values: `{"images": N, "learning_rate": L}` by pixels and targets is a step and is answered by the
loss, `{"images": N}` by pixels is answered by their classes."""

import numpy

spec = read()
net = build(spec)
shape = [spec["channels"], spec["height"], spec["width"]]


def floats(*sides):
    count = 1
    for side in sides:
        count *= side
    values = numpy.frombuffer(sys.stdin.buffer.read(4 * count), dtype="<f4")
    return torch.from_numpy(values.reshape(sides).copy())


with torch.no_grad():
    for parameter in net.parameters():
        parameter.copy_(floats(*parameter.shape))
optimizers = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
decayed = [p for p in net.parameters() if p.ndim > 1 or spec["optimizer"] == "adam"]
others = [p for p in net.parameters() if p.ndim == 1 and spec["optimizer"] == "adamw"]
groups = [{"params": decayed, "weight_decay": spec["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
optimizer = optimizers[spec["optimizer"]]([group for group in groups if group["params"]], eps=spec["optimizer_epsilon"])


def step(pixels, targets, learning_rate):
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad(set_to_none=True)
    loss = -(nn.functional.log_softmax(net(pixels), 1) * targets).sum()
    loss.backward()
    optimizer.step()
    return loss.item()


def classes(pixels):
    net.eval()
    with torch.no_grad():
        found = net(pixels).argmax(1).tolist()
    net.train()
    return found


for line in sys.stdin.buffer:
    request = json.loads(line)
    pixels = floats(request["images"], *shape)
    if "learning_rate" in request:
        answer = step(pixels, floats(request["images"], spec["classes"]), request["learning_rate"])
    else:
        answer = classes(pixels)
    print(json.dumps(answer), flush=True)
