extern crate std;

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// The bytes of a picture with what is needed to read it.
#[derive(Clone, Debug)]
struct Picture {
    format: PixelFormat,
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

impl Picture {
    fn frame(&self) -> Frame<'_> {
        Frame::new(self.format, self.width, self.height, &self.bytes).expect("a whole picture")
    }

    /// Output bytes as pixels.
    fn preprocess(&self, fit: Fit, (width, height): (u16, u16), color: Color) -> Vec<u8> {
        let mut output = vec![0; usize::from(width) * usize::from(height) * color.channels()];
        preprocess(&self.frame(), fit, &mut output, width, height, color).expect("a valid size");
        output.into_iter().map(|byte| (i16::from(byte) + 128) as u8).collect()
    }

    /// The same from one row at a time, and how many rows that took. Each row is followed by bytes that do not count.
    fn by_rows(&self, fit: Fit, (width, height): (u16, u16), color: Color) -> (Vec<u8>, usize) {
        let mut output = vec![99; usize::from(width) * usize::from(height) * color.channels()];
        let mut memory = vec![[u64::MAX; 3]; usize::from(width)];
        let geometry = self.frame().geometry();
        let resize = Resize::new(geometry, fit, width, height, color).expect("a valid size");
        let mut rows = Rows::new(resize, &mut output, &mut memory).expect("memory and output that fit");
        let mut taken = 0;
        for row in self.bytes.chunks(geometry.row_len()) {
            assert_eq!(
                rows.push_row(&row[1..]).err(),
                Some(ImageError::RowLength { expected: row.len(), found: row.len() - 1 })
            );
            let was_done = rows.is_done();
            assert_eq!(rows.push_row(&[row, &[77; 5]].concat()), Ok(rows.is_done()));
            taken += usize::from(!was_done);
        }
        assert!(rows.is_done(), "all rows have come");
        (output.into_iter().map(|byte| (i16::from(byte) + 128) as u8).collect(), taken)
    }

    /// The same by the loops for vectors, or their models; `None` where they are not for such a size.
    fn by_vectors(&self, fit: Fit, (width, height): (u16, u16), color: Color) -> Option<Vec<u8>> {
        let mut output = vec![99; usize::from(width) * usize::from(height) * color.channels()];
        let resize = Resize::new(self.frame().geometry(), fit, width, height, color).expect("a valid size");
        let done = resize.join_by_vectors(&self.frame(), &mut output);
        done.then(|| output.into_iter().map(|byte| (i16::from(byte) + 128) as u8).collect())
    }

    /// Components of one pixel, from the prose of the module.
    fn components(&self, x: u32, y: u32) -> [u8; 3] {
        let row = (y * self.width) as usize * self.format.bytes_per_pixel();
        let at = |byte: usize| self.bytes[row + byte];
        let x = x as usize;
        let packed =
            |high: u8, low: u8| color::rgb565(u16::from(high) * 256 + u16::from(low)).map(|component| component as u8);
        match self.format {
            PixelFormat::Rgb888 => [at(3 * x), at(3 * x + 1), at(3 * x + 2)],
            PixelFormat::Rgb565Be => packed(at(2 * x), at(2 * x + 1)),
            PixelFormat::Rgb565Le => packed(at(2 * x + 1), at(2 * x)),
            PixelFormat::Yuv422 => [at(2 * x), at(x / 2 * 4 + 1), at(x / 2 * 4 + 3)],
            PixelFormat::Grey8 => [at(x); 3],
            PixelFormat::Uyvy422 => [at(2 * x + 1), at(x / 2 * 4), at(x / 2 * 4 + 2)],
        }
    }

    /// The picture mirrored left to right.
    fn flipped(&self) -> Self {
        let mut flipped = self.clone();
        let bytes_per_pixel = self.format.bytes_per_pixel();
        for row in flipped.bytes.chunks_exact_mut(self.width as usize * bytes_per_pixel) {
            if self.format.is_yuv() {
                let luma = if self.format == PixelFormat::Yuv422 { 0 } else { 1 };
                row.chunks_exact_mut(4).for_each(|pair| pair.swap(luma, luma + 2));
                let pairs: Vec<_> = row.chunks_exact(4).rev().flatten().copied().collect();
                row.copy_from_slice(&pairs);
            } else {
                let pixels: Vec<_> = row.chunks_exact(bytes_per_pixel).rev().flatten().copied().collect();
                row.copy_from_slice(&pixels);
            }
        }
        flipped
    }
}

