//! Replays the recorded sample telemetry into a watched folder, its times moved so that it ends now.
//!
//! The platform reads it like any other log folder: nothing about the demo takes a private way in.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use jiff::fmt::strtime;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use regex_automata::meta::Regex;
use serde::Deserialize;

/// `content/samples/manifest.yaml`
#[derive(Deserialize)]
struct Manifest {
    /// When the recording ended, RFC 3339; this instant becomes now.
    recorded_until: String,
    /// Offset of the recording machine's clock for times without a zone, such as `+00:00`.
    #[serde(default = "utc")]
    zone: String,
    files: Vec<SampleFile>,
}

#[derive(Deserialize)]
struct SampleFile {
    file: String,
}

fn utc() -> String {
    "+00:00".into()
}

/// Writes every sample below `folder` and says what was written.
pub(crate) fn replay(folder: &Path) -> Result<String> {
    let samples = crate::root().join("content/samples");
    let text = fs::read_to_string(samples.join("manifest.yaml")).context("content/samples/manifest.yaml")?;
    let manifest: Manifest = serde_saphyr::from_str(&text).context("content/samples/manifest.yaml")?;
    let recorded_until: Timestamp =
        manifest.recorded_until.parse().context("recorded_until in the manifest")?;
    let shift = Timestamp::now().duration_since(recorded_until);
    let mover = TimeMover::new(shift, &manifest.zone)?;
    let (mut files, mut lines) = (0, 0);
    for sample in &manifest.files {
        let source = samples.join(&sample.file);
        let text = read(&source)?;
        let moved: String = text.lines().map(|line| mover.line(line) + "\n").collect();
        let name = sample.file.trim_end_matches(".zst").trim_end_matches(".gz").replace('/', "-");
        // Written beside and renamed in, so that the platform never reads half a file.
        let part = folder.with_extension("part");
        fs::write(&part, &moved).with_context(|| format!("writing {}", part.display()))?;
        fs::rename(&part, folder.join(&name)).with_context(|| format!("placing {name}"))?;
        files += 1;
        lines += moved.lines().count();
    }
    Ok(format!(
        "{lines} lines in {files} files, recorded in our own lab (content/samples/README.md), times moved to now"
    ))
}

