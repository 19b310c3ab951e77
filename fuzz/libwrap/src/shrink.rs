//! A question that shows a difference, made small.

use crate::question::{Caller, Contents, Question};

/// Deletes from a question what can go without the difference going, too, until nothing can.
pub fn smallest(question: &Question, differs: &dyn Fn(&Question) -> bool) -> Question {
    let mut best = question.clone();
    loop {
        let before = best.clone();
        drop_circumstances(&mut best, differs);
        drop_files(&mut best, differs);
        for file in 0..best.files.len() {
            shorten_file(&mut best, file, differs);
        }
        let texts: [fn(&mut Question) -> &mut Vec<u8>; 4] = [
            |question| &mut question.daemon,
            |question| &mut question.client_name,
            |question| &mut question.server_name,
            |question| &mut question.user,
        ];
        for text in texts {
            shorten_text(&mut best, text, differs);
        }
        if best == before {
            return best;
        }
    }
}

/// Takes a change if the difference stays.
fn attempt(best: &mut Question, differs: &dyn Fn(&Question) -> bool, change: impl Fn(&mut Question)) -> bool {
    let mut smaller = best.clone();
    change(&mut smaller);
    let is_taken = smaller != *best && differs(&smaller);
    if is_taken {
        *best = smaller;
    }
    is_taken
}

fn drop_circumstances(best: &mut Question, differs: &dyn Fn(&Question) -> bool) {
    let changes: [fn(&mut Question); 10] = [
        |question| question.client = Caller::Unknown,
        |question| question.server = None,
        |question| question.client_name = b"unknown".to_vec(),
        |question| question.server_name = b"unknown".to_vec(),
        |question| question.user = b"unknown".to_vec(),
        |question| question.is_user_given = false,
        |question| question.is_datagram = false,
        |question| question.is_resident = false,
        |question| question.aclexec_fails = false,
        |question| {
            if let Caller::Text { name, .. } = &mut question.client {
                *name = None;
            }
        },
    ];
    for change in changes {
        attempt(best, differs, change);
    }
}

fn drop_files(best: &mut Question, differs: &dyn Fn(&Question) -> bool) {
    for file in (0..best.files.len()).rev() {
        attempt(best, differs, |question| drop(question.files.remove(file)));
    }
}

fn shorten_file(best: &mut Question, file: usize, differs: &dyn Fn(&Question) -> bool) {
    let parts: [fn(u8) -> bool; 4] =
        [|byte| byte == b'\n', |byte| byte == b':', |byte| matches!(byte, b' ' | b','), |_| true];
    for ends in parts {
        let Contents::Text(text) = &best.files[file].1 else { return };
        // Without its end the last line would be another difference.
        let (text, end) = match text.strip_suffix(b"\n") {
            Some(text) => (text, &b"\n"[..]),
            None => (text.as_slice(), &b""[..]),
        };
        let pieces = text.split_inclusive(|byte| ends(*byte)).map(<[u8]>::to_vec).collect();
        without_pieces(best, pieces, differs, |question, text| {
            question.files[file].1 = Contents::Text([&*text, end].concat());
        });
    }
}

fn shorten_text(
    best: &mut Question,
    text: fn(&mut Question) -> &mut Vec<u8>,
    differs: &dyn Fn(&Question) -> bool,
) {
    let whole = text(&mut best.clone()).clone();
    // Short as it is: what it means would be another difference.
    if whole == b"unknown" {
        return;
    }
    let pieces = whole.iter().map(|byte| vec![*byte]).collect();
    without_pieces(best, pieces, differs, |question, shorter| {
        // An empty text is to libwrap one that is not known yet.
        if !shorter.is_empty() {
            *text(question) = shorter;
        }
    });
}

/// Deletes pieces of a text: half of them at a time, then a quarter, and so on.
fn without_pieces(
    best: &mut Question,
    mut pieces: Vec<Vec<u8>>,
    differs: &dyn Fn(&Question) -> bool,
    put: impl Fn(&mut Question, Vec<u8>),
) {
    let mut size = pieces.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < pieces.len() {
            let rest = [&pieces[..at], &pieces[(at + size).min(pieces.len())..]].concat();
            if attempt(best, differs, |question| put(question, rest.concat())) {
                pieces = rest;
            } else {
                at += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
}
