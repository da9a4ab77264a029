//! The browser twin in Chromium: every byte is the native engine's, and a person can use the page by mouse, keyboard and camera.

mod answers;
mod operators;
mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use host_trainer::device::{cargo, engine_digest, missing_target};
use host_trainer::report::pages::{self, Sample};
use image::RgbImage;
use libtest_mimic::{Arguments, Trial};
use model_compiler::aligned::Aligned;
use model_compiler::blob::emit::{Description, Limits, emit_within};
use model_compiler::layout::stripes::Layers;
use model_training::config::Preset;
use model_training::system::hexadecimal::hexadecimal;
use no_std_device::{Average, Smoother};
use no_std_infer::format::{Color, Fit, ImageInput, InputKind, Provenance};
use no_std_infer::image::{Frame, PixelFormat, preprocess};
use no_std_infer::{Interpreter, Model};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tests::chromium::{Chromium, missing};
use tests::needing::trial;
use tests::networks::{noise, preset};

/// The target that the page's engine is compiled for.
const TARGET: &str = "wasm32-unknown-unknown";
/// The file with the digest of the engine's sources.
const DIGEST: &str = "engine.sha256";
/// Inputs of each model.
const INPUTS: u64 = 32;
/// As `twin/` averages decisions.
const SMOOTHING: u8 = 2;
/// Most bytes of a page without samples, for the faces' blob.
const PAGE: usize = 300 << 10;
/// Most milliseconds of the fastest of many runs of ResNet8: several times what a machine without other work takes.
const MILLISECONDS: f64 = 5.0;

static FACES: LazyLock<Aligned<u8>> =
    LazyLock::new(|| Aligned::copy_of(&fs::read(root().join("data/faces.blob")).expect("the blob is there")));

