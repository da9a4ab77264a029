//! The nodes, constants, input and output of an ONNX file, as plain data.

use std::collections::HashMap;

use prost::Message;
use prost::bytes::Bytes;

use super::constant::{Constant, damaged, element};
use super::schema::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::import::Result;
use crate::import::ends::{LARGEST, chosen, several_inputs};

/// Versions of ONNX's operators that are read.
const VERSIONS: std::ops::RangeInclusive<i64> = 13..=21;
/// Most nodes of a file.
const NODES_MAX: usize = 1 << 14;

/// What a file holds.
pub(super) struct File {
    /// In execution order.
    pub nodes: Vec<Node>,
    /// Constants as the file has them, by their names.
    pub constants: HashMap<String, Bytes>,
    /// Name of the input.
    pub input: String,
    /// Its sides.
    pub input_dims: Vec<usize>,
    /// Name of the output.
    pub output: String,
    /// What was assumed, a sentence each.
    pub notes: Vec<String>,
}

/// An operator.
pub(super) struct Node {
    /// Place in the file.
    pub index: usize,
    /// Its kind: `Conv`.
    pub kind: String,
    /// Names of the tensors that it reads; empty where an optional one is left out.
    pub inputs: Vec<String>,
    /// Names of the tensors that it makes; empty where nobody wants one.
    pub outputs: Vec<String>,
    attributes: Vec<AttributeProto>,
}

