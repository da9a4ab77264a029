//! What each firmware takes must not rise, and none may hold what formats a panic's text.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use host_trainer::device::budget::{Budget, measure};
use host_trainer::device::calls::Resident;
use host_trainer::device::{Core, Parts, Program, cycles, missing, missing_target};
use libtest_mimic::{Arguments, Trial};
use model_training::measure::evaluate::read_blob;
use serde::{Deserialize, Serialize};
use tests::needing::trial;

/// Share by which a count may rise.
const TOLERANCE: f64 = 0.02;
/// Share by which another compiler may change a count.
const COMPILER_TOLERANCE: f64 = 0.15;
/// Bytes by which small parts may rise: gaps between sections differ with what is before them.
const SLACK: u64 = 64;

const REMEDY: &str = "where that is wanted, `UPDATE_EXPECTED=1 cargo test -p tests --test budget` writes new budgets";

/// What a firmware may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Limits {
    compiler: String,
    flash: Parts,
    ram: Parts,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<u32>,
}

impl Limits {
    fn new(budget: &Budget) -> Self {
        let Budget { compiler, flash, ram, stack, .. } = budget.clone();
        Self { compiler, flash, ram, stack }
    }

    /// What is above these limits, in words.
    fn exceeded(&self, now: &Self) -> Vec<String> {
        let tolerance = if self.compiler == now.compiler { TOLERANCE } else { COMPILER_TOLERANCE };
        let parts = |limits: &Self| {
            let named = [("flash", limits.flash), ("RAM", limits.ram)].map(|(memory, parts)| {
                parts.named().into_iter().map(move |(part, bytes)| (format!("{memory}, {part}"), bytes))
            });
            let stack = limits.stack.map(|bytes| ("stack".to_owned(), u64::from(bytes)));
            named.into_iter().flatten().chain(stack).collect::<BTreeMap<_, _>>()
        };
        let before = parts(self);
        let above = |(part, bytes): (String, u64)| {
            let limit = before.get(&part).copied().unwrap_or(0);
            (bytes as f64 > limit as f64 * (1.0 + tolerance) + SLACK as f64)
                .then(|| format!("{part}: {bytes} bytes instead of {limit}"))
        };
        parts(now).into_iter().filter_map(above).collect()
    }
}

fn main() {
    let missing = missing().or_else(|| missing_target(Program::Pico2.target())).or_else(|| cycles::missing(Core::M4));
    let trials: Vec<Trial> = vec![
        trial("no_firmware_takes_more_than_its_budget", &missing, no_firmware_takes_more_than_its_budget),
        trial("a_rise_is_found", &None, a_rise_is_found),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn no_firmware_takes_more_than_its_budget() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let budgets = measure(&read_blob(&folder.join("../data/faces.blob"))?)?;
    for Budget { name, formatting, residents, rate, .. } in &budgets {
        ensure!(formatting.is_empty(), "{name} formats text: {formatting:?}");
        for Resident { name: function, leaves_to } in residents {
            ensure!(leaves_to.is_empty(), "{name}: {function} runs without flash and branches to {leaves_to:x?}");
        }
        // The Pico 2's flash cannot be read while it is written.
        let writes = residents.iter().any(|function| function.name.contains("write_flash_inner"));
        ensure!(writes == (*name == Program::Pico2.name()), "{name} has {residents:?} in RAM");
        let faster = rate.as_ref().is_none_or(|rate| rate.frames_per_second[0] > 1.0);
        ensure!(faster, "{name} would not reach a frame a second: {rate:?}");
    }
    let now: BTreeMap<&str, Limits> = budgets.iter().map(|budget| (budget.name, Limits::new(budget))).collect();
    let path = folder.join("budgets.json");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, serde_json::to_string_pretty(&now)? + "\n")?;
        return Ok(());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("{}; {REMEDY}", path.display()))?;
    let before: BTreeMap<String, Limits> = serde_json::from_str(&text)?;
    let mut worse = Vec::new();
    for (name, now) in &now {
        let limits = before.get(*name).with_context(|| format!("{name} has no budget yet; {REMEDY}"))?;
        worse.extend(limits.exceeded(now).into_iter().map(|part| format!("{name}: {part}")));
    }
    ensure!(worse.is_empty(), "{}\n{REMEDY}", worse.join("\n"));
    Ok(())
}

fn a_rise_is_found() -> Result<()> {
    let flash = Parts { engine: 40_000, blob: 80_000, arena: 0, application: 10_000, other: 20_000 };
    let before = Limits { compiler: "rustc 1".to_owned(), flash, ram: Parts::default(), stack: Some(2000) };
    ensure!(before.exceeded(&before).is_empty());
    let mut now = before.clone();
    now.flash.engine = 40_864;
    ensure!(before.exceeded(&now).is_empty(), "2 % and the slack are allowed");
    now.flash.engine += 1;
    ensure!(before.exceeded(&now) == ["flash, engine: 40865 bytes instead of 40000"], "{:?}", before.exceeded(&now));
    now.compiler = "rustc 2".to_owned();
    ensure!(before.exceeded(&now).is_empty(), "another compiler is given more");
    now.stack = Some(2400);
    ensure!(before.exceeded(&now) == ["stack: 2400 bytes instead of 2000"], "{:?}", before.exceeded(&now));
    Ok(())
}
