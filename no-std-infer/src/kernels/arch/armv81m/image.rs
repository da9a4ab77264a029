//! Frames made smaller: weighted sums of rows, then of columns, of four pixels at a time.
#![allow(unsafe_code)]

use crate::bounded::Bounded;

/// Most columns of a frame that are summed together.
pub const SPAN: usize = 60;
/// Most outputs that are made together.
pub const OUTPUTS: usize = 16;

/// Weighted sums of three components of neighbouring pixels.
pub type Sums = [[u32; SPAN]; 3];
/// Means of three components of neighbouring outputs.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Means(pub [[u8; OUTPUTS]; 3]);

/// Where the components of four neighbouring pixels lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// Each is a byte: the places of the first component of the four pixels, of the second and of the third.
    Bytes([[u32; 4]; 3]),
    /// Each pixel has 16 bits, 5 of red, 6 of green and 5 of blue: the places of their upper bytes, and of the lower ones.
    Bits16([[u32; 4]; 2]),
}

/// Rows of a frame, and what they weigh.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// How many.
    pub count: usize,
    /// Bytes from one to the next.
    pub pitch: usize,
    /// The first one's weight, with the last one's where they are one row.
    pub first: u32,
    /// What those between weigh.
    pub middle: u32,
    /// The last one's weight.
    pub last: u32,
}

/// Which columns' sums make an output, and what they weigh, for some outputs.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Columns {
    /// Four times the number of an output's first column.
    pub offset: [u32; OUTPUTS],
    /// The first column's weight.
    pub first: [u32; OUTPUTS],
    /// That of the column after those between.
    pub edge: [u32; OUTPUTS],
    /// That of the column after this one.
    pub last: [u32; OUTPUTS],
    /// Outputs.
    pub count: usize,
    /// Columns between the first one and the edge, the same number for all outputs.
    pub between: usize,
    /// What each of them weighs.
    pub middle: u32,
}

/// A number that sums are divided by.
#[derive(Clone, Copy, Debug)]
pub struct Divisor {
    half: u32,
    reciprocal: u32,
    shift: u32,
}

#[cfg(nsi_armv81m)]
#[repr(C)]
struct RowArguments {
    source: *const u8,
    pitch: usize,
    count: usize,
    first: u32,
    middle: u32,
    last: u32,
    pixels: usize,
    four: usize,
    sums: *mut Sums,
    places: *const [u32; 4],
}

#[cfg(nsi_armv81m)]
#[repr(C)]
struct ColumnArguments {
    sums: *const Sums,
    table: *const Columns,
    count: usize,
    between: usize,
    middle: u32,
    half: u32,
    reciprocal: u32,
    shift: i32,
    means: *mut Means,
}

#[cfg(nsi_armv81m)]
crate::kernels::arch::assembly! {
    fn no_std_infer_mve_image_rows(arguments: *const RowArguments);
    fn no_std_infer_mve_image_rows_of_16_bits(arguments: *const RowArguments);
    fn no_std_infer_mve_image_columns(arguments: *const ColumnArguments);
    fn no_std_infer_mve_image_yuv_to_rgb(means: *mut Means, shares: *const Shares);
    fn no_std_infer_mve_image_write(means: *const Means, output: *mut i8, count: usize);
}

impl Pixels {
    /// Places of bytes.
    fn places(&self) -> &[[u32; 4]] {
        match self {
            Self::Bytes(places) => places,
            Self::Bits16(places) => places,
        }
    }

    /// Bytes up to the end of so many pixels, 1 or more, `four` bytes for each four.
    fn reach(&self, pixels: usize, four: usize) -> usize {
        let last = pixels.minus(1);
        let ends = self.places().iter().filter_map(|places| places.get(last % 4)).max();
        (last / 4).times(four).plus(ends.map_or(0, |&end| end as usize)).plus(1)
    }
}

