//! What a graph must be, so that it can be run.

use no_std_infer::format::Window;

use super::{Error, FloatOp, Graph, Misfit, Node, Shape, shapes};

impl Graph {
    /// Checks that the nodes fit together, so that [`run`](Self::run) cannot fail.
    ///
    /// # Errors
    /// Names the first node with a wrong input, shape, window or constant, or says that the last node makes no
    /// vector of logits.
    pub fn validate(&self) -> Result<(), Error> {
        ensure!(!self.input.is_empty(), Error::EmptyInput(self.input));
        for (index, node) in self.nodes.iter().enumerate() {
            let layer = |source| Error::Layer { index, name: node.name.clone(), source };
            self.check_node(index, node).map_err(layer)?;
        }
        let Node { name, output, .. } = self.nodes.last().ok_or(Error::NoLayers)?;
        let logits = output.height == 1 && output.width == 1;
        ensure!(logits, Error::Logits { name: name.clone(), output: *output });
        Ok(())
    }

    fn check_node(&self, index: usize, node: &Node) -> Result<(), Misfit> {
        let binary = matches!(node.op, FloatOp::Add { .. } | FloatOp::Mul { .. } | FloatOp::Concat);
        let arity = if binary { 2 } else { 1 };
        ensure!(node.inputs.len() == arity, Misfit(format!("it has {} inputs instead of {arity}", node.inputs.len())));
        ensure!(
            node.inputs.iter().all(|&tensor| tensor <= index),
            Misfit("it reads a tensor that a later layer makes".to_owned())
        );
        ensure!(!node.output.is_empty(), Misfit(format!("its output {} is empty", node.output)));
        let (input, output) = (self.shape(node.inputs[0]), node.output);
        match &node.op {
            FloatOp::Conv2d { window, weights, bias, .. } => {
                check_window(window, input, output)?;
                check_constants(weights, output.channels * window.taps() * input.channels, bias, output.channels)
            }
            FloatOp::DepthwiseConv2d { window, weights, bias, .. } => {
                check_window(window, input, output)?;
                ensure!(
                    input.channels == output.channels,
                    Misfit(format!("{} channels become {}", input.channels, output.channels))
                );
                check_constants(weights, window.taps() * output.channels, bias, output.channels)
            }
            FloatOp::Dense { weights, bias, .. } => {
                ensure!(output.height == 1 && output.width == 1, Misfit(format!("its output {output} is no vector")));
                check_constants(weights, output.channels * input.len(), bias, output.channels)
            }
            FloatOp::MaxPool2d { window } | FloatOp::AveragePool2d { window } => {
                check_window(window, input, output)?;
                ensure!(
                    window.dilation_h == 1 && window.dilation_w == 1,
                    Misfit("a pooling window has no dilation".to_owned())
                );
                ensure!(
                    input.channels == output.channels,
                    Misfit(format!("{} channels become {}", input.channels, output.channels))
                );
                Ok(())
            }
            FloatOp::Add { .. } | FloatOp::Mul { .. } => {
                let other = self.shape(node.inputs[1]);
                ensure!(
                    shapes::broadcasts(input, other, output),
                    Misfit(format!("{input} and {other} cannot make {output}"))
                );
                Ok(())
            }
            FloatOp::Concat => {
                let other = self.shape(node.inputs[1]);
                let fits = shapes::second_corner(input, other, output).is_some();
                ensure!(fits, Misfit(format!("{input} beside {other} cannot make {output}")));
                Ok(())
            }
            FloatOp::Reshape => {
                ensure!(input.len() == output.len(), Misfit(format!("{input} becomes {output}")));
                Ok(())
            }
            FloatOp::Map { .. } => {
                ensure!(input == output, Misfit(format!("{input} becomes {output}")));
                Ok(())
            }
            FloatOp::Pad { top, left, front } => {
                let fits = |before: usize, inner: usize, outer: usize| before.saturating_add(inner) <= outer;
                let [rows, columns] = [(top, input.height, output.height), (left, input.width, output.width)];
                let all = [rows, columns, (front, input.channels, output.channels)];
                ensure!(
                    all.iter().all(|&(&before, inner, outer)| fits(before, inner, outer)),
                    Misfit(format!("it pads {input} to {output}"))
                );
                Ok(())
            }
        }
    }
}

/// Every window touches the input, and padding is narrower than the window.
fn check_window(window: &Window, input: Shape, output: Shape) -> Result<(), Misfit> {
    let w = window;
    let fits = |outputs: usize, inputs: usize, [kernel, stride, dilation, pad]: [u16; 4]| {
        kernel > 0
            && stride > 0
            && dilation > 0
            && usize::from(pad) <= usize::from(kernel - 1) * usize::from(dilation)
            && (outputs - 1) * usize::from(stride) < inputs + usize::from(pad)
    };
    ensure!(
        fits(output.height, input.height, [w.kernel_h, w.stride_h, w.dilation_h, w.pad_top])
            && fits(output.width, input.width, [w.kernel_w, w.stride_w, w.dilation_w, w.pad_left]),
        Misfit(format!("its window {window:?} cannot make {output} from {input}"))
    );
    Ok(())
}

fn check_constants(weights: &[f32], weights_len: usize, bias: &[f32], bias_len: usize) -> Result<(), Misfit> {
    ensure!(weights.len() == weights_len, Misfit(format!("it has {} weights instead of {weights_len}", weights.len())));
    ensure!(bias.len() == bias_len, Misfit(format!("it has {} biases instead of {bias_len}", bias.len())));
    ensure!(
        weights.iter().chain(bias).all(|value| value.is_finite()),
        Misfit("a weight is not a finite number: training diverged; lower train.learning_rate".to_owned())
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::error::with_sources;
    use crate::graph::tests::small;

    #[test]
    fn a_wrong_graph_is_refused_by_the_layer_s_name() {
        small().validate().unwrap();
        let spoil = |change: fn(&mut Graph)| {
            let mut graph = small();
            change(&mut graph);
            with_sources(&graph.validate().unwrap_err())
        };
        assert!(spoil(|g| g.nodes[1].inputs = vec![2]).contains("head"));
        assert!(spoil(|g| g.nodes[0].output.height = 4).contains("conv"));
        assert!(spoil(|g| g.nodes[0].inputs.clear()).contains("0 inputs"));
        assert!(spoil(|g| g.input.channels = 4).contains("weights"));
        assert!(spoil(|g| g.nodes.truncate(1)).contains("logits"));
        assert!(spoil(|g| g.nodes.clear()).contains("no layers"));
        assert!(
            spoil(|g| if let FloatOp::Dense { bias, .. } = &mut g.nodes[1].op {
                bias[0] = f32::NAN
            })
            .contains("diverged")
        );
    }
}
