//! Makes a libwrap whose system calls are ours: Debian's archive, with some names changed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What `oracle.c` answers in the system's place.
const CALLS: [&str; 26] = [
    "fork",
    "execl",
    "_exit",
    "exit",
    "wait",
    "nice",
    "umask",
    "setenv",
    "setsockopt",
    "dup",
    "close",
    "fopen",
    "fclose",
    "write",
    "stat",
    "sleep",
    "getpwnam",
    "getgrnam",
    "setuid",
    "setgid",
    "setgroups",
    "initgroups",
    "__syslog_chk",
    "__vsyslog_chk",
    "syslog",
    "vsyslog",
];

fn main() {
    println!("cargo::rerun-if-changed=oracle.c");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets it"));
    let archive = ["/usr/lib/x86_64-linux-gnu/libwrap.a", "/usr/lib/aarch64-linux-gnu/libwrap.a"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("install libwrap0-dev");
    println!("cargo::rerun-if-changed={archive}");
    let mut objcopy = Command::new("objcopy");
    for call in CALLS {
        objcopy.arg("--redefine-sym").arg(format!("{call}=oracle_{call}"));
    }
    // These it has itself, and ours are to win.
    objcopy.args(["--weaken-symbol=rfc931", "--weaken-symbol=shell_cmd", archive]);
    let made = objcopy.arg(out.join("liboracled.a")).status().expect("install binutils");
    assert!(made.success(), "objcopy: {made}");
    cc::Build::new().file("oracle.c").warnings(true).compile("oracle");
    println!("cargo::rustc-link-search=native={}", out.display());
    println!("cargo::rustc-link-lib=static=oracled");
}
