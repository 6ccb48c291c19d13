//! Parsers of devices as data: `content/parsers/*.yaml`, so that an operator adds a device without compiling.
//!
//! A parser says by which literals its lines are known, how fields are extracted (not at all, where the generic
//! decoders do it), how values are converted, and which field is which attribute of the
//! [vocabulary](crate::vocabulary). All are compiled into one set: a single pass over a line finds the literals of all
//! parsers, regular expressions are of linear time and run only where their parser's literals stand.

mod file;

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use regex_automata::meta::Regex;
use wanglou_model::{FieldMap, PathId, Product, Record};

use crate::decode::device;
use crate::decode::device::pairs::{self, Assign, Separator, Shape};
use crate::vocabulary;

use file::{Convert, Extract, Names, ParserSource};
pub use file::{ParserError, Sample};

/// Longest part of a line in which literals and expressions are looked for; a device shows itself earlier.
const MAX_MATCHED: usize = 16 << 10;
/// Most memory of one compiled expression.
const REGEX_BYTES: usize = 4 << 20;
/// Classes a parser may name; without one the class follows from the attributes.
pub(crate) const CLASSES: [&str; 6] = [
    "base_event",
    "detection_finding",
    "authentication",
    "network_activity",
    "http_activity",
    "dns_activity",
];

/// A set of parsers.
#[derive(Debug, Default)]
pub struct Parsers {
    literals: Option<AhoCorasick>,
    /// Those with most letters in their literals first.
    parsers: Vec<Parser>,
}

#[derive(Debug)]
struct Parser {
    product: Arc<Product>,
    all: Vec<usize>,
    any: Vec<usize>,
    not: Vec<usize>,
    regex: Option<Regex>,
    extract: Vec<Step>,
    convert: Vec<(PathId, Convert)>,
    map: Vec<(PathId, Vec<From>)>,
    class: Option<String>,
    samples: Vec<Sample>,
}

#[derive(Debug)]
enum From {
    Field(PathId),
    Text(String),
}

#[derive(Debug)]
struct Step {
    from: Option<PathId>,
    how: How,
}

#[derive(Debug)]
enum How {
    Auto,
    Regex(Regex, Vec<(usize, String)>),
    Pairs(Shape),
    Columns(String, Vec<String>),
}

impl Parsers {
    /// Compiles files of (name, text).
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn compile<'f>(
        files: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) -> Result<Self, Vec<ParserError>> {
        let mut compiler = Compiler::default();
        for (name, text) in files {
            compiler.file(name, text);
        }
        compiler.finish()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parsers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parsers.is_empty()
    }

    /// The samples of all parsers, each with the product it must be recognised as.
    pub fn samples(&self) -> impl Iterator<Item = (&Arc<Product>, &Sample)> {
        self.parsers
            .iter()
            .flat_map(|parser| parser.samples.iter().map(move |sample| (&parser.product, sample)))
    }

    /// The product with this id.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<Arc<Product>> {
        self.parsers.iter().find(|parser| parser.product.id == id).map(|parser| Arc::clone(&parser.product))
    }

    /// Whether a parser knows this line.
    #[must_use]
    pub fn recognises(&self, line: &str) -> bool {
        self.find(line).is_some()
    }

    /// Reads `line`, whose message (the line without a header) is `message`, into `record`; false when no parser
    /// knows it.
    pub fn apply(&self, line: &str, message: &str, record: &mut Record) -> bool {
        let Some(parser) = self.find(line) else { return false };
        record.product = Arc::clone(&parser.product);
        parser.read(message, &mut record.fields);
        true
    }

    fn find(&self, line: &str) -> Option<&Parser> {
        let literals = self.literals.as_ref()?;
        let mut end = MAX_MATCHED.min(line.len());
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let head = line.get(..end)?;
        let mut found = vec![false; literals.patterns_len()];
        for hit in literals.find_overlapping_iter(head) {
            if let Some(found) = found.get_mut(hit.pattern().as_usize()) {
                *found = true;
            }
        }
        let has = |literal: &usize| found.get(*literal).copied().unwrap_or_default();
        self.parsers.iter().find(|parser| {
            parser.all.iter().all(has)
                && (parser.any.is_empty() || parser.any.iter().any(has))
                && !parser.not.iter().any(has)
                && parser.regex.as_ref().is_none_or(|regex| regex.is_match(head))
        })
    }
}