fn main() {
    let (browser, library) = (missing(), missing_library());
    let trials: Vec<Trial> = vec![
        trial("the_bytes_are_the_native_engines", &browser, the_bytes_are_the_native_engines),
        trial("each_operator_gives_the_oracles_bytes", &browser, operators::each_operator_gives_the_oracles_bytes),
        trial("the_page_says_what_the_device_decides", &browser, answers::the_page_says_what_the_device_decides),
        trial("a_golden_vector_that_is_not_met_shows", &browser, answers::a_golden_vector_that_is_not_met_shows),
        trial("a_blob_that_is_no_model_is_refused_by_name", &browser, a_blob_that_is_no_model_is_refused_by_name),
        trial(
            "pictures_come_by_samples_drop_paste_and_choice",
            &browser,
            pictures_come_by_samples_drop_paste_and_choice,
        ),
        trial("what_a_page_complains_of_or_asks_for_is_heard", &browser, what_a_page_complains_of_or_asks_for_is_heard),
        trial("the_camera_and_the_keyboard_do_all", &browser, the_camera_and_the_keyboard_do_all),
        trial("it_fits_a_telephone_and_the_dark", &browser, it_fits_a_telephone_and_the_dark),
        trial("a_runs_report_holds_it", &browser, report::a_runs_report_holds_it),
        trial("the_engine_that_ships_is_of_these_sources", &None, the_engine_that_ships_is_of_these_sources),
        trial("the_engine_that_ships_is_reproduced", &library, the_engine_that_ships_is_reproduced),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What reproduces the engine: other compilers give other bytes.
fn missing_library() -> Option<String> {
    if std::env::var_os("FIRMWARE_CARGO").is_none() {
        return Some("name the cargo of `.ci/run` in FIRMWARE_CARGO: other compilers give other bytes".to_owned());
    }
    missing_target(TARGET)
}

/// A page, and the browser that shows it, whose model has proved itself.
fn shown(blob: &Aligned<u8>, samples: &[Sample]) -> Result<(Chromium, TempDir)> {
    let mut browser = Chromium::start()?;
    let folder = show(&mut browser, blob, samples)?;
    Ok((browser, folder))
}

fn show(browser: &mut Chromium, blob: &Aligned<u8>, samples: &[Sample]) -> Result<TempDir> {
    let (folder, proof) = open(browser, blob, samples)?;
    ensure!(proof == "✓ self-test passed", "{proof}");
    Ok(folder)
}

/// Opens a page; gives what it says of the self-test.
fn open(browser: &mut Chromium, blob: &Aligned<u8>, samples: &[Sample]) -> Result<(TempDir, String)> {
    let folder = tempfile::tempdir()?;
    let page = folder.path().join("twin.html");
    fs::write(&page, pages::twin(blob, &Model::parse(blob)?, samples)?)?;
    browser.open(&page)?;
    browser.evaluate("ready")?;
    let proof = browser.evaluate("document.getElementById('proof').textContent")?;
    Ok((folder, proof.as_str().unwrap_or_default().to_owned()))
}

fn bytes(values: &[i8]) -> Vec<u8> {
    values.iter().map(|&value| value as u8).collect()
}

/// ResNet8 with random weights, within limits.
fn resnet8(limits: Limits) -> Result<Aligned<u8>> {
    let model = preset(Preset::Resnet8, 20, 32, 4).model;
    let labels: Vec<String> = ["<b>", "\"two\"", "drei", "</script>"].map(str::to_owned).to_vec();
    let image = ImageInput { color: Color::Rgb, fit: Fit::Crop, mean: [0.5; 3], std: [0.25; 3] };
    let input = InputKind::Image(image);
    let description = Description { name: "of <all>", labels: &labels, input, provenance: Provenance::default() };
    Ok(emit_within(&model, &description, limits)?.blob)
}

/// Faces, a model with stripes of rows, one with transformed weights, and faces with a threshold: each operator's output of the first input, the last one's
/// and the logits of all, and the decision that is averaged over them.
fn the_bytes_are_the_native_engines() -> Result<()> {
    let stripes = resnet8(Limits { flash: 0, arena: Some(0), ..Limits::default() })?;
    let layers = Layers::of(&stripes, &Model::parse(&stripes)?)?.count();
    ensure!(Model::parse(&stripes)?.ops().count() > layers, "no layer is in stripes");
    let transformed = resnet8(Limits { flash: usize::MAX, arena: None, ..Limits::default() })?;
    let kernels = no_std_infer::kernels::KernelSet::needed_by(&transformed);
    ensure!(kernels.iter().any(|kernel| kernel.name().contains("F(")), "no weights are transformed");
    let abstaining = answers::calibrated(u8::MAX)?;
    let mut browser = Chromium::start()?;
    for (blob, abstains) in [(&*FACES, false), (&stripes, false), (&transformed, false), (&abstaining, true)] {
        show(&mut browser, blob, &[])?;
        let unsure = same_bytes(&mut browser, &Model::parse(blob)?)?;
        ensure!((unsure > 0) == abstains, "{unsure} inputs without an answer");
    }
    browser.expect_silence()
}

/// Gives how many inputs have no answer.
fn same_bytes(browser: &mut Chromium, model: &Model<'_>) -> Result<usize> {
    let mut averages = heapless::Vec::<Average, 16>::new();
    let mut smoother = Smoother::new(&mut averages, SMOOTHING);
    browser.evaluate("engine.restart()")?;
    let (mut classes, mut unsure) = (std::collections::BTreeSet::new(), 0);
    for seed in 0..INPUTS {
        let input = noise(seed, model.info().input.tensor.len());
        let mut arena = Aligned::new(model.arena_len());
        let mut interpreter = Interpreter::new(*model, &mut arena)?;
        interpreter.input_mut().copy_from_slice(&input);
        let mut outputs = Vec::new();
        interpreter.run_profiled(|_, output| outputs.push(bytes(output)));
        let expression = format!(
            "(() => {{ const outputs = []; engine.input().set({:?}); \
             engine.run((_, bytes) => {{ if ({}) outputs.push(Array.from(bytes)); }}); \
             return {{ outputs, logits: Array.from(engine.logits()), output: Array.from(engine.output()), decision: \
             engine.decide() }}; }})()",
            bytes(&input),
            seed == 0
        );
        let found = browser.evaluate(&expression)?;
        let decision = smoother.push(interpreter.logits(), interpreter.output(), model.threshold());
        let wanted = json!({
            "outputs": if seed == 0 { outputs } else { Vec::new() },
            "logits": bytes(interpreter.logits()),
            "output": bytes(interpreter.output()),
            "decision": { "class": decision.class, "probability": f64::from(decision.probability) / 256.0, "sure": decision.sure },
        });
        let name = model.info().name;
        ensure!(same(&found, &wanted), "{name}, input {seed}: {found} in the browser, {wanted} here");
        classes.insert(interpreter.output().to_vec());
        unsure += usize::from(!decision.sure);
    }
    ensure!(classes.len() > 1, "all inputs give one output");
    Ok(unsure)
}

/// Equal, whether numbers are written as integers or not.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

fn a_blob_that_is_no_model_is_refused_by_name() -> Result<()> {
    let (mut browser, _folder) = shown(&FACES, &[])?;
    let refusal = |browser: &mut Chromium, change: &str| {
        browser.evaluate(&format!(
            "(() => {{ const blob = decoded(model.blob); const arena = model.arena; {change}; \
             return Engine.open(decoded(model.wasm), blob, {{ ...model, arena: changed ?? arena }})
             .then(() => 'taken', (error) => error.message); }})()"
        ))
    };
    let damaged = refusal(&mut browser, "blob[5000] ^= 1; const changed = null")?;
    ensure!(damaged == no_std_infer::Error::BadCrc.to_string().as_str(), "{damaged}");
    let needed = Model::parse(&FACES)?.arena_len() as u32;
    let short = refusal(&mut browser, "const changed = arena - 1")?;
    ensure!(short == no_std_infer::Error::ArenaTooSmall { needed }.to_string().as_str(), "{short}");
    ensure!(refusal(&mut browser, "const changed = null")? == "taken", "the same blob is refused");
    browser.expect_silence()
}

