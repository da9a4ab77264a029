//! Bytes and arrays of them as postcard has slices, with their length: for serde's attribute `with`. So they are written and taken
//! whole instead of byte by byte, and may stay in the message that they came in.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes bytes, or what refers to some.
pub(super) fn serialize<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes.as_ref())
}

/// Reads bytes or an array, or refers to them.
pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<&'de [u8]>,
    D: Deserializer<'de>,
{
    let bytes = <&[u8]>::deserialize(deserializer)?;
    T::try_from(bytes).map_err(|_| D::Error::invalid_length(bytes.len(), &"the array's"))
}
