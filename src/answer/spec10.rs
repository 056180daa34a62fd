//! TOML 1.1 in a file for installers that read TOML 1.0: they refuse the whole answer.
//!
//! Our reader takes both. What the renderer writes is 1.0, so this matters only for answers written by hand.

use toml_parser::Source;
use toml_parser::lexer::TokenKind as Kind;

use super::problem::Problem;

/// Everything in a well-formed `text` that only TOML 1.1 allows: line ends and trailing commas in inline tables, and the
/// escapes `\e` and `\x41`.
pub(super) fn check(text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut open = Vec::new();
    let mut comma = None;
    let newer = |span: toml_parser::Span, what: &str, hint: &str| {
        let message = format!("{what} is TOML 1.1, which the installer does not read");
        Problem::new("", Some(span.start()..span.end()), message).hint(hint)
    };
    for token in Source::new(text).lex() {
        let in_table = open.last() == Some(&Kind::LeftCurlyBracket);
        match token.kind() {
            kind @ (Kind::LeftCurlyBracket | Kind::LeftSquareBracket) => open.push(kind),
            Kind::RightCurlyBracket => {
                if let Some(span) = comma {
                    problems.push(newer(span, "a comma after the last entry of an inline table", "remove the comma"));
                }
                open.pop();
            }
            Kind::RightSquareBracket => drop(open.pop()),
            Kind::Newline if in_table => {
                let hint = "write the table on one line, or as a `[section]`";
                problems.push(newer(token.span(), "an inline table over several lines", hint));
            }
            Kind::BasicString | Kind::MlBasicString => {
                let raw = text.get(token.span().start()..token.span().end()).unwrap_or_default();
                if has_new_escape(raw) {
                    problems.push(newer(token.span(), "the escape `\\e` or `\\x`", "write `\\u001b`, four digits"));
                }
            }
            _ => {}
        }
        match token.kind() {
            Kind::Comma if in_table => comma = Some(token.span()),
            Kind::Whitespace | Kind::Newline | Kind::Comment => {}
            _ => comma = None,
        }
    }
    problems
}

fn has_new_escape(raw: &str) -> bool {
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && matches!(bytes.next(), Some(b'e' | b'x')) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("a = { b = 1, c = [1,\n2,\n] }\n[x]\nd = 1\n", 0)]
    #[case("[[t]]\na = \"\\\\e \\\\x\"\nb = '\\e'\nc = \"\"\"\\u001b\"\"\"", 0)]
    #[case("a = { b = 1,\n c = 2 }", 1)]
    #[case("a = { b = 1, }", 1)]
    #[case("a = { b = 1, # c\n }", 2)]
    #[case("a = \"\\e\"", 1)]
    #[case("a = \"\"\"\\x41\"\"\"", 1)]
    #[case("a = [{ b = { c = 1, } }]", 1)]
    fn only_what_is_new_is_found(#[case] text: &str, #[case] count: usize) {
        assert!(toml_edit::Document::parse(text).is_ok());
        assert_eq!(check(text).len(), count);
    }
}
