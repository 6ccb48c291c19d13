//! The products that records come from, and how to recognise them: `content/products.yaml`, which explains its form.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHashMap;
use serde::Deserialize;
use wanglou_model::{FieldMap, Format, Kinds, PathId, Product, Record, UNKNOWN_PRODUCT, Watch, Watched};

use crate::Parsers;

/// The table of products.
#[derive(Debug, Default)]
pub struct Catalog {
    products: BTreeMap<String, Arc<Product>>,
    recognitions: FxHashMap<Format, Shelf>,
    /// No other table in this process has it.
    serial: u64,
    parsers: Parsers,
}

/// The table of products cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// It is not of the form its head describes.
    #[error("cannot read the table of products: {0}")]
    Yaml(String),
    /// Parsers of devices are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Parsers(Vec<crate::ParserError>),
    /// Two products have one id.
    #[error("product `{id}` stands twice in the table of products; ids must differ")]
    Twice {
        /// The id.
        id: String,
    },
}

impl From<Vec<crate::ParserError>> for CatalogError {
    fn from(errors: Vec<crate::ParserError>) -> Self {
        Self::Parsers(errors)
    }
}

impl Catalog {
    /// Reads the table.
    ///
    /// # Errors
    /// [`CatalogError`] when the text is not a table of products.
    pub fn from_yaml(text: &str) -> Result<Self, CatalogError> {
        let table: Table =
            serde_saphyr::from_str(text).map_err(|error| CatalogError::Yaml(error.to_string()))?;
        static TABLES: AtomicU64 = AtomicU64::new(1);
        let mut catalog = Self { serial: TABLES.fetch_add(1, Ordering::Relaxed), ..Self::default() };
        for row in table.products {
            let product = Arc::new(Product { id: row.id.clone(), vendor: row.vendor, name: row.name });
            if catalog.products.insert(row.id.clone(), Arc::clone(&product)).is_some() {
                return Err(CatalogError::Twice { id: row.id });
            }
            let ways = if row.any_of.is_empty() {
                vec![Way { filters: row.filters, without: row.without }]
            } else {
                row.any_of
            };
            for way in ways {
                let recognition = Recognition::new(&way, &table.fields);
                for format in &row.formats {
                    let known = catalog.recognitions.entry(*format).or_default();
                    known.add(recognition.clone(), &product);
                }
            }
        }
        Ok(catalog)
    }

    /// The same table with declarative parsers, whose products it then knows too.
    #[must_use]
    pub fn with_parsers(self, parsers: Parsers) -> Self {
        Self { parsers, ..self }
    }

    /// The declarative parsers.
    #[must_use]
    pub fn parsers(&self) -> &Parsers {
        &self.parsers
    }

    /// The product with this id.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<Arc<Product>> {
        self.products.get(id).cloned().or_else(|| self.parsers.product(id))
    }

    /// The product that a record comes from.
    #[must_use]
    pub fn recognise(&self, record: &Record) -> Arc<Product> {
        let Some(shelf) = self.recognitions.get(&record.format) else { return Arc::clone(&UNKNOWN_PRODUCT) };
        let describe = |kind: &mut Vec<u8>| {
            kind.extend_from_slice(&self.serial.to_le_bytes());
            kind.extend_from_slice(record.format.name().as_bytes());
            kind.push(0);
            shelf.watched.describe(&record.fields, kind);
        };
        RECOGNISED.with_borrow_mut(|kinds| kinds.decided(describe, || shelf.recognise(&record.fields)))
    }
}

thread_local! {
    /// What this thread has recognised.
    static RECOGNISED: RefCell<Kinds<Arc<Product>>> = RefCell::default();
}

/// How to recognise the products of one format.
#[derive(Debug, Default)]
struct Shelf {
    /// In the table's order.
    ways: Vec<(Recognition, Arc<Product>)>,
    watched: Watched,
}

impl Shelf {
    fn add(&mut self, recognition: Recognition, product: &Arc<Product>) {
        recognition.watch(&mut self.watched);
        self.ways.push((recognition, Arc::clone(product)));
    }

