//! Enough of JSON for vectors and requests.

use std::collections::BTreeMap;

#[derive(Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

static NULL: Json = Json::Null;

impl Json {
    pub fn parse(text: &str) -> Result<Json, String> {
        let mut parser = Parser {
            bytes: text.as_bytes(),
            at: 0,
        };
        parser.value()
    }

    /// A member; null where there is none.
    pub fn get(&self, name: &str) -> &Json {
        match self {
            Json::Object(members) => members.get(name).unwrap_or(&NULL),
            _ => &NULL,
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Json::Number(x) => Some(*x),
            _ => None,
        }
    }

    pub fn index(&self) -> Option<usize> {
        self.number().map(|x| x as usize)
    }

    pub fn is_true(&self) -> bool {
        matches!(self, Json::Bool(true))
    }

    pub fn text(&self) -> &str {
        match self {
            Json::Text(text) => text,
            _ => "",
        }
    }

    pub fn list(&self) -> Option<&[Json]> {
        match self {
            Json::List(items) => Some(items),
            _ => None,
        }
    }

    /// Those of a list; none of anything else.
    pub fn items(&self) -> &[Json] {
        self.list().unwrap_or(&[])
    }

    pub fn members(&self) -> impl Iterator<Item = (&String, &Json)> {
        let found = match self {
            Json::Object(members) => Some(members),
            _ => None,
        };
        found.into_iter().flatten()
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> u8 {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn take(&mut self, wanted: u8) -> Result<(), String> {
        if self.peek() != wanted {
            return Err(format!(
                "JSON: expected {:?} at byte {}",
                wanted as char, self.at
            ));
        }
        self.at += 1;
        Ok(())
    }

    /// Whether another item follows in a list or an object that ends with `end`.
    fn goes_on(&mut self, end: u8, first: bool) -> Result<bool, String> {
        if self.peek() == end {
            self.at += 1;
            return Ok(false);
        }
        if !first {
            self.take(b',')?;
        }
        Ok(true)
    }

    fn value(&mut self) -> Result<Json, String> {
        match self.peek() {
            b'{' => {
                self.at += 1;
                let mut members = BTreeMap::new();
                while self.goes_on(b'}', members.is_empty())? {
                    let name = self.string()?;
                    self.take(b':')?;
                    members.insert(name, self.value()?);
                }
                Ok(Json::Object(members))
            }
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                while self.goes_on(b']', items.is_empty())? {
                    items.push(self.value()?);
                }
                Ok(Json::List(items))
            }
            b'"' => self.string().map(Json::Text),
            b't' => self.word(4, Json::Bool(true)),
            b'f' => self.word(5, Json::Bool(false)),
            b'n' => self.word(4, Json::Null),
            _ => self.numeral(),
        }
    }

    fn word(&mut self, length: usize, value: Json) -> Result<Json, String> {
        self.at += length;
        Ok(value)
    }

    fn numeral(&mut self) -> Result<Json, String> {
        let begin = self.at;
        while self
            .bytes
            .get(self.at)
            .is_some_and(|c| b"+-.eE".contains(c) || c.is_ascii_digit())
        {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.bytes[begin..self.at]).unwrap_or("");
        text.parse()
            .map(Json::Number)
            .map_err(|_| format!("JSON: expected a value at byte {begin}"))
    }

    fn string(&mut self) -> Result<String, String> {
        self.take(b'"')?;
        let mut out = Vec::new();
        loop {
            let c = *self
                .bytes
                .get(self.at)
                .ok_or("JSON: a string does not end")?;
            self.at += 1;
            match c {
                b'"' => return String::from_utf8(out).map_err(|error| error.to_string()),
                b'\\' => {
                    let escaped = *self
                        .bytes
                        .get(self.at)
                        .ok_or("JSON: a string does not end")?;
                    self.at += 1;
                    if escaped == b'u' {
                        self.at += 4; // only in sentences, which are for people
                        out.push(b'?');
                    } else {
                        out.push(escaped);
                    }
                }
                _ => out.push(c),
            }
        }
    }
}
