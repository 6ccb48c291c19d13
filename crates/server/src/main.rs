//! Wanglou, the city security situational-awareness platform.
#![forbid(unsafe_code)]

fn main() {}
