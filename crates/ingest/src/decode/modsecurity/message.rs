//! What a rule said of a transaction.

use wanglou_model::FieldMap;

/// Tags kept of one message.
const MAX_TAGS: usize = 64;

/// One message: `Warning. Pattern match "..." at ARGS:id. [file "..."] [line "37"] [id "942100"] [msg "..."] ...`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RuleMessage<'a> {
    /// What was done and what matched: the text before the bracketed list.
    pub(super) action: &'a str,
    pub(super) message: String,
    pub(super) rule_id: String,
    pub(super) data: String,
    pub(super) severity: String,
    pub(super) file: String,
    pub(super) line: String,
    pub(super) tags: Vec<String>,
}

impl<'a> RuleMessage<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let list = ["[file \"", "[id \"", "[msg \""].iter().filter_map(|start| text.find(start)).min();
        let (action, mut rest) = text.split_at_checked(list.unwrap_or(text.len())).unwrap_or((text, ""));
        let mut message = Self { action: action.trim(), ..Self::default() };
        while let Some((name, value)) = rest.strip_prefix('[').and_then(|item| item.split_once(" \"")) {
            let (value, after) = take_quoted(value);
            match name {
                "msg" => message.message = value,
                "id" => message.rule_id = value,
                "data" => message.data = value,
                "severity" => message.severity = value,
                "file" => message.file = value,
                "line" => message.line = value,
                "tag" if message.tags.len() < MAX_TAGS => message.tags.push(value),
                _ => {}
            }
            rest = after.trim_start();
        }
        message
    }

    /// Whether the rule stopped the transaction.
    pub(super) fn denies(&self) -> bool {
        self.action.starts_with("Access denied")
    }

    /// Writes the message; where it has no text of its own, what matched stands for it.
    pub(super) fn write(&self, fields: &mut FieldMap) {
        let message = if self.message.is_empty() { self.action } else { self.message.as_str() };
        for (name, value) in [
            ("messages.message", message),
            ("messages.details.ruleId", self.rule_id.as_str()),
            ("messages.details.match", self.action),
            ("messages.details.data", self.data.as_str()),
            ("messages.details.severity", self.severity.as_str()),
            ("messages.details.file", self.file.as_str()),
            ("messages.details.lineNumber", self.line.as_str()),
        ] {
            if !value.is_empty() {
                fields.push_named(None, name, value);
            }
        }
        for tag in &self.tags {
            fields.push_named(None, "messages.details.tags", tag.as_str());
        }
    }
}

/// The value up to its closing `"]`, with `\"`, `\\` and `\xHH` resolved, and the text after it.
fn take_quoted(text: &str) -> (String, &str) {
    let mut bytes = Vec::new();
    let mut rest = text;
    loop {
        let Some(at) = rest.find(['"', '\\']) else {
            bytes.extend_from_slice(rest.as_bytes());
            rest = "";
            break;
        };
        let (plain, marked) = rest.split_at_checked(at).unwrap_or((rest, ""));
        bytes.extend_from_slice(plain.as_bytes());
        if let Some(after) = marked.strip_prefix("\"]") {
            rest = after;
            break;
        }
        let hex = || {
            let byte = u8::from_str_radix(marked.strip_prefix("\\x")?.get(..2)?, 16).ok()?;
            Some((byte, 4))
        };
        let (byte, used) = match marked.as_bytes() {
            [b'\\', escaped @ (b'"' | b'\\'), ..] => (*escaped, 2),
            [first, ..] => hex().unwrap_or((*first, 1)),
            [] => break,
        };
        bytes.push(byte);
        rest = marked.get(used..).unwrap_or_default();
    }
    (String::from_utf8_lossy(&bytes).into_owned(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_quotes_inside_values_are_no_ends() {
        let text =
            r#"Warning. Match "[x]" at A. [file "/r"] [id "1"] [msg "a [b] \"c\" \x41"] [tag "t"] [tag "u"]"#;
        let message = RuleMessage::parse(text);
        assert_eq!(message.action, r#"Warning. Match "[x]" at A."#);
        assert_eq!(message.message, r#"a [b] "c" A"#);
        assert_eq!((message.rule_id.as_str(), message.tags.len()), ("1", 2));
        assert_eq!(RuleMessage::parse("just text").action, "just text");
        assert_eq!(RuleMessage::parse(r#"x [msg "unclosed"#).message, "unclosed");
    }
}
