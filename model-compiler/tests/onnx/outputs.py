"""Writes inputs for each ONNX model of a folder, and what ONNX Runtime makes of them.

outputs.py FOLDER

NAME.inputs holds pictures with channels last as bytes b, of which the model reads b / 64; NAME.outputs float32 numbers.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

INPUTS = 8


def pictures(shape, seed):
    """Inputs with a few waves and a little noise, channels first."""
    rng = np.random.default_rng(seed)
    shape = tuple(side if isinstance(side, int) else 1 for side in shape)
    rows = np.arange(shape[-2] if len(shape) > 3 else 1)[:, None]
    columns = np.arange(shape[-1])[None, :] if len(shape) > 2 else np.arange(1)[None, :]
    made = []
    for _ in range(INPUTS):
        channels = []
        for _ in range(shape[1]):
            a, b, c, d = rng.uniform(-0.6, 0.6, 4)
            wave = np.sin(rows * a + columns * b + 6 * c) + np.cos(rows * b - columns * d)
            channels.append(50 * wave + rng.normal(0, 8, wave.shape))
        made.append(np.clip(np.round(np.stack(channels)), -128, 127))
    return np.stack(made).astype(np.int8)


def main(folder):
    for seed, path in enumerate(sorted(Path(folder).glob("*.onnx"))):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        source = session.get_inputs()[0]
        shape = [side if isinstance(side, int) else 1 for side in source.shape]
        last = len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)
        planes = pictures([shape[0], shape[3], shape[1], shape[2]] if last else shape, seed)
        turned = planes.transpose(0, 2, 3, 1)
        path.with_suffix(".inputs").write_bytes(turned.tobytes())
        reals = (turned if last else planes).astype(np.float32) / 64
        rows = [session.run(None, {source.name: real.reshape(shape)})[0] for real in reals]
        path.with_suffix(".outputs").write_bytes(np.stack(rows).astype("<f4").tobytes())


if __name__ == "__main__":
    main(sys.argv[1])
