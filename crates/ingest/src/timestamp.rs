//! Times as logs write them: with or without year, zone and fraction, in the dozen forms that servers and devices use.
//!
//! The one idea: decoders only find where a time stands ([`LogTime::leading`]) and keep its text; what instant it
//! means is decided later, when the arrival time and the source's time zone are known ([`LogTime::resolve`]).
//! RFC 3339 (ISO 8601 profile), RFC 3164 section 4.1.2, the Common Log Format and `ctime` are read. Two-digit years
//! and month/day/year orders are not: they cannot be told apart.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use wanglou_model::Timestamp;

/// How far ahead of its arrival a time without a year may lie before the year before is meant: clocks run fast and
/// zones are guessed wrong, but by less than a day.
const MAX_AHEAD_NANOS: i64 = 24 * 3600 * 1_000_000_000;
/// How many years back the 29th of February is looked for (1896 to 1904 had none in between).
const YEARS_BACK: i16 = 8;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A time as written: perhaps without a year, perhaps without a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogTime {
    year: Option<i16>,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    offset: Option<Offset>,
}

impl LogTime {
    /// The time that `text` begins with and the text after it.
    #[must_use]
    pub fn leading(text: &str) -> Option<(Self, &str)> {
        let mut cursor = Cursor(text);
        let time = if text.starts_with(|c: char| c.is_ascii_digit()) {
            cursor.numeric()?
        } else {
            cursor.month_first()?
        };
        // 22:00:001 or 2026-11-22x is no time.
        (!cursor.0.starts_with(|c: char| c.is_ascii_alphanumeric())).then_some((time, cursor.0))
    }

    /// The time that is the whole of `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (time, rest) = Self::leading(text.trim())?;
        rest.is_empty().then_some(time)
    }

    /// The instant meant, for text that arrived at `arrival` from a source whose clock shows `zone`.
    ///
    /// A missing year is the latest that does not put the time more than a day after its arrival. `None` where the
    /// date does not exist.
    #[must_use]
    pub fn resolve(self, arrival: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if let Some(year) = self.year {
            return self.in_year(year, zone);
        }
        let latest = arrival.plus_nanos(MAX_AHEAD_NANOS);
        let this_year = jiff::Timestamp::from(arrival).to_zoned(zone.clone()).year();
        (-1..=YEARS_BACK)
            .filter_map(|back| self.in_year(this_year.checked_sub(back)?, zone))
            .find(|instant| *instant <= latest)
    }

    fn in_year(self, year: i16, zone: &TimeZone) -> Option<Timestamp> {
        let date = Date::new(year, self.month, self.day).ok()?;
        let time = jiff::civil::Time::new(self.hour, self.minute, self.second, self.nanos).ok()?;
        let civil = DateTime::from_parts(date, time);
        let instant = match self.offset {
            Some(offset) => offset.to_timestamp(civil).ok()?,
            None => zone.to_ambiguous_timestamp(civil).compatible().ok()?,
        };
        Some(instant.into())
    }
}

/// The instant that `text` names: any form of [`LogTime`], or seconds or milliseconds since 1970 as a number.
#[must_use]
pub fn instant(text: &str, arrival: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    match LogTime::parse(text) {
        Some(time) => time.resolve(arrival, zone),
        None => epoch(text),
    }
}

/// Whether `text` as a whole is written as a time, or as a number that can only be one: since 1970 and in this century.
#[must_use]
pub fn is_time(text: &str) -> bool {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    LogTime::parse(text).is_some() || (digits >= 10 && epoch(text).is_some())
}

/// Seconds since 1970 with an optional fraction (ten digits before the point), milliseconds (thirteen digits),
/// microseconds (sixteen) or nanoseconds (nineteen).
#[must_use]
pub fn epoch(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !whole.bytes().all(|b| b.is_ascii_digit()) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    match whole.len() {
        1..=10 => {
            let nanos = nanos_of(fraction);
            Some(Timestamp::from_secs(number).plus_nanos(nanos.into()))
        }
        13 => Some(Timestamp::from_millis(number)),
        16 => Some(Timestamp::from_nanos(number.checked_mul(1_000)?)),
        19 => Some(Timestamp::from_nanos(number)),
        _ => None,
    }
}

