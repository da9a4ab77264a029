//! [`Model::parse`]: everything about a blob is checked here, once.

use crate::cost::Cost;
use crate::decision::{classes, is_sigmoid};
use crate::error::{Error, OpError};
use crate::format::{
    ALIGN, Calibration, FIRST_ANCILLARY, Golden, HEADER_LEN, ImageInput, Info, MAGIC, Op, RECORD_LEN, Section, Tensor,
    VERSION, arena_len, blob_crc, section, total_len,
};
use crate::kernels::{Kernel, Linked};
use crate::operators::check::check_tensor;
use crate::rows::{end, overlaps, region, without_rows};
use crate::work::Work;

/// Longest arena in bytes that a model may ask for.
const ARENA_MAX: u32 = 1 << 30;

/// A checked model: a view of a blob, some hundred bytes large. Its operators are decoded from flash as they run.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    info: Info<'a>,
    labels: &'a [u8],
    program: Program<'a>,
    golden: Option<Golden<'a>>,
    calibration: Option<Calibration>,
    arena_len: usize,
    crc: u32,
    /// Whether the last operator makes probabilities of each logit alone.
    sigmoid: bool,
}

/// The operators, and what they run with.
#[derive(Clone, Copy, Debug)]
struct Program<'a> {
    records: &'a [[u8; RECORD_LEN]],
    weights: &'a [u8],
    linked: &'static Linked,
}

impl<'a> Model<'a> {
    /// Checks a blob: checksum, structure, every operator's geometry and constants, absence of overflow, and that each
    /// operator reads rows that earlier ones wrote. Afterwards nothing can fail.
    ///
    /// Takes time in proportion to the blob's length, see [`READS_PER_BYTE`](crate::READS_PER_BYTE). How long a run takes
    /// is not limited, but [known](Self::cost).
    ///
    /// # Errors
    /// Names what is wrong. Never panics, whatever the bytes.
    pub fn parse(blob: &'a [u8]) -> Result<Self, Error> {
        Self::parse_with(blob, Linked::ANY)
    }

    /// The same where only some kernels are linked, on which the model runs, and a run may take so much.
    ///
    /// # Errors
    /// [`Error::NotLinked`] names the first that is missing, [`Error::Cost`] says what a run takes that takes more than
    /// [`Linked::most`]; otherwise those of [`parse`](Self::parse).
    pub fn parse_with(blob: &'a [u8], linked: &'static Linked) -> Result<Self, Error> {
        let crc = check_frame(blob)?;
        let sections = Sections::find(blob)?;
        // Read where it stays, for a copy takes a hundred bytes of stack.
        let manifest = take::<Info>(sections.manifest);
        let (info, rest) = manifest.as_ref().map_err(|&why| why)?;
        let (labels, rest) = skip_labels(rest, info.labels)?;
        let (records, left_over) = sections.operators.as_chunks();
        if !rest.is_empty() || !left_over.is_empty() || records.len() != usize::from(info.ops) {
            return Err(Error::BadManifest);
        }
        let (program, arena_len) = (Program { records, weights: sections.weights, linked }, arena_len(blob));
        let sigmoid = program.last().as_ref().is_some_and(|op| is_sigmoid(op, &info.logits));
        check_info(info, sigmoid)?;
        let cost = program.check(info, arena_len, blob.len())?;
        if !cost.is_within(linked.most()) {
            return Err(Error::Cost { mebi: cost.mebi() });
        }
        let golden = check_golden(sections.golden, info)?;
        let calibration = check_calibration(sections.calibration, info, &program)?;
        Ok(Self { info: *info, labels, program, golden, calibration, arena_len, crc, sigmoid })
    }

    /// What the model is.
    #[must_use]
    pub fn info(&self) -> &Info<'a> {
        &self.info
    }

    /// Number of classes: one a channel of the logits, but two where a sigmoid of one logit tells them apart.
    #[must_use]
    pub fn classes(&self) -> usize {
        classes(&self.info.logits, self.sigmoid) as usize
    }

    /// Whether the last operator is a table that makes a probability of each logit alone.
    #[must_use]
    pub fn ends_in_sigmoid(&self) -> bool {
        self.sigmoid
    }

    /// Names of the [classes](Self::classes), in their order; none when they have no names.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.labels;
        core::iter::from_fn(move || {
            let (label, after) = postcard::take_from_bytes(rest).ok()?;
            rest = after;
            Some(label)
        })
    }

    /// The operators in execution order.
    pub fn ops(&self) -> impl Iterator<Item = Op> + use<'a> {
        let Program { records, linked, .. } = self.program;
        records.iter().filter_map(|record| linked.read(record))
    }

    /// The operators' records.
    pub(crate) fn records(&self) -> &'a [[u8; RECORD_LEN]] {
        self.program.records
    }

    /// The kernels that it runs on.
    #[must_use]
    pub fn linked(&self) -> &'static Linked {
        self.program.linked
    }

    /// The weights section, which operators address by offset.
    #[must_use]
    pub fn weights(&self) -> &'a [u8] {
        self.program.weights
    }

    /// The test vector, where the blob has one.
    #[must_use]
    pub fn golden(&self) -> Option<&Golden<'a>> {
        self.golden.as_ref()
    }

    /// When the model should rather not answer, where the blob says so.
    #[must_use]
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// Bytes of arena that [`Interpreter::new`](crate::Interpreter::new) needs.
    #[must_use]
    pub fn arena_len(&self) -> usize {
        self.arena_len
    }

    /// CRC-32 of the blob: tells models apart.
    #[must_use]
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// What a run takes at most.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        // Parsing has shown that it can be counted.
        self.ops().for_each(|op| _ = op.account(&mut cost, &mut 0));
        cost
    }

    /// The tensor that the last operator makes: probabilities, or the logits when there is no softmax or sigmoid.
    #[must_use]
    pub fn output(&self) -> Tensor {
        self.program.last().as_ref().map_or(self.info.logits, |op| *op.output())
    }

    /// The tensor that an operator makes.
    pub(crate) fn output_of(&self, operator: usize) -> Option<Tensor> {
        self.program.get(operator).as_ref().map(|op| *op.output())
    }
}

