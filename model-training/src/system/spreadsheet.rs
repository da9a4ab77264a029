//! Cells of CSV files that spreadsheets show and do not compute.

use std::borrow::Cow;

/// What a spreadsheet takes for the start of a formula, or skips before one; and the apostrophe, so that the way back is exact.
const STARTS: [char; 8] = ['=', '+', '-', '@', '\t', '\r', '\n', '\''];

/// Text as a cell: behind an apostrophe, which tells spreadsheets that it is text, where it would be a formula.
#[must_use]
pub fn cell(text: &str) -> Cow<'_, str> {
    if text.starts_with(STARTS) { format!("'{text}").into() } else { text.into() }
}

/// The text of a cell that [`cell`] made; any other is its own text.
#[must_use]
pub fn text(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| text.starts_with(STARTS)).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_become_text_and_names_stay() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''"] {
            assert_eq!(cell(formula), format!("'{formula}"));
        }
        for name in ["cat", "", "a=b", "0", " =1", "päris"] {
            assert!(matches!(cell(name), Cow::Borrowed(same) if same == name));
        }
        // Written by other programs.
        assert_eq!(text("'tis"), "'tis");
    }

    proptest! {
        #[test]
        fn every_text_comes_back(said in "[-=+@'\t\r\na]{0,4}.{0,4}") {
            let cell = cell(&said);
            prop_assert_eq!(text(&cell), said.as_str());
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
        }
    }
}
