//! Float TensorFlow Lite models that are built here: the graph against LiteRT 2.3.0, int8 against the graph, refusals.

use model_compiler::blob::emit::{Description, emit};
use model_compiler::graph::Graph;
use model_compiler::import::float::{Normalisation, float};
use model_compiler::import::tflite::tflite::{
    ActivationFunctionType, BuiltinOperator, BuiltinOptions, Padding, SubOptions,
};
use model_compiler::import::{Arithmetic, arithmetic, read};
use model_compiler::layout::schedule::schedule_graph;
use model_compiler::quantise::search::best;
use model_compiler::quantise::{Ending, Method};
use no_std_infer::format::{InputKind, Provenance};
use tests::gated::{FloatMaker, gated_classifier};
use tests::tflite::convolution;

fn graph(bytes: &[u8]) -> anyhow::Result<Graph> {
    let network = read(bytes)?;
    assert_eq!(arithmetic(&network)?, Arithmetic::Float);
    Ok(float(&network, Normalisation { mean: 0.0, std: 1.0 })?.graph)
}

/// A picture of bytes `pixel - 128`.
fn picture(seed: usize, len: usize) -> Vec<i8> {
    (0..len).map(|i| (((i * (73 + 2 * seed) + 5 * (seed + 1)) % 256) as u8 ^ 0x80) as i8).collect()
}

fn gated() -> Graph {
    let (maker, [input, output]) = gated_classifier();
    graph(&maker.finish(input, output)).expect("it is translated")
}

#[test]
fn the_graph_of_a_gated_network_computes_what_litert_computes() {
    let graph = gated();
    for (seed, expected) in EXPECTED.iter().enumerate() {
        let logits = graph.logits(&picture(seed, 192));
        for (made, expected) in logits.iter().zip(expected) {
            assert!((made - expected).abs() < 1e-5, "{logits:?} {expected:?}");
        }
    }
}

/// That of the gated network.
const ENDING: Ending = Ending::Softmax { temperature: 1.0 };

/// What LiteRT computes before the softmax of two pictures.
const EXPECTED: [[f32; 3]; 2] = [[7.790_354_3, -6.958_012_6, 3.079_811_3], [5.826_312_5, -4.977_012, 1.949_036_6]];

#[test]
fn the_int8_model_of_a_gated_network_is_close_to_its_graph_in_every_layer() {
    let graph = schedule_graph(gated());
    let inputs: Vec<Vec<i8>> = (0..16).map(|seed| picture(seed, 192)).collect();
    let provenance = Provenance::default();
    let description = Description { name: "gated", labels: &[], input: InputKind::Tensor, provenance };
    let best = best(&graph, &inputs, &Method::ALL, ENDING, |model| anyhow::Ok(emit(model, &description)?))
        .expect("it is quantised");
    for layer in &best.layers {
        assert!(layer.db.is_some_and(|db| db > 20.0), "{layer:?}");
    }
    let has = |op: &str| best.layers.iter().filter(|layer| layer.op == op).count();
    // HARD_SWISH, LOGISTIC, swish, TANH and the doubling; the pooling, and means of the gate, of the sum and at the end.
    let counts = ["lookup", "average_pool2d", "mul", "pad", "concat", "add"].map(has);
    assert_eq!(counts, [5, 4, 1, 1, 2, 1], "{:?}", best.layers);
}

/// A model of 2x2 grey pictures: `make` continues from the picture less 100, four outputs of a dense layer.
fn refined(make: impl FnOnce(&mut FloatMaker, i32) -> i32) -> Vec<u8> {
    let (mut m, picture) = FloatMaker::new(&[1, 2, 2, 1]);
    let identity: [f32; 16] = std::array::from_fn(|at| if at % 5 == 0 { 1.0 } else { 0.0 });
    let (kernel, bias) = (m.constant(&[4, 4], &identity), m.constant(&[4], &[-100.0; 4]));
    let dense = m.op("dense", &[1, 4], BuiltinOperator::FullyConnected, &[picture, kernel, bias], None);
    let output = make(&mut m, dense);
    m.maker.finish(picture, output)
}

/// Pixels 0, 90, 110 and 255.
const PIXELS: [i8; 4] = [-128, -38, -18, 127];

#[test]
fn a_rectifier_joins_no_layer_that_is_read_elsewhere_too() {
    use BuiltinOperator as Code;
    let bytes = refined(|m, dense| {
        let again = m.op("again", &[1, 4], Code::Reshape, &[dense], None);
        let rectified = m.op("rectified", &[1, 4], Code::Relu, &[again], None);
        m.add("sum", &[1, 4], [rectified, dense], ActivationFunctionType::None)
    });
    assert_eq!(graph(&bytes).expect("it is translated").logits(&PIXELS), [-100.0, -10.0, 20.0, 310.0]);
}

