//! The ident service (RFC 1413): what is asked, whose connection it is, and what is answered.
//!
//! Everything that others wrote is read here: the caller's line, the kernel's tables of connections, the owner's
//! file. It never takes a text as it came: what goes out is printable ASCII in fields of bounded length.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// How the service answers, as its options say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whom it names.
    pub subject: Subject,
    /// The name that is given when there is no other.
    pub fallback: Option<Field>,
    /// How an owner is named.
    pub form: Form,
    /// What counts of the owner's `.fakeid`.
    pub fakeid: Fakeid,
    /// What counts of the owner's `.noident`.
    pub noident: Noident,
    /// The operating system.
    pub system: Field,
}

/// Whom the answers name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The fallback, or nobody.
    Fallback,
    /// Whoever owns the connection.
    Owner,
    /// Nobody: letters and digits by chance.
    Garbage,
}

/// How an owner is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By name.
    Name,
    /// By user id.
    Number,
}

/// What counts of the name in the owner's `.fakeid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fakeid {
    /// Nothing.
    Ignored,
    /// It is given unless a user has it.
    Unused,
    /// It is given.
    Any,
}

/// What counts of the owner's `.noident`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noident {
    /// Nothing.
    Ignored,
    /// The owner is not named.
    Heeded,
}

impl Options {
    /// Whether files of owners are looked at.
    pub fn looks_into_homes(&self) -> bool {
        self.subject == Subject::Owner && (self.fakeid != Fakeid::Ignored || self.noident == Noident::Heeded)
    }
}

/// A user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uid(pub u32);

/// An owner, as the machine knows him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// User id.
    pub uid: Uid,
    /// Primary group id.
    pub gid: u32,
    /// Home folder.
    pub home: PathBuf,
}

/// The machine did not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

/// As many bytes as a name by chance takes.
pub type Random = [u8; LONGEST_NAME];

/// What the answer depends on.
pub trait Machine {
    /// Why there must be no answer at all.
    type Stop;

    /// The owner of the connection of these ports between this machine and the caller's.
    fn owner(&mut self, ports: Ports) -> Result<Option<Uid>, Unknown>;

    /// The user of an id.
    fn user(&mut self, uid: Uid) -> Result<Option<User>, Unknown>;

    /// Goes on with the rights of this user and no others. To be called before a look into his home.
    fn look_as(&mut self, user: &User) -> Result<(), Self::Stop>;

    /// Whether he does not want to be named. True when it cannot be told.
    fn is_hidden(&mut self, user: &User) -> bool;

    /// The beginning of his `.fakeid`, if he has one that counts.
    fn fakeid(&mut self, user: &User) -> Option<Vec<u8>>;

    /// Whether a user has this name or number. True when it cannot be told.
    fn is_taken(&mut self, name: &Field) -> bool;

    /// Bytes by chance.
    fn random(&mut self) -> Result<Random, Unknown>;
}

/// Answers a query.
pub fn answer<M: Machine>(options: &Options, query: &Query, machine: &mut M) -> Result<Answer, M::Stop> {
    let Some(ports) = query.ports() else { return Ok(Answer::NotAQuery) };
    let user = match options.subject {
        Subject::Garbage => {
            machine.random().map(|random| Field::garbage(&random)).map_err(|Unknown| Trouble::UnknownError)
        }
        Subject::Fallback => options.fallback.clone().ok_or(Trouble::HiddenUser),
        Subject::Owner => match owner(ports, machine) {
            Ok(user) => named(&user, options, machine)?,
            Err(trouble) => options.fallback.clone().ok_or(trouble),
        },
    };
    Ok(match user {
        Ok(user) => Answer::User { ports, system: options.system.clone(), user },
        Err(trouble) => Answer::Trouble { ports, trouble },
    })
}

fn owner(ports: Ports, machine: &mut impl Machine) -> Result<User, Trouble> {
    let unknown = |Unknown| Trouble::UnknownError;
    let uid = machine.owner(ports).map_err(unknown)?.ok_or(Trouble::NoUser)?;
    machine.user(uid).map_err(unknown)?.ok_or(Trouble::NoUser)
}

