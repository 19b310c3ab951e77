//! Programs made ready: a service's program as the plan that its children follow.
//!
//! Everything that a start needs is made when the configuration is taken up, so that a start makes nothing.

use std::ffi::CStr;
use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::process::{Rlimit, getpriority_process};
use usherd_model::environment::{Inherit, inherited, is_told};
use usherd_model::failure::Step as FailedStep;
use usherd_model::process_settings::{Environment, ProcessSettings, Resource};
use usherd_model::service::{CallerVariables, Credentials, Identity, Program, Stderr};
use usherd_model::slots::Side;
use usherd_model::supervisor::{ServiceId, ServiceState};
use usherd_sys::child::{Plan, Setup, Step, StepName, Strings};

use crate::endpoints::HostText;

/// The plans of all services that have programs.
#[derive(Debug)]
pub struct Programs {
    plans: Side<ServiceState, Prepared>,
    last_setup: Option<Arc<Setup>>,
    /// What programs inherit where their services say nothing about that.
    environments: Environments,
    /// The daemon's own priority, which others count from.
    nice: i32,
    /// What gives children back the limit of descriptors that the daemon has raised for itself.
    descriptor_limit: Option<Step>,
    /// Whom the daemon runs as: who runs as the same needs no change.
    own: Own,
}

/// The daemon's own identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// User id.
    pub uid: u32,
    /// Group id, and the only supplementary group.
    pub gid: u32,
}

/// A program made ready.
#[derive(Debug)]
pub struct Prepared {
    /// What children do.
    pub plan: Arc<Plan>,
    /// What they are told about their callers.
    pub variables: CallerVariables,
    /// Where their standard error goes, if it is not the connection.
    pub stderr: Option<Arc<OwnedFd>>,
}

impl Programs {
    /// With the environment that the daemon was started with.
    pub fn new(inherit: Inherit, descriptors: Rlimit, own: Own) -> Self {
        Self {
            plans: Side::default(),
            last_setup: None,
            environments: Environments::new(inherit),
            nice: getpriority_process(None).unwrap_or_default(),
            descriptor_limit: restored_limit(descriptors),
            own,
        }
    }

    /// Makes a service's program ready. A child that still reads the old plan keeps it. `stderr` is the pipe for the
    /// standard error, where that is logged.
    pub fn prepare(&mut self, id: ServiceId, program: &Program, stderr: Option<Arc<OwnedFd>>) {
        let environment = program.process.as_ref().map(|process| &process.environment);
        let environment = self.environments.of(program.variables, environment);
        let setup = self.setup(self.steps(program), environment);
        let plan = Plan::new(setup, Strings::new(program.command.text()))
            .expect("a command line has a path and argv[0]");
        self.plans.insert(id, Prepared { plan: Arc::new(plan), variables: program.variables, stderr });
    }

    /// Takes the pipe for the standard error out of a program that is made ready anew.
    pub fn take_stderr(&mut self, id: ServiceId) -> Option<Arc<OwnedFd>> {
        self.plans.get_mut(id)?.stderr.take()
    }

    /// Forgets a service's program.
    pub fn discard(&mut self, id: ServiceId) {
        self.plans.remove(id);
    }

    /// The program of a service.
    pub fn get(&self, id: ServiceId) -> Option<&Prepared> {
        self.plans.get(id)
    }

    /// Most services are set up as the one before: that is kept once.
    fn setup(&mut self, steps: Vec<Step>, environment: Arc<Strings>) -> Arc<Setup> {
        let is_same =
            |last: &Arc<Setup>| *last.steps == *steps && Arc::ptr_eq(&last.environment, &environment);
        let last = self.last_setup.take().filter(is_same);
        let setup = last.unwrap_or_else(|| Arc::new(Setup { steps: steps.into(), environment }));
        self.last_setup = Some(Arc::clone(&setup));
        setup
    }

