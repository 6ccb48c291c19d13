//! Zeek logs in JSON.
