//! xinetd.conf: what blocks mean, and what is said about those that mean nothing.

mod world;

use std::time::Duration;

use usherd_model::config::xinetd::is_written_in;
use usherd_model::diagnostic::{Diagnostic, Diagnostics, Severity};
use usherd_model::policy::LogTarget;
use usherd_model::process_settings::{ProcessSettings, Resource, ResourceLimit};
use usherd_model::service::{
    AtLimit, Builtin, CallerVariables, Config, Handover, Identity, Rate, Redirect, Service, Task, Voice,
};
use world::{Files, read_xinetd};

fn read(text: &str) -> (Config, Vec<Diagnostic>) {
    let (config, diagnostics, _) = read_xinetd(text, &mut Files(Vec::new()));
    (config, diagnostics)
}

fn one(text: &str) -> Service {
    let (config, diagnostics) = read(text);
    let [service] = config.services.as_slice() else { panic!("one service, not {config:?} {diagnostics:?}") };
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    assert_eq!(errors.count(), 0, "{diagnostics:?}");
    service.clone()
}

/// A service on port 9000 with these lines besides what each must have.
fn with(lines: &str) -> String {
    format!(
        "service it\n{{\n type = UNLISTED\n port = 9000\n socket_type = stream\n wait = no\n user = nobody\n \
         server = /bin/cat\n{lines}\n}}\n"
    )
}

fn codes(text: &str) -> Vec<&'static str> {
    read(text).1.iter().map(|diagnostic| diagnostic.code).collect()
}

fn addresses(service: &Service) -> Vec<String> {
    service.listeners.iter().map(|listener| listener.key.address.display()).collect()
}

#[test]
fn a_service_is_what_its_block_says() {
    let service = one(
        "# default: on\nservice ftp\n{\n\tsocket_type\t= stream\n\tprotocol\t= tcp\n\twait\t\t= no\n\tuser\t\t= www-data\n\
         \tgroup = tty\n\tserver\t\t= /usr/sbin/in.ftpd\n\tserver_args\t= -l \"a b\n\tinstances = 4\n\tper_source = 2\n\
         \tcps = 25 30\n\tflags = KEEPALIVE nodelay\n}\n",
    );
    assert_eq!(&*service.name, b"ftp");
    assert_eq!(addresses(&service), ["[::]:21 (IPv4 too)"]);
    let extras = service.listeners[0].extras();
    assert!(extras.keep_alive && extras.no_delay);
    assert_eq!(service.listeners[0].backlog, 128);
    let program = service.program().expect("a program");
    let arguments: Vec<&[u8]> = program.command.arguments().collect();
    assert_eq!(arguments, [b"in.ftpd".as_slice(), b"-l", b"\"a", b"b"]);
    assert_eq!((program.handover, program.variables), (Handover::Connection, CallerVariables::RemoteHost));
    let Identity::User(user) = &program.identity else { panic!("a user") };
    assert_eq!((user.uid, user.gid, user.groups.as_slice()), (33, 5, [].as_slice()));
    let limits = &service.limits;
    assert_eq!((limits.children, limits.source_children), (Some(4), Some(2)));
    assert_eq!(limits.starts, Some(Rate { count: 25, window: Duration::from_secs(1) }));
    assert_eq!((limits.rest, limits.at_limit), (Some(Duration::from_secs(30)), AtLimit::Refuse));
    let wrapped = service.wrapped.as_ref().expect("hosts.allow is asked");
    assert_eq!((&*wrapped.daemon, wrapped.voice), (b"in.ftpd".as_slice(), Voice::Xinetd));
}

#[test]
fn what_is_not_said_is_as_with_xinetd() {
    let service = one(&with(""));
    let limits = &service.limits;
    assert_eq!((limits.children, limits.source_children), (None, None));
    assert_eq!(limits.starts, Some(Rate { count: 50, window: Duration::from_secs(1) }));
    assert_eq!(limits.rest, Some(Duration::from_secs(10)));
    assert_eq!(service.program().and_then(|program| program.process.clone()), None);
    // One of the two says what the other is.
    let udp = one(&with("").replace("socket_type = stream", "protocol = udp"));
    assert_eq!(udp.listeners[0].key.kind.word(), "dgram");
    assert_eq!(one(&with("cps = 0 1")).limits.starts, None);
    assert_eq!(one(&with("instances = UNLIMITED")).limits.children, None);
    assert_eq!(one(&with("instances = 0")).limits.children, Some(0));
}

#[test]
fn defaults_hold_wherever_they_stand_and_a_service_changes_them() {
    let text = format!(
        "{}{}defaults\n{{\n instances = 7\n per_source = 3\n umask = 27\n passenv = TZ\n passenv += LANG\n}}\n",
        with("instances = 2\n passenv -= TZ"),
        with("").replace("service it", "service other").replace("9000", "9001"),
    );
    let (config, diagnostics) = read(&text);
    assert_eq!(diagnostics, []);
    let [it, other] = config.services.as_slice() else { panic!("two") };
    assert_eq!((it.limits.children, it.limits.source_children), (Some(2), Some(3)));
    assert_eq!(other.limits.children, Some(7));
    let process = |service: &Service| service.program()?.process.clone();
    let names = |service| process(service).expect("settings").environment.inherited.clone().expect("names");
    assert_eq!(*names(it), [Box::from(b"LANG".as_slice())]);
    assert_eq!(*names(other), [Box::from(b"TZ".as_slice()), Box::from(b"LANG".as_slice())]);
    assert_eq!(process(other).and_then(|process| process.umask), Some(0o27));
}

