//! The columns of the event table: which there are, and which OCSF attributes live in one of their own.
//!
//! An attribute that is *promoted* stands in its column and not in `rest`. The columns are part of a format that is
//! read for ever: add at the end, never rename or reuse.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use wanglou_model::PathId;

/// Event time in nanoseconds: the truth, and the order of search results.
pub(crate) const TIME_NS: &str = "time_ns";
/// Event time in microseconds, as other engines expect it.
pub(crate) const TIME: &str = "time";
/// When the event reached us, in microseconds.
pub(crate) const ARRIVAL: &str = "arrival";
/// The event's id, 16 bytes, most significant first.
pub(crate) const UID: &str = "uid";
/// OCSF `class_uid`.
pub(crate) const CLASS_UID: &str = "class_uid";
/// OCSF `activity_id`.
pub(crate) const ACTIVITY_ID: &str = "activity_id";
/// OCSF `severity_id`.
pub(crate) const SEVERITY_ID: &str = "severity_id";
/// The configured source.
pub(crate) const SOURCE: &str = "source";
/// The product's id in `products.yaml`.
pub(crate) const PRODUCT: &str = "product";
/// OCSF `metadata.product.name`.
pub(crate) const PRODUCT_NAME: &str = "product_name";
/// OCSF `metadata.product.vendor_name`.
pub(crate) const PRODUCT_VENDOR: &str = "product_vendor";
/// The decoder that read the record.
pub(crate) const FORMAT: &str = "format";
/// SHA-256 among the event's hashes, lower case.
pub(crate) const SHA256: &str = "sha256";
/// SHA-1 among the event's hashes, lower case.
pub(crate) const SHA1: &str = "sha1";
/// Attributes that are not promoted, as a JSON object.
pub(crate) const REST: &str = "rest";
/// Set where the columns do not tell all: a promoted attribute has several values or collides with another name. Then
/// `rest` holds every attribute and searching looks there. Null everywhere else, so that statistics rule it out.
pub(crate) const IRREGULAR: &str = "irregular";
/// The record's bytes.
pub(crate) const RAW: &str = "raw";
/// The file the record came from.
pub(crate) const PLACE_FILE: &str = "place_file";
/// The record's number in that file.
pub(crate) const PLACE_RECORD: &str = "place_record";
/// Partition: the UTC day of arrival.
pub(crate) const ARRIVAL_DAY: &str = "arrival_day";
/// Partition: whose event it is.
pub(crate) const TENANT: &str = "tenant";

/// How the value of a promoted attribute is stored and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, compared as it is.
    Text,
    /// A whole number.
    Int,
    /// An address in canonical text; the named column holds its 16 bytes, IPv4 mapped into IPv6, for prefixes.
    Address { key: &'static str },
}

/// An attribute with a column of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promoted {
    pub column: &'static str,
    /// Its OCSF path.
    pub path: &'static str,
    pub kind: Kind,
    /// Whether people look for single values of it: then each row group carries a bloom filter.
    pub needle: bool,
}

const fn promoted(column: &'static str, path: &'static str, kind: Kind, needle: bool) -> Promoted {
    Promoted { column, path, kind, needle }
}

/// The promoted attributes.
pub(crate) const PROMOTED: [Promoted; 31] = [
    promoted("status_id", "status_id", Kind::Int, false),
    promoted("src_ip", "src_endpoint.ip", Kind::Address { key: "src_ip_key" }, true),
    promoted("dst_ip", "dst_endpoint.ip", Kind::Address { key: "dst_ip_key" }, true),
    promoted("src_port", "src_endpoint.port", Kind::Int, false),
    promoted("dst_port", "dst_endpoint.port", Kind::Int, false),
    promoted("src_host", "src_endpoint.hostname", Kind::Text, false),
    promoted("dst_host", "dst_endpoint.hostname", Kind::Text, false),
    promoted("host", "device.hostname", Kind::Text, true),
    promoted("host_ip", "device.ip", Kind::Address { key: "host_ip_key" }, false),
    promoted("user_name", "user.name", Kind::Text, true),
    promoted("user_domain", "user.domain", Kind::Text, false),
    promoted("actor_user_name", "actor.user.name", Kind::Text, true),
    promoted("actor_process_path", "actor.process.file.path", Kind::Text, false),
    promoted("process_name", "process.name", Kind::Text, false),
    promoted("process_path", "process.file.path", Kind::Text, false),
    promoted("process_pid", "process.pid", Kind::Int, false),
    promoted("cmd_line", "process.cmd_line", Kind::Text, false),
    promoted("file_name", "file.name", Kind::Text, false),
    promoted("file_path", "file.path", Kind::Text, false),
    promoted("query_hostname", "query.hostname", Kind::Text, true),
    promoted("url", "http_request.url.url_string", Kind::Text, false),
    promoted("url_hostname", "http_request.url.hostname", Kind::Text, true),
    promoted("url_path", "http_request.url.path", Kind::Text, false),
    promoted("url_query", "http_request.url.query_string", Kind::Text, false),
    promoted("http_method", "http_request.http_method", Kind::Text, false),
    promoted("user_agent", "http_request.user_agent", Kind::Text, false),
    promoted("http_status", "http_response.code", Kind::Int, false),
    promoted("action_id", "action_id", Kind::Int, false),
    promoted("action", "action", Kind::Text, false),
    promoted("disposition_id", "disposition_id", Kind::Int, false),
    promoted("message", "message", Kind::Text, false),
];

