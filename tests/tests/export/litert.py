"""Runs a model by LiteRT's reference kernels: model, file of int8 inputs one after the other, file for the outputs."""

import sys

import numpy
from ai_edge_litert.interpreter import Interpreter, OpResolverType

model, inputs, outputs = sys.argv[1:]
interpreter = Interpreter(model, num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
interpreter.allocate_tensors()
reads, makes = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
with open(outputs, "wb") as file:
    for values in numpy.fromfile(inputs, numpy.int8).reshape(-1, *reads["shape"]):
        interpreter.set_tensor(reads["index"], values)
        interpreter.invoke()
        file.write(interpreter.get_tensor(makes["index"]).tobytes())
