//! Arrays of bytes as postcard has slices of them, with their length: for serde's attribute `with`. So they are taken whole instead
//! of byte by byte, and may stay in the message that they came in.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes an array, or what refers to one.
pub(super) fn serialize<S: Serializer>(array: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(array.as_ref())
}

/// Reads an array, or refers to it.
pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<&'de [u8]>,
    D: Deserializer<'de>,
{
    let bytes = <&[u8]>::deserialize(deserializer)?;
    T::try_from(bytes).map_err(|_| D::Error::invalid_length(bytes.len(), &"the array's"))
}
