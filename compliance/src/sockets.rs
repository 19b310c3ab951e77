//! What the kernel knows of sockets and processes in the namespaces, from /proc. Looking only.

use std::fs;

/// A socket in the LISTEN state, or a bound UDP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Address and port in the kernel's hexadecimal form.
    pub address: String,
    pub port: u16,
    pub inode: u64,
}

/// Listening TCP sockets, both families.
pub fn tcp_listeners() -> Vec<Bound> {
    const LISTEN: &str = "0A";
    let mut all = read_table("/proc/net/tcp", LISTEN);
    all.extend(read_table("/proc/net/tcp6", LISTEN));
    all
}

/// UDP sockets without a peer, both families.
pub fn udp_sockets() -> Vec<Bound> {
    const UNCONNECTED: &str = "07";
    let mut all = read_table("/proc/net/udp", UNCONNECTED);
    all.extend(read_table("/proc/net/udp6", UNCONNECTED));
    all
}

pub fn tcp_listeners_on(port: u16) -> Vec<Bound> {
    tcp_listeners().into_iter().filter(|one| one.port == port).collect()
}

pub fn udp_sockets_on(port: u16) -> Vec<Bound> {
    udp_sockets().into_iter().filter(|one| one.port == port).collect()
}

fn read_table(path: &str, state: &str) -> Vec<Bound> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().skip(1).filter_map(|line| read_row(line, state)).collect()
}

fn read_row(line: &str, state: &str) -> Option<Bound> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = words.get(1)?.split_once(':')?;
    if words.get(3) != Some(&state) {
        return None;
    }
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Bound { address: address.to_owned(), port, inode: words.get(9)?.parse().ok()? })
}

/// A process of the PID namespace.
#[derive(Clone, Debug)]
pub struct Row {
    pub parent: i32,
    pub state: char,
}

pub fn processes() -> Vec<Row> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            entry.file_name().to_str()?.parse::<u32>().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let (_, tail) = stat.rsplit_once(") ")?;
            let mut words = tail.split(' ');
            let state = words.next()?.chars().next()?;
            let parent = words.next()?.parse().ok()?;
            Some(Row { parent, state })
        })
        .collect()
}

/// The session of a process; 0 when that began outside of the PID namespace.
pub fn session_of(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let tail = stat.rsplit_once(") ").map_or("", |(_, tail)| tail);
    // Field 6 of proc(5), counted from the state, field 3.
    tail.split(' ').nth(3).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Processor time that a process has used, in hundredths of a second.
pub fn processor_ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let tail = stat.rsplit_once(") ").map_or("", |(_, tail)| tail);
    // utime and stime, fields 14 and 15 of proc(5), counted from the state, field 3.
    tail.split(' ').skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum()
}