fn read(path: &Path) -> Result<String> {
    let file = fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut bytes = Vec::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("zst") => zstd::Decoder::new(file)?.read_to_end(&mut bytes),
        Some("gz") => flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes),
        _ => fs::File::open(path)?.read_to_end(&mut bytes),
    }
    .with_context(|| path.display().to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The shapes of time that occur in the samples: a pattern, and how `strftime` writes it.
const SHAPES: [(&str, Shape); 6] = [
    // ISO 8601 with fraction and offset: EVE `+0000`, RFC 5424, JSON.
    (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)", Shape::Iso),
    // Access logs.
    (r"\b\d\d/[A-Z][a-z][a-z]/20\d\d:\d\d:\d\d:\d\d [+-]\d{4}", Shape::Zoned("%d/%b/%Y:%H:%M:%S %z")),
    // nginx error log.
    (r"^20\d\d/\d\d/\d\d \d\d:\d\d:\d\d", Shape::Civil("%Y/%m/%d %H:%M:%S")),
    // ModSecurity, as asctime writes it.
    (
        r"\b[A-Z][a-z][a-z] [A-Z][a-z][a-z] [ 123]\d \d\d:\d\d:\d\d 20\d\d\b",
        Shape::Civil("%a %b %e %H:%M:%S %Y"),
    ),
    // RFC 3164.
    (r"^(?:<\d+>)?[A-Z][a-z][a-z] [ 123]\d \d\d:\d\d:\d\d", Shape::Bsd),
    // auditd.
    (r"audit\(1\d{9}\.\d{3}:", Shape::Audit),
];

#[derive(Clone, Copy)]
enum Shape {
    Iso,
    Zoned(&'static str),
    Civil(&'static str),
    Bsd,
    Audit,
}

struct TimeMover {
    shapes: Vec<(Regex, Shape)>,
    shift: SignedDuration,
    zone: TimeZone,
}

impl TimeMover {
    fn new(shift: SignedDuration, zone: &str) -> Result<Self> {
        let shapes = SHAPES
            .iter()
            .map(|(pattern, shape)| Ok((Regex::new(pattern).with_context(|| (*pattern).to_owned())?, *shape)))
            .collect::<Result<_>>()?;
        let Ok(offset) = strtime::parse("%:z", zone).map(|parsed| parsed.offset()) else {
            bail!("`{zone}` is no offset such as +08:00")
        };
        Ok(Self { shapes, shift, zone: TimeZone::fixed(offset.unwrap_or(jiff::tz::Offset::UTC)) })
    }

    /// The line with every time in it moved.
    fn line(&self, line: &str) -> String {
        self.shapes.iter().fold(line.to_owned(), |line, (pattern, shape)| {
            let mut moved = String::with_capacity(line.len());
            let mut last = 0;
            for found in pattern.find_iter(&line) {
                let text = line.get(found.range()).unwrap_or_default();
                moved.push_str(line.get(last..found.start()).unwrap_or_default());
                moved.push_str(&self.time(text, *shape).unwrap_or_else(|| text.to_owned()));
                last = found.end();
            }
            moved.push_str(line.get(last..).unwrap_or_default());
            moved
        })
    }

    fn time(&self, text: &str, shape: Shape) -> Option<String> {
        match shape {
            Shape::Iso => {
                let (instant, offset) = parse_iso(text)?;
                let zoned = (instant + self.shift).to_zoned(TimeZone::fixed(offset));
                Some(strtime::format("%Y-%m-%dT%H:%M:%S.%6f%z", &zoned).ok()?)
            }
            Shape::Zoned(format) => {
                let zoned = strtime::parse(format, text).ok()?.to_zoned().ok()?;
                strtime::format(format, &zoned.checked_add(self.shift).ok()?).ok()
            }
            Shape::Civil(format) => {
                let civil = strtime::parse(format, text).ok()?.to_datetime().ok()?;
                strtime::format(format, &self.moved(civil)?).ok()
            }
            Shape::Bsd => {
                let (priority, rest) = match text.split_once('>') {
                    Some((priority, rest)) => (format!("{priority}>"), rest),
                    None => (String::new(), text),
                };
                // The year is not written; the recording's is the one that puts it before now.
                let year = Timestamp::now().checked_sub(self.shift).ok()?.to_zoned(self.zone.clone()).year();
                let civil =
                    strtime::parse("%Y %b %e %H:%M:%S", format!("{year} {rest}")).ok()?.to_datetime().ok()?;
                Some(priority + &strtime::format("%b %e %H:%M:%S", &self.moved(civil)?).ok()?)
            }
            Shape::Audit => {
                let digits = text.strip_prefix("audit(")?.strip_suffix(':')?;
                let (seconds, millis) = digits.split_once('.')?;
                let millis = seconds.parse::<i64>().ok()? * 1000 + millis.parse::<i64>().ok()?;
                let moved = (Timestamp::from_millisecond(millis).ok()? + self.shift).as_millisecond();
                Some(format!("audit({}.{:03}:", moved / 1000, moved % 1000))
            }
        }
    }

    fn moved(&self, civil: jiff::civil::DateTime) -> Option<jiff::Zoned> {
        civil.to_zoned(self.zone.clone()).ok()?.checked_add(self.shift).ok()
    }
}

fn parse_iso(text: &str) -> Option<(Timestamp, jiff::tz::Offset)> {
    let formats = ["%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z"];
    let text = text.replace('Z', "+00:00");
    let parsed = formats.iter().find_map(|format| strtime::parse(format, &text).ok())?;
    Some((parsed.to_timestamp().ok()?, parsed.offset()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_time_moves_and_nothing_else() {
        let mover = TimeMover::new(SignedDuration::from_hours(24), "+00:00").unwrap();
        for (before, after) in [
            (
                r#"10.0.0.1 - - [22/Nov/2026:08:00:00 +0800] "GET /?d=1 HTTP/1.1" 200 5"#,
                r#"10.0.0.1 - - [23/Nov/2026:08:00:00 +0800] "GET /?d=1 HTTP/1.1" 200 5"#,
            ),
            (
                r#"{"timestamp":"2026-11-22T08:00:00.123456+0000"}"#,
                r#"{"timestamp":"2026-11-23T08:00:00.123456+0000"}"#,
            ),
            ("2026/11/22 08:00:00 [error] 7#7: x", "2026/11/23 08:00:00 [error] 7#7: x"),
            (
                "type=SYSCALL msg=audit(1764000000.250:12): a=1",
                "type=SYSCALL msg=audit(1764086400.250:12): a=1",
            ),
            (
                r#"{"time_stamp":"Sun Nov 22 08:00:00 2026","id":"1"}"#,
                r#"{"time_stamp":"Mon Nov 23 08:00:00 2026","id":"1"}"#,
            ),
            ("no time here, 2026-11-22", "no time here, 2026-11-22"),
        ] {
            assert_eq!(mover.line(before), after);
        }
        let bsd = mover.line("<38>Nov  1 08:00:00 web-01 sshd[7]: x");
        assert_eq!(bsd, "<38>Nov  2 08:00:00 web-01 sshd[7]: x");
    }
}
