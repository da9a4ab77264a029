//! Planes spread out so that each tap of a convolution is a shift.

/// Positions are padded to a multiple of it, so that they are whole vectors.
const SLACK: usize = 32;

/// How a plane and its padding lie in memory: apart by the residues of row and column modulo `step`, each part in `rows` rows
/// of `pitch` values. Of all the outputs of a convolution with this stride, those between two rows included, the inputs of one
/// tap are then one run of values, which starts at the tap's [`Spread::shift`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub step: usize,
    /// Rows of padding above, columns left.
    pub before: [usize; 2],
    /// Height and width of the plane.
    pub plane: [usize; 2],
    pub rows: usize,
    pub pitch: usize,
}

/// What a row of a part and a row of the plane have in common.
struct Line {
    /// Index of the first value in the part; the others follow.
    spread: usize,
    /// Index of the first value in the plane; the others follow `step` apart.
    plane: usize,
    len: usize,
}

impl Spread {
    /// Values of a spread plane.
    pub fn len(&self) -> usize {
        self.step * self.step * self.part()
    }

    /// Room for spread planes and for what vectors read behind the last.
    pub fn buffer(&self, planes: usize) -> Vec<f32> {
        vec![0.0; planes * self.len() + self.pitch + SLACK]
    }

    /// Values of a part in whole vectors.
    pub fn positions(&self) -> usize {
        self.part().next_multiple_of(SLACK)
    }

    /// Where the inputs of the tap in this row and column start.
    pub fn shift(&self, [row, column]: [usize; 2]) -> usize {
        let residue = row % self.step * self.step + column % self.step;
        residue * self.part() + row / self.step * self.pitch + column / self.step
    }

    /// Spreads a plane; the padding is left as it is.
    pub fn fill(&self, plane: &[f32], spread: &mut [f32]) {
        let residues = (0..self.step).flat_map(|row| (0..self.step).map(move |column| [row, column]));
        for (residue, part) in residues.zip(spread.chunks_exact_mut(self.part())) {
            for line in self.lines(residue) {
                let to = &mut part[line.spread..][..line.len];
                if self.step == 1 {
                    to.copy_from_slice(&plane[line.plane..][..line.len]);
                } else {
                    to.iter_mut().zip(plane[line.plane..].iter().step_by(self.step)).for_each(|(to, from)| *to = *from);
                }
            }
        }
    }

    /// Spreads planes that follow one another.
    pub fn fill_all(&self, planes: &[f32], spread: &mut [f32]) {
        let planes = planes.chunks_exact(self.plane[0] * self.plane[1]);
        planes.zip(spread.chunks_exact_mut(self.len())).for_each(|(plane, spread)| self.fill(plane, spread));
    }

    /// Copies a part back to the plane; its padding is left out.
    pub fn collect(&self, residue: [usize; 2], part: &[f32], plane: &mut [f32]) {
        for line in self.lines(residue) {
            let from = &part[line.spread..][..line.len];
            if self.step == 1 {
                plane[line.plane..][..line.len].copy_from_slice(from);
            } else {
                plane[line.plane..].iter_mut().step_by(self.step).zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }

    /// Spreads planes into one part whose every position has a value for each of `channels`, one after the other.
    pub fn interleave(&self, planes: &[f32], channels: usize, positions: &mut [f32]) {
        let [height, width] = self.plane;
        for line in self.lines([0, 0]) {
            let row = &mut positions[line.spread * channels..][..line.len * channels];
            for (channel, plane) in planes.chunks_exact(height * width).enumerate() {
                let to = row[channel..].iter_mut().step_by(channels);
                to.zip(&plane[line.plane..][..line.len]).for_each(|(to, from)| *to = *from);
            }
        }
    }

    fn part(&self) -> usize {
        self.rows * self.pitch
    }

    fn lines(self, [row, column]: [usize; 2]) -> impl Iterator<Item = Line> {
        let ([top, left], [height, width], step) = (self.before, self.plane, self.step);
        let first = left.saturating_sub(column).div_ceil(step);
        let start = first * step + column - left;
        let len = width.saturating_sub(start).div_ceil(step).min(self.pitch.saturating_sub(first));
        (0..self.rows).filter_map(move |index| {
            let y = (index * step + row).checked_sub(top).filter(|&y| y < height && len > 0)?;
            Some(Line { spread: index * self.pitch + first, plane: y * width + start, len })
        })
    }
}
