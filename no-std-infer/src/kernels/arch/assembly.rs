//! The assembly of the architecture, in one block, so that its files share macros; and how Rust names its functions.
#![allow(unsafe_code)]

/// Declares functions in assembly. Their symbols end with the crate's version, so that a program can hold two versions.
macro_rules! assembly {
    ($($visibility:vis fn $name:ident($($arguments:tt)*) $(-> $result:ty)?;)*) => {
        unsafe extern "C" {
            $(
                #[link_name = concat!(stringify!($name), env!("NO_STD_INFER_VERSION_SUFFIX"))]
                $visibility fn $name($($arguments)*) $(-> $result)?;
            )*
        }
    };
}
pub(in crate::kernels) use assembly;

/// The macro with which the files name a function.
macro_rules! versioned {
    () => {
        concat!(".macro nsi_versioned do, name\n\\do \\name\\()", env!("NO_STD_INFER_VERSION_SUFFIX"), "\n.endm")
    };
}

/// On Armv8-M the assembler has to be told of the DSP extension, by a core that has it.
#[cfg(all(nsi_armv7em, nsi_armv8m))]
macro_rules! core_with_dsp {
    () => {
        ".cpu cortex-m33"
    };
}
/// Elsewhere the target says that there is one.
#[cfg(all(nsi_armv7em, not(nsi_armv8m)))]
macro_rules! core_with_dsp {
    () => {
        ""
    };
}

/// Whether loops may use the floating-point unit's registers.
#[cfg(all(nsi_armv7em, target_abi = "eabihf"))]
macro_rules! fpu {
    () => {
        ".set nsi_fpu, 1"
    };
}
/// Whether loops may use the floating-point unit's registers.
#[cfg(all(nsi_armv7em, not(target_abi = "eabihf")))]
macro_rules! fpu {
    () => {
        ".set nsi_fpu, 0"
    };
}

#[cfg(nsi_armv7em)]
core::arch::global_asm!(
    core_with_dsp!(),
    fpu!(),
    versioned!(),
    include_str!("function.s"),
    include_str!("armv7em/macros.s"),
    include_str!("armv7em/winograd/macros.s"),
    include_str!("armv7em/add.s"),
    include_str!("armv7em/copy.s"),
    include_str!("armv7em/dense.s"),
    include_str!("armv7em/depthwise.s"),
    include_str!("armv7em/gemm.s"),
    include_str!("armv7em/pool.s"),
    include_str!("armv7em/widen.s"),
    include_str!("armv7em/winograd/tiles_2x2.s"),
    include_str!("armv7em/winograd/tiles_4x4.s"),
    include_str!("armv7em/winograd/tiles_stride_2.s"),
    include_str!("armv7em/winograd/product_2x2.s"),
    include_str!("armv7em/winograd/product_4x4.s"),
    include_str!("armv7em/winograd/product_stride_2.s"),
    include_str!("armv7em/forget.s"),
    include_str!("forget.s"),
    options(raw)
);

#[cfg(nsi_armv7m)]
core::arch::global_asm!(
    versioned!(),
    include_str!("function.s"),
    include_str!("armv7m/macros.s"),
    include_str!("armv7m/depthwise.s"),
    include_str!("armv7m/single.s"),
    include_str!("armv7m/forget.s"),
    include_str!("forget.s"),
    options(raw)
);

#[cfg(nsi_armv6m)]
core::arch::global_asm!(
    versioned!(),
    include_str!("function.s"),
    include_str!("armv6m/paired.s"),
    include_str!("forget.s"),
    options(raw)
);

// A block of its own: the assembler is told of another core.
#[cfg(nsi_armv81m)]
core::arch::global_asm!(
    ".cpu cortex-m55",
    versioned!(),
    include_str!("function.s"),
    include_str!("armv81m/macros.s"),
    include_str!("armv81m/add.s"),
    include_str!("armv81m/copy.s"),
    include_str!("armv81m/dense.s"),
    include_str!("armv81m/depthwise.s"),
    include_str!("armv81m/gemm.s"),
    include_str!("armv81m/image.s"),
    include_str!("armv81m/patches.s"),
    include_str!("armv81m/pool.s"),
    include_str!("armv81m/forget.s"),
    include_str!("forget.s"),
    options(raw)
);
