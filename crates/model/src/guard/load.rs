//! `max_load`: under what load a service may be called.

use serde::{Deserialize, Serialize};

use super::word::WordError;
use crate::numeral;

/// A load of the machine, in hundredths: as fine as the kernel shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Load(u32);

impl Load {
    /// The mean of the last minute, in the text of `/proc/loadavg`.
    pub fn in_loadavg(text: &[u8]) -> Option<Self> {
        Self::read(text.split(|byte| byte.is_ascii_whitespace()).next()?)
    }

    /// Digits, and others behind a dot. What is finer than a hundredth is rounded up, which no comparison with a load of
    /// the kernel sees.
    fn read(text: &[u8]) -> Option<Self> {
        let dot = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
        let (whole, fraction) = (&text[..dot], text.get(dot + 1..).unwrap_or_default());
        let mut digits = whole.iter().chain(fraction).peekable();
        digits.peek()?;
        if !digits.all(u8::is_ascii_digit) {
            return None;
        }
        let (fine, rest) = fraction.split_at(fraction.len().min(2));
        let digit = |at: usize| fine.get(at).map_or(0, |digit| u32::from(digit - b'0'));
        let whole = if whole.is_empty() { Some(0) } else { numeral::number(whole, 10) };
        let more = u32::from(rest.iter().any(|digit| *digit != b'0'));
        // A limit that no machine reaches is none that is smaller.
        let hundredths =
            whole.and_then(|whole| whole.checked_mul(100)?.checked_add(10 * digit(0) + digit(1) + more));
        Some(Self(hundredths.unwrap_or(u32::MAX)))
    }
}

/// The load from which on nobody may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MaxLoad(Load);

impl MaxLoad {
    /// A number with or without a fraction. 0 is none: it would close the service for good.
    pub fn parse(word: &[u8]) -> Result<Self, WordError> {
        Load::read(word).filter(|load| *load > Load(0)).map(Self).ok_or(WordError::Load)
    }

    /// Whether calls are taken under this load. One that could not be found out is too high.
    pub fn admits(self, now: Option<Load>) -> bool {
        now.is_some_and(|now| now < self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_has_hundredths() {
        for (word, expected) in [
            ("2", Ok(200)),
            ("2.5", Ok(250)),
            ("2.", Ok(200)),
            (".5", Ok(50)),
            ("0.01", Ok(1)),
            ("0.0001", Ok(1)),
            ("2.500", Ok(250)),
            ("2.501", Ok(251)),
            ("2.999", Ok(300)),
            ("002", Ok(200)),
            ("42949672.95", Ok(u32::MAX)),
            ("99999999999999999999", Ok(u32::MAX)),
            ("0", Err(WordError::Load)),
            ("0.000", Err(WordError::Load)),
            ("-1", Err(WordError::Load)),
            ("+1", Err(WordError::Load)),
            ("1e3", Err(WordError::Load)),
            ("nan", Err(WordError::Load)),
            ("2.5x", Err(WordError::Load)),
            ("2.5.", Err(WordError::Load)),
            (".", Err(WordError::Load)),
            ("", Err(WordError::Load)),
        ] {
            assert_eq!(MaxLoad::parse(word.as_bytes()), expected.map(|load| MaxLoad(Load(load))), "{word}");
        }
    }

    #[test]
    fn calls_are_taken_below_the_limit() {
        let limit = MaxLoad::parse(b"2.5").expect("a load");
        let admits = |text: &str| limit.admits(Load::in_loadavg(text.as_bytes()));
        assert!(admits("2.49 0.10 0.05 1/123 4567\n"));
        assert!(!admits("2.50 0.10 0.05 1/123 4567\n"));
        assert!(!admits("11.00 0.10 0.05 1/123 4567\n"));
        assert!(!admits(""));
        assert!(!limit.admits(None));
    }
}
