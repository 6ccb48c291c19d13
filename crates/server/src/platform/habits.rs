//! What a source usually does, learnt from itself, so that people are told when it stops: falls silent for longer than
//! it ever was, or its parser finds nothing where it used to.
//!
//! A person is warned and nothing else hangs on it, so the rules are plain. Silence: longer than twice its longest pause,
//! which is forgotten by half in a week. Fields: a share of the looked-at events of one product and class that falls
//! below a tenth of what it was.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use wanglou_model::{Event, PathId, Timestamp, ocsf};

/// Minutes in which a source must have spoken before its silence means anything: a folder that is read once has none.
const MIN_MINUTES: u64 = 15;
/// No silence shorter than this is told, in seconds.
const SHORTEST_SILENCE_S: f64 = 600.0;
/// Silence is told when it is so many times the longest pause.
const SILENCE_FACTOR: f64 = 2.0;
/// The longest pause is forgotten by half in this time, in seconds.
const PAUSE_HALF_LIFE_S: f64 = 7.0 * 86_400.0;

/// Events that are judged together.
const WINDOW_EVENTS: u32 = 200;
/// Windows after which it is known what is usual.
const MIN_WINDOWS: u32 = 5;
/// How many windows the usual share remembers.
const MAX_WINDOWS: u32 = 50;
/// A field that a smaller share of events has is not expected.
const EXPECTED_SHARE: f64 = 0.5;
/// A field is missing when its share falls below this part of the usual one, and is back above the other.
const MISSING_BELOW: f64 = 0.1;
const BACK_ABOVE: f64 = 0.5;
/// After so long what was warned of is usual: the device was changed on purpose.
const ACCEPTED_AFTER_NANOS: i64 = 7 * 86_400 * 1_000_000_000;
/// Kinds of events (product and class) that are watched for one source.
const MAX_KINDS: usize = 64;
/// Events of a batch that are looked at: a sample, so that looking costs little.
const MAX_LOOKED_AT: usize = 64;

const NANOS_PER_SECOND: f64 = 1e9;
const NANOS_PER_MINUTE: i64 = 60 * 1_000_000_000;

/// Whether an event is understood at all: stands among the fields, first.
const CLASS: &str = "class_uid";
/// OCSF attributes that people search by and rules correlate on.
const FIELDS: [&str; 11] = [
    "src_endpoint.ip",
    "dst_endpoint.ip",
    "dst_endpoint.port",
    "user.name",
    "actor.user.name",
    "device.hostname",
    "process.name",
    "http_request.url.path",
    "query.hostname",
    "file.path",
    "message",
];
static PATHS: LazyLock<[PathId; FIELDS.len()]> = LazyLock::new(|| FIELDS.map(PathId::reserve));

/// Of how many events of one kind each field was there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Seen {
    events: u32,
    filled: BTreeMap<String, u32>,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.events += other.events;
        for (field, filled) in &other.filled {
            *self.filled.entry(field.clone()).or_default() += filled;
        }
    }
}

/// How often fields are there in a sample of a batch, by kind of event: `product/class_uid`, or nothing for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldCounts(BTreeMap<String, Seen>);

impl FieldCounts {
    /// Counts in a sample of events.
    pub(crate) fn of<'e>(events: impl ExactSizeIterator<Item = &'e Event>) -> Self {
        let mut kinds: BTreeMap<(&str, u32), (u32, [u32; FIELDS.len()])> = BTreeMap::new();
        let (mut looked_at, mut understood) = (0, 0);
        let step = events.len().div_ceil(MAX_LOOKED_AT).max(1);
        for event in events.step_by(step) {
            looked_at += 1;
            if event.class_uid == ocsf::BASE_EVENT {
                continue;
            }
            understood += 1;
            let (events, filled) = kinds.entry((&event.product.id, event.class_uid)).or_default();
            *events += 1;
            for (filled, path) in filled.iter_mut().zip(PATHS.iter()) {
                *filled += u32::from(event.attributes.get(*path).is_some());
            }
        }
        let mut counts: BTreeMap<String, Seen> = kinds
            .into_iter()
            .map(|((product, class), (events, filled))| {
                let filled = FIELDS.iter().map(|field| (*field).to_owned()).zip(filled).collect();
                (format!("{product}/{class}"), Seen { events, filled })
            })
            .collect();
        if looked_at > 0 {
            let filled = BTreeMap::from([(CLASS.to_owned(), understood)]);
            counts.insert(String::new(), Seen { events: looked_at, filled });
        }
        Self(counts)
    }
}

