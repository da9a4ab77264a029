//! Refusals, each by name, of models that are made here.

use prost::Message;

use super::Onnx;
use super::schema::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};
use crate::compile::error::with_sources;
use crate::import::Kind;

fn node(kind: &str, inputs: &[&str], output: &str, attributes: &[AttributeProto]) -> NodeProto {
    let attribute = attributes.iter().map(|attribute| attribute.encode_to_vec().into()).collect();
    let input = inputs.iter().map(|&name| name.to_owned()).collect();
    NodeProto { input, output: vec![output.to_owned()], op_type: kind.to_owned(), attribute, ..NodeProto::default() }
}

fn integers(name: &str, ints: &[i64]) -> AttributeProto {
    let i = ints.first().copied().unwrap_or(0);
    AttributeProto { name: name.to_owned(), ints: ints.to_vec(), i, ..AttributeProto::default() }
}

fn constant(name: &str, dims: &[i64]) -> TensorProto {
    let float_data = vec![0.5; dims.iter().product::<i64>() as usize];
    TensorProto { dims: dims.to_vec(), data_type: 1, float_data, name: name.to_owned(), ..TensorProto::default() }
}

fn value(name: &str, dims: &[i64]) -> Vec<u8> {
    let dim = dims.iter().map(|&dim_value| tensor_shape_proto::Dimension { dim_value, ..Default::default() }).collect();
    let tensor = type_proto::Tensor { elem_type: 1, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }.encode_to_vec()
}

/// A model from x to y.
fn model(dims: &[i64], nodes: &[NodeProto], constants: &[TensorProto]) -> ModelProto {
    let graph = GraphProto {
        node: nodes.iter().map(|node| node.encode_to_vec().into()).collect(),
        initializer: constants.iter().map(|constant| constant.encode_to_vec().into()).collect(),
        input: vec![value("x", dims).into()],
        output: vec![value("y", &[]).into()],
        ..GraphProto::default()
    };
    let opset_import = vec![OperatorSetIdProto { version: 17, ..OperatorSetIdProto::default() }];
    ModelProto { ir_version: 8, graph: graph.encode_to_vec().into(), opset_import, ..ModelProto::default() }
}

fn refused(model: &ModelProto) -> (Kind, String) {
    let error = Onnx::read(&model.encode_to_vec()).expect_err("it is refused");
    (error.kind(), with_sources(&error))
}

const PICTURE: [i64; 4] = [1, 3, 8, 8];

#[test]
fn operators_are_refused_by_name_with_what_helps() {
    let of = |kind: &str, attributes: &[AttributeProto]| {
        refused(&model(&PICTURE, &[node(kind, &["x"], "y", attributes)], &[]))
    };
    for (kind, helps) in [
        ("Resize", "resize"),
        ("LSTM", "window of samples"),
        ("ArgMin", "at the scores"),
        ("Loop", "branches"),
        ("LayerNormalization", "batch normalisation"),
        ("QLinearConv", "QDQ"),
        ("Sin", "replace"),
    ] {
        let (found, text) = of(kind, &[]);
        assert_eq!(found, Kind::UnsupportedOperator, "{text}");
        assert!(text.contains(&format!("operator 0 ({kind}, which makes y)")) && text.contains(helps), "{text}");
    }
    for (kind, attributes, why) in [
        ("MaxPool", vec![integers("kernel_shape", &[2, 2]), integers("dilations", &[2, 2])], "dilation"),
        ("ReduceMean", vec![integers("axes", &[1])], "height and width"),
        ("Reshape", vec![], "no input 1"),
        ("Softmax", vec![integers("axis", &[1])], "over all outputs"),
    ] {
        let text = of(kind, &attributes).1;
        assert!(text.contains(kind) && (text.contains(why) || kind == "Reshape"), "{text}");
    }
}

