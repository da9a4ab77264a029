//! Quantises a graph by several methods, equalises channels and corrects biases of the best, and keeps what is closest to
//! the float graph.

use no_std_infer::Model;
use serde::{Deserialize, Serialize};

use crate::graph::{FloatOp, Graph};
use crate::quantise::calibrate::{Calibrated, calibrate, calibrate_all};
use crate::quantise::equalise::equalise;
use crate::quantise::error::Error;
use crate::quantise::noise::{LayerSqnr, float_logits, layer_sqnr, logits_sqnr, mean_shifts};
use crate::quantise::{Ending, Method, QuantModel, Range, quantise_ending};

/// Rounds of bias correction that are tried.
const ROUNDS: usize = 2;
/// Most inputs that candidates are compared on: each runs on all of them.
const COMPARED: usize = 64;

/// The model whose logits are closest to the float graph's, and how it was found.
#[derive(Clone, Debug)]
pub struct Best<B> {
    /// Every method tried, and what became of the best.
    pub choice: Choice,
    /// The model.
    pub model: QuantModel,
    /// What the caller made of it.
    pub plain: B,
    /// SQNR of each of its layers.
    pub layers: Vec<LayerSqnr>,
}

/// How a model was quantised. Each SQNR is that of the logits in dB, on at most 64 of the calibration images, none where they are
/// exact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// How the ranges of activations were chosen: by the method with the highest SQNR.
    pub method: Method,
    /// Every method tried, with its SQNR.
    pub methods: Vec<(Method, Option<f64>)>,
    /// SQNR of the best without and with equalised channels, where there are any to equalise.
    #[serde(default)]
    pub equalisation: Option<[Option<f64>; 2]>,
    /// Whether the model has them: where they gave a higher SQNR.
    #[serde(default)]
    pub equalised: bool,
    /// SQNR after each round of bias correction.
    pub correction: Vec<Option<f64>>,
    /// How many of these rounds the model has had: as many as gave the highest SQNR, 0 where none was higher.
    pub corrected: usize,
    /// Whether the network has learnt to be quantised with its ranges; then nothing else is tried.
    #[serde(default)]
    pub aware: bool,
}

/// What all candidates are made from.
#[derive(Clone, Copy)]
struct Candidates<'a, F> {
    graph: &'a Graph,
    /// `pixel − 128`, HWC.
    inputs: &'a [Vec<i8>],
    compared: &'a Compared<'a>,
    ending: Ending,
    emit: F,
}

/// What candidates are compared on.
struct Compared<'a> {
    /// Every n-th input.
    inputs: Vec<&'a [i8]>,
    /// What the graph makes of them.
    logits: Vec<Vec<f32>>,
}

impl<'a> Compared<'a> {
    fn new(graph: &Graph, inputs: &'a [Vec<i8>]) -> Self {
        let step = inputs.len().div_ceil(COMPARED).max(1);
        let inputs: Vec<&[i8]> = inputs.iter().step_by(step).map(Vec::as_slice).collect();
        Self { logits: float_logits(graph, &inputs), inputs }
    }
}

/// The best of a model and its corrections.
struct Corrected<B> {
    best: Candidate<B>,
    /// After how many rounds it came.
    round: usize,
    /// SQNR after each round.
    correction: Vec<Option<f64>>,
}

struct Candidate<B> {
    model: QuantModel,
    plain: B,
    /// SQNR of the logits in dB, none where they are exact.
    db: Option<f64>,
}

