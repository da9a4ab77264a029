//! What layers and models cost on the emulated device must not rise.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use host_trainer::device::bench::{Benches, Case, Row, Scope, seeded};
use host_trainer::device::boards::{Board, Estimate, named};
use host_trainer::device::costs::Costs;
use host_trainer::device::cycles::{self, Caches, Cycles, regions_of_sequences};
use host_trainer::device::measure::{Bench, SEED};
use host_trainer::device::{COUNTED, Core, Elf, Loaded, missing, missing_for};
use libtest_mimic::{Arguments, Trial};
use model_compiler::aligned::Aligned;
use model_compiler::layout::pack::Price;
use model_compiler::layout::stripes::{Layers, price};
use no_std_infer::format::{Color, Fit, Generator, Op};
use no_std_infer::golden::{generate, trace};
use no_std_infer::image::{Frame, PixelFormat, preprocess};
use no_std_infer::kernels::Generic;
use no_std_infer::operators::Form;
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
const RESIZING: [(PixelFormat, [u64; 3]); 6] = [
    (PixelFormat::Rgb888, [1_351_560, 2_483_600, 3_833_320]),
    (PixelFormat::Rgb565Be, [1_794_600, 2_966_440, 4_356_080]),
    (PixelFormat::Rgb565Le, [1_719_720, 2_874_320, 4_246_640]),
    (PixelFormat::Yuv422, [1_544_680, 3_065_000, 4_854_320]),
    (PixelFormat::Grey8, [1_211_400, 2_260_840, 3_528_080]),
    (PixelFormat::Uyvy422, [1_546_120, 3_067_880, 4_858_640]),
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
    let (missing, without_plugin) = (missing(), cycles::missing(Core::M4));
    let models_on = |core| move || nothing_costs_more_than_before(core, Scope::Model);
    let trials: Vec<Trial> = vec![
        trial("nothing_costs_more_than_before", &missing, || nothing_costs_more_than_before(Core::M4, Scope::Layer)),
        trial("no_model_costs_more_on_a_cortex_m3", &missing_for(Core::M3), models_on(Core::M3)),
        trial("no_model_costs_more_on_a_cortex_m0_plus", &missing_for(Core::M0Plus), models_on(Core::M0Plus)),
        trial("no_model_costs_more_on_a_cortex_m55", &missing_for(Core::M55), models_on(Core::M55)),
        trial("a_cortex_m7_gives_the_hosts_bytes", &missing_for(Core::M7), || kws_runs_on(Core::M7)),
        trial("a_cortex_m33_gives_the_hosts_bytes", &missing_for(Core::M33), || kws_runs_on(Core::M33)),
        trial("few_rows_make_a_step_short", &missing, few_rows_make_a_step_short),
        trial("resizing_costs_no_more_than_before", &missing, resizing_costs_no_more_than_before),
        trial("a_rise_is_found", &None, a_rise_is_found),
        trial("the_exporter_knows_what_layouts_cost", &None, the_exporter_knows_what_layouts_cost),
        trial("the_tables_know_what_everything_costs", &None, the_tables_know_what_everything_costs),
        trial("tables_and_counts_agree", &without_plugin, tables_and_counts_agree),
        trial("the_exporter_knows_what_stripes_cost", &None, the_exporter_knows_what_stripes_cost),
        trial(
            "sequences_take_the_cycles_that_the_manual_says",
            &without_plugin,
            sequences_take_the_cycles_that_the_manual_says,
        ),
        trial("operators_cycles_add_up_to_the_inferences", &without_plugin, operators_cycles_add_up_to_the_inferences),
        trial(
            "a_cortex_m55_takes_cycles_within_its_readings",
            &cycles::missing(Core::M55),
            m55_takes_cycles_within_its_readings,
        ),
        trial("an_estimate_says_what_fits", &without_plugin, an_estimate_says_what_fits),
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

/// The exporter chooses layouts by estimates; they are compared with what was measured.
fn the_exporter_knows_what_layouts_cost() -> Result<()> {
    let baseline: Baseline = serde_json::from_str(&fs::read_to_string(path(Core::M4))?)?;
    let mut forms = Vec::new();
    for case in seeded(Core::M4)?.iter().filter(|case| case.scope == Scope::Layer && case.name.starts_with("conv 3x3"))
    {
        let model = Model::parse(&case.blob)?;
        let Some(Op::Conv2d(op)) = model.ops().last() else { continue };
        let form = Form::of(op.weights.layout);
        let measured = baseline.rows.get(&case.name).with_context(|| format!("{} has no figures", case.name))?;
        let estimated = Price::new(&op, form).instructions;
        let error = estimated as f64 / measured.instructions as f64 - 1.0;
        ensure!(error.abs() < 0.06, "{}: {estimated} estimated, {} measured", case.name, measured.instructions);
        forms.push(form);
    }
    let all = Form::ALL.into_iter().map(Some).chain([None]);
    ensure!(all.into_iter().all(|form| forms.contains(&form)), "only {forms:?} are measured");
    Ok(())
}

/// Share by which whole models may take other than the tables say.
const TABLES_OF_MODELS: f64 = 0.05;
/// Share by which single layers may.
const TABLES_OF_LAYERS: f64 = 0.12;

/// Share by which a whole model's cycles may, waits for flash included.
const TABLES_OF_CYCLES: f64 = 0.05;

/// Where nothing can be counted, costs are modelled by tables; they are compared with what was measured.
fn the_tables_know_what_everything_costs() -> Result<()> {
    let baseline: Baseline = serde_json::from_str(&fs::read_to_string(path(Core::M4))?)?;
    let (costs, mut wrong) = (Costs::built_in()?, Vec::new());
    for case in seeded(Core::M4)? {
        let measured =
            baseline.rows.get(&case.name).with_context(|| format!("{} has no figures", case.name))?.instructions;
        let model = Model::parse(&case.blob)?;
        let (modelled, bound) = match case.scope {
            Scope::Layer => {
                let last = model.ops().last().context("a layer is an operator")?;
                (costs.of_operator(&last, Caches::default())?.instructions, TABLES_OF_LAYERS)
            }
            _ => (costs.of_model(&model, Caches::default())?.instructions, TABLES_OF_MODELS),
        };
        let error = modelled as f64 / measured as f64 - 1.0;
        println!("{}: {modelled} by tables, {measured} measured, {:+.1} %", case.name, 100.0 * error);
        // A clock's tick more or less is much of a small layer.
        if error.abs() > bound && modelled.abs_diff(measured) > 10 * TICK {
            wrong.push(format!("{}: {modelled} by tables, {measured} measured", case.name));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{}\n`cargo run -- dev device-costs --out host-trainer/src/device/costs/table.toml` fits them again",
        wrong.join("\n")
    );
    Ok(())
}

/// Cycles on every board, of a model whose weights stay in the caches of some of them only.
fn tables_and_counts_agree() -> Result<()> {
    let (bench, costs, case) = (Bench::build(Core::M4)?, Costs::built_in()?, kws(Core::M4)?);
    let model = Model::parse(&case.blob)?;
    let mut wrong = Vec::new();
    for board in named(&[])?.into_iter().filter(|board| board.emulated() == Core::M4) {
        let name = board.name.clone();
        let counted = Estimate::new(&bench, &case.blob, board.clone())?;
        let modelled = Estimate::modelled(&costs, &model, &case.blob, board)?;
        ensure!(counted.counted && !modelled.counted && counted.arena == modelled.arena);
        for (counted, modelled) in counted.cycles.into_iter().zip(modelled.cycles) {
            let error = modelled as f64 / counted as f64 - 1.0;
            println!("{name}: {modelled} cycles by tables, {counted} counted, {:+.1} %", 100.0 * error);
            if error.abs() > TABLES_OF_CYCLES {
                wrong.push(format!("{name}: {modelled} cycles by tables, {counted} counted"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The exporter chooses stripes by estimates too.
fn the_exporter_knows_what_stripes_cost() -> Result<()> {
    let baseline: Baseline = serde_json::from_str(&fs::read_to_string(path(Core::M4))?)?;
    let instructions = |name: &str| Ok(baseline.rows.get(name).context("it has no figures")?.instructions);
    let mut models = 0;
    for case in seeded(Core::M4)? {
        let Some(whole) = case.name.strip_suffix(", least RAM") else { continue };
        let model = Model::parse(&case.blob)?;
        let estimated = price(model.ops(), &Layers::of(&case.blob, &model)?.whole(&model));
        let measured = [&*case.name, whole].map(instructions).into_iter().collect::<Result<Vec<u64>>>()?;
        let measured = measured[0].saturating_sub(measured[1]);
        ensure!(
            estimated.abs_diff(measured) * 3 < measured,
            "{}: {estimated} estimated, {measured} measured",
            case.name
        );
        models += 1;
    }
    ensure!(models == 3, "{models} models in stripes are measured");
    Ok(())
}

/// Prints what the device takes to make an input of a frame, whose bytes are this machine's.
fn resizing_costs_no_more_than_before() -> Result<()> {
    let printed = Loaded::build("resize", Core::M4)?.run(&[], &COUNTED)?;
    println!("{printed}");
    let mut noise = [0; 3 * 96 * 96];
    generate(Generator::Xorshift32, SEED, &mut noise);
    let bytes: Vec<u8> = noise.iter().cycle().take(3 * 320 * 240).map(|&byte| byte as u8).collect();
    let mut lines = printed.lines();
    for (format, bounds) in RESIZING {
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
    ensure!(lines.eq(["end"]), "{printed}");
    Ok(())
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

/// Nominal cycles of the sequences in `firmware-example/rig/src/bin/sequences.rs`, worked out there by hand.
fn sequences_take_the_cycles_that_the_manual_says() -> Result<()> {
    let expected = [0, 5, 5, 5, 6, 5, 6, 5, 6, 5, 301, 6, 10, 3, 5, 6];
    let regions = regions_of_sequences()?;
    ensure!(regions.len() == expected.len(), "{} sequences were counted", regions.len());
    let found: Vec<u64> = regions.iter().map(|region| region.cycles.nominal - 1).collect();
    ensure!(found == expected, "{found:?} cycles where {expected:?} were expected");
    ensure!(regions.iter().all(|region| {
        let Cycles { low, nominal, high } = region.cycles;
        low <= nominal && nominal <= high
    }));
    Ok(())
}

/// `count` fails where the plugin's counts are not those of the board's clock; here, that they add up too.
fn operators_cycles_add_up_to_the_inferences() -> Result<()> {
    let bench = Bench::build(Core::M4)?;
    let case = kws(Core::M4)?;
    let counted = bench.count(&case.blob, Caches::default())?;
    let sum: u64 = counted.operators.iter().map(|region| region.cycles.nominal).sum();
    let run = counted.run.cycles.nominal;
    ensure!(sum.abs_diff(run) < run / 100, "{sum} cycles of operators, {run} of the inference");
    ensure!((1.0..2.0).contains(&counted.run.cycles_per_instruction()), "{:?}", counted.run.cycles);
    ensure!(counted.run.with_wait_states(5).nominal > run && counted.run.functions.len() > 3);
    Ok(())
}

/// Vector instructions take two cycles of their unit, and one where they alternate: so many cycles an instruction.
fn m55_takes_cycles_within_its_readings() -> Result<()> {
    let bench = Bench::build(Core::M55)?;
    let case = kws(Core::M55)?;
    let counted = bench.count(&case.blob, Caches::default())?;
    let Cycles { low, nominal, high } = counted.run.cycles;
    ensure!(counted.run.instructions <= low && low < nominal && nominal < high, "{:?}", counted.run.cycles);
    ensure!((1.15..1.4).contains(&counted.run.cycles_per_instruction()), "{:?}", counted.run.cycles);
    let sum: u64 = counted.operators.iter().map(|region| region.cycles.nominal).sum();
    ensure!(sum.abs_diff(nominal) < nominal / 50, "{sum} cycles of operators, {nominal} of the inference");
    let board = named(&["grove-vision-ai-v2".to_owned()])?.remove(0);
    let estimate = Estimate::new(&bench, &case.blob, board)?;
    ensure!(estimate.core_is_modelled && estimate.cycles == [low, nominal, high], "{estimate:?}");
    Ok(())
}

fn an_estimate_says_what_fits() -> Result<()> {
    let bench = Bench::build(Core::M4)?;
    let case = kws(Core::M4)?;
    let board = named(&["nucleo-l4r5zi".to_owned()])?.remove(0);
    let without_waits = bench.count(&case.blob, board.caches)?.run.cycles;
    let estimate = Estimate::new(&bench, &case.blob, board.clone())?;
    let [low, nominal, high] = estimate.cycles;
    ensure!(estimate.fits && without_waits.nominal < nominal && low <= nominal && nominal <= high, "{estimate:?}");
    ensure!((estimate.milliseconds[1] * 120_000.0 - nominal as f64).abs() < 1.0, "{estimate:?}");
    ensure!(!Estimate::new(&bench, &case.blob, Board { flash_kib: 32, ..board.clone() })?.fits, "32 KB of flash");
    ensure!(!Estimate::new(&bench, &case.blob, Board { ram_kib: 8, ..board })?.fits, "8 KB of RAM");
    Ok(())
}
