//! What each operator of a device's model makes of an input.

use anyhow::{Result, ensure};
use no_std_device::link::{Excerpt, Picture, Request, Response};
use no_std_infer::golden::checksum;

use super::{Device, DeviceResult, int8, other_answer, same_model};

/// A value of a device that is not the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherValue {
    /// Its index in the operator's output.
    pub index: usize,
    /// The device's value.
    pub found: i8,
}

impl Device {
    /// Runs the network on an input; gives the checksum of each operator's output, and the result, whose costs of operators are
    /// left out.
    ///
    /// # Errors
    /// Those of [`Self::infer_picture`].
    pub fn trace(&mut self, input: &[i8]) -> Result<(Vec<u32>, DeviceResult)> {
        let (bytes, model) = (self.bytes(input)?, self.model());
        self.conversation.ask(&Request::Trace(Picture::Input(&bytes)), |answer| match answer {
            Response::Trace(traced) => {
                let mut result = DeviceResult::of(&traced, model)?;
                Ok((std::mem::take(&mut result.layers), result))
            }
            _ => other_answer(),
        })
    }

    /// The first value of an operator's output that is not the expected one, by asking for parts of the output whose length halves
    /// each time; `None` where the device gives the expected output now.
    ///
    /// # Errors
    /// Those of [`Self::infer_picture`], and where the operator's output is shorter than expected.
    pub fn first_other_value(&mut self, input: &[i8], operator: u16, expected: &[i8]) -> Result<Option<OtherValue>> {
        let bytes = self.bytes(input)?;
        // What comes before `start` is as expected; what comes from `end` on does not matter.
        let (mut start, mut end, mut next) = (0, expected.len(), expected.len());
        while start < end {
            let wanted = &expected[start..next];
            let of = Excerpt { operator, offset: start as u32, len: wanted.len() as u32 };
            let (found, values) = self.excerpt(&bytes, of)?;
            if let Some(at) = values.iter().zip(wanted).position(|(found, wanted)| found != wanted) {
                return Ok(Some(OtherValue { index: start + at, found: values[at] }));
            }
            if found == checksum(wanted) {
                start = next;
            } else {
                start += values.len();
                end = next;
            }
            next = start + end.saturating_sub(start).div_ceil(2);
        }
        Ok(None)
    }

    fn bytes(&self, input: &[i8]) -> Result<Vec<u8>> {
        self.check_len(input.len())?;
        Ok(input.iter().map(|&value| value as u8).collect())
    }

    /// The checksum of some values, and the first of them.
    fn excerpt(&mut self, input: &[u8], of: Excerpt) -> Result<(u32, Vec<i8>)> {
        let expected = self.model();
        let request = Request::Excerpt { of, picture: Picture::Input(input) };
        self.conversation.ask(&request, |answer| match answer {
            Response::Excerpt { model, checksum, values } => {
                same_model(expected, model)?;
                ensure!(!values.is_empty(), "the device has no memory for a single value of an output");
                Ok((checksum, int8(values)))
            }
            _ => other_answer(),
        })
    }
}
