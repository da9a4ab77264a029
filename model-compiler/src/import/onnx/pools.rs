//! Windows, poolings, means, and zeros around a tensor.

use super::file::Node;
use super::moves::{axes, side};
use super::translate::{Activation, Translation, Value};
use super::view::View;
use crate::import::Result;
use crate::import::model::{BuiltinOperator, Options};

/// A window's options, and how many rows and columns it makes.
pub(super) struct Windowed {
    pub options: Options,
    pub outputs: [usize; 2],
}

impl Windowed {
    /// That of a node with this kernel, for an input of so many rows and columns.
    ///
    /// # Errors
    /// When its strides, dilations or paddings are out of range.
    pub(super) fn of(node: &Node, kernel: [usize; 2], inputs: [usize; 2], rank: usize) -> Result<Self> {
        let pair = |name: &str, otherwise: i32| -> Result<[i32; 2]> {
            let values = node.integers(name).unwrap_or_default();
            let number = |value: i64| {
                let number = i32::try_from(value).ok().filter(|&number| number >= 0 && number <= u16::MAX.into());
                number.ok_or_else(|| refused!(OutOfRange, "its {name} {values:?} are not from 0 to 65,535"))
            };
            match *values {
                [] => Ok([otherwise; 2]),
                [width] if rank == 3 => Ok([otherwise, number(width)?]),
                [height, width] if rank == 4 => Ok([number(height)?, number(width)?]),
                _ => Err(refused!(Unsupported, "its {name} {values:?} do not fit an input with {rank} sides")),
            }
        };
        let (stride, dilation) = (pair("strides", 1)?, pair("dilations", 1)?);
        ensure!(
            stride.iter().chain(&dilation).all(|&number| number > 0) && kernel.iter().all(|&side| side > 0),
            Damaged,
            "its window is empty, or a stride or a dilation is 0: the file is damaged"
        );
        let pads = node.integers("pads").unwrap_or_default();
        let pads = match *pads {
            [] => [0; 4],
            [left, right] if rank == 3 => [0, left, 0, right],
            [top, left, bottom, right] if rank == 4 => [top, left, bottom, right],
            _ => return Err(refused!(Unsupported, "its pads {pads:?} do not fit an input with {rank} sides")),
        };
        let pads = pads.map(|pad| usize::try_from(pad).ok().filter(|&pad| pad <= u16::MAX.into()));
        let [Some(top), Some(left), Some(bottom), Some(right)] = pads else {
            return Err(refused!(OutOfRange, "its pads are not from 0 to 65,535"));
        };
        let mut borders = [[top, bottom], [left, right]];
        let mut outputs = [0; 2];
        for (at, border) in borders.iter_mut().enumerate() {
            let stride = stride[at] as usize;
            let reach = (kernel[at] - 1).saturating_mul(dilation[at] as usize).saturating_add(1);
            let same = inputs[at].div_ceil(stride);
            let total = ((same - 1) * stride + reach).saturating_sub(inputs[at]);
            match node.text("auto_pad") {
                "SAME_UPPER" => *border = [total / 2, total - total / 2],
                "SAME_LOWER" => *border = [total - total / 2, total / 2],
                "VALID" => *border = [0; 2],
                _ => {}
            }
            let [before, after] = *border;
            let room = (inputs[at] + before + after).checked_sub(reach);
            let room = room.ok_or_else(|| refused!(Unsupported, "its window of {reach} is larger than its input"))?;
            outputs[at] = room / stride + 1;
            // A last window that is cut off counts where it begins within the input.
            if node.integer("ceil_mode", 0) != 0
                && !room.is_multiple_of(stride)
                && outputs[at] * stride < inputs[at] + before
            {
                outputs[at] += 1;
                border[1] = (outputs[at] - 1) * stride + reach - inputs[at] - before;
            }
        }
        let border = [0, 1].map(|end| [borders[0][end] as i32, borders[1][end] as i32]);
        let filter = kernel.map(|side| i32::try_from(side).unwrap_or(i32::MAX));
        Ok(Self { options: Options { stride, dilation, border, filter, ..Options::default() }, outputs })
    }

    /// Whether every window touches the input.
    fn touches(&self, kernel: [usize; 2], inputs: [usize; 2]) -> bool {
        [0, 1].into_iter().all(|at| {
            let Options { stride, dilation, border, .. } = self.options;
            let before = border[0][at] as usize;
            before <= (kernel[at] - 1) * dilation[at] as usize
                && (self.outputs[at] - 1) * (stride[at] as usize) < inputs[at] + before
        })
    }
}

impl<'f> Translation<'f> {
    /// A convolution's input and window; zeros that the window can lie in alone become an operator of their own.
    pub(super) fn padded(
        &mut self,
        node: &Node,
        tensor: usize,
        kernel: [usize; 2],
        windowed: Windowed,
    ) -> Result<(usize, Windowed)> {
        let [height, width, _] = self.built.sides(tensor);
        if windowed.touches(kernel, [height, width]) {
            return Ok((tensor, windowed));
        }
        self.pulled_out(node, tensor, windowed)
    }

