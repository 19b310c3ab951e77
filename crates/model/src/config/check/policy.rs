//! Who may call, what callers are sent, and what is logged of them.

use std::sync::Arc;

use super::{Checker, quoted};
use crate::config::syntax::{Entry, Word};
use crate::policy::{Banners, MOST_OF_BANNER, Policy};
use crate::service::{Handover, SocketKind};

impl Checker<'_> {
    /// Outer `None`: a word is wrong. Inner `None`: nothing is said.
    #[expect(clippy::option_option, reason = "nothing and something wrong are different answers")]
    pub(super) fn policy(
        &mut self,
        entry: &Entry,
        kind: Option<SocketKind>,
        handover: Option<Handover>,
    ) -> Option<Option<Box<Policy>>> {
        let Some(attributes) = entry.attributes.as_deref() else { return Some(None) };
        let has_callers = kind == Some(SocketKind::Stream) && handover == Some(Handover::Connection);
        let log = self.service_log(attributes, has_callers);
        let always = self.banner(attributes.banner.as_deref());
        let success = self.banner(attributes.banner_success.as_deref());
        let failure = self.banner(attributes.banner_fail.as_deref());
        let banners = Banners { always: always?, success: success?, failure: failure? };
        let guard = self.guard(entry, attributes, kind, handover);
        let policy = Policy { log: log?, banners, guard: guard? };
        Some(Some(policy).filter(|policy| *policy != Policy::default()).map(Box::new))
    }

    #[expect(clippy::option_option, reason = "nothing and something wrong are different answers")]
    fn banner(&mut self, path: Option<&Word>) -> Option<Option<Arc<[u8]>>> {
        let Some(path) = path else { return Some(None) };
        if !path.value.starts_with(b"/") {
            self.error("bad-banner", path, format!("{} is not an absolute path", quoted(path))).expected =
                "a path that begins with /".to_owned();
            return None;
        }
        match self.facts.file(&path.value, MOST_OF_BANNER) {
            Ok(text) => Some(Some(text.into())),
            // As with xinetd, the service is there without it.
            Err(why) => {
                self.warning("no-banner", path, format!("the banner cannot be read: {why}")).hint =
                    "callers are sent nothing until a reload can read it".to_owned();
                Some(None)
            }
        }
    }
}
