//! What the model of a Cortex-M55 must know of an instruction, from its assembly text.

use anyhow::{Context, Result, bail};

use super::super::instruction::{self as scalar, Kind};

/// A unit that an instruction of vectors, or one that accesses memory, keeps for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Loads and stores.
    Memory,
    /// Additions, shifts, comparisons.
    Arithmetic,
    /// Multiplications.
    Multiplier,
    /// One of the last two, whichever is free first.
    Either,
}

/// An instruction as far as its cost depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Cycles until the next one issues.
    pub issue: u64,
    /// The unit that it keeps, and for how many cycles.
    pub unit: Option<Unit>,
    pub occupies: u64,
    /// Elements that are gathered or scattered, each of which takes the unit's time; otherwise 0.
    pub elements: u64,
    /// Cycles until its results can be used.
    pub latency: u64,
    /// Registers that it reads: core registers in bits 0 to 15, vectors in bits 16 to 23.
    pub reads: u32,
    /// The registers that it adds to, which it needs later than others.
    pub adds_to: u32,
    pub writes: u32,
    /// Whether the pipeline is filled anew where it goes on elsewhere: not at the end of a low-overhead loop.
    pub is_branch: bool,
    /// The address that it may go on at.
    pub target: Option<u32>,
}

impl Instruction {
    /// Of one cycle, which needs and makes nothing.
    const PLAIN: Self = Self {
        issue: 1,
        unit: None,
        occupies: 1,
        elements: 0,
        latency: 1,
        reads: 0,
        adds_to: 0,
        writes: 0,
        is_branch: false,
        target: None,
    };

    /// Reads a disassembler's text.
    ///
    /// # Errors
    /// When it is unknown what the instruction costs.
    pub fn read(text: &str) -> Result<Self> {
        // What follows names the address.
        let text = text.split(" <").next().and_then(|text| text.split('@').next()).unwrap_or_default().trim();
        let (mnemonic, operands) = text.split_once(['\t', ' ']).unwrap_or((text, ""));
        let (name, kind) = mnemonic.split_once('.').unwrap_or((mnemonic, ""));
        let operands = operands.trim();
        let read = if matches!(name, "le" | "letp") {
            Ok(Self { issue: 0, target: target(operands), ..Self::PLAIN })
        } else if ["wls", "wlstp", "dls", "dlstp"].contains(&name) {
            let issue = if name.starts_with('w') { 2 } else { 1 };
            Ok(Self { issue, reads: registers(operands), writes: registers("lr"), ..Self::PLAIN })
        } else if name.starts_with('v') {
            Self::of_vectors(name, kind, operands)
        } else {
            Self::of_core(name, operands)
        };
        read.with_context(|| {
            format!("the instruction `{text}` is in no class of the model: add it to device/cycles/m55/instruction.rs")
        })
    }

    /// Instructions of core registers, which the model of a Cortex-M4 knows.
    fn of_core(name: &str, operands: &str) -> Result<Self> {
        if ["csel", "cset", "csetm", "csinc", "csinv", "csneg", "cinc", "cinv", "cneg"].contains(&name) {
            let (written, read) = operands.split_once(',').context("it has one operand")?;
            return Ok(Self { reads: registers(read), writes: registers(written), ..Self::PLAIN });
        }
        // Long shifts and the like of two registers.
        if ["lsll", "lsrl", "asrl"].contains(&name) {
            return Ok(Self { reads: registers(operands), writes: registers(operands), ..Self::PLAIN });
        }
        let known = read_scalar(name, operands).with_context(|| format!("{name} is unknown"))?;
        let of_memory = Self { unit: Some(Unit::Memory), latency: 2, ..Self::PLAIN };
        let shape = match known.kind {
            Kind::Load | Kind::Pair => of_memory,
            Kind::Store => Self { unit: Some(Unit::Memory), ..Self::PLAIN },
            Kind::Several(words) => {
                let cycles = 1 + u64::from(words) / 2;
                Self { issue: cycles, occupies: cycles, ..of_memory }
            }
            Kind::Multiply => Self { latency: 2, ..Self::PLAIN },
            Kind::Divide => Self { issue: 6, ..Self::PLAIN },
            Kind::TableBranch => Self { issue: 2, is_branch: true, ..Self::PLAIN },
            Kind::Branch | Kind::IndirectBranch => Self { is_branch: true, target: target(operands), ..Self::PLAIN },
            Kind::Alu | Kind::IfThen(_) | Kind::FloatMultiplyAdd | Kind::FloatDivide => Self::PLAIN,
        };
        let written = u32::from(known.writes | known.written_back);
        Ok(Self {
            reads: registers(operands) & !(1 << 15),
            writes: written,
            is_branch: shape.is_branch || known.loads_pc(),
            ..shape
        })
    }

