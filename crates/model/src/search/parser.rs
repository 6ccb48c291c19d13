//! The parser: one pass, one token ahead, no backtracking.

use std::ops::Range;

use super::pattern::{Piece, is_special};
use super::{
    Bound, Condition, Expression, Field, MAX_CONDITIONS, MAX_DEPTH, MAX_QUERY_BYTES, Pattern, QueryError,
    Test,
};

type Result<T> = std::result::Result<T, QueryError>;

/// Reads a query. An empty one finds everything.
///
/// # Errors
/// When it makes no sense: where, and what to write instead.
pub fn parse(query: &str) -> Result<Expression> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(QueryError::new(
            query.floor_char_boundary(MAX_QUERY_BYTES)..query.len(),
            format!("a query has at most {MAX_QUERY_BYTES} bytes: leave conditions out"),
            format!("查询最长 {MAX_QUERY_BYTES} 字节，请减少条件"),
        ));
    }
    let mut parser = Parser { query, at: 0, depth: 0, conditions: 0, field: None };
    parser.skip_space();
    if parser.rest().is_empty() {
        return Ok(Expression::All);
    }
    let expression = parser.either()?;
    if !parser.rest().is_empty() {
        return Err(parser.error_here(
            1,
            "this parenthesis closes nothing: take it away, or quote it if it is meant as text",
            "多余的右括号，请删除；如作为文本检索请加引号",
        ));
    }
    Ok(expression)
}

impl Expression {
    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, one) | (one, Self::All) => one,
            (Self::And(mut a), Self::And(b)) => {
                a.extend(b);
                Self::And(a)
            }
            (Self::And(mut a), b) => {
                a.push(b);
                Self::And(a)
            }
            (a, Self::And(mut b)) => {
                b.insert(0, a);
                Self::And(b)
            }
            (a, b) => Self::And(vec![a, b]),
        }
    }

    /// One of them holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Or(mut a), Self::Or(b)) => {
                a.extend(b);
                Self::Or(a)
            }
            (Self::Or(mut a), b) => {
                a.push(b);
                Self::Or(a)
            }
            (a, Self::Or(mut b)) => {
                b.insert(0, a);
                Self::Or(b)
            }
            (a, b) => Self::Or(vec![a, b]),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keyword {
    And,
    Or,
    Not,
}

struct Parser<'q> {
    query: &'q str,
    at: usize,
    depth: usize,
    conditions: usize,
    /// The field whose values stand in the parentheses around this place: `user:(a or b)`.
    field: Option<Field>,
}

