//! What can be asked: [`Query`], and how its conditions become DataFusion expressions.
//!
//! Each condition has two forms, one for regular rows, where the columns tell all, and one for irregular rows, where
//! `rest` does (see [`crate::rows`]). Both are exact: together they find what a comparison of every value would find.

use datafusion::logical_expr::{Expr, ScalarUDF, col, lit};
use datafusion::scalar::ScalarValue;
use wanglou_model::search::Expression;
use wanglou_model::{EventUid, Severity, Timestamp, canonical_ip};

use crate::LakeError;
use crate::columns::{self, Kind, promoted_at};
use crate::expression;
use crate::json::{Comparison, JsonFirst, JsonHas};

/// A page holds at most this many events: more than a person reads, little enough to hold in memory.
pub const MAX_PAGE: usize = 1000;

/// A search for events.
#[derive(Clone, Debug)]
pub struct Query {
    /// Event time from here on.
    pub from: Timestamp,
    /// Event time before this.
    pub to: Timestamp,
    /// All of these hold: an OCSF path (`src_endpoint.ip`, `file.hashes.value`; `[]` may be left out) or `source`,
    /// `product`, `format`, `tenant`, `uid`, `severity`, and the value. With several values at a path, one of them
    /// must be equal. Addresses and hashes are equal however they are spelled; other text as it is.
    pub equals: Vec<(String, String)>,
    /// And this holds.
    pub matching: Expression,
    /// At most this many events, no more than [`MAX_PAGE`].
    pub limit: usize,
    /// Where the page before this one ended ([`Page::next`](crate::Page::next)).
    pub cursor: Option<String>,
    /// Newest first, or oldest first.
    pub newest_first: bool,
}

impl Query {
    /// All events of a time range, newest first.
    #[must_use]
    pub fn between(from: Timestamp, to: Timestamp) -> Self {
        Self {
            from,
            to,
            equals: Vec::new(),
            matching: Expression::All,
            limit: 100,
            cursor: None,
            newest_first: true,
        }
    }

    /// The same, from the beginning.
    #[must_use]
    pub fn without_cursor(&self) -> Self {
        Self { cursor: None, ..self.clone() }
    }

    /// Narrows it to events with this value at this path.
    #[must_use]
    pub fn with(mut self, path: &str, value: &str) -> Self {
        self.equals.push((path.to_owned(), value.to_owned()));
        self
    }
}

/// The end of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub time_ns: i64,
    pub uid: EventUid,
}

impl Cursor {
    fn parse(text: &str) -> Result<Self, LakeError> {
        let parts =
            text.split_once(':').and_then(|(time, uid)| Some((time.parse().ok()?, uid.parse().ok()?)));
        let (time_ns, uid) = parts.ok_or_else(|| {
            LakeError::BadQuery(format!("`{}` is no cursor: pass on the one of the page before", short(text)))
        })?;
        Ok(Self { time_ns, uid })
    }

    /// The rows behind it in the order of the page.
    fn behind(self, newest_first: bool) -> Expr {
        let (time, uid) = (lit(self.time_ns), uid_literal(self.uid));
        let (time_ns, same_time) = (col(columns::TIME_NS), col(columns::TIME_NS).eq(time.clone()));
        // The first condition follows from the second; it is there to rule files out.
        if newest_first {
            let later = time_ns.clone().lt(time.clone()).or(same_time.and(col(columns::UID).lt(uid)));
            time_ns.lt_eq(time).and(later)
        } else {
            let later = time_ns.clone().gt(time.clone()).or(same_time.and(col(columns::UID).gt(uid)));
            time_ns.gt_eq(time).and(later)
        }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.time_ns, self.uid)
    }
}

/// A query's conditions as expressions.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// What holds for any row.
    common: Expr,
    /// The conditions on attributes: for regular rows and for irregular ones.
    attributes: Option<(Expr, Expr)>,
}