#[test]
fn one_of_several_outputs_is_chosen_and_a_last_argmax_left_out() {
    let conv = |name: &str| node("Conv", &["x", "w"], name, &[]);
    let nodes = [conv("y"), node("Sin", &["y"], "z", &[]), conv("scores"), node("ArgMax", &["scores"], "class", &[])];
    let one = model(&PICTURE, &nodes, &[constant("w", &[4, 3, 1, 1])]);
    let several = |names: &[&str]| {
        let mut graph = GraphProto::decode(one.graph.clone()).expect("it is a graph");
        graph.output = names.iter().map(|name| value(name, &[]).into()).collect();
        ModelProto { graph: graph.encode_to_vec().into(), ..one.clone() }.encode_to_vec()
    };
    let text = with_sources(&Onnx::read(&several(&["y", "z"])).expect_err("which one is not told"));
    assert!(text.contains("2 outputs, y, z") && text.contains("--output"), "{text}");
    let names = |bytes: &[u8], output| {
        let onnx = Onnx::read_output(bytes, output).unwrap_or_else(|error| panic!("{}", with_sources(&error)));
        let network = onnx.network();
        (network.tensors[network.output].name.to_owned(), network.operators.len(), network.changes.clone())
    };
    assert_eq!(names(&several(&["y", "z"]), Some("y")), ("y".to_owned(), 1, vec![]));
    let (output, operators, changes) = names(&several(&["class"]), None);
    assert_eq!((output.as_str(), operators), ("scores", 1));
    assert!(changes[0].contains("class: left out"), "{changes:?}");
}

#[test]
fn elements_that_would_have_to_move_are_refused() {
    let turned =
        [node("Transpose", &["x"], "t", &[integers("perm", &[0, 1, 3, 2])]), node("Conv", &["t", "w"], "y", &[])];
    let (kind, text) = refused(&model(&PICTURE, &turned, &[constant("w", &[4, 3, 1, 1])]));
    assert!(kind == Kind::Unsupported && text.contains("order") && text.contains("Conv"), "{text}");
}

#[test]
fn models_of_another_form_are_refused_by_name() {
    let conv = [node("Conv", &["x", "w"], "y", &[])];
    let plain = model(&PICTURE, &conv, &[constant("w", &[4, 3, 1, 1])]);
    Onnx::read(&plain.encode_to_vec()).expect("it is read");
    let old =
        ModelProto { opset_import: vec![OperatorSetIdProto { version: 11, ..Default::default() }], ..plain.clone() };
    assert!(refused(&old).1.contains("opset_version=17"));
    let functions = ModelProto { functions: vec![vec![1].into()], ..plain.clone() };
    assert!(refused(&functions).1.contains("inline"));
    let entry = StringStringEntryProto { key: "location".into(), value: "model.onnx.data".into() };
    let elsewhere = TensorProto { data_location: 1, external_data: vec![entry], ..constant("w", &[0]) };
    let text = refused(&model(&PICTURE, &conv, &[elsewhere])).1;
    assert!(text.contains("model.onnx.data") && text.contains("external_data=False"), "{text}");
    let wide = refused(&model(&[1, 3, 0, 8], &conv, &[constant("w", &[4, 3, 1, 1])]));
    assert!(wide.1.contains("fixed input shape"), "{}", wide.1);
    let short = TensorProto { float_data: vec![0.5; 5], ..constant("w", &[4, 3, 1, 1]) };
    let (kind, text) = refused(&model(&PICTURE, &conv, &[short]));
    assert!(kind == Kind::Damaged && text.contains("5 numbers in place of 12"), "{text}");
    let missing = refused(&model(&PICTURE, &conv, &[]));
    assert!(missing.0 == Kind::Damaged && missing.1.contains("nothing makes"), "{}", missing.1);
    assert_eq!(Onnx::read(b"garbage").unwrap_err().kind(), Kind::NotOnnx);
    assert!(Onnx::recognises(&plain.encode_to_vec()) && !Onnx::recognises(b"    TFL3") && !Onnx::recognises(b""));
}

#[test]
fn what_a_small_file_claims_takes_no_memory() {
    let shape = TensorProto { data_type: 7, int64_data: vec![1 << 29], float_data: vec![], ..constant("n", &[1]) };
    let nodes = [node("ConstantOfShape", &["n"], "w", &[]), node("Add", &["x", "w"], "y", &[])];
    assert_eq!(refused(&model(&PICTURE, &nodes, &[shape])).0, Kind::OutOfRange);
    let nodes = [node("Flatten", &["x"], "f", &[]), node("Gemm", &["f", "w"], "y", &[])];
    let huge = model(&[1, 1 << 14, 1 << 7, 1 << 7], &nodes, &[constant("w", &[4, 3])]);
    assert_eq!(refused(&huge).0, Kind::OutOfRange);
    let nodes = [node("Conv", &["x", "w"], "y", &[integers("group", &[1 << 13])])];
    let grouped = model(&[1, 1 << 14, 8, 8], &nodes, &[constant("w", &[1 << 13, 2, 1, 1])]);
    assert_eq!(refused(&grouped).0, Kind::OutOfRange);
}
