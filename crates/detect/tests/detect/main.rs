//! Tests of the detection room through its public interface.

mod corpora;
mod support;
