//! tcpmux: many services behind one port.

use std::io::Write;

use crate::client::{ask, at, connect, line, rest};
use crate::daemon::{Daemon, wait_for_log};
use crate::sandbox;
use crate::wait;

const CONFIG: &str = "1 stream tcp4 nowait root internal tcpmux\n\
                      tcpmux/+cat stream tcp nowait root /bin/cat cat\n\
                      tcpmux/hello stream tcp nowait root /bin/sh sh -c echo$IFS+Hello;cat\n\
                      tcpmux/+echo stream tcp nowait root internal\n\
                      tcpmux/+missing stream tcp nowait root /no/such/program x\n";

#[test]
fn a_caller_gets_the_service_that_it_names() {
    sandbox::run(|| {
        let _daemon = Daemon::run(CONFIG);
        // What is sent behind the line is the service's, also when it comes with the line.
        assert_eq!(ask(at(1), "cat\r\nfirst\nsecond\n"), "+Go\r\nfirst\nsecond\n");
        assert_eq!(ask(at(1), "CAT\nx"), "+Go\r\nx");
        assert_eq!(ask(at(1), "hello\r\nx"), "+Hello\nx");
        assert_eq!(ask(at(1), "echo\r\nx"), "+Go\r\nx");
    });
}

#[test]
fn the_line_may_come_byte_by_byte() {
    sandbox::run(|| {
        let _daemon = Daemon::run(CONFIG);
        let mut caller = connect(at(1));
        caller.set_nodelay(true).expect("TCP_NODELAY");
        for byte in b"cat\r\n" {
            caller.write_all(&[*byte]).expect("write");
        }
        assert_eq!(line(&mut caller), "+Go\r");
        caller.write_all(b"more\n").expect("write");
        assert_eq!(line(&mut caller), "more");
    });
}

#[test]
fn others_are_told() {
    sandbox::run(|| {
        let daemon = Daemon::run(CONFIG);
        assert_eq!(ask(at(1), "help\r\n"), "cat\r\necho\r\nhello\r\nmissing\r\n");
        assert_eq!(ask(at(1), "nothing\r\n"), "-Service not available\r\n");
        assert_eq!(ask(at(1), ""), "-Service not available\r\n");
        assert_eq!(ask(at(1), "echo"), "+Go\r\n", "the end of what is said ends the line");
        let mut caller = connect(at(1));
        caller.write_all(&[b'x'; 256]).expect("write");
        assert_eq!(rest(&mut caller), "-Error reading service name\r\n");
        // It is told that the program begins before anybody knows that it cannot.
        assert_eq!(ask(at(1), "missing\r\n"), "+Go\r\n");
        wait_for_log("No such file or directory");
        wait::until("all sessions are over", || daemon.status()["sessions"] == 0);
    });
}

#[test]
fn services_keep_their_callers_over_a_reload() {
    sandbox::run(|| {
        let daemon = Daemon::run(CONFIG);
        let mut caller = connect(at(1));
        caller.write_all(b"cat\r\n").expect("write");
        assert_eq!(line(&mut caller), "+Go\r");
        let mut silent = connect(at(1));
        daemon.reload(&CONFIG.replace("/+cat", "/+dog"));
        caller.write_all(b"still here\n").expect("write");
        assert_eq!(line(&mut caller), "still here");
        // Who has not said a name gets what there is now.
        silent.write_all(b"cat\r\n").expect("write");
        assert_eq!(rest(&mut silent), "-Service not available\r\n");
        assert_eq!(ask(at(1), "dog\r\nx"), "+Go\r\nx");
    });
}
