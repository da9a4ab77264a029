//! Colour of one pixel.

use super::PixelFormat;
use crate::format::Color;
use crate::kernels::vectors::Shares;

/// Three components of a pixel, or weighted sums of them.
pub(super) type Components = [u32; 3];

/// Components of a resized pixel to red, green and blue, or to the grey value three times.
#[inline(always)]
pub(super) fn convert(components: [u8; 3], format: PixelFormat, color: Color) -> [u8; 3] {
    match (format.is_yuv(), color) {
        (true, Color::Rgb) => yuv_to_rgb(components),
        (true, Color::Grey) => {
            let [y, _, _] = components;
            [y; 3]
        }
        (false, Color::Rgb) => components,
        (false, Color::Grey) => [luma(components); 3],
    }
}

/// Bit replication of a 16-bit pixel.
pub(super) fn rgb565(pixel: u16) -> Components {
    let (red, green, blue) = (u32::from(pixel >> 11), u32::from(pixel >> 5 & 0x3f), u32::from(pixel & 0x1f));
    [red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2]
}

const HALF: i32 = 1 << 15;

/// How red, green and blue follow from Y, U and V.
pub(super) const SHARES: Shares = Shares { red_v: 91_881, green_u: -22_554, green_v: -46_802, blue_u: 116_130 };

fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((19_595 * i32::from(red) + 38_470 * i32::from(green) + 7_471 * i32::from(blue) + HALF) >> 16) as u8
}

fn yuv_to_rgb([y, u, v]: [u8; 3]) -> [u8; 3] {
    let (y, u, v) = (i32::from(y), i32::from(u) - 128, i32::from(v) - 128);
    let Shares { red_v, green_u, green_v, blue_u } = SHARES;
    let (red, blue) = (y + ((red_v * v + HALF) >> 16), y + ((blue_u * u + HALF) >> 16));
    let green = y + ((green_u * u + green_v * v + HALF) >> 16);
    [red.clamp(0, 255) as u8, green.clamp(0, 255) as u8, blue.clamp(0, 255) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(x: f64) -> u8 {
        (x + 0.5).clamp(0.0, 255.0) as u8
    }

    /// True when `actual` is the rounded `exact`, or its neighbour where `exact` is a rounding boundary to 16 bits.
    fn is_rounding(actual: u8, exact: f64) -> bool {
        let slack = 3.0 * 128.0 / 65_536.0;
        actual >= rounded(exact - slack) && actual <= rounded(exact + slack)
    }

    #[test]
    fn every_rgb565_value_scales_to_the_full_range() {
        for pixel in 0..=u16::MAX {
            let nearest = |value: u16, max: u16| (u32::from(value) * 255 * 2 + u32::from(max)) / (2 * u32::from(max));
            let (red, green, blue) = (pixel / 2048, pixel / 32 % 64, pixel % 32);
            let scaled = [nearest(red, 31), nearest(green, 63), nearest(blue, 31)];
            for (actual, scaled) in rgb565(pixel).into_iter().zip(scaled) {
                assert!(actual.abs_diff(scaled) <= 1, "{pixel:#06x}");
            }
            let [red8, green8, blue8] = rgb565(pixel).map(|component| component as u16);
            assert_eq!((red8 / 8, green8 / 4, blue8 / 8), (red, green, blue));
            assert_eq!((red8 % 8, green8 % 4, blue8 % 8), (red / 4, green / 16, blue / 4));
        }
        assert_eq!([rgb565(0), rgb565(0xffff), rgb565(0xf800)], [[0; 3], [255; 3], [255, 0, 0]]);
        assert_eq!([rgb565(0x07e0), rgb565(0x001f), rgb565(0x8410)], [[0, 255, 0], [0, 0, 255], [132, 130, 132]]);
    }

    #[test]
    fn luma_follows_bt601() {
        for red in (0..=255).step_by(5) {
            for green in (0..=255).step_by(3) {
                for blue in (0..=255).step_by(5) {
                    let exact = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
                    assert!(is_rounding(luma([red, green, blue]), exact), "{red} {green} {blue}");
                }
            }
        }
        for grey in 0..=255 {
            assert_eq!(luma([grey; 3]), grey);
        }
        assert_eq!([luma([255, 0, 0]), luma([0, 255, 0]), luma([0, 0, 255])], [76, 150, 29]);
    }

    #[test]
    fn yuv_follows_bt601_full_range() {
        for y in (0..=255).step_by(5) {
            for u in (0..=255).step_by(3) {
                for v in (0..=255).step_by(3) {
                    let (luma, cb, cr) = (f64::from(y), f64::from(u) - 128.0, f64::from(v) - 128.0);
                    let exact = [luma + 1.402 * cr, luma - 0.344_136 * cb - 0.714_136 * cr, luma + 1.772 * cb];
                    for (actual, exact) in yuv_to_rgb([y, u, v]).into_iter().zip(exact) {
                        assert!(is_rounding(actual, exact), "{y} {u} {v}: {actual} for {exact}");
                    }
                }
            }
        }
    }

    #[test]
    fn yuv_corners() {
        let corners = [
            ([0, 128, 128], [0, 0, 0]),
            ([255, 128, 128], [255, 255, 255]),
            ([76, 85, 255], [254, 0, 0]),
            ([150, 44, 21], [0, 255, 1]),
            ([29, 255, 107], [0, 0, 254]),
            ([0, 0, 0], [0, 135, 0]),
            ([255, 255, 255], [255, 121, 255]),
            ([0, 255, 255], [178, 0, 225]),
            ([255, 0, 0], [76, 255, 28]),
        ];
        for (yuv, rgb) in corners {
            assert_eq!(yuv_to_rgb(yuv), rgb, "{yuv:?}");
        }
    }
}
