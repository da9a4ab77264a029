//! Why a float graph is not quantised.

use crate::graph::{self, Shape};

/// Why a float graph is not calibrated or quantised, or not compared with an int8 model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The graph is not valid.
    #[error(transparent)]
    Graph(#[from] graph::Error),
    /// There is no input to calibrate on.
    #[error("there are no images to calibrate on: set quantize.images to 1 or more")]
    NoInputs,
    /// An input to calibrate on is no input of the network.
    #[error("a calibration image does not have the {0} values that the network reads")]
    CalibrationLength(usize),
    /// An activation is infinite or no number.
    #[error("layer {0} gives values that are not finite numbers: training diverged; lower train.learning_rate")]
    NotFinite(String),
    /// There is not one range for each tensor.
    #[error("there are {found} ranges for {tensors} tensors")]
    Ranges {
        /// How many ranges there are.
        found: usize,
        /// How many are needed.
        tensors: usize,
    },
    /// The scores cannot be divided by this temperature.
    #[error("the temperature {0} is not a positive number")]
    Temperature(f32),
    /// The input would share its quantisation with what it is concatenated to.
    #[error("the picture itself is concatenated: put a layer before it")]
    ConcatenatedInput,
    /// A tensor is neither computed nor moved.
    #[error("a tensor is made from nothing")]
    NoMaker,
    /// A node's numbers cannot be represented, for the reason that is the source.
    #[error("layer {name} cannot be quantised")]
    Layer {
        /// Its name.
        name: String,
        /// Why.
        source: Box<Error>,
    },
    /// The source is about one output channel.
    #[error("output channel {index}")]
    Channel {
        /// Which.
        index: usize,
        /// Why it cannot be quantised.
        source: Box<Error>,
    },
    /// A side of a tensor is longer than the format holds.
    #[error("a tensor of {0} is too large for the format")]
    TooLarge(Shape),
    /// The factor from a layer's sums to its output is beyond what a multiplier holds.
    #[error("its multiplier {0:e} is out of range")]
    Multiplier(f64),
    /// The same of a channel of a layer with weights.
    #[error("its multiplier {0:e} is out of range: the layer before and this one differ too much in scale")]
    Scale(f64),
    /// A bias is beyond what 32 bits hold.
    #[error("its bias {0} does not fit 32 bits at any scale of its weights")]
    Bias(f32),
    /// The result of a sum has a far smaller range than its summands.
    #[error("the sum's range is out of all proportion to the summands'")]
    Sum,
    /// Multipliers of a sum are beyond what they hold.
    #[error("a multiplier of {0:?} is out of range")]
    SumMultipliers([f64; 3]),
    /// The logits' scale is too small.
    #[error("the logits' scale {0} is too small for the softmax: is the network trained?")]
    Logits(f32),
    /// No method to choose ranges by was given.
    #[error("no quantisation method was tried")]
    NoMethod,
    /// A blob that was to be compared with the graph was not made from it.
    #[error("the blob was not made from this float graph")]
    OtherGraph,
    /// An input is no input of the network.
    #[error("an input has not the network's length")]
    InputLength,
    /// What was made of a quantised model is no blob.
    #[error(transparent)]
    Blob(#[from] no_std_infer::Error),
}

pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::emit::emit;
    use crate::compile::error::with_sources;
    use crate::graph::{Clamp, FloatOp, Graph, Node};
    use crate::quantise::calibrate::calibrate;
    use crate::quantise::noise::layer_sqnr;
    use crate::quantise::search::best;
    use crate::quantise::tests::{description, inputs, residual_network};
    use crate::quantise::{
        Ending, Method, Quantisation, Range, add_multipliers, node_quantisations, quantise, quantise_channel,
    };

    const VECTOR: Shape = Shape { height: 1, width: 1, channels: 2 };

    fn graph(input: Shape, op: FloatOp, inputs: Vec<usize>) -> Graph {
        Graph { input, zero: 0, nodes: vec![Node { name: "only".into(), op, inputs, output: VECTOR }] }
    }

    fn dense(input: Shape, weight: f32) -> Graph {
        let weights = vec![weight; 2 * input.len()];
        graph(input, FloatOp::Dense { weights, bias: vec![0.0; 2], clamp: Clamp::None }, vec![0])
    }

    fn ranges(largest: f32) -> [Range; 2] {
        [Range::new(0.0, 1.0), Range::new(0.0, largest)]
    }

    #[test]
    fn what_cannot_be_calibrated_is_told_apart() {
        let refused = |graph: &Graph, inputs: &[Vec<i8>]| calibrate(graph, inputs, Method::MinMax).unwrap_err();
        let good = dense(VECTOR, 1.0);
        let empty = Graph { nodes: Vec::new(), ..good.clone() };
        assert!(matches!(refused(&empty, &[vec![1; 2]]), Error::Graph(graph::Error::NoLayers)));
        assert!(matches!(refused(&good, &[]), Error::NoInputs));
        assert!(matches!(refused(&good, &[vec![1; 3]]), Error::CalibrationLength(2)));
        let large = dense(VECTOR, f32::MAX);
        assert!(matches!(refused(&large, &[vec![9; 2]]), Error::NotFinite(layer) if layer == "only"));
    }

    #[test]
    fn what_cannot_be_quantised_is_told_apart() {
        let refused = |graph: &Graph, ranges: &[Range], temperature| quantise(graph, ranges, temperature).unwrap_err();
        let good = dense(VECTOR, 1.0);
        assert!(matches!(refused(&good, &ranges(1.0)[..1], 1.0), Error::Ranges { found: 1, tensors: 2 }));
        assert!(matches!(refused(&good, &ranges(1.0), 0.0), Error::Temperature(0.0)));
        assert!(matches!(refused(&good, &ranges(1.0), 1e9), Error::Logits(_)));
        let tall = Shape { height: 1 << 16, ..VECTOR };
        assert!(matches!(refused(&dense(tall, 1.0), &ranges(1.0), 1.0), Error::TooLarge(shape) if shape == tall));

        let error = refused(&good, &ranges(1e-28), 1.0);
        let Error::Layer { name, source } = &error else { panic!("{error}") };
        let Error::Channel { index: 0, source } = &**source else { panic!("{source}") };
        assert!(name == "only" && matches!(**source, Error::Scale(_)), "{}", with_sources(&error));
        assert!(with_sources(&error).starts_with("layer only cannot be quantised: output channel 0: its multiplier"));

        let product = graph(VECTOR, FloatOp::Mul { clamp: Clamp::None }, vec![0, 0]);
        let error = refused(&product, &ranges(1e-28), 1.0);
        assert!(matches!(error, Error::Layer { source, .. } if matches!(*source, Error::Multiplier(_))));

        let of_itself = graph(VECTOR, FloatOp::Reshape, vec![1]);
        assert!(matches!(node_quantisations(&of_itself, &ranges(1.0)), Err(Error::NoMaker)));
    }

    #[test]
    fn numbers_out_of_range_are_told_apart() {
        let unit = Quantisation { scale: 1.0, zero_point: 0 };
        let tiny = Quantisation { scale: 1e-30, ..unit };
        assert!(matches!(quantise_channel(&[1e-30], f32::MAX, unit, tiny), Err(Error::Bias(f32::MAX))));
        assert!(matches!(add_multipliers(1.0, 1.0, 1e-9), Err(Error::Sum)));
        assert!(matches!(add_multipliers(0.0, 0.0, 1.0), Err(Error::SumMultipliers([_, _, 0.0]))));
    }

    #[test]
    fn what_cannot_be_compared_is_told_apart() {
        let graph = residual_network();
        let inputs = inputs(&graph, 2);
        let ranges = calibrate(&graph, &inputs, Method::MinMax).unwrap();
        let emitted = emit(&quantise(&graph, &ranges, 1.0).unwrap(), &description(&[])).unwrap();
        let model = no_std_infer::Model::parse(&emitted.blob).unwrap();
        assert!(matches!(layer_sqnr(&dense(VECTOR, 1.0), &model, &inputs), Err(Error::OtherGraph)));
        assert!(matches!(layer_sqnr(&graph, &model, &[[0_i8; 3]]), Err(Error::InputLength)));
        let search =
            |methods: &[Method]| best(&graph, &inputs, methods, Ending::Outputs, |_| Ok::<_, Error>(b"no blob"));
        assert!(matches!(search(&[]), Err(Error::NoMethod)));
        assert!(matches!(search(&[Method::MinMax]), Err(Error::Blob(_))));
    }
}
