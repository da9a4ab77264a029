//! Pages of one self-contained file: the page itself, tables, pictures as data URIs.

use std::io::Cursor;

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::thumbnail;
use image::{ColorType, ImageFormat, RgbImage};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Quality of embedded photographs, of 100.
const JPEG_QUALITY: u8 = 80;
/// Every page's looks: light or dark as the reader's system is, readable on a telephone. Plots are drawn on white, so that
/// they are inverted in the dark, where the second turn of the hues gives them their colours back.
pub const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--ink:8,48,107;--bad:#c04a00}\
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.25rem;margin-top:2.2rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}\
.lead{font-size:1.15rem;max-width:50rem}\
.scroll{overflow-x:auto}\
table{border-collapse:collapse;margin:.6rem 0}th,td{padding:.15rem .7rem;border-bottom:1px solid var(--line);text-align:left}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
table.matrix td{text-align:center;min-width:2.2rem;border:1px solid var(--line);background:rgba(var(--ink),var(--share))}\
table.matrix td.dark{color:#fff}table.matrix th.n{text-align:center}table.matrix a{color:inherit;display:block}\
figure{display:inline-block;margin:.3rem .6rem .3rem 0;vertical-align:top;width:9rem}\
figure img{width:100%;display:block;border-radius:4px}\
figcaption{font-size:.78rem;line-height:1.3;overflow-wrap:anywhere;margin-top:.2rem}\
.bad{color:var(--bad);font-weight:600}.soft{opacity:.7}svg{max-width:100%;height:auto}\
details{margin:.5rem 0}summary{cursor:pointer}code{background:var(--soft);padding:.05rem .3rem;border-radius:3px;overflow-wrap:anywhere}\
@media(prefers-color-scheme:dark){:root{--ink:90,150,230;--bad:#ff9a4d}body{background:#16181b;color:#e4e4e4}a{color:#8ab4f8}\
svg{filter:invert(.91) hue-rotate(180deg)}}\
@media(max-width:40rem){body{margin:1rem auto}figure{width:calc(50% - .7rem);margin-right:.5rem}th,td{padding:.15rem .4rem}}";

/// A whole page.
#[must_use]
pub fn page(title: &str, body: &Markup) -> String {
    page_with(title, &html! {}, body)
}

/// A whole page with something in its head besides what all have.
#[must_use]
pub fn page_with(title: &str, head: &Markup, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                (head)
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                (body)
            }
        }
    };
    page.into_string() + "\n"
}

/// A heading and what stands under it.
#[must_use]
pub fn section(title: &str, body: &Markup) -> Markup {
    html! {
        h2 { (title) }
        (body)
    }
}

/// A table. Cells that are numbers stand on the right.
#[must_use]
pub fn table(header: &[&str], rows: &[Vec<String>]) -> Markup {
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    let class = |text: &str| is_number(text).then_some("n");
    let of_column = |column: usize| rows.first().and_then(|row| row.get(column)).and_then(|text| class(text));
    html! {
        div.scroll {
            table {
                tr {
                    @for (column, text) in header.iter().enumerate() { th class=[of_column(column)] { (text) } }
                }
                @for row in rows {
                    tr {
                        @for text in row { td class=[class(text)] { (text) } }
                    }
                }
            }
        }
    }
}

/// Lines of a name and a value.
#[must_use]
pub fn facts(facts: &[(&str, String)]) -> Markup {
    html! {
        div.scroll {
            table {
                @for (name, value) in facts {
                    tr {
                        td { (name) }
                        td { (value) }
                    }
                }
            }
        }
    }
}

/// A picture with a caption. `uri` comes from [`png_uri`] or [`jpeg_uri`].
#[must_use]
pub fn figure(uri: &str, alt: &str, caption: &Markup) -> Markup {
    html! {
        figure {
            img src=(uri) alt=(alt) title=(alt);
            figcaption { (caption) }
        }
    }
}

/// A photograph as a data URI, reduced where its width or height is larger than `side`.
///
/// # Errors
/// When the picture has no pixels.
pub fn jpeg_uri(picture: &RgbImage, side: u32) -> Result<String> {
    let (width, height) = picture.dimensions();
    let larger = width.max(height);
    let reduced = |n: u32| (n * side / larger).max(1);
    let reduced = (larger > side).then(|| thumbnail(picture, reduced(width), reduced(height)));
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY).encode_image(reduced.as_ref().unwrap_or(picture))?;
    Ok(format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(file)))
}

/// Pixels as they are, as a data URI: 1 (grey) or 3 (RGB) bytes each, rows from the top.
///
/// # Errors
/// When there are no pixels.
///
/// # Panics
/// When there are not `width` by `height` of them.
pub fn png_uri(pixels: &[u8], width: usize, height: usize) -> Result<String> {
    let color = if pixels.len() == width * height { ColorType::L8 } else { ColorType::Rgb8 };
    let mut file = Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut file, pixels, width as u32, height as u32, color, ImageFormat::Png)?;
    Ok(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(file.into_inner())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let hostile = "<b a=\"x\">&";
        let body = html! {
            (table(&[hostile], &[vec![hostile.to_owned()]]))
            (facts(&[(hostile, hostile.to_owned())]))
            (figure("data:,", hostile, &html! { (hostile) }))
            (section(hostile, &html! {}))
        };
        let page = page(hostile, &body);
        assert!(!page.contains("<b a"));
        assert_eq!(page.matches("&lt;b a=&quot;x&quot;&gt;&amp;").count(), 10);
    }

    #[test]
    fn numbers_stand_on_the_right() {
        let html = table(&["name", "count"], &[vec!["a".to_owned(), "12".to_owned()]]).into_string();
        assert!(html.contains("<th>name</th><th class=\"n\">count</th>"), "{html}");
        assert!(html.contains("<td>a</td><td class=\"n\">12</td>"), "{html}");
    }

    #[test]
    fn embedded_pictures_are_the_pictures() {
        let picture = RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8 * 40, y as u8 * 80, 9]));
        let decoded = |uri: &str| {
            let data = uri.split_once("base64,").unwrap().1;
            image::load_from_memory(&BASE64_STANDARD.decode(data).unwrap()).unwrap()
        };
        assert_eq!(decoded(&png_uri(picture.as_raw(), 5, 3).unwrap()).to_rgb8(), picture);
        let grey = [7; 15];
        assert_eq!(decoded(&png_uri(&grey, 5, 3).unwrap()).to_luma8().as_raw(), &grey);
        for (side, size) in [(9, (5, 3)), (5, (5, 3)), (2, (2, 1))] {
            assert_eq!(decoded(&jpeg_uri(&picture, side).unwrap()).to_rgb8().dimensions(), size);
        }
        assert!(png_uri(&[], 0, 0).is_err());
        assert!(jpeg_uri(&RgbImage::new(0, 0), 9).is_err());
    }
}
