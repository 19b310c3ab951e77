//! The attributes that there are: how each is written, and where.
//!
//! Source: `src/parse.c` of xinetd 2.3.15 and xinetd.conf(5).

/// One attribute; `interface` is another word for `bind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Attribute {
    Id,
    Type,
    Flags,
    Disable,
    SocketType,
    Protocol,
    Wait,
    User,
    Group,
    Groups,
    Umask,
    Instances,
    PerSource,
    Nice,
    Server,
    ServerArgs,
    OnlyFrom,
    NoAccess,
    AccessTimes,
    LogType,
    LogOnSuccess,
    LogOnFailure,
    RpcVersion,
    RpcNumber,
    Env,
    Passenv,
    Port,
    Redirect,
    Bind,
    Banner,
    BannerSuccess,
    BannerFail,
    Cps,
    MaxLoad,
    RlimitAs,
    RlimitCpu,
    RlimitData,
    RlimitFiles,
    RlimitRss,
    RlimitStack,
    V6only,
    DenyTime,
    Libwrap,
    Mdns,
    Disabled,
    Enabled,
}

/// How an attribute is written.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) attribute: Attribute,
    pub(super) values: Values,
    pub(super) operators: Operators,
    pub(super) place: Place,
    /// Whether callers are kept out by it: who writes its name wrong must not have a service that is open to all.
    pub(super) restricts: bool,
}

/// How many values an attribute has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    Exactly(usize),
    Any,
}

/// Which operators an attribute takes besides `=`. One that takes others can be given several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operators {
    Set,
    SetAdd,
    All,
}

/// In which blocks an attribute can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Service,
    Defaults,
    Both,
}

impl Form {
    const fn one(name: &'static str, attribute: Attribute, place: Place) -> Self {
        Self {
            name,
            attribute,
            values: Values::Exactly(1),
            operators: Operators::Set,
            place,
            restricts: false,
        }
    }

    const fn two(name: &'static str, attribute: Attribute, place: Place) -> Self {
        Self { values: Values::Exactly(2), ..Self::one(name, attribute, place) }
    }

    const fn many(name: &'static str, attribute: Attribute, operators: Operators, place: Place) -> Self {
        Self { values: Values::Any, operators, ..Self::one(name, attribute, place) }
    }

    const fn restricting(self) -> Self {
        Self { restricts: true, ..self }
    }

    pub(super) fn can_stand_in(&self, place: Place) -> bool {
        self.place == Place::Both || self.place == place
    }
}

