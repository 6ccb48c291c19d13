//! The taxonomy: which records a Sigma logsource means, and how a Sigma field is called in them.
//!
//! Sigma rules name a logsource (`product: windows, category: process_creation`) and fields (`Image`); records have
//! formats and their own names (`Event.EventData.Image`, `winlog.event_data.Image`, or `NewProcessName` in a security
//! log). The tables that join the two are YAML files, so that a site can add its own. One idea: an entry (a [`Route`])
//! says for one logsource which records it means (formats, products, conditions on fields) and which fields are
//! renamed there; all other fields follow the naming of the format. Several entries may have the same logsource.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::Deserialize;
use wanglou_model::Format;

use crate::sigma::Logsource;
use crate::text::fold;

/// All taxonomy tables.
#[derive(Debug, Default)]
pub struct Taxonomy {
    formats: FxHashMap<Format, Naming>,
    routes: Vec<Route>,
}

/// A taxonomy file is wrong.
#[derive(Debug, thiserror::Error)]
pub enum TaxonomyError {
    /// It is not the YAML that a taxonomy is.
    #[error("taxonomy `{file}` cannot be read: {reason}")]
    Parse {
        /// The file.
        file: String,
        /// What the YAML reader says.
        reason: String,
    },
    /// An entry names a format that does not exist.
    #[error("taxonomy `{file}` names the unknown format `{format}`; the formats are {known}")]
    UnknownFormat {
        /// The file.
        file: String,
        /// The name.
        format: String,
        /// All names.
        known: String,
    },
    /// A condition uses a modifier that taxonomies do not have.
    #[error(
        "taxonomy `{file}`: `{key}` is no condition; write a field, or a field and |startswith, |contains or |exists"
    )]
    UnknownCondition {
        /// The file.
        file: String,
        /// The key.
        key: String,
    },
}

/// How fields are called in one format.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Naming {
    /// Sigma field → names.
    #[serde(default)]
    fields: BTreeMap<String, Names>,
    /// Where every other field is looked for, in order: paths with `{field}`, and `*` for any one segment.
    #[serde(default)]
    others: Vec<String>,
}

/// One or several names for a field.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    /// The first that the record has.
    First(Vec<String>),
    /// All that the record has.
    Any {
        any: Vec<String>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The formats of entries that name none.
    #[serde(default)]
    default_formats: Vec<String>,
    #[serde(default)]
    formats: BTreeMap<String, Naming>,
    #[serde(default)]
    logsources: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    product: Option<String>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    formats: Vec<String>,
    /// Ids of `products.yaml`; none: any product.
    #[serde(default)]
    products: Vec<String>,
    #[serde(default)]
    when: BTreeMap<String, Wanted>,
    #[serde(default)]
    fields: BTreeMap<String, Names>,
    /// Field → (value in rules → value in these records).
    #[serde(default)]
    values: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Wanted {
    Flag(bool),
    Number(i64),
    Text(String),
    List(Vec<Wanted>),
}

/// One entry: which records a logsource means.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) logsource: Logsource,
    pub(crate) formats: Vec<Format>,
    pub(crate) products: Vec<String>,
    pub(crate) conditions: Vec<Condition>,
    fields: BTreeMap<String, Names>,
    values: BTreeMap<String, BTreeMap<String, String>>,
}

/// A condition on a field of the record.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) field: String,
    pub(crate) test: FieldTest,
}

/// What a route asks of a field. Texts are folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldTest {
    OneOf(Vec<String>),
    StartsWith(Vec<String>),
    Contains(Vec<String>),
    Exists(bool),
}

/// A path of records, possibly with one `*` segment in its middle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PathPattern {
    Path(String),
    /// `before` + one segment + `after`, dots included.
    Wild {
        before: String,
        after: String,
    },
}

/// Where to look for a field: the first level of which the record has any path, and there all of them.
pub(crate) type Levels = Vec<Vec<PathPattern>>;

impl Taxonomy {
    /// Reads taxonomy files: (name, text) each. Later files add to earlier ones.
    ///
    /// # Errors
    /// When a file is no taxonomy; nothing is loaded then.
    pub fn from_yaml<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, TaxonomyError> {
        let mut taxonomy = Self::default();
        for (name, text) in files {
            let file: File = serde_saphyr::from_str(text)
                .map_err(|error| TaxonomyError::Parse { file: name.to_owned(), reason: error.to_string() })?;
            for (format, naming) in file.formats {
                taxonomy.formats.insert(parse_format(name, &format)?, naming);
            }
            for entry in file.logsources {
                taxonomy.routes.push(route(name, entry, &file.default_formats)?);
            }
        }
        Ok(taxonomy)
    }

