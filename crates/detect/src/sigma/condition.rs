//! Conditions: `selection and not 1 of filter_*`, parsed and resolved into one expression.

use std::sync::Arc;

use super::Expr;
use super::detection::one_or;
use crate::diagnostic::{self, Code, Rejected, Reporter};
use crate::yaml::{Mark, Node, Yaml};

/// Parentheses and `not` nest less deeply in any rule written by a person.
const MAX_DEPTH: usize = 64;
/// Nodes of the resolved expression: a selection named often is counted each time.
const MAX_NODES: usize = 100_000;

/// A selection and what it stands for.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) name: Arc<str>,
    pub(crate) mark: Mark,
    pub(crate) expr: Expr,
}

/// Reads a condition, or a list of conditions of which one must hold.
pub(crate) fn read(
    node: &Node,
    selections: &[Selection],
    reporter: &mut Reporter<'_>,
) -> Result<Expr, Rejected> {
    let nodes: Vec<&Node> = match &node.value {
        Yaml::List(nodes) => nodes.iter().collect(),
        _ => vec![node],
    };
    if nodes.is_empty() {
        return Err(reporter.report(&diagnostic::EMPTY, node.mark, "the condition is empty"));
    }
    let mut used = vec![false; selections.len()];
    let mut branches = Vec::new();
    for node in nodes {
        let Some(text) = node.text() else {
            return Err(reporter.report(&diagnostic::WRONG_TYPE, node.mark, "a condition must be text"));
        };
        let mut parser =
            Parser { tokens: tokens(text), at: 0, depth: 0, nodes: 0, selections, used: &mut used };
        match parser.condition() {
            Ok(expr) => branches.push(expr),
            Err(error) => {
                let mark = node.mark_within(error.offset, error.len);
                return Err(reporter.report(error.code, mark, error.message));
            }
        }
    }
    for (selection, _) in selections.iter().zip(used).filter(|(_, used)| !used) {
        if !selection.name.starts_with('_') {
            let message = format!("no condition names selection `{}`", selection.name);
            reporter.report(&diagnostic::UNUSED_SELECTION, selection.mark, message);
        }
    }
    Ok(one_or(branches, Expr::Or))
}

/// A word, a parenthesis or `|`, with its place in characters.
#[derive(Clone, Copy, Debug)]
struct Token<'t> {
    text: &'t str,
    offset: usize,
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut offset = 0;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| !c.is_whitespace() && !matches!(c, '(' | ')' | '|');
        let len =
            if is_word(first) { rest.find(|c| !is_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let Some((token, tail)) = rest.split_at_checked(len) else { break };
        if !first.is_whitespace() {
            tokens.push(Token { text: token, offset });
        }
        offset += token.chars().count();
        rest = tail;
    }
    tokens
}

struct ConditionError {
    code: &'static Code,
    message: String,
    offset: usize,
    len: usize,
}

/// Precedence, loosest first: `or`, `and`, `not`, `x of`.
struct Parser<'t, 's> {
    tokens: Vec<Token<'t>>,
    at: usize,
    depth: usize,
    nodes: usize,
    selections: &'s [Selection],
    used: &'s mut Vec<bool>,
}

