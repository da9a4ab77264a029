//! What a model said about each image that it was not trained on, as a CSV file: what joining folds, comparing runs and
//! fitting a temperature start from.
//!
//! Text that a spreadsheet would take for a formula stands behind an apostrophe.
//!
//! Columns: `path`, `label` (the class's name), `group` and `fold` (either may be empty), `int8_scale` (real value of a step
//! of the int8 logits), then for each class `float:CLASS` and `int8:CLASS`, its logits.
//!
//! Of more than 50 classes, whose columns would take ten bytes and more for each number, two columns hold the logits of all
//! classes in base64: `float:CLASSES`, 32 bits each, the lowest byte first, and `int8`, 8 bits each; CLASSES is the list of names
//! in JSON. No logit is left out or rounded in either form: temperatures, NLL and Brier scores are about the probabilities of
//! all classes.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use no_std_infer::{Model, argmax};

use crate::data::dataset::Sample;
use crate::measure::evaluate::{Int8Output, Said, class_names, float_classes};
use crate::system::spreadsheet::{cell, text};
use crate::system::{atomic, read};

/// Name of the file in a run folder and in a folder of a cross-validation.
pub const PREDICTIONS_FILE: &str = "predictions.csv";
/// The columns before the logits.
const COLUMNS: [&str; 5] = ["path", "label", "group", "fold", "int8_scale"];
const FLOAT: &str = "float:";
const INT8: &str = "int8:";
/// The column of all int8 logits.
const ALL_INT8: &str = "int8";
/// Most classes that have columns of their own.
const MOST_COLUMNS: usize = 50;

/// What was said about one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Path below the data folder.
    pub path: String,
    /// Index of its true class.
    pub label: usize,
    /// Images of one group show the same photograph.
    pub group: Option<String>,
    /// The fold that it was scored in.
    pub fold: Option<usize>,
    /// Logits of the float network.
    pub float: Vec<f32>,
    /// Logits of the int8 model.
    pub int8: Vec<i8>,
    /// Real value of a step of `int8`.
    pub scale: f32,
}

/// What was said about several images.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// Names of the classes in the order of the logits.
    pub classes: Vec<String>,
    /// One entry an image.
    pub images: Vec<Prediction>,
}

impl Prediction {
    /// Name of what is drawn independently: the group, or the image where it has none.
    #[must_use]
    pub fn cluster(&self) -> &str {
        self.group.as_deref().unwrap_or(&self.path)
    }

    /// The int8 logits as real numbers, up to a constant that no softmax sees.
    #[must_use]
    pub fn int8_real(&self) -> Vec<f32> {
        self.int8.iter().map(|&logit| self.scale * f32::from(logit)).collect()
    }
}

impl Predictions {
    /// What float network and int8 model said about the images of `samples`.
    #[must_use]
    pub fn of(model: &Model<'_>, samples: &[Sample], said: &Said) -> Self {
        let prediction = |(sample, (float, int8)): (&Sample, (&Vec<f32>, &Int8Output))| Prediction {
            path: sample.name.clone(),
            label: sample.label,
            group: sample.group.clone(),
            fold: None,
            float: float.clone(),
            int8: model.scores(&int8.logits, &int8.output).logits().to_vec(),
            scale: model.info().logits.scale,
        };
        let said = said.float.iter().zip(&said.int8);
        Self { classes: class_names(model), images: samples.iter().zip(said).map(prediction).collect() }
    }

    /// True classes.
    #[must_use]
    pub fn truth(&self) -> Vec<usize> {
        self.images.iter().map(|image| image.label).collect()
    }

    /// Classes of the float network.
    #[must_use]
    pub fn float(&self) -> Vec<usize> {
        let logits: Vec<Vec<f32>> = self.images.iter().map(|image| image.float.clone()).collect();
        float_classes(&logits)
    }

    /// Classes of the int8 model.
    #[must_use]
    pub fn int8(&self) -> Vec<usize> {
        self.images.iter().map(|image| argmax(&image.int8)).collect()
    }

