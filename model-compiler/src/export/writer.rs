//! Writes TensorFlow Lite's files, tensor by tensor and operator by operator.

use crate::import::tflite::tflite::{
    Buffer, BuiltinOperator, BuiltinOptions, Model, Operator, OperatorCode, QuantizationParameters, SubGraph, Tensor,
    TensorType,
};

/// A model while it is made. Tensors are named by their index.
#[derive(Debug)]
pub struct Writer {
    /// The tensors; they may be changed before [`finish`](Self::finish).
    pub tensors: Vec<Tensor>,
    /// The operators.
    pub operators: Vec<Operator>,
    /// Their codes, one each.
    pub codes: Vec<OperatorCode>,
    /// What the model is, for people.
    pub description: Option<String>,
    buffers: Vec<Buffer>,
}

impl Default for Writer {
    fn default() -> Self {
        // Tensors without data name the first buffer.
        let buffers = vec![Buffer::default()];
        Self { tensors: Vec::new(), operators: Vec::new(), codes: Vec::new(), description: None, buffers }
    }
}

impl Writer {
    /// Adds a tensor; `quantisation` is scale and zero point.
    pub fn tensor(&mut self, name: &str, shape: &[i32], element: TensorType, quantisation: Option<(f32, i64)>) -> i32 {
        let quantization = quantisation.map(|(scale, zero_point)| {
            let scales = QuantizationParameters { scale: Some(vec![scale]), ..Default::default() };
            Box::new(QuantizationParameters { zero_point: Some(vec![zero_point]), ..scales })
        });
        self.tensors.push(Tensor {
            name: Some(name.to_owned()),
            shape: Some(shape.to_vec()),
            type_: element,
            quantization,
            ..Tensor::default()
        });
        self.tensors.len() as i32 - 1
    }

    /// Adds a tensor whose side `axis` has a scale for each index, and zero points of 0.
    pub fn channelwise(&mut self, name: &str, shape: &[i32], element: TensorType, axis: i32, scales: Vec<f32>) -> i32 {
        let tensor = self.tensor(name, shape, element, None);
        let quantization = QuantizationParameters {
            zero_point: Some(vec![0; scales.len()]),
            scale: Some(scales),
            quantized_dimension: axis,
            ..Default::default()
        };
        if let Some(tensor) = self.tensors.last_mut() {
            tensor.quantization = Some(Box::new(quantization));
        }
        tensor
    }

    /// Adds an int8 tensor.
    pub fn int8(&mut self, name: &str, shape: &[i32], scale: f32, zero_point: i64) -> i32 {
        self.tensor(name, shape, TensorType::Int8, Some((scale, zero_point)))
    }

    /// Gives a tensor constant bytes.
    pub fn fill(&mut self, tensor: i32, bytes: Vec<u8>) -> i32 {
        self.buffers.push(Buffer { data: Some(bytes), ..Buffer::default() });
        self.tensors[tensor as usize].buffer = self.buffers.len() as u32 - 1;
        tensor
    }

    /// Adds an int32 constant.
    pub fn integers(&mut self, name: &str, shape: &[i32], values: &[i32]) -> i32 {
        let tensor = self.tensor(name, shape, TensorType::Int32, None);
        self.fill(tensor, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Adds an operator.
    pub fn op(&mut self, code: BuiltinOperator, inputs: &[i32], output: i32, options: Option<BuiltinOptions>) {
        let deprecated_builtin_code = (code as i32).min(127) as i8;
        self.codes.push(OperatorCode {
            deprecated_builtin_code,
            builtin_code: code,
            version: version(code),
            ..OperatorCode::default()
        });
        self.operators.push(Operator {
            opcode_index: self.codes.len() as u32 - 1,
            inputs: Some(inputs.to_vec()),
            outputs: Some(vec![output]),
            builtin_options: options,
        });
    }

    /// The file's bytes.
    #[must_use]
    pub fn finish(self, input: i32, output: i32) -> Vec<u8> {
        self.finish_with(input, &[output])
    }

    /// The bytes of a file of several outputs.
    #[must_use]
    pub fn finish_with(self, input: i32, outputs: &[i32]) -> Vec<u8> {
        let graph = SubGraph {
            tensors: Some(self.tensors),
            inputs: Some(vec![input]),
            outputs: Some(outputs.to_vec()),
            operators: Some(self.operators),
        };
        let model = Model {
            version: 3,
            operator_codes: Some(self.codes),
            subgraphs: Some(vec![graph]),
            description: self.description,
            buffers: Some(self.buffers),
        };
        let mut bytes = planus::Builder::new().finish(model, Some(*b"TFL3")).to_vec();
        // planus 1.3 writes the identifier before the root's offset; the format has them the other way round.
        let root = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) + 4;
        bytes[..4].copy_from_slice(&root.to_le_bytes());
        bytes[4..8].copy_from_slice(b"TFL3");
        bytes
    }
}

/// The lowest version of an operator that takes int8 in all forms that are written.
fn version(code: BuiltinOperator) -> i32 {
    use BuiltinOperator as Code;
    match code {
        Code::FullyConnected => 4,
        Code::Conv2d | Code::DepthwiseConv2d => 3,
        Code::Reshape | Code::ReluN1To1 | Code::HardSwish | Code::Cast => 1,
        _ => 2,
    }
}
