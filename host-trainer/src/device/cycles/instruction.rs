//! What the model of a Cortex-M4 must know of an instruction, from its assembly text.

use anyhow::{Context, Result, bail};

/// Instructions that the model treats alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One cycle.
    Alu,
    /// One cycle too; long ones included.
    Multiply,
    /// SDIV, UDIV.
    Divide,
    /// One register from memory.
    Load,
    /// One register to memory.
    Store,
    /// LDRD, STRD and 64-bit VLDR, VSTR.
    Pair,
    /// LDM, POP, STM, PUSH and the like of so many words.
    Several(u32),
    /// To an address in the instruction.
    Branch,
    /// To an address in a register.
    IndirectBranch,
    /// TBB, TBH.
    TableBranch,
    /// IT for so many instructions.
    IfThen(u32),
    /// VMLA, VFMA and the like.
    FloatMultiplyAdd,
    /// VDIV, VSQRT.
    FloatDivide,
}

/// An instruction as far as its cost depends on it. Sets of core registers have a bit for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub kind: Kind,
    /// Bytes that it takes: 2 or 4.
    pub width: u32,
    /// Bytes of memory that a load or store of one register is for.
    pub size: u32,
    /// Registers that it writes, those that an address is written back to left out.
    pub writes: u16,
    /// Registers that its address is made of.
    pub address: u16,
    /// The register that its address is written back to.
    pub written_back: u16,
    /// Its address is the sum of two registers.
    pub register_offset: bool,
}

/// The program counter's bit.
const PC: u16 = 1 << 15;

const ALU: &str = "adc add addw adr and asr bfc bfi bic clz eor lsl lsr mov movt movw mvn orn orr pkhbt pkhtb qadd qadd16 \
    qadd8 qasx qdadd qdsub qsax qsub qsub16 qsub8 rbit rev rev16 revsh ror rrx rsb sadd16 sadd8 sasx sbc sbfx sel shadd16 \
    shadd8 shasx shsax shsub16 shsub8 ssat ssat16 ssax ssub16 ssub8 sub subw sxtab sxtab16 sxtah sxtb sxtb16 sxth uadd16 \
    uadd8 uasx ubfx uhadd16 uhadd8 uhasx uhsax uhsub16 uhsub8 uqadd16 uqadd8 uqasx uqsax uqsub16 uqsub8 usad8 usada8 usat \
    usat16 usax usub16 usub8 uxtab uxtab16 uxtah uxtb uxtb16 uxth mrs";
/// Write no core register.
const SILENT: &str = "cmp cmn tst teq nop msr dsb dmb isb cpsid cpsie bkpt svc sev wfe wfi udf clrex pld yield vabs vadd vcmp \
    vcmpe vcvt vcvtr vcvtb vcvtt vmov vmrs vmsr vmul vneg vnmul vsub";
const MULTIPLY: &str = "mla mls mul smlabb smlabt smlad smladx smlatb smlatt smlawb smlawt smlsd smlsdx smmla smmlar smmls \
    smmlsr smmul smmulr smuad smuadx smulbb smulbt smultb smultt smulwb smulwt smusd smusdx";
/// Write two registers.
const MULTIPLY_LONG: &str =
    "smlal smlalbb smlalbt smlald smlaldx smlaltb smlaltt smlsld smlsldx smull umaal umlal umull";
const FLOAT_MULTIPLY_ADD: &str = "vmla vmls vnmla vnmls vfma vfms vfnma vfnms";
const CONDITIONS: &str = "eq ne hs lo cs cc mi pl vs vc hi ls ge lt gt le";

impl Instruction {
    /// Reads a disassembler's text.
    ///
    /// # Errors
    /// When it is unknown what the instruction costs.
    pub fn read(width: u32, text: &str) -> Result<Self> {
        let (mnemonic, operands) = text.trim().split_once([' ', '\t']).unwrap_or((text.trim(), ""));
        let (name, _) = mnemonic.split_once('.').unwrap_or((mnemonic, ""));
        let instruction = Self::of(name, operands.trim()).with_context(|| {
            format!("the instruction `{text}` is in no class of the model: add it to device/cycles/instruction.rs")
        })?;
        Ok(Self { width, ..instruction })
    }

