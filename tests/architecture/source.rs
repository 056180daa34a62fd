//! Reads a source file as text, for the rules in `tests/architecture.rs`: which paths its shipped code names.

use std::path::{Path, PathBuf};

/// A file of `src/`, as far as the rules look at it.
#[derive(Debug)]
pub(super) struct Source {
    /// Its place, from the package's folder on.
    pub(super) file: PathBuf,
    /// All paths outside its test code; those that start in this crate start with `crate`.
    pub(super) paths: Vec<Found>,
    /// Files (without `.rs`) and folders it declares as test code.
    pub(super) test_code: Vec<PathBuf>,
}

/// A path and where it stands. A lone identifier is a path of one part.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
}

/// A room that is used, and where.
pub(super) struct UsedRoom {
    pub(super) name: String,
    pub(super) line: usize,
}

impl Found {
    /// The room a path of this crate leads to.
    pub(super) fn room(&self) -> Option<UsedRoom> {
        let is_ours = self.path.len() > 1 && self.path[0] == "crate" && self.path[1] != "self";
        is_ours.then(|| UsedRoom { name: self.path[1].clone(), line: self.line })
    }
}

impl Source {
    pub(super) fn new(file: impl AsRef<Path>, text: &str) -> Self {
        let file = file.as_ref().to_owned();
        let mut reader = Reader {
            tokens: tokens(text),
            at: 0,
            modules: module_of(&file),
            blocks: Vec::new(),
            paths: Vec::new(),
            test_modules: Vec::new(),
        };
        while reader.at < reader.tokens.len() {
            if reader.at_test_item() {
                reader.skip_test_item();
            } else {
                reader.step();
            }
        }
        let place = |name: &String| folder_of_modules(&file, name).join(name.trim_end_matches(".rs"));
        Self { test_code: reader.test_modules.iter().map(place).collect(), paths: reader.paths, file }
    }

    /// The top module the file is part of; `None` for `lib.rs`, which is all of them.
    pub(super) fn room(&self) -> Option<String> {
        let stem = |path: &Path| Some(path.file_stem()?.to_str()?.to_owned());
        let first = self.file.components().nth(1).and_then(|part| stem(Path::new(part.as_os_str())));
        first.filter(|room| room != "lib")
    }
}

/// The module path of a file: `src/domain/fleet/mod.rs` → `domain`, `fleet`.
fn module_of(file: &Path) -> Vec<String> {
    let parts = file.with_extension("");
    let parts = parts.components().skip(1).filter_map(|part| part.as_os_str().to_str());
    parts.filter(|part| !matches!(*part, "mod" | "lib" | "main")).map(str::to_owned).collect()
}

/// Where the modules that `file` declares lie; those with a `#[path]` (they end in `.rs`) lie beside it.
fn folder_of_modules(file: &Path, name: &str) -> PathBuf {
    let owns_folder = file.file_stem().is_some_and(|stem| stem == "mod" || stem == "lib" || stem == "main");
    let is_beside = owns_folder || Path::new(name).extension().is_some();
    if is_beside { file.parent().map(Path::to_owned).unwrap_or_default() } else { file.with_extension("") }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    /// `::`
    Then,
    Sign(char),
}

/// Walks the tokens of a file and gathers its paths.
struct Reader {
    tokens: Vec<(Token, usize)>,
    at: usize,
    /// The module the reader is in.
    modules: Vec<String>,
    /// Open braces: whether each opened a module.
    blocks: Vec<bool>,
    paths: Vec<Found>,
    /// Names, or files, of the modules declared as test code.
    test_modules: Vec<String>,
}

