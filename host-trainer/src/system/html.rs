//! Pages of one self-contained file: escaping, tables, pictures as data URIs.

use std::fmt::Write;
use std::io::Cursor;

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{ColorType, ImageFormat, RgbImage};

/// Quality of embedded photographs, of 100.
const JPEG_QUALITY: u8 = 80;
/// Every page's looks: light or dark as the reader's system is, readable on a telephone.
const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8881}\
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.25rem;margin-top:2.2rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}\
table{border-collapse:collapse;margin:.6rem 0}th,td{padding:.15rem .7rem;border-bottom:1px solid var(--line);text-align:left}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
figure{display:inline-block;margin:.3rem .6rem .3rem 0;vertical-align:top;width:9rem}\
figure img{width:100%;display:block;border-radius:4px}\
figcaption{font-size:.78rem;line-height:1.3;overflow-wrap:anywhere;margin-top:.2rem}\
.bad{color:#d55e00;font-weight:600}.soft{opacity:.7}svg{max-width:100%;height:auto}\
details{margin:.5rem 0}summary{cursor:pointer}code{background:var(--soft);padding:.05rem .3rem;border-radius:3px}";

/// `text` with the characters that HTML, SVG and their attributes give a meaning replaced.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A whole page. `title` is text; `body` is HTML.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// A table. The cells are text; those that are numbers stand on the right.
#[must_use]
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    let cell = |tag: &str, text: &str, number: bool| {
        format!("<{tag}{}>{}</{tag}>", if number { " class=\"n\"" } else { "" }, escape(text))
    };
    let mut html = String::from("<table>\n<tr>");
    for (column, text) in header.iter().enumerate() {
        let number = rows.first().and_then(|row| row.get(column)).is_some_and(|text| is_number(text));
        html += &cell("th", text, number);
    }
    html += "</tr>\n";
    for row in rows {
        let cells: String = row.iter().map(|text| cell("td", text, is_number(text))).collect();
        writeln!(html, "<tr>{cells}</tr>").expect("a string takes everything");
    }
    html + "</table>\n"
}

/// A picture with a caption. `uri` comes from [`png_uri`] or [`jpeg_uri`], `alt` is text, `caption` is HTML.
#[must_use]
pub fn figure(uri: &str, alt: &str, caption: &str) -> String {
    let alt = escape(alt);
    format!("<figure><img src=\"{uri}\" alt=\"{alt}\" title=\"{alt}\"><figcaption>{caption}</figcaption></figure>\n")
}

/// A photograph as a data URI.
///
/// # Errors
/// When the picture has no pixels or more than 65,535 across or down.
pub fn jpeg_uri(picture: &RgbImage) -> Result<String> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY).encode_image(picture)?;
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
        let page = page(hostile, &table(&[hostile], &[vec![hostile.to_owned()]]));
        assert!(!page.contains("<b a"));
        assert_eq!(page.matches("&lt;b a=&quot;x&quot;&gt;&amp;").count(), 4);
        assert!(!figure("data:,", hostile, "").contains("<b"));
    }

    #[test]
    fn numbers_stand_on_the_right() {
        let html = table(&["name", "count"], &[vec!["a".to_owned(), "12".to_owned()]]);
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
        assert_eq!(decoded(&jpeg_uri(&picture).unwrap()).to_rgb8().dimensions(), (5, 3));
        assert!(png_uri(&[], 0, 0).is_err());
        assert!(jpeg_uri(&RgbImage::new(0, 0)).is_err());
    }
}