/// Tries `methods` on calibration inputs (`pixel − 128`, HWC), then on the best of them [equalised](equalise) channels, and at
/// last empirical bias correction (Nagel et al. 2019, section 4.2): each round moves biases by what quantisation takes from the
/// mean of a layer's channel. `emit` makes a model's blob, and what else the caller wants of
/// it.
///
/// # Errors
/// When the graph cannot be calibrated or quantised, or no method is given, and those of `emit`.
pub fn best<B: AsRef<[u8]>, E: From<Error>>(
    graph: &Graph,
    inputs: &[Vec<i8>],
    methods: &[Method],
    ending: Ending,
    emit: impl Fn(&QuantModel) -> Result<B, E>,
) -> Result<Best<B>, E> {
    let calibrated = calibrate_all(graph, inputs, methods)?;
    let compared = Compared::new(graph, inputs);
    let candidates = Candidates { graph, inputs, compared: &compared, ending, emit: &emit };
    let mut tried = Vec::new();
    for (&method, ranges) in methods.iter().zip(calibrated) {
        tried.push((method, (candidates.quantise(graph, &ranges)?, ranges)));
    }
    let methods = tried.iter().map(|(method, (candidate, _))| (*method, candidate.db)).collect();
    let best = tried.into_iter().max_by(|(_, (a, _)), (_, (b, _))| a.exactness().total_cmp(&b.exactness()));
    let (method, plain) = best.ok_or(Error::NoMethod)?;

    let plain = candidates.correct(plain)?;
    let equal = equalise(graph, inputs);
    let with_equal = |graph| {
        let candidates = Candidates { graph, ..candidates };
        candidates.correct(candidates.calibrated(method)?)
    };
    let equal = equal.as_ref().map(with_equal).transpose()?;
    let equalisation = equal.as_ref().map(|equal| [&plain, equal].map(|corrected| corrected.best.db));
    let better = equal.filter(|equal| equal.best.exactness() > plain.best.exactness());
    let equalised = better.is_some();
    let Corrected { best: Candidate { model, plain, .. }, round: corrected, correction } = better.unwrap_or(plain);
    let layers = layer_sqnr(graph, &parse(&plain)?, inputs)?;
    let choice = Choice { method, methods, equalisation, equalised, correction, corrected, aware: false };
    Ok(Best { choice, model, plain, layers })
}

/// Quantises a graph that has learnt to be quantised with these ranges. What its float weights make is no aim, so nothing is
/// chosen or corrected by it.
///
/// # Errors
/// When the graph cannot be quantised, and those of `emit`.
pub fn learnt<B: AsRef<[u8]>, E: From<Error>>(
    graph: &Graph,
    inputs: &[Vec<i8>],
    Calibrated { method, ranges }: &Calibrated,
    ending: Ending,
    emit: impl Fn(&QuantModel) -> Result<B, E>,
) -> Result<Best<B>, E> {
    let compared = Compared::new(graph, inputs);
    let candidates = Candidates { graph, inputs, compared: &compared, ending, emit };
    let Candidate { model, plain, db } = candidates.quantise(graph, ranges)?;
    let layers = layer_sqnr(graph, &parse(&plain)?, inputs)?;
    let choice = Choice {
        method: *method,
        methods: vec![(*method, db)],
        equalisation: None,
        equalised: false,
        correction: Vec::new(),
        corrected: 0,
        aware: true,
    };
    Ok(Best { choice, model, plain, layers })
}

impl<B: AsRef<[u8]>, E: From<Error>, F: Fn(&QuantModel) -> Result<B, E>> Candidates<'_, F> {
    /// The graph, quantised with ranges that `method` chooses, and these.
    fn calibrated(&self, method: Method) -> Result<(Candidate<B>, Vec<Range>), E> {
        let ranges = calibrate(self.graph, self.inputs, method)?;
        Ok((self.quantise(self.graph, &ranges)?, ranges))
    }

    /// `graph` may have other biases than the one that it is compared with.
    fn quantise(&self, graph: &Graph, ranges: &[Range]) -> Result<Candidate<B>, E> {
        let model = quantise_ending(graph, ranges, self.ending)?;
        let plain = (self.emit)(&model)?;
        let db = logits_sqnr(&self.compared.logits, &parse(&plain)?, &self.compared.inputs)?;
        Ok(Candidate { model, plain, db })
    }

    /// Corrects the biases of a model with these ranges, round by round.
    fn correct(&self, (first, ranges): (Candidate<B>, Vec<Range>)) -> Result<Corrected<B>, E> {
        let mut graph = self.graph.clone();
        let mut models = vec![first];
        for round in 0..ROUNDS {
            let shifts = mean_shifts(self.graph, &parse(&models[round].plain)?, self.inputs)?;
            shift_biases(&mut graph, &shifts);
            models.push(self.quantise(&graph, &ranges)?);
        }
        let correction = models[1..].iter().map(|model| model.db).collect();
        let ranked = models.into_iter().enumerate().rev();
        let (round, best) =
            ranked.max_by(|(_, a), (_, b)| a.exactness().total_cmp(&b.exactness())).expect("there is one");
        Ok(Corrected { best, round, correction })
    }
}