    pub(crate) fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The routes that a rule's logsource means: those of exactly this logsource; else the more specific ones; else
    /// the least general of the more general ones. Empty when the taxonomy knows nothing of it.
    pub(crate) fn routes_of(&self, wanted: &Logsource) -> Vec<usize> {
        let matching = |fits: &dyn Fn(&Logsource) -> bool| -> Vec<usize> {
            let routes = self.routes.iter().enumerate();
            routes.filter(|(_, route)| fits(&route.logsource)).map(|(index, _)| index).collect()
        };
        let exact = matching(&|known| known == wanted);
        if !exact.is_empty() {
            return exact;
        }
        let narrower = matching(&|known| covers(wanted, known));
        if !narrower.is_empty() {
            return narrower;
        }
        let broader = matching(&|known| covers(known, wanted));
        let parts = |index: &usize| self.routes.get(*index).map_or(0, |route| part_count(&route.logsource));
        let most = broader.iter().map(parts).max().unwrap_or(0);
        broader.into_iter().filter(|index| parts(index) == most).collect()
    }

    /// Where a field is found in records of a format, by the format's own naming.
    pub(crate) fn levels(&self, format: Format, field: &str) -> Levels {
        let naming = self.formats.get(&format);
        if let Some(names) = naming.and_then(|naming| naming.fields.get(field)) {
            let path = |name: &String| PathPattern::parse(name, field);
            return match names {
                Names::One(name) => vec![vec![path(name)]],
                Names::First(names) => names.iter().map(|name| vec![path(name)]).collect(),
                Names::Any { any } => vec![any.iter().map(path).collect()],
            };
        }
        let others = naming.map(|naming| naming.others.as_slice()).unwrap_or_default();
        if others.is_empty() {
            return vec![vec![PathPattern::Path(field.to_owned())]];
        }
        others.iter().map(|pattern| vec![PathPattern::parse(pattern, field)]).collect()
    }

    /// Where a field is found on a route that renames it; `None` when the route does not.
    pub(crate) fn renamed(&self, route: &Route, format: Format, field: &str) -> Option<Levels> {
        let names = match route.fields.get(field)? {
            Names::One(name) => std::slice::from_ref(name),
            Names::First(names) => names,
            Names::Any { any } => {
                let all = any.iter().flat_map(|name| self.levels(format, name)).flatten();
                return Some(vec![all.collect()]);
            }
        };
        Some(names.iter().flat_map(|name| self.levels(format, name)).collect())
    }
}

impl Route {
    /// A route to the records of a product that the taxonomy says nothing of: its id is the logsource's product,
    /// service or both.
    pub(crate) fn by_product(logsource: &Logsource) -> Self {
        let names: Vec<&str> = [&logsource.product, &logsource.service, &logsource.category]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let mut products: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        if let (Some(product), Some(service)) = (&logsource.product, &logsource.service) {
            products.push(format!("{product}-{service}"));
        }
        Self {
            logsource: logsource.clone(),
            formats: Format::ALL.to_vec(),
            products,
            conditions: Vec::new(),
            fields: BTreeMap::new(),
            values: BTreeMap::new(),
        }
    }

    pub(crate) fn renames(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// How records of this route write a value that rules write so.
    pub(crate) fn value_of(&self, field: &str, value: &str) -> Option<&str> {
        let values = self.values.get(field)?;
        values.iter().find(|(rule, _)| rule.eq_ignore_ascii_case(value)).map(|(_, record)| record.as_str())
    }
}

impl PathPattern {
    fn parse(pattern: &str, field: &str) -> Self {
        let path = pattern.replace("{field}", field);
        match path.split_once('*') {
            Some((before, after)) if pattern.contains('*') => {
                Self::Wild { before: before.to_owned(), after: after.to_owned() }
            }
            _ => Self::Path(path),
        }
    }

    /// Whether a record's path is meant.
    pub(crate) fn is_match(&self, path: &str) -> bool {
        match self {
            Self::Path(wanted) => wanted == path,
            Self::Wild { before, after } => path
                .strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(after.as_str()))
                .is_some_and(|segment| !segment.is_empty() && !segment.contains('.')),
        }
    }
}