impl Rows {
    /// Writes the weighted sums of the first `pixels` pixels of the rows in `source`, where four take `four` bytes. Does nothing
    /// when there are none, too many, or not all inside the source.
    pub fn sum(self, source: &[u8], layout: &Pixels, four: usize, pixels: usize, sums: &mut Sums) {
        let before = self.count.checked_sub(1).and_then(|rows| rows.checked_mul(self.pitch));
        let end = before.and_then(|before| before.checked_add(layout.reach(pixels.max(1), four)));
        if pixels == 0 || pixels > SPAN || end.is_none_or(|end| end > source.len()) {
            return debug_assert!(false, "the rows lie in the source");
        }
        #[cfg(nsi_armv81m)]
        // SAFETY: it reads the bytes of the pixels' components, those beyond the last pixel predicated; the furthest of the last
        // row lies inside `source`, as checked. It writes sums of whole fours of pixels, for which there is room, since `SPAN` is a
        // multiple of four. It keeps the calling convention.
        unsafe {
            let function = match layout {
                Pixels::Bytes(_) => no_std_infer_mve_image_rows,
                Pixels::Bits16(_) => no_std_infer_mve_image_rows_of_16_bits,
            };
            function(&RowArguments {
                source: source.as_ptr(),
                pitch: self.pitch,
                count: self.count,
                first: self.first,
                middle: self.middle,
                last: self.last,
                pixels,
                four,
                sums,
                places: layout.places().as_ptr(),
            });
        }
        #[cfg(not(nsi_armv81m))]
        for pixel in 0..pixels {
            let mut totals = [0_u32; 3];
            for row in 0..self.count {
                let byte = |places: [u32; 4]| source[row * self.pitch + pixel / 4 * four + places[pixel % 4] as usize];
                let components = match *layout {
                    Pixels::Bytes(places) => places.map(byte),
                    Pixels::Bits16([upper, lower]) => {
                        let (upper, lower) = (byte(upper), byte(lower));
                        let green = upper << 5 | lower >> 3;
                        [upper & 0xF8 | upper >> 5, green & 0xFC | green >> 6, lower << 3 | (lower << 3) >> 5]
                    }
                };
                let weight = match row {
                    0 => self.first,
                    _ if row + 1 == self.count => self.last,
                    _ => self.middle,
                };
                for (total, component) in totals.iter_mut().zip(components) {
                    *total = total.wrapping_add(weight.wrapping_mul(component.into()));
                }
            }
            for (sums, total) in sums.iter_mut().zip(totals) {
                sums[pixel] = total;
            }
        }
    }
}

impl Columns {
    /// Writes the means of all outputs. Does nothing when there are none, too many, or some have columns beyond the sums.
    pub fn average(&self, sums: &Sums, divisor: Divisor, means: &mut Means) {
        let reach = self.between.plus(2);
        let inside = |&offset: &u32| offset.is_multiple_of(4) && (offset as usize / 4).plus(reach) < SPAN;
        if self.count == 0 || self.count > OUTPUTS || !self.offset.iter().all(inside) {
            return debug_assert!(false, "the columns are among the sums");
        }
        #[cfg(nsi_armv81m)]
        // SAFETY: for each of the 16 entries of the table it reads the sums of its columns, which are words and lie inside, as
        // checked; it writes means of whole fours of outputs, of which there are 16. It keeps the calling convention.
        unsafe {
            no_std_infer_mve_image_columns(&ColumnArguments {
                sums,
                table: self,
                count: self.count,
                between: self.between,
                middle: self.middle,
                half: divisor.half,
                reciprocal: divisor.reciprocal,
                shift: 0_i32.wrapping_sub_unsigned(divisor.shift),
                means,
            });
        }
        #[cfg(not(nsi_armv81m))]
        for (sums, means) in sums.iter().zip(&mut means.0) {
            for (output, mean) in means.iter_mut().enumerate().take(self.count) {
                let at = |column: usize| sums[self.offset[output] as usize / 4 + column];
                let mut sum = at(0).wrapping_mul(self.first[output]);
                for column in 0..self.between {
                    sum = sum.wrapping_add(at(1 + column).wrapping_mul(self.middle));
                }
                sum = sum.wrapping_add(at(1 + self.between).wrapping_mul(self.edge[output]));
                sum = sum.wrapping_add(at(2 + self.between).wrapping_mul(self.last[output]));
                *mean = divisor.divide(sum);
            }
        }
    }
}

/// How colours follow from YUV, in parts of 2^16.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Shares {
    /// Of V in red.
    pub red_v: i32,
    /// Of U in green.
    pub green_u: i32,
    /// Of V in green.
    pub green_v: i32,
    /// Of U in blue.
    pub blue_u: i32,
}