    fn steps(&self, program: &Program) -> Vec<Step> {
        let mut steps = Vec::with_capacity(MOST_STEPS);
        steps.extend([Step::Descriptors, Step::Session, Step::Connection(0), Step::Connection(1)]);
        steps.push(match program.stderr {
            Stderr::Connection => Step::Connection(2),
            Stderr::Log => Step::Other(2),
        });
        steps.extend(self.descriptor_limit.clone());
        // While it may: what a service is kept to is not its user's to refuse.
        steps.extend(program.process.iter().flat_map(|process| self.process_steps(process)));
        if let Identity::User(credentials) = &program.identity
            && !self.is_own(credentials)
        {
            let Credentials { uid, gid, groups, .. } = &**credentials;
            steps.push(Step::Groups(groups.clone().into_boxed_slice()));
            steps.push(Step::Group(*gid));
            steps.push(Step::User(*uid));
            steps.push(Step::Verify { uid: *uid, gid: *gid });
        }
        steps.push(Step::Signals);
        steps
    }

    fn process_steps(&self, process: &ProcessSettings) -> Vec<Step> {
        let nice = process.nice.map(|by| {
            let value = (self.nice + i32::from(by)).clamp(-20, 19);
            Step::Nice(i8::try_from(value).unwrap_or_default())
        });
        let umask = process.umask.map(Step::Umask);
        let limits = process.limits.iter().map(|limit| Step::Limit {
            resource: number_of(limit.resource),
            most: limit.most.unwrap_or(NO_LIMIT),
        });
        nice.into_iter().chain(umask).chain(limits).collect()
    }

    fn is_own(&self, credentials: &Credentials) -> bool {
        let Own { uid, gid } = self.own;
        (credentials.uid, credentials.gid) == (uid, gid) && credentials.groups == [gid]
    }
}

/// The most steps that a program needs.
const MOST_STEPS: usize = 11;

/// `RLIM_INFINITY`.
const NO_LIMIT: u64 = u64::MAX;

/// As in getrlimit(2), on the architectures that we have.
fn number_of(resource: Resource) -> i32 {
    match resource {
        Resource::Cpu => 0,
        Resource::Data => 2,
        Resource::Stack => 3,
        Resource::Resident => 5,
        Resource::Descriptors => 7,
        Resource::AddressSpace => 9,
    }
}

/// What programs inherit of the daemon's environment. What tells them about their callers is never inherited: what is
/// not known about a caller is unset.
#[derive(Debug)]
struct Environments {
    /// Variables of the daemon that can be inherited, each with its NUL.
    own: Vec<Vec<u8>>,
    /// All of them, for each way to tell about callers.
    whole: [(CallerVariables, Arc<Strings>); 3],
}

