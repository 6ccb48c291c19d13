//! The taxonomy.

/// Which records a Sigma logsource means, and how its fields are called there.
#[derive(Debug, Default)]
pub struct Taxonomy {}

/// A taxonomy file is wrong.
#[derive(Debug, thiserror::Error)]
#[error("taxonomy file `{file}`: {reason}")]
pub struct TaxonomyError {
    file: String,
    reason: String,
}

impl Taxonomy {
    /// Reads taxonomy files: (name, text) each.
    ///
    /// # Errors
    /// When a file is no taxonomy.
    pub fn from_yaml<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, TaxonomyError> {
        for (file, text) in files {
            if text.is_empty() {
                return Err(TaxonomyError { file: file.to_owned(), reason: "it is empty".to_owned() });
            }
        }
        Ok(Self::default())
    }
}
