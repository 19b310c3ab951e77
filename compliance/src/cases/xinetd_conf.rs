//! Text of an xinetd.conf, as the cases write it. No cases are here.

/// What every service of a case says unless it says it otherwise; the probe on a port of 127.0.0.1.
const USUAL: &[(&str, &str)] = &[
    ("type", "UNLISTED"),
    ("socket_type", "stream"),
    ("protocol", "tcp"),
    ("bind", "127.0.0.1"),
    ("wait", "no"),
    ("user", "nobody"),
    ("server", "/srv/probe"),
];

/// A service on a port. `lines` are attribute lines, which stand in place of the usual ones of the same name.
pub fn service(name: &str, port: u16, lines: &str) -> String {
    service_without(&[], name, port, lines)
}

/// The same without some of the usual lines.
pub fn service_without(left_out: &[&str], name: &str, port: u16, lines: &str) -> String {
    let is_said = |attribute: &str| {
        left_out.contains(&attribute)
            || lines.lines().any(|line| line.split_whitespace().next() == Some(attribute))
    };
    let port = port.to_string();
    let usual = USUAL.iter().copied().chain([("port", port.as_str())]);
    let usual = usual.filter(|(attribute, _)| !is_said(attribute));
    let usual: String = usual.map(|(attribute, value)| format!("\t{attribute} = {value}\n")).collect();
    block(&format!("service {name}"), &format!("{usual}{lines}"))
}

/// What holds for all services.
pub fn defaults(lines: &str) -> String {
    block("defaults", lines)
}

/// A service of xinetd's own, on the port that /etc/services has for it.
pub fn internal(name: &str, socket_type: &str, lines: &str) -> String {
    let wait = if socket_type == "dgram" { "yes" } else { "no" };
    let all = format!("type = INTERNAL\nsocket_type = {socket_type}\nwait = {wait}\nuser = root\n{lines}");
    block(&format!("service {name}"), &all)
}

fn block(head: &str, lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("\t{}\n", line.trim())).collect();
    format!("{head}\n{{\n{lines}}}\n")
}
