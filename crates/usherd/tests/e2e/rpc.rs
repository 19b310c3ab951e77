//! RPC services, with the real rpcbind and its `rpcinfo`.

use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::client::{at, listen};
use crate::daemon::{self, CONFIG, Daemon, configure, log_count, said_by, usherd, wait_for_log};
use crate::probe::PROBE;
use crate::sandbox::{self, need_ipv6, need_users};
use crate::wait;

const RPCBIND: &str = "/usr/sbin/rpcbind";
const SOCKET: &str = "/run/rpcbind.sock";

/// rpcbind, in the sandbox.
struct Rpcbind(Child);

impl Rpcbind {
    /// Without anything that an earlier one knew.
    #[track_caller]
    fn start() -> Self {
        let _ = fs::remove_file(SOCKET);
        let mut command = Command::new(RPCBIND);
        let said = fs::File::create("/run/rpcbind.said").expect("create");
        command.arg("-f").stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let mut rpcbind = Self(command.spawn().expect("rpcbind"));
        wait::until("rpcbind listens", || {
            let ended = rpcbind.0.try_wait().expect("wait");
            assert!(
                ended.is_none(),
                "{ended:?}: {}",
                fs::read_to_string("/run/rpcbind.said").unwrap_or_default()
            );
            UnixStream::connect(SOCKET).is_ok()
        });
        rpcbind
    }

    fn stop(mut self) {
        self.0.kill().expect("kill");
        self.0.wait().expect("wait");
        let _ = fs::remove_file("/run/rpcbind.lock");
    }
}

impl Drop for Rpcbind {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Leaves the test unless rpcbind can run here; gives it what it reads.
fn need_rpcbind() {
    need_users();
    need_ipv6();
    if !fs::exists(RPCBIND).unwrap_or_default() {
        sandbox::skip("needs rpcbind");
    }
    let transports = "udp tpi_clts v inet udp - -\ntcp tpi_cots_ord v inet tcp - -\n\
                      udp6 tpi_clts v inet6 udp - -\ntcp6 tpi_cots_ord v inet6 tcp - -\n\
                      local tpi_cots_ord - loopback - - -\n";
    fs::write("/etc/netconfig", transports).expect("write");
    append("/etc/services", "sunrpc 111/tcp portmapper\nsunrpc 111/udp portmapper\n");
    // It becomes this user.
    append("/etc/passwd", "_rpc:x:106:65534::/:/bin/false\n");
    let programs = "portmapper 100000 portmap sunrpc\nrstatd 100001 rstat rup # and more\nrusersd 100002\n";
    fs::write("/etc/rpc", programs).expect("write");
}

fn append(path: &str, text: &str) {
    let before = fs::read_to_string(path).expect("read");
    fs::write(path, before + text).expect("write");
}

/// What rpcbind knows beside itself: `program version netid`, in order.
fn registered() -> Vec<String> {
    entries().into_iter().map(|(name, _)| name).collect()
}

/// The same, with the address of each.
fn entries() -> Vec<(String, String)> {
    let (_, table) = said_by(Command::new("rpcinfo"));
    let mut all = Vec::new();
    for line in table.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [program, version, netid, address, ..] = words[..]
            && program.parse().is_ok_and(|program: u32| program != 100_000)
        {
            all.push((format!("{program} {version} {netid}"), address.to_owned()));
        }
    }
    all.sort();
    all
}

/// The port behind an address as rpcbind writes it.
fn port(address: &str) -> u16 {
    let mut parts = address.rsplit('.').map(|part| part.parse::<u16>().expect("a byte"));
    let (low, high) = (parts.next().expect("two"), parts.next().expect("two"));
    high * 256 + low
}

/// Calls procedure 0 of a program, as anybody would: rpcbind is asked where it is.
#[track_caller]
fn call(netid: &str, host: &str, program: &str, version: &str) {
    let mut command = Command::new("rpcinfo");
    command.args(["-T", netid, host, program, version]);
    let (status, said) = said_by(command);
    assert!(said.contains("ready and waiting"), "{netid} {program} {version}: {status:?} {said}");
}

fn rstatd(versions: &str) -> String {
    daemon::line(&format!("rstatd/{versions}"), "dgram rpc/udp", "wait", "rpc 1")
}