/// Weights of all source pixels for one output pixel, and their sum, stated without a search for the first and last.
fn naive_weights(source: i128, output: i128, index: i128) -> (Vec<i128>, i128) {
    if source >= output {
        let common = |k: i128| ((k + 1) * output).min((index + 1) * source) - (k * output).max(index * source);
        return ((0..source).map(|k| common(k).max(0)).collect(), source);
    }
    // A triangle of half-width 1 pixel around the centre, over a picture whose border pixels repeat outwards.
    let position = (2 * index + 1) * source - output;
    let mut weights = vec![0; source as usize];
    for k in -1..=source {
        weights[k.clamp(0, source - 1) as usize] += (2 * output - (position - 2 * output * k).abs()).max(0);
    }
    (weights, 2 * output)
}

/// First pixel and length of the crop along one side.
fn naive_crop(fit: Fit, side: i128, other: i128, out_side: i128, out_other: i128) -> (i128, i128) {
    if fit == Fit::Stretch || side * out_other <= other * out_side {
        return (0, side);
    }
    let length = ((2 * other * out_side + out_other).div_euclid(2 * out_other)).max(1);
    ((side - length).div_euclid(2), length)
}

/// The definition in the module's documentation, in wide integers over every pixel of the crop.
fn naive(picture: &Picture, fit: Fit, (out_width, out_height): (u16, u16), color: Color) -> Vec<u8> {
    let (width, height) = (i128::from(picture.width), i128::from(picture.height));
    let (out_w, out_h) = (i128::from(out_width), i128::from(out_height));
    let (left, crop_width) = naive_crop(fit, width, height, out_w, out_h);
    let (top, crop_height) = naive_crop(fit, height, width, out_h, out_w);
    let mut pixels = Vec::new();
    for y in 0..out_h {
        let (rows, rows_total) = naive_weights(crop_height, out_h, y);
        for x in 0..out_w {
            let (columns, columns_total) = naive_weights(crop_width, out_w, x);
            let mut sums = [0_i128; 3];
            for (row, row_weight) in (top..).zip(&rows) {
                for (column, column_weight) in (left..).zip(&columns) {
                    let components = picture.components(column as u32, row as u32);
                    for (sum, component) in sums.iter_mut().zip(components) {
                        *sum += row_weight * column_weight * i128::from(component);
                    }
                }
            }
            let total = rows_total * columns_total;
            let rounded = sums.map(|sum| u8::try_from((2 * sum + total).div_euclid(2 * total)).expect("a mean of u8"));
            pixels.extend(&color::convert(rounded, picture.format, color)[..color.channels()]);
        }
    }
    pixels
}

fn any_picture(side: u32) -> impl Strategy<Value = Picture> {
    (prop::sample::select(PixelFormat::ALL.to_vec()), 1..=side, 1..=side).prop_flat_map(|(format, width, height)| {
        let width = if format.is_yuv() { width.next_multiple_of(2) } else { width };
        let len = (width * height) as usize * format.bytes_per_pixel();
        prop::collection::vec(any::<u8>(), len).prop_map(move |bytes| Picture { format, width, height, bytes })
    })
}

fn any_fit() -> impl Strategy<Value = Fit> {
    prop::sample::select(vec![Fit::Stretch, Fit::Crop])
}

fn any_color() -> impl Strategy<Value = Color> {
    prop::sample::select(vec![Color::Rgb, Color::Grey])
}

