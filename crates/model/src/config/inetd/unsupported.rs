//! What other systems have and Linux has not: said, and then done without.

use crate::diagnostic::{Diagnostic, Place};
use crate::source::Span;

/// Linux has no policy of a socket that an unprivileged word could set.
pub(super) fn no_ipsec(span: Span) -> Diagnostic {
    Diagnostic::warning("no-ipsec", Place::Text(span), "IPsec policies are not set on Linux")
        .hint("the service is open without one; use the kernel's own policies (ip xfrm)")
}

/// FreeBSD and NetBSD have them in the kernel.
pub(super) fn no_accept_filter(span: Span) -> Diagnostic {
    Diagnostic::warning("no-accept-filter", Place::Text(span), "Linux has no accept filters")
        .hint("callers are handed over at once")
}
