//! An entry → its text.
//!
//! What is printed reads back as the same entry in the union of the dialects, whatever the default address of the file
//! that it came from. An entry that was written in NetBSD's second form is printed in it.

use crate::config::syntax::{Entry, LimitWord, WaitMeaning, Word, Zero};

/// Writes an entry, with the end of its line.
pub fn print(entry: &Entry) -> Vec<u8> {
    let has_keys = matches!(entry.handover, WaitMeaning::Known(_))
        && [b"yes" as &[u8], b"no"].contains(&&*entry.wait.value);
    if has_keys { definition(entry) } else { line(entry) }
}

/// The seven columns.
fn line(entry: &Entry) -> Vec<u8> {
    let mut line = Vec::new();
    let file = [&entry.file.user, &entry.file.group, &entry.file.mode];
    if file.iter().any(|word| word.is_some()) {
        for word in file {
            line.push(b':');
            line.extend(value(word.as_ref()));
        }
        line.push(b':');
    } else {
        let hosts: Vec<Vec<u8>> = entry.hosts.iter().map(bracketed).collect();
        line.extend(hosts.join(&b','));
        line.push(b':');
        if entry.name.value.contains(&b':') || value(entry.versions.as_ref()).contains(&b':') {
            // Behind a blank it is not looked at for hosts.
            line.push(b' ');
        }
    }
    line.extend(name(entry));
    line.push(b'\t');
    line.extend_from_slice(&entry.socket_type.value);
    if let Some(children) = entry.limits.children.as_ref().filter(|limit| limit.zero == Zero::Never) {
        line.push(b',');
        line.extend_from_slice(&children.word.value);
    }
    line.push(b'\t');
    line.extend_from_slice(&entry.protocol.value);
    let buffers = [("sndbuf", &entry.send_buffer), ("rcvbuf", &entry.receive_buffer)];
    for (name, size) in buffers {
        if let Some(size) = size {
            line.extend([b",", name.as_bytes(), b"=", size.value.as_slice()].concat());
        }
    }
    line.push(b'\t');
    line.extend_from_slice(&entry.wait.value);
    if let Some(starts) = &entry.limits.starts {
        line.push(if starts.zero == Zero::Never { b':' } else { b'.' });
        line.extend_from_slice(&starts.word.value);
    }
    let children = entry.limits.children.as_ref().filter(|limit| limit.zero != Zero::Never);
    let limits = [children, entry.limits.source_starts.as_ref(), entry.limits.source_children.as_ref()];
    for limit in limits.into_iter().flatten() {
        line.push(b'/');
        line.extend_from_slice(&limit.word.value);
    }
    for word in [&entry.owner, &entry.program].into_iter().chain(&entry.arguments) {
        line.push(b'\t');
        line.extend_from_slice(&word.value);
    }
    if line.ends_with(b"\r") {
        // It belongs to the word, not to the end of the line.
        line.push(b' ');
    }
    line.push(b'\n');
    line
}

/// NetBSD's second form.
fn definition(entry: &Entry) -> Vec<u8> {
    let mut text = Vec::new();
    // One host may be any word; it is bound by its key.
    let hosts = if entry.hosts.len() == 1 { &[] } else { entry.hosts.as_slice() };
    let prefix: Vec<Vec<u8>> = hosts.iter().map(bracketed).collect();
    text.extend(prefix.join(&b','));
    text.push(b':');
    text.extend(name(entry));
    text.extend(b" on");
    let limit = |limit: &Option<LimitWord>| limit.as_ref().map(|limit| limit.word.clone());
    let account = entry.accounts.first();
    let program = Some(&entry.program).filter(|program| program.value != b"internal");
    let bind = if let [host] = entry.hosts.as_slice() { Some(host.clone()) } else { None };
    let keys: [(&str, Option<Word>); 12] = [
        ("bind", bind),
        ("socktype", Some(entry.socket_type.clone())),
        ("protocol", Some(entry.protocol.clone())),
        ("sndbuf", entry.send_buffer.clone()),
        ("recvbuf", entry.receive_buffer.clone()),
        ("wait", Some(entry.wait.clone())),
        ("service_max", limit(&entry.limits.starts)),
        ("ip_max", limit(&entry.limits.source_starts)),
        ("accept_max", limit(&entry.limits.children)),
        ("user", Some(entry.owner.clone())),
        ("group", account.and_then(|account| account.group.clone())),
        ("exec", program.cloned()),
    ];
    let mut mark: &[u8] = b" ";
    for (name, word) in keys {
        if let Some(word) = word {
            text.extend([mark, name.as_bytes(), b" = ", &quoted(&word)].concat());
            mark = b", ";
        }
    }
    if !entry.arguments.is_empty() {
        text.extend([mark, b"args ="].concat());
        for argument in &entry.arguments {
            text.push(b' ');
            text.extend(quoted(argument));
        }
    }
    text.extend(b";\n");
    text
}

/// The service's name, with the versions of an RPC program.
fn name(entry: &Entry) -> Vec<u8> {
    match &entry.versions {
        Some(versions) => [&entry.name.value, b"/".as_slice(), &versions.value].concat(),
        None => entry.name.value.to_vec(),
    }
}

fn value(word: Option<&Word>) -> &[u8] {
    word.map_or(&[], |word| word.value.as_slice())
}

/// In quotes, with what needs one escaped.
fn quoted(word: &Word) -> Vec<u8> {
    let mut text = vec![b'"'];
    for byte in word.value.iter() {
        match byte {
            b'"' | b'\\' => text.extend([b'\\', *byte]),
            b'\n' => text.extend(b"\\n"),
            byte => text.push(*byte),
        }
    }
    text.push(b'"');
    text
}

fn bracketed(host: &Word) -> Vec<u8> {
    // A colon would end the host, a # at the beginning make the line a comment, and brackets be taken off.
    let value = host.value.as_slice();
    let is_bracketed = matches!(value, [b'[', .., b']']);
    let plain = !value.contains(&b':') && !value.starts_with(b"#") && !is_bracketed;
    if plain { value.to_vec() } else { [b"[", value, b"]"].concat() }
}