/// What an owner is called, to the outside.
fn named<M: Machine>(
    user: &User,
    options: &Options,
    machine: &mut M,
) -> Result<Result<Field, Trouble>, M::Stop> {
    if options.looks_into_homes() {
        machine.look_as(user)?;
    }
    if options.noident == Noident::Heeded && machine.is_hidden(user) {
        return Ok(Err(Trouble::HiddenUser));
    }
    let fakeid = match options.fakeid {
        Fakeid::Ignored => None,
        Fakeid::Unused | Fakeid::Any => machine.fakeid(user).and_then(|file| Field::fakeid(&file)),
    };
    if let Some(name) = fakeid
        && (options.fakeid == Fakeid::Any || !machine.is_taken(&name))
    {
        return Ok(Ok(name));
    }
    let name = match options.form {
        Form::Name => Field::new(user.name.as_bytes()),
        Form::Number => Field::new(user.uid.0.to_string().as_bytes()),
    };
    Ok(name.ok_or(Trouble::NoUser))
}

/// The ports that are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Of this machine.
    pub local: u16,
    /// Of the caller's machine.
    pub remote: u16,
}

impl Ports {
    /// Reads `6113 , 23`.
    fn read(line: &[u8]) -> Option<Self> {
        let (local, remote) = std::str::from_utf8(line).ok()?.split_once(',')?;
        Some(Self { local: port(local)?, remote: port(remote)? })
    }
}

fn port(text: &str) -> Option<u16> {
    let digits = text.trim_matches([' ', '\t']);
    // A sign would do for `parse`.
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| all_digits && *port != 0)
}

/// What a caller has said.
#[derive(Clone, Debug, Default)]
pub struct Query {
    bytes: Vec<u8>,
}

/// Whether there is more to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The line has not ended.
    More,
    /// It has, or is longer than a line may be.
    Whole,
}

/// RFC 1413: so many characters and the end of the line are to be read.
const LONGEST_LINE: usize = 1000 + 2;

impl Query {
    /// Takes what has come. What is beyond the longest line is dropped.
    pub fn add(&mut self, bytes: &[u8]) -> Progress {
        let room = LONGEST_LINE - self.bytes.len();
        self.bytes.extend(bytes.iter().take(room));
        let is_whole = self.bytes.len() == LONGEST_LINE || self.bytes.contains(&b'\n');
        if is_whole { Progress::Whole } else { Progress::More }
    }

    /// What was asked. A line without an end may be a part of one, and asks nothing.
    pub fn ports(&self) -> Option<Ports> {
        let end = self.bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
        Ports::read(&self.bytes[..end])
    }
}

/// A text as answers may have it: printable ASCII without a colon, not empty. Anything else in it is a question mark,
/// so that nobody becomes another one by what is left out of his name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(String);

/// RFC 1413: a user id is not longer.
const LONGEST_FIELD: usize = 512;

/// The longest name in a `.fakeid`, and the length of one by chance: FreeBSD's `MAXLOGNAME` without its end.
const LONGEST_NAME: usize = 32;

impl Field {
    /// This text, made harmless; `None` if it is empty.
    pub fn new(text: &[u8]) -> Option<Self> {
        let harmless = |byte: &u8| match byte {
            b':' => '?',
            b' '..=b'~' => char::from(*byte),
            _ => '?',
        };
        let text: String = text.iter().take(LONGEST_FIELD).map(harmless).collect();
        (!text.is_empty()).then_some(Self(text))
    }

    /// The name of an operating system.
    pub fn system(text: &[u8]) -> Self {
        Self::new(text).unwrap_or_else(|| Self("OTHER".to_owned()))
    }

    /// The name in a `.fakeid`: the first word of its first line.
    fn fakeid(file: &[u8]) -> Option<Self> {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = file.iter().position(|byte| !is_blank(byte))?;
        let word = file[start..].split(|byte| is_blank(byte) || matches!(byte, b'\r' | b'\n' | 0)).next()?;
        Self::new(&word[..word.len().min(LONGEST_NAME)])
    }

    fn garbage(random: &Random) -> Self {
        const DIGITS: [u8; 36] = *b"0123456789abcdefghijklmnopqrstuvwxyz";
        Self(random.iter().map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()])).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 1413's errors that are about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no such connection, or nobody has it.
    NoUser,
    /// Its owner does not want to be named.
    HiddenUser,
    /// Everything else.
    UnknownError,
}

impl Trouble {
    fn word(self) -> &'static str {
        match self {
            Trouble::NoUser => "NO-USER",
            Trouble::HiddenUser => "HIDDEN-USER",
            Trouble::UnknownError => "UNKNOWN-ERROR",
        }
    }
}

