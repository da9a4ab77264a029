//! What the cross-crate tests share: random models of one operator, and whole small networks.

pub mod app;
pub mod chromium;
pub mod corpus;
pub mod gated;
pub mod in_process;
pub mod mlperf;
pub mod needing;
pub mod networks;
pub mod operators;
pub mod pretrained;
pub mod processes;
pub mod residual;
pub mod results;
pub mod stripes;
pub mod tflite;
pub mod the_loop;
pub mod tiny;

use std::num::NonZeroU16;

use anyhow::Context;
use host_kernels::{Isa, Prepared};
use model_compiler::aligned::Aligned;
use no_std_infer::kernels::Kernels;
use no_std_infer::{Interpreter, Model, Step};

/// What computes a model: a set of kernels, or the oracle.
pub trait Engine {
    /// Every operator's output of one run, in order.
    fn outputs(model: &Model<'_>, input: &[i8]) -> Vec<Vec<i8>>;
}

/// The oracle.
pub struct Reference;

impl Engine for Reference {
    fn outputs(model: &Model<'_>, input: &[i8]) -> Vec<Vec<i8>> {
        oracle::outputs(model, input)
    }
}

/// The kernels for the widest vectors of this machine.
pub struct Widest;

impl Engine for Widest {
    fn outputs(model: &Model<'_>, input: &[i8]) -> Vec<Vec<i8>> {
        vector_outputs(model, Isa::best(), input)
    }
}

/// Every operator's output of one run by the kernels for some vectors, in order.
///
/// # Panics
/// When the input has not the model's length.
#[must_use]
pub fn vector_outputs(model: &Model<'_>, isa: Isa, input: &[i8]) -> Vec<Vec<i8>> {
    let mut outputs = Vec::new();
    Prepared::with(model, isa).runner().run_profiled(input, |_, output| outputs.push(output.to_vec()));
    outputs
}

impl<K: Kernels> Engine for K {
    fn outputs(model: &Model<'_>, input: &[i8]) -> Vec<Vec<i8>> {
        let mut arena = Aligned::new(model.arena_len());
        let mut outputs = Vec::new();
        prepared::<K>(model, &mut arena, input).run_profiled(|_, output| outputs.push(output.to_vec()));
        outputs
    }
}

/// The documentation's examples, which are compiled and run.
#[cfg(doctest)]
mod documentation {
    #[doc = include_str!("../../docs/device.md")]
    struct Device;
    #[doc = include_str!("../../docs/cross-validation.md")]
    struct CrossValidation;
}

/// Resident memory of a process in bytes, by its number or `self`.
///
/// # Errors
/// When the system does not tell: Linux does.
pub fn resident(process: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("no such process")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no resident memory")?;
    Ok(1024 * line.trim().trim_end_matches(" kB").parse::<u64>()?)
}

/// Every operator's output of one run, in order.
#[must_use]
pub fn outputs<E: Engine>(model: &Model<'_>, input: &[i8]) -> Vec<Vec<i8>> {
    E::outputs(model, input)
}

/// The same with at most `rows` rows of an output a step.
///
/// # Panics
/// When the input has not the model's length.
#[must_use]
pub fn stepped<K: Kernels>(model: &Model<'_>, input: &[i8], rows: NonZeroU16) -> Vec<Vec<i8>> {
    let mut arena = Aligned::new(model.arena_len());
    let (ops, mut outputs) = (model.ops().collect::<Vec<_>>(), Vec::new());
    let mut interpreter = prepared::<K>(model, &mut arena, input);
    while let Some(Step { operator, complete }) = interpreter.step_rows(rows) {
        if complete {
            outputs.push(interpreter.arena()[ops[operator].output().range()].to_vec());
        }
    }
    outputs
}

/// A model with its input, in an arena whose other bytes are anything.
///
/// # Panics
/// When the input or the arena has not the model's length.
pub fn prepared<'m, 'a, K: Kernels>(model: &Model<'m>, arena: &'a mut [i8], input: &[i8]) -> Interpreter<'m, 'a> {
    arena.iter_mut().enumerate().for_each(|(index, byte)| *byte = (index * 89 + 7) as i8);
    let mut interpreter = Interpreter::with_kernels::<K>(*model, arena).expect("the arena has the length asked for");
    interpreter.input_mut().copy_from_slice(input);
    interpreter
}