    /// The zeros of a window as an operator of their own.
    fn pulled_out(&mut self, node: &Node, tensor: usize, windowed: Windowed) -> Result<(usize, Windowed)> {
        let [before, after] =
            windowed.options.border.map(|[rows, columns]| [rows, columns, 0].map(|side| side as usize));
        let padded = self.add_zeros(&format!("{} (padded)", node.output()), tensor, before, after)?;
        Ok((padded, Windowed { options: Options { border: [[0; 2]; 2], ..windowed.options }, ..windowed }))
    }

    /// Adds zeros around height, width and channels.
    fn add_zeros(&mut self, name: &str, tensor: usize, before: [usize; 3], after: [usize; 3]) -> Result<usize> {
        let sides = self.built.sides(tensor);
        let outer = [0, 1, 2].map(|at| sides[at] + before[at] + after[at]);
        let quantisation = self.built.quantisation(tensor).cloned();
        let made = self.built.tensor(name, outer, quantisation);
        let mut borders = vec![0, 0];
        (0..3).for_each(|at| borders.extend([before[at] as i32, after[at] as i32]));
        let borders = self.built.integers(&format!("{name} (borders)"), &[4, 2], &borders)?;
        let inputs = [Some(tensor), Some(borders)];
        self.built.operator((BuiltinOperator::Pad, "Pad"), &inputs, made, Options::default())?;
        Ok(made)
    }

    pub(super) fn add_pool(&mut self, node: &'f Node) -> Result<()> {
        let activation = self.activation(node, 0)?;
        let (tensor, sides) = self.picture(&activation)?;
        let (mut dims, given) = (activation.view.dims(), node.integers("kernel_shape").unwrap_or_default());
        let rank = dims.len();
        let number = |side: i64| usize::try_from(side).ok().filter(|&side| side > 0 && side <= u16::MAX.into());
        let kernel = match *given {
            [width] if rank == 3 => number(width).map(|width| [1, width]),
            [height, width] if rank == 4 => number(height).zip(number(width)).map(|(height, width)| [height, width]),
            _ => None,
        };
        let kernel = kernel.ok_or_else(|| refused!(Unsupported, "its window {given:?} does not fit {dims:?}"))?;
        let windowed = Windowed::of(node, kernel, [sides[0], sides[1]], rank)?;
        ensure!(windowed.options.dilation == [1; 2], Unsupported, "its window has a dilation, which poolings have not");
        let average = node.kind == "AveragePool";
        let zeros_count =
            average && node.integer("count_include_pad", 0) != 0 && windowed.options.border != [[0; 2]; 2];
        ensure!(
            !zeros_count || node.integer("ceil_mode", 0) == 0,
            Unsupported,
            "zeros around its input count (count_include_pad) and windows are cut off (ceil_mode): use one of both"
        );
        ensure!(
            zeros_count || windowed.touches(kernel, [sides[0], sides[1]]),
            Unsupported,
            "a window of it lies in the padding alone"
        );
        let (tensor, windowed) =
            if zeros_count { self.pulled_out(node, tensor, windowed)? } else { (tensor, windowed) };
        if rank == 4 {
            dims[2] = windowed.outputs[0];
        }
        dims[rank - 1] = windowed.outputs[1];
        let code = if average { BuiltinOperator::AveragePool2d } else { BuiltinOperator::MaxPool2d };
        let output = self.make(node.output(), &dims, Some(tensor))?;
        self.built.operator((code, &node.kind), &[Some(tensor)], output, windowed.options)
    }

    /// A mean or largest value over height and width.
    pub(super) fn add_reduction(&mut self, node: &'f Node) -> Result<()> {
        let activation = self.activation(node, 0)?;
        let (tensor, sides) = self.picture(&activation)?;
        let (dims, global) = (activation.view.dims(), node.kind.starts_with("Global"));
        let rank = dims.len();
        let axes: Vec<usize> = if global {
            (2..rank).collect()
        } else {
            let constant = self.constant(node, 1)?;
            let axes = axes(node, constant.as_deref())?.unwrap_or_else(|| (0..rank as i64).collect());
            axes.iter().map(|&axis| side(axis, rank)).collect::<Result<_>>()?
        };
        let all = (0..rank).all(|at| axes.contains(&at) == (at >= 2) || dims[at] == 1);
        ensure!(
            all && rank > 2,
            Unsupported,
            "it goes over the sides {axes:?} of {dims:?}: only height and width together are supported"
        );
        let average = matches!(node.kind.as_str(), "GlobalAveragePool" | "ReduceMean");
        let code = if average { BuiltinOperator::Mean } else { BuiltinOperator::ReduceMax };
        let like = if average { None } else { Some(tensor) };
        let kept: Vec<usize> = (0..rank).map(|at| if at >= 2 { 1 } else { dims[at] }).collect();
        let output = self.make(node.output(), &kept, like)?;
        let over = self.built.integers(&format!("{} (sides)", node.output()), &[2], &[1, 2])?;
        self.built.operator((code, &node.kind), &[Some(tensor), Some(over)], output, Options::default())?;
        ensure!(sides[2] == kept[1], Damaged, "its channels do not fit");
        if !global && node.integer("keepdims", 1) == 0 {
            let left: Vec<usize> = (0..rank).filter(|at| !axes.contains(at)).map(|at| kept[at]).collect();
            let view = View::channels_last(&kept)?.reshaped(&left)?;
            let view = view.ok_or_else(|| refused!(Unsupported, "it leaves no sides"))?;
            self.set(node.output(), Value::Activation(Activation { tensor: output, view }))?;
        }
        Ok(())
    }

