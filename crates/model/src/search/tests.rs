use proptest::prelude::*;

use super::*;

fn read(query: &str) -> String {
    match parse(query) {
        Ok(expression) => expression.to_string(),
        Err(error) => format!("{}: {}", error.column(query), error.message),
    }
}

#[test]
fn what_people_guess_is_understood() {
    for (query, meaning) in [
        ("", "*"),
        ("user:root", "user:\"root\""),
        ("user = root", "\"user\" and \"=\" and \"root\""),
        ("user=root", "user:\"root\""),
        ("user: root", "user:\"root\""),
        ("a b or c", "(\"a\" and \"b\") or \"c\""),
        ("a AND NOT (b OR c)", "\"a\" and not (\"b\" or \"c\")"),
        ("-a -\"b c\" -1", "not \"a\" and not \"b c\" and \"-1\""),
        ("user:(root or adm*) ok", "(user:\"root\" or user:adm*) and \"ok\""),
        ("dst_port>=1024 dst_port:<2000", "dst_port:[\"1024\" TO *] and dst_port:[* TO \"2000\"}"),
        ("code:[500 to 599] code:{1 TO *}", "code:[\"500\" TO \"599\"] and code:{\"1\" TO *]"),
        (
            "src_ip:10.0.0.0/8 fe80::1 http://x/y 12:30",
            "src_ip:\"10.0.0.0/8\" and \"fe80::1\" and \"http://x/y\" and \"12:30\"",
        ),
        (
            r"process:C:\Windows\System32\*.exe C:\temp",
            r#"process:"C:\\Windows\\System32*.exe" and "C:\\temp""#,
        ),
        (r"file:*\\cmd.exe", r"file:*\\cmd.exe"),
        ("用户：王五 登录失败 错误：超时", "用户:\"王五\" and \"登录失败\" and \"错误：超时\""),
        ("（a or b） “c d”", "(\"a\" or \"b\") and \"c d\""),
        ("cmd:foo(bar)x (a:b(c))", "cmd:\"foo(bar)x\" and a:\"b(c)\""),
        ("x:[\"*\" TO *]", "x:[\"*\" TO *]"),
        ("hash:* user!=root", "hash:* and not user:\"root\""),
        ("a && b || c", "(\"a\" and \"b\") or \"c\""),
    ] {
        assert_eq!(read(query), meaning, "{query}");
    }
}

#[test]
fn mistakes_are_shown_with_place_and_remedy() {
    let queries = [
        "and a",
        "（a",
        "a or",
        "a and or b",
        "(a",
        "a)",
        "()",
        "user:",
        "user: and b",
        "\"a",
        "\"\"",
        "code:[1 2]",
        "code:<\"\"",
        "code:[1 TO 2",
        "not",
        "'x\\'",
    ];
    let told: Vec<String> = queries.iter().map(|query| format!("{query}\n    {}", read(query))).collect();
    let told = told.join("\n") + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/search/mistakes.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &told).unwrap();
    }
    assert_eq!(told, std::fs::read_to_string(path).unwrap_or_default());
}

#[test]
fn bounds_hold() {
    assert!(parse(&"(".repeat(5000)).is_err());
    assert!(parse(&"not ".repeat(2000)).is_err());
    assert!(parse(&"a ".repeat(300)).is_err());
    assert!(parse(&"a".repeat(9000)).is_err());
}

#[test]
fn words_stand_whole_and_wildcards_lift_that() {
    let word = |query: &str, text: &str| match parse(query).unwrap() {
        Expression::Text(pattern) => pattern.stands_in(text.as_bytes()),
        other => panic!("{other:?}"),
    };
    assert!(word("Err", "x err:5"));
    assert!(!word("err", "stderr errors"));
    assert!(word("err", "stderr errors err"));
    assert!(word("*err", "stderr"));
    assert!(word("err*", "errors"));
    assert!(word("失败", "登录失败了"));
    assert!(word("\"failed password\"", "sshd: Failed password for"));
    assert!(word("f?iled*root", "failed password for root"));
    assert!(!word("f?iled*root", "failed password for roots"));
    assert!(word("10.0.0.1", "from 10.0.0.1:22"));
    assert!(!word("10.0.0.1", "from 10.0.0.12:22"));
}