impl Filter {
    /// The conditions of a query, its cursor among them.
    pub(crate) fn of(query: &Query) -> Result<Self, LakeError> {
        let time = || col(columns::TIME_NS);
        let mut common = time().gt_eq(lit(query.from.nanos())).and(time().lt(lit(query.to.nanos())));
        if let Some(cursor) = &query.cursor {
            common = common.and(Cursor::parse(cursor)?.behind(query.newest_first));
        }
        let mut filter = Self { common, attributes: None };
        for (path, value) in &query.equals {
            match condition(path, value)? {
                Condition::Common(condition) => filter = filter.and(condition),
                Condition::Attribute { regular, irregular } => {
                    filter = filter.and_attributes(regular, irregular);
                }
            }
        }
        if let Some(both) = expression::compile(&query.matching)? {
            filter = if both.regular == both.irregular {
                filter.and(both.regular)
            } else {
                filter.and_attributes(both.regular, both.irregular)
            };
        }
        Ok(filter)
    }

    fn and_attributes(mut self, regular: Expr, irregular: Expr) -> Self {
        self.attributes = Some(match self.attributes {
            None => (regular, irregular),
            Some((a, b)) => (a.and(regular), b.and(irregular)),
        });
        self
    }

    /// The row with this id.
    pub(crate) fn uid(uid: EventUid) -> Self {
        Self { common: col(columns::UID).eq(uid_literal(uid)), attributes: None }
    }

    /// Narrows it by one more condition that holds for any row.
    pub(crate) fn and(mut self, condition: Expr) -> Self {
        self.common = self.common.and(condition);
        self
    }

    /// Expressions of which a row that is found fulfils exactly one.
    ///
    /// They are apart, instead of one joined by OR, so that bloom filters and statistics can rule each out alone.
    pub(crate) fn branches(&self) -> Vec<Expr> {
        let Some((regular, irregular)) = &self.attributes else { return vec![self.common.clone()] };
        let marked = col(columns::IRREGULAR);
        vec![
            self.common.clone().and(marked.clone().is_null()).and(regular.clone()),
            self.common.clone().and(marked.is_not_null()).and(irregular.clone()),
        ]
    }
}

/// The id as it stands in the `uid` column.
pub(crate) fn uid_literal(uid: EventUid) -> Expr {
    lit(ScalarValue::Binary(Some(uid.as_u128().to_be_bytes().to_vec())))
}

/// The values of a field as text, one for each row: the first of several.
pub(crate) fn field_values(path: &str) -> Result<Expr, LakeError> {
    let path = plain_path(path)?;
    if let Some(header) = header(&path) {
        return Ok(text(col(header.column())));
    }
    if let Some(attribute) = promoted_at(&path) {
        return Ok(text(col(attribute.column)));
    }
    Ok(ScalarUDF::from(JsonFirst::new(&path)).call(vec![col(columns::REST)]))
}

fn text(expression: Expr) -> Expr {
    datafusion::logical_expr::cast(expression, datafusion::arrow::datatypes::DataType::Utf8)
}

enum Condition {
    Common(Expr),
    Attribute { regular: Expr, irregular: Expr },
}