    fn of(name: &str, operands: &str) -> Result<Self> {
        if let Some(memory) = memory(name, operands)? {
            return Ok(memory);
        }
        let is_in = |list: &str| list.split_whitespace().any(|listed| listed == name);
        let sets_flags = |list: &str| {
            let plain = name.strip_suffix('s').unwrap_or(name);
            is_in(list) || list.split_whitespace().any(|listed| listed == plain)
        };
        let condition = name.strip_prefix('b').is_some_and(|condition| {
            condition.is_empty() || CONDITIONS.split_whitespace().any(|listed| listed == condition)
        });
        let (kind, written) = match name {
            "sdiv" | "udiv" => (Kind::Divide, 1),
            "bx" | "blx" => (Kind::IndirectBranch, 0),
            "bl" | "cbz" | "cbnz" => (Kind::Branch, 0),
            "tbb" | "tbh" => (Kind::TableBranch, 0),
            "vdiv" | "vsqrt" => (Kind::FloatDivide, 0),
            _ if condition => (Kind::Branch, 0),
            _ if is_if_then(name) => (Kind::IfThen(name.len() as u32 - 1), 0),
            _ if is_in(SILENT) => (Kind::Alu, 0),
            _ if is_in(FLOAT_MULTIPLY_ADD) => (Kind::FloatMultiplyAdd, 0),
            _ if is_in(MULTIPLY_LONG) => (Kind::Multiply, 2),
            _ if sets_flags(MULTIPLY) => (Kind::Multiply, 1),
            _ if sets_flags(ALU) => (Kind::Alu, 1),
            _ => bail!("{name} is unknown"),
        };
        let writes = operands.split(',').take(written).map(registers).fold(0, |all, some| all | some);
        let kind = if writes & PC != 0 { Kind::IndirectBranch } else { kind };
        Ok(Self { writes, ..Self::plain(kind) })
    }

    fn plain(kind: Kind) -> Self {
        Self { kind, width: 2, size: 0, writes: 0, address: 0, written_back: 0, register_offset: false }
    }

    /// True when the program goes on at an address from memory.
    #[must_use]
    pub fn loads_pc(&self) -> bool {
        matches!(self.kind, Kind::Load | Kind::Several(_)) && self.writes & PC != 0
    }

    /// True when it reads a constant beside the code.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.kind == Kind::Load && self.address & PC != 0
    }
}

fn is_if_then(name: &str) -> bool {
    name.strip_prefix("it").is_some_and(|rest| rest.len() < 4 && rest.chars().all(|c| c == 't' || c == 'e'))
}

/// A load or store; `None` of other names.
fn memory(name: &str, operands: &str) -> Result<Option<Instruction>> {
    let several = ["ldm", "ldmia", "ldmdb", "pop", "vldmia", "vldmdb", "vpop"].contains(&name);
    if several || ["stm", "stmia", "stmdb", "push", "vstmia", "vstmdb", "vpush"].contains(&name) {
        let (_, list) = operands.split_once('{').context("it names no registers")?;
        let list = list.trim_end_matches('}');
        let words = list.split(',').count() as u32 * if list.trim_start().starts_with('d') { 2 } else { 1 };
        let writes = if several { list.split(',').map(registers).fold(0, |all, some| all | some) } else { 0 };
        return Ok(Some(Instruction { writes, ..Instruction::plain(Kind::Several(words)) }));
    }
    let float = name == "vldr" || name == "vstr";
    let Some(access) = name
        .strip_prefix("ldr")
        .map(|rest| (Kind::Load, rest))
        .or_else(|| name.strip_prefix("str").map(|rest| (Kind::Store, rest)))
    else {
        let kind = if name == "vldr" { Kind::Load } else { Kind::Store };
        return if float { located(kind, 4, operands).map(Some) } else { Ok(None) };
    };
    let (kind, rest) = access;
    let size = match rest {
        "" | "t" | "ex" => 4,
        "b" | "sb" | "bt" | "sbt" | "exb" => 1,
        "h" | "sh" | "ht" | "sht" | "exh" => 2,
        "d" => 8,
        _ => bail!("{name} is unknown"),
    };
    located(kind, size, operands).map(Some)
}

