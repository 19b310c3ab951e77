//! An entry → a line.
//!
//! What is printed reads back as the same entry, whatever the default address of the file that it came from.

use crate::config::syntax::{Entry, Word};

/// Writes an entry as one line of `inetd.conf`, with its end.
pub fn print(entry: &Entry) -> Vec<u8> {
    let mut line = Vec::new();
    let hosts: Vec<Vec<u8>> = entry.hosts.iter().map(bracketed).collect();
    line.extend(hosts.join(&b','));
    line.push(b':');
    let versions = entry.versions.as_ref().map_or(&[][..], |versions| &versions.value);
    if entry.name.value.contains(&b':') || versions.contains(&b':') {
        // Behind a blank it is not looked at for hosts.
        line.push(b' ');
    }
    line.extend(&entry.name.value);
    if entry.versions.is_some() {
        line.push(b'/');
        line.extend(versions);
    }
    line.push(b'\t');
    line.extend(&entry.socket_type.value);
    line.push(b'\t');
    line.extend(&entry.protocol.value);
    let buffers = [("sndbuf", &entry.send_buffer), ("rcvbuf", &entry.receive_buffer)];
    for (name, size) in buffers {
        if let Some(size) = size {
            line.extend([b",", name.as_bytes(), b"=", size.value.as_slice()].concat());
        }
    }
    line.push(b'\t');
    line.extend(&entry.wait.value);
    if let Some(starts) = &entry.starts {
        line.push(b'.');
        line.extend(&starts.value);
    }
    for word in [&entry.owner, &entry.program].into_iter().chain(&entry.arguments) {
        line.push(b'\t');
        line.extend(&word.value);
    }
    if line.ends_with(b"\r") {
        // It belongs to the word, not to the end of the line.
        line.push(b' ');
    }
    line.push(b'\n');
    line
}

fn bracketed(host: &Word) -> Vec<u8> {
    // A colon would end the host, a # at the beginning make the line a comment, and brackets be taken off.
    let value = host.value.as_slice();
    let is_bracketed = matches!(value, [b'[', .., b']']);
    let plain = !value.contains(&b':') && !value.starts_with(b"#") && !is_bracketed;
    if plain { value.to_vec() } else { [b"[", value, b"]"].concat() }
}