#[test]
fn numbers_join_the_layer_before_and_functions_each_other() {
    use BuiltinOperator as Code;
    let bytes = refined(|m, dense| {
        let (two, numbers) = (m.constant(&[1], &[2.0]), m.constant(&[1, 4], &[10.0, 0.0, 0.0, -300.0]));
        let doubled = m.op("doubled", &[1, 4], Code::Mul, &[two, dense], None);
        let sum = m.add("sum", &[1, 4], [doubled, numbers], ActivationFunctionType::Relu);
        let quarter = m.constant(&[], &[0.25]);
        let quartered = m.op("quartered", &[1, 4], Code::Mul, &[sum, quarter], None);
        let moved = m.op("moved", &[1, 4], Code::Sub, &[quartered, two], None);
        m.op("squared", &[1, 4], Code::Mul, &[moved, moved], None)
    });
    let graph = graph(&bytes).expect("it is translated");
    assert_eq!(graph.logits(&PIXELS), [4.0, 4.0, 9.0, 0.25]);
    assert_eq!(graph.nodes.len(), 2, "a dense layer and a function: {:?}", graph.nodes);
}

#[test]
fn a_function_fused_into_a_difference_counts() {
    let bytes = refined(|m, dense| {
        let options = SubOptions { fused_activation_function: ActivationFunctionType::Relu6 };
        let options = Some(BuiltinOptions::SubOptions(Box::new(options)));
        let number = m.constant(&[], &[8.0]);
        m.op("difference", &[1, 4], BuiltinOperator::Sub, &[dense, number], options)
    });
    assert_eq!(graph(&bytes).expect("it is translated").logits(&PIXELS), [0.0, 0.0, 2.0, 6.0]);
}

#[test]
fn numbers_of_a_channel_count_in_the_shape_that_they_meet() {
    use BuiltinOperator as Code;
    let bytes = refined(|m, dense| {
        let square = m.op("square", &[1, 2, 2, 1], Code::Reshape, &[dense], None);
        let (kernel, bias) = (m.constant(&[2, 1, 1, 1], &[1.0, -1.0]), m.constant(&[2], &[0.0; 2]));
        let both = m.op("both", &[1, 2, 2, 2], Code::Conv2d, &[square, kernel, bias], convolution(Padding::Valid, 1));
        let flat = m.op("flat", &[1, 8], Code::Reshape, &[both], None);
        let numbers = m.constant(&[8], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        m.op("product", &[1, 8], Code::Mul, &[flat, numbers], None)
    });
    let expected = [0.0, 100.0, -20.0, 30.0, 40.0, -50.0, 930.0, -1085.0];
    assert_eq!(graph(&bytes).expect("it is translated").logits(&PIXELS), expected);
}

#[test]
fn the_largest_value_over_height_and_width_is_taken() {
    let bytes = refined(|m, dense| {
        let square = m.op("square", &[1, 2, 2, 1], BuiltinOperator::Reshape, &[dense], None);
        let (kernel, bias) = (m.constant(&[2, 1, 1, 1], &[1.0, -1.0]), m.constant(&[2], &[0.0; 2]));
        let both = m.op(
            "both",
            &[1, 2, 2, 2],
            BuiltinOperator::Conv2d,
            &[square, kernel, bias],
            convolution(Padding::Valid, 1),
        );
        let axes = m.maker.integers("axes", &[2], &[2, 1]);
        m.op("largest", &[1, 2], BuiltinOperator::ReduceMax, &[both, axes], None)
    });
    assert_eq!(graph(&bytes).expect("it is translated").logits(&PIXELS), [155.0, 100.0]);
}

#[test]
fn what_is_not_supported_in_float_models_is_named() {
    use BuiltinOperator as Code;
    let assert_refused = |words: &[&str], make: &dyn Fn(&mut FloatMaker, i32) -> i32| {
        let error = format!("{:#}", graph(&refined(make)).expect_err("it is refused"));
        words.iter().for_each(|word| assert!(error.contains(word), "{word} is not in: {error}"));
    };
    let unary = |code| move |m: &mut FloatMaker, x: i32| m.op("made", &[1, 4], code, &[x], None);
    assert_refused(&["operator 1 (GELU, which makes made)", "full-integer int8 model"], &unary(Code::Gelu));
    assert_refused(&["operator 1 (SIN, which makes made)", "replace"], &unary(Code::Sin));
    assert_refused(&["SUB", "ADD and MUL"], &|m, x| m.op("made", &[1, 4], Code::Sub, &[x, x], None));
    assert_refused(&["DIV", "finite"], &|m, x| {
        let zero = m.constant(&[], &[0.0]);
        m.op("made", &[1, 4], Code::Div, &[x, zero], None)
    });
    assert_refused(&["MUL", "[1, 1, 2, 2]", "one a channel"], &|m, x| {
        let numbers = m.constant(&[1, 1, 2, 2], &[1.0; 4]);
        m.op("made", &[1, 4], Code::Mul, &[x, numbers], None)
    });
    assert_refused(&["PADV2", "only zeros"], &|m, x| {
        let borders = m.maker.integers("borders", &[2, 2], &[0, 0, 1, 0]);
        let one = m.constant(&[1], &[1.0]);
        m.op("made", &[1, 5], Code::Padv2, &[x, borders, one], None)
    });
    assert_refused(&["ADD", "Tanh"], &|m, x| m.add("made", &[1, 4], [x, x], ActivationFunctionType::Tanh));
}
