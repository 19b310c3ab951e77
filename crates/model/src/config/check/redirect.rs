//! Where callers are connected to, where a service is that.

use std::net::SocketAddr;

use super::{Checker, quoted};
use crate::config::facts::HostError;
use crate::config::syntax::{Entry, Word, Words};
use crate::diagnostic::printable;
use crate::service::{Handover, Redirect, SocketKind, Targets};

impl Checker<'_> {
    /// A host and a port. All addresses of the host are meant, those of IPv4 first: xinetd knows no others of a name.
    pub(super) fn redirect(
        &mut self,
        entry: &Entry,
        kind: Option<SocketKind>,
        handover: Option<Handover>,
        words: &Words,
    ) -> Option<Redirect> {
        let [host, port] = words.values.as_slice() else {
            self.error("bad-redirect", &words.name, "a redirect needs a host and a port").expected =
                "redirect = HOST PORT".to_owned();
            return None;
        };
        let port = self.port_of_name(entry, port, "tcp");
        if kind? != SocketKind::Stream {
            self.error("bad-redirect", &entry.socket_type, "only connections can be redirected").expected =
                "socket_type = stream".to_owned();
            return None;
        }
        if handover == Some(Handover::Listener) {
            self.warning("redirect-waits", &entry.wait, "a redirect serves each caller by itself").hint =
                "served as wait = no".to_owned();
        }
        let port = port?;
        match self.addresses(host) {
            Ok(mut addresses) => {
                addresses.iter_mut().for_each(|address| address.set_port(port));
                Targets::new(addresses).map(Redirect::To)
            }
            Err(why) => {
                self.error("unknown-target", host, format!("{}: {why}", quoted(host))).hint =
                    "callers are turned away until a reload finds it".to_owned();
                Some(Redirect::Unavailable(format!("{}: {why}", printable(&host.value)).into()))
            }
        }
    }

    fn addresses(&mut self, host: &Word) -> Result<Vec<SocketAddr>, String> {
        let unknown = || "no such host".to_owned();
        let name = std::str::from_utf8(&host.value).map_err(|_| unknown())?;
        let (v4, v6) = (self.facts.host(name, false), self.facts.host(name, true));
        let failed = [&v4, &v6].into_iter().find_map(|answer| match answer {
            Err(HostError::Failed(words)) => Some(words.clone()),
            Err(HostError::Unknown) | Ok(_) => None,
        });
        let found: Vec<SocketAddr> = [v4, v6].into_iter().flatten().flatten().collect();
        if found.is_empty() { Err(failed.unwrap_or_else(unknown)) } else { Ok(found) }
    }
}