    fn of_vectors(name: &str, kind: &str, operands: &str) -> Result<Self> {
        let is = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        if is(&["vldr", "vld2", "vld4", "vstr", "vst2", "vst4"]) {
            return Self::of_memory(name, kind, operands);
        }
        let (first, rest) = operands.split_once(',').unwrap_or((operands, ""));
        let [first, rest, all] = [first, rest, operands].map(registers);
        if is(&["vpush", "vpop", "vstm", "vldm"]) {
            let cycles = 1 + 2 * u64::from((all >> 16).count_ones());
            let writes = if is(&["vpop", "vldm"]) { all & !0xFFFF } else { 0 };
            return Ok(Self { issue: cycles, occupies: cycles, unit: Some(Unit::Memory), writes, ..Self::PLAIN });
        }
        let vectors = |unit, latency| Self { unit: Some(unit), occupies: 2, latency, ..Self::PLAIN };
        if is(&["vpt"]) && !kind.is_empty() {
            return Ok(Self { reads: all, ..vectors(Unit::Arithmetic, 1) });
        }
        if is(&["vctp", "vpst", "vpnot", "vmsr", "vmrs"]) {
            return Ok(Self { reads: all, writes: if is(&["vmrs"]) { first } else { 0 }, ..Self::PLAIN });
        }
        if name == "vmov" && (operands.contains('[') || !operands.contains('q')) {
            // Between a lane and a core register.
            return Ok(Self { reads: all, writes: first, unit: Some(Unit::Either), ..Self::PLAIN });
        }
        let sums = [
            "vmladav",
            "vmlsdav",
            "vmlaldav",
            "vmlsldav",
            "vrmlaldavh",
            "vmlav",
            "vmlalv",
            "vrmlalvh",
            "vabav",
            "vaddv",
            "vaddlv",
        ];
        if is(&sums) {
            return Ok(Self::sum(name, operands, is(&["vaddv", "vaddlv"])));
        }
        if is(&["vqrdmlah", "vqdmlah", "vqrdmlash", "vqdmlash", "vmla", "vfma", "vfms"]) {
            return Ok(Self { reads: all, writes: first, ..vectors(Unit::Multiplier, 2) });
        }
        if is(&["vmul", "vqdmul", "vqrdmul", "vrmulh", "vmulh", "vmull", "vqdmull"]) {
            return Ok(Self { reads: rest, writes: first, ..vectors(Unit::Multiplier, 2) });
        }
        if operands.contains('q') {
            return Self::of_lanes(name, [first, rest, all]);
        }
        // Floating-point numbers outside of vectors.
        Ok(Self { reads: all, writes: first, latency: 3, ..Self::PLAIN })
    }

    /// What is done in each lane on its own.
    fn of_lanes(name: &str, [first, rest, all]: [u32; 3]) -> Result<Self> {
        let is = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        let one = Self { unit: Some(Unit::Arithmetic), occupies: 2, writes: first, reads: rest, ..Self::PLAIN };
        // Written in part: the other half, or other bits, stay.
        if is(&[
            "vqmovn", "vqmovun", "vmovn", "vshrn", "vrshrn", "vqshrn", "vqrshrn", "vqshrun", "vqrshrun", "vsli", "vsri",
        ]) {
            return Ok(Self { latency: 2, reads: all, ..one });
        }
        if is(&["vqshl", "vrshl", "vqrshl", "vshl", "vshr", "vrshr", "vmovl"]) {
            let latency = if name == "vshr" || name == "vshl" { 1 } else { 2 };
            return Ok(Self { latency, ..one });
        }
        if is(&["vidup", "vddup", "viwdup", "vdwdup"]) {
            return Ok(Self { reads: all & 0xFFFF, writes: first | rest & 0xFFFF, ..one });
        }
        let simple = [
            "vadd", "vsub", "vqadd", "vqsub", "vhadd", "vhsub", "vrhadd", "vmax", "vmin", "vand", "vorr", "veor",
            "vbic", "vorn", "vmov", "vmvn", "vdup", "vneg", "vabs", "vabd", "vcmp", "vpsel", "vrev", "vclz", "vcls",
            "vbrsr", "vcvt", "vrint",
        ];
        if is(&simple) {
            return Ok(Self { writes: if is(&["vcmp"]) { 0 } else { first }, ..one });
        }
        bail!("{name} is unknown")
    }

