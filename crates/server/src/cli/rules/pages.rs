//! What each diagnostic code means: the pages of `docs/rule-diagnostics.md`.

use crate::cli::UsageError;

/// Every code under a heading of its own. A test compares it with the table of codes and runs the examples.
const PAGES: &str = include_str!("../../../../../docs/rule-diagnostics.md");

/// The page of a code.
pub(super) fn page(code: &str) -> Result<&'static str, UsageError> {
    let wanted = code.trim().to_ascii_uppercase();
    let is_wanted = |page: &&str| page.split_whitespace().next() == Some(wanted.as_str());
    let found = PAGES.split("\n## ").skip(1).find(is_wanted).map(str::trim_end);
    found.ok_or_else(|| {
        UsageError(format!("there is no diagnostic `{code}`; codes look like E015, L002 or W004"))
    })
}

#[cfg(test)]
mod tests {
    use wanglou_detect::{RuleFile, codes, compile, lint};

    use super::*;
    use crate::content;

    #[test]
    fn every_code_has_a_page_with_its_remedy_and_no_page_is_left_over() {
        let ids: Vec<&str> = codes().map(|(id, _)| id).collect();
        for (id, remedy) in codes() {
            let text = page(id).unwrap_or_else(|error| panic!("{id}: {error}"));
            assert!(text.contains(remedy), "{id}: the page lacks the remedy `{remedy}`");
        }
        let paged: Vec<&str> =
            PAGES.split("\n## ").skip(1).filter_map(|page| page.split_whitespace().next()).collect();
        assert_eq!(paged, ids);
    }

    /// The first YAML block of a page shows the mistake; the second, if there is one, shows it mended.
    #[test]
    fn examples_raise_their_code_and_mended_ones_do_not() {
        let taxonomy = content::taxonomy().unwrap();
        for (id, _) in codes() {
            let blocks =
                page(id).unwrap().split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
            for (number, block) in blocks.enumerate() {
                let files: Vec<RuleFile> = [("example.yml", block)]
                    .map(|(path, text)| RuleFile { path: path.to_owned(), text: text.to_owned() })
                    .into();
                let mut said: Vec<&str> =
                    compile(&files, &taxonomy).diagnostics.into_iter().map(|found| found.code).collect();
                said.extend(lint::lint(&files).into_iter().map(|found| found.code));
                assert_eq!(said.contains(&id), number == 0, "{id}, example {}: {said:?}", number + 1);
            }
        }
    }
}