/// Whether the words of a pattern with one `*` stand in a text, by trying every pair of places.
fn stands_by_trying(before: &str, after: &str, text: &str) -> bool {
    let is_word = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_alphanumeric);
    let is_border = |at: usize| at == 0 || !is_word(at - 1) || !is_word(at);
    let places = |word: &str| -> Vec<usize> {
        (0..=text.len()).filter(|at| text.as_bytes()[*at..].starts_with(word.as_bytes())).collect()
    };
    let begins = places(before).into_iter().filter(|at| is_border(*at)).map(|at| at + before.len()).min();
    let ends = places(after).into_iter().filter(|at| is_border(at + after.len())).max();
    begins.zip(ends).is_some_and(|(begin, end)| begin <= end)
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-c*?\\\\\"' ():：（）/\\[\\]{}<>=!-]{0,6}", "[a-z]{1,5}"]
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    prop::collection::vec(prop_oneof![any_text().prop_map(Some), Just(None)], 1..4).prop_map(|pieces| {
        let mut pattern = Pattern::empty();
        for piece in pieces {
            pattern.push(piece.map_or(super::pattern::Piece::Any, super::pattern::Piece::Literal));
        }
        pattern
    })
}

fn any_field() -> impl Strategy<Value = Field> {
    prop::sample::select(vec!["user", "src_ip", "a.b[].c", "源地址", "x-y", "b", "http"])
        .prop_map(Field::named)
}

fn any_condition() -> impl Strategy<Value = Expression> {
    let bound = || {
        prop_oneof![
            Just(Bound::Open),
            "[a-z0-9\" \\\\]{1,5}".prop_map(Bound::Including),
            "[a-z0-9 ]{1,5}".prop_map(Bound::Excluding)
        ]
    };
    let test = prop_oneof![
        Just(Test::Exists),
        any_pattern().prop_filter("means exists", |p| !p.is_any()).prop_map(Test::Is),
        (bound(), bound()).prop_map(|(a, b)| Test::Between(a, b)),
    ];
    prop_oneof![
        (any_field(), test).prop_map(|(field, test)| Expression::Field(Condition {
            field,
            test,
            span: 0..0
        })),
        any_pattern()
            .prop_filter("says nothing", |p| p.literals().any(|text| !text.trim().is_empty()))
            .prop_map(Expression::Text),
    ]
}

fn any_expression() -> impl Strategy<Value = Expression> {
    any_condition().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(b)),
            inner.prop_map(|a| Expression::Not(Box::new(a))),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_written_reads_back_as_itself(expression in any_expression()) {
        let written = expression.to_string();
        prop_assert_eq!(parse(&written), Ok(expression), "{}", written);
    }

    #[test]
    fn any_text_is_read_or_refused_at_a_place_in_it(query in any_text()) {
        match parse(&query) {
            Ok(expression) => prop_assert_eq!(parse(&expression.to_string()), Ok(expression)),
            Err(error) => {
                prop_assert!(error.span.start <= error.span.end && error.span.end <= query.len());
                prop_assert!(query.is_char_boundary(error.span.start) && query.is_char_boundary(error.span.end));
            }
        }
    }

    #[test]
    fn words_around_a_star_are_found_where_trying_finds_them(
        before in "[ab]{1,3}", after in "[ab]{1,3}", text in "[ab ]{0,12}"
    ) {
        let Expression::Text(pattern) = parse(&format!("{before}*{after}")).unwrap() else { panic!("no text") };
        prop_assert_eq!(pattern.stands_in(text.as_bytes()), stands_by_trying(&before, &after, &text));
    }

    #[test]
    fn a_text_matches_itself_in_either_case_and_stands_in_what_surrounds_it(text in any_text(), other in any_text()) {
        let pattern = Pattern::literal(&text);
        prop_assert!(pattern.matches(&text.to_ascii_uppercase()));
        prop_assert_eq!(pattern.matches(&other), text.eq_ignore_ascii_case(&other));
        let inside = format!("{other} {text} {other}");
        prop_assert!(pattern.stands_in(inside.as_bytes()));
    }
}
