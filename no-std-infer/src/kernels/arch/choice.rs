//! Which kernels a program gets, decided by the build script: from the target, what the compiler is told of the core, and
//! what the firmware says itself. Rust cannot: on stable it knows no DSP extension of Thumb targets.

use core::fmt;

/// The environment variable by which firmware says which kernels it takes.
pub const VARIABLE: &str = "NO_STD_INFER_KERNELS";

/// Cores of Armv8-M that the compiler takes to have the DSP extension, and gives such instructions. It is an option of the
/// first two: who has a part without it tells the compiler, by `-C target-feature=-dsp`.
const CORES_WITH_DSP: [&str; 6] = ["cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85", "star-mc1"];
/// Those of them that the compiler takes to have the vector extension, and gives such instructions. It is an option of each; who
/// has a part without it tells the compiler, by `-C target-feature=-mve`.
const CORES_WITH_MVE: [&str; 3] = ["cortex-m52", "cortex-m55", "cortex-m85"];

/// A set of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    Armv81m,
    Armv7em,
    Armv7m,
    Armv6m,
    Generic,
}

impl Kernels {
    pub const ALL: [Self; 5] = [Self::Armv81m, Self::Armv7em, Self::Armv7m, Self::Armv6m, Self::Generic];

    /// What [`VARIABLE`] calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Armv81m => "armv8.1m",
            Self::Armv7em => "armv7em",
            Self::Armv7m => "armv7m",
            Self::Armv6m => "armv6m",
            Self::Generic => "generic",
        }
    }
}

/// What a target stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Architecture {
    /// Armv6-M, and the baseline of Armv8-M, which has nothing more that kernels could use.
    Armv6m,
    Armv7m,
    Armv7em,
    /// Of Armv8-M what has the main extension, and the DSP extension and the vector extension or not.
    Armv8mMain,
    Riscv32,
    Other,
}

impl Architecture {
    fn of(target: &str) -> Self {
        let prefixes = [
            ("thumbv6m", Self::Armv6m),
            ("thumbv8m.base", Self::Armv6m),
            ("thumbv7m-", Self::Armv7m),
            ("thumbv7em", Self::Armv7em),
            ("thumbv8m.main", Self::Armv8mMain),
            ("riscv32", Self::Riscv32),
        ];
        prefixes.iter().find(|(prefix, _)| target.starts_with(prefix)).map_or(Self::Other, |&(_, found)| found)
    }

    /// Whether it runs a set. Where there is no assembly, any set is portable Rust.
    fn runs(self, kernels: Kernels) -> bool {
        match self {
            Self::Armv6m => matches!(kernels, Kernels::Armv6m | Kernels::Generic),
            Self::Armv7m => !matches!(kernels, Kernels::Armv81m | Kernels::Armv7em),
            Self::Armv7em => kernels != Kernels::Armv81m,
            Self::Armv8mMain | Self::Riscv32 | Self::Other => true,
        }
    }

    fn has_assembly(self) -> bool {
        !matches!(self, Self::Riscv32 | Self::Other)
    }
}

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub kernels: Kernels,
    /// Whether their loops are in assembly.
    pub assembly: bool,
    /// Whether the assembler knows the DSP extension only when it is told of a core that has it.
    pub armv8m: bool,
    /// Whether the target allows a faster set, and nothing says that the core does not.
    pub guessed: bool,
}

/// The kernels for a target. `flags` are the compiler's, separated as in `CARGO_ENCODED_RUSTFLAGS`; `wanted` is the value of
/// [`VARIABLE`].
///
/// # Errors
/// When `wanted` names no set, or one that the target does not run.
pub fn choose<'a>(target: &'a str, flags: &str, wanted: Option<&'a str>) -> Result<Choice, Refused<'a>> {
    let architecture = Architecture::of(target);
    let (kernels, guessed) = match wanted {
        Some(name) => {
            let named = Kernels::ALL.into_iter().find(|kernels| kernels.name() == name);
            let runs = named.filter(|&kernels| architecture.runs(kernels));
            (runs.ok_or(Refused { name, target: named.map(|_| target) })?, false)
        }
        None => default(architecture, flags),
    };
    let assembly = architecture.has_assembly() && kernels != Kernels::Generic;
    Ok(Choice { kernels, assembly, armv8m: architecture == Architecture::Armv8mMain, guessed })
}

