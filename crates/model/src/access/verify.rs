//! What name servers and callers' machines say, and what of it is believed.
//!
//! Whoever owns an address decides what name it has, and whoever owns a name decides which addresses: a caller has its
//! name only when both agree. Who is at the other end of a connection only the other end can say.

use std::net::SocketAddr;

use super::request::{Found, PARANOID, UNKNOWN};

/// What a name is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its canonical name.
    pub canonical: Vec<u8>,
    /// Its addresses of one family; the ports do not count.
    pub addresses: Vec<SocketAddr>,
}

/// What asking for the addresses of a name has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forward {
    /// It is no name but an address, in any form that getaddrinfo(3) takes for one (`AI_NUMERICHOST`). That call would
    /// answer with the address itself, which then agrees with itself: whoever has an address could have a name without
    /// a dot, and be `LOCAL`.
    Number,
    /// This is what it is.
    Host(Host),
    /// It has none, or nobody says.
    Failed,
    /// Nobody could be asked, for a reason of our own.
    NotAsked,
}

/// The name of an address, with what libwrap says when it is not believed.
///
/// `reverse` is the name that the address is said to have, and `forward` asks for the addresses of a name, of IPv6 if so
/// (getaddrinfo(3) with `AI_CANONNAME`). A failure of the first is no name; of the second, a lie.
pub fn verified(
    address: SocketAddr,
    reverse: Option<&[u8]>,
    forward: impl FnOnce(&[u8], bool) -> Forward,
) -> (Found, Option<String>) {
    let Some(name) = reverse else { return (Found::text(UNKNOWN), None) };
    let shown = String::from_utf8_lossy(name);
    let doubt = |why: String| (Found::text(PARANOID), Some(why));
    let is_v6 = address.ip().to_canonical().is_ipv6();
    let Host { canonical, addresses } = match forward(name, is_v6) {
        Forward::Host(host) => host,
        Forward::Number => {
            return doubt(format!("host name/name mismatch: reverse lookup results in non-FQDN {shown}"));
        }
        Forward::Failed => {
            let family = if is_v6 { "AF_INET6" } else { "AF_INET" };
            return doubt(format!("can't verify hostname: getaddrinfo({shown}, {family}) failed"));
        }
        Forward::NotAsked => return (Found::Undecided, None),
    };
    let official = String::from_utf8_lossy(&canonical);
    if !canonical.eq_ignore_ascii_case(name) && !name.eq_ignore_ascii_case(b"localhost") {
        return doubt(format!("host name/name mismatch: {shown} != {official}"));
    }
    if !addresses.iter().any(|one| is_same(*one, address)) {
        let ip = address.ip().to_canonical();
        return doubt(format!("host name/address mismatch: {ip} != {official}"));
    }
    (Found::text(name), None)
}

fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    let scope = |address: SocketAddr| match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    };
    one.ip().to_canonical() == other.ip().to_canonical() && scope(one) == scope(other)
}

/// The longest answer of an ident server that is read, in bytes, as in libwrap.
pub const IDENT_MOST: usize = 511;

/// The question for an ident server (RFC 1413): whose connection is this?
pub fn ident_question(local: SocketAddr, remote: SocketAddr) -> String {
    format!("{},{}\r\n", remote.port(), local.port())
}

/// The user in an ident server's answer; unknown when it says anything else.
///
/// As scanf(3) reads `%u , %u : USERID :%*[^:]:%255s`: both ports have to be those of the question, and the user is one
/// word.
pub fn ident_user(answer: &[u8], local: SocketAddr, remote: SocketAddr) -> Found {
    Found::text(user_in(answer, local.port(), remote.port()).unwrap_or(UNKNOWN))
}

/// What an ident server's answer says besides the ports, as xinetd has it in its log: `UNIX :joe`; `None` when it says
/// anything else. The line has to have its end.
pub fn ident_text(answer: &[u8], local: SocketAddr, remote: SocketAddr) -> Option<&[u8]> {
    let end = answer.windows(2).position(|pair| pair == b"\r\n")?;
    let text = behind_userid(&answer[..end], local.port(), remote.port())?.trim_ascii_start();
    if text.is_empty() { None } else { Some(text) }
}

fn user_in(answer: &[u8], local: u16, remote: u16) -> Option<&[u8]> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let rest = behind_userid(line, local, remote)?;
    let colon = rest.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0)?;
    let user = rest[colon + 1..].trim_ascii_start();
    let end = user.iter().position(u8::is_ascii_whitespace).unwrap_or(user.len());
    if end == 0 { None } else { Some(&user[..end]) }
}

