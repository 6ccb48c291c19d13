//! The content that is built into the binary: `content/rules`, `content/taxonomy`, `content/parsers` and
//! `content/products.yaml`.
//!
//! Packed by `build.rs`. The samples beside the rules stay out.

use std::sync::Arc;

use wanglou_detect::{RuleFile, Taxonomy, TaxonomyError};
use wanglou_ingest::{Catalog, CatalogError, Parsers};

/// (path below `content/`, text), sorted within each folder.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/content.rs"));

/// The products and how to recognise them, and the parsers of devices.
///
/// # Errors
/// When the packed table or a parser is wrong; the tests see to it that they never are.
pub(crate) fn catalog() -> Result<Arc<Catalog>, CatalogError> {
    Ok(Arc::new(products()?.with_parsers(Parsers::compile(below("parsers/"))?)))
}

/// The products without the parsers of devices.
///
/// # Errors
/// When the packed table is wrong.
pub(crate) fn products() -> Result<Catalog, CatalogError> {
    Catalog::from_yaml(below("products.yaml").next().map_or("", |(_, text)| text))
}

/// How Sigma's logsources and fields are called in our records.
///
/// # Errors
/// When the packed tables are wrong; the tests see to it that they never are.
pub(crate) fn taxonomy() -> Result<Taxonomy, TaxonomyError> {
    Taxonomy::from_yaml(below("taxonomy/"))
}

/// The built-in Sigma rules.
pub(crate) fn rules() -> Vec<RuleFile> {
    below("rules/").map(|(path, text)| RuleFile { path: path.to_owned(), text: text.to_owned() }).collect()
}

fn below(prefix: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().copied().filter(move |(path, _)| path.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stay_out() {
        assert!(FILES.iter().all(|(path, _)| !path.contains(".match.") && !path.contains(".nomatch.")));
    }

    #[test]
    fn everything_packed_is_sound() {
        catalog().unwrap();
        let compilation = wanglou_detect::compile(&rules(), &taxonomy().unwrap());
        let problems: Vec<String> = compilation.diagnostics.iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{}", problems.join("\n\n"));
        assert!(compilation.loaded >= 60, "only {} rules", compilation.loaded);
    }
}
