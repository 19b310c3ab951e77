//! What has to hold for any input, one module for each target.
//!
//! A check takes bytes and panics when something does not hold. It does no I/O and depends on nothing but the bytes
//! (and on the keyed hash of the table of sources, which `admission` says more about).
#![forbid(unsafe_code)]

pub mod admission;
pub mod guard;
pub mod hosts_access;
pub mod inetd_conf;
pub mod supervisor;
pub mod xinetd_conf;

mod configuration;
mod machine;
mod shell;