impl Reader {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(token, _)| token)
    }

    fn is_sign(&self, ahead: usize, sign: char) -> bool {
        self.token(ahead) == Some(&Token::Sign(sign))
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        if let Some(Token::Word(word)) = self.token(ahead) { Some(word) } else { None }
    }

    /// Takes one token, or the whole path that starts here.
    fn step(&mut self) {
        if self.word(0) == Some("mod") && self.is_sign(2, '{') {
            self.modules.extend(self.word(1).map(str::to_owned));
            self.blocks.push(true);
            self.at += 3;
        } else if self.is_sign(0, '{') {
            self.blocks.push(false);
            self.at += 1;
        } else if self.is_sign(0, '}') {
            if self.blocks.pop() == Some(true) {
                self.modules.pop();
            }
            self.at += 1;
        } else if self.word(0).is_some() {
            self.tree(&[]);
        } else {
            self.at += 1;
        }
    }

    /// Reads a path, or a use tree, that goes on from `parents`.
    fn tree(&mut self, parents: &[String]) {
        let line = self.tokens.get(self.at).map_or(0, |(_, line)| *line);
        let mut path = parents.to_vec();
        while let Some(word) = self.word(0) {
            path.push(word.to_owned());
            self.at += 1;
            if self.token(0) != Some(&Token::Then) {
                break;
            }
            self.at += 1;
            if self.is_sign(0, '{') {
                return self.group(&path);
            }
            if self.is_sign(0, '*') {
                path.push("*".to_owned());
                self.at += 1;
                break;
            }
        }
        self.paths.push(Found { path: self.absolute(path), line });
    }

    /// Reads the branches of a use tree.
    fn group(&mut self, parents: &[String]) {
        self.at += 1;
        while self.at < self.tokens.len() && !self.is_sign(0, '}') {
            if self.word(0) == Some("as") {
                self.at += 2;
            } else if self.word(0).is_some() {
                self.tree(parents);
            } else {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    /// Writes a path that starts with `super` or `self` from the crate on.
    fn absolute(&self, path: Vec<String>) -> Vec<String> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        let is_own = path.first().is_some_and(|part| part == "self") && path.len() > 1;
        if ups == 0 && !is_own {
            return path;
        }
        let base = &self.modules[..self.modules.len().saturating_sub(ups)];
        let rest = &path[ups.max(usize::from(is_own))..];
        [&["crate".to_owned()], base, rest].concat()
    }

    /// Whether an item starts here that only tests see.
    fn at_test_item(&self) -> bool {
        self.is_sign(0, '#')
            && self.word(2) == Some("cfg")
            && (self.word(4) == Some("test") || (self.word(4) == Some("all") && self.word(6) == Some("test")))
    }

    /// Skips an item; where it is a module in another file, notes that module's name, or its `#[path]`.
    fn skip_test_item(&mut self) {
        let mut path = None;
        while self.is_sign(0, '#') {
            if let (Some("path"), Some(Token::Text(text))) = (self.word(2), self.token(4)) {
                path = Some(text.clone());
            }
            self.skip_until(&[']']);
        }
        // `mod` stands first or behind `pub(in …)`.
        let find = |word| (0..6).find(|ahead| self.word(*ahead) == Some(word));
        let module = find("mod").filter(|ahead| self.is_sign(ahead + 2, ';')).and_then(|ahead| self.word(ahead + 1));
        let module = module.map(|name| path.unwrap_or_else(|| name.to_owned()));
        let is_use = find("use").is_some();
        self.test_modules.extend(module);
        self.skip_until(if is_use { &[';'] } else { &[';', '}'] });
    }

    /// Skips to behind the first of `ends` that stands outside of the brackets opened on the way, or closes the last.
    fn skip_until(&mut self, ends: &[char]) {
        let mut depth = 0_usize;
        while let Some(token) = self.token(0).cloned() {
            self.at += 1;
            let Token::Sign(sign) = token else { continue };
            match sign {
                '{' | '[' | '(' => depth += 1,
                '}' | ']' | ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && ends.contains(&sign) {
                return;
            }
        }
    }
}

/// The tokens of a source text with their lines; comments are left out.
fn tokens(text: &str) -> Vec<(Token, usize)> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (length, token) = next_token(rest, first);
        tokens.extend(token.map(|token| (token, line)));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// The length in bytes of what stands at the start of `rest`, and its token, where it is one.
fn next_token(rest: &str, first: char) -> (usize, Option<Token>) {
    let after = |end: Option<usize>, close: usize| end.map_or(rest.len(), |end| end + close);
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    if rest.starts_with("//") {
        (after(rest.find('\n'), 0), None)
    } else if rest.starts_with("/*") {
        (block_comment(rest), None)
    } else if let Some((start, close)) = raw_string(rest) {
        (after(rest[start..].find(&close).map(|end| start + end), close.len()), None)
    } else if first == '"' {
        let length = quoted(rest, '"');
        (length, Some(Token::Text(rest[1..(length - 1).max(1)].to_owned())))
    } else if first == '\'' {
        // A lifetime is no character: `'a` is followed by something else than `'`.
        let second = rest.chars().nth(2);
        let is_character = rest.starts_with("'\\") || second == Some('\'');
        (if is_character { quoted(rest, '\'') } else { 1 }, None)
    } else if is_word(first) {
        let word = rest.strip_prefix("r#").unwrap_or(rest);
        let end = word.find(|letter| !is_word(letter)).unwrap_or(word.len());
        (rest.len() - word.len() + end, Some(Token::Word(word[..end].to_owned())))
    } else if rest.starts_with("::") {
        (2, Some(Token::Then))
    } else {
        (first.len_utf8(), (!first.is_whitespace()).then_some(Token::Sign(first)))
    }
}

/// The length of a quoted text, quotes included.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, letter)| {
        let ends = *letter == quote && !escaped;
        escaped = *letter == '\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |(at, _)| at + 1)
}

/// Where the text of a raw string starts, and what closes it.
fn raw_string(rest: &str) -> Option<(usize, String)> {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    body[hashes..].starts_with('"').then(|| (rest.len() - body.len() + hashes + 1, format!("\"{}", "#".repeat(hashes))))
}

/// The length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        match here {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}
