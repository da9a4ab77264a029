//! To be written by its owner.
/// Device.
pub struct Device;
/// Answer.
pub struct Answer {
    /// Class.
    pub class: usize,
    /// Logits.
    pub logits: Vec<i8>,
    /// Output.
    pub output: Vec<i8>,
    /// Instructions.
    pub total: u64,
    /// Stack.
    pub stack: u32,
}
impl Device {
    /// Starts.
    pub fn start(_blob: &[u8]) -> anyhow::Result<Self> {
        anyhow::bail!("not yet")
    }
    /// Infers.
    pub fn infer(&mut self, _input: &[i8]) -> anyhow::Result<Answer> {
        anyhow::bail!("not yet")
    }
}
