"""What LiteRT's reference kernels make of int8 inputs: outputs.py MODEL INPUTS OUTPUTS SCALE ZERO SCALE ZERO.

The last four are scale and zero point of the int8 tensors behind the input and the output of the model.
"""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from litert import run

model, inputs, outputs, *edges = sys.argv[1:]
data = Path(model).read_bytes()
length = int(np.prod(Interpreter(model_content=data).get_input_details()[0]["shape"]))
behind = [(float(edges[0]), int(edges[1])), (float(edges[2]), int(edges[3]))]
made = run(data, np.fromfile(inputs, np.int8).reshape(-1, length), behind)
Path(outputs).write_bytes(b"".join(output.tobytes() for output in made))