impl Node {
    /// Name of the first tensor that it makes.
    pub(super) fn output(&self) -> &str {
        self.outputs.first().map_or("nothing", String::as_str)
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// An integer attribute.
    pub(super) fn integer(&self, name: &str, otherwise: i64) -> i64 {
        self.attribute(name).map_or(otherwise, |attribute| attribute.i)
    }

    /// An attribute of one number.
    pub(super) fn real(&self, name: &str, otherwise: f32) -> f32 {
        self.attribute(name).map_or(otherwise, |attribute| attribute.f)
    }

    /// An attribute of integers.
    pub(super) fn integers(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    /// An attribute of text.
    pub(super) fn text(&self, name: &str) -> &str {
        self.attribute(name).and_then(|attribute| std::str::from_utf8(&attribute.s).ok()).unwrap_or("")
    }

    /// An attribute that is a constant.
    pub(super) fn constant(&self, name: &str) -> Option<Result<Constant>> {
        self.attribute(name).map(|attribute| Constant::read(&attribute.t))
    }

    /// What a Constant holds.
    pub(super) fn value(&self) -> Result<Constant> {
        if let Some(constant) = self.constant("value") {
            return constant;
        }
        let reals = |values: Vec<f32>, dims| Constant {
            dims,
            data: super::constant::Data::Reals(values),
            element: element::FLOAT,
            steps: None,
        };
        for attribute in &self.attributes {
            match attribute.name.as_str() {
                "value_int" => return Ok(Constant::integers(vec![attribute.i], vec![])),
                "value_ints" => return Ok(Constant::integers(attribute.ints.clone(), vec![attribute.ints.len()])),
                "value_float" => return Ok(reals(vec![attribute.f], vec![])),
                "value_floats" => return Ok(reals(attribute.floats.clone(), vec![attribute.floats.len()])),
                _ => {}
            }
        }
        Err(refused!(Unsupported, "a constant of its kind is not supported: only numbers are"))
    }
}

/// Whether bytes look like an ONNX file.
pub(super) fn recognised(bytes: &[u8]) -> bool {
    let flatbuffer = bytes.get(4..8) == Some(b"TFL3");
    !flatbuffer && ModelProto::decode(bytes).is_ok_and(|model| model.ir_version > 0 && !model.graph.is_empty())
}

impl File {
    /// Reads a file's bytes. Time and memory are in proportion to them. Of several outputs the caller names one.
    ///
    /// # Errors
    /// When they are no ONNX model, are damaged, or hold a model of several inputs, or of several outputs without a name of one of
    /// them.
    pub(super) fn read(bytes: &[u8], output: Option<&str>) -> Result<Self> {
        let model = ModelProto::decode(Bytes::copy_from_slice(bytes));
        let model = model.map_err(|error| refused!(NotOnnx, "this is no ONNX model, or it is cut off: {error}"))?;
        ensure!(
            model.ir_version > 0 && !model.graph.is_empty(),
            NotOnnx,
            "this is no ONNX model, which has a version and a graph: give an .onnx file"
        );
        ensure!(
            model.functions.is_empty(),
            Unsupported,
            "the model has functions of its own: write it without them, by onnx.inliner.inline_local_functions"
        );
        let version = model.opset_import.iter().find(|opset| ["", "ai.onnx"].contains(&opset.domain.as_str()));
        let version = version.map_or(0, |opset| opset.version);
        ensure!(
            VERSIONS.contains(&version),
            Unsupported,
            "its operators are of version {version} (opset), and {} to {} are supported: export it with opset_version=17, or \
             convert it by onnx.version_converter",
            VERSIONS.start(),
            VERSIONS.end()
        );
        let graph = GraphProto::decode(model.graph).map_err(|error| damaged(&error))?;
        ensure!(
            graph.node.len() <= NODES_MAX,
            OutOfRange,
            "it has {} operators, more than {NODES_MAX}",
            graph.node.len()
        );
        ensure!(graph.sparse_initializer.is_empty(), Unsupported, "sparse constants are not supported");
        let mut constants = HashMap::new();
        for bytes in graph.initializer {
            let tensor = TensorProto::decode(bytes.clone()).map_err(|error| damaged(&error))?;
            constants.insert(tensor.name, bytes);
        }
        let nodes =
            graph.node.iter().enumerate().map(|(index, bytes)| node(index, bytes)).collect::<Result<Vec<_>>>()?;
        let info = |bytes: &Bytes| ValueInfoProto::decode(bytes.clone()).map_err(|error| damaged(&error));
        let inputs = graph.input.iter().map(info).collect::<Result<Vec<_>>>()?;
        let inputs: Vec<_> = inputs.into_iter().filter(|input| !constants.contains_key(&input.name)).collect();
        let outputs = graph.output.iter().map(info).collect::<Result<Vec<_>>>()?;
        let [input] = &inputs[..] else { return Err(several_inputs(inputs.len())) };
        let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
        let mut output = names[chosen(&names, output)?].to_owned();
        let mut notes = Vec::new();
        let last = nodes.iter().find(|node| node.output() == output);
        if let Some(read) = last.filter(|last| last.kind == "ArgMax").and_then(|last| last.inputs.first()) {
            notes.push(format!("{output}: {LARGEST}"));
            output.clone_from(read);
        }
        let input_dims = input_dims(input, &mut notes)?;
        Ok(Self { nodes, constants, input: input.name.clone(), input_dims, output, notes })
    }
}

fn node(index: usize, bytes: &Bytes) -> Result<Node> {
    let node = NodeProto::decode(bytes.clone()).map_err(|error| damaged(&error))?;
    let attribute = |bytes: &Bytes| AttributeProto::decode(bytes.clone()).map_err(|error| damaged(&error));
    let attributes = node.attribute.iter().map(attribute).collect::<Result<Vec<_>>>()?;
    // Operators of others may have the names of ONNX's own.
    let own = ["", "ai.onnx"].contains(&node.domain.as_str());
    let kind = if own { node.op_type } else { format!("{}.{}", node.domain, node.op_type) };
    Ok(Node { index, kind, inputs: node.input, outputs: node.output, attributes })
}

/// The input's sides; an open batch is one.
fn input_dims(input: &ValueInfoProto, notes: &mut Vec<String>) -> Result<Vec<usize>> {
    let name = &input.name;
    let tensor = input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| refused!(Unsupported, "its input {name} is no tensor"))?;
    ensure!(
        [element::FLOAT, element::FLOAT16].contains(&tensor.elem_type),
        Unsupported,
        "its input {name} is of ONNX's type {}, not FLOAT: export the model with a float input",
        tensor.elem_type
    );
    let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
    let mut sides = Vec::new();
    for (at, dim) in dims.iter().enumerate() {
        let side = usize::try_from(dim.dim_value).ok().filter(|&side| side > 0);
        sides.push(match side {
            Some(side) => side,
            None if at == 0 && dims.len() > 1 => {
                notes.push(format!("{name}: its batch is open and is taken to be one"));
                1
            }
            None => {
                return Err(refused!(
                    Unsupported,
                    "side {at} of its input {name} is not known before the model runs: export it with a fixed input shape"
                ));
            }
        });
    }
    Ok(sides)
}