    /// 1 for each image whose class the int8 model finds, 0 for the others.
    #[must_use]
    pub fn right(&self) -> Vec<f64> {
        self.truth().iter().zip(self.int8()).map(|(truth, said)| f64::from(u8::from(*truth == said))).collect()
    }

    /// What is drawn independently, an entry an image.
    #[must_use]
    pub fn clusters(&self) -> Vec<&str> {
        self.images.iter().map(Prediction::cluster).collect()
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(COLUMNS.map(str::to_owned).into_iter().chain(self.names_of_logits()?))?;
        for image in &self.images {
            let fold = image.fold.map_or_else(String::new, |fold| fold.to_string());
            let (label, group) = (self.classes[image.label].clone(), image.group.clone().unwrap_or_default());
            let fields =
                [cell(&image.path).into(), cell(&label).into(), cell(&group).into(), fold, image.scale.to_string()];
            writer.write_record(fields.into_iter().chain(self.logits(image)))?;
        }
        atomic::write(path, &writer.into_inner()?)
    }

    fn is_packed(&self) -> bool {
        self.classes.len() > MOST_COLUMNS
    }

    fn names_of_logits(&self) -> Result<Vec<String>> {
        if self.is_packed() {
            return Ok(vec![format!("{FLOAT}{}", serde_json::to_string(&self.classes)?), ALL_INT8.to_owned()]);
        }
        let names = |kind: &'static str| self.classes.iter().map(move |class| format!("{kind}{class}"));
        Ok(names(FLOAT).chain(names(INT8)).collect())
    }

