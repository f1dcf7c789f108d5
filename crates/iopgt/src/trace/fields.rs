//! The fields of a line: addresses, lengths, spaces, protections, and what is wrong with them.

use std::str::SplitWhitespace;

use super::{ParseError, Prot, Space};

/// Longest piece of the text that an error repeats, in characters.
const FOUND_LIMIT: usize = 60;

/// A [`ParseError`] that does not know its file yet.
pub(super) struct Fault {
    pub(super) expected: String,
    pub(super) found: String,
    /// The line, when it is not the one that is being read.
    pub(super) line: Option<usize>,
}

impl Fault {
    pub(super) fn new(expected: impl Into<String>, found: &str) -> Self {
        let found = found.chars().take(FOUND_LIMIT).collect();
        Self { expected: expected.into(), found, line: None }
    }

    pub(super) fn at(self, file: &str, line: usize) -> ParseError {
        let line = self.line.unwrap_or(line);
        ParseError { file: file.to_owned(), line, expected: self.expected, found: self.found }
    }
}

/// The fields of a line, up to a comment.
pub(super) struct Fields<'a> {
    fields: SplitWhitespace<'a>,
    pub(super) page: u64,
}

impl<'a> Fields<'a> {
    pub(super) fn new(line: &'a str, page: u64) -> Self {
        Self { fields: line.split_whitespace(), page }
    }

    pub(super) fn next(&mut self) -> Option<&'a str> {
        let field = self.fields.next().filter(|field| !field.starts_with('#'));
        if field.is_none() {
            self.fields = "".split_whitespace();
        }
        field
    }

    pub(super) fn take(&mut self, expected: &str) -> Result<&'a str, Fault> {
        self.next().ok_or_else(|| Fault::new(expected, ""))
    }

    pub(super) fn end(mut self) -> Result<(), Fault> {
        match self.next() {
            Some(text) => Err(Fault::new("the end of the line", text)),
            None => Ok(()),
        }
    }

    pub(super) fn space(&mut self) -> Result<(Space, &'a str), Fault> {
        let expected = "a space such as 0";
        let text = self.take(expected)?;
        let space = decimal(text).and_then(|number| u32::try_from(number).ok());
        Ok((Space(space.ok_or_else(|| Fault::new(expected, text))?), text))
    }

    /// An address and a length.
    pub(super) fn range(&mut self) -> Result<(u64, u64), Fault> {
        let page = self.page;
        let addr_text = self.take("an address such as 0x7f00")?;
        let addr = hexadecimal(addr_text)
            .ok_or_else(|| Fault::new("an address such as 0x7f00", addr_text))?;
        if addr % page != 0 {
            return Err(Fault::new(format!("an address that is a multiple of {page}"), addr_text));
        }
        let len_text = self.take("a length such as 0x1000")?;
        let len =
            hexadecimal(len_text).ok_or_else(|| Fault::new("a length such as 0x1000", len_text))?;
        if len == 0 || len % page != 0 {
            let expected = format!("a length above 0 that is a multiple of {page}");
            return Err(Fault::new(expected, len_text));
        }
        if addr.checked_add(len - 1).is_none() {
            return Err(Fault::new("a range that ends within 2^64", len_text));
        }
        Ok((addr, len))
    }

    pub(super) fn prot(&mut self) -> Result<Prot, Fault> {
        let expected = "a protection such as rw-";
        let text = self.take(expected)?;
        match text.as_bytes() {
            [read @ (b'r' | b'-'), write @ (b'w' | b'-'), exec @ (b'x' | b'-')] => {
                Ok(Prot { read: *read == b'r', write: *write == b'w', exec: *exec == b'x' })
            }
            _ => Err(Fault::new(expected, text)),
        }
    }
}

pub(super) fn decimal(text: &str) -> Option<u64> {
    // `parse` alone would take a plus sign.
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn hexadecimal(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { u64::from_str_radix(digits, 16).ok() } else { None }
}
