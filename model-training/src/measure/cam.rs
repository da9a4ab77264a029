//! Class activation maps (Zhou et al. 2016): where in a picture the float network finds what speaks for a class. They are exact for
//! networks that end with a global average over the last features and one dense layer: the class's logit, less the mean of all
//! logits, is the mean of the map, up to the difference of the biases. For other networks there is none.

use model_compiler::graph::{Clamp, FloatOp, Graph, Shape};

/// How strongly a picture is tinted where most speaks for the class, 0 to 1.
const TINT: f32 = 0.65;
/// The tint: Okabe and Ito's vermilion.
const COLOUR: [f32; 3] = [213.0, 94.0, 0.0];

/// The maps of one network.
#[derive(Clone, Debug)]
pub struct ClassMap {
    graph: Graph,
    /// The tensor that is averaged.
    features: usize,
    /// Of each class its weights, less the mean over the classes.
    weights: Vec<f32>,
}

impl ClassMap {
    /// Of a valid network, where its logits are a dense layer of a global average.
    #[must_use]
    pub fn new(graph: Graph) -> Option<Self> {
        let last = graph.nodes.last()?;
        let FloatOp::Dense { weights, clamp: Clamp::None, .. } = &last.op else { return None };
        let features = averaged(&graph, *last.inputs.first()?)?;
        let (classes, channels) = (graph.classes(), graph.shape(features).channels);
        let mean: Vec<f32> = (0..channels)
            .map(|channel| weights.iter().skip(channel).step_by(channels).sum::<f32>() / classes as f32)
            .collect();
        let weights = weights.chunks(channels).flat_map(|row| row.iter().zip(&mean).map(|(w, m)| w - m)).collect();
        Some(Self { features, weights, graph })
    }

    /// Shape of the network's input.
    #[must_use]
    pub fn input(&self) -> Shape {
        self.graph.input
    }

    /// What speaks for a class at each place of the features, row by row, for an input (`pixel - 128`, HWC); what is below 0 speaks
    /// against it.
    ///
    /// # Panics
    /// When the input is not as long as the network's, or there is no such class.
    #[must_use]
    pub fn evidence(&self, input: &[i8], class: usize) -> (Vec<f32>, Shape) {
        let shape = self.graph.shape(self.features);
        let weights = &self.weights[class * shape.channels..][..shape.channels];
        let tensors = self.graph.run(input);
        let place = |features: &[f32]| features.iter().zip(weights).map(|(feature, weight)| feature * weight).sum();
        let map = tensors[self.features].chunks_exact(shape.channels).map(place).collect();
        (map, Shape { channels: 1, ..shape })
    }

    /// A picture of the network's input size, HWC, in colours, tinted by what speaks for a class.
    ///
    /// # Panics
    /// As [`evidence`](Self::evidence).
    #[must_use]
    pub fn tinted(&self, pixels: &[u8], class: usize) -> Vec<u8> {
        let shape = self.graph.input;
        let input: Vec<i8> = pixels.iter().map(|pixel| (pixel ^ 0x80).cast_signed()).collect();
        let (map, places) = self.evidence(&input, class);
        let most = map.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let mut tinted = Vec::with_capacity(3 * shape.height * shape.width);
        for (index, pixel) in pixels.chunks_exact(shape.channels).enumerate() {
            let at =
                [(index / shape.width, shape.height, places.height), (index % shape.width, shape.width, places.width)];
            let share = TINT * (between(&map, places.width, at.map(along)) / most).max(0.0);
            let colours = [0, 1, 2].map(|channel| f32::from(pixel[channel.min(shape.channels - 1)]));
            tinted.extend(colours.iter().zip(COLOUR).map(|(own, tint)| (own + (tint - own) * share + 0.5) as u8));
        }
        tinted
    }
}

/// The tensor whose mean over all rows and columns this one is.
fn averaged(graph: &Graph, tensor: usize) -> Option<usize> {
    let node = graph.nodes.get(tensor.checked_sub(1)?)?;
    let source = *node.inputs.first()?;
    match &node.op {
        FloatOp::Reshape => averaged(graph, source),
        FloatOp::AveragePool2d { window } => {
            let from = graph.shape(source);
            let covers = usize::from(window.kernel_h) >= from.height && usize::from(window.kernel_w) >= from.width;
            let is_one = node.output.height == 1 && node.output.width == 1;
            (covers && is_one && window.pad_top == 0 && window.pad_left == 0).then_some(source)
        }
        _ => None,
    }
}

