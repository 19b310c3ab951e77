//! Giving rights up, for programs of ours that hear callers. Nothing here ever gains one, and every step that does not
//! work is an error: who gets one must not go on.

use std::fmt;
use std::io;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getegid, geteuid, getgid, getuid, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs,
};
use usherd_sys::{names, process};

/// What is left after becoming nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// No capability; there is no way back.
    Nothing,
    /// Those to become another user.
    ChangeOfUser,
}

/// Why rights could not be given up.
#[derive(Debug)]
pub enum PrivilegeError {
    /// There is nobody to become.
    NoNobody,
    /// A call failed.
    Refused(&'static str, io::Error),
    /// All calls went well, and the ids or capabilities are not what was set.
    Kept,
}

impl fmt::Display for PrivilegeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrivilegeError::NoNobody => write!(f, "there is no user \"nobody\" to become"),
            PrivilegeError::Refused(call, _) => write!(f, "{call}"),
            PrivilegeError::Kept => write!(f, "rights that were given up are still there"),
        }
    }
}

impl std::error::Error for PrivilegeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PrivilegeError::Refused(_, error) => Some(error),
            PrivilegeError::NoNobody | PrivilegeError::Kept => None,
        }
    }
}

/// Root becomes the user `nobody`; anybody else stays who he is. Capabilities go, but for what is kept (of what there
/// was); so do new processes, core files, rights by exec, and most memory.
pub fn become_nobody(keep: Keep) -> Result<(), PrivilegeError> {
    if geteuid().is_root() {
        let nobody = names::user(c"nobody").map_err(|error| PrivilegeError::Refused("getpwnam", error))?;
        let nobody = nobody.filter(|user| user.uid != 0 && user.gid != 0).ok_or(PrivilegeError::NoNobody)?;
        let (uid, gid) = (Some(nobody.uid), Some(nobody.gid));
        set_keep_capabilities(keep == Keep::ChangeOfUser).map_err(refused("PR_SET_KEEPCAPS"))?;
        process::set_groups(&[nobody.gid]).map_err(failed("setgroups"))?;
        process::set_group_ids(gid, gid, gid).map_err(failed("setresgid"))?;
        process::set_user_ids(uid, uid, uid).map_err(failed("setresuid"))?;
        set_keep_capabilities(false).map_err(refused("PR_SET_KEEPCAPS"))?;
        let ids = [getuid(), geteuid()].map(|id| id.as_raw());
        let groups = [getgid(), getegid()].map(|id| id.as_raw());
        if ids != [nobody.uid; 2] || groups != [nobody.gid; 2] {
            return Err(PrivilegeError::Kept);
        }
    }
    keep_only(match keep {
        Keep::Nothing => CapabilitySet::empty(),
        Keep::ChangeOfUser => CHANGE_OF_USER,
    })?;
    set_no_new_privs(true).map_err(refused("PR_SET_NO_NEW_PRIVS"))?;
    for (resource, most) in [(Resource::Nproc, 0), (Resource::Core, 0), (Resource::Data, MOST_MEMORY)] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .map_err(refused("setrlimit"))?;
    }
    Ok(())
}

/// Who can become another user becomes this one, as far as files go; anybody else, and if it is root, stays who he is.
/// No capability is left afterwards.
///
/// Real and saved user stay `nobody`, so the other user can neither stop this process nor have it wait for a file
/// system of his making.
pub fn look_as(uid: u32, gid: u32, groups: &[u32]) -> Result<(), PrivilegeError> {
    let sets = capabilities(None).map_err(refused("capget"))?;
    if uid != 0 && sets.effective.contains(CHANGE_OF_USER) {
        process::set_groups(groups).map_err(failed("setgroups"))?;
        process::set_group_ids(None, Some(gid), None).map_err(failed("setresgid"))?;
        process::set_user_ids(None, Some(uid), None).map_err(failed("setresuid"))?;
        if (geteuid().as_raw(), getegid().as_raw()) != (uid, gid) {
            return Err(PrivilegeError::Kept);
        }
    }
    keep_only(CapabilitySet::empty())
}

const CHANGE_OF_USER: CapabilitySet = CapabilitySet::SETUID.union(CapabilitySet::SETGID);

/// Memory that a name service may take, and no caller makes us take.
const MOST_MEMORY: u64 = 64 << 20;

/// Drops all capabilities but these, and keeps other processes of the new user out of this one.
fn keep_only(wanted: CapabilitySet) -> Result<(), PrivilegeError> {
    clear_ambient_capability_set().map_err(refused("PR_CAP_AMBIENT"))?;
    let kept = wanted & capabilities(None).map_err(refused("capget"))?.permitted;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(refused("capset"))?;
    if capabilities(None).map_err(refused("capget"))? != sets {
        return Err(PrivilegeError::Kept);
    }
    // Whatever fs.suid_dumpable says.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(refused("PR_SET_DUMPABLE"))
}

fn refused(call: &'static str) -> impl Fn(rustix::io::Errno) -> PrivilegeError {
    move |error| PrivilegeError::Refused(call, error.into())
}

fn failed(call: &'static str) -> impl Fn(io::Error) -> PrivilegeError {
    move |error| PrivilegeError::Refused(call, error)
}
