"""Times training steps on a batch of noise: for each line in, seconds of a step out."""

import time

spec = read()
net = build(spec)
generator = torch.Generator().manual_seed(0)
pixels = torch.randint(0, 256, (spec["batch"], spec["channels"], spec["height"], spec["width"]), generator=generator)
pixels = pixels.float() - 128
labels = torch.arange(spec["batch"]) % spec["classes"]
optimizer = torch.optim.Adam(net.parameters())


def step():
    optimizer.zero_grad(set_to_none=True)
    nn.functional.cross_entropy(net(pixels), labels).backward()
    optimizer.step()


for _ in sys.stdin.buffer:
    step()
    start, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - start < spec["seconds"]:
        step()
        calls += 1
    print((time.perf_counter() - start) / calls, flush=True)