/// A page that logs an error, one that throws, and one that asks for something, which its own policy refuses.
fn what_a_page_complains_of_or_asks_for_is_heard() -> Result<()> {
    for fault in [
        "console.error('a')",
        "void setTimeout(() => { throw new Error('a') })",
        "void (new Image().src = 'http://127.0.0.1:9/')",
    ] {
        let (mut browser, _folder) = shown(&FACES, &[])?;
        browser.expect_silence()?;
        browser.evaluate(fault)?;
        browser.evaluate("new Promise((done) => setTimeout(done, 300))")?;
        ensure!(browser.expect_silence().is_err(), "nothing is heard of {fault}");
    }
    Ok(())
}

/// Pixels that no two are alike of.
fn picture(width: u32, height: u32, seed: u64) -> RgbImage {
    let pixels = bytes(&noise(seed, (width * height * 3) as usize));
    RgbImage::from_raw(width, height, pixels).expect("there are as many bytes")
}

fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, image::ImageFormat::Png)?;
    Ok(file.into_inner())
}

/// What the device would see of a picture.
fn input(picture: &RgbImage) -> Result<Vec<u8>> {
    let model = Model::parse(&FACES)?;
    let (tensor, image) = (model.info().input.tensor, model.info().input.kind.image().context("it reads pictures")?);
    let mut input = vec![0; tensor.len()];
    let frame = Frame::new(PixelFormat::Rgb888, picture.width(), picture.height(), picture.as_raw())?;
    preprocess(&frame, image.fit, &mut input, tensor.width, tensor.height, image.color)?;
    Ok(bytes(&input))
}

fn pictures_come_by_samples_drop_paste_and_choice() -> Result<()> {
    let pictures: Vec<RgbImage> = [(160, 90), (7, 50), (32, 32), (333, 210)]
        .into_iter()
        .zip(1..)
        .map(|((width, height), seed)| picture(width, height, seed))
        .collect();
    let sample = |picture: &RgbImage| Sample { name: "<one> & \"two\"".to_owned(), pixels: picture.clone() };
    let (mut browser, _folder) = shown(&FACES, &pictures[..2].iter().map(sample).collect::<Vec<_>>())?;
    let seen = |browser: &mut Chromium, picture: &RgbImage| -> Result<()> {
        let wanted = input(picture)?;
        browser.until(&format!("last && String(Array.from(last)) === String({wanted:?})"))
    };
    seen(&mut browser, &pictures[0])?;
    browser.evaluate("document.getElementById('samples').children[1].click()")?;
    seen(&mut browser, &pictures[1])?;
    for (picture, event) in [
        (&pictures[2], "new DragEvent('drop', { dataTransfer: data })"),
        (&pictures[3], "new ClipboardEvent('paste', { clipboardData: data })"),
    ] {
        let file = png(picture)?;
        browser.evaluate(&format!(
            "(() => {{ const data = new DataTransfer(); data.items.add(new File([new Uint8Array({file:?})], 'a.png', \
             {{ type: 'image/png' }})); dispatchEvent({event}); }})()"
        ))?;
        seen(&mut browser, picture)?;
    }
    let file = browser.downloads().with_extension("png");
    fs::write(&file, png(&pictures[0])?)?;
    let node = browser.call("Runtime.evaluate", json!({ "expression": "document.getElementById('file')" }))?;
    let chosen = json!({ "objectId": node["result"]["objectId"], "files": [file] });
    browser.call("DOM.setFileInputFiles", chosen)?;
    seen(&mut browser, &pictures[0])?;
    browser.evaluate("file(new File(['no picture'], 'a.png', { type: 'image/png' }))")?;
    browser.until("document.getElementById('note').textContent.includes('no picture')")?;
    seen(&mut browser, &pictures[0])?;

    browser.evaluate("document.getElementById('layers').open = true")?;
    let layers = Layers::of(&FACES, &Model::parse(&FACES)?)?.count();
    browser.until(&format!(
        "[...document.querySelectorAll('#layers canvas')].filter((canvas) => canvas.width > 1 || canvas.height > 1).length === {layers}"
    ))?;
    let fastest = browser.evaluate(
        "Math.min(...Array.from({ length: 100 }, () => { const start = performance.now(); engine.input(); engine.run(); \
         return performance.now() - start; }))",
    )?;
    println!("the fastest inference of faces.blob: {fastest} ms");
    ensure!(fastest.as_f64().is_some_and(|fastest| fastest < MILLISECONDS), "an inference takes {fastest} ms");
    browser.expect_silence()
}

