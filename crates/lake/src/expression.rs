//! A search [`Expression`] as DataFusion expressions.
//!
//! Every condition has two forms, for regular and for irregular rows (see [`crate::rows`]). A test without case and
//! wildcards is an equality of a column, so that bloom filters and statistics rule files out; anything else is one of
//! our own functions, so that the columns, `rest` and the raw text are compared by the same words.

use datafusion::logical_expr::{Expr, ScalarUDF, cast, col, lit};
use datafusion::scalar::ScalarValue;
use wanglou_model::search::{Bound, Condition, Expression, Pattern, QueryError, Test};
use wanglou_model::{EventUid, Severity, canonical_ip};

use crate::columns::{self, Kind, Promoted, promoted_at};
use crate::json::{Comparison, JsonHas};
use crate::matching::{StandsIn, TextMatches};
use crate::query::{Header, derived, header, uid_literal};
use crate::rows::address_key;

/// The two forms of a condition. Neither is ever null.
#[derive(Clone, Debug)]
pub(crate) struct Both {
    pub regular: Expr,
    pub irregular: Expr,
}

impl Both {
    fn same(condition: Expr) -> Self {
        Self { regular: condition.clone(), irregular: condition }
    }

    fn join(self, other: Self, join: fn(Expr, Expr) -> Expr) -> Self {
        Self { regular: join(self.regular, other.regular), irregular: join(self.irregular, other.irregular) }
    }
}

/// The forms of an expression; `None` where it holds for every row.
pub(crate) fn compile(expression: &Expression) -> Result<Option<Both>, QueryError> {
    Ok(match expression {
        Expression::All => None,
        Expression::Not(inner) => Some(match compile(inner)? {
            None => Both::same(lit(false)),
            Some(Both { regular, irregular }) => {
                Both { regular: regular.is_not_true(), irregular: irregular.is_not_true() }
            }
        }),
        Expression::And(parts) => {
            let mut all: Option<Both> = None;
            for part in parts {
                all = match (all, compile(part)?) {
                    (Some(a), Some(b)) => Some(a.join(b, Expr::and)),
                    (a, b) => a.or(b),
                };
            }
            all
        }
        Expression::Or(parts) => {
            let mut any: Option<Both> = None;
            for part in parts {
                let Some(part) = compile(part)? else { return Ok(None) };
                any = Some(match any {
                    Some(any) => any.join(part, Expr::or),
                    None => part,
                });
            }
            any
        }
        Expression::Text(pattern) => {
            Some(Both::same(ScalarUDF::from(StandsIn::new(pattern.clone())).call(vec![col(columns::RAW)])))
        }
        Expression::Field(condition) => Some(compile_condition(condition)?),
    })
}

fn compile_condition(condition: &Condition) -> Result<Both, QueryError> {
    if let (true, Test::Is(pattern)) = (is_hash(condition), &condition.test)
        && let Some(hash) = pattern.as_literal()
    {
        return Ok(hash_is(condition, hash));
    }
    let mut any: Option<Both> = None;
    for path in condition.field.paths() {
        let one = Leaf { condition, path }.compile()?;
        any = Some(match any {
            Some(any) => any.join(one, Expr::or),
            None => one,
        });
    }
    any.ok_or_else(|| wrong(condition, "this field means nothing", "该字段没有含义"))
}

fn is_hash(condition: &Condition) -> bool {
    condition.field.paths().iter().all(|path| path.ends_with("hashes.value"))
}

/// The columns of hashes rule rows out whichever object the hash is of; `rest` tells which it is.
fn hash_is(condition: &Condition, hash: &str) -> Both {
    let hash = hash.to_ascii_lowercase();
    let paths = condition.field.paths().iter();
    let has = paths.map(|path| json_has(path, Comparison::Hash(hash.clone()))).reduce(Expr::or);
    let has = has.unwrap_or_else(|| lit(false));
    let regular = match hash.len() {
        64 => col(columns::SHA256).eq(lit(hash)).and(has.clone()),
        40 => col(columns::SHA1).eq(lit(hash)).and(has.clone()),
        _ => has.clone(),
    };
    Both { regular, irregular: has }
}

