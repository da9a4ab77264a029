//! What helps where an operator of ONNX is not supported.

/// Where arithmetic on constants is not folded.
pub(super) const FOLD: &str =
    "export the model with constants folded (do_constant_folding=True), or simplify it by onnxsim";

/// What helps where an operator is not supported.
pub(super) fn of(kind: &str) -> &'static str {
    match kind {
        "Resize" | "Upsample" | "ConvTranspose" | "DepthToSpace" | "SpaceToDepth" => {
            "give the network pictures of the size that it works in, and end it before it enlarges what it makes: the program that \
             calls it can resize"
        }
        "LSTM" | "GRU" | "RNN" => {
            "it keeps a state, which is not supported: use convolutions over a window of samples in its place"
        }
        "ArgMax" | "ArgMin" | "TopK" | "NonMaxSuppression" | "LogSoftmax" | "Hardmax" => {
            "end the model before it, at the scores: the program that calls the network chooses among them"
        }
        "If" | "Loop" | "Scan" => "export a model without branches and loops",
        "InstanceNormalization" | "LayerNormalization" | "GroupNormalization" | "LpNormalization" | "LRN" => {
            "it computes a mean while the model runs, which is not supported: train the network with batch normalisation in its place"
        }
        "QLinearConv" | "QLinearMatMul" | "ConvInteger" | "MatMulInteger" | "DynamicQuantizeLinear" => {
            "quantise the model by onnxruntime.quantization.quantize_static with quant_format=QuantFormat.QDQ, or give the float model \
             and --calibrate"
        }
        "Einsum" | "Erf" | "Attention" | "MultiHeadAttention" => {
            "transformers are not supported: use a convolutional network"
        }
        _ => {
            "replace it in the model by supported ones (Conv, Gemm, BatchNormalization, poolings, Add, Mul, Relu, Clip, Sigmoid, \
             HardSwish, Concat, Pad, Reshape, a Softmax at the end), or leave it to the program that calls the network"
        }
    }
}
