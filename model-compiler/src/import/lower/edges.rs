//! The network's ends: float and uint8 inputs and outputs are left to the program that calls the network.

use no_std_infer::format::Tensor;

use super::Lowering;
use super::functions::function_table;
use crate::import::Result;
use crate::import::model::{BuiltinOperator, Operator, TensorType, type_name};

impl Lowering<'_> {
    /// Declares the network's input: the file's, or the int8 tensor that is made from it first.
    pub(super) fn add_input(&mut self) -> Result<()> {
        let index = self.network.input;
        let tensor = &self.network.tensors[index];
        ensure!(
            !tensor.dynamic,
            Unsupported,
            "the shape of the input {} is not known before the model runs: export it with a fixed input shape, a batch of 1 included",
            tensor.name
        );
        let source = match tensor.element {
            TensorType::Int8 | TensorType::Uint8 => index,
            TensorType::Float32 => self.quantised_input(index)?,
            other => {
                return Err(refused!(
                    Unsupported,
                    "the input {} is of type {}, not INT8",
                    tensor.name,
                    type_name(other)
                ));
            }
        };
        let input = self.declare(source)?;
        self.builder.tensors.push(input);
        self.values[index] = Some(input);
        Ok(())
    }

    /// The tensor that a QUANTIZE makes from a float input.
    fn quantised_input(&self, index: usize) -> Result<usize> {
        let mut readers = self.operators.iter().filter(|op| op.inputs.contains(&Some(index)));
        let reader = readers.next().filter(|op| op.code == BuiltinOperator::Quantize);
        let name = self.network.tensors[index].name;
        let Some(reader) = reader.filter(|_| readers.next().is_none()) else {
            return Err(refused!(
                Unsupported,
                "the float input {name} is not quantised by one QUANTIZE operator, so this is no int8 model"
            ));
        };
        self.output(reader)
    }

    pub(super) fn add_quantize(&mut self, op: &Operator) -> Result<()> {
        let (input, index) = (self.input(op, 0)?, self.output(op)?);
        let name = self.network.tensors[index].name;
        if self.network.tensors[input].element == TensorType::Float32 {
            ensure!(input == self.network.input, Unsupported, "it quantises a float that the network computed");
            self.check_int8(index)?;
            self.values[index] = self.values[input];
            let tensor = self.quantisation(index)?;
            let (scale, zero_point) = (tensor.scale, tensor.zero_point);
            self.changes.push(format!("{name}: left out; the caller gives round(real / {scale}) + {zero_point}"));
            return Ok(());
        }
        let uint8 = |tensor: usize| self.network.tensors[tensor].element == TensorType::Uint8;
        let at_edge = |tensor: usize| tensor == self.network.input || tensor == self.network.output;
        for tensor in [input, index] {
            if !(uint8(tensor) && at_edge(tensor)) {
                self.check_int8(tensor)?;
            }
        }
        let [from, to] = self.quantisations(op)?;
        if uint8(input) || uint8(index) {
            self.changes.push(format!("{name}: UINT8 bytes are taken less 128, as INT8"));
        }
        if from == to {
            self.values[index] = self.values[input];
            return Ok(());
        }
        let table = function_table(op.code, &op.options, from, to)?;
        let value = self.values[input].ok_or_else(|| refused!(Damaged, "its input is read before it is made"))?;
        self.add_table_of(op, value, &table)
    }

    pub(super) fn add_dequantize(&mut self, op: &Operator) -> Result<()> {
        let (input, index) = (self.input(op, 0)?, self.output(op)?);
        let name = self.network.tensors[index].name;
        ensure!(
            index == self.network.output,
            Unsupported,
            "the network goes on in floats after it: quantise the whole model to int8"
        );
        let value: Tensor = self.activation(op, 0)?;
        let from = self.quantisation(input)?;
        self.values[index] = Some(value);
        self.changes
            .push(format!("{name}: left out; the caller computes {} * (byte - {})", from.scale, from.zero_point));
        Ok(())
    }
}
