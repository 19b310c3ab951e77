//! Unix sockets: `SERVICE` is a path.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use rustix::process::Signal;

use crate::cases::{Case, case};
use crate::client;
use crate::deadline;
use crate::lab::Lab;
use crate::report::Report;
use crate::server::Dialect;
use crate::server::Server::{Busybox, Inetutils, Openbsd};

const NO_UNIX: &str = "GNU knows no protocol `unix`";

const STREAM: &str = "/run/lab.sock stream unix nowait nobody /srv/probe probe\n";

pub const CASES: &[Case] = &[
    case("stream", "\"For UNIX-domain sockets this field specifies the path name of the socket.\"", stream)
        .ignored(&[(Inetutils, NO_UNIX)]),
    case("stream_wait", "the listening socket is passed for `wait`, unix or not", stream_wait)
        .ignored(&[(Inetutils, NO_UNIX)]),
    case(
        "datagram_wait",
        "\"The socket type should be one of “stream” or “dgram”\", for `unix` too",
        datagram_wait,
    )
    .ignored(&[(Inetutils, NO_UNIX)]),
    case("datagram_nowait", "\"nowait\" datagram services may be unix sockets, too", datagram_nowait)
        .ignored(&[(Inetutils, NO_UNIX)]),
    case("mode_is_0666", "setup(): umask(0111) round bind, so that everybody may connect", mode_is_0666)
        .ignored(&[(Inetutils, NO_UNIX)])
        .other_dialects(&[
            (Dialect::Busybox, "the mode is left to the umask"),
            (Dialect::Netbsd, "the mode is left to the umask"),
            (Dialect::Freebsd, "the mode is 0200 there"),
        ]),
    case(
        "mode_does_not_follow_the_umask",
        "the umask of whoever starts it does not matter",
        mode_against_umask,
    )
    .ignored(&[(Inetutils, NO_UNIX)])
    .other_dialects(&[
        (Dialect::Busybox, "the mode is left to the umask"),
        (Dialect::Netbsd, "the mode is left to the umask"),
        (Dialect::Freebsd, "the mode is 0200 there"),
    ]),
    case("stale_file_is_replaced", "config(): unlink before bind", stale_file_is_replaced)
        .ignored(&[(Inetutils, NO_UNIX)]),
    case(
        "live_socket_is_not_stolen",
        "a socket on which somebody listens belongs to him; only a stale one is replaced",
        live_socket_is_not_stolen,
    )
    .ignored(&[(Openbsd, "unlinks whatever has the path"), (Busybox, "unlinks whatever has the path")])
    .not_run(&[(Inetutils, NO_UNIX)]),
    case("removed_at_term", "die(): unlink of every unix socket", removed_at_term)
        .ignored(&[(Inetutils, NO_UNIX)]),
    case(
        "removed_with_its_line",
        "config(): a unix socket whose line went is unlinked",
        removed_with_its_line,
    )
    .ignored(&[(Inetutils, NO_UNIX)]),
    case("kept_at_reload", "config(): an unchanged service keeps its socket", kept_at_reload)
        .ignored(&[(Inetutils, NO_UNIX)]),
    case(
        "default_address_is_nothing_to_it",
        "\"If the protocol is “unix”, this value is ignored.\"",
        default_address_is_nothing_to_it,
    )
    .ignored(&[(Inetutils, NO_UNIX)]),
    case(
        "path_too_long",
        "config() logs `PATH/unix: UNIX domain socket path too long`; it costs only its line",
        path_too_long,
    )
    .ignored(&[(Inetutils, NO_UNIX), (Busybox, "cuts the path")]),
    case("folder_is_missing", "setup() logs `PATH/unix: bind: No such file or directory`", folder_is_missing)
        .ignored(&[(Inetutils, NO_UNIX)]),
];

fn stream(lab: &mut Lab) {
    lab.start(STREAM);
    let report = Report::parse(&client::unix("/run/lab.sock").all());
    assert_eq!(report.arguments(), ["probe"]);
}

fn stream_wait(lab: &mut Lab) {
    lab.start("/run/lab.sock stream unix wait nobody /srv/probe probe\n");
    let report = Report::parse(&client::unix("/run/lab.sock").all());
    assert_eq!(report.get("listening"), "true");
}

