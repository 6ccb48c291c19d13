//! YAML with positions: a tree whose every node knows where it stands, so that diagnostics can point at it.
//!
//! One idea: the documents of a file are cut apart first and parsed one by one, so that a syntax error in one rule
//! leaves the rules before and after it whole. Depth, nodes and the expansion of aliases are bounded.

use rustc_hash::FxHashMap;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::diagnostic::{self, Code};

/// No rule nests deeper; what does is an attack on the stack of whoever walks the tree.
const MAX_DEPTH: usize = 64;
/// Nodes of one document, aliases expanded. The largest public rule has some 2,000.
const MAX_NODES: usize = 200_000;

/// Where a node stands in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// 1-based line; 0 for the file as a whole.
    pub(crate) line: u32,
    /// 1-based column in characters.
    pub(crate) column: u32,
    /// How many characters on that line.
    pub(crate) len: u32,
}

/// A node and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) value: Yaml,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Yaml {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A map's key and its place.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) mark: Mark,
}

/// A scalar as written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: ScalarStyle,
}

/// A scalar as YAML's core schema reads it; hexadecimal and octal numbers stay text, as rule writers mean them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resolved<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

impl Scalar {
    pub(crate) fn resolve(&self) -> Resolved<'_> {
        if self.style != ScalarStyle::Plain {
            return Resolved::Text(&self.text);
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
            "true" | "True" | "TRUE" => return Resolved::Bool(true),
            "false" | "False" | "FALSE" => return Resolved::Bool(false),
            _ => {}
        }
        let text = self.text.as_str();
        let digits = text.strip_prefix('-').unwrap_or(text);
        let starts_numeric = digits.bytes().next().is_some_and(|b| b.is_ascii_digit());
        let numeric =
            digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
        // A leading zero is part of a code such as 0042, not of a number.
        let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        if starts_numeric && numeric && !padded {
            if let Ok(number) = text.parse() {
                return Resolved::Int(number);
            }
            if let Ok(number) = text.parse::<f64>()
                && number.is_finite()
                && text.contains('.')
            {
                return Resolved::Float(number);
            }
        }
        Resolved::Text(text)
    }
}

impl Node {
    pub(crate) fn as_map(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            Yaml::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value under a key, when this is a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|(k, _)| k.text == key).map(|(_, node)| node)
    }

    pub(crate) fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Yaml::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The text of a scalar that is not null.
    pub(crate) fn text(&self) -> Option<&str> {
        let scalar = self.as_scalar()?;
        (scalar.resolve() != Resolved::Null).then_some(scalar.text.as_str())
    }

    /// The place of `len` characters at `offset` inside a scalar that stands on one line; else of the whole scalar.
    pub(crate) fn mark_within(&self, offset: usize, len: usize) -> Mark {
        let Some(scalar) = self.as_scalar() else { return self.mark };
        let quote = match scalar.style {
            ScalarStyle::Plain => 0,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
            ScalarStyle::Literal | ScalarStyle::Folded => return self.mark,
        };
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        if number(scalar.text.chars().count()) + 2 * quote != self.mark.len {
            return self.mark;
        }
        let column = self.mark.column.saturating_add(quote).saturating_add(number(offset));
        Mark { line: self.mark.line, column, len: number(len) }
    }
}

/// Puts `over` onto `base`: maps are merged key by key, everything else is replaced.
pub(crate) fn merge(base: &Node, over: Node) -> Node {
    let (Yaml::Map(below), mark) = (&base.value, over.mark) else { return over };
    let Yaml::Map(above) = over.value else { return over };
    let mut entries = below.clone();
    for (key, node) in above {
        match entries.iter_mut().find(|(k, _)| k.text == key.text) {
            Some((_, existing)) => *existing = merge(existing, node),
            None => entries.push((key, node)),
        }
    }
    Node { mark, value: Yaml::Map(entries) }
}

/// What is wrong with a document.
#[derive(Debug)]
pub(crate) struct YamlError {
    pub(crate) code: &'static Code,
    pub(crate) mark: Mark,
    pub(crate) message: String,
}

/// One document of a file: its text, and its tree unless it is broken.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub(crate) text: &'a str,
    pub(crate) root: Result<Node, YamlError>,
}

/// The documents of a file that hold anything.
pub(crate) fn documents(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    chunks(text)
        .into_iter()
        .filter_map(|(first_line, chunk)| {
            let root = parse(chunk, first_line).transpose()?;
            Some(Document { text: chunk, root })
        })
        .collect()
}

/// Cuts a file before each line that begins with `---`, which begins a document wherever it stands.
fn chunks(text: &str) -> Vec<(u32, &str)> {
    let mut chunks = Vec::new();
    let (mut rest, mut first_line) = (text, 0);
    loop {
        let next = memchr::memmem::find_iter(rest.as_bytes(), b"\n---").map(|at| at + 1).next();
        let Some((chunk, tail)) = next.and_then(|at| rest.split_at_checked(at)) else {
            chunks.push((first_line, rest));
            return chunks;
        };
        chunks.push((first_line, chunk));
        first_line += u32::try_from(memchr::memchr_iter(b'\n', chunk.as_bytes()).count()).unwrap_or(u32::MAX);
        rest = tail;
    }
}

fn parse(text: &str, first_line: u32) -> Result<Option<Node>, YamlError> {
    let mut builder = Builder { first_line, ..Builder::default() };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.event(event, span)?,
            Err(error) => {
                let mark = builder.mark(Span::empty(*error.marker()));
                let message = format!("this is not valid YAML: {}", error.info());
                return Err(YamlError { code: &diagnostic::YAML_SYNTAX, mark, message });
            }
        }
    }
    Ok(builder.root.filter(|root| root.text().is_some() || root.as_scalar().is_none()))
}

