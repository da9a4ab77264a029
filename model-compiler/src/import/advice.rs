//! Which operators models may have, and what helps where one is not among them.

use super::Result;
use super::model::{BuiltinOperator, Operator, TensorType};

/// What models for the Edge TPU consist of.
const EDGE_TPU: &str = "CUSTOM edgetpu-custom-op";

/// Refuses an operator that neither int8 models nor float models may have, and says what helps.
///
/// # Errors
/// Of the kind `UnsupportedOperator`.
pub fn check_supported(op: &Operator) -> Result<()> {
    use BuiltinOperator as Code;
    match op.code {
        Code::Conv2d
        | Code::DepthwiseConv2d
        | Code::FullyConnected
        | Code::MaxPool2d
        | Code::AveragePool2d
        | Code::Mean
        | Code::ReduceMax
        | Code::Add
        | Code::Mul
        | Code::Sub
        | Code::Div
        | Code::Relu
        | Code::Relu6
        | Code::ReluN1To1
        | Code::Relu0To1
        | Code::LeakyRelu
        | Code::Prelu
        | Code::Elu
        | Code::Gelu
        | Code::Abs
        | Code::Neg
        | Code::Exp
        | Code::Log
        | Code::Sqrt
        | Code::Rsqrt
        | Code::Maximum
        | Code::Minimum
        | Code::SquaredDifference
        | Code::BatchMatmul
        | Code::Slice
        | Code::StridedSlice
        | Code::Split
        | Code::SplitV
        | Code::Pack
        | Code::Unpack
        | Code::Tile
        | Code::BroadcastTo
        | Code::Transpose
        | Code::Logistic
        | Code::Tanh
        | Code::HardSwish
        | Code::Softmax
        | Code::Pad
        | Code::Padv2
        | Code::Concatenation
        | Code::Reshape
        | Code::Squeeze
        | Code::ExpandDims
        | Code::Quantize
        | Code::Dequantize => Ok(()),
        _ => Err(refused!(
            UnsupportedOperator,
            "this operator is supported neither in int8 nor in float models: {}",
            advice(op)
        )),
    }
}

/// What helps where an operator is not supported; quantising the model elsewhere does not.
fn advice(op: &Operator) -> &'static str {
    use BuiltinOperator as Code;
    match op.code {
        Code::Custom if op.kind == EDGE_TPU => {
            "the file is compiled for an Edge TPU: give the .tflite file from before edgetpu_compiler, quantised to int8"
        }
        Code::Custom => {
            "it is an operator of somebody's own: end the model before it, and leave what it does to the program that calls the \
             network"
        }
        Code::ResizeBilinear
        | Code::ResizeNearestNeighbor
        | Code::TransposeConv
        | Code::DepthToSpace
        | Code::SpaceToDepth => {
            "give the network pictures of the size that it works in, and end it before it enlarges what it makes: the program \
             that calls it can resize"
        }
        Code::Shape | Code::Gather | Code::Fill | Code::Range | Code::Cast => {
            "where the model computes shapes while it runs, export it with a fixed input shape, a batch of 1 included, so that \
             the converter folds them away"
        }
        Code::SpaceToBatchNd | Code::BatchToSpaceNd => {
            "only both around one convolution, as the converter writes dilation, are supported: export the convolution with its \
             dilation"
        }
        Code::Svdf
        | Code::Rnn
        | Code::Lstm
        | Code::UnidirectionalSequenceRnn
        | Code::UnidirectionalSequenceLstm
        | Code::BidirectionalSequenceRnn
        | Code::BidirectionalSequenceLstm
        | Code::VarHandle
        | Code::ReadVariable
        | Code::AssignVariable
        | Code::CallOnce => STATE,
        Code::ArgMax | Code::ArgMin | Code::TopkV2 | Code::NonMaxSuppressionV4 | Code::NonMaxSuppressionV5 => {
            "end the model before it, at the scores: the program that calls the network chooses among them"
        }
        _ => {
            "replace it in the model by supported ones (convolutions, dense layers, poolings, ADD, MUL, MEAN, REDUCE_MAX, PAD, \
             CONCATENATION, RESHAPE, LOGISTIC, TANH, HARD_SWISH, RELU, RELU6, a SOFTMAX at the end), or leave it to the program \
             that calls the network"
        }
    }
}

/// What helps where activations are of a type that is neither INT8 nor FLOAT32.
pub fn of_type(element: TensorType) -> &'static str {
    match element {
        TensorType::Int16 => {
            "it was quantised to 16-bit activations (16x8). Quantise the float model again with \
             target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8] and representative data, or convert it without \
             optimisations and quantise it here with --calibrate"
        }
        TensorType::Uint8 => {
            "it was quantised to UINT8, as by TensorFlow 1, with weights that have zero points, which cannot be brought to INT8 without \
             other results. Convert the float model again to INT8 with TensorFlow 2's converter, \
             or without optimisations and quantise it here with --calibrate"
        }
        TensorType::Float16 => "convert the model with activations of FLOAT32; weights may stay FLOAT16",
        TensorType::Int32 | TensorType::Int64 | TensorType::Bool => {
            "only INT8 and FLOAT32 can be computed: do what it does in the program that calls the network, or fix the shapes so \
             that the converter folds it away"
        }
        _ => "convert the model with activations of INT8 or of FLOAT32",
    }
}

/// What helps where a model keeps a state.
pub const STATE: &str = "the model keeps a state from one run to the next, which is not supported: export one that gets all of its \
                         input at once, a window of sound or of samples, with convolutions in place of the state";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::model::{Options, schema_name};

    fn refusal(code: BuiltinOperator, kind: Option<&str>) -> String {
        let kind = kind.map_or_else(|| schema_name(code), str::to_owned);
        let op = Operator { index: 0, code, kind, inputs: vec![], outputs: vec![], options: Options::default() };
        check_supported(&op).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn each_refusal_names_what_helps() {
        use BuiltinOperator as Code;
        for (code, helps) in [
            (Code::Sin, "replace"),
            (Code::ResizeBilinear, "resize"),
            (Code::ResizeNearestNeighbor, "resize"),
            (Code::Shape, "fixed input shape"),
            (Code::Gather, "fixed input shape"),
            (Code::Svdf, "state"),
            (Code::UnidirectionalSequenceLstm, "state"),
            (Code::VarHandle, "state"),
            (Code::ArgMax, "scores"),
            (Code::L2Normalization, "replace"),
        ] {
            let text = refusal(code, None);
            assert!(text.contains(helps), "{code:?}: {text}");
            assert!(!text.contains("TensorFlow's converter") && !text.contains("float model,"), "{code:?}: {text}");
        }
        assert!(refusal(Code::Custom, Some(EDGE_TPU)).contains("edgetpu_compiler"));
        assert!(refusal(Code::Custom, Some("CUSTOM TFLite_Detection_PostProcess")).contains("end the model before it"));
        assert_eq!(refusal(Code::Conv2d, None), "");
        assert!(of_type(TensorType::Int16).contains("16x8"), "INT8 alone is what was asked for already");
    }
}
