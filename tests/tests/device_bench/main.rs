//! What layers and models cost on the emulated device must not rise, and what is modelled of it must agree.

mod cycles;
mod models;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use host_trainer::device::bench::{Benches, Case, Row, Scope, seeded};
use host_trainer::device::cycles::missing as missing_to_count;
use host_trainer::device::measure::{Bench, SEED};
use host_trainer::device::{COUNTED, Core, Elf, Loaded, missing, missing_for};
use libtest_mimic::{Arguments, Trial};
use model_compiler::aligned::Aligned;
use no_std_infer::format::{Color, Fit, Generator};
use no_std_infer::golden::{generate, trace};
use no_std_infer::image::{Frame, PixelFormat, preprocess};
use no_std_infer::kernels::Generic;
use no_std_infer::{CRC32, Interpreter, Model};
use serde::{Deserialize, Serialize};
use tests::needing::trial;

/// Share by which a count may rise.
const TOLERANCE: f64 = 0.02;
/// Share by which another compiler may change a count.
const COMPILER_TOLERANCE: f64 = 0.15;
/// The clock's tick is 40 instructions, and an interval may end anywhere in one.
const TICK: u64 = 40;
/// Bytes of stack that another layout of frames may take.
const STACK: u64 = 64;

/// Instructions of the longest step with the fewest rows.
const LONGEST_STEPS: [(&str, u32); 3] =
    [("ResNet8", 878_880), ("VWW MobileNetV1-0.25 96x96", 479_920), ("KWS DS-CNN", 72_400)];

/// Instructions to crop a frame of 320 x 240 pixels and to resize it to 32, 64 and 96 pixels across and down, in colour.
type Resizing = [(PixelFormat, [u64; 3]); 6];
const RESIZING: Resizing = [
    (PixelFormat::Rgb888, [1_133_800, 1_668_680, 2_350_000]),
    (PixelFormat::Rgb565Be, [1_499_360, 2_079_920, 2_759_520]),
    (PixelFormat::Rgb565Le, [1_437_920, 2_010_800, 2_690_400]),
    (PixelFormat::Yuv422, [1_120_480, 1_800_920, 2_736_480]),
    (PixelFormat::Grey8, [941_280, 1_452_120, 2_128_800]),
    (PixelFormat::Uyvy422, [1_150_160, 1_834_320, 2_769_320]),
];
/// The same on a Cortex-M55.
const RESIZING_BY_VECTORS: Resizing = [
    (PixelFormat::Rgb888, [330_094, 517_718, 717_469]),
    (PixelFormat::Rgb565Be, [427_375, 626_156, 817_187]),
    (PixelFormat::Rgb565Le, [427_312, 626_156, 817_188]),
    (PixelFormat::Yuv422, [351_312, 560_063, 793_594]),
    (PixelFormat::Grey8, [330_219, 517_875, 717_656]),
    (PixelFormat::Uyvy422, [351_281, 560_032, 793_594]),
];

const REMEDY: &str =
    "where that is wanted, `UPDATE_EXPECTED=1 cargo test -p tests --test device_bench` writes new figures";

/// Figures of an earlier commit.
#[derive(Debug, Serialize, Deserialize)]
struct Baseline {
    /// What compiled the firmware.
    compiler: String,
    /// Bytes of the engine's functions.
    code: u64,
    /// By name of the layer or model.
    rows: BTreeMap<String, Counts>,
}

/// What must not rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    instructions: u64,
    constants: u64,
    arena: u64,
    stack: u64,
    /// Bytes of the engine's functions with no other kernels than a model's, where they are held.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u64>,
}

impl Counts {
    fn new(row: &Row) -> Self {
        Self {
            instructions: row.instructions,
            constants: row.constants as u64,
            arena: row.measured.arena as u64,
            stack: row.measured.stack as u64,
            code: (row.scope == Scope::Model).then_some(row.code),
        }
    }

    /// What rose since `before`, in words.
    fn risen(&self, before: &Self, tolerance: f64) -> Vec<String> {
        let fields = [
            ("instructions", self.instructions, before.instructions, TICK),
            ("bytes of constants", self.constants, before.constants, 0),
            ("bytes of arena", self.arena, before.arena, 0),
            ("bytes of stack", self.stack, before.stack, STACK),
            ("bytes of code", self.code.unwrap_or(0), before.code.or(self.code).unwrap_or(0), 0),
        ];
        let risen = fields
            .into_iter()
            .filter(|&(_, now, before, slack)| now > before + slack && now as f64 > before as f64 * (1.0 + tolerance));
        risen.map(|(what, now, before, _)| format!("{now} {what} instead of {before}")).collect()
    }
}