/// Operators are read where they stay: a copy of one takes a hundred bytes of stack.
impl Program<'_> {
    fn get(&self, operator: usize) -> Option<Op> {
        self.records.get(operator).and_then(|record| self.linked.read(record))
    }

    fn last(&self) -> Option<Op> {
        self.get(self.records.len().wrapping_sub(1))
    }

    // Apart from its caller, which has a large frame of its own.
    #[inline(never)]
    fn check(&self, info: &Info<'_>, arena_len: usize, blob_len: usize) -> Result<Cost, Error> {
        let input = &info.input.tensor;
        let (mut cost, mut work) = (Cost::default(), Work::on(blob_len));
        let mut needed = end(input.offset, input.len() as u32);
        let mut index = 0_u16;
        for record in self.records {
            let fail = |why| Error::Op { index, why };
            let kernel = Kernel::of(record).ok_or(fail(OpError::Undecodable))?;
            let entry = self.linked.get(kernel).ok_or(Error::NotLinked { index, kernel })?;
            let op = (entry.read)(record);
            let op = op.as_ref().ok_or(fail(OpError::Undecodable))?;
            op.inputs().chain([op.output()]).try_for_each(check_tensor).map_err(fail)?;
            work.take(op.weights()).then_some(()).ok_or(Error::Work)?;
            (entry.check)(op, self.weights).map_err(fail)?;
            check_overlap(op).map_err(fail)?;
            let intact = op.inputs().all(|tensor| self.is_intact(tensor, index.into(), input, &mut work));
            intact.then_some(()).ok_or(work.or(fail(OpError::Dataflow)))?;
            op.account(&mut cost, &mut needed).then_some(()).ok_or(fail(OpError::Cost))?;
            // The manifest counts operators in 16 bits.
            index = index.wrapping_add(1);
        }
        if !self.is_intact(&info.logits, self.records.len(), input, &mut work) {
            return Err(work.or(Error::BadInfo));
        }
        let needed = needed.checked_next_multiple_of(ALIGN as u32).unwrap_or(u32::MAX);
        if needed as usize != arena_len || needed > ARENA_MAX {
            return Err(Error::ArenaMismatch { needed });
        }
        Ok(cost)
    }

    /// True when each row of `tensor` is a row of the network's input or of an output of the first `before` operators, and
    /// none of its bytes has been overwritten since, by an output or by scratch; false also where no more work is left.
    fn is_intact(&self, tensor: &Tensor, before: usize, input: &Tensor, work: &mut Work) -> bool {
        // From the last operator back: the rows that no operator looked at so far has touched.
        let mut left = *tensor;
        for operator in (0..before).rev() {
            if !work.take(RECORD_LEN as u32) {
                return false;
            }
            let op = self.get(operator);
            let Some(op) = &op else { continue };
            if overlaps(region(&left), (op.scratch_offset(), op.scratch_len())) {
                return false;
            }
            match without_rows(&left, op.output()) {
                Some(rest) if rest.height == 0 => return true,
                Some(rest) => left = rest,
                None => return false,
            }
        }
        without_rows(&left, input).is_some_and(|rest| rest.height == 0)
    }
}

fn check_info(info: &Info<'_>, sigmoid: bool) -> Result<(), Error> {
    let Info { input, logits, labels, temperature, ops, .. } = info;
    check_tensor(&input.tensor).map_err(|_| Error::BadInfo)?;
    check_tensor(logits).map_err(|_| Error::BadInfo)?;
    let channels = |image: &ImageInput| input.tensor.channels as usize == image.color.channels();
    let channels = input.kind.image().is_none_or(channels);
    let classes = *labels == 0 || classes(logits, sigmoid) == u32::from(*labels);
    let temperature = temperature.is_finite() && *temperature > 0.0;
    if channels && classes && temperature && *ops > 0 { Ok(()) } else { Err(Error::BadInfo) }
}