/// What the caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The line was not two ports.
    NotAQuery,
    /// Whose connection it is.
    User {
        /// What was asked.
        ports: Ports,
        /// The operating system.
        system: Field,
        /// The name.
        user: Field,
    },
    /// Why that is not said.
    Trouble {
        /// What was asked.
        ports: Ports,
        /// The reason.
        trouble: Trouble,
    },
}

impl fmt::Display for Answer {
    /// The line of the protocol, with its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::NotAQuery => write!(f, "0 , 0 : ERROR : INVALID-PORT\r\n"),
            Answer::User { ports: Ports { local, remote }, system, user } => {
                write!(f, "{local} , {remote} : USERID : {} : {}\r\n", system.0, user.0)
            }
            Answer::Trouble { ports: Ports { local, remote }, trouble } => {
                write!(f, "{local} , {remote} : ERROR : {}\r\n", trouble.word())
            }
        }
    }
}

/// A connection to be found in the kernel's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    local: End,
    remote: End,
}

/// One end of a connection. An IPv4 address is one, whichever kind of socket it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    address: IpAddr,
    port: u16,
}

/// A table of connections in `/proc/net`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// `tcp`: sockets for IPv4.
    Tcp,
    /// `tcp6`: sockets for IPv6, which may be used for IPv4 too.
    Tcp6,
}

impl Connection {
    /// The connection of these ports between these hosts.
    pub fn new(local: IpAddr, remote: IpAddr, ports: Ports) -> Self {
        let end = |address: IpAddr, port| End { address: address.to_canonical(), port };
        Self { local: end(local, ports.local), remote: end(remote, ports.remote) }
    }

    /// Where it can be.
    pub fn tables(&self) -> &'static [Table] {
        match self.local.address {
            IpAddr::V4(_) => &[Table::Tcp, Table::Tcp6],
            IpAddr::V6(_) => &[Table::Tcp6],
        }
    }

    /// Whose it is, if this line of a table is about it. A connection that no process has any more is nobody's: the
    /// kernel shows user 0 there, whose it never was.
    pub fn owner(&self, line: &[u8]) -> Option<Uid> {
        // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ...
        let mut columns = std::str::from_utf8(line).ok()?.split_ascii_whitespace().skip(1);
        let is_this = End::read(columns.next()?)? == self.local && End::read(columns.next()?)? == self.remote;
        let uid = columns.nth(4)?.parse().ok()?;
        let inode: u64 = columns.nth(1)?.parse().ok()?;
        (is_this && inode != 0).then_some(Uid(uid))
    }
}

