use super::*;
use crate::blob::emit::{Description, emit};
use crate::blob::with_calibration;
use crate::import::model::{Options, Tensor};
use crate::quantise::calibrate::calibrate;
use crate::quantise::noise::agreeing;
use crate::quantise::search::best;
use crate::quantise::tests::description;
use crate::quantise::{Method, Quantisation, quantisation, quantise_ending};
use no_std_infer::format::{Calibration, InputKind};
use no_std_infer::{Decision, Model};

/// A dense layer of two inputs whose outputs are their sum and, where there are two, the first less the second, followed by
/// operators that read one another.
struct Tail<'t>(usize, &'t [(BuiltinOperator, f32)]);

const WEIGHTS: [u8; 16] = [0, 0, 128, 63, 0, 0, 128, 63, 0, 0, 128, 63, 0, 0, 128, 191];

impl Tail<'_> {
    fn network(&self) -> Network<'static> {
        let Self(outputs, tail) = *self;
        let tensor = |name, shape: &[usize], data| Tensor {
            name,
            element: TensorType::Float32,
            shape: shape.to_vec(),
            dynamic: false,
            variable: false,
            quantisation: Default::default(),
            data,
        };
        let op = |index: usize, code, inputs: &[usize], beta| Operator {
            index,
            code,
            kind: format!("{code:?}"),
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: vec![index + 2],
            options: Options { beta, ..Options::default() },
        };
        let mut tensors = vec![
            tensor("in", &[1, 2], None),
            tensor("kernel", &[outputs, 2], WEIGHTS.get(..8 * outputs)),
            tensor("sums", &[1, outputs], None),
        ];
        let mut operators = vec![op(0, BuiltinOperator::FullyConnected, &[0, 1], 1.0)];
        for (at, &(code, beta)) in tail.iter().enumerate() {
            tensors.push(tensor("made", &[1, outputs], None));
            operators.push(op(at + 1, code, &[at + 2], beta));
        }
        Network { output: tensors.len() - 1, tensors, operators, input: 0, changes: Vec::new() }
    }

    fn translated(&self) -> Result<Translated> {
        float(&self.network(), Normalisation { mean: 128.0, std: 1.0 })
    }
}

#[test]
fn a_model_ends_with_what_the_file_ends_with() {
    use BuiltinOperator as Code;
    let softmax = Ending::Softmax { temperature: 1.0 };
    for (outputs, tail, ending, nodes) in [
        (1, &[][..], Ending::Outputs, 1),
        (2, &[(Code::Tanh, 1.0)], Ending::Outputs, 2),
        (1, &[(Code::Logistic, 1.0)], Ending::Sigmoid, 1),
        (2, &[(Code::Logistic, 1.0), (Code::Reshape, 1.0)], Ending::Sigmoid, 1),
        (1, &[(Code::Tanh, 1.0), (Code::Logistic, 1.0)], Ending::Sigmoid, 2),
        (1, &[(Code::Logistic, 1.0), (Code::Tanh, 1.0)], Ending::Outputs, 2),
        (2, &[(Code::Softmax, 1.0)], softmax, 1),
        (2, &[(Code::Softmax, 1.0), (Code::Reshape, 1.0), (Code::Squeeze, 1.0)], softmax, 1),
        (2, &[(Code::Logistic, 1.0), (Code::Softmax, 1.0)], softmax, 2),
    ] {
        let made = Tail(outputs, tail).translated().unwrap();
        assert_eq!((made.ending, made.graph.nodes.len()), (ending, nodes), "{tail:?}");
    }
    for tail in [&[(Code::Softmax, 2.0)][..], &[(Code::Softmax, 1.0), (Code::Tanh, 1.0)]] {
        assert!(Tail(2, tail).translated().is_err(), "{tail:?}");
    }
}

#[test]
fn a_softmax_is_over_all_that_a_reshape_after_it_gives() {
    let tail = [BuiltinOperator::Reshape, BuiltinOperator::Softmax, BuiltinOperator::Reshape].map(|code| (code, 1.0));
    let mut network = Tail(2, &tail).network();
    let normalisation = Normalisation { mean: 128.0, std: 1.0 };
    assert!(float(&network, normalisation).is_ok());
    network.tensors[3].shape = vec![1, 1, 2, 1];
    network.tensors[4].shape = vec![1, 1, 2, 1];
    let error = float(&network, normalisation).unwrap_err();
    assert!(error.to_string().contains("Softmax"), "two pixels of one channel: {error}");
}

