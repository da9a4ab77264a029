//! What the cross-crate tests share: random models of one operator, and whole small networks.

pub mod app;
pub mod gated;
pub mod in_process;
pub mod mlperf;
pub mod needing;
pub mod networks;
pub mod operators;
pub mod pretrained;
pub mod residual;
pub mod stripes;
pub mod tflite;

use host_trainer::aligned::Aligned;
use no_std_infer::kernels::Kernels;
use no_std_infer::{Interpreter, Model};

/// Every operator's output of one run, in order.
#[must_use]
pub fn outputs<K: Kernels>(model: &Model<'_>, input: &[i8]) -> Vec<Vec<i8>> {
    let mut arena = Aligned::new(model.arena_len());
    let mut interpreter =
        Interpreter::with_kernels::<K>(model, &mut arena).expect("the arena has the length asked for");
    interpreter.input_mut().copy_from_slice(input);
    let mut outputs = Vec::new();
    interpreter.run_profiled(|_, output| outputs.push(output.to_vec()));
    outputs
}
