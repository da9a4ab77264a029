//! Networks as burn's records: weights and batch-norm's statistics, in bytes.

use anyhow::Result;
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;

use super::model::Net;

/// A network's record.
pub(super) fn save(net: Net) -> Result<Vec<u8>> {
    Ok(net.into_record().into_bytes()?.to_vec())
}

/// The network with the values of a record.
///
/// # Errors
/// When it is of another network.
pub(super) fn load(net: Net, record: Vec<u8>) -> Result<Net> {
    Ok(net.try_load_record(ModuleRecord::from_bytes(Bytes::from_bytes_vec(record))?)?)
}