    pub(super) fn add_pad(&mut self, node: &'f Node) -> Result<()> {
        let mode = node.text("mode");
        ensure!(
            ["", "constant"].contains(&mode),
            Unsupported,
            "its mode is {mode}: only zeros are supported (padding_mode=\"zeros\")"
        );
        let (activation, pads) = (self.activation(node, 0)?, self.needed(node, 1)?);
        if let Some(value) = self.constant(node, 2)? {
            let value = value.reals();
            ensure!(
                value.iter().all(|&value| value == 0.0),
                Unsupported,
                "it pads with {value:?}: only zeros are supported"
            );
        }
        let (tensor, _) = self.picture(&activation)?;
        let mut dims = activation.view.dims();
        let rank = dims.len();
        let axes = match self.constant(node, 3)? {
            Some(axes) => axes.whole()?.iter().map(|&axis| side(axis, rank)).collect::<Result<Vec<_>>>()?,
            None => (0..rank).collect(),
        };
        let pads = pads.whole()?;
        ensure!(pads.len() == 2 * axes.len(), Damaged, "it has {} borders for {} sides", pads.len(), axes.len());
        let [mut before, mut after] = [[0; 3]; 2];
        for (at, &axis) in axes.iter().enumerate() {
            let width = |value: i64| usize::try_from(value).ok().filter(|&width| width <= u16::MAX.into());
            let widths = width(pads[at]).zip(width(pads[at + axes.len()]));
            let (first, last) =
                widths.ok_or_else(|| refused!(Unsupported, "it cuts off, or pads by more than 65,535"))?;
            if first + last == 0 {
                continue;
            }
            let place = place(axis, rank).ok_or_else(|| refused!(Unsupported, "it pads the batch"))?;
            (before[place], after[place]) = (first, last);
            dims[axis] += first + last;
        }
        if before == after && before == [0; 3] {
            return self.set(node.output(), Value::Activation(activation));
        }
        let padded = self.add_zeros(node.output(), tensor, before, after)?;
        let view = View::channels_last(&dims)?;
        self.set(node.output(), Value::Activation(Activation { tensor: padded, view }))
    }

    pub(super) fn add_concatenation(&mut self, node: &'f Node) -> Result<()> {
        let name = node.output();
        let (mut parts, mut dims, mut axis) = (Vec::new(), Vec::new(), 0);
        for at in 0..node.inputs.len() {
            let activation = self.activation(node, at)?;
            let own = activation.view.dims();
            if dims.is_empty() {
                axis = side(node.integer("axis", 0), own.len())?;
                dims.clone_from(&own);
            } else {
                let fits = own.len() == dims.len() && (0..own.len()).all(|at| at == axis || own[at] == dims[at]);
                ensure!(fits, Damaged, "its inputs {dims:?} and {own:?} do not fit together");
                dims[axis] += own[axis];
            }
            parts.push(self.picture(&activation)?.0);
        }
        let place = place(axis, dims.len()).ok_or_else(|| refused!(Unsupported, "it puts batches together"))?;
        let output = self.make(name, &dims, None)?;
        if let Some(asked) = self.built.quantisation(output).cloned() {
            for part in &mut parts {
                *part = super::quantised::requantised(self, *part, &asked, name)?;
            }
        }
        let inputs: Vec<Option<usize>> = parts.into_iter().map(Some).collect();
        let options = Options { axis: 1 + place as i32, ..Options::default() };
        self.built.operator((BuiltinOperator::Concatenation, "Concat"), &inputs, output, options)
    }
}

/// Which of height, width and channels a side of an ONNX tensor is.
fn place(axis: usize, rank: usize) -> Option<usize> {
    match (axis, rank) {
        (1, _) | (0, 1) => Some(2),
        (2, 3) | (3, 4) => Some(1),
        (2, 4) => Some(0),
        _ => None,
    }
}