/// What a person should look at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Warning {
    /// Nothing has come for longer than is usual.
    Silent { since: Timestamp, usual_pause_s: f64 },
    /// A field is empty that used to be there.
    FieldEmpty {
        since: Timestamp,
        /// `product/class_uid`, or nothing: whether events are understood at all.
        kind: String,
        field: String,
        /// Share of events that used to have it, and that have it now.
        usual_share: f64,
        share: f64,
    },
}

/// What one source usually does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Habit {
    /// Minutes in which it spoke.
    minutes: u64,
    last_minute: i64,
    /// When it last spoke; not before we listened.
    #[serde(skip)]
    since: Option<Timestamp>,
    longest_pause_s: f64,
    kinds: BTreeMap<String, Usual>,
    #[serde(skip)]
    is_changed: bool,
}

/// What is usual for one kind of events.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Usual {
    windows: u32,
    shares: BTreeMap<String, f64>,
    /// The window that is being filled.
    window: Seen,
    missing: BTreeMap<String, Missing>,
}

/// A field that is missing.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Missing {
    since: i64,
    share: f64,
}

impl Habit {
    /// What was kept, or nothing known. That we did not listen for a while is no silence.
    pub(crate) fn load(body: Option<&str>, now: Timestamp) -> Self {
        let kept = body.and_then(|body| serde_json::from_str::<Self>(body).ok()).unwrap_or_default();
        Self { since: Some(now), ..kept }
    }

    /// What to keep, if it has changed since it was last asked for.
    pub(crate) fn save(&mut self) -> Option<String> {
        let is_changed = std::mem::take(&mut self.is_changed);
        is_changed.then(|| serde_json::to_string(self).ok()).flatten()
    }

    /// Lines came.
    pub(crate) fn arrived(&mut self, at: Timestamp) {
        let minute = at.nanos().div_euclid(NANOS_PER_MINUTE);
        if minute != self.last_minute {
            (self.minutes, self.last_minute) = (self.minutes + 1, minute);
            self.is_changed = true;
        }
        let pause = self.since.map_or(0.0, |since| seconds(since, at));
        if pause < 0.0 {
            return;
        }
        let remembered = self.longest_pause_s * 0.5_f64.powf(pause / PAUSE_HALF_LIFE_S);
        self.longest_pause_s = remembered.max(pause);
        self.since = Some(at);
    }

    /// Events were made.
    pub(crate) fn filled(&mut self, counts: &FieldCounts, at: Timestamp) {
        for (kind, seen) in &counts.0 {
            if self.kinds.len() >= MAX_KINDS && !self.kinds.contains_key(kind) {
                continue;
            }
            let usual = self.kinds.entry(kind.clone()).or_default();
            usual.window.add(seen);
            if usual.window.events >= WINDOW_EVENTS {
                usual.judge(at);
                self.is_changed = true;
            }
        }
    }

    /// What is not as usual now.
    pub(crate) fn warnings(&self, now: Timestamp) -> Vec<Warning> {
        let silent = self.since.filter(|since| {
            let limit = (self.longest_pause_s * SILENCE_FACTOR).max(SHORTEST_SILENCE_S);
            self.minutes >= MIN_MINUTES && seconds(*since, now) > limit
        });
        let silent = silent.map(|since| Warning::Silent { since, usual_pause_s: self.longest_pause_s });
        let empty = self.kinds.iter().flat_map(|(kind, usual)| {
            usual.missing.iter().map(|(field, missing)| Warning::FieldEmpty {
                since: Timestamp::from_nanos(missing.since),
                kind: kind.clone(),
                field: field.clone(),
                usual_share: usual.shares.get(field).copied().unwrap_or_default(),
                share: missing.share,
            })
        });
        silent.into_iter().chain(empty).collect()
    }
}

