//! From text to a typed configuration.
//!
//! ```text
//! bytes ─► source (spans) ─► syntax (one tree for all dialects) ─► check ─► service::Config
//! ```
//!
//! No pass fails and none stops at the first error: each returns what it could make of its input, and what it could
//! not use is in the diagnostics. A line that is wrong costs that line.
//!
//! What this module must never do: read a file, look up a name or ask who is running. [`Facts`] stands for the
//! machine; the loader answers with its real data bases, tests with a table.

pub mod check;
pub mod convert;
mod defaults;
pub mod facts;
pub mod includes;
pub mod inetd;
pub mod lints;
mod mux;
pub mod syntax;
pub mod xinetd;

pub use check::check;
pub use defaults::{Defaults, STARTS_WINDOW, Wraps};
pub use facts::{Facts, HostError, NoAnswer, ProgramFault, User};
pub use includes::{Includes, Naming, NoIncludes};