impl<'t> Parser<'t, '_> {
    fn condition(&mut self) -> Result<Expr, ConditionError> {
        if let Some(pipe) = self.tokens.iter().find(|token| token.text == "|").copied() {
            let message = "aggregation expressions (`| count() …`) are no longer part of Sigma";
            return Err(error(&diagnostic::AGGREGATION, pipe, message));
        }
        let expr = self.or()?;
        match self.peek() {
            None => Ok(expr),
            Some(token) => Err(syntax(token, format!("`{}` is not expected here", token.text))),
        }
    }

    fn or(&mut self) -> Result<Expr, ConditionError> {
        let mut branches = vec![self.and()?];
        while self.take("or") {
            branches.push(self.and()?);
        }
        Ok(one_or(branches, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, ConditionError> {
        let mut parts = vec![self.not()?];
        while self.take("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Expr::And))
    }

    fn not(&mut self) -> Result<Expr, ConditionError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("the condition nests deeper than {MAX_DEPTH} levels");
            return Err(error(&diagnostic::LIMIT, self.here(), message));
        }
        let expr = if self.take("not") { Expr::Not(Box::new(self.not()?)) } else { self.primary()? };
        self.depth -= 1;
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Expr, ConditionError> {
        let Some(token) = self.next() else {
            return Err(syntax(self.here(), "the condition ends where a selection should follow"));
        };
        if token.text == "(" {
            let expr = self.or()?;
            return match self.next() {
                Some(close) if close.text == ")" => Ok(expr),
                Some(other) => Err(syntax(other, format!("`{}` stands where `)` should", other.text))),
                None => Err(syntax(token, "this parenthesis is not closed")),
            };
        }
        if token.text == ")" || ["and", "or", "of"].iter().any(|word| token.text.eq_ignore_ascii_case(word)) {
            return Err(syntax(token, format!("`{}` stands where a selection should", token.text)));
        }
        if self.peek().is_some_and(|next| next.text.eq_ignore_ascii_case("of")) {
            return self.quantified(token);
        }
        let Some(index) = self.selections.iter().position(|selection| &*selection.name == token.text) else {
            return Err(self.unknown(token));
        };
        self.selection(index, token)
    }

    /// `1 of …`, `any of …`, `all of …`.
    fn quantified(&mut self, quantifier: Token<'t>) -> Result<Expr, ConditionError> {
        let join: fn(Vec<Expr>) -> Expr = match quantifier.text.to_ascii_lowercase().as_str() {
            "1" | "any" => Expr::Or,
            "all" => Expr::And,
            _ => return Err(syntax(quantifier, "only `1 of`, `any of` and `all of` are possible")),
        };
        self.next();
        let Some(target) = self.next().filter(|token| !matches!(token.text, "(" | ")")) else {
            return Err(syntax(
                self.here(),
                "`of` must be followed by `them` or a selection, such as `filter_*`",
            ));
        };
        let pattern = if target.text.eq_ignore_ascii_case("them") { "*" } else { target.text };
        let matching: Vec<usize> = (0..self.selections.len())
            .filter(|index| {
                self.selections.get(*index).is_some_and(|selection| is_named(pattern, &selection.name))
            })
            .collect();
        if matching.is_empty() {
            return Err(self.unknown(target));
        }
        let exprs =
            matching.into_iter().map(|index| self.selection(index, target)).collect::<Result<_, _>>()?;
        Ok(one_or(exprs, join))
    }

    fn selection(&mut self, index: usize, token: Token<'t>) -> Result<Expr, ConditionError> {
        if let Some(used) = self.used.get_mut(index) {
            *used = true;
        }
        let Some(selection) = self.selections.get(index) else { return Err(self.unknown(token)) };
        self.nodes += count(&selection.expr);
        if self.nodes > MAX_NODES {
            let message = "the condition names its selections so often that it becomes too large";
            return Err(error(&diagnostic::LIMIT, token, message));
        }
        Ok(selection.expr.clone())
    }

    fn unknown(&self, token: Token<'_>) -> ConditionError {
        let names: Vec<&str> = self.selections.iter().map(|selection| &*selection.name).collect();
        let message = format!("no selection is called `{}`; there are: {}", token.text, names.join(", "));
        error(&diagnostic::UNKNOWN_SELECTION, token, message)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.text.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<Token<'t>> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    /// Where parsing stands: the next token, or just behind the last one.
    fn here(&self) -> Token<'t> {
        self.peek().or_else(|| self.tokens.last().copied()).unwrap_or(Token { text: " ", offset: 0 })
    }
}

fn error(code: &'static Code, token: Token<'_>, message: impl Into<String>) -> ConditionError {
    ConditionError { code, message: message.into(), offset: token.offset, len: token.text.chars().count() }
}

fn syntax(token: Token<'_>, message: impl Into<String>) -> ConditionError {
    error(&diagnostic::CONDITION_SYNTAX, token, message)
}

/// Whether a selection's name fits a pattern with `*`; names that begin with `_` only fit patterns that do.
fn is_named(pattern: &str, name: &str) -> bool {
    if name.starts_with('_') && !pattern.starts_with('_') {
        return false;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, tail)) = rest.split_once(part) else { return false };
        rest = tail;
    }
    rest.ends_with(last)
}

fn count(expr: &Expr) -> usize {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => 1 + parts.iter().map(count).sum::<usize>(),
        Expr::Not(part) => 1 + count(part),
        Expr::Item(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(condition: &str) -> Result<String, String> {
        let names = ["sel_a", "sel_b", "filter", "_hidden"];
        let selections: Vec<Selection> = (0..)
            .zip(names)
            .map(|(item, name)| Selection {
                name: name.into(),
                mark: Mark::default(),
                expr: Expr::Item(item),
            })
            .collect();
        let mut used = vec![false; 4];
        let mut parser = Parser {
            tokens: tokens(condition),
            at: 0,
            depth: 0,
            nodes: 0,
            selections: &selections,
            used: &mut used,
        };
        parser
            .condition()
            .map(|expr| show(&expr))
            .map_err(|e| format!("{} at {}+{}", e.code.id, e.offset, e.len))
    }

    fn show(expr: &Expr) -> String {
        let join =
            |parts: &[Expr], sep: &str| format!("({})", parts.iter().map(show).collect::<Vec<_>>().join(sep));
        match expr {
            Expr::And(parts) => join(parts, "&"),
            Expr::Or(parts) => join(parts, "|"),
            Expr::Not(part) => format!("!{}", show(part)),
            Expr::Item(item) => item.to_string(),
        }
    }

    #[test]
    fn precedence_and_quantifiers() {
        assert_eq!(parse("sel_a or sel_b and not filter").unwrap(), "(0|(1&!2))");
        assert_eq!(parse("(sel_a or sel_b) and not filter").unwrap(), "((0|1)&!2)");
        assert_eq!(parse("all of sel_* and not 1 of filter*").unwrap(), "((0&1)&!2)");
        assert_eq!(parse("1 of them").unwrap(), "(0|1|2)");
        assert_eq!(parse("any of *_b or _hidden").unwrap(), "(1|3)");
        assert_eq!(parse("NOT sel_a AND sel_b").unwrap(), "(!0&1)");
    }

    #[test]
    fn errors_point_at_their_token() {
        assert_eq!(parse("sel_a and missing").unwrap_err(), "E021 at 10+7");
        assert_eq!(parse("sel_a | count() > 5").unwrap_err(), "E022 at 6+1");
        assert_eq!(parse("(sel_a").unwrap_err(), "E020 at 0+1");
        assert_eq!(parse("sel_a sel_b").unwrap_err(), "E020 at 6+5");
        assert_eq!(parse("sel_a and").unwrap_err(), "E020 at 6+3");
        assert_eq!(parse("2 of sel_*").unwrap_err(), "E020 at 0+1");
        assert_eq!(parse("1 of x*").unwrap_err(), "E021 at 5+2");
        assert_eq!(parse(&"(".repeat(100_000)).unwrap_err(), "E004 at 64+1");
        assert_eq!(parse(&"not ".repeat(100_000)).unwrap_err(), "E004 at 256+3");
    }
}
