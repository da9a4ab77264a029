//! What the core may not read ahead.

use cortex_m::asm;
use cortex_m::peripheral::MPU;

/// Start of the system memory of both banks, and the exponent of the region's length, 512 KiB (RM0433, memory map).
const SYSTEM_MEMORY: u32 = 0x1FF0_0000;
const LENGTH: u32 = 19;
/// Number of the region, which nothing else uses.
const REGION: u32 = 0;
/// Region attributes (Armv7-M, MPU_RASR): never executed; read only, by privileged code too; strongly ordered, since neither
/// TEX nor C nor B is set; length; enabled.
const ATTRIBUTES: u32 = 1 << 28 | 0b110 << 24 | (LENGTH - 1) << 1 | 1;
/// The MPU is on, and what lies in no region is as it is without (MPU_CTRL: PRIVDEFENA, ENABLE).
const ON: u32 = 1 << 2 | 1;

/// Keeps the core from reading ahead in the system memory: what it reads there without the program's wish may be protected, and the
/// flash's controller then notes an error, for which the next operation would be blamed.
pub fn guard_system_memory(mpu: &mut MPU) {
    asm::dmb();
    // SAFETY: the region covers memory that the program neither writes nor executes, and what lies elsewhere keeps its attributes.
    unsafe {
        mpu.rnr.write(REGION);
        mpu.rbar.write(SYSTEM_MEMORY);
        mpu.rasr.write(ATTRIBUTES);
        mpu.ctrl.write(ON);
    }
    asm::dsb();
    asm::isb();
}
