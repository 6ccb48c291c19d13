//! Web access logs in the common and combined form.

use wanglou_model::FieldMap;

use super::DecodeError;

/// Whether a line looks like one of these.
#[must_use]
pub fn recognises(_line: &str) -> bool {
    false
}

/// Reads one line into `fields`.
///
/// # Errors
/// [`DecodeError`] when the line is none of these.
pub fn decode(line: &str, _fields: &mut FieldMap) -> Result<(), DecodeError> {
    Err(DecodeError::unrecognised(line))
}