/// What stands behind `PORT , PORT : USERID :`.
fn behind_userid(line: &[u8], local: u16, remote: u16) -> Option<&[u8]> {
    let (port, rest) = number(line)?;
    let (other, rest) = number(literal(rest, b",")?)?;
    if (port, other) != (u64::from(remote), u64::from(local)) {
        return None;
    }
    literal(literal(literal(rest, b":")?, b"USERID")?, b":")
}

fn literal<'a>(text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    text.trim_ascii_start().strip_prefix(word)
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddrV6};

    use super::*;

    fn user(answer: &str) -> String {
        let (local, remote) = (([10, 0, 0, 1], 23).into(), ([10, 1, 2, 3], 4000).into());
        match ident_user(answer.as_bytes(), local, remote) {
            Found::Text(user) => String::from_utf8_lossy(&user).into_owned(),
            Found::Undecided => "undecided".to_owned(),
        }
    }

    #[test]
    fn an_ident_answer_has_a_form() {
        for (answer, expected) in [
            ("4000,23:USERID:UNIX:joe\r\n", "joe"),
            ("4000 , 23 : USERID : UNIX , UTF-8 :  joe smith\r\n", "joe"),
            ("4000,23:USERID:UNIX:joe", "joe"),
            ("23,4000:USERID:UNIX:joe\r\n", "unknown"),
            ("4000,23:ERROR:NO-USER\r\n", "unknown"),
            ("4000,23:USERID::joe\r\n", "unknown"),
            ("4000,23:USERID:UNIX:\r\n", "unknown"),
            ("4000,23:USERID:UNIX\r\njoe", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(user(answer), expected, "{answer:?}");
        }
        assert_eq!(user(&format!("4000,23:USERID:UNIX:{}\r\n", "x".repeat(300))).len(), 127);
    }

    #[test]
    fn an_ident_answer_is_logged_without_its_ports() {
        let (local, remote) = (([10, 0, 0, 1], 23).into(), ([10, 1, 2, 3], 4000).into());
        let text = |answer: &'static str| ident_text(answer.as_bytes(), local, remote);
        assert_eq!(text("4000, 23 : USERID : UNIX :joe\r\n"), Some(b"UNIX :joe".as_slice()));
        for answer in [
            "4000,23:USERID:UNIX:joe\n",
            "4000,23:ERROR:NO-USER\r\n",
            "23,4000:USERID:UNIX:joe\r\n",
            "",
            "4000,23:USERID:\r\n",
        ] {
            assert_eq!(text(answer), None, "{answer:?}");
        }
    }

    #[test]
    fn a_name_is_believed_when_both_directions_agree() {
        let host = |canonical: &str, addresses: &[&str]| {
            let addresses = addresses.iter().map(|ip| SocketAddr::new(ip.parse().expect("an address"), 0));
            Forward::Host(Host { canonical: canonical.as_bytes().to_vec(), addresses: addresses.collect() })
        };
        let name = |reverse: Option<&str>, forward: Forward| {
            let address = ([10, 1, 2, 3], 0).into();
            let (found, why) = verified(address, reverse.map(str::as_bytes), |_, _| forward);
            (found.heard().map(|text| String::from_utf8_lossy(text).into_owned()), why)
        };
        let is = |name: &str| Some(name.to_owned());
        assert_eq!(name(None, Forward::Failed), (is("unknown"), None));
        assert_eq!(name(Some("a.b"), Forward::NotAsked), (None, None));
        assert_eq!(name(Some("a.b"), host("A.B", &["10.9.9.9", "10.1.2.3"])), (is("a.b"), None));
        for (reverse, forward, why) in [
            (
                "167838211",
                Forward::Number,
                "host name/name mismatch: reverse lookup results in non-FQDN 167838211",
            ),
            ("a.b", Forward::Failed, "can't verify hostname: getaddrinfo(a.b, AF_INET) failed"),
            ("a.b", host("c.d", &["10.1.2.3"]), "host name/name mismatch: a.b != c.d"),
            ("a.b", host("a.b", &["10.9.9.9"]), "host name/address mismatch: 10.1.2.3 != a.b"),
        ] {
            assert_eq!(name(Some(reverse), forward), (is("paranoid"), Some(why.to_owned())));
        }
    }

    #[test]
    fn an_address_of_a_link_is_another_on_another_link() {
        let on = |scope| SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, scope));
        let host = |scope| Forward::Host(Host { canonical: b"a.b".to_vec(), addresses: vec![on(scope)] });
        let found =
            |scope| verified(on(2), Some(b"a.b"), |_, v6| if v6 { host(scope) } else { Forward::Failed }).0;
        assert_eq!(found(2), Found::text(b"a.b"));
        assert_eq!(found(3), Found::text(PARANOID));
    }
}