/// The fastest set that runs on every core the compiler may mean, and whether that is a guess.
fn default(architecture: Architecture, flags: &str) -> (Kernels, bool) {
    match architecture {
        Architecture::Armv6m => (Kernels::Armv6m, false),
        Architecture::Armv7m | Architecture::Riscv32 => (Kernels::Armv7m, false),
        Architecture::Armv7em => (Kernels::Armv7em, false),
        Architecture::Armv8mMain => match (has(flags, "mve", &CORES_WITH_MVE), has(flags, "dsp", &CORES_WITH_DSP)) {
            (Some(true), _) => (Kernels::Armv81m, false),
            (_, Some(true)) => (Kernels::Armv7em, false),
            (_, Some(false)) => (Kernels::Armv7m, false),
            (_, None) => (Kernels::Armv7m, true),
        },
        Architecture::Other => (Kernels::Generic, false),
    }
}

/// What the flags say of an extension: the feature, or else the core; of each the last one counts.
fn has(flags: &str, extension: &str, cores: &[&str]) -> Option<bool> {
    let (mut feature, mut core) = (None, None);
    for (key, value) in codegen_options(flags) {
        match key {
            "target-cpu" | "target_cpu" => core = cores.contains(&value).then_some(true),
            "target-feature" | "target_feature" => {
                let said = value.rsplit(',').map(str::trim).find_map(|said| match said.split_at_checked(1)? {
                    ("+", named) if named == extension => Some(true),
                    ("-", named) if named == extension => Some(false),
                    _ => None,
                });
                feature = said.or(feature);
            }
            _ => {}
        }
    }
    feature.or(core)
}

/// Keys and values of the codegen options among flags.
fn codegen_options(flags: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut flags = flags.split('\x1f');
    core::iter::from_fn(move || {
        loop {
            let flag = flags.next()?;
            let option = match flag {
                "-C" | "--codegen" => flags.next()?,
                _ => flag.strip_prefix("--codegen=").or_else(|| flag.strip_prefix("-C")).unwrap_or_default(),
            };
            if let Some(pair) = option.split_once('=') {
                return Some(pair);
            }
        }
    })
}

/// A wish that cannot be fulfilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<'a> {
    name: &'a str,
    /// The target that lacks the instructions of this set; `None` where there is no such set.
    target: Option<&'a str>,
}