    fn logits(&self, image: &Prediction) -> Vec<String> {
        if self.is_packed() {
            let float: Vec<u8> = image.float.iter().flat_map(|logit| logit.to_le_bytes()).collect();
            let int8: Vec<u8> = image.int8.iter().map(|logit| logit.cast_unsigned()).collect();
            return [float, int8].map(|bytes| cell(&BASE64_STANDARD.encode(bytes)).into()).into();
        }
        let float = image.float.iter().map(ToString::to_string);
        float.chain(image.int8.iter().map(ToString::to_string)).collect()
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or is not in the form that the module describes.
    pub fn load(path: &Path) -> Result<Self> {
        let shown = path.display();
        let bytes = read::bytes(path, read::DATA).with_context(|| format!("cannot read {shown}"))?;
        let mut reader = csv::Reader::from_reader(&bytes[..]);
        let damaged = || format!("{shown} is no file of predictions as `train` and `cv` write it: make it again");
        let header = reader.headers().with_context(damaged)?.clone();
        let (classes, form) = classes(&header).with_context(damaged)?;
        let mut images = Vec::new();
        for (line, record) in reader.records().enumerate() {
            let image = record.map_err(Into::into).and_then(|record| image(&record, &classes, form));
            images.push(image.with_context(|| format!("line {} of {shown} is damaged: make it again", line + 2))?);
        }
        ensure!(!images.is_empty(), "{shown} holds no prediction: make it again");
        Ok(Self { classes, images })
    }
}

/// How a file holds logits.
#[derive(Clone, Copy)]
enum Form {
    /// One column each.
    Columns,
    /// One column an engine.
    Packed,
}

fn classes(header: &csv::StringRecord) -> Option<(Vec<String>, Form)> {
    let names: Vec<&str> = header.iter().collect();
    let logits = names.strip_prefix(&COLUMNS)?;
    if let [float, ALL_INT8] = logits {
        let classes: Vec<String> = serde_json::from_str(float.strip_prefix(FLOAT)?).ok()?;
        return (!classes.is_empty()).then_some((classes, Form::Packed));
    }
    let (float, int8) = logits.split_at(logits.len() / 2);
    let float: Option<Vec<String>> = float.iter().map(|name| name.strip_prefix(FLOAT).map(str::to_owned)).collect();
    let int8: Option<Vec<String>> = int8.iter().map(|name| name.strip_prefix(INT8).map(str::to_owned)).collect();
    float.filter(|float| !float.is_empty() && int8.as_ref() == Some(float)).map(|float| (float, Form::Columns))
}

fn image(record: &csv::StringRecord, classes: &[String], form: Form) -> Result<Prediction> {
    let field = |index: usize| &record[index];
    let label = classes.iter().position(|class| class == text(field(1)));
    let fold = Some(field(3)).filter(|fold| !fold.is_empty()).map(str::parse).transpose()?;
    let (first, count) = (COLUMNS.len(), classes.len());
    let (float, int8): (Vec<f32>, Vec<i8>) = match form {
        Form::Columns => (
            (first..first + count).map(|index| field(index).parse()).collect::<Result<_, _>>()?,
            (first + count..first + 2 * count).map(|index| field(index).parse()).collect::<Result<_, _>>()?,
        ),
        Form::Packed => {
            let bytes = |index: usize| BASE64_STANDARD.decode(text(field(index))).context("logits are no base64");
            let (float, int8) = (bytes(first)?, bytes(first + 1)?);
            let (float, rest) = float.as_chunks();
            ensure!(rest.is_empty(), "a logit is cut off");
            (
                float.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
                int8.iter().map(|b| b.cast_signed()).collect(),
            )
        }
    };
    ensure!(float.len() == count && int8.len() == count, "there are not as many logits as classes");
    let image = Prediction {
        path: text(field(0)).to_owned(),
        label: label.with_context(|| format!("there are no logits of the class {}", field(1)))?,
        group: Some(text(field(2)).to_owned()).filter(|group| !group.is_empty()),
        fold,
        scale: field(4).parse()?,
        float,
        int8,
    };
    let finite = image.float.iter().all(|logit| logit.is_finite()) && image.scale.is_finite() && image.scale > 0.0;
    ensure!(finite, "a logit or the scale is not a finite number");
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PREDICTIONS_FILE);
        let image = |path: &str, label, group: Option<&str>, fold| Prediction {
            path: path.to_owned(),
            label,
            group: group.map(str::to_owned),
            fold,
            float: vec![0.1, -1.0 / 3.0],
            int8: vec![-128, 127],
            scale: 0.062_5,
        };
        let images = vec![image("train/a,b/1.png", 0, Some("7"), Some(2)), image("x.png", 1, None, None)];
        let predictions = Predictions { classes: vec!["a,b".into(), "c:\"d\"".into()], images };
        predictions.save(&path).unwrap();
        assert_eq!(Predictions::load(&path).unwrap(), predictions);
        assert_eq!(predictions.clusters(), ["7", "x.png"]);
        assert_eq!((predictions.float(), predictions.int8()), (vec![0, 0], vec![1, 1]));
        assert_eq!(predictions.images[0].int8_real(), [-8.0, 7.9375]);
    }

    #[test]
    fn names_are_no_formulas_and_come_back_exactly() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PREDICTIONS_FILE);
        let names = ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "'=1", "'tis", "a\u{1b}[2J"];
        // In base64 the first byte of the first logit stands for a plus.
        let logit = f32::from_le_bytes([0xF8, 0, 0, 0x40]);
        for classes in [names.len(), MOST_COLUMNS + 1] {
            let image = |(label, name): (usize, &&str)| Prediction {
                path: (*name).to_owned(),
                label,
                group: Some((*name).to_owned()),
                fold: None,
                float: vec![logit; classes],
                int8: vec![-8; classes],
                scale: 0.5,
            };
            let images = names.iter().enumerate().map(image).collect();
            let others = (names.len()..classes).map(|class| class.to_string());
            let classes = names.iter().map(|name| (*name).to_owned()).chain(others).collect();
            let predictions = Predictions { classes, images };
            predictions.save(&path).unwrap();
            assert_eq!(Predictions::load(&path).unwrap(), predictions);
            let mut cells = csv::ReaderBuilder::new().has_headers(false).from_path(&path).unwrap();
            for (line, record) in cells.records().enumerate() {
                for cell in &record.unwrap() {
                    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f32>().is_err();
                    assert!(!formula, "line {}: {cell:?}", line + 1);
                }
            }
        }
    }

    /// Predictions of so many classes for as many images as there are labels.
    fn many(classes: usize, labels: &[usize]) -> Predictions {
        let image = |&label: &usize| Prediction {
            path: format!("train/class {label}/picture.png"),
            label,
            group: None,
            fold: None,
            float: (0..classes).map(|class| ((class * 7 + label) as f32).sin() * 9.0 / 7.0).collect(),
            int8: (0..classes).map(|class| ((class * 37 + label) % 256) as u8 as i8).collect(),
            scale: 0.062_5,
        };
        let classes = (0..classes).map(|class| format!("\"{class}\", class")).collect();
        Predictions { classes, images: labels.iter().map(image).collect() }
    }

    #[test]
    fn many_classes_take_little_room_and_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PREDICTIONS_FILE);
        for classes in [MOST_COLUMNS, MOST_COLUMNS + 1, 1000] {
            let predictions = many(classes, &[0, 7, classes - 1]);
            predictions.save(&path).unwrap();
            assert_eq!(Predictions::load(&path).unwrap(), predictions, "{classes} classes");
        }
        let length = |images: usize| {
            many(1000, &vec![999; images]).save(&path).unwrap();
            std::fs::metadata(&path).unwrap().len()
        };
        let of_an_image = (length(30) - length(10)) / 20;
        assert!(of_an_image * 10_000 < 70_000_000, "{of_an_image} bytes an image of 1,000 classes");
    }

    #[test]
    fn damaged_packed_logits_are_refused_with_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PREDICTIONS_FILE);
        many(60, &[3]).save(&path).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        let (start, last) = good.trim_end().rsplit_once(',').unwrap();
        let (start, float) = start.rsplit_once(',').unwrap();
        let packed = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        let infinite = packed(&f32::INFINITY.to_le_bytes().repeat(60));
        for (float, int8) in
            [("?", last), (float, "?"), (&packed(&[0; 239]), last), (float, &packed(&[0; 59])), (&infinite, last)]
        {
            std::fs::write(&path, format!("{start},{float},{int8}\n")).unwrap();
            let error = format!("{:#}", Predictions::load(&path).unwrap_err());
            assert!(error.contains("line 2") && error.contains(PREDICTIONS_FILE), "{error}");
        }
        std::fs::write(&path, good.replacen("float:[", "float:{", 1)).unwrap();
        assert!(format!("{:#}", Predictions::load(&path).unwrap_err()).contains("no file of predictions"));
    }

    #[test]
    fn damaged_files_are_refused_with_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PREDICTIONS_FILE);
        let header = "path,label,group,fold,int8_scale,float:a,float:b,int8:a,int8:b\n";
        let good = format!("{header}x.png,a,,,0.1,1,2,3,4\n");
        let cases = [
            (good.replace("float:b", "float:c"), "no file of predictions"),
            (good.replace("int8_scale", "scale"), "no file of predictions"),
            (header.to_owned(), "no prediction"),
            (format!("{good}y.png,c,,,0.1,1,2,3,4\n"), "line 3"),
            (format!("{good}y.png,b,,,0.1,1,2,3,128\n"), "line 3"),
            (format!("{good}y.png,b,,,0,1,2,3,4\n"), "line 3"),
            (format!("{good}y.png,b,,,0.1,NaN,2,3,4\n"), "line 3"),
            (format!("{good}y.png,b\n"), "line 3"),
        ];
        for (text, named) in cases {
            std::fs::write(&path, text).unwrap();
            let error = format!("{:#}", Predictions::load(&path).unwrap_err());
            assert!(error.contains(named) && error.contains(PREDICTIONS_FILE), "{named} is not in: {error}");
        }
    }
}
