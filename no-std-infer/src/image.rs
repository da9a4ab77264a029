//! Integer image preprocessing.
