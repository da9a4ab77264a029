//! Which element of a tensor with channels last each element of an ONNX tensor is: what turns axes round without moving anything.

use std::rc::Rc;

use crate::import::Result;

/// Most elements of sides that become one.
const MERGED_MAX: usize = 1 << 20;
/// Most elements of a tensor.
const ELEMENTS_MAX: usize = 1 << 30;

/// The elements of an ONNX tensor by their places in another: the sum of a part for each side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    /// Place of the first element.
    base: i64,
    /// For each side, how much further each of its elements lies than its first.
    sides: Vec<Rc<[i32]>>,
}

/// How many elements sides have.
///
/// # Errors
/// When that are none, or too many.
pub(super) fn count(dims: &[usize]) -> Result<usize> {
    let count = dims.iter().try_fold(1_usize, |count, &side| count.checked_mul(side));
    let count = count.filter(|&count| count <= ELEMENTS_MAX);
    let count = count.ok_or_else(|| refused!(OutOfRange, "a tensor of {dims:?} is too large"))?;
    ensure!(count > 0, Unsupported, "a tensor of {dims:?} is empty");
    Ok(count)
}

/// Height, width and channels of a tensor in ONNX's order: batch, channels, height, width, of which the last may be left out.
///
/// # Errors
/// When there are more sides, or a batch of several.
pub(super) fn height_width_channels(dims: &[usize]) -> Result<[usize; 3]> {
    Ok(match *dims {
        [] => [1; 3],
        [channels] | [1, channels] => [1, 1, channels],
        [1, channels, width] => [1, width, channels],
        [1, channels, height, width] => [height, width, channels],
        _ => {
            return Err(refused!(
                Unsupported,
                "a tensor of {dims:?} is used as a picture: only a batch of one, channels, height and width are supported"
            ));
        }
    })
}

fn evenly(count: usize, step: usize) -> Rc<[i32]> {
    (0..count).map(|index| (index * step) as i32).collect()
}

impl View {
    /// The elements one after the other.
    pub(super) fn row_major(dims: &[usize]) -> Result<Self> {
        count(dims)?;
        let mut step = 1;
        let mut sides: Vec<Rc<[i32]>> = Vec::new();
        for &side in dims.iter().rev() {
            sides.push(evenly(side, step));
            step *= side;
        }
        sides.reverse();
        Ok(Self { base: 0, sides })
    }

    /// An ONNX tensor that lies with channels last.
    pub(super) fn channels_last(dims: &[usize]) -> Result<Self> {
        count(dims)?;
        let [_, width, channels] = height_width_channels(dims)?;
        let steps: &[usize] = match dims.len() {
            0 => &[],
            1 => &[1],
            2 => &[0, 1],
            3 => &[0, 1, channels],
            _ => &[0, 1, width * channels, channels],
        };
        Ok(Self { base: 0, sides: dims.iter().zip(steps).map(|(&side, &step)| evenly(side, step)).collect() })
    }

    /// Lengths of the sides.
    pub(super) fn dims(&self) -> Vec<usize> {
        self.sides.iter().map(|side| side.len()).collect()
    }

    /// How much memory it takes, in numbers.
    pub(super) fn size(&self) -> usize {
        self.sides.iter().map(|side| side.len()).sum()
    }

    /// The place of each element in their order.
    pub(super) fn places(&self) -> Result<Vec<usize>> {
        let merged = merged(&self.sides)?;
        Ok(merged.iter().map(|&place| (self.base + i64::from(place)) as usize).collect())
    }

    /// The same elements in the same order under other sides. None where the new sides would need places that are no sums.
    pub(super) fn reshaped(&self, dims: &[usize]) -> Result<Option<Self>> {
        let from: Vec<&Rc<[i32]>> = self.sides.iter().filter(|side| side.len() > 1).collect();
        let to: Vec<usize> = dims.iter().copied().filter(|&side| side != 1).collect();
        let (mut at, mut sides) = (0, Vec::new());
        let mut rest = to.as_slice();
        while at < from.len() {
            let (first, mut group) = (at, 0);
            let (mut there, mut here) = (from[at].len(), 1_usize);
            at += 1;
            while here != there {
                if here < there {
                    let Some(side) = rest.get(group) else { return Ok(None) };
                    here = here.saturating_mul(*side);
                    group += 1;
                } else {
                    let Some(side) = from.get(at) else { return Ok(None) };
                    there = there.saturating_mul(side.len());
                    at += 1;
                }
            }
            let (group, others) = rest.split_at(group);
            rest = others;
            match (&from[first..at], group) {
                ([side], [_]) => sides.push(Rc::clone(side)),
                (several, _) => {
                    let several: Vec<Rc<[i32]>> = several.iter().map(|side| Rc::clone(side)).collect();
                    let Some(parts) = parted(&merged(&several)?, group) else { return Ok(None) };
                    sides.extend(parts);
                }
            }
        }
        if !rest.is_empty() {
            return Ok(None);
        }
        let mut sides = sides.into_iter();
        let one: Rc<[i32]> = Rc::from([0]);
        let all = dims.iter().map(|&side| if side == 1 { Some(Rc::clone(&one)) } else { sides.next() });
        Ok(all.collect::<Option<Vec<_>>>().map(|sides| Self { base: self.base, sides }))
    }