fn wrong(condition: &Condition, message: impl Into<String>, message_zh: impl Into<String>) -> QueryError {
    QueryError::new(condition.span.clone(), message, message_zh)
}

/// One path of a condition.
struct Leaf<'c> {
    condition: &'c Condition,
    path: &'c str,
}

impl Leaf<'_> {
    fn compile(&self) -> Result<Both, QueryError> {
        if let Some(instead) = derived(self.path) {
            let path = self.path;
            return Err(self.wrong(
                format!("`{path}` cannot be searched: use {instead}"),
                format!("字段“{path}”不能检索，请改用 {instead}"),
            ));
        }
        if let Some(header) = header(self.path) {
            return self.header(&header).map(Both::same);
        }
        if let Some(attribute) = promoted_at(self.path) {
            return self.promoted(attribute);
        }
        let comparison = match &self.condition.test {
            Test::Exists => Comparison::Exists,
            Test::Is(pattern) => match self.network(pattern)? {
                Some((low, high)) => Comparison::Network { low, high },
                None => Comparison::Matches(pattern.clone()),
            },
            Test::Between(low, high) => self.numbers(low, high)?,
        };
        Ok(Both::same(json_has(self.path, comparison)))
    }

    fn wrong(&self, message: impl Into<String>, message_zh: impl Into<String>) -> QueryError {
        wrong(self.condition, message, message_zh)
    }

    fn header(&self, header: &Header) -> Result<Expr, QueryError> {
        match (header, &self.condition.test) {
            (Header::Severity, test) => self.severity(test),
            (Header::Int(column), test) => self.int_column(column, test),
            (Header::Text(column), Test::Is(pattern)) => Ok(text_is(column, pattern)),
            (Header::Text(column), Test::Exists) => Ok(col(*column).is_not_null()),
            (Header::Uid, Test::Is(pattern)) => {
                let uid: Option<EventUid> = pattern.as_literal().and_then(|text| text.parse().ok());
                uid.map(|uid| col(columns::UID).eq(uid_literal(uid))).ok_or_else(|| {
                    self.wrong("an event's id is 32 hexadecimal digits", "日志编号为 32 位十六进制数字")
                })
            }
            (Header::Uid, Test::Exists) => Ok(lit(true)),
            (Header::Uid | Header::Text(_), Test::Between(..)) => Err(self.no_range()),
        }
    }

    fn no_range(&self) -> QueryError {
        let name = self.condition.field.name();
        self.wrong(
            format!("`{name}` is text and has no order: use a value with `*`; ranges are for numbers, addresses and severity"),
            format!("字段“{name}”为文本，不支持范围，请用带 * 的值；范围用于数字、地址和级别"),
        )
    }

    fn severity(&self, test: &Test) -> Result<Expr, QueryError> {
        let id = |text: &str| {
            let chinese = ["信息", "低", "中", "高", "严重"].iter().position(|name| *name == text);
            let known = chinese.and_then(|position| Severity::ALL.get(position).copied());
            let by_number = Severity::ALL.into_iter().find(|severity| severity.id().to_string() == text);
            let severity = known.or(by_number).or_else(|| text.parse().ok());
            severity.map(|severity| i64::from(severity.id())).ok_or_else(|| {
                self.wrong(
                    format!("`{text}` is no severity: use informational, low, medium, high or critical"),
                    format!("“{text}”不是级别，可用：信息、低、中、高、严重"),
                )
            })
        };
        match test {
            Test::Exists => Ok(lit(true)),
            Test::Is(pattern) => Ok(col(columns::SEVERITY_ID).eq(lit(id(&text_of(pattern))?))),
            Test::Between(low, high) => {
                between(col(columns::SEVERITY_ID), low, high, |text| id(text).map(lit))
            }
        }
    }

    fn int_column(&self, column: &str, test: &Test) -> Result<Expr, QueryError> {
        match test {
            Test::Exists => Ok(col(column).is_not_null()),
            Test::Is(pattern) if pattern.as_literal().is_none() => {
                let text = cast(col(column), datafusion::arrow::datatypes::DataType::Utf8);
                Ok(matches(text, pattern))
            }
            Test::Is(pattern) => Ok(col(column).eq(lit(self.int(&text_of(pattern))?))),
            Test::Between(low, high) => between(col(column), low, high, |text| self.int(text).map(lit)),
        }
    }

    fn int(&self, text: &str) -> Result<i64, QueryError> {
        let name = self.condition.field.name();
        text.trim().parse().map_err(|_| {
            self.wrong(
                format!("`{name}` is a whole number, `{text}` is none"),
                format!("字段“{name}”须为整数，“{text}”不是"),
            )
        })
    }

    fn promoted(&self, attribute: &Promoted) -> Result<Both, QueryError> {
        let column = || col(attribute.column);
        let test = &self.condition.test;
        let (regular, comparison) = match (attribute.kind, test) {
            // A text where a number belongs stands in `rest` alone.
            (Kind::Int, Test::Exists) => {
                let elsewhere = json_has(self.path, Comparison::Exists);
                (column().is_not_null().or(elsewhere), Comparison::Exists)
            }
            (_, Test::Exists) => (column().is_not_null(), Comparison::Exists),
            (Kind::Text, Test::Is(pattern)) => {
                (text_is(attribute.column, pattern), Comparison::Matches(pattern.clone()))
            }
            (Kind::Text, Test::Between(..)) => return Err(self.no_range()),
            (Kind::Int, test) => {
                let comparison = match test {
                    Test::Is(pattern) if pattern.as_literal().is_none() => {
                        Comparison::Integer(Box::new(Comparison::Matches(pattern.clone())))
                    }
                    Test::Is(pattern) => Comparison::Int(self.int(&text_of(pattern))?),
                    Test::Between(low, high) => Comparison::Integer(Box::new(self.numbers(low, high)?)),
                    Test::Exists => Comparison::Exists,
                };
                (self.int_column(attribute.column, test)?, comparison)
            }
            (Kind::Address { key }, Test::Is(pattern)) => self.address(attribute.column, key, pattern)?,
            (Kind::Address { key }, Test::Between(low, high)) => {
                let (low, high) = self.address_range(low, high)?;
                (key_between(key, low, high), Comparison::Network { low, high })
            }
        };
        Ok(Both { regular, irregular: json_has(self.path, comparison) })
    }

    fn address(&self, column: &str, key: &str, pattern: &Pattern) -> Result<(Expr, Comparison), QueryError> {
        if let Some((low, high)) = self.network(pattern)? {
            return Ok((key_between(key, low, high), Comparison::Network { low, high }));
        }
        if let Some(address) = pattern.as_literal().and_then(canonical_ip) {
            return Ok((col(column).eq(lit(&address)), Comparison::Address(address)));
        }
        if let Some(text) = pattern.as_literal().filter(|text| text.contains('/')) {
            return Err(self.wrong(
                format!("`{text}` is no network: write an address and a prefix length, such as 10.0.0.0/8"),
                format!("“{text}”不是网段，写法如 10.0.0.0/8"),
            ));
        }
        Ok((text_is(column, pattern), Comparison::Matches(pattern.clone())))
    }

    /// First and last address of a network, when the pattern is one.
    fn network(&self, pattern: &Pattern) -> Result<Option<(u128, u128)>, QueryError> {
        let Some((address, length)) = pattern.as_literal().and_then(|text| text.split_once('/')) else {
            return Ok(None);
        };
        let (Ok(address), Ok(length)) = (address.parse::<std::net::IpAddr>(), length.parse::<u32>()) else {
            return Ok(None);
        };
        let (key, most) = match address {
            std::net::IpAddr::V4(v4) => (u128::from(v4.to_ipv6_mapped()), 32),
            std::net::IpAddr::V6(v6) => (u128::from(v6), 128),
        };
        if length > most {
            return Err(self.wrong(
                format!("a prefix of `{address}` has at most {most} bits"),
                format!("地址 {address} 的前缀最长 {most} 位"),
            ));
        }
        let hosts = u128::MAX.checked_shr(128 - (most - length)).unwrap_or(0);
        Ok(Some((key & !hosts, key | hosts)))
    }

    fn address_range(&self, low: &Bound, high: &Bound) -> Result<(u128, u128), QueryError> {
        let key = |text: &str| {
            let key = canonical_ip(text).and_then(|address| address_key(&address));
            key.map(u128::from_be_bytes)
                .ok_or_else(|| self.wrong(format!("`{text}` is no address"), format!("“{text}”不是 IP 地址")))
        };
        let low = match low {
            Bound::Open => 0,
            Bound::Including(text) => key(text)?,
            Bound::Excluding(text) => key(text)?.saturating_add(1),
        };
        let high = match high {
            Bound::Open => u128::MAX,
            Bound::Including(text) => key(text)?,
            Bound::Excluding(text) => key(text)?.saturating_sub(1),
        };
        Ok((low, high))
    }

    fn numbers(&self, low: &Bound, high: &Bound) -> Result<Comparison, QueryError> {
        let end = |bound: &Bound| {
            Ok(match bound {
                Bound::Open => None,
                Bound::Including(text) => Some((self.float(text)?.to_bits(), true)),
                Bound::Excluding(text) => Some((self.float(text)?.to_bits(), false)),
            })
        };
        Ok(Comparison::Between { low: end(low)?, high: end(high)? })
    }

    fn float(&self, text: &str) -> Result<f64, QueryError> {
        text.trim().parse().map_err(|_| {
            self.wrong(
                format!("`{text}` is no number: ranges are for numbers, addresses and severity"),
                format!("“{text}”不是数字；范围用于数字、地址和级别"),
            )
        })
    }
}