proptest! {
    #[test]
    fn equals_the_definition(picture in any_picture(24), size in (1_u16..24, 1_u16..24), fit in any_fit(), color in any_color()) {
        prop_assert_eq!(picture.preprocess(fit, size, color), naive(&picture, fit, size, color));
    }

    #[test]
    fn vectors_give_the_bytes_of_the_definition(
        picture in any_picture(40), size in (1_u16..40, 1_u16..40), fit in any_fit(), color in any_color(),
    ) {
        let found = picture.by_vectors(fit, size, color);
        let [width, height] = [picture.width, picture.height];
        let shrinks = width >= size.0.into() && height >= size.1.into();
        if fit == Fit::Stretch && shrinks && width * height > 1 {
            prop_assert!(found.is_some());
        }
        if let Some(found) = found {
            prop_assert_eq!(found, naive(&picture, fit, size, color));
        }
    }

    #[test]
    fn rows_give_the_bytes_of_the_whole(
        picture in any_picture(40), size in (1_u16..40, 1_u16..40), fit in any_fit(), color in any_color(),
    ) {
        let (found, taken) = picture.by_rows(fit, size, color);
        prop_assert_eq!(found, picture.preprocess(fit, size, color));
        let crop = naive_crop(fit, picture.height.into(), picture.width.into(), size.1.into(), size.0.into());
        prop_assert_eq!(taken as i128, crop.0 + crop.1, "done with the last row of the crop");
    }

    #[test]
    fn both_orders_of_yuv_give_the_same_bytes(
        (pairs, height, seed) in (1_u32..12, 1_u32..24, any::<u32>()), size in (1_u16..24, 1_u16..24), color in any_color(),
    ) {
        let yuyv = noise(PixelFormat::Yuv422, 2 * pairs, height, seed);
        let mut uyvy = Picture { format: PixelFormat::Uyvy422, ..yuyv.clone() };
        uyvy.bytes.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
        prop_assert_eq!(uyvy.preprocess(Fit::Stretch, size, color), yuyv.preprocess(Fit::Stretch, size, color));
    }

    #[test]
    fn same_size_keeps_every_pixel(picture in any_picture(24), fit in any_fit()) {
        let expected: Vec<_> = (0..picture.height)
            .flat_map(|y| (0..picture.width).map(move |x| (x, y)))
            .flat_map(|(x, y)| color::convert(picture.components(x, y), picture.format, Color::Rgb))
            .collect();
        prop_assert_eq!(picture.preprocess(fit, (picture.width as u16, picture.height as u16), Color::Rgb), expected);
    }

    #[test]
    fn constant_stays_constant(
        format in prop::sample::select(PixelFormat::ALL.to_vec()), pair in any::<[u8; 4]>(), (width, height) in (1_u32..80, 1_u32..80),
        size in (1_u16..80, 1_u16..80), fit in any_fit(), color in any_color(),
    ) {
        let width = width.next_multiple_of(2);
        let unit = if format.is_yuv() { 4 } else { format.bytes_per_pixel() };
        let bytes: Vec<_> = pair[..unit].repeat((width * height) as usize * format.bytes_per_pixel() / unit);
        let mut picture = Picture { format, width, height, bytes };
        if format.is_yuv() {
            let luma = if format == PixelFormat::Yuv422 { 0 } else { 1 };
            picture.bytes.chunks_exact_mut(4).for_each(|pair| pair[luma + 2] = pair[luma]);
        }
        let pixel = color::convert(picture.components(0, 0), format, color);
        let output = picture.preprocess(fit, size, color);
        prop_assert!(output.chunks_exact(color.channels()).all(|found| found == &pixel[..color.channels()]));
    }

    #[test]
    fn shrinking_by_integers_is_the_plain_mean(
        (out_width, out_height) in (1_u16..8, 1_u16..8), (by_x, by_y) in (1_u32..9, 1_u32..9), seed in any::<u32>(),
    ) {
        let (width, height) = (u32::from(out_width) * by_x, u32::from(out_height) * by_y);
        let picture = noise(PixelFormat::Grey8, width, height, seed);
        let output = picture.preprocess(Fit::Stretch, (out_width, out_height), Color::Grey);
        for (index, found) in (0..).zip(output) {
            let (x, y) = (index % u32::from(out_width) * by_x, index / u32::from(out_width) * by_y);
            let block = (0..by_x * by_y).map(|k| (x + k % by_x, y + k / by_x));
            let sum: u32 = block.map(|(x, y)| u32::from(picture.bytes[(y * width + x) as usize])).sum();
            prop_assert_eq!(u32::from(found), (2 * sum + by_x * by_y) / (2 * by_x * by_y));
        }
    }

    #[test]
    fn a_mirrored_picture_gives_the_mirrored_input(picture in any_picture(24), size in (1_u16..24, 1_u16..24), color in any_color()) {
        let mirrored = picture.flipped().preprocess(Fit::Stretch, size, color);
        let original = picture.preprocess(Fit::Stretch, size, color);
        for (row, expected) in
            mirrored.chunks(usize::from(size.0) * color.channels()).zip(original.chunks(usize::from(size.0) * color.channels()))
        {
            let back: Vec<_> = row.chunks(color.channels()).rev().flatten().copied().collect();
            prop_assert_eq!(&back[..], expected);
        }
    }

    #[test]
    fn brighter_pixels_never_darken_and_no_value_leaves_the_range(
        picture in any_picture(16), size in (1_u16..24, 1_u16..24), fit in any_fit(), step in 1_u8..50,
    ) {
        prop_assume!(matches!(picture.format, PixelFormat::Rgb888 | PixelFormat::Grey8));
        let output = picture.preprocess(fit, size, Color::Rgb);
        let (min, max) = (picture.bytes.iter().min(), picture.bytes.iter().max());
        prop_assert!(output.iter().min() >= min && output.iter().max() <= max);
        let mut brighter = picture;
        brighter.bytes.iter_mut().step_by(3).for_each(|byte| *byte = byte.saturating_add(step));
        let lit = brighter.preprocess(fit, size, Color::Rgb);
        prop_assert!(output.iter().zip(&lit).all(|(before, after)| before <= after));
    }

    #[test]
    fn padded_rows_change_nothing(picture in any_picture(12), gap in 0_usize..5, size in (1_u16..12, 1_u16..12)) {
        let row = picture.width as usize * picture.format.bytes_per_pixel();
        let padded: Vec<_> = picture.bytes.chunks(row).flat_map(|row| row.iter().copied().chain(vec![99; gap])).collect();
        let frame = Frame::with_stride(picture.format, picture.width, picture.height, row + gap, &padded).unwrap();
        let mut read = Vec::new();
        while let more @ [_, ..] = frame.bytes_from(read.len()) {
            read.extend_from_slice(more);
        }
        prop_assert_eq!(&read, &picture.bytes);
        prop_assert!(!picture.frame().bytes_from(1).is_empty() || picture.bytes.len() == 1);
        prop_assert!(frame.bytes_from(usize::MAX).is_empty());
        let mut output = vec![0; usize::from(size.0) * usize::from(size.1) * 3];
        preprocess(&frame, Fit::Crop, &mut output, size.0, size.1, Color::Rgb).unwrap();
        let output: Vec<_> = output.into_iter().map(|byte| byte as u8 ^ 0x80).collect();
        prop_assert_eq!(output, picture.preprocess(Fit::Crop, size, Color::Rgb));
    }
}