fn main() {
    let (missing, without_plugin) = (missing(), missing_to_count(Core::M4));
    let models_on = |core| move || nothing_costs_more_than_before(core, Scope::Model);
    let trials: Vec<Trial> = vec![
        trial("nothing_costs_more_than_before", &missing, || nothing_costs_more_than_before(Core::M4, Scope::Layer)),
        trial("no_model_costs_more_on_a_cortex_m3", &missing_for(Core::M3), models_on(Core::M3)),
        trial("no_model_costs_more_on_a_cortex_m0_plus", &missing_for(Core::M0Plus), models_on(Core::M0Plus)),
        trial("no_model_costs_more_on_a_cortex_m55", &missing_for(Core::M55), models_on(Core::M55)),
        trial("a_cortex_m7_gives_the_hosts_bytes", &missing_for(Core::M7), || kws_runs_on(Core::M7)),
        trial("a_cortex_m33_gives_the_hosts_bytes", &missing_for(Core::M33), || kws_runs_on(Core::M33)),
        trial("few_rows_make_a_step_short", &missing, few_rows_make_a_step_short),
        trial("resizing_costs_no_more_than_before", &missing, || {
            resizing_costs_no_more_than_before(Core::M4, RESIZING)
        }),
        trial("resizing_by_vectors_costs_no_more_than_before", &missing_for(Core::M55), || {
            resizing_costs_no_more_than_before(Core::M55, RESIZING_BY_VECTORS)
        }),
        trial("a_rise_is_found", &None, a_rise_is_found),
        trial("the_exporter_knows_what_layouts_cost", &None, models::the_exporter_knows_what_layouts_cost),
        trial("the_tables_know_what_everything_costs", &None, models::the_tables_know_what_everything_costs),
        trial("tables_and_counts_agree", &without_plugin, models::tables_and_counts_agree),
        trial("the_exporter_knows_what_stripes_cost", &None, models::the_exporter_knows_what_stripes_cost),
        trial(
            "sequences_take_the_cycles_that_the_manual_says",
            &without_plugin,
            cycles::sequences_take_the_cycles_that_the_manual_says,
        ),
        trial(
            "operators_cycles_add_up_to_the_inferences",
            &without_plugin,
            cycles::operators_cycles_add_up_to_the_inferences,
        ),
        trial(
            "a_cortex_m55_takes_cycles_within_its_readings",
            &missing_to_count(Core::M55),
            cycles::m55_takes_cycles_within_its_readings,
        ),
        trial("an_estimate_says_what_fits", &without_plugin, cycles::an_estimate_says_what_fits),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn path(core: Core) -> PathBuf {
    let name = match core {
        Core::M4 => "device-bench.json".to_owned(),
        Core::M55 => "device-bench-cortex-m55.json".to_owned(),
        _ => format!("device-bench-{}.json", core.target()),
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Of the models, and of the layers where these are asked for.
fn nothing_costs_more_than_before(core: Core, scope: Scope) -> Result<()> {
    let mut benches = Benches::build(core)?;
    let Elf { compiler, engine, .. } = benches.all().elf()?;
    let code = engine.total();
    let mut rows = BTreeMap::new();
    for case in seeded(core)?.into_iter().filter(|case| scope == Scope::Layer || case.scope == scope) {
        let row = benches.measure(&case, None)?;
        rows.insert(case.name, Counts::new(&row));
    }
    let path = path(core);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, serde_json::to_string_pretty(&Baseline { compiler, code, rows })? + "\n")?;
        return Ok(());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("{}; {REMEDY}", path.display()))?;
    let baseline: Baseline = serde_json::from_str(&text)?;
    let tolerance = if baseline.compiler == compiler { TOLERANCE } else { COMPILER_TOLERANCE };
    let mut worse = Vec::new();
    if code as f64 > baseline.code as f64 * (1.0 + tolerance) {
        worse.push(format!("the engine: {code} bytes of code instead of {}", baseline.code));
    }
    for (name, counts) in &rows {
        let before = baseline.rows.get(name).with_context(|| format!("{name} has no figures yet; {REMEDY}"))?;
        worse.extend(counts.risen(before, tolerance).into_iter().map(|rise| format!("{name}: {rise}")));
    }
    ensure!(worse.is_empty(), "{}\n{REMEDY}", worse.join("\n"));
    Ok(())
}

/// The bytes are compared by `measure`.
fn kws_runs_on(core: Core) -> Result<()> {
    let bench = Bench::build(core)?;
    let row = Row::measure(&bench, &kws(core)?, None)?;
    ensure!(row.measured.core == core && row.instructions > row.macs, "{row:?}");
    Ok(())
}

const KWS: &str = "KWS DS-CNN";

fn kws(core: Core) -> Result<Case> {
    seeded(core)?.into_iter().find(|case| case.name == KWS).context("there is a KWS model")
}

/// Prints what the device takes to make an input of a frame, whose bytes are this machine's.
fn resizing_costs_no_more_than_before(core: Core, bounds: Resizing) -> Result<()> {
    let printed = Loaded::build("resize", core)?.run(&[], &COUNTED)?;
    println!("{printed}");
    let mut noise = [0; 3 * 96 * 96];
    generate(Generator::Xorshift32, SEED, &mut noise);
    let bytes: Vec<u8> = noise.iter().cycle().take(3 * 320 * 240).map(|&byte| byte as u8).collect();
    let mut lines = printed.lines();
    for (format, bounds) in bounds {
        for (side, bound) in [32, 64, 96].into_iter().zip(bounds) {
            let frame = Frame::new(format, 320, 240, &bytes[..320 * 240 * format.bytes_per_pixel()])?;
            let mut input = vec![0; 3 * usize::from(side) * usize::from(side)];
            preprocess(&frame, Fit::Crop, &mut input, side, side, Color::Rgb)?;
            let mut crc = CRC32.digest();
            input.iter().for_each(|&byte| crc.update(&[byte as u8]));
            let line = lines.next().context("a line is missing")?;
            let fields: Vec<&str> = line.split(' ').collect();
            let &[name, across, instructions, found] = fields.as_slice() else { bail!("the firmware printed {line}") };
            ensure!((name, across) == (&*format!("{format:?}"), &*side.to_string()), "the firmware printed {line}");
            ensure!(found == format!("{:08x}", crc.finalize()), "the bytes of {line} are not this machine's");
            ensure!(
                instructions.parse::<u64>()? as f64 <= bound as f64 * (1.0 + TOLERANCE),
                "{line}, and before {bound}"
            );
        }
    }
    if core == Core::M55 {
        for format in PixelFormat::ALL {
            let expected = format!("{format:?} {:08x}", other_sizes(format, &bytes)?);
            ensure!(lines.next() == Some(&*expected), "expected {expected} in\n{printed}");
        }
    }
    ensure!(lines.eq(["end"]), "{printed}");
    Ok(())
}

/// The CRC of the inputs that the firmware makes of frames of many other sizes.
fn other_sizes(format: PixelFormat, bytes: &[u8]) -> Result<u32> {
    let mut digest = CRC32.digest();
    for index in 0..200_u16 {
        let (width, height) = (2 * (1 + u32::from(index) * 7 % 71), 1 + u32::from(index) * 11 % 29);
        let (out_width, out_height) = (1 + index * 5 % 43, 1 + index * 3 % 19);
        let fit = if index % 3 == 0 { Fit::Crop } else { Fit::Stretch };
        let color = if index % 5 == 0 { Color::Grey } else { Color::Rgb };
        let len = (width * height) as usize * format.bytes_per_pixel();
        let frame = Frame::new(format, width, height, &bytes[usize::from(index)..][..len])?;
        let mut input = vec![0; usize::from(out_width) * usize::from(out_height) * color.channels()];
        preprocess(&frame, fit, &mut input, out_width, out_height, color)?;
        input.iter().for_each(|&byte| digest.update(&[byte as u8]));
    }
    Ok(digest.finalize())
}

/// Prints how long the longest step takes of each model, with whole operators and with the fewest rows.
fn few_rows_make_a_step_short() -> Result<()> {
    let firmware = Loaded::build("steps", Core::M4)?;
    let mut cases = seeded(Core::M4)?;
    for (name, bound) in LONGEST_STEPS {
        let case = cases.iter().position(|case| case.name == name).map(|at| cases.swap_remove(at));
        let case = case.with_context(|| format!("there is no {name}"))?;
        let printed = firmware.run(&case.blob, &COUNTED)?;
        println!("{name}:\n{printed}");
        let lines: Vec<Vec<&str>> = printed.lines().map(|line| line.split(' ').collect()).collect();
        let [whole, fewest, end] = lines.as_slice() else { bail!("the firmware printed\n{printed}") };
        let number = |line: &[&str], at: usize| Ok::<u64, anyhow::Error>(line.get(at).context("cut off")?.parse()?);
        ensure!(*end == ["end"] && number(whole, 1)? == u64::from(u16::MAX) && number(fewest, 1)? == 1, "{printed}");
        ensure!(number(fewest, 3)? > 2 * number(whole, 3)?, "there are hardly more steps");
        let longest = number(fewest, 5)?;
        ensure!(longest < number(whole, 5)?, "the longest step is no shorter");
        ensure!(
            longest as f64 <= f64::from(bound) * (1.0 + TOLERANCE),
            "the longest step takes {longest} instructions"
        );
        let model = Model::parse(&case.blob)?;
        let mut arena = Aligned::new(model.arena_len());
        let mut interpreter = Interpreter::with_kernels::<Generic>(model, &mut arena)?;
        let mut expected = 0;
        trace(&mut interpreter, Generator::Xorshift32, SEED, |_, crc| expected = crc);
        let expected = format!("{expected:08x}");
        ensure!(whole.last() == fewest.last() && whole.last() == Some(&&*expected), "{expected} on this machine");
    }
    Ok(())
}

fn a_rise_is_found() -> Result<()> {
    let before = Counts { instructions: 10_000, constants: 100, arena: 1000, stack: 500, code: Some(100) };
    ensure!(before.risen(&before, TOLERANCE).is_empty());
    let within = Counts { instructions: 10_200, constants: 102, arena: 1020, stack: 564, code: Some(102) };
    ensure!(within.risen(&before, TOLERANCE).is_empty());
    let beyond = Counts { instructions: 10_201, constants: 103, arena: 1021, stack: 565, code: Some(103) };
    ensure!(beyond.risen(&before, TOLERANCE).len() == 5);
    Ok(())
}
