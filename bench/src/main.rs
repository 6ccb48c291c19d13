//! Measures the detection engine beside its peers and floors, in one process: `wanglou-bench detect CORPORA`,
//! `wanglou-bench correlate`, `wanglou-bench groups`.
//!
//! Everything is CPU time of the measuring thread, each figure the median of several runs, the runs of both sides
//! taken in turn so that what disturbs one disturbs the other. Rows go to standard output as JSON, one a line; what
//! findings differ in, to standard error. `cargo xtask bench detect` runs this and prints the rows.

mod correlate;
mod data;
mod measure;
mod peer;
mod rows;

use std::path::Path;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["detect", corpora] => rows::print_all(Path::new(corpora)),
        ["correlate"] => correlate::print_all(),
        ["groups"] => correlate::print_groups(),
        ["load", corpora] => rows::print_load(Path::new(corpora)),
        ["scan", corpora, rounds] => rows::scan(Path::new(corpora), rounds.parse()?),
        ["spin", corpora, rounds] => rows::spin(Path::new(corpora), rounds.parse()?),
        _ => bail!("usage: wanglou-bench detect CORPORA | wanglou-bench correlate | wanglou-bench groups"),
    }
}