impl Environments {
    fn new(inherit: Inherit) -> Self {
        let mut own = Vec::new();
        for (name, value) in std::env::vars_os() {
            // The environment holds no NUL, or it would not be one.
            let text = [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat();
            if inherited(&text, inherit) {
                own.push(text);
            }
        }
        let all = [CallerVariables::None, CallerVariables::Ucspi, CallerVariables::RemoteHost];
        let whole = all.map(|variables| (variables, strings(&own, variables, &Environment::default())));
        Self { own, whole }
    }

    fn of(&self, variables: CallerVariables, environment: Option<&Environment>) -> Arc<Strings> {
        match environment.filter(|environment| **environment != Environment::default()) {
            Some(environment) => strings(&self.own, variables, environment),
            None => {
                let (_, whole) = self.whole.iter().find(|(of, _)| *of == variables).unwrap_or(&self.whole[0]);
                Arc::clone(whole)
            }
        }
    }
}

fn strings(own: &[Vec<u8>], variables: CallerVariables, environment: &Environment) -> Arc<Strings> {
    let inherited = own.iter().filter(|text| environment.inherits(text) && !is_told(text, variables));
    let mut text: Vec<u8> = inherited.flatten().copied().collect();
    for variable in environment.set.iter().filter(|text| !is_told(text, variables)) {
        text.extend_from_slice(variable);
        text.push(0);
    }
    Arc::new(Strings::new(text.into()))
}

/// The step that gives children the limit of descriptors as it was before the daemon raised its own.
fn restored_limit(original: Rlimit) -> Option<Step> {
    let now = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let number = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    if now == original {
        return None;
    }
    Some(Step::DescriptorLimit { soft: number(original.current), hard: number(original.maximum) })
}

/// The step of the core's words for a step of the child's.
pub fn failed_step(step: StepName) -> FailedStep {
    match step {
        StepName::Descriptors | StepName::Connection | StepName::Other => FailedStep::Descriptors,
        StepName::Session => FailedStep::Session,
        StepName::Groups => FailedStep::Groups,
        StepName::Group => FailedStep::Group,
        StepName::User => FailedStep::User,
        StepName::Verify => FailedStep::Verify,
        StepName::DescriptorLimit | StepName::Limit => FailedStep::Limit,
        StepName::Nice => FailedStep::Nice,
        StepName::Umask => FailedStep::Umask,
        StepName::Signals => FailedStep::Signals,
        StepName::Exec => FailedStep::Exec,
    }
}

/// The variables that tell a program about one caller, as names with values in one small buffer.
#[derive(Debug)]
pub struct CallerValues {
    text: [u8; 160],
    /// Where each value ends, and how many there are.
    ends: [usize; MOST_VALUES],
    names: &'static [&'static CStr],
}

/// The most of them.
pub const MOST_VALUES: usize = 5;
const UCSPI_NAMES: [&CStr; MOST_VALUES] =
    [c"PROTO", c"TCPREMOTEIP", c"TCPREMOTEPORT", c"TCPLOCALIP", c"TCPLOCALPORT"];

impl CallerValues {
    /// By the UCSPI convention: the addresses of both ends of a TCP connection.
    pub fn ucspi(remote: SocketAddr, local: SocketAddr) -> Self {
        // A caller with IPv4 on an IPv6 socket is an IPv4 caller.
        let (from, to) = (remote.ip().to_canonical(), local.ip().to_canonical());
        let (remote, local) = (remote.port(), local.port());
        Self::new(&UCSPI_NAMES, [&"TCP", &from, &remote, &to, &local])
    }

    /// As xinetd has it: the caller's address, as the socket has that.
    pub fn remote_host(remote: SocketAddr) -> Self {
        Self::new(&[c"REMOTE_HOST"], [&HostText(remote)])
    }

    /// Two addresses of at most 45 bytes and two ports of at most 5 fit, or one with the name of an interface.
    fn new<const N: usize>(names: &'static [&'static CStr], values: [&dyn Display; N]) -> Self {
        let mut new = Self { text: [0; 160], ends: [0; MOST_VALUES], names };
        let mut rest = new.text.as_mut_slice();
        let total = rest.len();
        for (end, value) in new.ends.iter_mut().zip(values) {
            let _ = write!(rest, "{value}");
            *end = total - rest.len();
        }
        new
    }

    /// Names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static CStr, &[u8])> {
        self.names.iter().enumerate().map(|(index, name)| {
            let start = if index == 0 { 0 } else { self.ends[index - 1] };
            (*name, &self.text[start..self.ends[index]])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ucspi_values_are_those_of_both_ends() {
        let values = CallerValues::ucspi(
            "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().expect("address"),
            "[::ffff:192.0.2.1]:21".parse().expect("address"),
        );
        let pairs: Vec<String> = values
            .pairs()
            .map(|(name, value)| format!("{}={}", name.to_string_lossy(), String::from_utf8_lossy(value)))
            .collect();
        assert_eq!(
            pairs,
            [
                "PROTO=TCP",
                "TCPREMOTEIP=2001:db8:1111:2222:3333:4444:5555:6666",
                "TCPREMOTEPORT=65535",
                "TCPLOCALIP=192.0.2.1",
                "TCPLOCALPORT=21"
            ]
        );
    }
}
