//! What is known of a caller at one point of a search.
//!
//! A look-up shows in `%h`, `%c` and the log only from where it was asked for on, as in libwrap, which keeps each answer
//! where it has asked.

use super::request::{Facts, Found, Lookup, Request, UNKNOWN, is_known};

/// Seconds that a caller's machine has to say who its user is, where no rule says.
pub const PATIENCE: u32 = 10;

/// A caller, what was looked up about it, and what of that was asked for so far.
pub(super) struct Known<'a> {
    pub(super) request: &'a Request,
    facts: &'a Facts,
    /// Seconds that its machine has to say who its user is.
    pub(super) patience: u32,
    pub(super) asked: Asked,
    /// Whether an expansion has taken the odd letters out of the name, and out of the user: libwrap does so where they are
    /// kept, and the log shows it.
    pub(super) has_clean_name: bool,
    /// See `has_clean_name`.
    pub(super) has_clean_user: bool,
}

/// What was asked for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub(super) client_name: bool,
    pub(super) server_name: bool,
    pub(super) user: bool,
}

impl Asked {
    /// All that there is an answer for.
    pub fn all_of(facts: &Facts) -> Self {
        Self {
            client_name: facts.client_name.is_some(),
            server_name: facts.server_name.is_some(),
            user: facts.user.is_some(),
        }
    }
}

/// One end of the connection.
#[derive(Clone, Copy)]
pub(super) enum End {
    Client,
    Server,
}

impl<'a> Known<'a> {
    pub(super) fn new(request: &'a Request, facts: &'a Facts) -> Self {
        Self {
            request,
            facts,
            patience: PATIENCE,
            asked: Asked::default(),
            has_clean_name: false,
            has_clean_user: false,
        }
    }

    pub(super) fn address(&self, end: End) -> &'a [u8] {
        match end {
            End::Client => &self.request.client.address,
            End::Server => &self.request.server.address,
        }
    }

    /// A host name; `None` where it could not be found out.
    pub(super) fn name(&mut self, end: End) -> Result<Option<&'a [u8]>, Lookup> {
        let (request, facts) = (self.request, self.facts);
        let (endpoint, found, lookup) = match end {
            End::Client => (&request.client, &facts.client_name, Lookup::ClientName),
            End::Server => (&request.server, &facts.server_name, Lookup::ServerName),
        };
        if let Some(name) = &endpoint.name {
            return Ok(Some(name));
        }
        let found = found.as_ref().ok_or(lookup)?;
        match end {
            End::Client => self.asked.client_name = true,
            End::Server => self.asked.server_name = true,
        }
        Ok(found.heard())
    }

    /// The caller's user; `None` where it could not be found out.
    pub(super) fn user(&mut self) -> Result<Option<&'a [u8]>, Lookup> {
        let (request, facts) = (self.request, self.facts);
        if let Some(user) = &request.user {
            return Ok(Some(user));
        }
        if !request.has_user() {
            return Ok(Some(UNKNOWN));
        }
        let found = facts.user.as_ref().ok_or(Lookup::User(self.patience))?;
        self.asked.user = true;
        Ok(found.heard())
    }

    /// The name of an end where it was asked for before and is known, and its address otherwise.
    pub(super) fn host(&self, end: End) -> &'a [u8] {
        let (given, asked, found) = match end {
            End::Client => (&self.request.client.name, self.asked.client_name, &self.facts.client_name),
            End::Server => (&self.request.server.name, self.asked.server_name, &self.facts.server_name),
        };
        let name = said(given.as_deref(), asked, found.as_ref()).filter(|name| is_known(name));
        name.unwrap_or(self.address(end))
    }

    /// `user@host`, as far as both were asked for before.
    pub(super) fn client(&self) -> Vec<u8> {
        let mut host = self.host(End::Client).to_vec();
        if self.has_clean_name {
            clean(&mut host);
        }
        let Some(user) = self.known_user() else { return host };
        let mut user = user.to_vec();
        if self.has_clean_user {
            clean(&mut user);
        }
        [user.as_slice(), b"@", &host].concat()
    }

    /// The caller's user, where it was asked for before and is known.
    pub(super) fn known_user(&self) -> Option<&'a [u8]> {
        let found = self.facts.user.as_ref();
        // Nobody doubts a user: one who is called paranoid is.
        said(self.request.user.as_deref(), self.asked.user, found)
            .filter(|user| !user.eq_ignore_ascii_case(UNKNOWN))
    }
}

/// Leaves only letters that mean nothing to a shell.
pub(super) fn clean(text: &mut [u8]) {
    let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"@%-_=+:,./!".contains(&byte);
    text.iter_mut().filter(|byte| !is_harmless(**byte)).for_each(|byte| *byte = b'_');
}

/// A text that was given, or one that was asked for.
fn said<'a>(given: Option<&'a [u8]>, asked: bool, found: Option<&'a Found>) -> Option<&'a [u8]> {
    given.or_else(|| found.filter(|_| asked).and_then(Found::heard))
}

#[cfg(test)]
mod tests {
    use super::super::request::Endpoint;
    use super::*;

    #[test]
    fn a_user_may_be_called_paranoid_and_a_name_may_not() {
        let text = |text: &[u8]| Some(Found::text(text));
        for (user, name, expected) in [
            (b"paranoid".as_slice(), b"a.b".as_slice(), "paranoid@a.b"),
            (b"joe", b"paranoid", "joe@10.1.2.3"),
            (b"Unknown", b"unknown", "10.1.2.3"),
        ] {
            let client = Endpoint::of(([10, 1, 2, 3], 4000).into());
            let request = Request::new(b"x", client, Endpoint::unknown());
            let facts = Facts { client_name: text(name), server_name: None, user: text(user) };
            let mut known = Known::new(&request, &facts);
            known.asked = Asked::all_of(&facts);
            assert_eq!(known.client(), expected.as_bytes());
        }
    }
}