#[test]
fn a_call_finds_its_server_over_every_transport() {
    sandbox::run(|| {
        need_rpcbind();
        let _rpcbind = Rpcbind::start();
        let stream = daemon::line("200001/7", "stream rpc/tcp", "nowait", "rpc-stream");
        let daemon = Daemon::run(&[rstatd("1-3"), stream].concat());
        let mut expected = vec!["200001 7 tcp".to_owned(), "200001 7 tcp6".to_owned()];
        expected.splice(0..0, (1..=3).flat_map(|n| [format!("100001 {n} udp"), format!("100001 {n} udp6")]));
        wait::until("all is registered", || registered() == expected);
        for version in ["1", "2", "3"] {
            call("udp", "127.0.0.1", "100001", version);
            call("udp6", "::1", "100001", version);
        }
        call("tcp", "127.0.0.1", "200001", "7");
        call("tcp6", "::1", "200001", "7");
        assert_eq!(daemon.count("rstatd", "started"), 6);
        let listener = &daemon.service("rstatd")["listeners"][0];
        let rpc = json!({"program": 100_001, "versions": "1-3", "registered": true, "why": "", "seconds_left": null});
        assert_eq!(listener["rpc"], rpc);
        assert_eq!(listener["label"], "rstatd/rpc/udp");
    });
}

#[test]
fn a_datagram_server_for_each_caller_keeps_the_port() {
    sandbox::run(|| {
        need_rpcbind();
        let _rpcbind = Rpcbind::start();
        let daemon = Daemon::run(&daemon::line("rup/1", "dgram rpc/udp4", "nowait", "rpc 1"));
        wait::until("it is registered", || registered() == ["100001 1 udp"]);
        for _ in 0..3 {
            call("udp", "127.0.0.1", "100001", "1");
        }
        assert_eq!(daemon.count("rup", "started"), 3);
    });
}

#[test]
fn one_socket_for_both_families_is_registered_for_both() {
    sandbox::run(|| {
        need_rpcbind();
        let _rpcbind = Rpcbind::start();
        let _daemon = Daemon::run(&daemon::line("536870913/1", "dgram rpc/udp46", "wait", "rpc 1"));
        wait::until("it is registered", || registered() == ["536870913 1 udp", "536870913 1 udp6"]);
        call("udp", "127.0.0.1", "536870913", "1");
        call("udp6", "::1", "536870913", "1");
    });
}

#[test]
fn a_reload_changes_what_changed_and_the_end_leaves_nothing() {
    sandbox::run(|| {
        need_rpcbind();
        let _rpcbind = Rpcbind::start();
        let other = daemon::line("rusersd/2", "dgram rpc/udp4", "wait", "rpc 1");
        let daemon = Daemon::run(&[rstatd("1-2"), other.clone()].concat());
        wait::until("all is registered", || registered().len() == 5);
        let before = entries();
        daemon.reload(&[rstatd("2-3"), other.clone()].concat());
        wait::until("the versions have changed", || {
            let now = registered();
            now.contains(&"100001 3 udp6".to_owned()) && !now.contains(&"100001 1 udp".to_owned())
        });
        let stays = |entry: &&(String, String)| !entry.0.starts_with("100001 1");
        assert!(before.iter().filter(stays).all(|entry| entries().contains(entry)), "{before:?}");
        daemon.reload(&rstatd("2-3"));
        wait::until("one is gone", || !registered().contains(&"100002 2 udp".to_owned()));
        assert_eq!(registered().len(), 4);
        call("udp", "127.0.0.1", "100001", "3");
        assert_eq!(daemon.terminate().code(), Some(0));
        assert_eq!(registered(), [""; 0]);
    });
}

#[test]
fn a_root_program_has_a_port_that_only_root_can_have() {
    sandbox::run(|| {
        need_rpcbind();
        let _rpcbind = Rpcbind::start();
        let _daemon = Daemon::run(&format!(
            "rstatd/1 dgram rpc/udp4 wait root {PROBE} probe rpc 1\nrusersd/1 stream rpc/tcp4 nowait nobody {PROBE} probe\n"
        ));
        wait::until("both are registered", || registered().len() == 2);
        let ports: Vec<u16> = entries().iter().map(|(_, address)| port(address)).collect();
        assert!((600..1024).contains(&ports[0]) && ports[1] >= 1024, "{ports:?}");
    });
}