impl Parser {
    fn read(&self, message: &str, fields: &mut FieldMap) {
        if !self.extract.is_empty() {
            // What the generic decoders guessed is not wanted where the parser knows better.
            let mut kept = FieldMap::new();
            for (path, value) in fields.iter().filter(|(path, _)| path.name().starts_with("syslog.")) {
                kept.push(path, value);
            }
            *fields = kept;
            for step in &self.extract {
                step.read(message, fields);
            }
        }
        for (path, convert) in &self.convert {
            let converted = fields.get(*path).and_then(|value| converted(&value.to_text(), convert));
            if let Some(converted) = converted {
                fields.set(*path, converted.as_str());
            }
        }
        for (to, names) in &self.map {
            let value = names.iter().find_map(|from| match from {
                From::Text(text) => Some(text.clone()),
                From::Field(path) => fields
                    .get(*path)
                    .map(|value| value.to_text().into_owned())
                    .filter(|text| !vocabulary::is_nothing(text)),
            });
            if let Some(value) = value {
                fields.set(*to, value.as_str());
            }
        }
        if let Some(class) = &self.class {
            fields.set(PathId::reserve("ocsf.class"), class.as_str());
        }
        device::understand(message, fields);
    }
}

fn converted(text: &str, convert: &Convert) -> Option<String> {
    if let Some(format) = &convert.time {
        let parsed = jiff::fmt::strtime::parse(format, text).ok()?;
        return parsed
            .to_timestamp()
            .map(|time| time.to_string())
            .or_else(|_| parsed.to_datetime().map(|time| time.to_string()))
            .ok();
    }
    convert.map.get(text).cloned()
}

impl Step {
    fn read(&self, message: &str, fields: &mut FieldMap) {
        let own = self
            .from
            .map(|from| fields.get(from).map(|value| value.to_text().into_owned()).unwrap_or_default());
        let text = own.as_deref().unwrap_or(message);
        match &self.how {
            How::Auto => _ = device::read(text, fields),
            How::Regex(regex, names) => {
                let mut captures = regex.create_captures();
                regex.captures(text, &mut captures);
                for (group, name) in names {
                    if let Some(value) = captures.get_group(*group).and_then(|span| text.get(span.range())) {
                        fields.push_named(None, name, value);
                    }
                }
            }
            How::Pairs(shape) => {
                for (name, value) in pairs::read(text, *shape) {
                    fields.push_named(None, name, value);
                }
            }
            How::Columns(separator, names) => {
                for (name, value) in
                    names.iter().zip(columns(text, separator)).filter(|(name, _)| *name != "_")
                {
                    fields.push_named(None, name, value);
                }
            }
        }
    }
}

/// The parts of a line; a part in double quotes may hold the separator.
fn columns<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let quoted = rest.strip_prefix('"').and_then(|body| body.split_once('"'));
        if let Some((value, after)) =
            quoted.filter(|(_, after)| after.is_empty() || after.starts_with(separator))
        {
            parts.push(value);
            match after.strip_prefix(separator) {
                Some(next) => rest = next,
                None => return parts,
            }
            continue;
        }
        match rest.split_once(separator) {
            Some((value, next)) => {
                parts.push(value.trim());
                rest = next;
            }
            None => {
                parts.push(rest.trim());
                return parts;
            }
        }
    }
}

#[derive(Default)]
struct Compiler {
    file: String,
    literals: Vec<String>,
    parsers: Vec<(usize, Parser)>,
    errors: Vec<ParserError>,
}

impl Compiler {
    fn file(&mut self, name: &str, text: &str) {
        name.clone_into(&mut self.file);
        match serde_saphyr::from_str::<file::File>(text) {
            Ok(file) => file.parsers.into_iter().for_each(|source| self.parser(&file.vendor, source)),
            Err(error) => {
                let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
                let message = error.to_string();
                let message = message.lines().next().unwrap_or_default().to_owned();
                self.error(
                    line,
                    column,
                    message,
                    "the form of a parser is described at the head of content/parsers/README.md",
                );
            }
        }
    }

    fn error(&mut self, line: u64, column: u64, message: impl Into<String>, help: impl Into<String>) {
        let file = self.file.clone();
        self.errors.push(ParserError { file, line, column, message: message.into(), help: help.into() });
    }

