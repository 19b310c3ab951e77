//! The pure core of usherd.
//!
//! Everything that usherd decides is decided here: what a configuration says, whether a caller is let in, when a
//! listener is polled, what a reload changes. This crate does no I/O, reads no clock, has no `unsafe` and knows no
//! system call, so that all of it can be tested and fuzzed without a system: time comes in as a [`time::Tick`],
//! facts about the machine through [`config::Facts`], and effects go out as [`event::Action`]s.
//!
//! | to learn | look in |
//! | --- | --- |
//! | the whole contract with the shell | [`event`] |
//! | how text becomes a typed configuration | [`config`] |
//! | what a service is | [`service`] |
//! | whom hosts.allow and hosts.deny let in | [`access`] |
//! | whom xinetd's attributes let in | [`guard`] |
//! | when a limit pauses or refuses | [`admission`] |
//! | what happens on an event | [`supervisor`] |
//! | which look-ups about callers are under way | [`lookups`] |
//! | when the helper that makes them has had enough | [`places`] |
//! | what SIGHUP changes | [`reload`] |
//! | what rpcbind is told | [`registry`] |
//! | what a caller of tcpmux wants | [`tcpmux`] |
//! | whether the first load is one to serve with | [`first_load`] |
//! | what `usherd status` shows | [`status`] |
//! | whose connection it is, for the ident service | [`ident`] |
#![forbid(unsafe_code)]

pub mod access;
pub mod admission;
pub mod backoff;
pub mod children;
pub mod config;
pub mod datagram;
pub mod diagnostic;
pub mod environment;
pub mod episode;
pub mod event;
pub mod failure;
pub mod first_load;
pub mod guard;
pub mod ident;
pub mod lifecycle;
pub mod lookups;
pub mod numeral;
pub mod places;
pub mod policy;
pub mod prefix;
pub mod process_settings;
pub mod queue;
pub mod registry;
pub mod reload;
pub mod service;
pub mod slots;
pub mod source;
pub mod status;
pub mod supervisor;
pub mod tcpmux;
pub mod time;
pub mod xadmin;
