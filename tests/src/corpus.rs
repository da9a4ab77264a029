//! Models of the operators that are imported, with inputs and what LiteRT made of them: `differential/README.md` says how they
//! were drawn.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;

/// A model with its inputs and what LiteRT made of them, one after the other.
pub struct Case {
    /// Its number and its name.
    pub name: String,
    /// Its operators, joined by `+`.
    pub operators: String,
    /// Their options, as JSON.
    pub options: String,
    /// The `.tflite` file.
    pub model: Vec<u8>,
    /// How many inputs there are.
    pub samples: usize,
    /// The inputs.
    pub inputs: Vec<i8>,
    /// What LiteRT's reference kernels made of them.
    pub expected: Vec<i8>,
}

/// Where the corpus of this project is.
#[must_use]
pub fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("differential/corpus.gz")
}

/// Reads a corpus.
///
/// # Errors
/// When it cannot be read, or is not in this form.
pub fn read(path: &Path) -> Result<Vec<Case>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut reader = BufReader::new(GzDecoder::new(file));
    let mut index = String::new();
    reader.read_line(&mut index)?;
    let index: Value = serde_json::from_str(&index)?;
    let models = index["models"].as_array().context("the index lists models")?;
    let cases = models.iter().enumerate().map(|(number, entry)| case(number, entry, &mut reader));
    let cases = cases.collect::<Result<_>>()?;
    ensure!(reader.fill_buf()?.is_empty(), "bytes follow the last model");
    Ok(cases)
}

fn case(number: usize, entry: &Value, reader: &mut impl Read) -> Result<Case> {
    let operators = entry["operators"].as_array().context("a model has operators")?;
    let names: Vec<&str> = operators.iter().filter_map(|operator| operator["operator"].as_str()).collect();
    let count = |key: &str| entry[key].as_u64().with_context(|| format!("a model has {key}")).map(|n| n as usize);
    let elements = |key: &str| -> Result<usize> {
        let sides = entry[key].as_array().with_context(|| format!("a model has the shape of its {key}"))?;
        Ok(sides.iter().filter_map(Value::as_u64).product::<u64>() as usize)
    };
    let mut read = |length: usize| -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let signed = |bytes: Vec<u8>| bytes.into_iter().map(|byte| byte as i8).collect();
    let samples = count("samples")?;
    Ok(Case {
        name: format!("model {number}, {}", entry["name"].as_str().unwrap_or_default()),
        operators: names.join("+"),
        options: entry["operators"].to_string(),
        model: read(count("bytes")?)?,
        samples,
        inputs: signed(read(samples * elements("input")?)?),
        expected: signed(read(samples * elements("output")?)?),
    })
}
