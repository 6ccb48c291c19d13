//! The content that is built into the binary: `content/rules`, `content/taxonomy` and `content/products.yaml`.
//!
//! Packed by `build.rs`. The samples beside the rules stay out.

/// (path below `content/`, text), sorted within each folder.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/content.rs"));

/// The products and how to recognise them.
pub(crate) fn products() -> &'static str {
    below("products.yaml").next().map_or("", |(_, text)| text)
}

/// The logsource taxonomies: (file, text).
pub(crate) fn taxonomies() -> impl Iterator<Item = (&'static str, &'static str)> {
    below("taxonomy/")
}

/// The built-in Sigma rules: (file, text).
pub(crate) fn rules() -> impl Iterator<Item = (&'static str, &'static str)> {
    below("rules/")
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
        assert!(rules().all(|(path, _)| path.ends_with(".yml") || path.ends_with(".yaml")));
    }
}
