//! A blob taken apart, so that a mutation changes what it means to and leaves the rest whole.

use crc::{Crc, Table};
use no_std_infer::Model;
use no_std_infer::format::{ALIGN, HEADER_LEN, Header, Info, Op, SECTION_LEN, Section, Tensor, section};

/// The blob's checksum by larger tables: twice as fast.
static CRC32: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&crc::CRC_32_ISO_HDLC);
/// Longest manifest that is written, in bytes.
const MANIFEST_MAX: usize = 1024;

/// The parts of a blob.
#[derive(Debug)]
pub struct Parts<'s> {
    /// The manifest's first message; its count of operators is set by [`write`](Self::write).
    pub info: Info<'s>,
    /// The rest of the manifest.
    pub labels: &'s [u8],
    /// The operators.
    pub ops: Vec<Op>,
    /// The weights section.
    pub weights: Vec<u8>,
    /// Sections that a reader may skip.
    pub others: Vec<(u32, &'s [u8])>,
    /// The arena's length in bytes, as the header has it.
    pub arena_len: u32,
}

/// Where there is memory already, without asking for more.
impl Clone for Parts<'_> {
    fn clone(&self) -> Self {
        let Self { info, labels, arena_len, .. } = *self;
        let (ops, weights, others) = (self.ops.clone(), self.weights.clone(), self.others.clone());
        Self { info, labels, ops, weights, others, arena_len }
    }

    fn clone_from(&mut self, source: &Self) {
        (self.info, self.labels, self.arena_len) = (source.info, source.labels, source.arena_len);
        self.ops.clone_from(&source.ops);
        self.weights.clone_from(&source.weights);
        self.others.clone_from(&source.others);
    }
}

impl<'s> Parts<'s> {
    /// Takes a blob apart; `None` when it is none.
    #[must_use]
    pub fn of(blob: &'s [u8]) -> Option<Self> {
        let model = Model::parse(blob).ok()?;
        let sections = || Section::table(blob).into_iter().flatten();
        let find = |id| sections().find(|section| section.id == id)?.bytes(blob);
        let (info, labels) = postcard::take_from_bytes(find(section::MANIFEST)?).ok()?;
        let required = [section::MANIFEST, section::OPERATORS, section::WEIGHTS];
        let others = sections().filter(|section| !required.contains(&section.id));
        Some(Self {
            info,
            labels,
            ops: model.ops().collect(),
            weights: model.weights().to_vec(),
            others: others.filter_map(|section| Some((section.id, section.bytes(blob)?))).collect(),
            arena_len: model.arena_len() as u32,
        })
    }

    /// Calls `change` for each tensor, those of the manifest included.
    pub fn map_tensors(&mut self, mut change: impl FnMut(&mut Tensor)) {
        change(&mut self.info.input.tensor);
        change(&mut self.info.logits);
        self.ops.iter_mut().for_each(|op| op.map_tensors(&mut change));
    }

    /// Writes the blob in place of what `blob` holds, checksum and all.
    pub fn write(&self, blob: &mut Vec<u8>) {
        let sections = 3 + self.others.len();
        blob.clear();
        blob.resize((HEADER_LEN + sections * SECTION_LEN).next_multiple_of(ALIGN), 0);
        let info = Info { ops: self.ops.len() as u16, ..self.info };
        let mut manifest = [0; MANIFEST_MAX];
        let manifest = postcard::to_slice(&info, &mut manifest).map_or(&[][..], |manifest| &*manifest);
        let mut table = HEADER_LEN;
        let mut add = |id, parts: [&[u8]; 2], records: &[Op]| {
            let offset = blob.len();
            parts.iter().for_each(|part| blob.extend_from_slice(part));
            records.iter().for_each(|op| blob.extend_from_slice(&op.to_record()));
            let entry = Section { id, offset: offset as u32, len: (blob.len() - offset) as u32 };
            blob[table..table + SECTION_LEN].copy_from_slice(&entry.to_bytes());
            table += SECTION_LEN;
            blob.resize(blob.len().next_multiple_of(ALIGN), 0);
        };
        add(section::MANIFEST, [manifest, self.labels], &[]);
        add(section::OPERATORS, [&[]; 2], &self.ops);
        add(section::WEIGHTS, [&self.weights, &[]], &[]);
        self.others.iter().for_each(|&(id, bytes)| add(id, [bytes, &[]], &[]));
        let (total_len, arena_len) = (blob.len() as u32, self.arena_len);
        let header = Header { sections: sections as u16, total_len, crc: 0, arena_len };
        blob[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        repair(blob);
    }
}

/// Makes length and checksum right; `blob` has a header.
pub fn repair(blob: &mut [u8]) {
    let len = blob.len() as u32;
    blob[8..12].copy_from_slice(&len.to_le_bytes());
    let mut digest = CRC32.digest();
    digest.update(&blob[..12]);
    digest.update(&blob[16..]);
    blob[12..16].copy_from_slice(&digest.finalize().to_le_bytes());
}