#[test]
fn an_rpcbind_that_comes_later_is_told_then() {
    sandbox::run(|| {
        need_rpcbind();
        let daemon = Daemon::run(&rstatd("1"));
        wait_for_log("event=not-registered listener=rstatd/rpc/udp program=100001 version=1");
        assert_eq!(log_count("event=not-registered"), 1, "a service says it once");
        let rpc = &daemon.service("rstatd")["listeners"][0]["rpc"];
        assert_eq!((&rpc["registered"], &rpc["why"]), (&json!(false), &json!("rpcbind does not run")));
        let rpcbind = Rpcbind::start();
        wait::until("it is registered", || registered() == ["100001 1 udp", "100001 1 udp6"]);
        wait_for_log("event=registered listener=rstatd/rpc/udp");
        // One that is started anew knows nothing; whoever started it tells us, as with the originals.
        rpcbind.stop();
        let _rpcbind = Rpcbind::start();
        assert_eq!(registered(), [""; 0]);
        daemon.reread();
        wait::until("it is registered again", || registered() == ["100001 1 udp", "100001 1 udp6"]);
        assert_eq!(log_count("event=not-registered"), 1);
    });
}

#[test]
fn an_rpcbind_that_hangs_delays_neither_callers_nor_the_end() {
    sandbox::run(|| {
        need_users();
        let _hangs = UnixListener::bind(SOCKET).expect("bind");
        let rpc = daemon::line("100001/1-9", "dgram rpc/udp", "wait", "rpc 1");
        let daemon = Daemon::run(&[rpc, daemon::line("2001", "stream tcp4", "nowait", "say well")].concat());
        assert_eq!(listen(at(2001)), "well");
        wait_for_log("event=not-registered rpcbind does not answer");
        assert_eq!(listen(at(2001)), "well");
        daemon.signal(Signal::HUP);
        let began = Instant::now();
        assert_eq!(daemon.terminate().code(), Some(0));
        let took = began.elapsed();
        assert!(took < Duration::from_secs(3), "the end took {took:?}");
    });
}

#[test]
fn what_another_has_registered_meanwhile_stays() {
    sandbox::run(|| {
        need_rpcbind();
        let _rpcbind = Rpcbind::start();
        let first = Daemon::run(&rstatd("1-2"));
        wait::until("it is registered", || registered().len() == 4);
        let before = entries();
        fs::write("/etc/other.conf", daemon::line("rstatd/2", "dgram rpc/udp", "wait", "rpc 1"))
            .expect("write");
        let mut other = usherd("run");
        other.args(["--control", "none", "-c", "/etc/other.conf"]);
        let mut other = other.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("spawn");
        wait::until("the newer one has taken over", || {
            entries().len() == 4 && entries()[2..].iter().all(|entry| !before.contains(entry))
        });
        assert_eq!(first.terminate().code(), Some(0));
        assert_eq!(registered(), ["100001 2 udp", "100001 2 udp6"]);
        other.kill().expect("kill");
        other.wait().expect("wait");
    });
}

#[test]
fn the_old_portmapper_is_told_over_udp() {
    sandbox::run(|| {
        need_rpcbind();
        let _rpcbind = Rpcbind::start();
        // rpcbind speaks its protocol, too.
        fs::remove_file(SOCKET).expect("remove");
        let config =
            |versions: &str| daemon::line(&format!("rstatd/{versions}"), "dgram rpc/udp4", "wait", "rpc 1");
        let known = || {
            let (_, table) = said_by({
                let mut command = Command::new("rpcinfo");
                command.args(["-p", "127.0.0.1"]);
                command
            });
            table.lines().filter(|line| line.contains("100001")).count()
        };
        let daemon = Daemon::run(&config("1-3"));
        wait::until("it is registered", || known() == 3);
        daemon.reload(&config("3-4"));
        wait::until("it has changed", || known() == 2);
        call("udp", "127.0.0.1", "100001", "4");
        daemon.reload(&daemon::line("rstatd/1", "dgram rpc/udp6", "wait", "rpc 1"));
        wait_for_log("event=not-registered this portmapper knows IPv4 only");
        assert_eq!(daemon.terminate().code(), Some(0));
        assert_eq!(known(), 0);
    });
}

#[test]
fn check_asks_no_rpcbind_and_says_what_is_wrong() {
    sandbox::run(|| {
        let check = |config: &str| {
            configure(config);
            let mut command = usherd("check");
            command.arg(CONFIG);
            said_by(command)
        };
        fs::write("/etc/rpc", "rstatd 100001\n").expect("write");
        let (status, said) = check(&rstatd("1-3"));
        assert_eq!(status, Some(0), "{said}");
        let (status, said) = check(&rstatd("3-1"));
        assert_eq!(status, Some(78), "{said}");
        assert!(said.contains("bad-rpc-version") && said.contains("^^^ expected a version"), "{said}");
        let (_, said) = check(&daemon::line("nosuch/1", "dgram rpc/udp", "wait", "rpc 1"));
        assert!(said.contains("unknown-rpc-service") && said.contains("add the name to /etc/rpc"), "{said}");
    });
}