/// A load or store of one register, or two when `size` is 8, with its address.
fn located(kind: Kind, size: u32, operands: &str) -> Result<Instruction> {
    let (moved, address) = operands.split_once('[').context("it has no address")?;
    let (inside, after) = address.split_once(']').context("its address has no end")?;
    let base = inside.split(',').next().map_or(0, registers);
    let writes = if kind == Kind::Load { moved.split(',').map(registers).fold(0, |all, some| all | some) } else { 0 };
    let address = inside.split(',').map(registers).fold(0, |all, some| all | some);
    let pair = size == 8 || moved.starts_with('d');
    Ok(Instruction {
        size,
        writes,
        address,
        written_back: if after.trim().is_empty() { 0 } else { base },
        register_offset: inside.split(',').skip(1).any(|part| registers(part) != 0),
        ..Instruction::plain(if pair { Kind::Pair } else { kind })
    })
}

/// The bit of a core register; 0 of anything else.
fn registers(name: &str) -> u16 {
    let number = match name.trim().trim_end_matches('!') {
        "sb" => Some(9),
        "sl" => Some(10),
        "fp" => Some(11),
        "ip" => Some(12),
        "sp" => Some(13),
        "lr" => Some(14),
        "pc" => Some(15),
        name => name.strip_prefix('r').and_then(|number| number.parse().ok()).filter(|&number| number < 16),
    };
    number.map_or(0, |number: u32| 1 << number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Instruction {
        Instruction::read(2, text).unwrap()
    }

    #[test]
    fn instructions_are_classified() {
        for (text, kind) in [
            ("smlad    r0, r1, r2, r3", Kind::Multiply),
            ("muls r0, r1, r0", Kind::Multiply),
            ("mls r0, r1, r2, r3", Kind::Multiply),
            ("sxtb16   r0, r1, ror #8", Kind::Alu),
            ("adds.w   r0, r1, r2, lsl #1", Kind::Alu),
            ("ssat     r0, #8, r1", Kind::Alu),
            ("teq r0, r1", Kind::Alu),
            ("udiv r0, r1, r2", Kind::Divide),
            ("ldrsb.w  r6, [r5, #1]", Kind::Load),
            ("vldr s0, [r1]", Kind::Load),
            ("vldr d0, [r1]", Kind::Pair),
            ("strd     r6, r7, [r5, #4]", Kind::Pair),
            ("ldm      r5!, {r0, r1, r2, r3}", Kind::Several(4)),
            ("vpush    {d8, d9}", Kind::Several(4)),
            ("bhs.w #0x10", Kind::Branch),
            ("bls #0x10", Kind::Branch),
            ("bl #0x148", Kind::Branch),
            ("blx r3", Kind::IndirectBranch),
            ("mov pc, r3", Kind::IndirectBranch),
            ("tbh [pc, r0, lsl #1]", Kind::TableBranch),
            ("itete eq", Kind::IfThen(4)),
            ("vfma.f32 s0, s1, s2", Kind::FloatMultiplyAdd),
            ("nop", Kind::Alu),
        ] {
            assert_eq!(read(text).kind, kind, "{text}");
        }
    }

    #[test]
    fn registers_and_addresses_are_found() {
        let load = read("ldrh r6, [r5, r0, lsl #1]");
        assert_eq!((load.size, load.writes, load.address), (2, 1 << 6, 1 << 5 | 1));
        assert!(load.register_offset && load.written_back == 0);
        assert_eq!(read("ldr r6, [r5], #4").written_back, 1 << 5);
        assert_eq!(read("ldr r6, [sp, #8]!").written_back, 1 << 13);
        assert_eq!(read("str r6, [r5, #4]").writes, 0);
        assert_eq!(read("smull r0, r1, r2, r3").writes, 3);
        assert_eq!(read("cmp r0, #0").writes, 0);
        assert!(read("pop {r4, pc}").loads_pc() && !read("push {r4, lr}").loads_pc());
        assert!(read("ldr pc, [r3]").loads_pc());
        assert!(read("ldr r3, [pc, #8]").is_literal());
    }

    #[test]
    fn what_is_unknown_is_an_error() {
        for text in ["frob r0", "ldrq r0, [r1]", "itx eq", ".byte 0xff", "bxx #4", "ldr r0", "push"] {
            let error = format!("{:#}", Instruction::read(4, text).unwrap_err());
            assert!(error.contains(text) && error.contains("no class"), "{error}");
        }
    }
}
