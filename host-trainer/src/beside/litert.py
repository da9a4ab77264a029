"""Times LiteRT on one thread for `bench`: a line `reference` or `xnnpack` in, seconds of an inference out."""

import sys
import time

import numpy
from ai_edge_litert.interpreter import Interpreter, OpResolverType

path, window = sys.argv[1], float(sys.argv[2])
resolvers = {"reference": OpResolverType.BUILTIN_REF, "xnnpack": OpResolverType.AUTO}
interpreters = {}
for line in sys.stdin:
    name = line.strip()
    if name not in interpreters:
        interpreter = Interpreter(path, num_threads=1, experimental_op_resolver_type=resolvers[name])
        interpreter.allocate_tensors()
        tensor = interpreter.get_input_details()[0]
        interpreter.set_tensor(tensor["index"], numpy.zeros(tensor["shape"], tensor["dtype"]))
        interpreters[name] = interpreter
    interpreter = interpreters[name]
    interpreter.invoke()
    start, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - start < window:
        interpreter.invoke()
        calls += 1
    print((time.perf_counter() - start) / calls, flush=True)