/// The columns of a Parquet file, in order.
pub(crate) static FILE_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let instant = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![
        Field::new(TIME_NS, DataType::Int64, true),
        Field::new(TIME, instant(), true),
        Field::new(ARRIVAL, instant(), true),
        Field::new(UID, DataType::Binary, true),
        Field::new(CLASS_UID, DataType::Int64, true),
        Field::new(ACTIVITY_ID, DataType::Int64, true),
        Field::new(SEVERITY_ID, DataType::Int64, true),
        Field::new(SOURCE, DataType::Utf8, true),
        Field::new(PRODUCT, DataType::Utf8, true),
        Field::new(PRODUCT_NAME, DataType::Utf8, true),
        Field::new(PRODUCT_VENDOR, DataType::Utf8, true),
        Field::new(FORMAT, DataType::Utf8, true),
    ];
    for attribute in &PROMOTED {
        match attribute.kind {
            Kind::Text => fields.push(Field::new(attribute.column, DataType::Utf8, true)),
            Kind::Int => fields.push(Field::new(attribute.column, DataType::Int64, true)),
            Kind::Address { key } => {
                fields.push(Field::new(attribute.column, DataType::Utf8, true));
                fields.push(Field::new(key, DataType::Binary, true));
            }
        }
    }
    fields.extend([
        Field::new(SHA256, DataType::Utf8, true),
        Field::new(SHA1, DataType::Utf8, true),
        Field::new(REST, DataType::Utf8, true),
        Field::new(IRREGULAR, DataType::Boolean, true),
        Field::new(RAW, DataType::Binary, true),
        Field::new(PLACE_FILE, DataType::Utf8, true),
        Field::new(PLACE_RECORD, DataType::Int64, true),
    ]);
    Arc::new(Schema::new(fields))
});

/// The partition columns, which stand in paths and not in files.
pub(crate) fn partition_fields() -> Vec<Field> {
    vec![Field::new(ARRIVAL_DAY, DataType::Date32, true), Field::new(TENANT, DataType::Utf8, true)]
}

/// The columns of the table: those of its files and the partitions.
pub(crate) static TABLE_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = FILE_SCHEMA.fields().iter().map(|field| field.as_ref().clone());
    Arc::new(Schema::new(fields.chain(partition_fields()).collect::<Vec<_>>()))
});

/// The columns with a bloom filter in each row group.
pub(crate) fn needle_columns() -> impl Iterator<Item = &'static str> {
    let promoted = PROMOTED.iter().filter(|attribute| attribute.needle).map(|attribute| attribute.column);
    promoted.chain([UID, SHA256, SHA1])
}

/// The promoted attribute at a path.
pub(crate) fn promoted_at(path: &str) -> Option<&'static Promoted> {
    PROMOTED.iter().find(|attribute| attribute.path == path)
}

/// What a path means to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathClass {
    /// It is promoted: its index in [`PROMOTED`].
    Promoted(usize),
    /// The value of a hash; it stands in `rest` and, for fast search, in a column.
    Hash,
    /// Its place in the JSON object is one that a promoted path passes through: `user` or `user[].name` beside
    /// `user.name`. What the object looks like then depends on the order of the attributes.
    Colliding,
    /// Any other; it stands in `rest`.
    Plain,
}

impl PathClass {
    /// The class of a path.
    pub(crate) fn of(path: PathId) -> Self {
        thread_local! {
            static KNOWN: RefCell<Vec<Option<PathClass>>> = const { RefCell::new(Vec::new()) };
        }
        KNOWN.with_borrow_mut(|known| {
            let index = path.index();
            if known.len() <= index {
                known.resize(PathId::count().max(index + 1), None);
            }
            let class = known.get(index).copied().flatten().unwrap_or_else(|| Self::of_name(path.name()));
            if let Some(slot) = known.get_mut(index) {
                *slot = Some(class);
            }
            class
        })
    }

    /// The class of a path that is not interned.
    pub(crate) fn of_name(path: &str) -> Self {
        if let Some(index) = PROMOTED.iter().position(|attribute| attribute.path == path) {
            return Self::Promoted(index);
        }
        if PROMOTED.iter().any(|attribute| collides(path, attribute.path)) {
            return Self::Colliding;
        }
        if path.ends_with("hashes[].value") { Self::Hash } else { Self::Plain }
    }
}

/// Whether `path`, which is not `promoted`, writes to a place in the object that `promoted` passes through.
fn collides(path: &str, promoted: &str) -> bool {
    let mut wanted = promoted.split('.');
    for segment in path.split('.') {
        let Some(other) = wanted.next() else { return true };
        let name = segment.strip_suffix("[]").unwrap_or(segment);
        if name != other {
            return false;
        }
        if name.len() != segment.len() {
            return true;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_one_name_and_every_path_one_column() {
        let names: std::collections::BTreeSet<_> =
            TABLE_SCHEMA.fields().iter().map(|field| field.name()).collect();
        assert_eq!(names.len(), TABLE_SCHEMA.fields().len());
        let paths: std::collections::BTreeSet<_> = PROMOTED.iter().map(|attribute| attribute.path).collect();
        assert_eq!(paths.len(), PROMOTED.len());
        for column in needle_columns() {
            assert!(FILE_SCHEMA.index_of(column).is_ok(), "{column}");
        }
    }

    #[test]
    fn only_names_on_the_way_of_a_promoted_path_collide() {
        for path in ["user", "user[].name", "user.name.first", "http_request.url", "action.x", "message[]"] {
            assert_eq!(PathClass::of_name(path), PathClass::Colliding, "{path}");
        }
        for path in ["user.uid", "user_agent", "http_request.url.port", "users[].name", "src_endpoint.x[].y"]
        {
            assert_eq!(PathClass::of_name(path), PathClass::Plain, "{path}");
        }
        assert_eq!(PathClass::of_name("process.file.hashes[].value"), PathClass::Hash);
        assert!(matches!(PathClass::of(PathId::reserve("user.name")), PathClass::Promoted(_)));
    }
}
