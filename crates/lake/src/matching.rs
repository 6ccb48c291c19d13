//! Functions over text columns and the raw bytes, by the words of [`wanglou_model::search`].

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use wanglou_model::search::Pattern;

/// `text_matches(column)`: whether the whole value looks like the pattern. Never null.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TextMatches {
    pattern: Pattern,
    signature: Signature,
}

impl TextMatches {
    pub(crate) fn new(pattern: Pattern) -> Self {
        Self { pattern, signature: Signature::exact(vec![DataType::Utf8], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for TextMatches {
    fn name(&self) -> &'static str {
        "text_matches"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let column = only_argument(&args)?;
        let texts = column.as_string_opt::<i32>().ok_or_else(not_text)?;
        let found: BooleanArray =
            texts.iter().map(|text| Some(text.is_some_and(|text| self.pattern.matches(text)))).collect();
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

/// `stands_in(raw)`: whether the bytes have the word or phrase. Never null.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct StandsIn {
    pattern: Pattern,
    signature: Signature,
}

impl StandsIn {
    pub(crate) fn new(pattern: Pattern) -> Self {
        Self { pattern, signature: Signature::exact(vec![DataType::Binary], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for StandsIn {
    fn name(&self) -> &'static str {
        "stands_in"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let column = only_argument(&args)?;
        let raw = column.as_binary_opt::<i32>().ok_or_else(not_text)?;
        // The longest literal is looked for first, at the speed of memory; the rest only where it is.
        let longest = self.pattern.literals().max_by_key(|literal| literal.len());
        let finder = longest.map(|literal| {
            let finder = AhoCorasick::builder().ascii_case_insensitive(true).build([literal]);
            finder.map_err(|error| DataFusionError::External(Box::new(error)))
        });
        let finder = finder.transpose()?;
        let stands = |bytes: &[u8]| {
            finder.as_ref().is_none_or(|finder| finder.is_match(bytes)) && self.pattern.stands_in(bytes)
        };
        let found: BooleanArray = raw.iter().map(|bytes| Some(bytes.is_some_and(stands))).collect();
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

fn only_argument(args: &ScalarFunctionArgs) -> Result<datafusion::arrow::array::ArrayRef> {
    match args.args.first() {
        Some(column) => column.to_array(args.number_rows),
        None => Err(not_text()),
    }
}

fn not_text() -> DataFusionError {
    DataFusionError::Execution("the function needs one column of text or bytes".into())
}