fn noise(format: PixelFormat, width: u32, height: u32, seed: u32) -> Picture {
    let mut state = seed | 1;
    let bytes = (0..width as usize * height as usize * format.bytes_per_pixel())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 24) as u8
        })
        .collect();
    Picture { format, width, height, bytes }
}

#[test]
fn wide_pictures_take_few_columns_together() {
    for (format, width, size) in
        [(PixelFormat::Yuv422, 540, 10), (PixelFormat::Rgb565Le, 320, 96), (PixelFormat::Rgb888, 55, 1)]
    {
        let picture = noise(format, width, 7, width);
        let found = picture.by_vectors(Fit::Stretch, (size, 3), Color::Rgb);
        assert_eq!(
            found,
            (width <= 54 * u32::from(size)).then(|| naive(&picture, Fit::Stretch, (size, 3), Color::Rgb))
        );
    }
}

#[test]
fn sums_beyond_32_bits_are_exact() {
    for (width, height, size) in [(5473, 3649, (1, 2)), (65_535, 257, (3, 1)), (3, 65_535, (1, 300))] {
        let picture = noise(PixelFormat::Grey8, width, height, 7);
        let bright = Picture { bytes: vec![255; picture.bytes.len()], ..picture.clone() };
        assert!(bright.preprocess(Fit::Stretch, size, Color::Grey).iter().all(|&pixel| pixel == 255));
        let found = picture.preprocess(Fit::Stretch, size, Color::Grey);
        assert_eq!(found, naive(&picture, Fit::Stretch, size, Color::Grey), "{width} x {height}");
        assert_eq!(picture.by_rows(Fit::Stretch, size, Color::Grey).0, found, "{width} x {height} by rows");
    }
}

#[test]
fn enlarging_to_the_greatest_side_is_exact() {
    let picture = noise(PixelFormat::Grey8, 65_534, 1, 3);
    let found = picture.preprocess(Fit::Stretch, (u16::MAX, 1), Color::Grey);
    for index in [0, 1, 2, 30_000, 32_767, 32_768, 65_533, 65_534] {
        let (weights, total) = naive_weights(65_534, 65_535, index);
        let sum: i128 = weights.iter().zip(&picture.bytes).map(|(weight, &byte)| weight * i128::from(byte)).sum();
        assert_eq!(i128::from(found[index as usize]), (2 * sum + total) / (2 * total), "{index}");
    }
    assert_eq!(picture.by_rows(Fit::Stretch, (u16::MAX, 1), Color::Grey).0, found);
    let column = Picture { width: 1, height: 65_534, ..picture };
    assert_eq!(column.preprocess(Fit::Stretch, (1, u16::MAX), Color::Grey), found);
    assert_eq!(column.by_rows(Fit::Stretch, (1, u16::MAX), Color::Grey).0, found);
}