/// The digits of a decimal fraction of a second as nanoseconds; digits beyond the ninth are dropped.
fn nanos_of(fraction: &str) -> i32 {
    fraction
        .bytes()
        .filter(u8::is_ascii_digit)
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0, |nanos, digit| nanos * 10 + i32::from(digit - b'0'))
}

/// What is left to read.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn eat(&mut self, wanted: char) -> Option<()> {
        self.0 = self.0.strip_prefix(wanted)?;
        Some(())
    }

    fn digits(&mut self, min: usize, max: usize) -> Option<&'a str> {
        let len = self.0.bytes().take(max + 1).take_while(u8::is_ascii_digit).count();
        if len < min || len > max {
            return None;
        }
        let (digits, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(digits)
    }

    fn number<T: std::str::FromStr>(&mut self, min: usize, max: usize) -> Option<T> {
        self.digits(min, max)?.parse().ok()
    }

    fn year(&mut self) -> Option<i16> {
        self.number(4, 4).filter(|year| (1970..=2261).contains(year))
    }

    /// One of `names` by its first three letters, in any case.
    fn word(&mut self, names: &[&str]) -> Option<i8> {
        let (word, rest) = self.0.split_at_checked(3)?;
        let at = names.iter().position(|name| name.eq_ignore_ascii_case(word))?;
        self.0 = rest;
        i8::try_from(at).ok()
    }

    fn month_name(&mut self) -> Option<i8> {
        self.word(&MONTHS).map(|at| at + 1)
    }

    fn spaces(&mut self) -> Option<()> {
        let rest = self.0.trim_start_matches(' ');
        let eaten = self.0.len() - rest.len();
        self.0 = rest;
        (1..=2).contains(&eaten).then_some(())
    }

    /// `2026-11-22T08:00:00Z`, `2026/11/22 08:00:00`, `2026 Nov 22 08:00:00`, `22/Nov/2026:08:00:00 +0800`,
    /// `22 Nov 2026 08:00:00`.
    fn numeric(&mut self) -> Option<LogTime> {
        if let Some(compact) = self.compact() {
            return Some(compact);
        }
        let first = self.digits(1, 4)?;
        if first.len() == 4 {
            let year: i16 = Cursor(first).year()?;
            let (month, day) = match self.0.chars().next()? {
                separator @ ('-' | '/') => {
                    self.eat(separator)?;
                    let month = self.number(1, 2)?;
                    self.eat(separator)?;
                    (month, self.number(1, 2)?)
                }
                '年' => {
                    self.eat('年')?;
                    let month = self.number(1, 2)?;
                    self.eat('月')?;
                    let day = self.number(1, 2)?;
                    self.eat('日')?;
                    self.0 = self.0.trim_start_matches(' ');
                    return self.clock(Some(year), month, day);
                }
                _ => {
                    self.eat(' ')?;
                    let month = self.month_name()?;
                    self.spaces()?;
                    (month, self.number(1, 2)?)
                }
            };
            self.0 = self.0.strip_prefix(['T', 't', ' ', '_'])?;
            return self.clock(Some(year), month, day);
        }
        let day = first.parse().ok()?;
        let separator = self.0.chars().next().filter(|c| matches!(c, '/' | '-' | ' '))?;
        self.eat(separator)?;
        let month = self.month_name()?;
        self.eat(separator)?;
        let year = self.year()?;
        self.0 = self.0.strip_prefix([':', ' ', 'T'])?;
        self.clock(Some(year), month, day)
    }

    /// `20261122080000`: fourteen digits that begin with a year of this century.
    fn compact(&mut self) -> Option<LogTime> {
        let mut ahead = Cursor(self.0);
        let mut part = Cursor(ahead.digits(14, 14).filter(|digits| digits.starts_with("20"))?);
        let mut next = |len| -> Option<&str> {
            let (head, rest) = part.0.split_at_checked(len)?;
            part.0 = rest;
            Some(head)
        };
        let (year, month, day) = (next(4)?.parse().ok()?, next(2)?.parse().ok()?, next(2)?.parse().ok()?);
        let (hour, minute, second): (i8, i8, i8) =
            (next(2)?.parse().ok()?, next(2)?.parse().ok()?, next(2)?.parse().ok()?);
        let in_range =
            (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
        self.0 = ahead.0;
        in_range.then_some(LogTime {
            year: Some(year),
            month,
            day,
            hour,
            minute,
            second,
            nanos: 0,
            offset: None,
        })
    }

    /// `Nov 22 08:00:00`, `Sun Nov 22 08:00:00 2026`, `Nov 22 2026 08:00:00`, `Nov  2 08:00:00.123 UTC`.
    fn month_first(&mut self) -> Option<LogTime> {
        if self.word(&WEEKDAYS).is_some() {
            self.0 = self.0.strip_prefix(',').unwrap_or(self.0);
            self.spaces()?;
            if self.0.starts_with(|c: char| c.is_ascii_digit()) {
                return self.numeric();
            }
        }
        let month = self.month_name()?;
        self.spaces()?;
        let day = self.number(1, 2)?;
        self.0 = self.0.strip_prefix(',').unwrap_or(self.0);
        self.spaces()?;
        let mut ahead = Cursor(self.0);
        let year = ahead.year();
        if year.is_some() && ahead.spaces().is_some() {
            self.0 = ahead.0;
            return self.clock(year, month, day);
        }
        let mut time = self.clock(None, month, day)?;
        let mut ahead = Cursor(self.0);
        if ahead.eat(' ').is_some()
            && let Some(year) = ahead.year()
            && (ahead.0.is_empty() || ahead.0.starts_with([' ', ':', ']']))
        {
            time.year = Some(year);
            self.0 = ahead.0;
        }
        Some(time)
    }

    fn clock(&mut self, year: Option<i16>, month: i8, day: i8) -> Option<LogTime> {
        let hour = self.number(1, 2)?;
        self.eat(':')?;
        let minute = self.number(2, 2)?;
        self.eat(':')?;
        let second: i8 = self.number(2, 2)?;
        let mut nanos = 0;
        if let Some(fraction) = self.0.strip_prefix(['.', ',']) {
            let len = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if let Some((digits, rest)) = fraction.split_at_checked(len).filter(|_| len > 0) {
                nanos = nanos_of(digits);
                self.0 = rest;
            }
        }
        let offset = self.zone();
        // A leap second is the last instant of its minute.
        let (second, nanos) = if second == 60 { (59, 999_999_999) } else { (second, nanos) };
        let in_range =
            (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
        in_range.then_some(LogTime { year, month, day, hour, minute, second, nanos, offset })
    }

    /// `Z`, `+08:00`, ` +0800`, ` UTC`, ` GMT+8`. Other zone names are ambiguous (CST is China's and Chicago's) and
    /// are left to the caller as text.
    fn zone(&mut self) -> Option<Offset> {
        if let Some(rest) = self.0.strip_prefix(['Z', 'z']) {
            self.0 = rest;
            return Some(Offset::UTC);
        }
        let spaced = self.0.strip_prefix(' ').unwrap_or(self.0);
        let named = ["UTC", "GMT"].iter().find_map(|name| spaced.strip_prefix(name));
        let mut ahead = Cursor(named.unwrap_or(spaced));
        if let Some(offset) = ahead.signed_offset() {
            self.0 = ahead.0;
            return Some(offset);
        }
        let rest = named.filter(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))?;
        self.0 = rest;
        Some(Offset::UTC)
    }

    fn signed_offset(&mut self) -> Option<Offset> {
        let sign = match self.0.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        self.0 = self.0.strip_prefix(['+', '-'])?;
        let digits = self.digits(1, 4)?;
        let (hours, minutes) = match digits.len() {
            1 | 2 => {
                let mut ahead = Cursor(self.0);
                let minutes = ahead.eat(':').and_then(|()| ahead.digits(2, 2));
                if minutes.is_some() {
                    self.0 = ahead.0;
                }
                (digits, minutes.unwrap_or("0"))
            }
            4 => digits.split_at_checked(2)?,
            _ => return None,
        };
        let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
        Offset::from_seconds(sign * seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, arrival: &str) -> String {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        instant(text, arrival.parse().unwrap(), &zone).map_or_else(|| "-".into(), |t| t.to_string())
    }

    #[test]
    fn every_form_names_its_instant() {
        let arrival = "2026-11-22T10:00:00Z";
        for (text, wanted) in [
            ("Nov 22 08:00:00", "2026-11-22T00:00:00Z"),
            ("Nov  2 08:00:00", "2026-11-02T00:00:00Z"),
            ("nov 2 08:00:00.5", "2026-11-02T00:00:00.5Z"),
            ("Nov 22 08:00:00 UTC", "2026-11-22T08:00:00Z"),
            ("Nov 22 08:00:00 GMT+8", "2026-11-22T00:00:00Z"),
            ("Nov 22 2025 08:00:00", "2025-11-22T00:00:00Z"),
            ("Nov 22 08:00:00 2025", "2025-11-22T00:00:00Z"),
            ("Sun Nov 22 08:00:00.123456 2026", "2026-11-22T00:00:00.123456Z"),
            ("Sun, 22 Nov 2026 08:00:00 GMT", "2026-11-22T08:00:00Z"),
            ("2026 Nov 22 08:00:00", "2026-11-22T00:00:00Z"),
            ("2026-11-22T08:00:00Z", "2026-11-22T08:00:00Z"),
            ("2026-11-22T08:00:00.123456789+08:00", "2026-11-22T00:00:00.123456789Z"),
            ("2026-11-22 08:00:00,250", "2026-11-22T00:00:00.25Z"),
            ("2026/11/22 08:00:00", "2026-11-22T00:00:00Z"),
            ("22/Nov/2026:08:00:00 +0800", "2026-11-22T00:00:00Z"),
            ("22/Nov/2026:08:00:60 -0330", "2026-11-22T11:30:59.999999999Z"),
            ("20261122080000", "2026-11-22T00:00:00Z"),
            ("2026-1-2 08:00:00", "2026-01-02T00:00:00Z"),
            ("2026年11月22日 08:00:00", "2026-11-22T00:00:00Z"),
            ("1795305600123456", "2026-11-22T00:00:00.123456Z"),
            ("1795305600.25", "2026-11-22T00:00:00.25Z"),
            ("1795305600123", "2026-11-22T00:00:00.123Z"),
            ("Feb 29 08:00:00", "2024-02-29T00:00:00Z"),
            ("2026-02-30 08:00:00", "-"),
            ("Nov 22 25:00:00", "-"),
            ("yesterday", "-"),
            ("", "-"),
        ] {
            assert_eq!(at(text, arrival), wanted, "{text}");
        }
    }

    #[test]
    fn the_missing_year_never_puts_a_time_more_than_a_day_ahead() {
        assert_eq!(at("Dec 31 23:59:59", "2027-01-01T00:00:05+08:00"), "2026-12-31T15:59:59Z");
        assert_eq!(at("Jan  1 00:00:05", "2026-12-31T23:59:59+08:00"), "2026-12-31T16:00:05Z");
        assert_eq!(at("Nov 24 08:00:00", "2026-11-22T07:00:00+08:00"), "2025-11-24T00:00:00Z");
    }
}