fn check_golden<'a>(bytes: Option<&'a [u8]>, info: &Info<'_>) -> Result<Option<Golden<'a>>, Error> {
    let Some(bytes) = bytes else { return Ok(None) };
    let (golden, rest) = postcard::take_from_bytes::<Golden>(bytes).map_err(|_| Error::BadGolden)?;
    let fits = golden.seed != 0
        && golden.logits.len() == info.logits.len()
        && golden.layers.len() == usize::from(info.ops) * 4;
    if fits && rest.is_empty() { Ok(Some(golden)) } else { Err(Error::BadGolden) }
}

fn check_calibration(
    bytes: Option<&[u8]>,
    info: &Info<'_>,
    program: &Program<'_>,
) -> Result<Option<Calibration>, Error> {
    let Some(bytes) = bytes else { return Ok(None) };
    let (calibration, rest) = postcard::take_from_bytes::<Calibration>(bytes).map_err(|_| Error::BadCalibration)?;
    let share = |share: f32| (0.0..=1.0).contains(&share);
    let logits = &info.logits;
    let over_logits = |op: &Op| matches!(op, Op::Softmax(op) if op.input == *logits) || is_sigmoid(op, logits);
    let fits = share(calibration.coverage)
        && share(calibration.accuracy)
        && logits.height == 1
        && logits.width == 1
        && program.last().as_ref().is_some_and(over_logits);
    if fits && rest.is_empty() { Ok(Some(calibration)) } else { Err(Error::BadCalibration) }
}

/// Checks everything that needs no decoding; gives the CRC.
fn check_frame(blob: &[u8]) -> Result<u32, Error> {
    if !(blob.as_ptr() as usize).is_multiple_of(ALIGN) {
        return Err(Error::Misaligned);
    }
    let Some((header, _)) = blob.split_first_chunk::<HEADER_LEN>() else {
        return Err(Error::Truncated);
    };
    let [m0, m1, m2, m3, v0, v1, _, _, _, _, _, _, c0, c1, c2, c3, ..] = *header;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(Error::BadMagic);
    }
    let version = u16::from_le_bytes([v0, v1]);
    if version != VERSION {
        return Err(Error::Version(version));
    }
    let len = total_len(blob);
    if blob.len() < len {
        return Err(Error::Truncated);
    }
    if blob.len() > len {
        return Err(Error::TrailingBytes);
    }
    let crc = u32::from_le_bytes([c0, c1, c2, c3]);
    if blob_crc(blob) != crc {
        return Err(Error::BadCrc);
    }
    if header.iter().skip(20).any(|&byte| byte != 0) {
        return Err(Error::BadHeader);
    }
    Ok(crc)
}

struct Sections<'a> {
    manifest: &'a [u8],
    operators: &'a [u8],
    weights: &'a [u8],
    golden: Option<&'a [u8]>,
    calibration: Option<&'a [u8]>,
}

impl<'a> Sections<'a> {
    fn find(blob: &'a [u8]) -> Result<Self, Error> {
        let entries = Section::table(blob).ok_or(Error::Truncated)?;
        let (mut manifest, mut operators, mut weights, mut golden, mut calibration) = (None, None, None, None, None);
        for entry in entries {
            let bytes = entry.bytes(blob).ok_or(Error::BadSection(entry.id))?;
            let slot = match entry.id {
                section::MANIFEST => &mut manifest,
                section::OPERATORS => &mut operators,
                section::WEIGHTS => &mut weights,
                section::GOLDEN => &mut golden,
                section::CALIBRATION => &mut calibration,
                id if id >= FIRST_ANCILLARY => continue,
                id => return Err(Error::UnknownSection(id)),
            };
            if slot.replace(bytes).is_some() {
                return Err(Error::DuplicateSection(entry.id));
            }
        }
        Ok(Self {
            manifest: manifest.ok_or(Error::MissingSection(section::MANIFEST))?,
            operators: operators.ok_or(Error::MissingSection(section::OPERATORS))?,
            weights: weights.ok_or(Error::MissingSection(section::WEIGHTS))?,
            golden,
            calibration,
        })
    }
}

// Not inlined, so that its stack is not in use while operators are checked.
#[inline(never)]
fn check_overlap(op: &Op) -> Result<(), OpError> {
    let output = op.output();
    let scratch = (op.scratch_offset(), op.scratch_len());
    let allowed = |input: &Tensor| {
        let distance = i64::from(output.offset) - i64::from(input.offset);
        let kept = !input.overlaps(output) || op.overlap(input).is_some_and(|overlap| overlap.allows(distance));
        kept && !overlaps(region(input), scratch)
    };
    let fine = op.inputs().all(allowed) && !overlaps(region(output), scratch);
    if fine { Ok(()) } else { Err(OpError::Overlap) }
}

#[inline(never)]
fn take<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), Error> {
    postcard::take_from_bytes(bytes).map_err(|_| Error::BadManifest)
}

/// Splits off the bytes of the first `count` labels.
fn skip_labels(bytes: &[u8], count: u16) -> Result<(&[u8], &[u8]), Error> {
    let mut rest = bytes;
    for _ in 0..count {
        (_, rest) = take::<&str>(rest)?;
    }
    bytes.split_at_checked(bytes.len().wrapping_sub(rest.len())).ok_or(Error::BadManifest)
}