    fn recognise(&self, fields: &FieldMap) -> Arc<Product> {
        let way = self.ways.iter().find(|(recognition, _)| recognition.fits(fields));
        way.map_or_else(|| Arc::clone(&UNKNOWN_PRODUCT), |(_, product)| Arc::clone(product))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    fields: BTreeMap<String, Vec<String>>,
    products: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    vendor: String,
    name: String,
    formats: Vec<Format>,
    #[serde(default, rename = "where")]
    filters: BTreeMap<String, Texts>,
    #[serde(default)]
    without: Vec<String>,
    #[serde(default)]
    any_of: Vec<Way>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Way {
    #[serde(default, rename = "where")]
    filters: BTreeMap<String, Texts>,
    #[serde(default)]
    without: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

/// One way to recognise a product: every filter finds a value, none of the absent fields is there.
#[derive(Clone, Debug)]
struct Recognition {
    filters: Vec<(Vec<PathId>, Vec<Pattern>)>,
    absent: Vec<PathId>,
}

impl Recognition {
    fn new(way: &Way, names: &BTreeMap<String, Vec<String>>) -> Self {
        let paths = |name: &str| match names.get(name) {
            Some(paths) => paths.iter().map(|path| PathId::reserve(path)).collect(),
            None => vec![PathId::reserve(name)],
        };
        let filters = way.filters.iter().map(|(name, texts)| {
            let patterns = match texts {
                Texts::One(text) => vec![Pattern::new(text)],
                Texts::Many(texts) => texts.iter().map(|text| Pattern::new(text)).collect(),
            };
            (paths(name), patterns)
        });
        Self { filters: filters.collect(), absent: way.without.iter().flat_map(|name| paths(name)).collect() }
    }

    /// Names all that its verdict depends on.
    fn watch(&self, watched: &mut Watched) {
        for (paths, patterns) in &self.filters {
            let is_any = patterns.iter().any(Pattern::is_any);
            let watch = if is_any { Watch::Presence } else { Watch::Value };
            paths.iter().for_each(|path| watched.add(*path, watch));
        }
        self.absent.iter().for_each(|path| watched.add(*path, Watch::Presence));
    }

    fn fits(&self, fields: &FieldMap) -> bool {
        let has_value = |(paths, patterns): &(Vec<PathId>, Vec<Pattern>)| {
            paths
                .iter()
                .flat_map(|path| fields.get_all(*path))
                .any(|value| patterns.iter().any(|pattern| pattern.fits(&value.to_text())))
        };
        self.filters.iter().all(has_value) && self.absent.iter().all(|path| fields.get(*path).is_none())
    }
}

/// A text with `*` for anything at either end; letters of either case.
#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    open_start: bool,
    open_end: bool,
}

impl Pattern {
    fn new(text: &str) -> Self {
        let (text, open_start) = text.strip_prefix('*').map_or((text, false), |rest| (rest, true));
        let (text, open_end) =
            text.strip_suffix('*').map_or((text, open_start && text.is_empty()), |rest| (rest, true));
        Self { text: text.to_owned(), open_start, open_end }
    }

    /// Whether it fits every text.
    fn is_any(&self) -> bool {
        self.open_start && self.open_end && self.text.is_empty()
    }

    fn fits(&self, value: &str) -> bool {
        let (value, text) = (value.as_bytes(), self.text.as_bytes());
        let at_start = || value.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
        let at_end = || {
            let start = value.len().checked_sub(text.len());
            start.and_then(|start| value.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(text))
        };
        match (self.open_start, self.open_end) {
            (false, false) => value.eq_ignore_ascii_case(text),
            (false, true) => at_start(),
            (true, false) => at_end(),
            (true, true) => {
                text.is_empty() || value.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Catalog {
        Catalog::from_yaml(include_str!("../../../content/products.yaml")).unwrap()
    }

    fn recognised(format: Format, fields: &[(&str, &str)]) -> String {
        let mut record = Record::new(format, bytes::Bytes::new());
        for (path, value) in fields {
            record.fields.push(PathId::reserve(path), *value);
        }
        shipped().recognise(&record).id.clone()
    }

    #[test]
    fn the_shipped_table_recognises() {
        assert_eq!(
            recognised(Format::Evtx, &[("Event.System.Channel", "Microsoft-Windows-Sysmon/Operational")]),
            "windows-sysmon"
        );
        assert_eq!(recognised(Format::Winlogbeat, &[("winlog.channel", "security")]), "windows-security");
        assert_eq!(
            recognised(Format::WindowsFlat, &[("SourceName", "Microsoft-Windows-PowerShell")]),
            "windows-powershell"
        );
        assert_eq!(recognised(Format::Evtx, &[("Event.System.Channel", "Contoso/Admin")]), "windows");
        assert_eq!(recognised(Format::Syslog, &[("syslog.app", "sshd")]), "linux-sshd");
        assert_eq!(recognised(Format::Syslog, &[("syslog.app", "kernel")]), "linux-syslog");
        assert_eq!(
            recognised(Format::AccessLog, &[("request_time", "0.01"), ("user_agent", "-")]),
            "nginx-access"
        );
        assert_eq!(recognised(Format::AccessLog, &[("status", "200")]), "apache-access");
        assert_eq!(recognised(Format::Json, &[("a", "b")]), "unknown");
        assert_eq!(shipped().product("suricata").unwrap().vendor, "OISF");
        assert!(shipped().product("nobody").is_none());
    }

    #[test]
    fn patterns_are_open_where_starred() {
        let fits = |pattern: &str, value: &str| Pattern::new(pattern).fits(value);
        assert!(
            fits("*", "") && fits("*", "x") && fits("a*", "ABC") && fits("*c", "abC") && fits("*B*", "abc")
        );
        assert!(!fits("a", "ab") && !fits("a*", "ba") && !fits("*a", "ab") && !fits("*x*", "abc"));
    }

    #[test]
    fn a_broken_table_says_what_is_wrong() {
        let twice = "fields: {}\nproducts:\n- {id: a, vendor: v, name: n, formats: [json]}\n- {id: a, vendor: v, name: n, formats: [json]}\n";
        assert!(Catalog::from_yaml(twice).unwrap_err().to_string().contains("`a` stands twice"));
        assert!(Catalog::from_yaml("products: 1").is_err());
    }
}
