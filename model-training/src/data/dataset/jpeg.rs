//! JPEG files that their decoder would take without a word and read wrongly.

use anyhow::{Result, ensure};

/// Refuses a file that is cut off, whose missing part the decoder fills with grey, and one that is coded block by block
/// with a scan for each component, of which it makes other colours.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    let segments: Vec<Segment> = Segments { bytes, at: 2 }.collect();
    let complete = segments.last().is_some_and(|segment| segment.marker == END);
    ensure!(complete, "is truncated: its end-of-image marker is missing");
    let components = |marker: std::ops::RangeInclusive<u8>, at: usize| {
        let found = segments.iter().filter(move |segment| marker.contains(&segment.marker));
        found.filter_map(move |segment| segment.content.get(at)).copied()
    };
    let all = components(SEQUENTIAL, 5).max().unwrap_or(0);
    let apart = components(SCAN..=SCAN, 0).any(|of_scan| of_scan < all);
    ensure!(
        !apart,
        "is a JPEG file with a scan for each component, which cannot be read: save it again as an ordinary one"
    );
    Ok(())
}

/// Whether the file is coded in several scans, so that its decoder keeps all coefficients.
pub(super) fn is_progressive(bytes: &[u8]) -> bool {
    let frame =
        Segments { bytes, at: 2 }.find(|segment| FRAME.contains(&segment.marker) && !TABLES.contains(&segment.marker));
    frame.is_none_or(|frame| !SEQUENTIAL.contains(&frame.marker))
}

const END: u8 = 0xD9;
const SCAN: u8 = 0xDA;
/// Frames whose blocks are coded whole: baseline and extended. Those of progressive files need several scans.
const SEQUENTIAL: std::ops::RangeInclusive<u8> = 0xC0..=0xC1;

/// Frames of every kind, and among their markers those that are none.
const FRAME: std::ops::RangeInclusive<u8> = 0xC0..=0xCF;
const TABLES: [u8; 3] = [0xC4, 0xC8, 0xCC];

struct Segment<'a> {
    marker: u8,
    content: &'a [u8],
}

/// The segments of a file up to its end-of-image marker; coded data between them are skipped.
struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        // Between segments and in the coded data of a scan, FF and a byte other than 00 and FF is a marker.
        loop {
            let &[first, marker] = self.bytes.get(self.at..self.at + 2)? else { return None };
            match (first, marker) {
                (0xFF, END) => {
                    self.at = self.bytes.len();
                    return Some(Segment { marker, content: &[] });
                }
                (0xFF, 0xC0..=0xCF | SCAN..=0xFE) => {
                    let &[high, low] = self.bytes.get(self.at + 2..self.at + 4)? else { return None };
                    let end = self.at + 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
                    let content = self.bytes.get(self.at + 4..end)?;
                    self.at = end;
                    return Some(Segment { marker, content });
                }
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{Rgb, RgbImage};

    use super::*;

    fn encoded() -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = RgbImage::from_fn(24, 16, |x, y| Rgb([(x * 10) as u8, (y * 15) as u8, 60]));
        JpegEncoder::new(&mut bytes).encode_image(&picture).unwrap();
        bytes
    }

    #[test]
    fn every_truncation_is_noticed() {
        let bytes = encoded();
        assert!(check(&bytes).is_ok());
        assert!((0..bytes.len()).all(|length| check(&bytes[..length]).is_err()));
    }

    #[test]
    fn an_end_marker_inside_a_thumbnail_does_not_count() {
        let jpeg = encoded();
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9];
        bytes.extend(&jpeg[2..]);
        assert!(check(&bytes).is_ok());
        assert!(check(&bytes[..bytes.len() - 2]).is_err());
    }
}