impl fmt::Display for Refused<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, target } = self;
        match target {
            Some(target) => write!(formatter, "{VARIABLE} is {name}, which {target} has no instructions for: take")?,
            None => write!(formatter, "{VARIABLE} is `{name}`, which is no set of kernels: take")?,
        }
        let architecture = target.map_or(Architecture::Other, Architecture::of);
        let mut separator = " ";
        for kernels in Kernels::ALL.into_iter().filter(|&kernels| architecture.runs(kernels)) {
            write!(formatter, "{separator}{}", kernels.name())?;
            separator = " or ";
        }
        write!(formatter, ", or leave it to the target")
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    const M33: &str = "thumbv8m.main-none-eabihf";

    /// The set that is chosen, and whether it is a guess.
    fn chosen(target: &str, flags: &str) -> (&'static str, bool) {
        let choice = choose(target, &flags.replace(' ', "\x1f"), None).expect("nothing is wanted");
        (choice.kernels.name(), choice.guessed)
    }

    #[test]
    fn most_targets_leave_no_choice() {
        for (target, kernels) in [
            ("thumbv7em-none-eabihf", "armv7em"),
            ("thumbv7em-none-eabi", "armv7em"),
            ("thumbv7m-none-eabi", "armv7m"),
            ("thumbv6m-none-eabi", "armv6m"),
            ("thumbv8m.base-none-eabi", "armv6m"),
            ("riscv32imac-unknown-none-elf", "armv7m"),
            ("x86_64-unknown-linux-gnu", "generic"),
            ("aarch64-apple-darwin", "generic"),
            ("thumbv7neon-unknown-linux-gnueabihf", "generic"),
            ("thumbv7a-none-eabi", "generic"),
        ] {
            assert_eq!(chosen(target, "-Ctarget-cpu=cortex-m0"), (kernels, false), "{target}");
        }
    }

    #[test]
    fn a_core_of_armv8m_says_whether_it_has_the_extension() {
        for core in ["cortex-m33", "cortex-m35p", "star-mc1"] {
            assert_eq!(chosen(M33, &format(core)), ("armv7em", false), "{core}");
        }
        for core in ["cortex-m52", "cortex-m55", "cortex-m85"] {
            assert_eq!(chosen(M33, &format(core)), ("armv8.1m", false), "{core}");
        }
        for core in ["generic", "cortex-m23", "cortex-m99"] {
            assert_eq!(chosen(M33, &format(core)), ("armv7m", true), "{core}");
        }
        assert_eq!(chosen(M33, ""), ("armv7m", true));
        assert_eq!(chosen("thumbv8m.main-none-eabi", "-Copt-level=s -g"), ("armv7m", true));
    }

    fn format(core: &str) -> std::string::String {
        std::format!("-Ctarget-cpu={core}")
    }

    #[test]
    fn flags_are_read_in_every_spelling() {
        for flags in [
            "-Ctarget-cpu=cortex-m33",
            "-C target-cpu=cortex-m33",
            "--codegen=target-cpu=cortex-m33",
            "--codegen target-cpu=cortex-m33",
            "-Ctarget_cpu=cortex-m33",
            "-Ctarget-feature=+dsp",
            "-C target-feature=+dsp",
            "--codegen=target-feature=+dsp",
            "--codegen target-feature=-mve,+dsp,+fp64",
            "-Clink-arg=-Tlink.x --cfg dsp -Ctarget-cpu=cortex-m33 -C opt-level=s",
        ] {
            assert_eq!(chosen(M33, flags), ("armv7em", false), "{flags}");
        }
        for flags in
            ["target-cpu=cortex-m33", "--cfg target-cpu=cortex-m33", "-C", "--codegen", "-Ctarget-cpu", "-Cdsp"]
        {
            assert_eq!(chosen(M33, flags), ("armv7m", true), "{flags}");
        }
    }

    #[test]
    fn the_last_flag_counts_and_the_feature_more_than_the_core() {
        for (flags, expected) in [
            ("-Ctarget-cpu=generic -Ctarget-cpu=cortex-m33", ("armv7em", false)),
            ("-Ctarget-cpu=cortex-m33 -C target-cpu=generic", ("armv7m", true)),
            ("-Ctarget-feature=-dsp -Ctarget-feature=+dsp", ("armv7em", false)),
            ("-Ctarget-feature=+dsp,-dsp", ("armv7m", false)),
            ("-Ctarget-feature=-dsp -Ctarget-feature=-mve", ("armv7m", false)),
            ("-Ctarget-feature=-dsp -Ctarget-cpu=cortex-m33", ("armv7m", false)),
            ("-Ctarget-cpu=cortex-m55 -Ctarget-feature=-mve", ("armv7em", false)),
            ("-Ctarget-cpu=cortex-m55 -Ctarget-feature=-mve,-dsp", ("armv7m", false)),
            ("-Ctarget-feature=+mve", ("armv8.1m", false)),
            ("-Ctarget-feature=+mve.fp,+dsp", ("armv7em", false)),
        ] {
            assert_eq!(chosen(M33, flags), expected, "{flags}");
        }
    }

    #[test]
    fn firmware_has_the_last_word() {
        let wanted = |target, name| choose(target, "-Ctarget-cpu=cortex-m33", Some(name));
        for kernels in Kernels::ALL {
            let assembly = kernels != Kernels::Generic;
            let expected = Choice { kernels, assembly, armv8m: true, guessed: false };
            assert_eq!(wanted(M33, kernels.name()), Ok(expected));
            let portable = Choice { kernels, assembly: false, armv8m: false, guessed: false };
            assert_eq!(wanted("x86_64-unknown-linux-gnu", kernels.name()), Ok(portable));
        }
        for (target, name, message) in [
            (
                M33,
                "dsp",
                "NO_STD_INFER_KERNELS is `dsp`, which is no set of kernels: take armv8.1m or armv7em or armv7m \
                          or armv6m or generic, or leave it to the target",
            ),
            (
                "thumbv7m-none-eabi",
                "armv7em",
                "NO_STD_INFER_KERNELS is armv7em, which thumbv7m-none-eabi has no instructions for: take armv7m or armv6m \
                 or generic, or leave it to the target",
            ),
            (
                "thumbv8m.base-none-eabi",
                "armv7m",
                "NO_STD_INFER_KERNELS is armv7m, which thumbv8m.base-none-eabi has no instructions for: take armv6m or \
                 generic, or leave it to the target",
            ),
        ] {
            assert_eq!(wanted(target, name).expect_err("there is no such set").to_string(), message);
        }
    }
}