fn parse<B: AsRef<[u8]>>(blob: &B) -> Result<Model<'_>, Error> {
    Ok(Model::parse(blob.as_ref())?)
}

/// Adds to each bias what its node's channel lacks.
fn shift_biases(graph: &mut Graph, shifts: &[Vec<f64>]) {
    for (node, shifts) in graph.nodes.iter_mut().zip(shifts) {
        if let FloatOp::Conv2d { bias, .. } | FloatOp::DepthwiseConv2d { bias, .. } | FloatOp::Dense { bias, .. } =
            &mut node.op
        {
            bias.iter_mut().zip(shifts).for_each(|(bias, shift)| *bias += *shift as f32);
        }
    }
}

impl<B> Candidate<B> {
    fn exactness(&self) -> f64 {
        self.db.unwrap_or(f64::INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::emit::{Emitted, emit};
    use crate::quantise::tests::{description, inputs, residual_network};

    const PLAIN: Ending = Ending::Softmax { temperature: 1.0 };

    fn write(model: &QuantModel) -> Result<Emitted, Box<dyn std::error::Error>> {
        Ok(emit(model, &description(&[]))?)
    }

    #[test]
    fn biases_that_have_moved_are_moved_back() {
        let graph = residual_network();
        let inputs = inputs(&graph, 32);
        let ranges = calibrate(&graph, &inputs, Method::MinMax).unwrap();
        let compared = Compared::new(&graph, &inputs);
        let candidates = Candidates { graph: &graph, inputs: &inputs, compared: &compared, ending: PLAIN, emit: write };
        let mut moved = graph.clone();
        let shift = |range: &Range| f64::from(range.max - range.min) / 20.0;
        let shifts: Vec<Vec<f64>> = graph
            .nodes
            .iter()
            .zip(&ranges[1..])
            .map(|(node, range)| vec![shift(range); node.output.channels])
            .collect();
        shift_biases(&mut moved, &shifts);
        assert_ne!(moved, graph);

        let [right, wrong] = [&graph, &moved].map(|graph| candidates.quantise(graph, &ranges).unwrap());
        assert!(wrong.exactness() < right.exactness() - 6.0, "{} and {}", wrong.exactness(), right.exactness());
        let lacking = mean_shifts(&graph, &Model::parse(&wrong.plain.blob).unwrap(), &inputs).unwrap();
        shift_biases(&mut moved, &lacking);
        let back = candidates.quantise(&moved, &ranges).unwrap();
        assert!(back.exactness() > wrong.exactness() + 3.0, "{}", back.exactness());
    }

    #[test]
    fn the_best_is_as_good_as_any_candidate() {
        let graph = residual_network();
        let best = best(&graph, &inputs(&graph, 16), &Method::ALL, PLAIN, write).unwrap();
        let Choice { methods, equalisation, correction, corrected, .. } = best.choice;
        assert_eq!((methods.len(), correction.len()), (Method::ALL.len(), ROUNDS));
        let all = methods
            .iter()
            .map(|(_, db)| *db)
            .chain(equalisation.into_iter().flatten())
            .chain(correction.iter().copied());
        let logits = best.layers[best.layers.len() - 2].db;
        assert_eq!(logits, all.reduce(f64_max).unwrap());
        assert!(corrected == 0 || correction[corrected - 1] == logits);
    }

    fn f64_max(a: Option<f64>, b: Option<f64>) -> Option<f64> {
        Some(a?.max(b?))
    }
}
