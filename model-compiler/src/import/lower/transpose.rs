//! TRANSPOSE: what is left of it without sides of 1 swaps two neighbouring sides, once or twice.

use no_std_infer::format::{Activation, Conv2d, Op, Tensor, Window};

use super::Lowering;
use super::views::COPY;
use crate::import::Result;
use crate::import::model::Operator;
use crate::quantise::{Kind, quantisation};

/// Longest first side that a convolution turns round as a rule: it takes as many products an element.
const FIRST_PREFERRED: usize = 32;
/// Longest second side that is taken apart and put together, which copies each element as often.
const SECOND_MAX: usize = 16;
/// Longest first side: its square are the weights.
const FIRST_MAX: usize = 512;

/// How sides of a tensor are exchanged, with those left out that have one element, and those joined that stay neighbours: the lengths
/// of what remains, and for each place of the output which of them comes there.
fn exchanged(shape: &[usize], order: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let order: Vec<usize> = order.iter().copied().filter(|&side| shape[side] != 1).collect();
    let kept: Vec<usize> = (0..shape.len()).filter(|&side| shape[side] != 1).collect();
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for side in order {
        let follows = |last: &usize| kept.iter().skip_while(|&kept| kept != last).nth(1) == Some(&side);
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(follows) => run.push(side),
            _ => runs.push(vec![side]),
        }
    }
    let place = |run: &Vec<usize>| runs.iter().filter(|other| other.first() < run.first()).count();
    let places: Vec<usize> = runs.iter().map(place).collect();
    let mut lengths = vec![1; runs.len()];
    for (run, &place) in runs.iter().zip(&places) {
        lengths[place] = run.iter().map(|&side| shape[side]).product();
    }
    (lengths, places)
}

impl Lowering<'_> {
    pub(super) fn add_transpose(&mut self, op: &Operator) -> Result<()> {
        let index = self.output(op)?;
        let shape = self.shape(op, 0)?;
        let order: Vec<usize> = self.integers(op, 1)?.iter().filter_map(|&side| usize::try_from(side).ok()).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        ensure!(sorted.iter().copied().eq(0..shape.len()), Damaged, "it does not name each side once");
        let whole = &self.network.tensors[index].shape;
        let fits = whole.len() == order.len() && order.iter().zip(whole).all(|(&side, &length)| shape[side] == length);
        ensure!(fits, Damaged, "its output is {whole:?}: the file is damaged");
        let mut made = self.moved(op, 0, index)?;
        let (lengths, places) = exchanged(&shape, &order);
        made = match (&lengths[..], &places[..]) {
            ([] | [_], _) => made,
            (&[a, b], _) => self.swapped(index, made, [1, a, b])?,
            (&[a, b, c], [0, 2, 1]) => self.swapped(index, made, [a, b, c])?,
            (&[a, b, c], [1, 0, 2]) => {
                made = self.swapped(index, made, [1, a, b * c])?;
                self.swapped(index, made, [b, c, a])?
            }
            (&[a, b, c], _) => {
                made = self.swapped(index, made, [a, b, c])?;
                self.swapped(index, made, [1, a, c * b])?
            }
            _ => {
                return Err(refused!(
                    Unsupported,
                    "it exchanges {} sides of {shape:?}: at most three are supported",
                    lengths.len()
                ));
            }
        };
        self.settle(index, made)
    }

    /// A tensor taken as `[outer, first, second]`, with both last sides exchanged.
    fn swapped(&mut self, index: usize, input: Tensor, [outer, first, second]: [usize; 3]) -> Result<Tensor> {
        if first > FIRST_PREFERRED && second <= SECOND_MAX {
            let mut made = None;
            for start in 0..second {
                let column = self.cut(index, input, [outer * first, second, 1], (start, 1))?;
                let column = self.viewed(index, column, [outer, 1, first])?;
                made = Some(match made {
                    Some(made) => self.beside(index, made, column)?,
                    None => column,
                });
            }
            return Ok(made.unwrap_or(input));
        }
        ensure!(
            first <= FIRST_MAX,
            OutOfRange,
            "it exchanges sides of {first} and {second} elements: one of up to {FIRST_MAX} before, or up to {SECOND_MAX} after, is \
             supported; export the model with channels last (NHWC), in which image classifiers need no transposition"
        );
        // An output channel for each place along the first side, which reads the one tap there.
        let input = self.viewed(index, input, [outer * first, second, 1])?;
        let output = self.place(index, [outer, second, first], quantisation(&input))?;
        let side = first as u16;
        let window = Window { kernel_h: side, stride_h: side, ..Window::square(1, 1) };
        let taps: Vec<u8> = (0..first * first).map(|at| if at / first == at % first { COPY } else { 0 }).collect();
        let weights = self.copying(Kind::Convolution, &taps, &output)?;
        let conv = Conv2d { input, output, window, weights, activation: Activation::NONE, scratch: 0 };
        self.builder.push(Op::Conv2d(conv), format!("{} (exchanged)", self.network.tensors[index].name));
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::exchanged;

    #[test]
    fn sides_of_one_element_move_nothing_and_neighbours_stay_one() {
        assert_eq!(exchanged(&[1, 4, 5, 6], &[0, 3, 1, 2]), (vec![20, 6], vec![1, 0]));
        assert_eq!(exchanged(&[1, 4, 5, 6], &[0, 2, 1, 3]), (vec![4, 5, 6], vec![1, 0, 2]));
        assert_eq!(exchanged(&[1, 4, 1, 6], &[0, 2, 1, 3]), (vec![24], vec![0]));
        assert_eq!(exchanged(&[1, 4, 1, 6], &[2, 3, 0, 1]), (vec![4, 6], vec![1, 0]));
        assert_eq!(exchanged(&[1, 4, 5, 6], &[3, 2, 1, 0]), (vec![4, 5, 6], vec![2, 1, 0]));
        assert_eq!(exchanged(&[1, 1], &[1, 0]), (vec![], vec![]));
    }
}
