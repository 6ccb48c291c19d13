//! Sources, framing, decoders and normalizers that turn bytes into records and OCSF events.
#![forbid(unsafe_code)]