/// Builds the tree from the parser's events, without recursion.
#[derive(Default)]
struct Builder {
    first_line: u32,
    open: Vec<Frame>,
    anchors: FxHashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
}

struct Frame {
    mark: Mark,
    anchor: usize,
    nodes_before: usize,
    body: Body,
}

enum Body {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, pending: Option<Key>, seen: FxHashMap<String, u32> },
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let mark = self.mark(span);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                self.grow(1, mark)?;
                let node = Node { mark, value: Yaml::Scalar(Scalar { text: text.into_owned(), style }) };
                self.finish(node, anchor, 1)
            }
            Event::SequenceStart(anchor, _) => self.begin(mark, anchor, Body::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.begin(
                mark,
                anchor,
                Body::Map { entries: Vec::new(), pending: None, seen: FxHashMap::default() },
            ),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.open.pop() else { return Ok(()) };
                let size = self.nodes - frame.nodes_before;
                let value = match frame.body {
                    Body::List(items) => Yaml::List(items),
                    Body::Map { entries, .. } => Yaml::Map(entries),
                };
                self.finish(Node { mark: frame.mark, value }, frame.anchor, size)
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    let message = "this alias refers to something that is still being defined".to_owned();
                    return Err(YamlError { code: &diagnostic::YAML_SYNTAX, mark, message });
                };
                self.grow(size, mark)?;
                self.finish(node, 0, size)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, mark: Mark, anchor: usize, body: Body) -> Result<(), YamlError> {
        let nodes_before = self.nodes;
        self.grow(1, mark)?;
        if self.open.len() >= MAX_DEPTH {
            let message = format!("this nests deeper than {MAX_DEPTH} levels");
            return Err(YamlError { code: &diagnostic::LIMIT, mark, message });
        }
        self.open.push(Frame { mark, anchor, nodes_before, body });
        Ok(())
    }

    fn grow(&mut self, nodes: usize, mark: Mark) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let message = format!("this document has more than {MAX_NODES} values, aliases expanded");
            return Err(YamlError { code: &diagnostic::LIMIT, mark, message });
        }
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), YamlError> {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|frame| &mut frame.body) {
            None => {
                // `...` may begin a second document inside a chunk; the first one is the rule.
                self.root.get_or_insert(node);
            }
            Some(Body::List(items)) => items.push(node),
            Some(Body::Map { entries, pending, seen }) => match pending.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let mark = node.mark;
                    let Yaml::Scalar(Scalar { text, .. }) = node.value else {
                        let message = "a key must be plain text".to_owned();
                        return Err(YamlError { code: &diagnostic::YAML_SYNTAX, mark, message });
                    };
                    if let Some(first) = seen.insert(text.clone(), mark.line) {
                        let message = format!("`{text}` stands here and on line {first}");
                        return Err(YamlError { code: &diagnostic::DUPLICATE_KEY, mark, message });
                    }
                    *pending = Some(Key { text, mark });
                }
            },
        }
        Ok(())
    }

    fn mark(&self, span: Span) -> Mark {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let len = if span.end.line() == span.start.line() {
            span.end.col().saturating_sub(span.start.col())
        } else {
            1
        };
        Mark {
            line: number(span.start.line()).saturating_add(self.first_line),
            column: number(span.start.col()).saturating_add(1),
            len: number(len).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_parsed_one_by_one_and_keep_their_lines() {
        let text = "a: 1\n---\nb: [\n---\n# only a comment\n---\nc: {d: e}\n";
        let documents = documents(text);
        assert_eq!(documents.len(), 3);
        assert!(documents[1].root.is_err());
        let d = documents[2].root.as_ref().unwrap().get("c").unwrap().get("d").unwrap();
        assert_eq!((d.mark.line, d.mark.column, d.mark.len), (7, 8, 1));
    }

    #[test]
    fn aliases_are_expanded_within_bounds() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let below = format!("*a{}, ", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(", ")));
        }
        let error = documents(&bomb).remove(0).root.unwrap_err();
        assert_eq!(error.code.id, "E004");
        let deep = format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(documents(&deep).remove(0).root.is_err());
        let small = "a: &x [1, 2]\nb: *x\n";
        let root = documents(small).remove(0).root.unwrap();
        assert!(matches!(&root.get("b").unwrap().value, Yaml::List(items) if items.len() == 2));
    }

    #[test]
    fn scalars_resolve_as_rule_writers_mean_them() {
        let resolve = |text: &str| {
            let root = documents(&format!("a: {text}")).remove(0).root.unwrap();
            let Yaml::Map(mut entries) = root.value else { panic!() };
            let Yaml::Scalar(scalar) = entries.remove(0).1.value else { panic!() };
            format!("{:?}", scalar.resolve())
        };
        assert_eq!(resolve("4688"), "Int(4688)");
        assert_eq!(resolve("'4688'"), "Text(\"4688\")");
        assert_eq!(resolve("0x1010"), "Text(\"0x1010\")");
        assert_eq!(resolve("0042"), "Text(\"0042\")");
        assert_eq!(resolve("-1.5"), "Float(-1.5)");
        assert_eq!(resolve("1.2.3"), "Text(\"1.2.3\")");
        assert_eq!(resolve("2024-01-01"), "Text(\"2024-01-01\")");
        assert_eq!(resolve(""), "Null");
        assert_eq!(resolve("no"), "Text(\"no\")");
    }
}
