//! Writes the blob's bytes: the other direction of `Model::parse`. Knows the layout, not the network.

#[cfg(test)]
mod bounds;
pub mod emit;

use no_std_infer::format::{ALIGN, Calibration, HEADER_LEN, Header, Info, Op, SECTION_LEN, Section, blob_crc, section};
use no_std_infer::format::{Generator, Golden};
use no_std_infer::golden;
use no_std_infer::kernels::Generic;
use no_std_infer::{Error, Interpreter, Model};

use crate::aligned::Aligned;

/// The parts of a blob.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// The manifest's first message; its counts of labels and operators are set by [`write()`].
    pub info: Info<'a>,
    /// Names of the classes.
    pub labels: &'a [String],
    /// Operators in execution order, with planned offsets.
    pub ops: &'a [Op],
    /// The weights section.
    pub weights: &'a [u8],
    /// The section that says which layers the operators make, where it is needed.
    pub layers: Option<Vec<u8>>,
}

/// Bytes of arena that operators and input need: the end of the last region, rounded up to 16.
#[must_use]
pub fn arena_len(info: &Info<'_>, ops: &[Op]) -> u32 {
    let ends = ops.iter().flat_map(|op| {
        let scratch = op.scratch_offset() + op.scratch_len();
        [op.output().range().end as u32, scratch]
    });
    ends.fold(info.input.tensor.range().end as u32, u32::max).next_multiple_of(ALIGN as u32)
}

/// Lays the parts out as a blob, without golden vector. Checks nothing: `Model::parse` does.
#[must_use]
pub fn write(parts: &Parts<'_>) -> Aligned<u8> {
    assemble(parts, None)
}

/// Like [`write()`], with a golden vector made by running the model.
///
/// # Errors
/// Those of `Model::parse`.
pub fn write_with_golden(parts: &Parts<'_>, seed: u32) -> Result<Aligned<u8>, Error> {
    let plain = write(parts);
    let model = Model::parse(&plain)?;
    let mut arena = Aligned::new(model.arena_len());
    let mut interpreter = Interpreter::with_kernels::<Generic>(model, &mut arena)?;
    let (generator, mut layers) = (Generator::Xorshift32, Vec::new());
    golden::trace(&mut interpreter, generator, seed, |_, crc| layers.extend(crc.to_le_bytes()));
    let logits: Vec<u8> = interpreter.logits().iter().map(|&value| value as u8).collect();
    let golden = Golden { generator, seed, logits: &logits, layers: &layers };
    Ok(assemble(parts, Some(golden)))
}

fn message<T: serde::Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("writing the manifest's plain data to memory cannot fail")
}

fn assemble(parts: &Parts<'_>, golden: Option<Golden<'_>>) -> Aligned<u8> {
    let info = Info { labels: parts.labels.len() as u16, ops: parts.ops.len() as u16, ..parts.info };
    let mut manifest = message(&info);
    parts.labels.iter().for_each(|label| manifest.extend(message(label)));
    let operators = parts.ops.iter().flat_map(Op::to_record).collect();
    let mut sections = vec![
        (section::MANIFEST, manifest),
        (section::OPERATORS, operators),
        (section::WEIGHTS, parts.weights.to_vec()),
    ];
    sections.extend(parts.layers.clone().map(|layers| (section::LAYERS, layers)));
    sections.extend(golden.map(|golden| (section::GOLDEN, message(&golden))));
    lay_out(&sections, arena_len(&info, parts.ops))
}

/// The same blob with a calibration, in place of the one that it may have, and unsigned.
///
/// # Errors
/// Those of `Model::parse`, before or after.
pub fn with_calibration(blob: &[u8], calibration: &Calibration) -> Result<Aligned<u8>, Error> {
    with_sections(blob, &[section::NUMBER, section::SIGNATURE], vec![(section::CALIBRATION, message(calibration))])
}

/// The same blob without some sections and with others, which take the place of those of their ids.
///
/// # Errors
/// Those of `Model::parse`, before or after.
pub fn with_sections(blob: &[u8], without: &[u32], with: Vec<(u32, Vec<u8>)>) -> Result<Aligned<u8>, Error> {
    let arena_len = Model::parse(blob)?.arena_len() as u32;
    let kept = |id| !without.contains(&id) && with.iter().all(|(new, _)| *new != id);
    let entries = Section::table(blob).into_iter().flatten().filter(|entry| kept(entry.id));
    let mut sections: Vec<_> =
        entries.map(|entry| (entry.id, entry.bytes(blob).unwrap_or_default().to_vec())).collect();
    sections.extend(with);
    let blob = lay_out(&sections, arena_len);
    Model::parse(&blob)?;
    Ok(blob)
}

/// Header, table and sections.
fn lay_out(sections: &[(u32, Vec<u8>)], arena_len: u32) -> Aligned<u8> {
    let mut body = vec![0; (HEADER_LEN + sections.len() * SECTION_LEN).next_multiple_of(ALIGN)];
    for (index, (id, bytes)) in sections.iter().enumerate() {
        let entry = Section { id: *id, offset: body.len() as u32, len: bytes.len() as u32 };
        let at = HEADER_LEN + index * SECTION_LEN;
        body[at..at + SECTION_LEN].copy_from_slice(&entry.to_bytes());
        body.extend(bytes);
        body.resize(body.len().next_multiple_of(ALIGN), 0);
    }
    let header = Header { sections: sections.len() as u16, total_len: body.len() as u32, crc: 0, arena_len };
    body[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    repair_crc(&mut body);
    Aligned::copy_of(&body)
}

/// Sets the checksum of a blob to what its other bytes need.
pub fn repair_crc(blob: &mut [u8]) {
    let crc = blob_crc(blob);
    if let Some(field) = blob.get_mut(12..16) {
        field.copy_from_slice(&crc.to_le_bytes());
    }
}
