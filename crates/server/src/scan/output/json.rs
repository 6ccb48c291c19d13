//! OCSF Detection Findings as JSON.

use std::io::{self, Write};

use crate::scan::Findings;

/// One array, a finding a line.
pub(super) fn write_array(findings: &Findings, out: &mut dyn Write) -> io::Result<()> {
    let mut before: &[u8] = b"[\n";
    for finding in findings.ocsf() {
        out.write_all(before)?;
        out.write_all(&finding?)?;
        before = b",\n";
    }
    out.write_all(if findings.len() == 0 { b"[]\n" } else { b"\n]\n" })
}

/// A finding a line.
pub(super) fn write_lines(findings: &Findings, out: &mut dyn Write) -> io::Result<()> {
    for finding in findings.ocsf() {
        out.write_all(&finding?)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
