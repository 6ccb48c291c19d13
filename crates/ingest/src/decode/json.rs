//! JSON objects, straight into a flat field map.