    /// A sum over lanes, of products or of the lanes themselves, into one or two core registers.
    fn sum(name: &str, operands: &str, of_lanes: bool) -> Self {
        let name = name.trim_end_matches(['t', 'e']).trim_end_matches('x');
        let outputs = if ["lda", "lsld", "addlv", "mlalv"].iter().any(|long| name.contains(long)) { 2 } else { 1 };
        let mut parts = operands.splitn(outputs + 1, ',');
        let writes = parts.by_ref().take(outputs).map(registers).fold(0, |all, some| all | some);
        let reads = parts.map(registers).fold(0, |all, some| all | some);
        let adds = name.ends_with("va") || name.ends_with("vha") || name == "vabav";
        let (unit, latency) = if of_lanes { (Unit::Arithmetic, 2) } else { (Unit::Multiplier, 3) };
        Self {
            unit: Some(unit),
            occupies: 2,
            latency,
            reads,
            adds_to: if adds { writes } else { 0 },
            writes,
            ..Self::PLAIN
        }
    }

    /// Loads and stores of vectors and floating-point registers.
    fn of_memory(name: &str, kind: &str, operands: &str) -> Result<Self> {
        let (moved, address) = operands.split_once('[').context("it has no address")?;
        let (inside, after) = address.split_once(']').context("its address has no end")?;
        let (moved, inside_set) = (registers(moved), registers(inside));
        let base = inside.split(',').next().map_or(0, registers);
        let written_back = if after.trim().is_empty() { 0 } else { base & 0xFFFF };
        // Several structures at once.
        let structures = name.starts_with("vld2") || name.starts_with("vld4");
        let loads = name.starts_with("vld");
        let bits: Option<u64> = kind.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok();
        let elements = if inside_set >> 16 == 0 { 0 } else { 128 / bits.context("it has no width")? };
        let of_vector = operands.trim_start().starts_with(['q', '{']);
        Ok(Self {
            unit: Some(Unit::Memory),
            occupies: if of_vector { 2 } else { 1 },
            elements,
            latency: if structures { 2 } else { 1 },
            reads: inside_set | if loads && !structures { 0 } else { moved },
            writes: written_back | if loads { moved } else { 0 },
            ..Self::PLAIN
        })
    }
}

/// An instruction of core registers as for a Cortex-M4. In an IT block its name ends with the condition; loads and stores that
/// order memory are like others.
fn read_scalar(name: &str, operands: &str) -> Option<scalar::Instruction> {
    let read = |name: &str| scalar::Instruction::read(4, &format!("{name} {operands}")).ok();
    let unordered = |name: &str| {
        let kind = [("lda", "ldr"), ("stl", "str")].into_iter().find(|(ordered, _)| name.starts_with(ordered));
        kind.map(|(ordered, plain)| name.replacen(ordered, plain, 1))
    };
    let always = name.get(..name.len().saturating_sub(2));
    [Some(name), always].into_iter().flatten().find_map(|name| read(name).or_else(|| read(&unordered(name)?)))
}

/// The address that a branch names.
fn target(operands: &str) -> Option<u32> {
    let (_, digits) = operands.rsplit_once("0x")?;
    u32::from_str_radix(digits.trim(), 16).ok()
}

/// All registers that a text names, ranges included. Floating-point registers are parts of vectors.
fn registers(text: &str) -> u32 {
    let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    names.filter(|name| !name.is_empty()).map(range).fold(0, |all, some| all | some)
}