    fn parser(&mut self, vendor: &str, source: ParserSource) {
        let place = (source.id.referenced.line(), source.id.referenced.column());
        let id = source.id.value;
        if self.parsers.iter().any(|(_, known)| known.product.id == id) {
            self.error(
                place.0,
                place.1,
                format!("parser `{id}` stands twice"),
                "give one of them another id",
            );
        }
        let weight = source.matching.all.iter().map(String::len).sum::<usize>()
            + source.matching.any.iter().map(String::len).min().unwrap_or(0);
        if source.matching.all.is_empty() && source.matching.any.is_empty() {
            self.error(place.0, place.1, format!("parser `{id}` has no literal to be known by"), "name a text that all its lines have under `match: all:`, or several of which one stands under `any:`");
        }
        let class = source.class.and_then(|class| {
            if CLASSES.contains(&class.value.as_str()) {
                return Some(class.value);
            }
            let (line, column) = (class.referenced.line(), class.referenced.column());
            self.error(
                line,
                column,
                format!("unknown class `{}`", class.value),
                format!("use one of {}", CLASSES.join(", ")),
            );
            None
        });
        let regex = source.matching.regex.and_then(|regex| self.regex(&regex));
        let extract = source.extract.into_iter().filter_map(|step| self.step(place, step)).collect();
        let map = source.map.into_iter().filter_map(|(to, names)| self.mapping(&to, names)).collect();
        let parser = Parser {
            product: Arc::new(Product { id, vendor: vendor.to_owned(), name: source.product }),
            all: self.add(source.matching.all),
            any: self.add(source.matching.any),
            not: self.add(source.matching.not),
            regex,
            extract,
            convert: source
                .convert
                .into_iter()
                .map(|(field, convert)| (PathId::reserve(&field), convert))
                .collect(),
            map,
            class,
            samples: source.tests,
        };
        self.parsers.push((weight, parser));
    }

    fn add(&mut self, texts: Vec<String>) -> Vec<usize> {
        let first = self.literals.len();
        self.literals.extend(texts);
        (first..self.literals.len()).collect()
    }

    fn regex(&mut self, source: &serde_saphyr::Spanned<String>) -> Option<Regex> {
        let config = Regex::config().nfa_size_limit(Some(REGEX_BYTES)).onepass_size_limit(Some(REGEX_BYTES));
        match Regex::builder().configure(config).build(&source.value) {
            Ok(regex) => Some(regex),
            Err(error) => {
                let (line, column) = (source.referenced.line(), source.referenced.column());
                let reason = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
                let reason = reason.lines().last().unwrap_or_default().to_owned();
                self.error(
                    line,
                    column,
                    format!("the expression cannot be used: {reason}"),
                    "expressions have no look-around and no back-references; write what stands there instead",
                );
                None
            }
        }
    }

    fn mapping(&mut self, to: &str, names: serde_saphyr::Spanned<Names>) -> Option<(PathId, Vec<From>)> {
        let Some(attribute) = vocabulary::attributes().iter().find(|attribute| attribute.name == to) else {
            let (line, column) = (names.referenced.line(), names.referenced.column());
            let known: Vec<&str> = vocabulary::attributes().iter().map(|attribute| attribute.name).collect();
            self.error(
                line,
                column,
                format!("unknown attribute `{to}`"),
                format!("use one of {}", known.join(", ")),
            );
            return None;
        };
        let names = match names.value {
            Names::One(name) => vec![name],
            Names::Many(names) => names,
        };
        let from = |name: String| match name.strip_prefix('=') {
            Some(text) => From::Text(text.to_owned()),
            None => From::Field(PathId::reserve(&name)),
        };
        Some((attribute.path, names.into_iter().map(from).collect()))
    }