/// Where pixel `at` of `pixels` lies among `places` along one side: the place before it, the one after, and how far between.
fn along((at, pixels, places): (usize, usize, usize)) -> (usize, usize, f32) {
    let exact = ((at as f32 + 0.5) * places as f32 / pixels as f32 - 0.5).clamp(0.0, places as f32 - 1.0);
    let before = exact as usize;
    (before, (before + 1).min(places - 1), exact - before as f32)
}

/// The map between four places.
fn between(map: &[f32], width: usize, [(top, bottom, down), (left, right, across)]: [(usize, usize, f32); 2]) -> f32 {
    let row = |row: usize| map[row * width + left] * (1.0 - across) + map[row * width + right] * across;
    row(top) * (1.0 - down) + row(bottom) * down
}

#[cfg(test)]
mod tests {
    use model_compiler::graph::Node;
    use no_std_infer::format::Window;

    use super::*;

    const CLASSES: usize = 3;

    /// A pooling that halves the picture, then the head.
    fn network(head: Vec<Node>) -> Graph {
        let input = Shape { height: 8, width: 6, channels: 3 };
        let pool = FloatOp::MaxPool2d { window: window(2, 2) };
        let output = Shape { height: 4, width: 3, channels: 3 };
        let first = Node { name: "pool".into(), op: pool, inputs: vec![0], output };
        let graph = Graph { input, zero: 0, nodes: [vec![first], head].concat() };
        graph.validate().unwrap();
        graph
    }

    fn window(height: u16, width: u16) -> Window {
        Window {
            kernel_h: height,
            kernel_w: width,
            stride_h: height,
            stride_w: width,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 0,
        }
    }

    fn average_and_dense(height: u16) -> Vec<Node> {
        let output = Shape { height: 4 / usize::from(height), width: 1, channels: 3 };
        let op = FloatOp::AveragePool2d { window: window(height, 3) };
        let average = Node { name: "average".into(), op, inputs: vec![1], output };
        let weights: Vec<f32> = (0..CLASSES * output.len()).map(|index| (index * 5 % 7) as f32 - 3.0).collect();
        let dense = FloatOp::Dense { weights, bias: vec![0.5, -1.0, 2.0], clamp: Clamp::None };
        let output = Shape { height: 1, width: 1, channels: CLASSES };
        vec![average, Node { name: "dense".into(), op: dense, inputs: vec![2], output }]
    }

    #[test]
    fn the_mean_of_a_map_is_the_logit_over_the_mean_of_all() {
        let graph = network(average_and_dense(4));
        let maps = ClassMap::new(graph.clone()).unwrap();
        let input: Vec<i8> = (0..graph.input.len()).map(|index| (index * 37 % 251) as u8 as i8).collect();
        let (logits, bias) = (graph.logits(&input), [0.5, -1.0, 2.0]);
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
        for class in 0..CLASSES {
            let (map, shape) = maps.evidence(&input, class);
            assert_eq!((shape.height, shape.width, map.len()), (4, 3, 12));
            let expected = (logits[class] - mean(&logits)) - (bias[class] - mean(&bias));
            assert!((mean(&map) - expected).abs() < 1e-3, "class {class}: {} and {expected}", mean(&map));
        }
    }

    #[test]
    fn networks_that_keep_places_apart_or_have_no_average_have_no_map() {
        assert!(ClassMap::new(network(average_and_dense(2))).is_none());
        let weights = vec![0.0; CLASSES * 36];
        let dense = FloatOp::Dense { weights, bias: vec![0.0; CLASSES], clamp: Clamp::None };
        let output = Shape { height: 1, width: 1, channels: CLASSES };
        let alone = Node { name: "dense".into(), op: dense, inputs: vec![1], output };
        assert!(ClassMap::new(network(vec![alone])).is_none());
    }

    #[test]
    fn a_picture_is_tinted_where_the_evidence_is() {
        let maps = ClassMap::new(network(average_and_dense(4))).unwrap();
        let mut pixels = vec![128; 8 * 6 * 3];
        // The first class is for a large second channel (weight 2, others -3 and 0): in the lower right corner.
        pixels[(7 * 6 + 5) * 3 + 1] = 255;
        let tinted = maps.tinted(&pixels, 0);
        let change =
            |pixel: usize| (0..3).map(|c| tinted[pixel * 3 + c].abs_diff(pixels[pixel * 3 + c])).max().unwrap();
        assert!(change(7 * 6 + 5) > 60, "{}", change(47));
        assert_eq!((change(0), tinted.len()), (0, pixels.len()));
    }
}
