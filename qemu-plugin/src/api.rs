//! QEMU's plugin interface, version 1, as far as it is used: the only `unsafe` of this crate.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;

/// The version of the interface that QEMU is to check: that of QEMU 5 to 8.
// SAFETY: QEMU looks for this name and reads an int.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static qemu_plugin_version: c_int = 1;

/// The plugin as QEMU knows it.
pub type Id = u64;

/// A block of instructions, while QEMU translates it.
#[repr(C)]
pub struct Block([u8; 0]);

/// An instruction, while QEMU translates its block.
#[repr(C)]
pub struct Instruction([u8; 0]);

type OnBlock = extern "C" fn(c_uint, *mut c_void);
type OnAccess = extern "C" fn(c_uint, u32, u64, *mut c_void);

/// Callbacks do not touch the processor's registers.
const NO_REGISTERS: c_int = 0;
const READS_AND_WRITES: c_int = 3;

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, callback: extern "C" fn(Id, *mut Block));
    fn qemu_plugin_register_vcpu_tb_exec_cb(block: *mut Block, callback: OnBlock, flags: c_int, data: *mut c_void);
    fn qemu_plugin_register_vcpu_mem_cb(
        instruction: *mut Instruction,
        callback: OnAccess,
        flags: c_int,
        which: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_atexit_cb(id: Id, callback: extern "C" fn(Id, *mut c_void), data: *mut c_void);
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_data(instruction: *const Instruction) -> *const c_void;
    fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    fn qemu_plugin_insn_disas(instruction: *const Instruction) -> *mut c_char;
    fn qemu_plugin_mem_size_shift(info: u32) -> c_uint;
    fn g_free(memory: *mut c_void);
}

/// Asks QEMU to call `translated` for each block that it translates, and `ended` at its end.
pub fn register(id: Id, translated: extern "C" fn(Id, *mut Block), ended: extern "C" fn(Id, *mut c_void)) {
    // SAFETY: `id` is QEMU's, and the functions live as long as the process.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu_plugin_register_atexit_cb(id, ended, ptr::null_mut());
    }
}

/// A block that QEMU has just handed to the callback for translations.
pub struct Translation(*mut Block);

impl Translation {
    /// Wraps a block.
    ///
    /// # Safety
    /// `block` must be what QEMU passed to the callback that is running.
    pub unsafe fn new(block: *mut Block) -> Self {
        Self(block)
    }

    /// Its instructions.
    pub fn instructions(&self) -> impl Iterator<Item = Translated> {
        // SAFETY: the block is valid while the callback runs, by the contract of `new`.
        let count = unsafe { qemu_plugin_tb_n_insns(self.0) };
        // SAFETY: the same, and every index is below the number of instructions.
        (0..count).map(|index| Translated(unsafe { qemu_plugin_tb_get_insn(self.0, index) }))
    }

    /// Asks for a call with `index` each time the block is run.
    pub fn on_run(&self, index: usize, callback: OnBlock) {
        // SAFETY: the block is valid, by the contract of `new`; the data is a number that nobody follows.
        unsafe {
            qemu_plugin_register_vcpu_tb_exec_cb(self.0, callback, NO_REGISTERS, ptr::without_provenance_mut(index));
        }
    }
}

/// An instruction of a block that is being translated.
pub struct Translated(*mut Instruction);

impl Translated {
    /// Its address.
    pub fn address(&self) -> u32 {
        // SAFETY: the instruction belongs to a block that is being translated.
        unsafe { qemu_plugin_insn_vaddr(self.0) as u32 }
    }

    /// Its length in bytes, from its first halfword: at the end of a page QEMU's own length can be too large.
    pub fn width(&self) -> u32 {
        // SAFETY: an instruction has two bytes at least, which need not be aligned.
        let first = unsafe { ptr::read_unaligned(qemu_plugin_insn_data(self.0).cast::<u16>()) };
        if first >> 11 >= 0b11101 { 4 } else { 2 }
    }

    /// Its assembly text.
    pub fn text(&self) -> String {
        // SAFETY: QEMU gives a string that ends in a zero and belongs to the caller, who frees it with GLib.
        unsafe {
            let text = qemu_plugin_insn_disas(self.0);
            let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
            g_free(text.cast());
            copy
        }
    }

    /// Asks for a call with `index` at each access to memory.
    pub fn on_access(&self, index: usize, callback: OnAccess) {
        // SAFETY: the instruction belongs to a block that is being translated; the data is a number that nobody follows.
        unsafe {
            let data = ptr::without_provenance_mut(index);
            qemu_plugin_register_vcpu_mem_cb(self.0, callback, NO_REGISTERS, READS_AND_WRITES, data);
        }
    }
}

/// Number of bytes that an access is for.
pub fn access_len(info: u32) -> u32 {
    // SAFETY: a calculation on QEMU's description of an access.
    1 << unsafe { qemu_plugin_mem_size_shift(info) }
}

/// The arguments `name=value` that QEMU passes.
///
/// # Safety
/// `values` must point to `count` strings that end in a zero.
pub unsafe fn arguments(count: c_int, values: *const *const c_char) -> Vec<String> {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: the caller's promise.
    (0..count).map(|index| unsafe { CStr::from_ptr(*values.add(index)) }.to_string_lossy().into_owned()).collect()
}