/// A field that every row has.
pub(crate) enum Header {
    Text(&'static str),
    Int(&'static str),
    Severity,
    Uid,
}

impl Header {
    fn column(&self) -> &'static str {
        match self {
            Self::Text(column) | Self::Int(column) => column,
            Self::Severity => columns::SEVERITY_ID,
            Self::Uid => columns::UID,
        }
    }
}

/// The field of every row at a path.
pub(crate) fn header(path: &str) -> Option<Header> {
    Some(match path {
        "source" | "metadata.log_provider" => Header::Text(columns::SOURCE),
        "product" | "metadata.product.uid" => Header::Text(columns::PRODUCT),
        "metadata.product.name" => Header::Text(columns::PRODUCT_NAME),
        "metadata.product.vendor_name" => Header::Text(columns::PRODUCT_VENDOR),
        "tenant" | "metadata.tenant_uid" => Header::Text(columns::TENANT),
        "format" => Header::Text(columns::FORMAT),
        "class_uid" => Header::Int(columns::CLASS_UID),
        "activity_id" => Header::Int(columns::ACTIVITY_ID),
        "severity_id" => Header::Int(columns::SEVERITY_ID),
        "severity" => Header::Severity,
        "uid" | "metadata.uid" => Header::Uid,
        _ => return None,
    })
}

/// Members of the OCSF object that are made of others when it is shown, and what to ask for instead.
const DERIVED: [(&str, &str); 12] = [
    ("class_name", "class_uid"),
    ("category_uid", "class_uid"),
    ("category_name", "class_uid"),
    ("activity_name", "activity_id"),
    ("type_uid", "class_uid and activity_id"),
    ("type_name", "class_uid and activity_id"),
    ("status", "status_id"),
    ("time", "the time range"),
    ("metadata.logged_time", "the time range"),
    ("metadata.version", "the time range"),
    ("raw_data", "a field"),
    ("unmapped", "a field"),
];

/// The path without `[]`, if it can be searched.
fn plain_path(path: &str) -> Result<String, LakeError> {
    let plain = path.trim().replace("[]", "");
    if plain.is_empty() {
        return Err(LakeError::BadQuery(
            "a field has no name: write an OCSF path such as `user.name`".into(),
        ));
    }
    match derived(&plain) {
        Some(instead) => Err(LakeError::BadQuery(format!("`{plain}` cannot be searched: use {instead}"))),
        None => Ok(plain),
    }
}

/// What to ask for instead of a path that is made of others.
pub(crate) fn derived(path: &str) -> Option<&'static str> {
    DERIVED.iter().find(|(name, _)| *name == path).map(|(_, instead)| *instead)
}

fn condition(path: &str, value: &str) -> Result<Condition, LakeError> {
    let path = plain_path(path)?;
    if let Some(header) = header(&path) {
        return header_condition(&path, &header, value).map(Condition::Common);
    }
    if let Some(attribute) = promoted_at(&path) {
        let column = col(attribute.column);
        let (regular, comparison) = match attribute.kind {
            Kind::Text => (column.eq(lit(value)), Comparison::text(value)),
            Kind::Int => {
                let number: i64 = number(&path, value)?;
                (column.eq(lit(number)), Comparison::Int(number))
            }
            Kind::Address { .. } => {
                let address = canonical_ip(value).unwrap_or_else(|| value.to_owned());
                (column.eq(lit(&address)), Comparison::Address(address))
            }
        };
        return Ok(Condition::Attribute { regular, irregular: json_has(&path, comparison) });
    }
    if path.ends_with("hashes.value") {
        let has = json_has(&path, Comparison::Hash(value.to_ascii_lowercase()));
        let hash = lit(value.to_ascii_lowercase());
        let regular = match value.len() {
            64 => col(columns::SHA256).eq(hash).and(has.clone()),
            40 => col(columns::SHA1).eq(hash).and(has.clone()),
            _ => has.clone(),
        };
        return Ok(Condition::Attribute { regular, irregular: has });
    }
    Ok(Condition::Common(json_has(&path, Comparison::text(value))))
}

fn header_condition(path: &str, header: &Header, value: &str) -> Result<Expr, LakeError> {
    Ok(match header {
        Header::Text(column) => col(*column).eq(lit(value)),
        Header::Int(column) => col(*column).eq(lit(number::<i64>(path, value)?)),
        Header::Severity => {
            let severity: Severity = value.parse().map_err(LakeError::BadQuery)?;
            col(columns::SEVERITY_ID).eq(lit(i64::from(severity.id())))
        }
        Header::Uid => {
            let uid: EventUid = value.parse().map_err(|error| LakeError::BadQuery(format!("{error}")))?;
            col(columns::UID).eq(uid_literal(uid))
        }
    })
}

fn number<N: std::str::FromStr>(path: &str, value: &str) -> Result<N, LakeError> {
    let wrong = || LakeError::BadQuery(format!("`{path}` is a whole number, `{}` is none", short(value)));
    value.trim().parse().map_err(|_| wrong())
}

fn json_has(path: &str, comparison: Comparison) -> Expr {
    ScalarUDF::from(JsonHas::new(path, comparison)).call(vec![col(columns::REST)])
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