fn text_of(pattern: &Pattern) -> String {
    pattern.as_literal().map_or_else(|| pattern.to_string(), str::to_owned)
}

/// An equality where case plays no part, for that is what bloom filters answer.
fn text_is(column: &str, pattern: &Pattern) -> Expr {
    match pattern.as_literal() {
        Some(text) if !text.bytes().any(|byte| byte.is_ascii_alphabetic()) => col(column).eq(lit(text)),
        _ => matches(col(column), pattern),
    }
}

fn matches(text: Expr, pattern: &Pattern) -> Expr {
    ScalarUDF::from(TextMatches::new(pattern.clone())).call(vec![text])
}

fn key_between(key: &str, low: u128, high: u128) -> Expr {
    let bytes = |key: u128| lit(ScalarValue::Binary(Some(key.to_be_bytes().to_vec())));
    col(key).gt_eq(bytes(low)).and(col(key).lt_eq(bytes(high)))
}

fn between(
    value: Expr,
    low: &Bound,
    high: &Bound,
    literal: impl Fn(&str) -> Result<Expr, QueryError>,
) -> Result<Expr, QueryError> {
    let low = match low {
        Bound::Open => value.clone().is_not_null(),
        Bound::Including(text) => value.clone().gt_eq(literal(text)?),
        Bound::Excluding(text) => value.clone().gt(literal(text)?),
    };
    let high = match high {
        Bound::Open => return Ok(low),
        Bound::Including(text) => value.lt_eq(literal(text)?),
        Bound::Excluding(text) => value.lt(literal(text)?),
    };
    Ok(low.and(high))
}

fn json_has(path: &str, comparison: Comparison) -> Expr {
    ScalarUDF::from(JsonHas::new(path, comparison)).call(vec![col(columns::REST)])
}