    /// The sides in another order; each is named once.
    pub(super) fn transposed(&self, order: &[usize]) -> Option<Self> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        let all = sorted.iter().copied().eq(0..self.sides.len());
        let sides = order.iter().map(|&side| self.sides.get(side).cloned()).collect::<Option<Vec<_>>>()?;
        all.then_some(Self { base: self.base, sides })
    }

    /// Only these elements of a side, in this order.
    pub(super) fn selected(&self, side: usize, indices: &[usize]) -> Option<Self> {
        let table = self.sides.get(side)?;
        let chosen = indices.iter().map(|&index| table.get(index).copied()).collect::<Option<Vec<i32>>>()?;
        let first = *chosen.first()?;
        let mut sides = self.sides.clone();
        *sides.get_mut(side)? = chosen.iter().map(|place| place - first).collect();
        Some(Self { base: self.base + i64::from(first), sides })
    }

    /// Whether it is a whole tensor of these sides with channels last.
    pub(super) fn is_channels_last(&self) -> bool {
        Self::channels_last(&self.dims()).is_ok_and(|plain| plain == *self)
    }

    /// The channels that it has of a tensor of `[height, width, channels]`, of each pixel the same, in its order.
    pub(super) fn channels_of(&self, [height, width, channels]: [usize; 3]) -> Option<Vec<usize>> {
        let dims = self.dims();
        let [own_height, own_width, _] = height_width_channels(&dims).ok()?;
        let at = match dims.len() {
            0 => return None,
            1 => 0,
            _ => 1,
        };
        let whole = [1, channels, height, width];
        let plain = Self::channels_last(&whole[..dims.len().max(2)]).ok()?;
        let same = self.sides.iter().skip(2).eq(plain.sides.iter().skip(2));
        if [own_height, own_width] != [height, width] || !same {
            return None;
        }
        let places = self.sides[at].iter().map(|&place| usize::try_from(self.base + i64::from(place)).ok());
        places.collect::<Option<Vec<_>>>().filter(|places| places.iter().all(|&place| place < channels))
    }
}

/// Sides as one.
fn merged(sides: &[Rc<[i32]>]) -> Result<Vec<i32>> {
    let mut merged = vec![0];
    for side in sides {
        ensure!(
            merged.len().saturating_mul(side.len()) <= MERGED_MAX,
            OutOfRange,
            "more than {MERGED_MAX} elements in another order are not supported"
        );
        merged = merged.iter().flat_map(|&place| side.iter().map(move |&more| place + more)).collect();
    }
    Ok(merged)
}

/// One side as several, where places are sums of parts for each.
fn parted(table: &[i32], dims: &[usize]) -> Option<Vec<Rc<[i32]>>> {
    let mut step = table.len();
    let mut sides: Vec<Rc<[i32]>> = Vec::new();
    for &side in dims {
        step /= side;
        sides.push(table.iter().copied().step_by(step).take(side).collect());
    }
    (merged(&sides).ok()? == table).then_some(sides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flattening_and_turning_give_the_places_of_channels_last() {
        let picture = View::channels_last(&[1, 2, 1, 3]).unwrap();
        assert!(picture.is_channels_last());
        let flat = picture.reshaped(&[1, 6]).unwrap().unwrap();
        assert_eq!(flat.places().unwrap(), [0, 2, 4, 1, 3, 5]);
        assert!(!flat.is_channels_last());
        let last = picture.transposed(&[0, 2, 3, 1]).unwrap();
        assert_eq!(last.places().unwrap(), [0, 1, 2, 3, 4, 5]);
        assert!(last.reshaped(&[1, 6]).unwrap().unwrap().is_channels_last());
        assert_eq!(picture.reshaped(&[1, 3, 1, 2]).unwrap().map(|view| view.places().unwrap()), None);
        assert!(picture.transposed(&[0, 1, 1, 2]).is_none());
    }

    #[test]
    fn shuffled_channels_are_a_choice_of_channels() {
        let picture = View::channels_last(&[1, 6, 2, 2]).unwrap();
        let groups = picture.reshaped(&[1, 2, 3, 2, 2]).unwrap().unwrap();
        let shuffled = groups.transposed(&[0, 2, 1, 3, 4]).unwrap().reshaped(&[1, 6, 2, 2]).unwrap().unwrap();
        assert_eq!(shuffled.channels_of([2, 2, 6]), Some(vec![0, 3, 1, 4, 2, 5]));
        let half = shuffled.selected(1, &[3, 4, 5]).unwrap();
        assert_eq!(half.channels_of([2, 2, 6]), Some(vec![4, 2, 5]));
        assert_eq!(half.dims(), [1, 3, 2, 2]);
        assert_eq!(shuffled.selected(2, &[1]).unwrap().channels_of([2, 2, 6]), None, "a part of the rows");
        assert!(shuffled.selected(1, &[6]).is_none());
    }
}