impl Means {
    /// Makes red, green and blue of Y, U and V.
    pub fn yuv_to_rgb(&mut self, shares: &Shares) {
        #[cfg(nsi_armv81m)]
        // SAFETY: it reads and writes the means, and reads the shares. It keeps the calling convention.
        unsafe {
            no_std_infer_mve_image_yuv_to_rgb(self, shares);
        }
        #[cfg(not(nsi_armv81m))]
        {
            let [red, green, blue] = &mut self.0;
            for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
                let (y, u, v) = (i32::from(*red), i32::from(*green) - 128, i32::from(*blue) - 128);
                let sum = |share: i32| (y + ((share + (1 << 15)) >> 16)).clamp(0, 255) as u8;
                *red = sum(shares.red_v * v);
                *green = sum(shares.green_u * u + shares.green_v * v);
                *blue = sum(shares.blue_u * u);
            }
        }
    }

    /// Writes the components of as many outputs as there is room for, 16 at most, beside each other, each 128 less.
    pub fn write(&self, output: &mut [i8]) {
        let count = (output.len() / 3).min(OUTPUTS);
        if count == 0 {
            return;
        }
        #[cfg(nsi_armv81m)]
        // SAFETY: it reads the means and writes three bytes for each output, the others predicated; there is room for so many. It
        // keeps the calling convention.
        unsafe {
            no_std_infer_mve_image_write(self, output.as_mut_ptr(), count);
        }
        #[cfg(not(nsi_armv81m))]
        for (index, pixel) in output.chunks_exact_mut(3).take(count).enumerate() {
            for (out, means) in pixel.iter_mut().zip(&self.0) {
                *out = means[index].wrapping_sub(128) as i8;
            }
        }
    }
}

impl Divisor {
    /// A divisor of sums that are at most 255 times as large; `None` of 1, and of those that have no reciprocal of 32 bits.
    ///
    /// With `2^shift < divisor` the reciprocal `r`, which is `2^(32 + shift) / divisor` rounded up, is less than 2^32. It is too
    /// large by `e / divisor`, where `e = r · divisor - 2^(32 + shift)`, so that for a sum `x`
    /// `x · r / 2^(32 + shift) = x / divisor + x · e / (divisor · 2^(32 + shift))`. Where `x · e < 2^(32 + shift)` what is added is
    /// less than `1 / divisor`, and both are rounded down to the same number.
    pub fn new(divisor: u32) -> Option<Self> {
        let shift = divisor.checked_sub(1)?.checked_ilog2()?;
        let (wide, half) = (u64::from(divisor), u64::from(divisor / 2));
        let power = 1_u64.checked_shl(shift.plus(32))?;
        let reciprocal = power.checked_div(wide)?.plus(u64::from(power.checked_rem(wide)? > 0));
        let excess = reciprocal.checked_mul(wide)?.checked_sub(power)?;
        let largest = wide.checked_mul(255)?.checked_add(half)?;
        let exact = u32::try_from(largest).is_ok() && largest.checked_mul(excess)? < power;
        let reciprocal = u32::try_from(reciprocal).ok()?;
        exact.then_some(Self { half: divisor / 2, reciprocal, shift })
    }

    /// A sum divided, rounded to the nearest number, halves up.
    #[cfg(not(nsi_armv81m))]
    fn divide(self, sum: u32) -> u8 {
        let product = u64::from(sum.wrapping_add(self.half)) * u64::from(self.reciprocal);
        (product >> 32 >> self.shift) as u8
    }
}

#[cfg(all(test, not(nsi_armv81m)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn division_is_exact(divisor in 2_u32..1 << 24, bits in 0_u32..23, quotient in 0_u32..=255, off in -2_i64..=2, anywhere: u32) {
            for divisor in [divisor, (divisor >> bits).max(2), 1 << (bits + 1)] {
                let Some(reciprocal) = Divisor::new(divisor) else { continue };
                let limit = 255 * u64::from(divisor);
                let near = (u64::from(divisor) * u64::from(quotient) + u64::from(divisor / 2)).saturating_add_signed(off);
                for sum in [near.min(limit), u64::from(anywhere) % (limit + 1), limit] {
                    let expected = (sum + u64::from(divisor / 2)) / u64::from(divisor);
                    prop_assert_eq!(u64::from(reciprocal.divide(sum as u32)), expected, "{} / {}", sum, divisor);
                }
            }
        }
    }

    #[test]
    fn usual_divisors_have_reciprocals() {
        assert!(Divisor::new(0).is_none() && Divisor::new(1).is_none() && Divisor::new(u32::MAX).is_none());
        for side in 2..=2048 {
            assert!(Divisor::new(side * side).is_some(), "{side}");
        }
    }
}
