//! JSON, read into a tree whose numbers keep their text: an interface's defaults reach the compiler as they were
//! written. Enough for the files of `ferry plugin interface`, and quick to build.

use std::{iter::Peekable, str::Chars};

/// Any JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    /// In the file's order.
    Map(Vec<(String, Json)>),
}

impl Json {
    /// Reads a whole text.
    ///
    /// # Errors
    /// What was found where something else was expected, with its line.
    pub(crate) fn read(text: &str) -> Result<Json, String> {
        let mut reader = Reader { chars: text.chars().peekable(), line: 1 };
        let json = reader.value()?;
        match reader.skip() {
            None => Ok(json),
            Some(more) => Err(reader.wrong(&format!("`{more}` after the end"))),
        }
    }

    /// The entry of a map; nothing for `null`.
    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        let Json::Map(entries) = self else { return None };
        entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
            .filter(|value| **value != Json::Null)
    }

    /// The text of an entry; empty where there is none.
    pub(crate) fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Json::Text(text)) => text,
            _ => "",
        }
    }

    /// Whether an entry is `true`.
    pub(crate) fn is(&self, key: &str) -> bool {
        self.get(key) == Some(&Json::Bool(true))
    }

    /// The number of an entry.
    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        match self.get(key)? {
            Json::Number(number) => number.parse().ok(),
            _ => None,
        }
    }

    /// The items of an entry.
    pub(crate) fn list(&self, key: &str) -> &[Json] {
        match self.get(key) {
            Some(Json::List(items)) => items,
            _ => &[],
        }
    }

    /// The entries of an entry.
    pub(crate) fn entries(&self, key: &str) -> &[(String, Json)] {
        match self.get(key) {
            Some(Json::Map(entries)) => entries,
            _ => &[],
        }
    }

    /// The texts among the items of an entry.
    pub(crate) fn texts(&self, key: &str) -> Vec<&str> {
        self.list(key).iter().filter_map(Json::as_text).collect()
    }

    fn as_text(&self) -> Option<&str> {
        if let Json::Text(text) = self { Some(text) } else { None }
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: &str) -> String {
        format!("line {}: {what}", self.line)
    }

    /// The next character that is no space.
    fn skip(&mut self) -> Option<char> {
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_whitespace()) {
            self.line += usize::from(c == '\n');
        }
        self.chars.peek().copied()
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.skip() {
            Some(found) if found == wanted => {
                self.chars.next();
                Ok(())
            }
            Some(found) => Err(self.wrong(&format!("expected `{wanted}`, found `{found}`"))),
            None => Err(self.wrong(&format!("expected `{wanted}`, found the end"))),
        }
    }

    fn value(&mut self) -> Result<Json, String> {
        match self.skip() {
            Some('{') => Ok(Json::Map(self.sequence('{', '}', |reader| {
                let key = reader.string()?;
                reader.expect(':')?;
                Ok((key, reader.value()?))
            })?)),
            Some('[') => Ok(Json::List(self.sequence('[', ']', Reader::value)?)),
            Some('"') => Ok(Json::Text(self.string()?)),
            Some(c) if c == '-' || c.is_ascii_digit() => Ok(Json::Number(self.word())),
            Some(_) => match self.word().as_str() {
                "null" => Ok(Json::Null),
                "true" => Ok(Json::Bool(true)),
                "false" => Ok(Json::Bool(false)),
                other => Err(self.wrong(&format!("expected a value, found `{other}`"))),
            },
            None => Err(self.wrong("expected a value, found the end")),
        }
    }

    /// What stands between two brackets, parted by commas.
    fn sequence<T>(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.expect(open)?;
        let mut items = Vec::new();
        if self.skip() == Some(close) {
            self.expect(close)?;
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.skip() != Some(',') {
                self.expect(close)?;
                return Ok(items);
            }
            self.expect(',')?;
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c)) {
            word.push(c);
        }
        word
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.chars.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(c) => text.push(c),
                None => return Err(self.wrong("a text without an end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        Ok(match self.chars.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let high = self.hex()?;
                // Characters beyond the first 65,536 are written as two.
                let code = match (0xd800..0xdc00).contains(&high) {
                    true => {
                        let _ = (self.chars.next(), self.chars.next());
                        0x10000 + ((high - 0xd800) << 10) + (self.hex()?.wrapping_sub(0xdc00) & 0x3ff)
                    }
                    false => high,
                };
                char::from_u32(code).ok_or_else(|| self.wrong("`\\u` without a character"))?
            }
            Some(c @ ('"' | '\\' | '/')) => c,
            _ => return Err(self.wrong("an unknown escape in a text")),
        })
    }

    fn hex(&mut self) -> Result<u32, String> {
        let digits: String = self.chars.by_ref().take(4).collect();
        u32::from_str_radix(&digits, 16).map_err(|_| self.wrong("`\\u` needs four digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_text_and_texts_lose_their_escapes() {
        let json =
            Json::read(r#" {"a": [1, -2.50, 1e-7], "b": "\u00e9\n\"\ud83d\ude00", "c": null, "d": {}} "#);
        let json = json.unwrap();
        let numbers = ["1", "-2.50", "1e-7"].map(|number| Json::Number(number.to_owned()));
        assert_eq!(json.list("a"), numbers);
        assert_eq!((json.text("b"), json.get("c"), json.entries("d").len()), ("é\n\"😀", None, 0));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let wrong = |text: &str| Json::read(text).unwrap_err();
        assert_eq!(wrong("{\"a\":\n1,\n]"), "line 3: expected `\"`, found `]`");
        assert_eq!(wrong("[1 2]"), "line 1: expected `]`, found `2`");
        assert_eq!(wrong("{} x"), "line 1: `x` after the end");
        assert_eq!(wrong("nil"), "line 1: expected a value, found `nil`");
        assert_eq!(wrong("\"a"), "line 1: a text without an end");
    }
}