fn the_camera_and_the_keyboard_do_all() -> Result<()> {
    let (mut browser, _folder) = shown(&FACES, &[])?;
    let reach = |browser: &mut Chromium, id: &str| -> Result<()> {
        for _ in 0..20 {
            browser.press("Tab", "")?;
            if browser.evaluate(&format!("document.activeElement.id === '{id}'"))? == true {
                return Ok(());
            }
        }
        anyhow::bail!("the keyboard does not reach {id}")
    };
    reach(&mut browser, "drop")?;
    reach(&mut browser, "camera")?;
    browser.press("Enter", "\r")?;
    browser.until("document.getElementById('camera').getAttribute('aria-pressed') === 'true' && last !== undefined")?;
    browser.evaluate("void (window.before = last.join())")?;
    browser.until("last.join() !== before")?;
    let said = browser.evaluate("document.getElementById('why').textContent")?;
    ensure!(said.as_str().is_some_and(|said| said.starts_with("averaged")), "{said}");
    browser.press(" ", " ")?;
    browser.until("document.getElementById('camera').getAttribute('aria-pressed') === 'false'")?;
    reach(&mut browser, "save")?;
    browser.press("Enter", "\r")?;
    browser.until("document.getElementById('note').textContent === 'Saved as frame-1.png.'")?;
    let (file, start) = (browser.downloads().join("frame-1.png"), std::time::Instant::now());
    while !file.exists() && start.elapsed().as_secs() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let saved = image::open(&file).context("no frame is saved")?.to_rgb8();
    let last: Vec<u8> = serde_json::from_value(browser.evaluate("Array.from(last)")?)?;
    ensure!(input(&saved)? == last, "the frame that was saved is not the one that was classified");
    browser.expect_silence()
}

fn it_fits_a_telephone_and_the_dark() -> Result<()> {
    let page = pages::twin(&FACES, &Model::parse(&FACES)?, &[])?;
    ensure!(page.len() <= PAGE, "the page takes {} bytes", page.len());
    let (mut browser, _folder) = shown(&FACES, &[Sample { name: "one".to_owned(), pixels: picture(64, 64, 1) }])?;
    browser.expect_fit([1100, 640])?;
    browser.expect_silence()
}

/// The folder of the engine that pages hold, and beside it the digest of the sources that it was compiled of.
fn shipped() -> PathBuf {
    root().join("host-trainer/src/report/pages/twin")
}

/// Needs no compiler for browsers: whoever changes the engine is told that pages hold the one before.
fn the_engine_that_ships_is_of_these_sources() -> Result<()> {
    let of = fs::read_to_string(shipped().join(DIGEST))?;
    ensure!(
        of == digest()?,
        "the page's engine was compiled of other sources of no-std-infer, host-kernels or oracle: CONTRIBUTING.md says how it is \
         written anew"
    );
    Ok(())
}

/// SHA-256 of each of the engine's sources, a line each.
fn digest() -> Result<String> {
    let line = |name: &str, digest: &[u8]| format!("{}  {name}\n", hexadecimal(digest));
    let mut lines = line("no-std-infer", &engine_digest());
    for name in ["host-kernels/src", "oracle/src"] {
        let mut files = files_below(&root().join(name))?;
        files.sort();
        let mut all = Sha256::new();
        for file in files {
            all.update(fs::read(file)?);
        }
        lines += &line(name, &all.finalize());
    }
    Ok(lines)
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

fn the_engine_that_ships_is_reproduced() -> Result<()> {
    let folder = root().join("twin");
    let output = cargo(&folder).args(["build", "--release", "--target", TARGET]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let built = fs::read(folder.join("target").join(TARGET).join("release/twin.wasm"))?;
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(shipped().join(DIGEST), digest()?)?;
        return Ok(fs::write(shipped().join("twin.wasm"), built)?);
    }
    ensure!(
        built == pages::WASM,
        "the page's engine is not what the sources give ({} bytes, {} are shipped): where they or the compiler have changed, \
         `UPDATE_EXPECTED=1 cargo test -p tests --test twin` writes it anew",
        built.len(),
        pages::WASM.len()
    );
    Ok(())
}
