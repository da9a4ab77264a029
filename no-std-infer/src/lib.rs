//! Integer neural-network inference for microcontrollers: one blob, the same bytes on every target.
#![no_std]

pub mod fixed;
pub mod format;
pub mod image;
pub mod link;

/// The CRC-32 of the blob, the golden vector and the device link (ISO-HDLC).
pub const CRC32: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