fn datagram_wait(lab: &mut Lab) {
    lab.start("/run/lab.sock dgram unix wait nobody /srv/probe probe\n");
    let answer = client::unix_datagram("/run/me.sock", "/run/lab.sock", b"x");
    assert_eq!(Report::parse(&answer).arguments(), ["probe"]);
}

fn datagram_nowait(lab: &mut Lab) {
    lab.start("/run/lab.sock dgram unix nowait nobody /srv/probe probe\n");
    let answer = client::unix_datagram("/run/me.sock", "/run/lab.sock", b"x");
    let report = Report::parse(&answer);
    assert_eq!(report.arguments(), ["probe"]);
    assert_eq!(report.get("nonblocking[0]"), "false");
}

fn mode_of(path: &str) -> u32 {
    fs::metadata(path).expect("the socket is there").permissions().mode() & 0o7777
}

fn mode_is_0666(lab: &mut Lab) {
    lab.start(STREAM);
    assert_eq!(mode_of("/run/lab.sock"), 0o666);
}

fn mode_against_umask(lab: &mut Lab) {
    let mut launch = lab.launch();
    launch.umask = Some(0o077);
    lab.start_with(launch, STREAM);
    assert_eq!(mode_of("/run/lab.sock"), 0o666);
}

fn stale_file_is_replaced(lab: &mut Lab) {
    // A listener that is dropped leaves its file.
    drop(UnixListener::bind("/run/lab.sock").expect("/run is the case's own"));
    lab.start(STREAM);
    Report::parse(&client::unix("/run/lab.sock").all());
}

fn live_socket_is_not_stolen(lab: &mut Lab) {
    let owner = UnixListener::bind("/run/lab.sock").expect("/run is the case's own");
    let inode = fs::metadata("/run/lab.sock").expect("just bound").ino();
    lab.start(STREAM);
    lab.assert_serves();
    assert_eq!(fs::metadata("/run/lab.sock").expect("still there").ino(), inode);
    drop(owner);
}

fn removed_at_term(lab: &mut Lab) {
    let daemon = lab.start(STREAM);
    assert!(fs::metadata("/run/lab.sock").is_ok());
    lab.signal(Signal::TERM);
    daemon.wait();
    assert!(fs::metadata("/run/lab.sock").is_err(), "the file should be gone");
}

fn removed_with_its_line(lab: &mut Lab) {
    lab.start(STREAM);
    assert!(fs::metadata("/run/lab.sock").is_ok());
    lab.reload("");
    deadline::wait_until("the socket's file is gone", || fs::metadata("/run/lab.sock").is_err());
}

fn kept_at_reload(lab: &mut Lab) {
    lab.start(STREAM);
    let before = fs::metadata("/run/lab.sock").expect("it listens").ino();
    lab.reload(&STREAM.replace("/srv/probe probe", "/srv/probe changed"));
    assert_eq!(fs::metadata("/run/lab.sock").expect("it still listens").ino(), before);
    deadline::wait_until("the new arguments", || {
        Report::parse(&client::unix("/run/lab.sock").all()).arguments() == ["changed"]
    });
}

fn default_address_is_nothing_to_it(lab: &mut Lab) {
    lab.start(&format!("127.0.0.2:\n{STREAM}"));
    Report::parse(&client::unix("/run/lab.sock").all());
}

fn path_too_long(lab: &mut Lab) {
    let path = format!("/run/{}", "p".repeat(120));
    lab.start(&format!("{path} stream unix nowait nobody /srv/probe probe\n{STREAM}"));
    Report::parse(&client::unix("/run/lab.sock").all());
    lab.syslog.expect(&format!("{path}/unix: UNIX domain socket path too long"));
}

fn folder_is_missing(lab: &mut Lab) {
    lab.start(&format!("/run/no/lab.sock stream unix nowait nobody /srv/probe probe\n{STREAM}"));
    Report::parse(&client::unix("/run/lab.sock").all());
    lab.syslog.expect("/run/no/lab.sock/unix: bind: No such file or directory");
}
