//! A record as bytes and back, for the short stay in a temporary file of this process. Not a format: nothing else
//! ever reads it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use wanglou_model::{Format, PathId, Product, Record, UNKNOWN_PRODUCT, Value};

/// The products met, by number.
#[derive(Debug, Default)]
pub(super) struct Products(Vec<Arc<Product>>);

impl Products {
    fn number(&mut self, product: &Arc<Product>) -> usize {
        if let Some(found) = self.0.iter().position(|known| known == product) {
            return found;
        }
        self.0.push(Arc::clone(product));
        self.0.len() - 1
    }
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const UINT: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;

/// The record as bytes.
pub(super) fn encode(record: &Record, products: &mut Products) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(record.raw.len() * 3);
    let format = Format::ALL.iter().position(|format| *format == record.format).unwrap_or_default();
    put_number(&mut bytes, format as u64);
    put_number(&mut bytes, products.number(&record.product) as u64);
    put_bytes(&mut bytes, &record.raw);
    for (name, value) in record.fields.iter_named() {
        put_bytes(&mut bytes, name.as_bytes());
        match value {
            Value::Null => bytes.push(NULL),
            Value::Bool(false) => bytes.push(FALSE),
            Value::Bool(true) => bytes.push(TRUE),
            Value::Int(number) => {
                bytes.push(INT);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            Value::UInt(number) => {
                bytes.push(UINT);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            Value::Float(number) => {
                bytes.push(FLOAT);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            Value::Str(text) => {
                bytes.push(TEXT);
                put_bytes(&mut bytes, text.as_bytes());
            }
        }
    }
    bytes
}

/// The record that [`encode`] wrote.
///
/// # Errors
/// When the bytes are not what was written: the temporary file was damaged.
pub(super) fn decode(bytes: &[u8], products: &Products) -> io::Result<Record> {
    let mut rest = bytes;
    let format = take_number(&mut rest)?;
    let format = Format::ALL.get(format).copied().ok_or_else(damaged)?;
    let product = take_number(&mut rest)?;
    let mut record = Record::new(format, Bytes::new());
    record.product = products.0.get(product).map_or_else(|| Arc::clone(&UNKNOWN_PRODUCT), Arc::clone);
    record.raw = Bytes::copy_from_slice(take_bytes(&mut rest)?);
    while !rest.is_empty() {
        let name = take_text(&mut rest)?;
        let value = match take(&mut rest, 1)? {
            [NULL] => Value::Null,
            [FALSE] => Value::Bool(false),
            [TRUE] => Value::Bool(true),
            [INT] => Value::Int(i64::from_le_bytes(take_eight(&mut rest)?)),
            [UINT] => Value::UInt(u64::from_le_bytes(take_eight(&mut rest)?)),
            [FLOAT] => Value::Float(f64::from_le_bytes(take_eight(&mut rest)?)),
            [TEXT] => Value::Str(take_text(&mut rest)?),
            _ => return Err(damaged()),
        };
        match PathId::intern(name) {
            Some(path) => record.fields.push(path, value),
            None => record.fields.push_named(None, name, value),
        }
    }
    Ok(record)
}

fn put_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_bytes(bytes: &mut Vec<u8>, part: &[u8]) {
    put_number(bytes, part.len() as u64);
    bytes.extend_from_slice(part);
}

fn take<'b>(rest: &mut &'b [u8], len: usize) -> io::Result<&'b [u8]> {
    let (part, after) = rest.split_at_checked(len).ok_or_else(damaged)?;
    *rest = after;
    Ok(part)
}

fn take_eight(rest: &mut &[u8]) -> io::Result<[u8; 8]> {
    take(rest, 8)?.try_into().map_err(io::Error::other)
}

fn take_number(rest: &mut &[u8]) -> io::Result<usize> {
    usize::try_from(u64::from_le_bytes(take_eight(rest)?)).map_err(io::Error::other)
}

fn take_bytes<'b>(rest: &mut &'b [u8]) -> io::Result<&'b [u8]> {
    let len = take_number(rest)?;
    take(rest, len)
}

fn take_text<'b>(rest: &mut &'b [u8]) -> io::Result<&'b str> {
    std::str::from_utf8(take_bytes(rest)?).map_err(io::Error::other)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the temporary file was damaged by somebody else")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_went() {
        let mut record = Record::new(Format::Zeek, Bytes::from_static(b"raw \xff bytes"));
        record.product = Arc::new(Product { id: "zeek".into(), vendor: "Zeek".into(), name: "Zeek".into() });
        let values: [Value<'_>; 7] = [
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Int(-7),
            Value::UInt(u64::MAX),
            Value::Float(0.25),
            Value::Str("文本"),
        ];
        for value in values {
            record.fields.push(PathId::reserve("codec.field"), value);
        }
        let unknown = format!("codec.{}", "x".repeat(600));
        record.fields.push_named(None, &unknown, "no room in the table");

        let mut products = Products::default();
        let bytes = encode(&record, &mut products);
        let back = decode(&bytes, &products).unwrap();

        assert_eq!((back.format, &back.product, &back.raw), (record.format, &record.product, &record.raw));
        let fields = |record: &Record| -> Vec<(String, String)> {
            record.fields.iter_named().map(|(name, value)| (name.to_owned(), format!("{value:?}"))).collect()
        };
        assert_eq!(fields(&back), fields(&record));
        for cut in 1..bytes.len() {
            let _ = decode(&bytes[..cut], &products);
        }
    }
}