impl End {
    /// Reads `0100007F:0016`: the address as numbers of 32 bits in this machine's order, and the port.
    fn read(text: &str) -> Option<Self> {
        let (address, port) = text.split_once(':')?;
        let word = |at: usize| {
            let digits = address.get(8 * at..8 * (at + 1))?;
            Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
        };
        let address = match address.len() {
            8 => Ipv4Addr::from(word(0)?).into(),
            32 => {
                let mut bytes = [0; 16];
                for at in 0..4 {
                    bytes[4 * at..4 * (at + 1)].copy_from_slice(&word(at)?);
                }
                IpAddr::from(Ipv6Addr::from(bytes)).to_canonical()
            }
            _ => return None,
        };
        Some(Self { address, port: u16::from_str_radix(port, 16).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A machine on which alice, 1001, has one connection; and what was asked of it.
    #[derive(Default)]
    struct Fake {
        knows_nothing: bool,
        hidden: bool,
        fakeid: Option<&'static str>,
        calls: Vec<&'static str>,
    }

    const PORTS: Ports = Ports { local: 6113, remote: 23 };

    impl Machine for Fake {
        type Stop = std::convert::Infallible;

        fn owner(&mut self, ports: Ports) -> Result<Option<Uid>, Unknown> {
            self.calls.push("owner");
            let uid = match ports {
                PORTS => Some(Uid(1001)),
                Ports { local: 1, .. } => Some(Uid(7)),
                Ports { .. } => None,
            };
            if self.knows_nothing { Err(Unknown) } else { Ok(uid) }
        }

        fn user(&mut self, uid: Uid) -> Result<Option<User>, Unknown> {
            let alice = User { name: "alice".to_owned(), uid, gid: 1001, home: "/home/alice".into() };
            Ok((uid == Uid(1001)).then_some(alice))
        }

        fn look_as(&mut self, _: &User) -> Result<(), Self::Stop> {
            self.calls.push("look as");
            Ok(())
        }

        fn is_hidden(&mut self, _: &User) -> bool {
            self.calls.push("hidden");
            self.hidden
        }

        fn fakeid(&mut self, _: &User) -> Option<Vec<u8>> {
            self.calls.push("fakeid");
            self.fakeid.map(|text| text.as_bytes().to_vec())
        }

        fn is_taken(&mut self, name: &Field) -> bool {
            ["root", "alice", "0"].contains(&name.as_str())
        }

        fn random(&mut self) -> Result<Random, Unknown> {
            Ok(std::array::from_fn(|at| u8::try_from(at * 7).unwrap()))
        }
    }

    fn options() -> Options {
        Options {
            subject: Subject::Owner,
            fallback: None,
            form: Form::Name,
            fakeid: Fakeid::Ignored,
            noident: Noident::Ignored,
            system: Field::system(b"UNIX"),
        }
    }

    fn query(bytes: &[u8]) -> Query {
        let mut query = Query::default();
        query.add(bytes);
        query
    }

    fn said(options: &Options, asked: &str, machine: &mut Fake) -> String {
        let Ok(answer) = answer(options, &query(asked.as_bytes()), machine);
        let text = answer.to_string();
        text.strip_suffix("\r\n").unwrap().to_owned()
    }

    fn asked(options: &Options, asked: &str) -> String {
        said(options, asked, &mut Fake::default())
    }

    const ASKED: &str = "6113 , 23\r\n";

    #[test]
    fn the_owner_is_named_as_asked_for() {
        assert_eq!(asked(&options(), ASKED), "6113 , 23 : USERID : UNIX : alice");
        let by_number = Options { form: Form::Number, ..options() };
        assert_eq!(asked(&by_number, ASKED), "6113 , 23 : USERID : UNIX : 1001");
        assert_eq!(asked(&options(), "6113,24\n"), "6113 , 24 : ERROR : NO-USER");
        assert_eq!(asked(&options(), "1,2\n"), "1 , 2 : ERROR : NO-USER", "a number without a user");
        assert_eq!(asked(&options(), "who?\n"), "0 , 0 : ERROR : INVALID-PORT");
        let mut silent = Fake { knows_nothing: true, ..Fake::default() };
        assert_eq!(said(&options(), ASKED, &mut silent), "6113 , 23 : ERROR : UNKNOWN-ERROR");
    }

    #[test]
    fn a_fallback_stands_for_whoever_is_not_found() {
        let fallback = Field::new(b"somebody");
        let only = Options { subject: Subject::Fallback, fallback: fallback.clone(), ..options() };
        let otherwise = Options { fallback, ..options() };
        let none = Options { subject: Subject::Fallback, ..options() };
        let mut machine = Fake::default();
        assert_eq!(said(&only, ASKED, &mut machine), "6113 , 23 : USERID : UNIX : somebody");
        assert_eq!(said(&none, ASKED, &mut machine), "6113 , 23 : ERROR : HIDDEN-USER");
        assert!(machine.calls.is_empty(), "nobody looks");
        assert_eq!(asked(&otherwise, ASKED), "6113 , 23 : USERID : UNIX : alice");
        assert_eq!(asked(&otherwise, "5,5\n"), "5 , 5 : USERID : UNIX : somebody");
        assert_eq!(asked(&otherwise, "1,2\n"), "1 , 2 : USERID : UNIX : somebody");
        let hidden = Options { noident: Noident::Heeded, ..otherwise };
        let mut machine = Fake { hidden: true, ..Fake::default() };
        assert_eq!(said(&hidden, ASKED, &mut machine), "6113 , 23 : ERROR : HIDDEN-USER");
    }

    #[test]
    fn garbage_names_nobody_and_asks_nobody() {
        let garbage = Options { subject: Subject::Garbage, noident: Noident::Heeded, ..options() };
        let mut machine = Fake::default();
        let said = said(&garbage, ASKED, &mut machine);
        assert_eq!(said, "6113 , 23 : USERID : UNIX : 07elsz6dkry5cjqx4bipw3ahov29gnu1");
        assert!(machine.calls.is_empty() && !garbage.looks_into_homes());
    }

    #[test]
    fn files_are_looked_at_as_their_owner() {
        let both = Options { fakeid: Fakeid::Unused, noident: Noident::Heeded, ..options() };
        let mut machine = Fake { fakeid: Some("  fred  x\n"), ..Fake::default() };
        assert_eq!(said(&both, ASKED, &mut machine), "6113 , 23 : USERID : UNIX : fred");
        assert_eq!(machine.calls, ["owner", "look as", "hidden", "fakeid"]);
        machine = Fake { fakeid: Some("fred"), hidden: true, ..Fake::default() };
        assert_eq!(said(&both, ASKED, &mut machine), "6113 , 23 : ERROR : HIDDEN-USER", "it comes first");
        machine = Fake::default();
        said(&options(), ASKED, &mut machine);
        assert_eq!(machine.calls, ["owner"]);
    }

    #[test]
    fn a_name_that_a_user_has_is_not_given() {
        let unused = Options { fakeid: Fakeid::Unused, form: Form::Number, ..options() };
        let any = Options { fakeid: Fakeid::Any, ..options() };
        for name in ["root", "0", "", "\n fred", "\0"] {
            let mut machine = Fake { fakeid: Some(name), ..Fake::default() };
            assert_eq!(said(&unused, ASKED, &mut machine), "6113 , 23 : USERID : UNIX : 1001", "{name:?}");
        }
        let mut machine = Fake { fakeid: Some("root"), ..Fake::default() };
        assert_eq!(said(&any, ASKED, &mut machine), "6113 , 23 : USERID : UNIX : root");
    }

    #[test]
    fn a_query_is_two_ports_and_an_end() {
        for good in ["6113 , 23\r\n", "6113,23\n", " \t6113\t,\t23 \r", "06113,023\nand more"] {
            assert_eq!(query(good.as_bytes()).ports(), Some(PORTS), "{good:?}");
        }
        for bad in [
            "",
            "\n",
            "6113",
            "6113\n",
            "6113 23\n",
            "6113,\n",
            ",23\n",
            "0,23\n",
            "6113,0\n",
            "65536,23\n",
            "+6113,23\n",
            "-1,23\n",
            "6113,23",
            "6113,23 x\n",
            "6113,23,5\n",
            "\n6113,23\n",
            "6113\n,23\n",
            "61 13,23\n",
            "6113,23\0\n",
            "6113,２3\n",
            "0x10,23\n",
        ] {
            assert_eq!(query(bad.as_bytes()).ports(), None, "{bad:?}");
        }
    }

    #[test]
    fn a_line_is_bounded_and_comes_in_pieces() {
        let mut line = Query::default();
        assert_eq!((line.add(b"6113 , "), line.add(b"23\r"), line.add(b"\n")), {
            (Progress::More, Progress::More, Progress::Whole)
        });
        assert_eq!(line.ports(), Some(PORTS));
        let blanks = [b' '; 1000 - "6113,23".len()];
        let mut longest = Query::default();
        assert_eq!(longest.add(&[&blanks[..], b"6113,23"].concat()), Progress::More);
        assert_eq!((longest.add(b"\r\n"), longest.ports()), (Progress::Whole, Some(PORTS)));
        let mut longer = Query::default();
        assert_eq!(longer.add(&[b'1'; 1 << 20]), Progress::Whole);
        assert_eq!((longer.add(b",23\n"), longer.ports()), (Progress::Whole, None));
    }

    /// As the kernel writes it.
    fn table_line(local: (IpAddr, u16), remote: (IpAddr, u16), uid: u32, inode: u64) -> String {
        let end = |(address, port): (IpAddr, u16)| {
            let bytes = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            let words = bytes.chunks(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap()));
            format!("{}:{port:04X}", words.map(|word| format!("{word:08X}")).collect::<String>())
        };
        format!(
            "  12: {} {} 01 00000000:00000000 02:000A7D3C 00000000 {uid:5}        0 {inode} 2 0000000000000000 20 4 30 10 -1",
            end(local),
            end(remote)
        )
    }

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

    fn mapped(address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().into(),
            IpAddr::V6(_) => address,
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_own_line_is_read() {
        let line = b"   3: 0100007F:17E1 0200007F:0017 01 00000000:00000000 00:00000000 00000000  1001        0 5523 1 \
            ffff8881 20 4 30 10 -1";
        let connection = Connection::new([127, 0, 0, 1].into(), [127, 0, 0, 2].into(), PORTS);
        assert_eq!(connection.owner(line), Some(Uid(1001)));
        let time_wait = b"   4: 0100007F:17E1 0200007F:0017 06 00000000:00000000 03:0000176F 00000000     0        0 0 3 \
            0000000000000000";
        assert_eq!(connection.owner(time_wait), None);
        let head = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        assert_eq!(connection.owner(head), None);
    }

    #[test]
    fn ipv4_is_ipv4_in_both_tables_and_on_both_kinds_of_socket() {
        for (local, remote) in [(HERE, THERE), (mapped(HERE), mapped(THERE))] {
            let connection = Connection::new(local, remote, PORTS);
            assert_eq!(connection.tables(), [Table::Tcp, Table::Tcp6]);
            for (local, remote) in [(HERE, THERE), (mapped(HERE), mapped(THERE))] {
                let line = table_line((local, 6113), (remote, 23), 1001, 5);
                assert_eq!(connection.owner(line.as_bytes()), Some(Uid(1001)), "{line}");
            }
        }
        let v6 = Connection::new(Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), PORTS);
        assert_eq!(v6.tables(), [Table::Tcp6]);
    }

    #[test]
    fn only_this_connection_is_found() {
        let connection = Connection::new(HERE, THERE, PORTS);
        let other: IpAddr = [198, 51, 100, 8].into();
        for (local, remote) in [
            ((HERE, 6113), (other, 23)),
            ((other, 6113), (THERE, 23)),
            ((HERE, 6114), (THERE, 23)),
            ((HERE, 6113), (THERE, 24)),
            ((THERE, 23), (HERE, 6113)),
        ] {
            assert_eq!(connection.owner(table_line(local, remote, 1001, 5).as_bytes()), None);
        }
        let whole = table_line((HERE, 6113), (THERE, 23), 1001, 5);
        let until_inode = whole.find(" 5 2 ").unwrap();
        for cut in (0..until_inode).filter(|cut| whole.is_char_boundary(*cut)) {
            assert_eq!(connection.owner(&whole.as_bytes()[..cut]), None, "{}", &whole[..cut]);
        }
    }

    #[test]
    fn what_is_not_printable_becomes_a_question_mark() {
        assert_eq!(Field::new(b"al:i\r\nc\xe9\0 e").unwrap().as_str(), "al?i??c?? e");
        assert_eq!((Field::new(b""), Field::system(b"").as_str()), (None, "OTHER"));
        assert_eq!(Field::new(&[b'x'; 2000]).unwrap().as_str().len(), 512);
        assert_eq!(Field::fakeid(&[b'x'; 64]).unwrap().as_str().len(), 32);
        assert_eq!(Field::fakeid(b"ro:ot\r\n").unwrap().as_str(), "ro?ot");
    }

    proptest! {
        #[test]
        fn any_query_gets_one_harmless_line(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
                                            name in prop::collection::vec(any::<u8>(), 0..700)) {
            let mut query = Query::default();
            for piece in &pieces {
                query.add(piece);
            }
            let options = Options { subject: Subject::Fallback, fallback: Field::new(&name), ..options() };
            let Ok(answer) = answer(&options, &query, &mut Fake::default());
            let text = answer.to_string();
            let line = text.strip_suffix("\r\n").unwrap();
            prop_assert!(line.len() < 1000 && line.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        }

        #[test]
        fn every_pair_of_ports_is_read(local in 1_u16.., remote in 1_u16.., blanks in "[ \t]{0,5}") {
            let text = format!("{blanks}{local}{blanks},{blanks}{remote}{blanks}\r\n");
            prop_assert_eq!(query(text.as_bytes()).ports(), Some(Ports { local, remote }));
        }

        #[test]
        fn every_connection_is_found_in_its_line(local: [u8; 16], remote: [u8; 16], v4: bool, ports: (u16, u16), uid: u32) {
            let address = |bytes: [u8; 16]| if v4 {
                IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]])
            } else {
                IpAddr::from(bytes)
            };
            let (local, remote) = (address(local), address(remote));
            let connection = Connection::new(local, remote, Ports { local: ports.0, remote: ports.1 });
            let line = table_line((local, ports.0), (remote, ports.1), uid, 1);
            prop_assert_eq!(connection.owner(line.as_bytes()), Some(Uid(uid)));
        }

        #[test]
        fn any_line_and_any_file_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(Connection::new(HERE, THERE, PORTS).owner(&bytes), None);
            if let Some(name) = Field::fakeid(&bytes) {
                prop_assert!(name.as_str().len() <= 32 && !name.as_str().contains([':', ' ', '\r', '\n']));
            }
        }
    }
}
