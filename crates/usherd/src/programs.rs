//! Programs made ready: a service's program as the plan that its children follow.
//!
//! Everything that a start needs is made when the configuration is taken up, so that a start makes nothing.

use std::ffi::CStr;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::process::Rlimit;
use usherd_model::environment::{Inherit, inherited, is_ucspi};
use usherd_model::failure::Step as FailedStep;
use usherd_model::service::{Credentials, Identity, Program, Stderr};
use usherd_model::slots::Side;
use usherd_model::supervisor::{ServiceId, ServiceState};
use usherd_sys::child::{Plan, Setup, Step, StepName, Strings};

/// The plans of all services that have programs.
#[derive(Debug)]
pub struct Programs {
    plans: Side<ServiceState, Prepared>,
    last_setup: Option<Arc<Setup>>,
    environment: Arc<Strings>,
    /// The same without UCSPI variables: what is not known about a caller is unset, not inherited.
    ucspi_environment: Arc<Strings>,
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
    /// Whether they get UCSPI variables.
    pub ucspi: bool,
    /// Where their standard error goes, if it is not the connection.
    pub stderr: Option<Arc<OwnedFd>>,
}

impl Programs {
    /// With the environment that the daemon was started with.
    pub fn new(inherit: Inherit, descriptors: Rlimit, own: Own) -> Self {
        let mut all = Vec::new();
        let mut without_ucspi = Vec::new();
        for (name, value) in std::env::vars_os() {
            // The environment holds no NUL, or it would not be one.
            let text = [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat();
            if inherited(&text, inherit) {
                all.extend(&text);
                if !is_ucspi(&text) {
                    without_ucspi.extend(text);
                }
            }
        }
        Self {
            plans: Side::default(),
            last_setup: None,
            environment: Arc::new(Strings::new(all.into())),
            ucspi_environment: Arc::new(Strings::new(without_ucspi.into())),
            descriptor_limit: restored_limit(descriptors),
            own,
        }
    }

    /// Makes a service's program ready. A child that still reads the old plan keeps it. `stderr` is the pipe for the
    /// standard error, where that is logged.
    pub fn prepare(&mut self, id: ServiceId, program: &Program, stderr: Option<Arc<OwnedFd>>) {
        let environment = if program.ucspi { &self.ucspi_environment } else { &self.environment };
        let setup = self.setup(self.steps(program), Arc::clone(environment));
        let plan = Plan::new(setup, Strings::new(program.command.text()))
            .expect("a command line has a path and argv[0]");
        self.plans.insert(id, Prepared { plan: Arc::new(plan), ucspi: program.ucspi, stderr });
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

    fn is_own(&self, credentials: &Credentials) -> bool {
        let Own { uid, gid } = self.own;
        (credentials.uid, credentials.gid) == (uid, gid) && credentials.groups == [gid]
    }
}

/// The most steps that a program needs.
const MOST_STEPS: usize = 11;

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
        StepName::DescriptorLimit => FailedStep::Limit,
        StepName::Signals => FailedStep::Signals,
        StepName::Exec => FailedStep::Exec,
    }
}

/// The UCSPI variables of one TCP connection, as names with values in one small buffer.
#[derive(Debug)]
pub struct UcspiValues {
    text: [u8; 160],
    /// Where each value ends.
    ends: [usize; 4],
}

const UCSPI_NAMES: [&CStr; 4] = [c"TCPREMOTEIP", c"TCPREMOTEPORT", c"TCPLOCALIP", c"TCPLOCALPORT"];

impl UcspiValues {
    /// The addresses of both ends.
    pub fn new(remote: SocketAddr, local: SocketAddr) -> Self {
        use std::io::Write;
        let mut values = Self { text: [0; 160], ends: [0; 4] };
        let mut rest = values.text.as_mut_slice();
        let total = rest.len();
        for (end, address) in values.ends.chunks_mut(2).zip([remote, local]) {
            // A caller with IPv4 on an IPv6 socket is an IPv4 caller. Two addresses of at most 45 bytes and two ports of at most 5 fit.
            let _ = write!(rest, "{}", address.ip().to_canonical());
            end[0] = total - rest.len();
            let _ = write!(rest, "{}", address.port());
            end[1] = total - rest.len();
        }
        values
    }

    /// Names and values, with `PROTO` first.
    pub fn pairs(&self) -> [(&'static CStr, &[u8]); 5] {
        let value = |index: usize| {
            let start = if index == 0 { 0 } else { self.ends[index - 1] };
            (UCSPI_NAMES[index], &self.text[start..self.ends[index]])
        };
        [(c"PROTO", b"TCP"), value(0), value(1), value(2), value(3)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ucspi_values_are_those_of_both_ends() {
        let values = UcspiValues::new(
            "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().expect("address"),
            "[::ffff:192.0.2.1]:21".parse().expect("address"),
        );
        let pairs: Vec<String> = values
            .pairs()
            .iter()
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