/// All of them.
pub(super) static FORMS: [Form; 47] = [
    Form::one("id", Attribute::Id, Place::Service),
    Form::many("type", Attribute::Type, Operators::Set, Place::Service),
    Form::many("flags", Attribute::Flags, Operators::Set, Place::Service).restricting(),
    Form::one("disable", Attribute::Disable, Place::Service).restricting(),
    Form::one("socket_type", Attribute::SocketType, Place::Service),
    Form::one("protocol", Attribute::Protocol, Place::Service),
    Form::one("wait", Attribute::Wait, Place::Service),
    Form::one("user", Attribute::User, Place::Service),
    Form::one("group", Attribute::Group, Place::Service).restricting(),
    Form::one("groups", Attribute::Groups, Place::Both),
    Form::one("umask", Attribute::Umask, Place::Both).restricting(),
    Form::one("instances", Attribute::Instances, Place::Both).restricting(),
    Form::one("per_source", Attribute::PerSource, Place::Both).restricting(),
    Form::one("nice", Attribute::Nice, Place::Service),
    Form::one("server", Attribute::Server, Place::Service),
    Form::many("server_args", Attribute::ServerArgs, Operators::Set, Place::Service).restricting(),
    Form::many("only_from", Attribute::OnlyFrom, Operators::All, Place::Both).restricting(),
    Form::many("no_access", Attribute::NoAccess, Operators::All, Place::Both).restricting(),
    Form::many("access_times", Attribute::AccessTimes, Operators::Set, Place::Service).restricting(),
    Form::many("log_type", Attribute::LogType, Operators::Set, Place::Both),
    Form::many("log_on_success", Attribute::LogOnSuccess, Operators::All, Place::Both),
    Form::many("log_on_failure", Attribute::LogOnFailure, Operators::All, Place::Both),
    Form::one("rpc_version", Attribute::RpcVersion, Place::Service),
    Form::one("rpc_number", Attribute::RpcNumber, Place::Service),
    Form::many("env", Attribute::Env, Operators::SetAdd, Place::Service),
    Form::many("passenv", Attribute::Passenv, Operators::All, Place::Both).restricting(),
    Form::one("port", Attribute::Port, Place::Service),
    Form::two("redirect", Attribute::Redirect, Place::Service),
    Form::one("bind", Attribute::Bind, Place::Both).restricting(),
    Form::one("interface", Attribute::Bind, Place::Both).restricting(),
    Form::one("banner", Attribute::Banner, Place::Both),
    Form::one("banner_success", Attribute::BannerSuccess, Place::Both),
    Form::one("banner_fail", Attribute::BannerFail, Place::Both),
    Form::two("cps", Attribute::Cps, Place::Both).restricting(),
    Form::one("max_load", Attribute::MaxLoad, Place::Both).restricting(),
    Form::one("rlimit_as", Attribute::RlimitAs, Place::Service).restricting(),
    Form::one("rlimit_cpu", Attribute::RlimitCpu, Place::Service).restricting(),
    Form::one("rlimit_data", Attribute::RlimitData, Place::Service).restricting(),
    Form::one("rlimit_files", Attribute::RlimitFiles, Place::Service).restricting(),
    Form::one("rlimit_rss", Attribute::RlimitRss, Place::Service).restricting(),
    Form::one("rlimit_stack", Attribute::RlimitStack, Place::Service).restricting(),
    Form::one("v6only", Attribute::V6only, Place::Both),
    Form::one("deny_time", Attribute::DenyTime, Place::Service).restricting(),
    Form::one("libwrap", Attribute::Libwrap, Place::Service).restricting(),
    Form::one("mdns", Attribute::Mdns, Place::Both),
    Form::many("disabled", Attribute::Disabled, Operators::All, Place::Defaults).restricting(),
    Form::many("enabled", Attribute::Enabled, Operators::All, Place::Defaults).restricting(),
];

/// The attribute of that name, in letters of either case.
pub(super) fn form(name: &[u8]) -> Option<&'static Form> {
    FORMS.iter().find(|form| name.eq_ignore_ascii_case(form.name.as_bytes()))
}

/// The attribute in such blocks whose name is the most like this one, if one is like it at all.
pub(super) fn nearest(name: &[u8], place: Place) -> Option<&'static Form> {
    let name = name.to_ascii_lowercase();
    let forms = FORMS.iter().filter(|form| form.can_stand_in(place) && is_like(&name, form.name));
    // What restricts is what must not be missed.
    forms.min_by_key(|form| (edits(&name, form.name.as_bytes()), !form.restricts))
}

/// Whether a word in lower case is another, but for a letter or two.
pub(super) fn is_like(word: &[u8], other: &str) -> bool {
    edits(word, other.as_bytes()) <= other.len().div_ceil(4).min(2)
}

/// Letters to change, add, take away or swap with the next to make one word of the other; no more than matters.
fn edits(from: &[u8], to: &[u8]) -> usize {
    if from.len().abs_diff(to.len()) > 2 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let changed = last[column] + usize::from(letter != other);
            let mut least = changed.min(last[column + 1] + 1).min(next[column] + 1);
            let is_swap = row > 0 && column > 0 && from[row - 1] == *other && *letter == to[column - 1];
            if is_swap {
                least = least.min(before[column - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_like_the_one_that_was_meant() {
        for (written, meant) in [
            ("only_form", Some("only_from")),
            ("onlyfrom", Some("only_from")),
            ("NO_ACESS", Some("no_access")),
            ("per_sorce", Some("per_source")),
            ("instance", Some("instances")),
            ("wiat", Some("wait")),
            ("disabled", Some("disable")),
            ("disabeld", Some("disable")),
            ("colour", None),
            ("x", None),
        ] {
            let found = nearest(written.as_bytes(), Place::Service);
            assert_eq!(found.map(|form| form.name), meant, "{written}");
        }
    }

    #[test]
    fn each_name_stands_once() {
        for (at, form) in FORMS.iter().enumerate() {
            assert!(FORMS[..at].iter().all(|other| other.name != form.name), "{}", form.name);
        }
    }
}
