//! `only_from` and `no_access` as the rule says it: every entry is compared with the caller.

use std::net::IpAddr;

use usherd_model::guard::Pattern;

/// Whether a caller is let in whose name is this, or is not known.
pub fn admits(
    only_from: Option<&[Pattern]>,
    no_access: &[Pattern],
    address: IpAddr,
    name: Option<&[u8]>,
) -> bool {
    let nothing: &[Pattern] = &[];
    let lets_in = only_from.unwrap_or(nothing);
    let is_nameless_and_matters = name.is_none() && no_access.iter().any(|pattern| !is_net(pattern));
    let is_refused = no_access.iter().any(|refuses| {
        let is_beaten = lets_in.iter().any(|other| {
            is_net(other) == is_net(refuses)
                && matches(other, address, name)
                && specificity(other) > specificity(refuses)
        });
        matches(refuses, address, name) && !is_beaten
    });
    let is_meant = only_from.is_none() || lets_in.iter().any(|pattern| matches(pattern, address, name));
    is_meant && !is_refused && !is_nameless_and_matters
}

fn is_net(pattern: &Pattern) -> bool {
    matches!(pattern, Pattern::Net(_))
}

fn matches(pattern: &Pattern, address: IpAddr, name: Option<&[u8]>) -> bool {
    let is_named = |test: &dyn Fn(&[u8]) -> bool| name.is_some_and(|name| test(&name.to_ascii_lowercase()));
    match pattern {
        Pattern::Net(net) => {
            let agreeing = (bits(net.addr()) ^ bits(address)).leading_zeros();
            agreeing as usize >= specificity(pattern)
        }
        Pattern::Name(host) => is_named(&|name| name == host.as_bytes()),
        Pattern::Domain(domain) => is_named(&|name| name.ends_with(domain.as_bytes())),
    }
}

/// Bits that agree, or letters. A host is more specific than the domains that it is in, since its name is longer.
fn specificity(pattern: &Pattern) -> usize {
    match pattern {
        Pattern::Net(net) if net.addr().is_ipv4() => 96 + usize::from(net.prefix_len()),
        Pattern::Net(net) => net.prefix_len().into(),
        Pattern::Name(name) | Pattern::Domain(name) => name.len(),
    }
}

/// An address as a socket of both families shows it.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}