#[test]
fn services_are_switched_off_and_on_by_id() {
    let services = "service a\n{\n id = first\n type = UNLISTED\n port = 1001\n socket_type = stream\n wait = no\n \
                    user = root\n server = /bin/a\n}\nservice b\n{\n type = UNLISTED\n port = 1002\n socket_type = \
                    stream\n wait = no\n user = root\n server = /bin/b\n}\nservice c\n{\n disable = yes\n \
                    nonsense\n = = =\n}\n";
    let names = |defaults: &str| {
        let text = format!("defaults\n{{\n{defaults}\n}}\n{}", services.replace(" nonsense\n = = =\n", ""));
        let (config, diagnostics) = read(&text);
        assert_eq!(diagnostics, []);
        config.services.iter().map(Service::display_name).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["first", "b"]);
    assert_eq!(names("disabled = first"), ["b"]);
    assert_eq!(names("enabled = first b\n disabled = b"), ["first"]);
    assert_eq!(names("enabled ="), [""; 0]);
    assert_eq!(names("disabled = FIRST"), ["b"]);
    assert_eq!(names("enabled = First"), ["first"]);
}

#[test]
fn families_and_addresses() {
    let address = |lines: &str| addresses(&one(&with(lines)));
    assert_eq!(address(""), ["[::]:9000 (IPv4 too)"]);
    assert_eq!(address("flags = IPv4"), ["*:9000"]);
    assert_eq!(address("flags = IPv6"), ["[::]:9000 (IPv4 too)"]);
    assert_eq!(address("flags = IPv6\n v6only = yes"), ["[::]:9000"]);
    assert_eq!(address("v6only = no"), ["[::]:9000 (IPv4 too)"]);
    assert_eq!(address("bind = 127.0.0.1"), ["127.0.0.1:9000"]);
    assert_eq!(address("interface = ::1"), ["[::1]:9000"]);
    assert_eq!(address("bind = localhost"), ["127.0.0.1:9000", "[::1]:9000"]);
    assert_eq!(address("bind = localhost\n flags = IPv4"), ["127.0.0.1:9000"]);
    assert_eq!(address("bind = ::"), ["[::]:9000 (IPv4 too)"]);
    assert_eq!(address("bind = ::\n v6only = yes"), ["[::]:9000"]);
    assert_eq!(address("bind = fe80::1%3"), ["[fe80::1%3]:9000"]);
    assert_eq!(address("bind = ::ffff:127.0.0.1"), ["[::ffff:127.0.0.1]:9000 (IPv4 too)"]);
}

#[test]
fn a_port_is_written_or_listed() {
    let listed = |lines: &str| {
        format!(
            "service ftp\n{{\n socket_type = stream\n wait = no\n user = root\n server = /bin/cat\n{lines}\n}}\n"
        )
    };
    assert_eq!(addresses(&one(&listed("port = 21"))), ["[::]:21 (IPv4 too)"]);
    // xinetd refuses both; it is plain what is meant.
    assert_eq!(addresses(&one(&listed("port = 2121"))), ["[::]:2121 (IPv4 too)"]);
    assert_eq!(codes(&listed("port = 2121")), ["port-not-listed"]);
    assert_eq!(codes(&with("").replace("type = UNLISTED", "")), ["port-not-listed"]);
    assert_eq!(codes(&listed("type = UNLISTED")), ["missing-attribute"]);
}

#[test]
fn what_stands_around_a_program_is_set() {
    let service = one(&with(
        "nice = -5\n umask = 077\n rlimit_as = 8M\n rlimit_cpu = 20\n rlimit_files = 2K\n env = A=1 B=x=y\n \
         env += A=2\n passenv =",
    ));
    let process = service.program().and_then(|program| program.process.clone()).expect("settings");
    let limit = |resource, most| ResourceLimit { resource, most };
    let ProcessSettings { nice, umask, limits, environment } = &*process;
    assert_eq!((*nice, *umask), (Some(-5), Some(0o77)));
    assert_eq!(
        **limits,
        [
            limit(Resource::AddressSpace, Some(8 << 20)),
            limit(Resource::Cpu, Some(20)),
            limit(Resource::Descriptors, Some(2048))
        ]
    );
    assert_eq!(*environment.set, [Box::from(b"A=2".as_slice()), Box::from(b"B=x=y".as_slice())]);
    assert!(!environment.inherits(b"TZ=UTC\0"));
    for (line, code) in [
        ("nice = 2x", "bad-nice"),
        ("umask = 8", "bad-umask"),
        ("rlimit_as = 99999999999999999999", "bad-resource-limit"),
        ("rlimit_as = 18446744073709551615", "bad-resource-limit"),
        ("rlimit_cpu = 20M", "bad-resource-limit"),
        ("max_load = 0", "bad-load"),
        ("max_load = 0.0", "bad-load"),
        ("rlimit_files = 20G", "bad-resource-limit"),
        ("env = NOTHING", "bad-variable"),
        ("env = =x", "bad-variable"),
    ] {
        let (config, diagnostics) = read(&with(line));
        assert_eq!((config.services.len(), diagnostics[0].code), (0, code), "{line}");
    }
}