    fn step(&mut self, place: (u64, u64), step: Extract) -> Option<Step> {
        let from = step.from.map(|from| PathId::reserve(&from));
        let how = if let Some(source) = step.regex {
            let regex = self.regex(&source)?;
            let names = regex.group_info().pattern_names(regex_automata::PatternID::ZERO);
            let names = names.enumerate().filter_map(|(at, name)| Some((at, name?.to_owned()))).collect();
            How::Regex(regex, names)
        } else if let Some(pairs) = step.pairs {
            let separator = match pairs.separator.as_str() {
                " " | "space" => Separator::Space,
                "[]" => Separator::Brackets,
                other => Separator::Char(other.chars().next()?),
            };
            let assign = match pairs.assign.as_str() {
                "=" => Assign::Equals,
                ":" => Assign::Colon,
                "/" => Assign::Slash,
                _ => Assign::Either,
            };
            How::Pairs(Shape { separator, assign })
        } else if let Some(columns) = step.columns {
            if columns.separator.is_empty() {
                self.error(
                    place.0,
                    place.1,
                    "columns have no separator",
                    "write what stands between them under `separator:`",
                );
                return None;
            }
            How::Columns(columns.separator, columns.names)
        } else if step.auto {
            How::Auto
        } else {
            self.error(
                place.0,
                place.1,
                "a step of `extract` says nothing",
                "give it one of regex, pairs, columns, auto",
            );
            return None;
        };
        Some(Step { from, how })
    }

    fn finish(mut self) -> Result<Parsers, Vec<ParserError>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        self.parsers.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        let literals = if self.literals.is_empty() {
            None
        } else {
            match AhoCorasick::new(&self.literals) {
                Ok(literals) => Some(literals),
                Err(error) => {
                    self.error(
                        0,
                        0,
                        format!("the literals of all parsers together cannot be compiled: {error}"),
                        "use fewer or shorter ones",
                    );
                    return Err(self.errors);
                }
            }
        };
        Ok(Parsers { literals, parsers: self.parsers.into_iter().map(|(_, parser)| parser).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
vendor: Acme
parsers:
  - id: acme-wall
    product: Wall
    match: {all: ["ACMEWALL|"]}
    extract:
      - columns: {separator: "|", names: [_, when, from, to, what]}
    convert:
      when: {time: "%d.%m.%Y %H:%M:%S"}
      what: {map: {"0": deny, "1": permit}}
    map: {src_endpoint.ip: from, dst_endpoint.ip: [none, to], action: what, time: when, policy: =edge}
    class: network_activity
  - id: acme-any
    product: Any
    match: {any: ["ACMEWALL"], not: ["x=1"], regex: 'ACME[A-Z]+'}
    extract:
      - regex: 'user (?<who>\w+)'
    map: {user.name: who}
"#;

    fn read(line: &str) -> Option<(String, serde_json::Value)> {
        let parsers = Parsers::compile([("a.yaml", FILE)]).unwrap();
        let mut record = Record::new(wanglou_model::Format::Device, bytes::Bytes::new());
        parsers
            .apply(line, line, &mut record)
            .then(|| (record.product.id.clone(), record.fields.to_json()["ocsf"].clone()))
    }

    #[test]
    fn the_most_telling_parser_reads_the_line() {
        let (id, ocsf) = read("ACMEWALL|22.11.2026 08:00:00|10.0.0.1|10.0.0.2|0").unwrap();
        assert_eq!(id, "acme-wall");
        assert_eq!(
            ocsf,
            serde_json::json!({"src_endpoint": {"ip": "10.0.0.1"}, "dst_endpoint": {"ip": "10.0.0.2"}, "action": "deny",
                "time": "2026-11-22T08:00:00", "policy": "edge", "class": "network_activity"})
        );
        let (id, ocsf) = read("ACMEWALL user zhang").unwrap();
        assert_eq!((id.as_str(), &ocsf["user"]["name"]), ("acme-any", &"zhang".into()));
        assert!(read("ACMEWALL x=1").is_none() && read("another").is_none());
    }

    #[test]
    fn errors_have_place_and_remedy() {
        let error = |text: &str| Parsers::compile([("a.yaml", text)]).unwrap_err()[0].to_string();
        let broken = FILE.replace("src_endpoint.ip:", "source:");
        assert!(error(&broken).starts_with("a.yaml:12:"), "{}", error(&broken));
        assert!(
            error(&broken).contains("unknown attribute `source`")
                && error(&broken).contains("help: use one of src_endpoint.ip")
        );
        assert!(error(&FILE.replace("(?<who>", "(?=who)(")).contains("no look-around"));
        assert!(error(&FILE.replace("network_activity", "war")).contains("unknown class `war`"));
        assert!(error(&FILE.replace("acme-any", "acme-wall")).contains("stands twice"));
        assert!(error("vendor: A\nparsers: 3").starts_with("a.yaml:2:"));
    }
}
