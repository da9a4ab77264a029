//! Which bytes of the arena tensors share, and what is left of one's rows where another's are taken away.

use crate::format::Tensor;

pub(crate) fn end(offset: u32, len: u32) -> u32 {
    offset.saturating_add(len)
}

pub(crate) fn region(tensor: &Tensor) -> (u32, u32) {
    (tensor.offset, tensor.len() as u32)
}

/// True when two regions, each (offset, length), share a byte.
pub(crate) fn overlaps(a: (u32, u32), b: (u32, u32)) -> bool {
    a.1 > 0 && b.1 > 0 && a.0 < end(b.0, b.1) && b.0 < end(a.0, a.1)
}

/// The rows of `tensor` that are left when those of `made` are taken away, at its beginning or its end; `None` when they share
/// bytes in another way than rows of the same kind do, or rows on both sides are left.
pub(crate) fn without_rows(tensor: &Tensor, made: &Tensor) -> Option<Tensor> {
    if !tensor.overlaps(made) {
        return Some(*tensor);
    }
    let row = u32::from(tensor.width).checked_mul(tensor.channels)?;
    let kind = |t: &Tensor| (t.width, t.channels, t.scale, t.zero_point);
    let aligned = tensor.offset.abs_diff(made.offset).checked_rem(row) == Some(0);
    if kind(tensor) != kind(made) || !aligned {
        return None;
    }
    let [from, to] = [made.offset, end(made.offset, made.len() as u32)];
    let [start, stop] = [tensor.offset, end(tensor.offset, tensor.len() as u32)];
    let (offset, stop) = if from <= start { (to.min(stop), stop) } else { (start, from) };
    let height = stop.saturating_sub(offset).checked_div(row)? as u16;
    (from <= start || to >= end(start, tensor.len() as u32)).then_some(Tensor { offset, height, ..*tensor })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What [`without_rows`] says, byte by byte: `None` where it must not tell what is left.
    fn by_bytes(tensor: &Tensor, made: &Tensor) -> Option<BTreeSet<usize>> {
        let [all, gone] = [tensor, made].map(|tensor| tensor.range().collect::<BTreeSet<usize>>());
        let row = tensor.row_len();
        let same_rows = (tensor.width, tensor.channels, tensor.scale, tensor.zero_point)
            == (made.width, made.channels, made.scale, made.zero_point)
            && tensor.offset as usize % row == made.offset as usize % row;
        let left: BTreeSet<usize> = all.difference(&gone).copied().collect();
        let in_one_piece = left.last().is_none_or(|last| last - left.first().unwrap_or(last) + 1 == left.len());
        (all.is_disjoint(&gone) || (same_rows && in_one_piece)).then_some(left)
    }

    /// All places of both tensors, in bytes and up to four rows, whose relation a larger one repeats: what is decided depends on
    /// the order of four ends, on the remainder of a distance by the row's length, and on whether kinds are equal.
    #[test]
    fn what_is_left_of_rows_is_what_is_left_of_their_bytes() {
        let tensor = |offset, [height, width]: [u16; 2], channels, scale, zero_point| Tensor {
            offset,
            height,
            width,
            channels,
            scale,
            zero_point,
        };
        let heights_and_widths = (1..=4).flat_map(|height| (1..=2).map(move |width| [height, width]));
        let [mut told, mut untold] = [0, 0];
        for (sides, channels) in heights_and_widths.clone().flat_map(|sides| [(sides, 1), (sides, 2)]) {
            let one = tensor(16, sides, channels, 1.0, 0);
            for (offset, other_sides) in
                (0..=33).flat_map(|at| heights_and_widths.clone().map(move |sides| (at, sides)))
            {
                for (channels, scale, zero_point) in [(1, 1.0, 0), (2, 1.0, 0), (channels, 0.5, 0), (channels, 1.0, 1)]
                {
                    let other = tensor(offset, other_sides, channels, scale, zero_point);
                    let left = without_rows(&one, &other);
                    let kind = |t: &Tensor| (t.width, t.channels, t.scale, t.zero_point);
                    assert!(left.is_none_or(|left| kind(&left) == kind(&one)), "{one:?} less {other:?}");
                    let bytes = left.map(|left| left.range().collect::<BTreeSet<usize>>());
                    assert_eq!(bytes, by_bytes(&one, &other), "{one:?} less {other:?}");
                    *(if bytes.is_some() { &mut told } else { &mut untold }) += 1;
                }
            }
        }
        assert!(told > 1000 && untold > 1000, "{told} {untold}");
    }

    #[test]
    fn regions_share_a_byte_where_their_sets_do() {
        let regions = || (0..6_u32).flat_map(|start| (0..4_u32).map(move |len| (start, len)));
        for (a, b) in regions().flat_map(|a| regions().map(move |b| (a, b))) {
            let shared = (a.0..a.0 + a.1).any(|byte| (b.0..b.0 + b.1).contains(&byte));
            assert_eq!(overlaps(a, b), shared, "{a:?} {b:?}");
        }
    }
}