impl<'q> Parser<'q> {
    fn rest(&self) -> &'q str {
        self.query.get(self.at..).unwrap_or_default()
    }

    fn next(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        self.at = self.query.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, wanted: &[char]) -> bool {
        match self.next().filter(|next| wanted.contains(next)) {
            Some(next) => {
                self.at += next.len_utf8();
                true
            }
            None => false,
        }
    }

    fn error_here(&self, length: usize, message: &str, message_zh: &str) -> QueryError {
        let end =
            self.rest().char_indices().nth(length).map_or(self.query.len(), |(offset, _)| self.at + offset);
        QueryError::new(self.at..end, message, message_zh)
    }

    /// The keyword that stands here, and its length.
    fn keyword(&self) -> Option<(Keyword, usize)> {
        let rest = self.rest();
        for (sign, keyword) in [("&&", Keyword::And), ("||", Keyword::Or)] {
            if rest.starts_with(sign) {
                return Some((keyword, 2));
            }
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '（' | '）' | '"' | '“'));
        let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let keyword = match word.to_ascii_lowercase().as_str() {
            "and" => Keyword::And,
            "or" => Keyword::Or,
            "not" => Keyword::Not,
            _ => return None,
        };
        Some((keyword, word.len()))
    }

    fn either(&mut self) -> Result<Expression> {
        let mut expression = self.all()?;
        while let Some((Keyword::Or, length)) = self.keyword() {
            self.at += length;
            self.skip_space();
            expression = expression.or(self.all()?);
        }
        Ok(expression)
    }

    fn all(&mut self) -> Result<Expression> {
        let mut expression = self.one()?;
        loop {
            self.skip_space();
            if matches!(self.next(), None | Some(')' | '）')) {
                return Ok(expression);
            }
            match self.keyword() {
                Some((Keyword::Or, _)) => return Ok(expression),
                Some((Keyword::And, length)) => {
                    self.at += length;
                    self.skip_space();
                }
                _ => {}
            }
            let more = self.one()?;
            // `*` beside other conditions changes nothing, but it is no reason to lose them.
            expression = expression.and(more);
        }
    }

    fn one(&mut self) -> Result<Expression> {
        self.deeper()?;
        let result = self.one_inside();
        self.depth -= 1;
        self.skip_space();
        result
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth <= MAX_DEPTH {
            return Ok(());
        }
        Err(self.error_here(
            1,
            "the query nests too deep: take parentheses away",
            "括号嵌套过深，请减少括号层数",
        ))
    }

    fn one_inside(&mut self) -> Result<Expression> {
        if let Some((keyword, length)) = self.keyword() {
            if keyword == Keyword::Not {
                self.at += length;
                self.skip_space();
                return Ok(Expression::Not(Box::new(self.one()?)));
            }
            return Err(self.error_here(
                length,
                "a condition is missing before this word: add one, or quote the word if it is meant as text",
                "此连接词前缺少条件；如作为文本检索请加引号",
            ));
        }
        let mut after = self.rest().chars().skip(1);
        let negates = after
            .next()
            .is_some_and(|next| next.is_alphabetic() || matches!(next, '"' | '“' | '(' | '（' | '_'));
        if negates && self.eat(&['-', '!']) {
            return Ok(Expression::Not(Box::new(self.one()?)));
        }
        match self.next() {
            None => Err(self.error_here(
                0,
                "a condition is missing at the end: add one, or take the last word away",
                "末尾缺少条件，请补充或删除最后的连接词",
            )),
            Some('(' | '（') => self.group(),
            Some(')' | '）') => Err(self.error_here(
                1,
                "a condition is missing before this parenthesis: add one, or take the parentheses away",
                "右括号前缺少条件，请补充或删除括号",
            )),
            _ => self.condition(),
        }
    }

    fn group(&mut self) -> Result<Expression> {
        let open = self.at;
        self.eat(&['(', '（']);
        let parenthesis = open..self.at;
        self.skip_space();
        let inner = self.either()?;
        if self.eat(&[')', '）']) {
            return Ok(inner);
        }
        Err(QueryError::new(
            parenthesis,
            "this parenthesis is not closed: add `)`, or quote it if it is meant as text",
            "括号未闭合，请补上右括号；如作为文本检索请加引号",
        ))
    }

    fn condition(&mut self) -> Result<Expression> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(self.error_here(
                1,
                &format!("a query has at most {MAX_CONDITIONS} conditions: leave the rest out"),
                &format!("查询最多 {MAX_CONDITIONS} 个条件，请精简"),
            ));
        }
        let start = self.at;
        if let Some(field) = self.field.clone() {
            return self.value(field, start);
        }
        if let Some((field, operator)) = self.field_and_operator() {
            return self.tested(field, operator, start);
        }
        let pattern = self.pattern()?;
        if pattern.is_any() {
            return Ok(Expression::All);
        }
        if pattern.literals().all(|literal| literal.trim().is_empty()) {
            return Err(QueryError::new(
                start..self.at,
                "there is nothing to look for here: write a word between the quotes, or `*` for every event",
                "此处没有要检索的内容，请填写词语，或用 * 表示全部日志",
            ));
        }
        Ok(Expression::Text(pattern))
    }

    /// `name:`, `name=`, `name>=` … when that stands here and is no address, URL or drive.
    fn field_and_operator(&mut self) -> Option<(Field, &'static str)> {
        let rest = self.rest();
        let end = rest.find([':', '：', '=', '!', '<', '>'])?;
        let (name, after) = rest.split_at_checked(end)?;
        let operators = [":", "：", "!=", "==", "=", ">=", "<=", ">", "<"];
        let operator = operators.into_iter().find(|operator| after.starts_with(operator))?;
        let value = after.get(operator.len()..)?;
        let word = rest.split(char::is_whitespace).next().unwrap_or_default();
        let address = word.split('/').next().unwrap_or_default().trim_end_matches([')', '）']);
        let is_drive = name.len() == 1 && value.starts_with(['\\', '/']);
        let is_url = operator == ":" && value.starts_with("//");
        if !Field::is_name(name) || is_drive || is_url || address.parse::<std::net::IpAddr>().is_ok() {
            return None;
        }
        self.at += name.len() + operator.len();
        Some((Field::named(name), operator))
    }

    fn tested(&mut self, field: Field, operator: &str, start: usize) -> Result<Expression> {
        self.skip_space();
        let field_name = field.name().to_owned();
        if self.next().is_none_or(|next| matches!(next, ')' | '）')) || self.keyword().is_some() {
            return Err(QueryError::new(
                start..self.at,
                format!(
                    "`{field_name}` has no value: write `{field_name}:value`, or `{field_name}:*` if any will do"
                ),
                format!("字段“{field_name}”缺少值，写法为 {field_name}:值；有值即可时写 {field_name}:*"),
            ));
        }
        match operator {
            ":" | "：" | "=" | "==" => {
                if matches!(self.next(), Some('(' | '（')) {
                    self.field = Some(field);
                    let values = self.group();
                    self.field = None;
                    return values;
                }
                self.value(field, start)
            }
            "!=" => Ok(Expression::Not(Box::new(self.value(field, start)?))),
            _ => {
                let bound = self.limit(start)?;
                Ok(self.compared(field, operator, bound, start))
            }
        }
    }

    fn compared(&self, field: Field, operator: &str, value: String, start: usize) -> Expression {
        let test = match operator {
            ">" => Test::Between(Bound::Excluding(value), Bound::Open),
            ">=" => Test::Between(Bound::Including(value), Bound::Open),
            "<" => Test::Between(Bound::Open, Bound::Excluding(value)),
            _ => Test::Between(Bound::Open, Bound::Including(value)),
        };
        Expression::Field(Condition { field, test, span: start..self.at })
    }

    /// What may stand after `<` and its like.
    fn limit(&mut self, start: usize) -> Result<String> {
        let (limit, _) = self.end_of_range(|c| c.is_whitespace() || matches!(c, ')' | '）'))?;
        if !limit.is_empty() {
            return Ok(limit);
        }
        Err(QueryError::new(
            start..self.at,
            "there is nothing to compare with: write a number, an address or a severity",
            "缺少比较的值，请填写数字、地址或级别",
        ))
    }

    /// What may stand after `name:`.
    fn value(&mut self, field: Field, start: usize) -> Result<Expression> {
        for operator in [">=", "<=", ">", "<"] {
            if self.rest().starts_with(operator) {
                self.at += operator.len();
                self.skip_space();
                let bound = self.limit(start)?;
                return Ok(self.compared(field, operator, bound, start));
            }
        }
        let test = match self.next() {
            Some('[' | '{') => self.range()?,
            _ => {
                let pattern = self.pattern()?;
                if pattern.is_any() { Test::Exists } else { Test::Is(pattern) }
            }
        };
        Ok(Expression::Field(Condition { field, test, span: start..self.at }))
    }

    fn range(&mut self) -> Result<Test> {
        let open = self.at;
        let including_low = self.eat(&['[']);
        if !including_low {
            self.eat(&['{']);
        }
        self.skip_space();
        let wrong = |end: usize| {
            QueryError::new(
                open..end,
                "a range reads `[1 TO 9]`, `{1 TO 9}` without the ends, `*` for no end: write it so, or quote the value",
                "范围的写法为 [1 TO 9]，不含端点用 {1 TO 9}，无端点用 *；如为普通文本请加引号",
            )
        };
        let ends = |c: char| c.is_whitespace() || matches!(c, ']' | '}');
        let low = self.end_of_range(ends)?;
        self.skip_space();
        let to = self.rest().split(char::is_whitespace).next().unwrap_or_default();
        if !to.eq_ignore_ascii_case("to") {
            return Err(wrong(self.at));
        }
        self.at += to.len();
        self.skip_space();
        let high = self.end_of_range(ends)?;
        self.skip_space();
        let including_high = self.eat(&[']']);
        if (!including_high && !self.eat(&['}'])) || low.0.is_empty() || high.0.is_empty() {
            return Err(wrong(self.at));
        }
        let bound = |(text, is_quoted): (String, bool), including: bool| match (text.as_str(), including) {
            ("*", _) if !is_quoted => Bound::Open,
            (_, true) => Bound::Including(text),
            (_, false) => Bound::Excluding(text),
        };
        Ok(Test::Between(bound(low, including_low), bound(high, including_high)))
    }

    /// A quoted text, or the characters up to one that ends them; and whether it was quoted.
    fn end_of_range(&mut self, ends: impl Fn(char) -> bool) -> Result<(String, bool)> {
        if let Some(quoted) = self.quoted()? {
            return Ok((quoted, true));
        }
        let rest = self.rest();
        let length = rest.find(ends).unwrap_or(rest.len());
        self.at += length;
        Ok((rest.get(..length).unwrap_or_default().to_owned(), false))
    }

    fn pattern(&mut self) -> Result<Pattern> {
        match self.quoted()? {
            Some(text) => Ok(Pattern::literal(&text)),
            None => Ok(self.word()),
        }
    }

    /// The text between quotes, if one opens here. In it, `\` takes away the meaning of quotes and of itself.
    fn quoted(&mut self) -> Result<Option<String>> {
        let open = self.at;
        let closing: &[char] = match self.next() {
            Some('"') => &['"'],
            Some('\'') => &['\''],
            Some('“') => &['”', '“'],
            _ => return Ok(None),
        };
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1).peekable();
        while let Some((offset, character)) = characters.next() {
            if closing.contains(&character) {
                self.at += offset + character.len_utf8();
                return Ok(Some(text));
            }
            let next = characters.peek().map(|(_, next)| *next);
            match next.filter(|next| character == '\\' && (closing.contains(next) || *next == '\\')) {
                Some(escaped) => {
                    text.push(escaped);
                    characters.next();
                }
                None => text.push(character),
            }
        }
        Err(QueryError::new(
            open..self.query.len(),
            "this quote is not closed: add one at the end (a `\\` before a quote makes it part of the text: write `\\\\`)",
            "引号未闭合，请在末尾补上引号；引号前的反斜杠会使其成为文本，请写成 \\\\",
        ))
    }

    /// Characters up to a space or a parenthesis that did not open in it.
    fn word(&mut self) -> Pattern {
        let mut pattern = Pattern::empty();
        let mut open = 0_usize;
        let span: Range<usize> = self.at..self.query.len();
        let mut characters = self.rest().char_indices().peekable();
        let mut end = span.end;
        while let Some((offset, character)) = characters.next() {
            let is_end = match character {
                '(' | '（' => {
                    open += 1;
                    false
                }
                ')' | '）' if open == 0 => true,
                ')' | '）' => {
                    open -= 1;
                    false
                }
                other => other.is_whitespace(),
            };
            if is_end {
                end = span.start + offset;
                break;
            }
            let next = characters.peek().map(|(_, next)| *next);
            match (character, next.filter(|next| is_special(*next))) {
                ('\\', Some(escaped)) => {
                    pattern.push_str(escaped.encode_utf8(&mut [0; 4]));
                    characters.next();
                }
                ('*', _) => pattern.push(Piece::Any),
                ('?', _) => pattern.push(Piece::One),
                (other, _) => pattern.push_str(other.encode_utf8(&mut [0; 4])),
            }
        }
        self.at = end;
        pattern
    }
}