impl Usual {
    /// Compares the window with what is usual, learns from it where it is, and begins the next.
    fn judge(&mut self, at: Timestamp) {
        let window = std::mem::take(&mut self.window);
        let is_known = self.windows >= MIN_WINDOWS;
        self.windows = (self.windows + 1).min(MAX_WINDOWS);
        for (field, filled) in window.filled {
            let share = f64::from(filled) / f64::from(window.events);
            let usual = self.shares.entry(field.clone()).or_insert(share);
            let missing = self.missing.get_mut(&field);
            let accepted = missing
                .as_ref()
                .is_some_and(|missing| at.nanos().saturating_sub(missing.since) > ACCEPTED_AFTER_NANOS);
            if accepted {
                *usual = share;
                self.missing.remove(&field);
            } else if is_known && *usual >= EXPECTED_SHARE && share < *usual * MISSING_BELOW {
                let since = missing.map_or(at.nanos(), |missing| missing.since);
                self.missing.insert(field, Missing { since, share });
            } else if let Some(missing) = missing {
                missing.share = share;
                if share >= *usual * BACK_ABOVE {
                    self.missing.remove(&field);
                }
            } else {
                *usual += (share - *usual) / f64::from(self.windows);
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a pause for people: a few nanoseconds do not matter")]
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.nanos().saturating_sub(from.nanos()) as f64 / NANOS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_790_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(START + seconds)
    }

    fn speaking_every(pause: i64, times: i64) -> Habit {
        let mut habit = Habit::load(None, at(0));
        for n in 1..=times {
            habit.arrived(at(n * pause));
        }
        habit
    }

    #[test]
    fn silence_is_measured_by_the_source_itself() {
        let chatty = speaking_every(10, 200);
        assert!(chatty.warnings(at(2_000 + 500)).is_empty(), "shorter silences are not told");
        assert!(
            matches!(chatty.warnings(at(2_000 + 700))[..], [Warning::Silent { since, .. }] if since == at(2_000))
        );
        let hourly = speaking_every(3_600, 20);
        let last = 20 * 3_600;
        assert!(hourly.warnings(at(last + 2 * 3_600 - 1)).is_empty());
        assert_eq!(hourly.warnings(at(last + 2 * 3_600 + 10)).len(), 1);
    }

    #[test]
    fn a_folder_read_once_and_a_platform_that_was_down_are_no_silence() {
        let mut once = Habit::load(None, at(0));
        for n in 0..500 {
            once.arrived(at(n / 10));
        }
        assert!(once.warnings(at(30 * 86_400)).is_empty());
        let mut chatty = speaking_every(10, 200);
        let kept = chatty.save().unwrap();
        let again = Habit::load(Some(&kept), at(500_000));
        assert!(again.warnings(at(500_100)).is_empty());
        assert_eq!(again.warnings(at(501_000)).len(), 1, "but it must come back");
    }

    #[test]
    fn long_pauses_are_forgotten() {
        let mut habit = speaking_every(60, 100);
        habit.arrived(at(6_000 + 86_400));
        for n in 1..=28 * 24 {
            habit.arrived(at(92_400 + n * 3_600));
        }
        assert_eq!(
            habit.warnings(at(92_400 + 28 * 86_400 + 5 * 3_600)).len(),
            1,
            "{}",
            habit.longest_pause_s
        );
    }

    fn counts(filled: u32) -> FieldCounts {
        let filled = BTreeMap::from([("src_endpoint.ip".to_owned(), filled), ("user.name".to_owned(), 10)]);
        FieldCounts(BTreeMap::from([("waf/4002".to_owned(), Seen { events: 100, filled })]))
    }

    #[test]
    fn a_field_that_goes_empty_is_told_until_it_is_back() {
        let mut habit = Habit::default();
        for _ in 0..20 {
            habit.filled(&counts(98), at(0));
        }
        assert!(habit.warnings(at(0)).is_empty(), "what was never there is not missed");
        for second in 1..=4 {
            habit.filled(&counts(2), at(second));
        }
        let [Warning::FieldEmpty { since, kind, field, usual_share, share }] = &habit.warnings(at(9))[..]
        else {
            panic!("{habit:?}")
        };
        assert_eq!((*since, kind.as_str(), field.as_str()), (at(2), "waf/4002", "src_endpoint.ip"));
        assert!((*usual_share - 0.98).abs() < 1e-9 && (*share - 0.02).abs() < 1e-9);
        let kept = habit.save().unwrap();
        let mut habit = Habit::load(Some(&kept), at(10));
        assert_eq!(habit.warnings(at(10)).len(), 1, "a restart does not forget it");
        for _ in 0..2 {
            habit.filled(&counts(97), at(20));
        }
        assert!(habit.warnings(at(20)).is_empty());
        for day in 0..10 {
            habit.filled(&counts(0), at(100 + day * 86_400));
            habit.filled(&counts(0), at(101 + day * 86_400));
        }
        assert!(habit.warnings(at(11 * 86_400)).is_empty(), "after a week it is usual");
    }
}
