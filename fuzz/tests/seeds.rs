//! All seeds, once, as an ordinary test: an input that failed once does not fail again.

use std::fs;
use std::path::Path;

fn replay(target: &str, times: u32, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("each target has seeds") {
        let path = entry.expect("a folder can be read").path();
        // Seen when the test fails.
        println!("{}", path.display());
        let bytes = fs::read(&path).expect("a seed can be read");
        (0..times).for_each(|_| check(&bytes));
        count += 1;
    }
    assert!(count > 0, "no seeds in {}", folder.display());
}

#[test]
fn inetd_conf() {
    replay("inetd_conf", 1, usherd_fuzz::inetd_conf::check);
}

#[test]
fn xinetd_conf() {
    replay("xinetd_conf", 1, usherd_fuzz::xinetd_conf::check);
}

#[test]
fn hosts_access() {
    replay("hosts_access", 1, usherd_fuzz::hosts_access::check);
}

#[test]
fn guard() {
    replay("guard", 1, usherd_fuzz::guard::check);
}

#[test]
fn supervisor() {
    replay("supervisor", 1, usherd_fuzz::supervisor::check);
}

/// What meets what in the table differs from run to run.
#[test]
fn admission() {
    replay("admission", 200, usherd_fuzz::admission::check);
}