fn route(file: &str, entry: Entry, default_formats: &[String]) -> Result<Route, TaxonomyError> {
    let names = if entry.formats.is_empty() { default_formats } else { &entry.formats };
    let formats = names.iter().map(|name| parse_format(file, name)).collect::<Result<_, _>>()?;
    let mut conditions = Vec::new();
    for (key, wanted) in entry.when {
        let (field, modifier) = key.split_once('|').unwrap_or((&key, ""));
        let test = match (modifier, &wanted) {
            ("", _) => FieldTest::OneOf(wanted.texts()),
            ("startswith", _) => FieldTest::StartsWith(wanted.texts()),
            ("contains", _) => FieldTest::Contains(wanted.texts()),
            ("exists", Wanted::Flag(exists)) => FieldTest::Exists(*exists),
            _ => return Err(TaxonomyError::UnknownCondition { file: file.to_owned(), key }),
        };
        conditions.push(Condition { field: field.to_owned(), test });
    }
    let logsource = Logsource { product: entry.product, category: entry.category, service: entry.service };
    Ok(Route {
        logsource,
        formats,
        products: entry.products,
        conditions,
        fields: entry.fields,
        values: entry.values,
    })
}

impl Wanted {
    fn texts(&self) -> Vec<String> {
        match self {
            Self::Flag(flag) => vec![flag.to_string()],
            Self::Number(number) => vec![number.to_string()],
            Self::Text(text) => vec![fold(text)],
            Self::List(items) => items.iter().flat_map(Self::texts).collect(),
        }
    }
}

fn parse_format(file: &str, name: &str) -> Result<Format, TaxonomyError> {
    Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| TaxonomyError::UnknownFormat {
        file: file.to_owned(),
        format: name.to_owned(),
        known: Format::ALL.map(Format::name).join(", "),
    })
}

/// Whether everything that `general` says, `specific` says too.
pub(crate) fn covers(general: &Logsource, specific: &Logsource) -> bool {
    let part = |a: &Option<String>, b: &Option<String>| a.is_none() || a == b;
    part(&general.product, &specific.product)
        && part(&general.category, &specific.category)
        && part(&general.service, &specific.service)
}

fn part_count(logsource: &Logsource) -> usize {
    [&logsource.product, &logsource.category, &logsource.service].into_iter().flatten().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "
default_formats: [evtx, windows-flat]
formats:
  evtx:
    fields: {EventID: Event.System.EventID}
    others: ['Event.EventData.{field}', 'Event.UserData.*.{field}']
logsources:
  - {product: windows}
  - {product: windows, service: sysmon, when: {Channel: Sysmon}}
  - {product: windows, category: process_creation, service: sysmon, when: {Channel: Sysmon, EventID: 1}}
  - product: windows
    category: process_creation
    service: security
    when: {Channel: Security, EventID: [4688]}
    fields: {Image: NewProcessName}
    values: {IntegrityLevel: {High: S-1-16-12288}}
";

    fn logsource(product: &str, category: &str, service: &str) -> Logsource {
        let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Logsource { product: part(product), category: part(category), service: part(service) }
    }

    #[test]
    fn a_logsource_means_its_own_routes_or_the_narrower_or_the_nearest_broader_ones() {
        let taxonomy = Taxonomy::from_yaml([("t.yaml", TABLE)]).unwrap();
        let routes = |p, c, s| taxonomy.routes_of(&logsource(p, c, s));
        assert_eq!(routes("windows", "", ""), [0]);
        assert_eq!(routes("windows", "", "sysmon"), [1]);
        assert_eq!(routes("windows", "process_creation", ""), [2, 3]);
        assert_eq!(routes("", "process_creation", ""), [2, 3]);
        assert_eq!(routes("windows", "", "other"), [0]);
        assert!(routes("linux", "process_creation", "").is_empty());
    }

    #[test]
    fn fields_follow_the_format_unless_the_route_renames_them() {
        let taxonomy = Taxonomy::from_yaml([("t.yaml", TABLE)]).unwrap();
        let wild = PathPattern::Wild { before: "Event.UserData.".into(), after: ".Image".into() };
        assert!(wild.is_match("Event.UserData.EventXML.Image"));
        assert!(!wild.is_match("Event.UserData.A.B.Image"));
        let path = |path: &str| PathPattern::Path(path.to_owned());
        assert_eq!(taxonomy.levels(Format::Evtx, "Image"), [vec![path("Event.EventData.Image")], vec![wild]]);
        assert_eq!(taxonomy.levels(Format::WindowsFlat, "Image"), [[path("Image")]]);
        let route = &taxonomy.routes()[3];
        let renamed = taxonomy.renamed(route, Format::WindowsFlat, "Image").unwrap();
        assert_eq!(renamed, [[path("NewProcessName")]]);
        assert_eq!(route.value_of("IntegrityLevel", "high"), Some("S-1-16-12288"));
    }

    #[test]
    fn errors_name_the_file() {
        let error = |text| Taxonomy::from_yaml([("x.yaml", text)]).unwrap_err().to_string();
        assert!(error("logsources: [{formats: [elf]}]").contains("`elf`"));
        assert!(error("logsources: [{when: {'a|re': b}}]").contains("`a|re`"));
        assert!(error("nonsense: 1").contains("`x.yaml`"));
    }
}
