//! What analysts type: any text is read or refused at a place in it, what is read can be written down and reads back as
//! itself, and no pattern takes longer than its text and its length allow.

use std::time::{Duration, Instant};

use wanglou_fuzz::{mutate, seeds, test_time};
use wanglou_model::search::{Expression, MAX_DEPTH, MAX_QUERY_BYTES, Test, parse};

/// Far longer than any pattern needs on the text below, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn query() {
    let lines = seeds("query").concat();
    let seeds: Vec<Vec<u8>> = lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    seeds.iter().for_each(|seed| check(seed));
    bolero::check!().with_test_time(test_time()).for_each(|plan: &[u8]| check(&mutate(&seeds, plan)));
}

fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match parse(&text) {
        Ok(expression) => {
            let written = expression.to_string();
            // Parentheses that the reader did without may nest too deep, quotes make it longer.
            if written.len() <= MAX_QUERY_BYTES && written.matches(['(', 'n']).count() < MAX_DEPTH / 2 {
                assert_eq!(parse(&written).as_ref(), Ok(&expression), "{written}");
            }
            let start = Instant::now();
            try_on(&expression, &text);
            assert!(start.elapsed() < PATIENCE, "{written}");
        }
        Err(error) => {
            assert!(text.is_char_boundary(error.span.start) && text.is_char_boundary(error.span.end.min(text.len())));
            assert!(!error.message.is_empty() && !error.message_zh.is_empty());
            assert!(error.column(&text) <= text.chars().count() + 1);
        }
    }
}

/// Every pattern on the query itself and on a text of one letter, where what nearly fits nearly fits everywhere.
fn try_on(expression: &Expression, text: &str) {
    match expression {
        Expression::All => {}
        Expression::Not(inner) => try_on(inner, text),
        Expression::And(parts) | Expression::Or(parts) => parts.iter().for_each(|part| try_on(part, text)),
        Expression::Text(pattern) => {
            _ = pattern.stands_in(text.as_bytes());
            _ = pattern.stands_in("a ".repeat(2048).as_bytes());
        }
        Expression::Field(condition) => {
            assert!(condition.span.end <= text.len());
            if let Test::Is(pattern) = &condition.test {
                _ = pattern.matches(text);
                _ = pattern.matches(&"a".repeat(4096));
            }
        }
    }
}