#[test]
fn user_and_group_can_be_numbers() {
    let identity = |lines: &str| {
        let service = one(&with(lines).replace(" user = nobody\n", ""));
        match service.program().map(|program| program.identity.clone()) {
            Some(Identity::User(user)) => (user.uid, user.gid, user.groups.clone()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(identity("user = 12"), (12, 12, vec![]));
    assert_eq!(identity("user = www-data\n group = 7\n groups = yes"), (33, 7, vec![33, 8]));
}

#[test]
fn internal_services_behind_their_types() {
    let echo = one("service echo\n{\n type = INTERNAL\n socket_type = stream\n wait = no\n}\n");
    assert_eq!(echo.task, Task::Builtin(Builtin::Echo));
    assert_eq!(&*echo.wrapped.expect("hosts.allow is asked").daemon, b"echo");
    let own =
        "service echo\n{\n type = INTERNAL UNLISTED\n port = 7777\n socket_type = stream\n wait = no\n}\n";
    assert_eq!(addresses(&one(own)), ["[::]:7777 (IPv4 too)"]);
    let unknown =
        "service nothing\n{\n type = INTERNAL UNLISTED\n port = 7\n socket_type = stream\n wait = no\n}\n";
    assert_eq!(codes(unknown), ["unknown-internal"]);
    let rpc =
        one(&with("rpc_version = 2-4\n rpc_number = 300019")
            .replace("UNLISTED\n port = 9000", "RPC UNLISTED"));
    assert_eq!(
        rpc.listeners[0].extras().versions.map(|versions| versions.to_string()).as_deref(),
        Some("2-4")
    );
}

#[test]
fn what_shows_the_daemon_is_for_its_own_machine() {
    let text = |name: &str, lines: &str| {
        format!("service {name}\n{{\n type = INTERNAL UNLISTED\n port = 9098\n wait = no\n{lines}\n}}\n")
    };
    for (name, builtin) in
        [("services", Builtin::Services), ("servers", Builtin::Servers), ("xadmin", Builtin::Xadmin)]
    {
        for bind in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost"] {
            let service = one(&text(name, &format!(" socket_type = stream\n bind = {bind}")));
            assert_eq!(service.task, Task::Builtin(builtin), "{bind}");
        }
        for lines in [
            " socket_type = stream",
            " socket_type = stream\n only_from = 127.0.0.1",
            " socket_type = stream\n flags = IPv4",
            " socket_type = stream\n bind = 192.0.2.1",
            " socket_type = stream\n bind = 0.0.0.0",
            " socket_type = stream\n bind = two",
            " socket_type = stream\n bind = ::ffff:192.0.2.1",
        ] {
            let (config, diagnostics) = read(&text(name, lines));
            assert!(config.services.is_empty(), "{name} {lines}");
            let [error] = diagnostics.as_slice() else { panic!("{name} {lines} {diagnostics:?}") };
            assert_eq!((error.code, error.severity), ("shown-to-others", Severity::Error), "{lines}");
            assert_eq!(error.hint, "bind = 127.0.0.1");
        }
        assert_eq!(codes(&text(name, " socket_type = dgram\n bind = 127.0.0.1")), ["unknown-internal"]);
        // Its callers would be those of tcpmux.
        let mux =
            "service tcpmux\n{\n type = INTERNAL UNLISTED\n port = 1\n socket_type = stream\n wait = no\n}\n"
                .to_owned()
                + &text(name, " socket_type = stream").replace("UNLISTED\n port = 9098", "TCPMUX");
        assert_eq!(codes(&mux), ["shown-to-others"]);
        // inetd never had them.
        let (config, diagnostics, _) =
            world::read(&format!("127.0.0.1:9098 stream tcp4 nowait root internal {name}\n"));
        assert_eq!((config.services.len(), diagnostics[0].code), (0, "unknown-internal"));
    }
}

#[test]
fn tcpmux_names_what_is_behind_it() {
    let (config, diagnostics) = read(&format!(
        "service tcpmux\n{{\n type = INTERNAL UNLISTED\n port = 1\n socket_type = stream\n wait = no\n}}\n{}",
        with("").replace("UNLISTED\n port = 9000", "TCPMUXPLUS UNLISTED")
    ));
    assert_eq!(diagnostics, []);
    let [_, behind] = config.services.as_slice() else { panic!("two") };
    assert_eq!((&*behind.name, addresses(behind)), (b"it".as_slice(), vec!["through tcpmux".to_owned()]));
    assert!(behind.listeners[0].extras().greets);
}

#[test]
fn two_of_one_name_are_told_apart() {
    let text = with("") + &with("").replace("stream", "dgram").replace("wait = no", "wait = yes");
    let (config, _) = read(&text);
    let names: Vec<String> = config.services.iter().map(Service::display_name).collect();
    assert_eq!(names, ["it-stream", "it-dgram"]);
    let (config, _) = read(&(with("") + &with("").replace("9000", "9001")));
    let names: Vec<String> = config.services.iter().map(Service::display_name).collect();
    assert_eq!(names, ["it-stream-9000", "it-stream-9001"]);
    let (config, _) = read(&(with("bind = 127.0.0.1") + &with("bind = 127.0.0.2")));
    let names: Vec<String> = config.services.iter().map(Service::display_name).collect();
    assert_eq!(names, ["it-stream-9000-127.0.0.1", "it-stream-9000-127.0.0.2"]);
    let (config, _) = read(&(with("flags = IPv4") + &with("flags = IPv6\n v6only = yes")));
    let names: Vec<String> = config.services.iter().map(Service::display_name).collect();
    assert_eq!(names, ["it-stream-9000-IPv4", "it-stream-9000-IPv6"]);
    let twice = with("id = one") + &with("id = one").replace("9000", "9001");
    assert_eq!((read(&twice).0.services.len(), codes(&twice)), (1, vec!["duplicate-id"]));
}

#[test]
fn the_first_of_two_services_has_the_socket() {
    let text = with("only_from = 10.0.0.1\n id = first") + &with("id = second");
    let (config, _) = read(&text);
    let names: Vec<String> = config.services.iter().map(Service::display_name).collect();
    assert_eq!((names, codes(&text)), (vec!["first".to_owned()], vec!["socket-taken"]));
    assert!(config.services[0].policy.is_some());
    // The kernel would not let them have both either.
    let both = |one: &str, other: &str| {
        codes(&(with(&format!("{one}\n id = a")) + &with(&format!("{other}\n id = b"))))
    };
    assert_eq!(both("bind = 127.0.0.1", ""), ["socket-taken"]);
    assert_eq!(both("", "flags = IPv4"), ["socket-taken"]);
    assert_eq!(both("flags = IPv6\n v6only = yes", "flags = IPv4"), [""; 0]);
    assert_eq!(both("bind = 127.0.0.1", "bind = 127.0.0.2"), [""; 0]);
}

#[test]
fn a_block_that_is_broken_costs_itself() {
    let good = with("").replace("service it", "service good").replace("9000", "9009");
    for (text, code) in [
        ("service it\n{\n port = 1\n", "unclosed"),
        ("service it\n{\n port 1\n}\n", "no-operator"),
        ("service it\n port = 1\n}\n", "no-brace"),
        ("service\n{\n port = 1\n}\n", "no-service-name"),
        ("serivce it\n{\n port = 1\n}\n", "no-keyword"),
        ("service it\n{\n service inner\n {\n }\n}\n", "unclosed"),
        ("service it\n{\n po\0rt = 1\n}\n", "nul-byte"),
        ("}\n", "no-keyword"),
        ("include\n", "no-path"),
    ] {
        let (config, diagnostics) = read(&format!("{text}{good}"));
        assert_eq!(diagnostics.first().map(|first| first.code), Some(code), "{text:?}");
        assert!(config.services.iter().any(|service| &*service.name == b"good"), "{text:?} {diagnostics:?}");
    }
}

#[test]
fn what_can_mean_one_thing_only_is_read() {
    let brace = with("").replace("service it\n{", "service it {");
    assert_eq!((addresses(&one(&brace)).len(), codes(&brace)), (1, vec!["brace-behind-name"]));
    let blank = with("").replace("port = 9000", "port=9000");
    assert_eq!((addresses(&one(&blank)).len(), codes(&blank)), (1, vec!["no-blank"]));
    let windows = with("").replace('\n', "\r\n");
    assert_eq!((addresses(&one(&windows)).len(), codes(&windows)), (1, vec![]));
    // Only there: elsewhere it is a part of a word, as other odd bytes are.
    let odd = one(&with(" \u{b}\u{c}server_args = a\rb c\u{c}d e\r"));
    let arguments: Vec<&[u8]> = odd.program().expect("a program").command.arguments().collect();
    assert_eq!(arguments, [b"cat".as_slice(), b"a\rb", b"c\x0cd", b"e"]);
    let shouting = with("").replace("port", "PORT").replace("service it", "SERVICE it");
    assert_eq!(codes(&shouting), [""; 0]);
    assert_eq!(codes(&with("server = /bin/other")), ["set-twice"]);
}

#[test]
fn a_misspelt_restriction_is_no_open_service() {
    let (config, diagnostics) = read(&with("only_form = 127.0.0.1"));
    assert_eq!((config.services.len(), diagnostics[0].code), (0, "unknown-attribute"));
    assert_eq!(diagnostics[0].severity, Severity::Error);
    assert!(diagnostics[0].hint.contains("only_from"), "{}", diagnostics[0].hint);
    // What restricts nobody is left out, as with xinetd.
    let (config, diagnostics) = read(&with("colour = red"));
    assert_eq!((config.services.len(), diagnostics[0].severity), (1, Severity::Warning));
}

#[test]
fn a_name_that_may_be_a_networks_keeps_out_whom_it_may_mean() {
    let only = read(&with("only_from = slownet"));
    assert_eq!((only.0.services.len(), only.1[0].severity), (1, Severity::Warning));
    let not = read(&with("no_access = slownet"));
    assert_eq!((not.0.services.len(), not.1[0].severity), (0, Severity::Error));
}

#[test]
fn wrong_words_cost_the_service() {
    for (line, code) in [
        ("instances = many", "bad-max"),
        ("cps = 10", "value-count"),
        ("max_load = 0", "bad-load"),
        ("max_load = 0.0", "bad-load"),
        ("cps = 10 x", "bad-number"),
        ("flags = FAST", "bad-flag"),
        ("flags = IPv4 IPv6", "bad-flag"),
        ("type = STRANGE", "set-twice"),
        ("user += root", "bad-operator"),
        ("groups = maybe", "bad-flag-word"),
        ("flags = NAMEINARGS", "no-name-in-args"),
        ("flags = LABELED", "no-selinux"),
    ] {
        assert_eq!(codes(&with(line)).first(), Some(&code), "{line}");
    }
    for gone in ["server", "user", "wait", "socket_type"] {
        let text: String =
            with("").lines().filter(|line| !line.contains(gone)).map(|line| format!("{line}\n")).collect();
        assert_eq!(codes(&text), ["missing-attribute"], "{gone}");
    }
}

#[test]
fn wrong_defaults_stop_all_services() {
    let (config, diagnostics) = read(&format!("defaults\n{{\n instance = 3\n}}\n{}", with("")));
    assert_eq!((config.services.len(), config.broken.len()), (0, 1));
    assert_eq!(diagnostics[0].severity, Severity::Error);
}

#[test]
fn files_are_included() {
    let text = "include /etc/xinetd.d/a\nincludedir /etc/none\n";
    let inner = with("");
    let inner: &'static str = Box::leak(inner.into_boxed_str());
    let mut files = Files(vec![("/etc/xinetd.d/a", inner)]);
    let (config, diagnostics, _) = read_xinetd(text, &mut files);
    assert_eq!((config.services.len(), diagnostics), (1, vec![]));
}

/// A redirect on port 9000.
fn redirect(lines: &str) -> String {
    with(lines).lines().filter(|line| !line.contains("server")).map(|line| format!("{line}\n")).collect()
}

fn targets(service: &Service) -> Vec<String> {
    let Task::Redirect(Redirect::To(targets)) = &service.task else { panic!("a redirect: {service:?}") };
    targets.addresses().iter().map(ToString::to_string).collect()
}

#[test]
fn callers_are_connected_elsewhere() {
    assert_eq!(targets(&one(&redirect("redirect = 192.0.2.7 8080"))), ["192.0.2.7:8080"]);
    assert_eq!(targets(&one(&redirect("redirect = 2001:db8::7 telnet"))), ["[2001:db8::7]:23"]);
    assert_eq!(targets(&one(&redirect("redirect = fe80::7%3 80"))), ["[fe80::7%3]:80"]);
    let service = one(&redirect("redirect = localhost 80").replace("user = nobody", ""));
    assert_eq!(targets(&service), ["127.0.0.1:80", "[::1]:80"]);
    let limits = &service.limits;
    assert_eq!((limits.children, limits.at_limit), (Some(8), AtLimit::Refuse));
    assert_eq!(one(&redirect("redirect = two 80\ninstances = 3")).limits.children, Some(3));
    let wrapped = service.wrapped.as_ref().expect("hosts.allow is asked");
    assert_eq!(&*wrapped.daemon, b"it");
}

#[test]
fn a_target_is_a_host_and_a_port_over_tcp() {
    let codes = |lines: &str| codes(&redirect(lines));
    assert_eq!(codes("redirect = 192.0.2.7 0"), ["bad-port"]);
    assert_eq!(codes("redirect = 192.0.2.7 nothing"), ["unknown-service"]);
    assert_eq!(codes("redirect = 192.0.2.7").first(), Some(&"value-count"));
    let sensor = one(&redirect("redirect = 192.0.2.7 80\nflags = SENSOR"));
    assert_eq!(sensor.task, Task::Builtin(Builtin::Discard));
    let udp = redirect("redirect = 192.0.2.7 80").replace("stream", "dgram");
    assert_eq!(self::codes(&udp), ["bad-redirect"]);
    let waits = redirect("redirect = 192.0.2.7 80").replace("wait = no", "wait = yes");
    assert_eq!(self::codes(&waits), ["redirect-waits"]);
}

#[test]
fn a_target_that_is_not_found_turns_callers_away() {
    for (host, why) in [("nowhere", "no such host"), ("slow", "Temporary failure in name resolution")] {
        let (config, diagnostics) = read(&redirect(&format!("redirect = {host} 80")));
        assert_eq!(diagnostics[0].code, "unknown-target");
        let Task::Redirect(Redirect::Unavailable(said)) = &config.services[0].task else { panic!("{host}") };
        assert_eq!(**said, *format!("{host}: {why}"));
    }
}

#[test]
fn a_redirect_to_itself_is_said() {
    let itself = |lines: &str| codes(&redirect(lines)) == ["redirect-to-itself"];
    assert!(itself("redirect = 127.0.0.1 9000"));
    assert!(itself("redirect = ::1 9000"));
    assert!(itself("bind = 192.0.2.1\nredirect = two 9000"));
    assert!(!itself("redirect = 127.0.0.1 9001"));
    assert!(!itself("redirect = 192.0.2.9 9000"));
    assert!(!itself("flags = IPv4\nredirect = ::1 9000"));
    assert!(!itself("bind = 192.0.2.1\nredirect = 127.0.0.1 9000"));
}

#[test]
fn what_is_wrong_with_defaults_is_said_once() {
    let wrong = format!("defaults\n{{\n instances = many\n}}\n{}{}", with(""), with(" id = other"));
    assert_eq!(codes(&wrong), ["bad-max"]);
}

#[test]
fn a_comment_behind_a_value_is_none_of_it() {
    let service = one(&with("per_source = 10 # at most\n rlimit_cpu = 20 #\n cps = 5 7 # often"));
    assert_eq!(service.limits.source_children, Some(10));
    assert_eq!(service.limits.starts.map(|rate| rate.count), Some(5));
    assert_eq!(codes(&with("per_source = 10 # at most")), ["comment-behind"]);
    // What takes any number of values takes this one.
    assert_eq!(codes(&with("only_from = 10.0.0.0 # inside")), ["bad-peer"]);
    assert_eq!(codes(&with("per_source = # none")), ["value-count"]);
}

#[test]
fn numbers_beyond_all_bounds_cost_the_service() {
    let huge = "9".repeat(40);
    for line in [
        "instances =",
        "per_source =",
        "cps = 10",
        "nice =",
        "umask =",
        "rlimit_as =",
        "rlimit_cpu =",
        "rlimit_files =",
        "rlimit_stack =",
        "max_load = 1e",
        "log_type = FILE /var/log/x",
        "access_times = 1:00-2:",
    ] {
        for number in [&huge, "18446744073709551616", "-1"] {
            let glued = line.ends_with(['e', ':']);
            let text = with(&format!("{line}{}{number}", if glued { "" } else { " " }));
            // What is more than enough, and what is no limit, is said and taken.
            let takes_many = ["instances =", "per_source =", "cps = 10", "nice ="];
            let takes_none = ["nice =", "log_type = FILE /var/log/x"];
            let is_limit = line.starts_with("rlimit") || takes_none.contains(&line);
            let allowed = if number == "-1" { is_limit } else { takes_many.contains(&line) };
            let (config, diagnostics) = read(&text);
            assert_eq!(config.services.len(), usize::from(allowed), "{line} {number}");
            let is_usual = number == "-1" && line == "nice =";
            assert_eq!(diagnostics.is_empty(), is_usual, "{line} {number}: {diagnostics:?}");
        }
    }
    for number in [&huge, "65536", "0", "18446744073709551616"] {
        assert_eq!(codes(&with("").replace("9000", number)), ["bad-port"], "{number}");
    }
    let rpc = |words: &str| codes(&with(words).replace("UNLISTED\n port = 9000", "RPC UNLISTED"));
    assert_eq!(rpc(&format!("rpc_version = {huge}\n rpc_number = 300019")), ["bad-rpc-version"]);
    assert_eq!(rpc(&format!("rpc_version = 1-{huge}\n rpc_number = 300019")), ["bad-rpc-version"]);
    assert_eq!(rpc(&format!("rpc_version = 1\n rpc_number = {huge}")), ["unknown-rpc-service"]);
}

#[test]
fn a_limit_that_is_none_is_not_set() {
    let process = |lines: &str| one(&with(lines)).program().and_then(|program| program.process.clone());
    for name in ["as", "cpu", "data", "files", "rss", "stack"] {
        let zero = format!("rlimit_{name} = 0");
        assert_eq!((process(&zero), codes(&with(&zero))), (None, vec![]), "{name}");
        let minus = format!("rlimit_{name} = -1");
        assert_eq!(process(&minus), process(&format!("rlimit_{name} = UNLIMITED")), "{name}");
        assert_eq!(codes(&with(&minus)).first(), Some(&"negative-limit"), "{name}");
        for wrong in ["-2", "", "-", "+", "1x", "-1K", "0x10", "18446744073709551615", "--1"] {
            let (config, diagnostics) = read(&with(&format!("rlimit_{name} = {wrong}")));
            assert_eq!(
                (config.services.len(), config.broken.len()),
                (0, 1),
                "{name} {wrong} {diagnostics:?}"
            );
        }
    }
    assert_eq!(process("rlimit_as = 0K"), None);
    assert_eq!(process("rlimit_as = +700M"), process("rlimit_as = 734003200"));
    assert_eq!(process("umask = +22"), process("umask = 022"));
}

#[test]
fn a_limit_that_cannot_be_set_is_the_highest_one_that_can() {
    let highest = ResourceLimit { resource: Resource::Descriptors, most: Some(1 << 20) };
    for (line, expected) in [
        ("rlimit_files = UNLIMITED", vec!["limit-out-of-reach"]),
        ("rlimit_files = 1048577", vec!["limit-out-of-reach"]),
        ("rlimit_files = 99999999M", vec!["limit-out-of-reach"]),
        ("rlimit_files = -1", vec!["negative-limit", "limit-out-of-reach"]),
        ("rlimit_files = 1048576", vec![]),
    ] {
        let program = one(&with(line));
        let process = program.program().and_then(|program| program.process.clone()).expect("a limit");
        assert_eq!((&*process.limits, codes(&with(line))), ([highest].as_slice(), expected), "{line}");
    }
}

#[test]
fn a_log_file_without_a_limit_has_none() {
    const GIB: u64 = 1 << 30;
    let limits = |words: &str| {
        let service = one(&with(&format!("log_type = FILE /var/log/x {words}")));
        let LogTarget::File(file) = &service.policy.as_ref().expect("a policy").log.target else {
            panic!("a file")
        };
        (file.soft, file.hard)
    };
    for (words, meant) in [
        ("", (None, None)),
        ("0", (None, None)),
        ("0 0", (None, None)),
        ("0K", (None, None)),
        ("-1", (None, None)),
        ("-1 -1", (None, None)),
        ("0 100", (None, Some(100))),
        ("100 -1", (Some(100), None)),
        ("+100", (Some(100), Some(100 + 5 * 1024))),
        ("5000000000", (Some(5_000_000_000), Some(5_000_000_000 + 20 * 1024))),
        ("4096M 8388608K", (Some(4 * GIB), Some(8 * GIB))),
        ("18446744073709551614", (Some(u64::MAX - 1), None)),
    ] {
        assert_eq!(limits(words), meant, "{words}");
    }
    for wrong in
        ["100 0", "-2", "-1 100", "18446744073709551615", "17592186044416M", "1x", "x", "100 99", "+"]
    {
        assert_eq!(
            codes(&with(&format!("log_type = FILE /var/log/x {wrong}"))).last(),
            Some(&"bad-log-limit")
        );
    }
}

#[test]
fn what_is_beyond_a_number_is_the_last_one_before_it() {
    let nice = |value: &str| {
        let service = one(&with(&format!("nice = {value}")));
        service.program().and_then(|program| program.process.as_ref()?.nice)
    };
    for (value, meant, said) in [
        ("20", 19, 1),
        ("100", 19, 1),
        ("99999999999999999999999999", 19, 1),
        ("-21", -20, 1),
        ("-99999999999999999999999999", -20, 1),
        ("+5", 5, 0),
        ("19", 19, 0),
    ] {
        let said_of = codes(&with(&format!("nice = {value}")));
        assert_eq!((nice(value), said_of), (Some(meant), vec!["large-nice"; said]), "{value}");
    }
    let limits = |line: &str| one(&with(line)).limits;
    for attribute in ["instances", "per_source"] {
        for (value, meant, said) in [
            ("+5", 5, 0),
            ("05", 5, 0),
            ("4294967295", u32::MAX, 0),
            // xinetd makes 0 of it, and serves nobody.
            ("4294967296", u32::MAX, 1),
            ("99999999999", u32::MAX, 1),
        ] {
            let line = format!("{attribute} = {value}");
            let limits = limits(&line);
            let found = if attribute == "instances" { limits.children } else { limits.source_children };
            assert_eq!((found, codes(&with(&line))), (Some(meant), vec!["large-number"; said]), "{line}");
        }
        for wrong in ["-1", "-5", "5x", "0x5", "+", "++5", "+-5"] {
            assert_eq!(codes(&with(&format!("{attribute} = {wrong}"))), ["bad-max"], "{wrong}");
        }
    }
    assert_eq!(limits("cps = 99999999999 +1").starts.map(|rate| rate.count), Some(u32::MAX));
    assert_eq!(limits("cps = 1 99999999999").rest, Some(Duration::from_secs(u32::MAX.into())));
    assert_eq!(codes(&with("cps = 99999999999 99999999999")), ["large-number"; 2]);
    assert_eq!(codes(&with("cps = -1 1")), ["bad-number"]);
    assert_eq!(addresses(&one(&with("").replace("9000", "+9000"))), addresses(&one(&with(""))));
    for wrong in ["+", "+65536", "-9000", "++9000", "+-9000"] {
        let codes = codes(&with("").replace("9000", wrong));
        assert!(matches!(codes.as_slice(), ["bad-port" | "unknown-service"]), "{wrong} {codes:?}");
    }
}

#[test]
fn an_attribute_a_thousand_times() {
    let (config, diagnostics) = read(&with(&"instances = 3\n".repeat(1000)));
    assert_eq!(config.services[0].limits.children, Some(3));
    assert_eq!(
        diagnostics.iter().filter(|diagnostic| diagnostic.code == "set-twice").count(),
        Diagnostics::OF_FILE
    );
    let nets: String =
        (0..1000).map(|net| format!("only_from += 10.{}.{}.0/24\n", net / 250, net % 250)).collect();
    assert_eq!(codes(&with(&nets)), [""; 0]);
    let added_and_removed = "passenv += A\npassenv -= A\n".repeat(1000);
    assert_eq!(codes(&with(&added_and_removed)), [""; 0]);
    let many = format!("defaults\n{{\n{}}}\n", "instances = 3\n".repeat(1000));
    assert_eq!(read(&(many + &with(""))).0.services[0].limits.children, Some(3));
}

#[test]
fn a_megabyte_in_one_line() {
    let mega = "x".repeat(1 << 20);
    for (line, code) in [
        (format!("server_args = {mega}"), Some("argument-too-long")),
        (format!("server_args = {}", "a ".repeat(1 << 16)), None),
        (format!("{mega} = 1"), Some("unknown-attribute")),
        (format!("only_from = {mega}"), Some("bad-peer")),
        (format!("instances = {mega}"), Some("bad-max")),
        (format!("flags = {mega}"), Some("bad-flag")),
        (mega.clone(), Some("no-operator")),
    ] {
        let (_, diagnostics) = read(&with(&line));
        let found = diagnostics.iter().find(|diagnostic| Some(diagnostic.code) == code);
        assert_eq!(found.is_some(), code.is_some(), "{:.40}: {:?}", line, diagnostics.len());
        assert!(found.is_none_or(|found| found.message.len() < 3 << 20));
    }
    let name = with("").replace("service it", &format!("service {mega}"));
    assert_eq!(read(&name).0.services[0].name.len(), 1 << 20);
}

#[test]
fn what_is_wrong_in_defaults_is_wrong_for_all() {
    for defaults in [
        "defaults\n{\n instances = 1\n",
        "defaults\n{\n inst\0ances = 1\n}\n",
        "defaults\n instances = 1\n}\n",
        "defaults\n{\n service inner\n {\n }\n}\n",
        "defaults\n{\n instances 1\n}\n",
    ] {
        let (config, diagnostics) = read(&format!("{defaults}{}", with("")));
        assert_eq!(config.services.len(), 0, "{defaults:?}");
        assert!(config.broken.iter().any(|broken| &*broken.name == b"it"), "{defaults:?}");
        assert!(!diagnostics.is_empty(), "{defaults:?}");
    }
}

#[test]
fn files_include_each_other_so_deep() {
    let text = format!("include /etc/xinetd.conf\n{}", with(""));
    let text: &'static str = Box::leak(text.into_boxed_str());
    let (config, diagnostics, _) = read_xinetd(text, &mut Files(vec![("/etc/xinetd.conf", text)]));
    assert!(diagnostics.iter().any(|diagnostic| diagnostic.code == "include-depth"), "{diagnostics:?}");
    // All of them say the same.
    assert_eq!(config.services.len(), 1);
}

#[test]
fn a_hundred_thousand_lines_that_are_nothing() {
    for line in ["service x\n", "{\n", "}\n", "defaults\n", "a = b\n", "include\n", "service x {\n", "\0\n"] {
        let (config, diagnostics) = read(&line.repeat(100_000));
        assert_eq!(config.services.len(), 0, "{line:?}");
        assert!(!diagnostics.is_empty(), "{line:?}");
    }
}

#[test]
fn a_name_is_left_out_once() {
    let (config, _) = read(&"service x\nservice y\n".repeat(50_000));
    let names: Vec<&[u8]> = config.broken.iter().map(|broken| &*broken.name).collect();
    assert_eq!(names, [b"x", b"y"]);
    let (config, _, _) = world::read(&"x y\nz\n".repeat(50_000));
    let names: Vec<&[u8]> = config.broken.iter().map(|broken| &*broken.name).collect();
    assert_eq!(names, [b"x", b"z"]);
}

#[test]
fn a_service_that_is_meant_to_be_off_is_not_on() {
    for line in ["disable = yes # for now", "disable = YES #", "disable=yes # for now"] {
        let (config, diagnostics) = read(&with(line));
        assert_eq!((config.services.len(), config.broken.len()), (0, 0), "{line}: {diagnostics:?}");
    }
    for line in ["disabled = yes", "disabeld = yes", "dissable = yes"] {
        let (config, diagnostics) = read(&with(line));
        assert_eq!((config.services.len(), config.broken.len()), (0, 1), "{line}");
        assert!(diagnostics[0].hint.contains("did you mean disable?"), "{line}: {diagnostics:?}");
    }
    // As with xinetd, which stops reading there: a reload switches it off, whatever else stands in it.
    for lines in
        [" disable = yes\n no operator", " no operator\n disable = yes", " disable = yes\n inst\0ances = 1"]
    {
        let (config, diagnostics) = read(&with(lines));
        assert_eq!((config.services.len(), config.broken.len(), diagnostics), (0, 0, vec![]), "{lines:?}");
    }
    let broken = format!("defaults\n{{\n disabled = it\n}}\n{}", with("no operator"));
    assert_eq!(read(&broken).0.broken.len(), 0);
    assert_eq!(one(&with("disable = no # it is wanted")).limits.children, None);
}

#[test]
fn defaults_that_are_misspelt_or_broken_stop_all_services() {
    for defaults in [
        "default\n{\n only_from = 10.0.0.0\n}\n",
        "Defaults{\n only_from = 10.0.0.0\n}\n",
        "defualts\n{\n only_from = 10.0.0.0\n}\n",
        "defaults\n{\n id = other\n only_from 10.0.0.0\n}\n",
    ] {
        let (config, diagnostics) = read(&format!("{defaults}{}", with("")));
        assert_eq!((config.services.len(), config.broken.len()), (0, 1), "{defaults:?} {diagnostics:?}");
    }
    // That is a service's name.
    let (config, _) = read(&format!("service defaults\n{{\n nonsense\n}}\n{}", with("")));
    assert_eq!((config.services.len(), config.broken.len()), (1, 1));
}

#[test]
fn what_is_expected_is_said_in_the_words_of_the_language() {
    let expected = |text: &str| read(text).1[0].expected.clone();
    assert_eq!(expected(&with("instances = many")), "a number, or UNLIMITED");
    let rpc = with("rpc_number = 300019").replace("UNLISTED\n port = 9000", "RPC UNLISTED");
    assert!(expected(&rpc).starts_with("rpc_version = 1"), "{}", expected(&rpc));
    let listed = with("").replace("type = UNLISTED\n port = 9000", "");
    assert!(read(&listed).1[0].hint.ends_with("port = NUMBER and type = UNLISTED"), "{:?}", read(&listed).1);
    let mux = with("").replace("UNLISTED\n port = 9000", "UNLISTED TCPMUX");
    assert!(read(&mux).1[0].hint.contains("INTERNAL"), "{:?}", read(&mux).1);
}

#[test]
fn nobody_has_the_number_that_changes_nothing() {
    for lines in ["user = 4294967295", "user = root\n group = 4294967295"] {
        let (config, diagnostics) = read(&with(lines).replace(" user = nobody\n", ""));
        let program = config.services[0].program().expect("a program");
        assert!(matches!(program.identity, Identity::Unavailable(_)), "{lines}: {diagnostics:?}");
    }
}

#[test]
fn long_lists_take_no_long_time() {
    const MANY: usize = 20_000;
    let list = |letter: char| (0..MANY).map(|at| format!(" {letter}{at}")).collect::<String>();
    let text = with(&format!("passenv ={}\n passenv -={} A0 a1", list('a'), list('b')));
    let (config, diagnostics) = read(&text);
    assert_eq!((config.services.len(), diagnostics.len()), (1, Diagnostics::OF_FILE));
    // Each on a line of its own.
    let name = |at: usize| format!("a{at}");
    let net = |at: usize| format!("10.{}.{}.{{1,2}}", at / 200, at % 200);
    for (attribute, word) in [("passenv", &name as &dyn Fn(usize) -> String), ("no_access", &net)] {
        let lines = |from: usize, operator: &str| -> String {
            (from..MANY).map(|at| format!(" {attribute} {operator} {}\n", word(at))).collect()
        };
        let service = one(&with(&format!("{}{}", lines(0, "+="), lines(1, "-="))));
        let left = one(&with(&format!("{attribute} = {}", word(0))));
        assert_eq!((&service.policy, &service.task), (&left.policy, &left.task), "{attribute}");
    }
    let blocks: String = (0..MANY / 4)
        .map(|at| format!("service b{at}\n{{\n socket_type = stream\n wait = no\n type = INTERNAL\n}}\n"))
        .collect();
    let text = format!("defaults\n{{\n disabled ={}\n enabled ={}\n}}\n{blocks}", list('a'), list('c'));
    assert_eq!(read(&text).0.services.len(), 0);
}

#[test]
fn a_file_is_known_by_its_first_words() {
    for text in [
        "service it # comment\n{\n",
        "# c\n\nservice\n{\n",
        "default\n{\n",
        "defaults{\n",
        "DEFAULTS # all\n{",
    ] {
        assert!(is_written_in(text.as_bytes()), "{text:?}");
    }
    for text in [
        "",
        "# service it\n",
        "service stream tcp nowait root /bin/x\n",
        "defaults stream tcp nowait root /bin/x\n",
    ] {
        assert!(!is_written_in(text.as_bytes()), "{text:?}");
    }
}

#[test]
fn a_net_is_taken_from_a_list_however_it_is_written() {
    for (list, net) in [("10.0.0.0/8 192.0.2.1", "10.0.0.0"), ("192.0.2.1 2001:DB8::/32", "2001:db8:0::0/32")]
    {
        let service = one(&with(&format!("only_from = {list}\n only_from -= {net}")));
        assert_eq!(service.policy, one(&with("only_from = 192.0.2.1")).policy, "{list}");
    }
    assert_eq!(codes(&with("only_from = 10.0.0.0\n only_from -= 10.0.0.1")), ["removes-nothing"]);
    let left = |lines: &str| one(&with(lines)).policy;
    let two_go = left("only_from = 10.0.0.1 10.0.0.2 10.0.0.3\n only_from -= 10.0.0.{1,2}");
    assert_eq!(two_go, left("only_from = 10.0.0.3"));
    let one_goes = left("only_from = 10.0.0.{1,2,3}\n only_from -= 10.0.0.1 10.0.0.3");
    assert_eq!(one_goes, left("only_from = 10.0.0.2"));
    let one_after_the_other =
        left("only_from = 10.0.0.{1,2,3}\n only_from -= 10.0.0.1\n only_from -= 10.0.0.3");
    assert_eq!(one_after_the_other, one_goes);
    // What is added again is there again, behind the others.
    for lines in [
        "only_from = a b a c\n only_from -= a\n only_from += a",
        "only_from = a b\n only_from -= A a b\n only_from += b c a a\n only_from -= d-e A\n only_from += a",
        "only_from = x\n only_from -= x\n only_from = b c a",
        "only_from -= x\n only_from += b c a",
    ] {
        assert_eq!(left(lines), left("only_from = b c a"), "{lines}");
    }
    let again =
        "only_from = 10.0.0.{1,2}\n only_from -= 10.0.0.1\n only_from -= 10.0.0.1\n only_from += 10.0.0.1";
    assert_eq!(codes(&with(again)), ["removes-nothing"]);
    assert_eq!(left(again), left("only_from = 10.0.0.2 10.0.0.1"));
    assert_eq!(codes(&with("only_from = 10.0.0.1 10.0.0.2\n only_from -= 10.0.0.1 10.0.0.1")), [""; 0]);
}
