//! Text → logical lines.

use std::borrow::Cow;
use std::ops::Range;

/// A rule's line, with what its backslashes have joined.
pub(super) struct LogicalLine<'a> {
    /// Without its end.
    pub(super) text: Cow<'a, [u8]>,
    /// The last line of it, from 1: the number that libwrap's messages have.
    pub(super) number: u32,
    /// Where each part that was joined begins: in `text`, and in the file.
    joints: Vec<(usize, usize)>,
}

impl LogicalLine<'_> {
    /// Where bytes of the line stand in the file.
    pub(super) fn in_file(&self, range: Range<usize>) -> Range<usize> {
        let place = |at: usize| {
            let joint = self.joints.iter().rev().find(|(begins, _)| *begins <= at);
            joint.map_or(at, |(begins, stands)| stands + (at - begins))
        };
        match range.end.checked_sub(1).filter(|last| *last >= range.start) {
            Some(last) => place(range.start)..place(last) + 1,
            None => place(range.start)..place(range.start),
        }
    }
}

/// The lines that hold something: no comment, and not blank.
///
/// A backslash at the end of a line joins the next one to it with nothing in between, in comments too. A NUL byte hides
/// what follows it on its line, the line's end included.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = LogicalLine<'_>> {
    let mut at = 0;
    let mut number = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            let line = logical(text, &mut at, &mut number);
            let is_comment = line.text.first() == Some(&b'#');
            if !is_comment && !line.text.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
                return Some(line);
            }
        }
        None
    })
}

fn logical<'a>(text: &'a [u8], at: &mut usize, number: &mut u32) -> LogicalLine<'a> {
    let mut joined: Option<Vec<u8>> = None;
    let mut joints = Vec::new();
    loop {
        joints.push((joined.as_ref().map_or(0, Vec::len), *at));
        let rest = &text[*at..];
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let physical = &rest[..end];
        *at = (*at + end + 1).min(text.len());
        let hidden = physical.iter().position(|byte| *byte == 0);
        let (part, goes_on) = match hidden {
            Some(hidden) => (&physical[..hidden], true),
            None => {
                *number += 1;
                physical.strip_suffix(b"\\").map_or((physical, false), |part| (part, true))
            }
        };
        let is_last = *at == text.len();
        // One whose end is hidden is counted with the line that it goes on with; the last one has none.
        *number += u32::from(hidden.is_some() && is_last);
        let goes_on = goes_on && !is_last;
        match &mut joined {
            None if !goes_on => return LogicalLine { text: Cow::Borrowed(part), number: *number, joints },
            None => joined = Some(part.to_vec()),
            Some(joined) => joined.extend_from_slice(part),
        }
        if !goes_on {
            return LogicalLine { text: Cow::Owned(joined.unwrap_or_default()), number: *number, joints };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_number_of_their_last_one() {
        for (text, expected) in [
            ("a\nb", &[("a", 1), ("b", 2)][..]),
            ("a\\\nb\nc\\\n", &[("ab", 2), ("c", 3)]),
            ("a\0x\nb\n", &[("ab", 1)]),
            ("a\nb\0x", &[("a", 1), ("b", 2)]),
            ("a\nb\0x\n", &[("a", 1), ("b", 2)]),
        ] {
            let found: Vec<_> =
                lines(text.as_bytes()).map(|line| (line.text.into_owned(), line.number)).collect();
            let expected: Vec<_> =
                expected.iter().map(|(text, number)| (text.as_bytes().to_vec(), *number)).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