/// The register of a name, or those of a range such as `s0-s3`.
fn range(name: &str) -> u32 {
    let (first, last) = name.split_once('-').unwrap_or((name, name));
    let Some((first, last)) = register(first).zip(register(last)) else { return 0 };
    (first..=last).map(|number| 1 << number).fold(0, |all, one| all | one)
}

/// The bit of a register.
fn register(name: &str) -> Option<u32> {
    let special = ["sb", "sl", "fp", "ip", "sp", "lr", "pc"].iter().position(|&special| special == name);
    if let Some(special) = special {
        return Some(9 + special as u32);
    }
    let number: u32 = name.get(1..)?.parse().ok()?;
    match name.as_bytes().first()? {
        b'r' if number < 16 => Some(number),
        b'q' if number < 8 => Some(16 + number),
        b'd' if number < 16 => Some(16 + number / 2),
        b's' if number < 32 => Some(16 + number / 4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: u32 = 1 << 16;

    fn read(text: &str) -> Instruction {
        Instruction::read(text).unwrap()
    }

    #[test]
    fn registers_are_found() {
        assert_eq!(registers("r0, lr, q1, s5"), 1 | 1 << 14 | Q << 1);
        assert_eq!(registers("{d8-d11}"), Q << 4 | Q << 5);
        assert_eq!(registers("#10, lsl"), 0);
    }

    #[test]
    fn vectors_are_classified() {
        let load = read("vldrb.u8\tq0, [r1], #16");
        assert_eq!((load.unit, load.occupies, load.writes, load.reads), (Some(Unit::Memory), 2, Q | 2, 2));
        assert_eq!(read("vldrb.u32 q0, [r1, q2]").elements, 4);
        assert_eq!(read("vstrb.8 q0, [r1]").writes, 0);
        let several = read("vld43.8 {q0, q1, q2, q3}, [r0]!");
        assert_eq!((several.latency, several.reads & (15 * Q)), (2, 15 * Q));
        let sum = read("vmladava.s8 r2, q0, q1");
        assert_eq!((sum.unit, sum.latency, sum.adds_to, sum.reads), (Some(Unit::Multiplier), 3, 4, 3 * Q));
        assert_eq!(read("vmlaldav.s16 r0, r1, q0, q1").writes, 3);
        assert_eq!(read("vmladavat.s8 r2, q0, q1").adds_to, 4);
        assert_eq!(read("vmlava.s8 r2, q0, q1"), read("vmladava.s8 r2, q0, q1"));
        assert_eq!(read("vmov q0[2], q0[0], r1, r2").unit, Some(Unit::Either));
        assert_eq!(read("vmov q0, q1").unit, Some(Unit::Arithmetic));
        assert_eq!(read("vqrdmlah.s32 q0, q1, r3").reads, (3 * Q) | 8);
        assert_eq!(read("vqmovnb.s32 q0, q1").reads, 3 * Q);
        assert_eq!(read("vpst").unit, None);
        assert_eq!(read("vpt.s32 lt, q0, r1").unit, Some(Unit::Arithmetic));
        assert_eq!(read("vpush {d8, d9, d10, d11}").issue, 5);
    }

    #[test]
    fn the_rest_is_read_as_for_other_cores() {
        let end = read("le lr, 0x1f4 <loop+0x10> @ imm = #-20");
        assert_eq!((end.issue, end.target, end.is_branch), (0, Some(0x1F4), false));
        assert_eq!(read("bne\t0x120 <main+0x8> @ imm = #8").target, Some(0x120));
        assert_eq!(read("ldr r0, [r1], #4").writes, 3);
        assert!(read("pop {r4, pc}").is_branch && read("bx lr").is_branch);
        assert_eq!(read("wls lr, r0, 0x100").issue, 2);
        assert_eq!(read("lda r0, [r6]"), read("ldr r0, [r6]"));
        assert_eq!(read("ldrbeq r0, [r6]"), read("ldrb r0, [r6]"));
        assert!(read("popne {r4, pc}").is_branch);
        assert_eq!(read("csel r0, r1, r2, eq").writes, 1);
        assert!(Instruction::read("vfrob.s8 q0, q1").is_err() && Instruction::read("frob r0").is_err());
    }
}