/// What the int8 model of a network gives, as real numbers, of each input, with the number of its classes and how many of
/// the inputs it puts into the same class as the network.
fn int8(tail: &Tail<'_>, inputs: &[Vec<i8>]) -> (Vec<Vec<f32>>, usize, Option<usize>) {
    let Translated { graph, ending } = tail.translated().unwrap();
    let description = Description { input: InputKind::Tensor, ..description(&[]) };
    let write = |model: &_| Ok::<_, Box<dyn std::error::Error>>(emit(model, &description)?);
    let best = best(&graph, inputs, &Method::ALL, ending, write).unwrap();
    let model = Model::parse(&best.plain.blob).unwrap();
    assert_eq!(best.layers.len(), model.ops().count(), "{:?}", best.layers);
    let prepared = host_kernels::Prepared::new(&model);
    let mut runner = prepared.runner();
    let real = |bytes: &[i8]| bytes.iter().map(|&byte| quantisation(&model.output()).real(byte)).collect();
    let outputs = inputs.iter().map(|input| real(runner.run(input).output())).collect();
    (outputs, model.classes(), agreeing(&graph, &model, inputs))
}

#[test]
fn one_sigmoid_has_two_classes_and_two_names() {
    let Translated { graph, ending } = Tail(1, &[(BuiltinOperator::Logistic, 1.0)]).translated().unwrap();
    let inputs: Vec<Vec<i8>> = (-20..20).map(|x| vec![x, 3]).collect();
    let ranges = calibrate(&graph, &inputs, Method::MinMax).unwrap();
    let quantised = quantise_ending(&graph, &ranges, ending).unwrap();
    let named = |names: &[&str]| {
        let labels: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        emit(&quantised, &Description { input: InputKind::Tensor, ..description(&labels) })
    };
    assert!(named(&["yes"]).is_err() && named(&["no", "perhaps", "yes"]).is_err() && named(&[]).is_ok());
    let blob = named(&["no", "yes"]).unwrap().blob;
    let model = Model::parse(&blob).unwrap();
    assert_eq!((model.classes(), model.labels().count(), model.info().logits.channels), (2, 2, 1));
    // Either class is rather not believed where it is not probable enough.
    let calibration = Calibration { threshold: 200, images: 40, coverage: 0.5, accuracy: 1.0 };
    let calibrated = with_calibration(&blob, &calibration).unwrap();
    let calibrated = Model::parse(&calibrated).unwrap();
    let prepared = host_kernels::Prepared::new(&model);
    let mut runner = prepared.runner();
    for input in &inputs {
        let run = runner.run(input);
        let sum = i16::from(input[0]) + i16::from(input[1]);
        let (class, top) = (usize::from(sum > 0), run.top::<3>());
        assert_eq!((run.class(), run.decision(), top.len(), top[0].0), (class, Some(class), 2, class), "{input:?}");
        let second = run.output()[0] as u8 ^ 0x80;
        let first = u8::try_from(256 - u16::from(second)).unwrap_or(255);
        let probability = if class == 1 { second } else { first };
        assert_eq!(top[0].1, probability, "{input:?}");
        let scores = calibrated.scores(run.logits(), run.output());
        let decision = Decision::new(scores.logits(), scores.output(), calibrated.threshold());
        assert_eq!(decision, Decision { class, probability, sure: probability >= 200 }, "{input:?}");
    }
}

#[test]
fn outputs_stay_what_they_are_and_one_sigmoid_tells_two_classes_apart() {
    let inputs: Vec<Vec<i8>> = (-20..20).map(|x| vec![x, 3]).collect();
    let (regression, classes, agreeing) = int8(&Tail(1, &[]), &inputs);
    assert_eq!((classes, agreeing), (1, None));
    for (input, output) in inputs.iter().zip(&regression) {
        let sum = f32::from(input[0]) + f32::from(input[1]);
        assert!((output[0] - sum).abs() < 0.2, "{input:?}: {output:?}");
    }
    let (shares, classes, agreeing) = int8(&Tail(1, &[(BuiltinOperator::Logistic, 1.0)]), &inputs);
    assert_eq!((classes, agreeing), (2, Some(40)));
    for (input, output) in inputs.iter().zip(&shares) {
        let share = 1.0 / (1.0 + (-f32::from(input[0]) - f32::from(input[1])).exp());
        assert!((output[0] - share).abs() < 0.05, "{input:?}: {output:?} and {share}");
    }
    assert_eq!(Quantisation::PROBABILITY.real(127), 255.0 / 256.0);
    let (_, classes, agreeing) = int8(&Tail(2, &[]), &inputs);
    assert_eq!((classes, agreeing), (2, Some(40)), "scores without a softmax are classes all the same");
}
