"""Builds a .tflite file operator by operator, with every scale, zero point and option of one's own choice."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

INT8, UINT8, INT32, FLOAT32 = (schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT32,
                               schema.TensorType.FLOAT32)
DTYPES = {INT8: np.int8, UINT8: np.uint8, INT32: np.int32, FLOAT32: np.float32}

# The lowest version of each operator that takes int8 in all the forms drawn here.
VERSIONS = {
    "ADD": 2, "MUL": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "AVERAGE_POOL_2D": 2,
    "MAX_POOL_2D": 2, "MEAN": 2, "REDUCE_MAX": 2, "PAD": 2, "PADV2": 2, "RESHAPE": 1, "SQUEEZE": 1, "EXPAND_DIMS": 1,
    "SOFTMAX": 2, "LOGISTIC": 2, "TANH": 2, "RELU": 2, "RELU6": 2, "RELU_N1_TO_1": 1, "QUANTIZE": 2, "DEQUANTIZE": 2,
    "CONCATENATION": 2, "SUB": 2, "MAXIMUM": 2, "MINIMUM": 2, "SQUARED_DIFFERENCE": 2, "PRELU": 1, "LEAKY_RELU": 2, "ELU": 1,
    "GELU": 1, "RELU_0_TO_1": 1, "ABS": 2, "NEG": 1, "EXP": 2, "LOG": 2, "SQRT": 2, "RSQRT": 2,
    "SLICE": 2, "STRIDED_SLICE": 2, "SPLIT": 2, "SPLIT_V": 2, "PACK": 2, "UNPACK": 2, "TILE": 2, "BROADCAST_TO": 2,
    "TRANSPOSE": 2, "BATCH_MATMUL": 2,
}

ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}
PADDINGS = {"SAME": schema.Padding.SAME, "VALID": schema.Padding.VALID}


class Tensor:
    """A tensor of the graph. `scale` is a number, or one number a channel."""

    def __init__(self, index, shape, dtype, scale, zero, data):
        self.index, self.shape, self.dtype = index, tuple(shape), dtype
        self.scale, self.zero, self.data = scale, zero, data
        # A guess at the distribution of the quantised values, from which the next scale is drawn.
        self.mean, self.spread = 0.0, 74.0


class Builder:
    """Collects tensors and operators; `finish` gives the file's bytes."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.buffers = [schema.BufferT()]
        self.codes = {}
        self.names = []

    def tensor(self, shape, scale=None, zero=0, dtype=INT8, data=None, axis=0, name=None):
        """Adds a tensor; `data` makes it a constant."""
        tensor = schema.TensorT()
        tensor.shape = np.array(shape, dtype=np.int32)
        tensor.type = dtype
        tensor.name = (name or f"t{len(self.graph.tensors)}").encode()
        tensor.hasRank = True
        tensor.buffer = 0
        if data is not None:
            data = np.asarray(data, dtype=DTYPES[dtype])
            assert data.shape == tuple(shape), (data.shape, shape)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), dtype=np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            scales = np.atleast_1d(np.asarray(scale, dtype=np.float32))
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = np.full(len(scales), zero, dtype=np.int64)
            tensor.quantization.quantizedDimension = axis if len(scales) > 1 else 0
        self.graph.tensors.append(tensor)
        return Tensor(len(self.graph.tensors) - 1, shape, dtype, scale, zero, data)

    def constant(self, values):
        """Adds a constant of int32, as shapes, axes and paddings are."""
        values = np.asarray(values, dtype=np.int32)
        return self.tensor(values.shape, dtype=INT32, data=values)

    def op(self, name, inputs, outputs, **options):
        """Adds an operator; an input may be None. `options` are fields of the operator's options table."""
        if name not in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = VERSIONS[name]
            self.codes[name] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        op = schema.OperatorT()
        op.opcodeIndex = self.codes[name]
        op.inputs = np.array([-1 if t is None else t.index for t in inputs], dtype=np.int32)
        op.outputs = np.array([t.index for t in outputs], dtype=np.int32)
        table = OPTIONS.get(name)
        if table:
            op.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            op.builtinOptions = getattr(schema, table + "T")()
            for field, value in options.items():
                assert hasattr(op.builtinOptions, field), (table, field)
                setattr(op.builtinOptions, field, value)
        self.graph.operators.append(op)
        self.names.append(name)

    def finish(self, inputs, outputs):
        """The file's bytes."""
        self.graph.inputs = np.array([t.index for t in inputs], dtype=np.int32)
        self.graph.outputs = np.array([t.index for t in outputs], dtype=np.int32)
        self.model.subgraphs = [self.graph]
        writer = flatbuffers.Builder(1024)
        writer.Finish(self.model.Pack(writer), b"TFL3")
        return bytes(writer.Output())


OPTIONS = {
    "ADD": "AddOptions", "MUL": "MulOptions", "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions", "MEAN": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "PAD": "PadOptions", "PADV2": "PadV2Options", "RESHAPE": "ReshapeOptions", "SQUEEZE": "SqueezeOptions",
    "EXPAND_DIMS": "ExpandDimsOptions", "SOFTMAX": "SoftmaxOptions", "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions", "CONCATENATION": "ConcatenationOptions", "SUB": "SubOptions",
    "MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions", "LEAKY_RELU": "LeakyReluOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions", "GELU": "GeluOptions", "ABS": "AbsOptions", "NEG": "NegOptions",
    "EXP": "ExpOptions", "SLICE": "SliceOptions", "STRIDED_SLICE": "StridedSliceOptions", "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions", "PACK": "PackOptions", "UNPACK": "UnpackOptions", "TILE": "TileOptions",
    "BROADCAST_TO": "BroadcastToOptions", "TRANSPOSE": "TransposeOptions", "BATCH_MATMUL": "BatchMatMulOptions",
}
