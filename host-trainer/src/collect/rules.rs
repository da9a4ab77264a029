//! Which frames are worth saving, where nobody looks at each.

use super::NEAR;

/// A frame that differs so much from what was saved before is worth saving: twice what near copies differ by.
pub const CHANGED: f32 = 2.0 * NEAR;

/// What a frame must be to be saved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Every frame is.
    Every,
    /// The model is unsure of it: its probability, in 256ths, is below this, or below the model's own threshold.
    Unsure(Option<u8>),
    /// It differs from those that were saved last by this distance or more.
    Changed(f32),
    /// The float network names another class than the device.
    Disagreeing,
}

/// What is known of a frame when it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The device's probability, in 256ths.
    pub probability: u8,
    /// Whether that reaches the model's threshold.
    pub sure: bool,
    /// By how much the frame differs from those that were saved last.
    pub distance: f32,
    /// The classes that the device and the float network name for this very frame, where there is a float network.
    pub classes: Option<[usize; 2]>,
}

impl Rule {
    /// Whether the frame is to be saved.
    #[must_use]
    pub fn takes(self, frame: &Candidate) -> bool {
        match self {
            Self::Every => true,
            Self::Unsure(None) => !frame.sure,
            Self::Unsure(Some(threshold)) => frame.probability < threshold,
            Self::Changed(distance) => frame.distance >= distance,
            Self::Disagreeing => frame.classes.is_some_and(|[device, float]| device != float),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of which the device is sure, and which the float network sees as well.
    const PLAIN: Candidate = Candidate { probability: 200, sure: true, distance: 3.0, classes: Some([1, 1]) };

    #[test]
    fn each_rule_takes_its_frames_and_no_others() {
        let unsure = Candidate { sure: false, ..PLAIN };
        let changed = Candidate { distance: CHANGED, ..PLAIN };
        let disagreeing = Candidate { classes: Some([1, 2]), ..PLAIN };
        let unknown = Candidate { classes: None, ..PLAIN };
        let cases = [PLAIN, unsure, changed, disagreeing, unknown];
        let taken = |rule: Rule| cases.map(|frame| rule.takes(&frame));
        assert_eq!(taken(Rule::Every), [true; 5]);
        assert_eq!(taken(Rule::Unsure(None)), [false, true, false, false, false]);
        assert_eq!(taken(Rule::Unsure(Some(200))), [false; 5]);
        assert_eq!(taken(Rule::Unsure(Some(201))), [true; 5]);
        assert_eq!(taken(Rule::Changed(CHANGED)), [false, false, true, false, false]);
        assert_eq!(taken(Rule::Disagreeing), [false, false, false, true, false]);
    }
}