#[test]
fn worked_examples() {
    let row = |bytes: &[u8]| Picture {
        format: PixelFormat::Grey8,
        width: bytes.len() as u32,
        height: 1,
        bytes: bytes.to_vec(),
    };
    let stretch = |bytes: &[u8], width| row(bytes).preprocess(Fit::Stretch, (width, 1), Color::Grey);
    assert_eq!(stretch(&[0, 100], 4), [0, 25, 75, 100]);
    assert_eq!(stretch(&[0, 1], 1), [1]);
    assert_eq!(stretch(&[10, 20, 60], 2), [13, 47]);
    assert_eq!(stretch(&[9], 3), [9, 9, 9]);
    assert_eq!(row(&[1, 2, 3, 4, 5]).preprocess(Fit::Crop, (2, 1), Color::Grey), [2, 3]);
    assert_eq!(row(&[1, 2, 3, 4]).preprocess(Fit::Crop, (1, 1), Color::Rgb), [2, 2, 2]);

    let mut output = [0; 2];
    let ends = Frame::new(PixelFormat::Grey8, 2, 1, &[0, 255]).unwrap();
    preprocess(&ends, Fit::Stretch, &mut output, 2, 1, Color::Grey).unwrap();
    assert_eq!(output, [-128, 127]);
}

#[test]
fn bad_frames_and_outputs_are_named() {
    let frame = |format, width, height, len| Frame::new(format, width, height, &vec![0; len]).err();
    let length = |expected, found| Some(ImageError::FrameLength { expected, found });
    assert_eq!(frame(PixelFormat::Rgb888, 0, 3, 0), Some(ImageError::EmptyFrame));
    assert_eq!(frame(PixelFormat::Rgb888, 3, 0, 0), Some(ImageError::EmptyFrame));
    assert_eq!(frame(PixelFormat::Grey8, 65_536, 1, 65_536), Some(ImageError::TooLarge));
    assert_eq!(frame(PixelFormat::Grey8, 1, u32::MAX, 1), Some(ImageError::TooLarge));
    assert_eq!(frame(PixelFormat::Yuv422, 3, 2, 12), Some(ImageError::OddWidth));
    assert_eq!(frame(PixelFormat::Rgb888, 3, 2, 17), length(18, 17));
    assert_eq!(frame(PixelFormat::Rgb565Be, 3, 2, 13), length(12, 13));
    assert_eq!(frame(PixelFormat::Grey8, 65_535, 65_535, 5), length(4_294_836_225, 5));

    let strided = |stride, len| Frame::with_stride(PixelFormat::Rgb565Le, 3, 2, stride, &vec![0; len]).err();
    assert_eq!(strided(5, 12), Some(ImageError::Stride));
    assert_eq!(strided(8, 13), length(14, 13));
    assert_eq!(strided(usize::MAX, 99), length(usize::MAX, 99));
    assert_eq!([strided(8, 14), strided(8, 16), strided(8, 99)], [None; 3]);

    let frame = Frame::new(PixelFormat::Grey8, 1, 1, &[200]).unwrap();
    let into = |width, height, len: usize| {
        let mut output = vec![7; len];
        let result = preprocess(&frame, Fit::Crop, &mut output, width, height, Color::Rgb);
        assert!(result.is_ok() || output.iter().all(|&byte| byte == 7));
        result
    };
    assert_eq!(into(0, 1, 0), Err(ImageError::EmptyOutput));
    assert_eq!(into(1, 0, 0), Err(ImageError::EmptyOutput));
    assert_eq!(into(2, 1, 5), Err(ImageError::OutputLength { expected: 6, found: 5 }));
    assert_eq!(into(2, 1, 6), Ok(()));

    let geometry = |format, width, height| Geometry::new(format, width, height).err();
    assert_eq!(geometry(PixelFormat::Uyvy422, 3, 2), Some(ImageError::OddWidth));
    assert_eq!(geometry(PixelFormat::Uyvy422, 0, 2), Some(ImageError::EmptyFrame));
    assert_eq!(geometry(PixelFormat::Uyvy422, 2, 65_536), Some(ImageError::TooLarge));
    let resize = Resize::new(frame.geometry(), Fit::Crop, 2, 1, Color::Rgb).unwrap();
    let rows = |len: usize, entries: usize| Rows::new(resize, &mut vec![0; len], &mut vec![[0; 3]; entries]).err();
    assert_eq!(rows(5, 2), Some(ImageError::OutputLength { expected: 6, found: 5 }));
    assert_eq!(rows(6, 1), Some(ImageError::Memory { expected: 2, found: 1 }));
    assert_eq!([rows(6, 2), rows(6, 3)], [None; 2]);
    assert!(ImageError::FrameLength { expected: 18, found: 17 }.to_string().contains("17 bytes"));
}
