//! End-to-end tests: the real binary in namespaces of its own, called by real callers.
//!
//! This one executable is everything that a test needs, so that a toolchain and a kernel are enough: the tests, the
//! small init of each sandbox (see `sandbox`), and the programs that services run (see `probe`). Which one it is, is
//! decided before libtest's `main` begins, so that a probe writes nothing but what it is asked to and a sandbox is
//! made while there is only one thread.

mod access_tools;
mod bad_input;
mod bad_xinetd;
mod builtins;
mod check_tables;
mod client;
mod convert;
mod daemon;
mod datagrams;
mod defects;
mod endless;
mod faces;
mod failures;
mod ident;
mod lifecycle;
mod limits;
mod name_server;
mod own_tables;
mod probe;
mod promises;
mod redirect;
mod reload;
mod resolve;
mod resources;
mod rpc;
mod sandbox;
mod source_route;
mod starting;
mod syslog;
mod tcpmux;
mod traced;
mod unix_sockets;
mod wait;
mod waiting;
mod wrapped_inetd;
mod wrapper_tools;
mod wrappers;
mod xinetd;

/// Called by the C library, on the only thread there is, before `main`.
#[used]
// SAFETY: the section holds pointers to functions that take (or, as here, ignore) the arguments of main.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

/// Returns only in a process that is to run tests.
extern "C" fn before_main() {
    if probe::is_called() {
        probe::main();
    }
    sandbox::make_if_asked();
}
